"""What the events of outlets say of a pair of vaults: an event of verify means verified, whatever else a green task may mean."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_cbr.airflow_names import AirflowSkipException
from airflow_cbr.assets import vault_asset
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.operators.cbr import CbrReplicateBackupOperator
from tests.integration.test_example_dag import Ran, load
from tests.support.python_process import run_python
from tests.support.task_run import IDS, TaskRun, replicating, verifying
from tests.support.triggerer import Stage

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

DAGS = Path(__file__).resolve().parents[1] / "dags"
REPLICAS = vault_asset("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
SOURCE = {"region": "cn-north-4", "project_id": SOURCE_PROJECT, "vault_id": SOURCE_VAULT}
DESTINATION = {"region": "cn-shenzhen-1", "project_id": DESTINATION_PROJECT, "vault_id": DESTINATION_VAULT}
WHO = {"dag_id": "a_dag", "run_id": "manual__1", "map_index": -1, "try_number": 1}


def told(run: TaskRun) -> list[dict[str, Any]]:
    """Return the extras of the events that Airflow would make of a task that has succeeded: one for each asset that is still an outlet."""
    extras = [run.outlet_events[outlet].extra for outlet in run.task.outlets if isinstance(outlet, Asset)]
    extras += [event.extra for outlet in run.task.outlets if isinstance(outlet, AssetAlias) for event in aliased(run, outlet)]
    plain: list[dict[str, Any]] = json.loads(json.dumps(extras))
    assert plain == extras, "plain JSON"
    return plain


def aliased(run: TaskRun, alias: AssetAlias) -> list[Any]:
    return list(run.outlet_events[alias].asset_alias_events)


# --- verify -----------------------------------------------------------------------------------------------------------------


def test_an_event_of_verify_says_what_was_verified(emulator: EmulatorServer, tmp_path: Path) -> None:
    record_ids = replicating().attempt()
    path = str(tmp_path / "report.json")
    run = verifying(record_ids, outlets=[REPLICAS], report_path=path, max_age=86400 * 36500)
    run.attempt()
    (extra,) = told(run)
    at, verified_at, age = (extra.pop(name) for name in ("at", "verified_at", "age_seconds"))
    assert extra == {
        "kind": "verified",
        "verdict": "verified",
        "outcome": "passed",
        "counts": {"verified": 3, "failed": 0, "missing": 0, "skipped": 0},
        "violations": {"record": 0, "replica": 0, "rpo": 0},
        "source": SOURCE,
        "destination": DESTINATION,
        "report": path,
        "max_age": 86400 * 36500.0,
        "task_id": "verify",
        **WHO,
    }
    assert (datetime.fromisoformat(at) - datetime.fromisoformat(verified_at)).total_seconds() == pytest.approx(age, abs=1.5)


def test_a_verify_that_fails_tells_nothing(emulator: EmulatorServer) -> None:
    run = verifying(None, outlets=[REPLICAS])
    with pytest.raises(CbrVerificationError):
        run.attempt()
    assert run.outlet_events._dict == {}


def test_a_verify_that_skips_tells_nothing(emulator: EmulatorServer) -> None:
    run = verifying(None, outlets=[REPLICAS], levels={"replica": "skip", "coverage": "skip"})
    with pytest.raises(AirflowSkipException):
        run.attempt()
    assert run.outlet_events._dict == {}


def test_a_warning_beside_good_replicas_is_told_with_them(emulator: EmulatorServer) -> None:
    run = verifying(replicating().attempt(), outlets=[REPLICAS], levels={"replica": "fail", "vault": "warn"}, require_locked=True)
    run.attempt()
    (extra,) = told(run)
    assert (extra["verdict"], extra["outcome"], extra["violations"]["vault"]) == ("verified", "warned", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": {"replica": "warn"}},
        {"levels": {"record": "warn", "replica": "warn", "coverage": "warn"}, "scope": "all"},
        {"levels": {"vault": "fail"}},
        {"levels": {"coverage": "warn"}},
    ],
    ids=["a missing replica is a warning", "everything is a warning", "only the vault is judged", "only resources are judged"],
)
def test_a_green_verify_without_good_replicas_has_no_event(emulator: EmulatorServer, changes: dict[str, Any]) -> None:
    run = verifying(None, outlets=[REPLICAS, AssetAlias("replicas")], **changes)
    assert run.attempt()["verdict"] == "verified", "the task is green"
    assert told(run) == []
    assert run.task.outlets == [], "Airflow makes an event of each outlet"


def test_one_bad_replica_among_good_ones_is_no_event_even_as_a_warning(emulator: EmulatorServer) -> None:
    record_ids = replicating().attempt()
    state = emulator.control.state(SOURCE_VAULT)["backups"][0]["records"][-1]
    emulator.control.remove_backup(state["destination_backup_id"])
    run = verifying(record_ids, outlets=[REPLICAS], levels={"record": "fail", "replica": "warn"})
    assert run.attempt()["verified"] == 2
    assert told(run) == []


def test_the_word_of_the_source_alone_is_no_event(emulator: EmulatorServer) -> None:
    run = verifying(replicating().attempt(), outlets=[REPLICAS], levels={"record": "fail"})
    assert run.attempt()["verified"] == 3
    assert told(run) == []


def test_an_empty_vault_that_may_be_empty_is_no_event(emulator: EmulatorServer) -> None:
    empty = emulator.control.add_vault(project_id=SOURCE_PROJECT)["id"]
    run = verifying(None, vault_id=empty, outlets=[REPLICAS], allow_empty=True)
    assert run.attempt()["verdict"] == "verified"
    assert told(run) == []


def test_an_alias_gets_an_event_of_the_replica_vault(emulator: EmulatorServer) -> None:
    alias = AssetAlias("verified vaults")
    run = verifying(replicating().attempt(), outlets=[alias])
    run.attempt()
    (event,) = aliased(run, alias)
    assert event.dest_asset_key.uri == REPLICAS.uri
    assert event.extra["verdict"] == "verified"


def test_what_a_user_has_attached_stays(emulator: EmulatorServer) -> None:
    run = verifying(replicating().attempt(), outlets=[REPLICAS, Asset("mine")])
    context: Any = run.context()
    context["outlet_events"][REPLICAS].extra = {"ticket": "OPS-1"}
    run.task.execute(context)
    mine, theirs = told(run)
    assert mine.pop("ticket") == "OPS-1"
    assert mine == theirs


# --- replicate --------------------------------------------------------------------------------------------------------------

COUNTS = {"accepted": 3, "adopted": 0, "already": 0, "succeeded": 3, "failed": 0, "skipped": 0, "missing": 0}


def test_an_event_of_replicate_does_not_read_as_verified(emulator: EmulatorServer) -> None:
    run = replicating(outlets=[REPLICAS])
    run.attempt()
    assert told(run) == [
        {"kind": "replicated", "counts": COUNTS, "source": SOURCE, "destination": DESTINATION, "task_id": "replicate", **WHO}
    ]


def test_a_replicate_that_does_not_wait_says_accepted(emulator: EmulatorServer) -> None:
    emulator.control.switch(copy_seconds=600)
    run = replicating(outlets=[REPLICAS], wait_for_completion=False)
    run.attempt()
    (extra,) = told(run)
    assert extra["kind"] == "accepted"
    assert extra["counts"]["succeeded"] == 0
    assert "verdict" not in extra


def test_a_second_night_says_that_all_was_there(emulator: EmulatorServer) -> None:
    replicating().attempt()
    emulator.control.advance(86400)
    run = replicating(outlets=[REPLICAS])
    run.attempt()
    (extra,) = told(run)
    assert extra["counts"] == {**dict.fromkeys(COUNTS, 0), "already": 3}


def test_a_plan_and_an_empty_vault_have_no_event(emulator: EmulatorServer) -> None:
    empty = emulator.control.add_vault(project_id=SOURCE_PROJECT)["id"]
    for changes in ({"plan_only": True}, {"vault_id": empty, "allow_empty": True}):
        run = replicating(outlets=[REPLICAS], **changes)
        assert run.attempt() == []
        assert told(run) == []
        assert run.task.outlets == []


def test_the_copy_of_one_backup_is_told_too(emulator: EmulatorServer) -> None:
    there = {name: value for name, value in IDS.items() if name != "vault_id"}
    run = TaskRun(
        CbrReplicateBackupOperator(
            task_id="again", backup_id=BACKUPS[0], **there, poll_interval=0.1, max_poll_interval=0.2, settle_time=1.0, outlets=[REPLICAS]
        )
    )
    run.attempt()
    (extra,) = told(run)
    assert (extra["kind"], extra["counts"]["succeeded"], extra["source"]) == ("replicated", 1, SOURCE)


def test_a_deferred_task_tells_the_same_as_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = []
    for deferrable in (False, True):
        with monkeypatch.context() as patch:
            stage = Stage(patch)
            run = replicating(outlets=[REPLICAS], deferrable=deferrable, timeout=86400.0, poll_interval=30, max_poll_interval=600)
            stage.play(run)
            assert bool(stage.deferrals) is deferrable
            (extra,) = told(run)
            extras.append({**extra, "try_number": 1})
    assert extras[0] == extras[1]
    assert extras[0]["counts"] == COUNTS


# --- in Airflow -------------------------------------------------------------------------------------------------------------


def events_of(run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return the extras of the events of a Dag run in Airflow's database, by the task that made them."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, list[dict[str, Any]]] = {}
    with create_session() as session:
        for event in session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run_id)):
            found.setdefault(str(event.source_task_id), []).append(dict(event.extra))
    return found


@pytest.mark.db
def test_airflow_makes_an_event_of_verify_where_replicas_were_verified(emulator: EmulatorServer) -> None:
    night = Ran(load(DAGS / "outlets.py").with_copies)
    assert night.state() == "success"
    events = events_of(night.run.run_id)
    assert {task: [event["kind"] for event in extras] for task, extras in events.items()} == {
        "replicate": ["replicated"],
        "verify": ["verified"],
        "warns": ["verified", "verified"],
    }
    assert events["verify"][0]["run_id"] == night.run.run_id


@pytest.mark.db
def test_airflow_makes_no_event_of_a_verify_that_fails_or_that_only_warns_of_missing_replicas(emulator: EmulatorServer) -> None:
    night = Ran(load(DAGS / "outlets.py").without_copies)
    assert (night.states("verify"), night.states("warns")) == (["failed"], ["success"])
    assert events_of(night.run.run_id) == {}


def test_a_task_without_outlets_loads_nothing_of_them(emulator: EmulatorServer) -> None:
    script = (
        "import sys\nfrom tests.support.task_run import replicating, verifying\n"
        "verifying(replicating().attempt()).attempt()\n"
        "print('LOADED', *(name for name in sys.modules if name.startswith(('airflow_cbr.assets', 'airflow_cbr.lineage', 'openlineage'))"
        " or name.endswith('outlet_events')))"
    )
    (line,) = (line for line in run_python("-c", script).splitlines() if line.startswith("LOADED"))
    assert line == "LOADED"
