"""Running an operator or a sensor as a worker does, without Airflow's database and processes around it."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.operators.cbr import CbrCreateCheckpointOperator, CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from airflow_cbr.sensors.cbr import CbrReplicationSensor

if TYPE_CHECKING:
    import pytest

CONN_ID = "huaweicloud_cbr_default"
ACCESS_KEY, SECRET_KEY = "EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only"
USER, PASSWORD, ACCOUNT = "backup-bot", "emulator-password", "acme"

#: The ids of the default world, as parameters of the operators.
IDS: dict[str, Any] = {
    "vault_id": SOURCE_VAULT,
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": DESTINATION_PROJECT,
    "destination_vault_id": DESTINATION_VAULT,
}


def set_connection(
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    *,
    conn_id: str = CONN_ID,
    login: str = ACCESS_KEY,
    password: str = SECRET_KEY,
    **extra: Any,
) -> None:
    """Define a connection in the environment.

    :param url: base URL of CBR and IAM.
    :param extra: fields of the connection's extra; None leaves out one that is set here.
    """
    fields = {"region": "cn-north-4", "cbr_endpoint": url, "iam_endpoint": url, "ims_endpoint": url, "ecs_endpoint": url} | extra
    value = {
        "conn_type": "huaweicloud_cbr",
        "login": login,
        "password": password,
        "extra": {name: one for name, one in fields.items() if one is not None},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


def set_password_connection(
    monkeypatch: pytest.MonkeyPatch, url: str, *, login: str = USER, password: str = PASSWORD, domain_name: str = ACCOUNT, **extra: Any
) -> None:
    """Define a connection that logs in with an IAM user's password."""
    set_connection(monkeypatch, url, login=login, password=password, auth_type="password", domain_name=domain_name, **extra)


class TaskState:
    """What Airflow's task state store does: it outlives attempts."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str) -> Any:
        """Return a value, or None."""
        return json.loads(self.kept[key]) if key in self.kept else None

    def set(self, key: str, value: Any) -> None:
        """Keep a value; only JSON can be kept."""
        self.kept[key] = json.dumps(value)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the traceback that belongs to it."""
        self._lines.append(logging.Formatter("%(levelname)s %(message)s").format(record))


@dataclass
class TaskRun:
    """A task instance over its attempts.

    :param task: the operator.
    :param try_number: the attempt that comes next.
    :param store: Airflow 3.3's task state store; None as on older Airflow.
    :param params: Dag params for templates.
    """

    task: Any
    try_number: int = 1
    store: TaskState | None = field(default_factory=TaskState)
    params: dict[str, Any] = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    """The XComs of the newest attempt."""
    pushes: list[tuple[str, Any]] = field(default_factory=list)
    """Every push of every attempt."""
    lines: list[str] = field(default_factory=list)
    """Every line that the task logged, as it was before Airflow masks secrets in it."""
    run_after: datetime = field(default_factory=lambda: datetime.now(UTC))
    first_reschedule: datetime | None = None
    """When a sensor was rescheduled for the first time."""
    cleared_after: int = 0
    """Number of the attempt after which the task was cleared."""
    dag_id: str = "a_dag"
    run_id: str = "manual__1"
    map_index: int = -1
    outlet_events: Any = None
    """What the newest attempt told its outlets."""
    others: dict[str, TaskRun] = field(default_factory=dict)
    """Other tasks of the Dag run, by task id, or ``task_2`` where it is mapped."""
    states: dict[str, str | None] = field(default_factory=dict)
    """States of other tasks of the Dag run, by the same."""

    def __post_init__(self) -> None:
        """Take the task's log: Airflow's own goes to wherever standard output was when it was set up."""
        logger = logging.getLogger(f"tests.task.{uuid.uuid4()}")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(_Lines(self.lines))
        self.task._cached_logger = logger

    @property
    def log(self) -> str:
        """Return what the task logged."""
        return "\n".join(self.lines)

    @property
    def task_id(self) -> str:
        """Return the task's id."""
        return str(self.task.task_id)

    @property
    def max_tries(self) -> int:
        """Return what Airflow says: the task's retries, on top of the attempts before the last clear."""
        return self.cleared_after + (self.task.retries or 0)

    def xcom_push(self, key: str, value: Any) -> None:
        """Record an XCom; it must be plain JSON.

        Airflow keeps a tuple, a set or a time with the name of its Python type around it, and nobody who reads the XCom over REST, or
        holds it against a schema, expects that.
        """
        plain = json.loads(json.dumps(value))
        stored: Any = BaseXCom.serialize_value(value, key=key)
        assert stored == plain, f"the XCom {key} would be stored as {stored}"
        self.xcoms[key] = plain
        self.pushes.append((key, plain))

    def xcom_pull(self, task_ids: str, key: str = "return_value", map_indexes: int = -1) -> Any:
        """Return an XCom of another task of the run, from ``others``."""
        other = self.others.get(task_id_of(task_ids, map_indexes))
        return None if other is None else other.xcoms.get(key)

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        """Return the states of tasks in this run, from ``states``, as Airflow keys them: by task id, or ``task_2`` where it is mapped."""
        asked = {
            key: state for key, state in self.states.items() if any(key in (one, f"{one}_{key.rpartition('_')[2]}") for one in task_ids)
        }
        return {self.run_id: asked} if (dag_id, run_ids) == (self.dag_id, [self.run_id]) else {}

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        """Return when a sensor was rescheduled for the first time, or None."""
        return self.first_reschedule

    def followed_by(self, later: TaskRun) -> TaskRun:
        """Let a run go on as the next attempt of this one, with what Airflow keeps from attempt to attempt.

        :param later: a run of another operator for the same task.
        """
        later.try_number, later.store, later.run_after = self.try_number, self.store, self.run_after
        return later

    def context(self) -> dict[str, Any]:
        """Return the context of the attempt."""
        self.outlet_events = OutletEventAccessors()
        context: dict[str, Any] = {
            "outlet_events": self.outlet_events,
            "ti": self,
            "task": self.task,
            "params": self.params,
            "run_id": self.run_id,
            "dag_run": SimpleNamespace(run_after=self.run_after, run_id=self.run_id),
        }
        if self.store is not None:
            context["task_state_store"] = self.store
        return context

    def attempt(self) -> Any:
        """Run the next attempt: XComs of the last one are gone, templates are rendered, the returned value is pushed."""
        self.xcoms.clear()
        context = self.context()
        self.task.render_template_fields(context)
        try:
            result = self.task.execute(context)
        finally:
            self.try_number += 1
        if result is not None:
            self.xcom_push("return_value", result)
        return result


