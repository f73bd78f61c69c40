"""The operator that backs up a vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.hooks.attempt import CHECKPOINT_STATE_KEY, attempt_of, identity_of, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.base import BaseCbrOperator, OnceOperator
from airflow_cbr.operators.parameters import (
    check_access,
    check_intervals,
    check_record_ids,
    check_seconds,
    check_text,
    check_truth,
    check_word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_cbr.checkpoints.creation import Creation
    from airflow_cbr.checkpoints.spec import CheckpointSpec, OnSkipped
    from airflow_cbr.checkpoints.state import CheckpointState
    from airflow_cbr.once.steps import Pause

__all__ = ["CbrCreateCheckpointOperator"]

CHECKPOINT_XCOM_KEY = "checkpoint"


class CbrCreateCheckpointOperator(OnceOperator[str]):
    """Back up a vault, or some of its resources, and wait until every backup is available.

    The task's postcondition: in this Dag run the task has exactly one checkpoint of the vault, and that checkpoint is complete. It sends
    one ``POST /v3/{project_id}/checkpoints`` (CreateCheckpoint) with a name that is the same in every attempt, so that the next attempt
    recognises the checkpoint, whatever was lost or killed. Clearing a finished task checks the postcondition and sends nothing.

    By default the task fails when the service skipped a resource or a backup failed, even if the checkpoint itself is ``available``.

    XCom: ``return_value`` is the checkpoint's id, pushed as soon as it is known; ``checkpoint`` is a dict with the vault, the checkpoint's
    ``name``, ``status``, number of ``backups`` and of those ``available``, the number of ``skipped`` resources, the first 20 of them in
    ``skipped_resources``, and whether it was ``adopted``.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param vault_id: id of the vault. (templated)
    :param resource_ids: ids of the resources to back up. Default: all that is bound to the vault. (templated)
    :param checkpoint_name: first part of the checkpoint's name, at most 47 characters; the second part is a digest of Dag, run, task and
        map index. Default: ``airflow``. (templated)
    :param description: the checkpoint's description, at most 255 characters. Default: none. (templated)
    :param incremental: True or False to ask for an incremental or a full backup. Default: the service decides (incremental).
    :param auto_trigger: mark the checkpoint as made by a schedule, not by hand. Default: False.
    :param on_skipped: ``fail`` or ``warn``: what happens to the task when the service skipped resources. Default: ``fail``.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param region: region id. Default: the connection's. (templated)
    :param project_id: project id. Default: the connection's, or looked up. (templated)
    :param wait_for_completion: wait until the checkpoint is available. False: succeed as soon as the service has accepted it.
        Default: True.
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: shortest time between two looks, in seconds. Default: 30.
    :param max_poll_interval: longest time between two looks, in seconds. Default: 600.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear; when it passes, the task fails without
        a retry, and a checkpoint that is being made continues in CBR. Default: 86400.
    :param settle_time: seconds within which the service shows a checkpoint that it accepted; before a call of unknown outcome is
        repeated, the task waits that long. Default: 120.
    :raises CbrError: see :mod:`airflow_cbr.exceptions`; permanent ones as ``AirflowFailException``.
    """

    template_fields: Sequence[str] = ("vault_id", "resource_ids", "checkpoint_name", "description", *BaseCbrOperator.template_fields)

    def __init__(
        self,
        *,
        vault_id: str,
        resource_ids: Sequence[str] | None = None,
        checkpoint_name: str = "airflow",
        description: str | None = None,
        incremental: bool | None = None,
        auto_trigger: bool = False,
        on_skipped: OnSkipped = "fail",
        cbr_conn_id: str = CbrHook.default_conn_name,
        region: str | None = None,
        project_id: str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 30,
        max_poll_interval: float | timedelta = 600,
        timeout: float | timedelta = 86400,
        settle_time: float | timedelta = 120,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.resource_ids = resource_ids
        self.checkpoint_name = checkpoint_name
        self.description = description
        self.incremental = incremental
        self.auto_trigger = auto_trigger
        self.on_skipped = on_skipped
        self.cbr_conn_id = cbr_conn_id
        self.region = region
        self.project_id = project_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.settle_time = settle_time

    def _perform(self, context: Context, state: CheckpointState | None) -> str:
        result = self._follow(self._creation(context, state))
        self.log.info("%s", result.line)
        return result.checkpoint_id

    def _creation(self, context: Context, state: CheckpointState | None) -> Creation:
        from airflow_cbr.checkpoints.creation import Creation

        spec, ti = self._spec(context), context["ti"]
        vault = self._place(context, spec.vault_id)

        def publish(checkpoint_id: str, summary: dict[str, Any]) -> None:
            ti.xcom_push(key="return_value", value=checkpoint_id)
            named = {**vault, "vault_name": creation.state.vault_name}
            ti.xcom_push(key=CHECKPOINT_XCOM_KEY, value={"vault": named, **summary})

        creation = Creation(
            self.hook.client,
            spec,
            attempt=attempt_of(context),
            intents=intents_of(context, CHECKPOINT_STATE_KEY),
            publish=publish,
            state=state,
            observe=self.at_step,
            log=self.log,
        )
        return creation

    def _spec(self, context: Context) -> CheckpointSpec:
        from airflow_cbr.api.call_parameters import texts_of
        from airflow_cbr.checkpoints.spec import CheckpointSpec, check_prefix, mark_of

        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_access(cbr_conn_id=self.cbr_conn_id, region=self.region, project_id=self.project_id)
        check_truth(self.deferrable, "deferrable")
        check_word(self.on_skipped, ("fail", "warn"), "on_skipped")
        if self.description is not None:
            check_text(self.description, "description", "text")
        texts_of(None, self.description)
        vault_id = check_id(self.vault_id, "vault_id")
        return CheckpointSpec(
            vault_id=vault_id,
            mark=mark_of(*identity_of(context), vault_id),
            prefix=check_prefix(check_text(self.checkpoint_name, "checkpoint_name", "text")),
            resource_ids=self._resource_ids(),
            description=self.description,
            incremental=None if self.incremental is None else check_truth(self.incremental, "incremental"),
            auto_trigger=check_truth(self.auto_trigger, "auto_trigger"),
            on_skipped=self.on_skipped,
            wait_for_completion=check_truth(self.wait_for_completion, "wait_for_completion"),
            timeout=check_seconds(self.timeout, "timeout"),
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            settle_time=check_seconds(self.settle_time, "settle_time"),
        )

    def _resource_ids(self) -> tuple[str, ...] | None:
        if self.resource_ids is None:
            return None
        resource_ids = tuple(check_record_ids(self.resource_ids, "resource_ids", source="the output of the task that lists them"))
        if not resource_ids:
            raise CbrParameterError(
                "resource_ids", "is an empty list.", advice="To back up every resource of the vault, leave resource_ids out."
            )
        return resource_ids

    def _recall(self, event: Any) -> CheckpointState:
        from airflow_cbr.checkpoints.state import CheckpointState
        from airflow_cbr.triggers.events import memory_of

        return memory_of(event, CheckpointState.load)

    def _ids_started(self, state: CheckpointState) -> Sequence[str]:
        return () if state.checkpoint_id is None else (state.checkpoint_id,)

    def _what_continues(self, ids: Sequence[str]) -> str:
        return f"CBR cannot cancel a checkpoint; checkpoint {', '.join(ids)} continues" if ids else "No checkpoint of its own is being made"

    def _trigger(self, state: CheckpointState, pause: Pause, seconds: float) -> BaseTrigger:
        if state.checkpoint_id is not None:
            self.log.info(
                "Deferring the task. Its checkpoint continues in CBR even if the task is stopped (checkpoint %s)", state.checkpoint_id
            )
        return super()._trigger(state, pause, seconds)
