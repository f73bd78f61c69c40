"""What a Dag author may write: each wrong value is refused by name before anything is sent; templates are rendered first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator
from airflow_cbr.sensors.cbr import CbrReplicationSensor
from tests.support.emulator import EmulatorServer
from tests.support.task_run import CONN_ID, IDS, TaskRun, replicating, set_connection, verifying

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_IDS = [
    "evil/",
    "x@evil/",
    "#",
    "..",
    "",
    "a b",
    f"\n{SOURCE_VAULT}",
    f"{SOURCE_VAULT}/../x",
    "{{ params.vault_id }}x",
    7,
    None,
    [SOURCE_VAULT],
]
NO_REGIONS = ["evil/", "x@evil/", "#", "..", "a.b", "-a", "a b", "\ncn-north-4", "evil.example/?", 7]
RECORD = "a1b2c3d4-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as served:
        yield served


@pytest.fixture
def untouched(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    """Return an emulator that no test of this module sends anything to; the default connection leads to it."""
    set_connection(monkeypatch, server.url)
    return server


def refused(run: TaskRun, parameter: str, emulator: EmulatorServer) -> str:
    """Check that an attempt is refused for good, names the parameter, and has sent nothing; return the message."""
    with pytest.raises(AirflowFailException) as caught:
        run.attempt()
    cause = caught.value.__cause__
    assert isinstance(cause, CbrParameterError)
    assert cause.parameter == parameter
    assert str(caught.value).startswith(f"{parameter}: ")
    assert emulator.control.requests() == {}, "nothing is sent, not even to IAM"
    return str(caught.value)


# --- replicate --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["vault_id", "destination_vault_id", "destination_project_id"])
@pytest.mark.parametrize("value", NO_IDS, ids=repr)
def test_what_is_no_id_is_refused(untouched: EmulatorServer, parameter: str, value: Any) -> None:
    refused(replicating(**{parameter: value}, params={"vault_id": SOURCE_VAULT}), parameter, untouched)


@pytest.mark.parametrize("value", [*NO_REGIONS, "", None], ids=repr)
def test_what_is_no_destination_region_is_refused(untouched: EmulatorServer, value: Any) -> None:
    refused(replicating(destination_region=value), "destination_region", untouched)


@pytest.mark.parametrize("value", NO_REGIONS, ids=repr)
def test_what_is_no_source_region_is_refused(untouched: EmulatorServer, value: Any) -> None:
    refused(replicating(region=value), "region", untouched)


@pytest.mark.parametrize("value", [one for one in NO_IDS if one], ids=repr)
def test_what_is_no_source_project_is_refused(untouched: EmulatorServer, value: Any) -> None:
    refused(replicating(project_id=value, params={"vault_id": SOURCE_VAULT}), "project_id", untouched)


def test_a_vault_is_not_replicated_to_itself(untouched: EmulatorServer) -> None:
    assert "source vault itself" in refused(replicating(destination_vault_id=SOURCE_VAULT), "destination_vault_id", untouched)
    refused(replicating(vault_id=SOURCE_VAULT.upper(), destination_vault_id=SOURCE_VAULT), "destination_vault_id", untouched)


@pytest.mark.parametrize("parameter", ["poll_interval", "max_poll_interval", "timeout", "settle_time"])
@pytest.mark.parametrize("value", [0, -1, "30", None, True, float("inf"), float("nan")], ids=repr)
def test_what_is_no_number_of_seconds_is_refused(untouched: EmulatorServer, parameter: str, value: Any) -> None:
    assert "number of seconds" in refused(replicating(**{parameter: value}), parameter, untouched)


def test_the_longest_interval_is_not_shorter_than_the_shortest(untouched: EmulatorServer) -> None:
    assert "poll_interval" in refused(replicating(poll_interval=60, max_poll_interval=30), "max_poll_interval", untouched)


@pytest.mark.parametrize("value", [0, -1, "5", 2.5, True], ids=repr)
def test_max_backups_is_a_whole_number_above_zero(untouched: EmulatorServer, value: Any) -> None:
    refused(replicating(max_backups=value), "max_backups", untouched)


@pytest.mark.parametrize("parameter", ["auto_trigger", "enable_acceleration", "wait_for_completion", "allow_empty", "durable"])
@pytest.mark.parametrize("value", ["false", "no", 0, None], ids=repr)
def test_a_switch_is_true_or_false_and_nothing_that_looks_like_it(untouched: EmulatorServer, parameter: str, value: Any) -> None:
    refused(replicating(**{parameter: value}), parameter, untouched)


def test_a_crafted_dag_param_does_not_send_a_password_elsewhere(untouched: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, untouched.url, auth_type="password", domain_name="acme", iam_endpoint=untouched.url + "/{region}")
    run = replicating(region="{{ params.region }}", params={"region": "x@evil.example/"})
    refused(run, "region", untouched)


def test_ids_in_capitals_are_the_same_ids(emulator: EmulatorServer) -> None:
    ids = {name: value if name == "destination_region" else value.upper() for name, value in IDS.items()}
    run = replicating(**ids)
    record_ids = run.attempt()
    assert len(record_ids) == 3
    assert verifying(record_ids, **ids).attempt()["verified"] == 3


# --- record ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "evil/",
        "..",
        "#",
        "x@evil/",
        "",
        f"['{RECORD}']",
        f"{RECORD},{RECORD}",
        "None",
        7,
        {RECORD: 1},
        [RECORD, "evil/"],
        [None],
        [[RECORD]],
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["verify", "sensor"])
def test_what_is_no_list_of_record_ids_is_refused(untouched: EmulatorServer, kind: str, value: Any) -> None:
    if kind == "verify":
        refused(verifying(value), "replication_record_ids", untouched)
    else:
        sensor = CbrReplicationSensor(task_id="wait", vault_id=SOURCE_VAULT, replication_record_ids=value)
        refused(TaskRun(sensor), "replication_record_ids", untouched)


@pytest.mark.parametrize("kind", ["verify", "sensor"])
@pytest.mark.parametrize("value", ["evil/", "x@evil/", "#", "..", ""])
def test_the_vault_of_a_wait_or_a_verification_is_checked_too(untouched: EmulatorServer, kind: str, value: str) -> None:
    if kind == "verify":
        refused(verifying([RECORD], vault_id=value), "vault_id", untouched)
    else:
        refused(TaskRun(CbrReplicationSensor(task_id="wait", vault_id=value, replication_record_ids=[RECORD])), "vault_id", untouched)


@pytest.mark.parametrize("parameter", ["destination_vault_id", "destination_project_id", "destination_region"])
def test_the_destination_of_a_verification_is_checked_too(untouched: EmulatorServer, parameter: str) -> None:
    refused(verifying([RECORD], **{parameter: "x@evil/"}), parameter, untouched)


# --- templates ----------------------------------------------------------------------------------------------------------------


def test_all_ids_and_connections_are_templated(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, conn_id="from_a_param", region="cn-south-1")
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    params = {**IDS, "region": "cn-north-4", "project_id": SOURCE_PROJECT, "conn": "from_a_param"}
    templates: dict[str, Any] = {name: f"{{{{ params.{name} }}}}" for name in (*IDS, "region", "project_id")}
    conns: dict[str, Any] = {"cbr_conn_id": "{{ params.conn }}", "destination_conn_id": "{{ params.conn }}"}
    run = replicating(**templates, **conns, params=params)
    record_ids = run.attempt()
    assert len(record_ids) == 3
    verify = verifying("{{ params.record }}", **templates, **conns)
    verify.params = params | {"record": record_ids[0]}
    assert verify.attempt()["verified"] == 1
    sensor = CbrReplicationSensor(
        task_id="wait",
        vault_id=templates["vault_id"],
        region=templates["region"],
        project_id=templates["project_id"],
        cbr_conn_id=conns["cbr_conn_id"],
        replication_record_ids="{{ params.record }}",
    )
    TaskRun(sensor, params=verify.params).attempt()


def test_a_template_that_renders_a_list_to_text_is_refused_with_the_way_out(untouched: EmulatorServer) -> None:
    run = verifying("{{ params.records }}")
    run.params = {"records": [RECORD, RECORD]}
    assert "replicate.output" in refused(run, "replication_record_ids", untouched)


@pytest.mark.parametrize("cls", [CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator, CbrReplicationSensor])
def test_templates_are_not_looked_at_before_they_are_rendered(cls: type[Any]) -> None:
    texts = dict.fromkeys(cls.template_fields, "{{ params.x }}")
    task = cls(task_id="x", **texts)
    assert all(getattr(task, name) == "{{ params.x }}" for name in cls.template_fields)


def test_the_ids_of_the_project_stand_in_the_request_as_they_were_given(emulator: EmulatorServer) -> None:
    replicating(auto_trigger=True, enable_acceleration=True).attempt()
    (call,) = emulator.control.ledger()["calls"]
    assert call["request"]["replicate"] == IDS | {"auto_trigger": True, "enable_acceleration": True}
    assert call["project_id"] == SOURCE_PROJECT
    assert DESTINATION_PROJECT in str(call["request"])
    assert {entry["backup_id"] for entry in emulator.control.ledger()["replications"]} == set(BACKUPS)