def task_id_of(task_id: str, map_index: int) -> str:
    """Return how Airflow tells the instances of a mapped task apart."""
    return task_id if map_index < 0 else f"{task_id}_{map_index}"


def replicating(cls: type[CbrReplicateCheckpointOperator] = CbrReplicateCheckpointOperator, **changes: Any) -> TaskRun:
    """Return a run of the replicate operator in the default world, with intervals that suit short copies.

    :param cls: the operator, or a subclass that watches its steps.
    :param changes: parameters that differ.
    """
    run = {name: changes.pop(name) for name in ("store", "params", "run_after") if name in changes}
    quick = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0, "timeout": 60.0}
    return TaskRun(cls(**{"task_id": "replicate", **IDS, **quick, **changes}), **run)


def waiting(replication_record_ids: Any, **changes: Any) -> TaskRun:
    """Return a run of the sensor in the default world, with intervals that suit short copies.

    :param replication_record_ids: the records to wait for.
    :param changes: parameters that differ.
    """
    quick = {"poke_interval": 0.1, "timeout": 60.0}
    given = {"task_id": "wait", "vault_id": SOURCE_VAULT, **quick, **changes, "replication_record_ids": replication_record_ids}
    return TaskRun(CbrReplicationSensor(**given))


def verifying(replication_record_ids: Any, **changes: Any) -> TaskRun:
    """Return a run of the verify operator in the default world.

    :param replication_record_ids: the records to verify.
    :param changes: parameters that differ.
    """
    return TaskRun(CbrVerifyReplicationOperator(**{"task_id": "verify", **IDS, **changes}, replication_record_ids=replication_record_ids))


def checkpointing(cls: type[CbrCreateCheckpointOperator] = CbrCreateCheckpointOperator, **changes: Any) -> TaskRun:
    """Return a run of the checkpoint operator in the default world, with intervals that suit short backups.

    :param cls: the operator, or a subclass that watches its steps.
    :param changes: parameters that differ.
    """
    run = {name: changes.pop(name) for name in ("store", "params", "run_after", "run_id", "map_index") if name in changes}
    quick = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0, "timeout": 60.0}
    return TaskRun(cls(**{"task_id": "checkpoint", "vault_id": SOURCE_VAULT, **quick, **changes}), **run)
