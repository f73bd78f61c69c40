"""The links of the tasks: each operator and the sensor has those that make sense, and each leads somewhere once the task has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException, BaseOperator
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DRILL_SECURITY_GROUP, DRILL_SUBNET, DRILL_VPC, SOURCE_VAULT
from airflow_cbr.exceptions import CbrError
from airflow_cbr.operators import cbr
from airflow_cbr.operators.cbr import CbrReplicateBackupOperator
from airflow_cbr.sensors.cbr import CbrReplicationSensor
from tests.support.drill_night import replicated_world
from tests.support.emulator import EmulatorServer
from tests.support.task_run import IDS, TaskRun, replicating, set_connection, verifying, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THERE = {name: value for name, value in IDS.items() if name != "vault_id"}
RESOURCE = "94eba8b2-acc9-4d82-badc-127144cc5526"
PLACE = {"destination_region": "cn-shenzhen-1", "destination_project_id": DESTINATION_PROJECT}
SERVER: dict[str, Any] = {
    "flavor": "s6.large.2",
    "vpc_id": DRILL_VPC,
    "subnet_id": DRILL_SUBNET,
    "security_group_ids": [DRILL_SECURITY_GROUP],
}
QUICK: dict[str, Any] = {"poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0, "deferrable": False}
SWEEP: dict[str, Any] = {name: value for name, value in QUICK.items() if name != "settle_time"}

HERE, BOTH = ["CBR console"], ["CBR console", "CBR console (destination)"]
TASKS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "CbrCreateCheckpointOperator": ({"vault_id": SOURCE_VAULT, **QUICK}, HERE),
    "CbrEndRestoreDrillOperator": ({"start_task_id": "start", "check_task_ids": ["check"], **PLACE, **QUICK}, BOTH[1:]),
    # It asks no service, and knows of no vault.
    "CbrNameRestoreDrillOperator": ({"start_task_id": "start"}, []),
    "CbrPlanRestoreDrillsOperator": ({**IDS, **SERVER}, BOTH),
    "CbrPreflightOperator": (IDS, BOTH),
    "CbrPruneOperator": ({**IDS, "keep_last": 1}, BOTH),
    "CbrReplicateBackupOperator": ({"backup_id": BACKUPS[0], **THERE, "poll_interval": 0.1, "settle_time": 1.0}, [*BOTH, "Failing record"]),
    "CbrReplicateCheckpointOperator": ({**IDS, "poll_interval": 0.1, "settle_time": 1.0}, [*BOTH, "Failing record"]),
    "CbrReplicationSensor": ({"vault_id": SOURCE_VAULT, "poke_interval": 0.1, "timeout": 60.0}, [*HERE, "Failing record"]),
    "CbrStartRestoreDrillOperator": ({**IDS, **SERVER, **QUICK, "resource_id": RESOURCE}, BOTH),
    "CbrSweepRestoreDrillsOperator": ({**PLACE, **SWEEP}, BOTH[1:]),
    "CbrVerifyReplicationOperator": (IDS, [*BOTH, "Verification report", "Failing record"]),
}
"""Parameters of each operator and of the sensor, and the names of its links."""
REGIONS = {"CBR console": "cn-north-4", "CBR console (destination)": "cn-shenzhen-1"}


@pytest.fixture
def replicated(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve the default world with replicas, where everything is quick."""
    world = replicated_world()
    for name in ("image_seconds", "server_seconds", "image_delete_seconds", "server_delete_seconds", "checkpoint_seconds"):
        setattr(world.switches, name, 0.1)
    server = EmulatorServer(world).__enter__()
    set_connection(monkeypatch, server.url, console="console-intl.huaweicloud.com")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/a/")
    yield server
    stop_soon(server)


def links_of(run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the addresses of a task's links by their names, as Airflow asks for them when an attempt has ended."""
    monkeypatch.setattr("airflow_cbr.links.cbr.XCom.get_value", lambda *, key, ti_key: run.xcoms.get(key))
    return {link.name: link.get_link(run.task, ti_key=run) for link in run.task.operator_extra_links}


def test_the_table_has_every_operator_and_the_sensor() -> None:
    classes = {name for name in cbr.__all__ if isinstance(getattr(cbr, name), type) and issubclass(getattr(cbr, name), BaseOperator)}
    assert set(TASKS) == classes | {"CbrReplicationSensor"}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_the_links_that_make_sense_and_each_leads_somewhere(
    replicated: EmulatorServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    parameters, names = TASKS[name]
    if name == "CbrReplicationSensor":
        record = replicated.control.state(SOURCE_VAULT)["backups"][0]["records"][0]
        run = TaskRun(CbrReplicationSensor(task_id="wait", replication_record_ids=[record["id"]], **parameters))
    else:
        run = TaskRun(getattr(cbr, name)(task_id="task", **parameters), states={"check": "success"})
    assert [link.name for link in run.task.operator_extra_links] == names
    assert set(links_of(run, monkeypatch).values()) <= {"", None}, "it has not begun"
    try:
        run.attempt()
    except AirflowFailException:
        # Its start is not in this Dag run, which it says only after it has looked.
        assert name == "CbrEndRestoreDrillOperator"

    found = links_of(run, monkeypatch)
    assert found.pop("Failing record", "") == ""
    if name == "CbrVerifyReplicationOperator":
        assert found.pop("Verification report") == "https://airflow.example.com/a/dags/a_dag/runs/manual__1/tasks/task/xcom"
    assert found == {link: f"https://console-intl.huaweicloud.com/cbr/?region={REGIONS[link]}" for link in found}


def test_a_copy_or_a_replica_that_failed_leads_to_its_row_on_the_page(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/a/")
    emulator.control.fault("copy_fails", vault_id=SOURCE_VAULT, count=None)
    emulator.control.switch(copy_seconds=0.5)
    records = replicating(wait_for_completion=False).attempt()
    again = {"backup_id": BACKUPS[0], **THERE, "poll_interval": 0.1, "max_poll_interval": 0.2, "settle_time": 1.0}
    one = TaskRun(CbrReplicateBackupOperator(task_id="again", **again))
    for run in (waiting(records), verifying(None), verifying(records), one):
        with pytest.raises((CbrError, AirflowFailException)):
            run.attempt()
        assert links_of(run, monkeypatch)["Failing record"] == f"https://airflow.example.com/a/plugin/cbr-replication?search={SOURCE_VAULT}"


def test_what_failed_before_it_knew_its_vaults_has_no_failing_record(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in (replicating(region="x@evil/"), verifying(None, vault_id="no id/"), waiting(["r1"], vault_id="no id/")):
        with pytest.raises(AirflowFailException):
            run.attempt()
        assert links_of(run, monkeypatch)["Failing record"] == ""
