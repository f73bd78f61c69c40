"""The example Dag that verifies what somebody else copied: which records it takes from the events, and what it does without any."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.operators.cbr import CbrVerifyReplicationOperator
from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger
from tests.integration.test_example_dag import Ran, load
from tests.support.task_run import replicating

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

EXAMPLE = Path(__file__).resolve().parents[2] / "dags" / "cbr_verify_policy_copies.py"


@pytest.fixture
def module() -> Any:
    """Return the example Dag's file without retries."""
    loaded = load(EXAMPLE)
    for task in loaded.dag.tasks:
        task.retries, task.retry_delay = 0, timedelta(0)
    return loaded


def events(*records: list[str]) -> dict[str, list[Any]]:
    payloads = [{"from_trigger": True, "payload": {"kind": "ended", "replication_record_ids": list(one)}} for one in records]
    return {"copies": [SimpleNamespace(extra=extra) for extra in (*payloads, {})]}


def test_the_records_of_all_events_are_verified_and_those_of_none_when_a_person_starts_it(module: Any) -> None:
    ended = module.dag.get_task("ended").python_callable

    assert ended(events(["a", "b"], ["c"])) == ["a", "b", "c"]
    assert ended({}) == ended(None) == []


def test_the_watcher_watches_the_vault_that_is_verified_and_another_asset_is_the_outlet(module: Any) -> None:
    (watcher,) = module.copies.watchers
    verify = module.dag.get_task("verify")

    assert isinstance(watcher.trigger, CbrReplicationEndedTrigger)
    assert isinstance(verify, CbrVerifyReplicationOperator)
    places = ("region", "project_id", "vault_id", "destination_region", "destination_project_id", "destination_vault_id", "cbr_conn_id")
    assert {name: getattr(watcher.trigger, name) for name in places} == {name: getattr(verify, name) for name in places}
    assert verify.outlets == [module.replicas]
    assert module.replicas.uri != module.copies.uri, "or the Dag would start itself"


@pytest.mark.db
def test_started_by_hand_it_verifies_the_newest_backups(emulator: EmulatorServer, module: Any) -> None:
    replicating().attempt()
    run = Ran(module.dag)
    assert run.state() == "success"
    assert run.xcom("verify")["verified"] == 3
    assert run.xcom("verify", "verification")["asked"]["scope"] == "newest"
