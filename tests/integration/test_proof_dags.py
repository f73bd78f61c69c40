"""The example Dags that prove: the nightly chain, the audit of many vaults, and the monthly prune, unchanged but for their intervals."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.waiting import watch
from tests.integration.test_example_dag import Ran, load
from tests.support.task_run import IDS

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.emulator import EmulatorServer

pytestmark = pytest.mark.db

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> DAG:
    """Return the nightly chain with intervals that suit short copies."""
    monkeypatch.setattr(watch, "FIRST_LOOK_AFTER", 0.2)
    monkeypatch.setattr(watch, "_SPREAD", 0.1)
    monkeypatch.setattr(watch, "SHORTEST_GAP", 0.1)
    dag: DAG = load(DAGS / "cbr_nightly_chain.py").dag
    for task in dag.tasks:
        task.retries, task.retry_delay = 0, timedelta(0)
        for name, seconds in {"poll_interval": 0.2, "max_poll_interval": 0.4, "settle_time": 1.0}.items():
            if hasattr(task, name):
                setattr(task, name, seconds)
    return dag


def test_the_chain_backs_up_replicates_and_proves(emulator: EmulatorServer, chain: DAG) -> None:
    emulator.control.switch(checkpoint_seconds=0.5, copy_seconds=0.5)
    night = Ran(chain)
    assert night.state() == "success"
    ledger = emulator.control.ledger(SOURCE_VAULT)
    (made,) = ledger["checkpoints"]
    assert night.xcom("checkpoint") == made["checkpoint_id"]
    copied = [entry["backup_id"] for entry in ledger["replications"]]
    assert sorted(copied) == sorted([*BACKUPS, *made["backup_ids"]])
    assert ledger["duplicates"] == []
    assert night.xcom("verify")["verdict"] == "verified"
    assert night.xcom("verify")["verified"] == len(copied)


def test_the_chain_spends_nothing_when_the_preflight_is_red(emulator: EmulatorServer, chain: DAG) -> None:
    night = Ran(chain, destination_vault_id=emulator.control.add_vault(project_id=DESTINATION_PROJECT)["id"])
    assert night.state() == "failed"
    assert night.states("preflight") == ["failed"]
    assert night.states("replicate") == ["upstream_failed"]
    ledger = emulator.control.ledger(SOURCE_VAULT)
    assert (ledger["calls"], ledger["checkpoints"]) == ([], [])
    assert night.states("verify") == ["failed"], "the state of the copies is told all the same"


@pytest.fixture
def audit() -> DAG:
    """Return the audit of many vaults without retries."""
    dag: DAG = load(DAGS / "cbr_audit.py").dag
    dag.get_task("audit").partial_kwargs.update(retries=0)  # type: ignore[union-attr]
    return dag


def pair(emulator: EmulatorServer, **generate: Any) -> dict[str, str]:
    """Make a vault whose backups were copied by somebody else, with its destination."""
    destination = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication", locked=True)["id"]
    source = emulator.control.add_vault(
        project_id=SOURCE_PROJECT, generate={"count": 4, "resources": 2, "size": 1, "replicated_to": [destination], **generate}
    )["id"]
    return IDS | {"vault_id": source, "destination_vault_id": destination}


def test_the_audit_judges_many_vaults_and_replicates_nothing(emulator: EmulatorServer, audit: DAG) -> None:
    vaults = [pair(emulator), pair(emulator, replicated_to=[])]
    morning = Ran(audit, vaults=vaults)
    assert morning.states("audit") == ["success", "failed"]
    assert morning.xcom("audit", map_index=0) == {"verdict": "verified", "verified": 4, "failed": 0, "missing": 0, "skipped": 0}
    assert morning.xcom("audit", map_index=1) == {"verdict": "failed", "verified": 0, "failed": 0, "missing": 4, "skipped": 0}
    assert emulator.control.ledger()["calls"] == []
    assert DESTINATION_VAULT not in {vault["destination_vault_id"] for vault in vaults}


@pytest.fixture
def monthly() -> DAG:
    """Return the monthly prune without retries."""
    dag: DAG = load(DAGS / "cbr_monthly_prune.py").dag
    for task in dag.tasks:
        task.retries, task.retry_delay = 0, timedelta(0)
    return dag


KEEP = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 2, "keep_yearly": 0}


def test_the_prune_plans_first_and_deletes_when_it_is_told_to(emulator: EmulatorServer, monthly: DAG) -> None:
    vaults = pair(emulator, count=12, newest_age_seconds=8 * 86400, every_seconds=86400)
    planned = Ran(monthly, **vaults, **KEEP)
    assert planned.state() == "success"
    assert planned.xcom("prune", "prune")["plan_only"] is True
    assert emulator.control.ledger()["deletions"] == []
    emulator.control.change_vault(vaults["destination_vault_id"], locked=False)
    done = Ran(monthly, **vaults, **KEEP, plan_only=False)
    assert done.state() == "success"
    deleted = [entry["backup_id"] for entry in emulator.control.ledger()["deletions"]]
    assert sorted(done.xcom("prune")) == sorted(deleted)
    assert len(deleted) > len(planned.xcom("prune")) > 0, "the replicas stayed as long as their vault was locked"
    assert Ran(monthly, **vaults, **KEEP, plan_only=False).xcom("prune") == []


def test_nothing_is_pruned_when_a_backup_is_not_verified(emulator: EmulatorServer, monthly: DAG) -> None:
    vaults = pair(emulator, count=12, newest_age_seconds=8 * 86400, every_seconds=86400)
    emulator.control.add_backup(vaults["vault_id"])
    night = Ran(monthly, **vaults, **KEEP, plan_only=False)
    assert (night.states("verify"), night.states("prune")) == (["failed"], ["upstream_failed"])
    assert emulator.control.ledger()["deletions"] == []
