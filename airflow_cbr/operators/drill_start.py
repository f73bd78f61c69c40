"""The operator that starts a restore drill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.airflow_names import conf
from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrDrillTimeoutError, CbrError, CbrParameterError
from airflow_cbr.hooks.attempt import DRILL_STATE_KEY, attempt_of, intents_of
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.base import BetweenRegions, OnceOperator
from airflow_cbr.operators.drilling import DRILL_XCOM_KEY, check_life, mark_of_drill, placement_of
from airflow_cbr.operators.parameters import check_at_least, check_intervals, check_seconds, check_text, check_truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_cbr.drills.pick import Restorable
    from airflow_cbr.drills.spec import DrillSpec
    from airflow_cbr.drills.start import Start
    from airflow_cbr.drills.state import DrillState

__all__ = ["CbrStartRestoreDrillOperator"]


class CbrStartRestoreDrillOperator(BetweenRegions, OnceOperator[dict[str, Any]]):
    """Start a server of a replica, without a public address, and wait until it is active. Use it as a setup task.

    The task's postcondition: in this Dag run the drill has exactly one image and one server, whose names and tags carry the drill's mark, a
    digest of Dag, run, task and map index. Whatever was lost or killed, the next attempt finds them by it, and so does
    :class:`~airflow_cbr.operators.cbr.CbrEndRestoreDrillOperator`, which must follow as the teardown. The server has an
    ``auto_terminate_time`` in any case: the service deletes it by itself if nothing else does.

    Restored is a replica that is verified now, at the destination: the one that is named, the newest of a resource, or by a seed the newest
    of a random resource.

    XCom: ``return_value`` is a dict with ``server_id``, ``private_ip``, ``image_id``, ``replica_id`` and ``resource_id``; ``drill`` is what
    the end of the drill reads.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param vault_id: id of the source vault. (templated)
    :param destination_region: region id of the replicas, where the server is made. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param flavor: flavor of the server, such as ``s6.large.2``. (templated)
    :param vpc_id: id of the VPC. (templated)
    :param subnet_id: id of a subnet in it. (templated)
    :param security_group_ids: ids of the server's security groups. Isolation is theirs to give. (templated)
    :param replica_id: the replica that is restored. Default: see ``resource_id``. (templated)
    :param resource_id: the resource whose newest verified replica is restored. Default: see ``seed``. (templated)
    :param seed: text; the newest verified replica of a random resource is restored, the same for the same seed. Default: the vault has only
        one resource with a verified replica. (templated)
    :param root_volume_type: type of the system disk. Default: ``SSD``. (templated)
    :param data_volumes: data disks as the ECS API takes them, where a whole image does not bring its own. Default: those of the image.
    :param availability_zone: Default: the service's choice. (templated)
    :param key_name: SSH key pair of the server. Default: none; what is inside the image holds. (templated)
    :param user_data: base64 text that the server runs at its first boot. Default: none. (templated)
    :param enterprise_project_id: enterprise project of the server. Default: none. (templated)
    :param terminate_after: seconds after which the service deletes the server by itself, 3600 to 604800. Default: 21600.
    :param at_once: in a mapped task group, how many drills run at a time; the others wait, always
        deferred. Needs ``end_task_id``. Default: all.
    :param end_task_id: the task that ends the drill. Default: none.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks. Default: 15.
    :param max_poll_interval: longest time between two looks after a failure, in seconds. Default: 60.
    :param timeout: seconds for the whole task, counted from the first attempt after the last clear; waiting for its turn does not count.
        Default: 10800.
    :param settle_time: seconds within which the service shows an image or a server that it accepted; before a call of unknown outcome is
        repeated, the task waits that long. An image may show only when it is finished. Default: 1800.
    :raises CbrDrillError: there is no replica to restore, or no server of it; permanent ones as ``AirflowFailException``.
    """

    template_fields: Sequence[str] = (
        "vault_id",
        *BetweenRegions.template_fields,
        "replica_id",
        "resource_id",
        "seed",
        "flavor",
        "vpc_id",
        "subnet_id",
        "security_group_ids",
        "root_volume_type",
        "availability_zone",
        "key_name",
        "user_data",
        "enterprise_project_id",
    )
    ui_color = "#e4d4f0"

    _name: str | None = None
    """Name of the drill's image and server, once it is known."""
    _source: dict[str, str] | None = None
    """Where the source vault is, once that is known."""

    def __init__(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        flavor: str,
        vpc_id: str,
        subnet_id: str,
        security_group_ids: Sequence[str] | str,
        replica_id: str | None = None,
        resource_id: str | None = None,
        seed: str | None = None,
        root_volume_type: str = "SSD",
        data_volumes: Sequence[Mapping[str, Any]] | None = None,
        availability_zone: str | None = None,
        key_name: str | None = None,
        user_data: str | None = None,
        enterprise_project_id: str | None = None,
        terminate_after: float | timedelta = 21600,
        at_once: int | None = None,
        end_task_id: str | None = None,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 15,
        max_poll_interval: float | timedelta = 60,
        timeout: float | timedelta = 10800,
        settle_time: float | timedelta = 1800,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.flavor = flavor
        self.vpc_id = vpc_id
        self.subnet_id = subnet_id
        self.security_group_ids = security_group_ids
        self.replica_id = replica_id
        self.resource_id = resource_id
        self.seed = seed
        self.root_volume_type = root_volume_type
        self.data_volumes = data_volumes
        self.availability_zone = availability_zone
        self.key_name = key_name
        self.user_data = user_data
        self.enterprise_project_id = enterprise_project_id
        self.terminate_after = terminate_after
        self.at_once = at_once
        self.end_task_id = end_task_id
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.settle_time = settle_time

    def _ids_started(self, state: DrillState) -> Sequence[str]:
        # What was accepted, or may have been, and was not seen yet is known by its name alone.
        image = state.image_id or (self._name if state.image_job_id or state.image_unsettled_until else None)
        server = state.server_id or (self._name if state.server_unsettled_until else None)
        return [f"{kind} {thing}" for kind, thing in (("image", image), ("server", server)) if thing is not None]

    def _what_continues(self, ids: Sequence[str]) -> str:
        return (
            f"These stay until the end of the drill, which deletes them: {', '.join(ids)}" if ids else "It has made no image and no server"
        )

    def _perform(self, context: Context, state: Any) -> dict[str, Any]:
        from airflow_cbr.drills.lines import ready_line
        from airflow_cbr.once.steps import Pause
        from airflow_cbr.operators.drill_turns import Turn, TurnState

        spec = self._spec(context)
        if self.at_once is not None and (state is None or isinstance(state, TurnState)):
            at_once = check_at_least(self.at_once, 1, "at_once")
            end_task_id = check_text(self.end_task_id, "end_task_id", "the id of the task that ends the drill")
            turn = Turn(context, at_once=at_once, end_task_id=end_task_id, poll_interval=spec.max_poll_interval, state=state)
            step = turn.advance()
            if isinstance(step, Pause):
                self.log.info("Waiting: %s", step.reason)
                # Always deferred: starts that hold the worker slots would keep the ends from running, for which they wait.
                self._defer(turn.state, step, step.seconds)
            state = None
        start = self._start(context, spec, state)
        try:
            restored = self._follow(start)
        except CbrError as error:
            outcome = "timed_out" if isinstance(error, CbrDrillTimeoutError) else "failed"
            self._publish(context, spec, start.state, outcome=outcome, reason=error.what_happened)
            raise
        replica = start.state.replica
        result = {
            "server_id": restored.server_id,
            "private_ip": restored.private_ip,
            "image_id": restored.image_id,
            "replica_id": None if replica is None else replica.replica_id,
            "resource_id": None if replica is None else replica.resource_id,
        }
        self.log.info("%s", ready_line(start.state, restored))
        return result

    def _start(self, context: Context, spec: DrillSpec, state: DrillState | None) -> Start:
        from airflow_cbr.drills.start import Start

        client = self.destination_hook.client
        self._name, self._source = spec.mark.name, self._find_source()
        self._push_links(context)
        return Start(
            client,
            spec,
            pick=self._pick,
            attempt=attempt_of(context),
            intents=intents_of(context, DRILL_STATE_KEY),
            publish=lambda known: self._publish(context, spec, known),
            state=state,
            observe=self.at_step,
            log=self.log,
        )

    def _publish(
        self, context: Context, spec: DrillSpec, state: DrillState, *, outcome: str | None = None, reason: str | None = None
    ) -> None:
        from airflow_cbr.drills.document import progress

        client = self.destination_hook.client
        place = {"region": client.region, "project_id": client.project_id, "vault_id": spec.vault_id}
        document = progress(
            state, place, name=spec.mark.name, flavor=spec.placement.flavor, source=self._source, outcome=outcome, reason=reason
        )
        context["ti"].xcom_push(key=DRILL_XCOM_KEY, value=document)

    def _find_source(self) -> dict[str, str]:
        """Return where the source vault is; without the project, if nothing names it and that region does not answer."""
        client = self.hook.client
        place = {"region": client.region, "vault_id": check_id(self.vault_id, "vault_id")}
        try:
            return place | {"project_id": client.project_id}
        except CbrError as error:
            self.log.warning("The project of the source vault could not be looked up: %s", error.what_happened)
            return place

    def _pick(self) -> Restorable:
        from airflow_cbr.drills.pick import Pick, find_restorable, newest_by_resource, pick_replica, sample

        vault_id = check_id(self.vault_id, "vault_id")
        found = find_restorable(self.hook.client, self.destination_hook.client, vault_id=vault_id, there=self.destination())
        replica_id = None if self.replica_id is None else check_id(self.replica_id, "replica_id")
        resource_id = None if self.resource_id is None else check_id(self.resource_id, "resource_id")
        if replica_id is None and resource_id is None and self.seed is not None:
            return sample(newest_by_resource(found), 1, str(self.seed))[0]
        return pick_replica(found, Pick(replica_id=replica_id, resource_id=resource_id))

    def _spec(self, context: Context) -> DrillSpec:
        from airflow_cbr.drills.spec import DrillSpec

        poll_interval, max_poll_interval = check_intervals(self.poll_interval, self.max_poll_interval)
        check_truth(self.deferrable, "deferrable")
        destination = self.destination_of(self.vault_id)
        for name in ("replica_id", "resource_id"):
            if (value := getattr(self, name)) is not None:
                check_id(value, name)
        if self.seed is not None and (self.replica_id is not None or self.resource_id is not None):
            raise CbrParameterError("seed", "chooses a resource, and another parameter names one.")
        timeout, life = check_seconds(self.timeout, "timeout"), check_life(self.terminate_after)
        return DrillSpec(
            mark=mark_of_drill(context),
            vault_id=destination.vault_id,
            placement=placement_of(self),
            terminate_after=life,
            timeout=timeout,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            settle_time=check_seconds(self.settle_time, "settle_time"),
        )

    def _recall(self, event: Any) -> Any:
        from airflow_cbr.drills.state import DrillState
        from airflow_cbr.operators.drill_turns import TurnState
        from airflow_cbr.triggers.events import memory_of

        def load(dumped: Any) -> Any:
            is_turn = isinstance(dumped, dict) and "is_turn" in dumped
            return TurnState.load(dumped) if is_turn else DrillState.load(dumped)

        return memory_of(event, load)
