"""Assets on a real Airflow: somebody else copies, a watcher notices, a Dag verifies, and another one starts because they were verified.

It has an Airflow of its own: the one that the other cases share starts no Dag by itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields
from airflow_cbr.demo.stack import AirflowStack
from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.emulator.world import SOURCE_PROJECT, default_world
from tests.support.airflow_processes import triggerers
from tests.support.airflow_rest import DagRun
from tests.support.emulated_vaults import make_vaults
from tests.support.emulator import EmulatorServer
from tests.system.conftest import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulated_vaults import VaultPair

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture
def service() -> Iterator[EmulatorServer]:
    with EmulatorServer() as emulator:
        emulator.control.switch(queue_seconds=0, copy_seconds=1)
        yield emulator


@pytest.fixture
def pair(service: EmulatorServer) -> VaultPair:
    return make_vaults(service.control, backups=2)


@pytest.fixture
def watching(service: EmulatorServer, pair: VaultPair, tmp_path: Path) -> Iterator[AirflowStack]:
    """Start an Airflow that watches the vault, and wait until it has looked."""
    environment = {
        "AIRFLOW_CONN_CBR_ASSETS": json.dumps({"conn_type": CONN_TYPE, **connection_fields("aksk", service.url)}),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        "CBR_ROUTE": json.dumps(pair.params()),
    }
    with AirflowStack([HERE / "asset_dags"], parallelism=4, pace=1.0, environment=environment, folder=tmp_path) as stack:
        until_it_looks(pair, stack)
        yield stack


def looks(pair: VaultPair) -> int:
    return pair.control.requests(pair.source).get("ListBackups", 0)


def until_it_looks(pair: VaultPair, stack: AirflowStack) -> None:
    before = looks(pair)
    wait_until(lambda: looks(pair) > before + 2, limit=240, what="the watcher looks at the vault", check=stack.check, every=0.5)


def until_it_has_its_place(stack: AirflowStack, told: int) -> None:
    """Wait until the watcher's cursor in Airflow's store has passed the copies that were told.

    A triggerer that is killed within seconds after an event tells it again, since it may not have handed it over. Before Airflow 3.3
    there is no such store, and a watcher begins anew.
    """
    (asset,) = stack.api.request("GET", "assets", params={"name_pattern": "copies"})["assets"]
    store = f"assets/{asset['id']}/state-store"
    if stack.api.request("GET", store, absent_ok=True) is None:
        return

    def has_passed() -> bool:
        (row,) = stack.api.request("GET", store)["asset_state_store"]
        return (len(row["value"]["told"]), row["value"]["open"]) == (told, {})

    wait_until(has_passed, limit=120, what=f"the watcher keeps its place after {told} copies", check=stack.check, every=0.5)


def somebody_replicates(service: EmulatorServer, pair: VaultPair) -> list[str]:
    """Start the copies of a vault as a policy does; return their records."""
    user = default_world().users[0]
    client = CbrClient(
        AkSkCredentials(user.access_key, user.secret_key),
        region="cn-north-4",
        project_id=SOURCE_PROJECT,
        endpoints=Endpoints(cbr=service.url, iam=service.url),
    )
    try:
        params: dict[str, Any] = pair.params()
        references = client.replicate_checkpoint(**params, auto_trigger=True).references
        return sorted(one.replication_record_id for one in references)
    finally:
        client.close()


def runs(stack: AirflowStack, dag_id: str) -> list[DagRun]:
    rows = stack.api.request("GET", f"dags/{dag_id}/dagRuns", params={"order_by": "id"})["dag_runs"]
    return [DagRun(stack.api, dag_id, row["dag_run_id"]) for row in rows]


def run_of(stack: AirflowStack, dag_id: str, number: int) -> DagRun:
    """Wait for a Dag's run, which nobody has triggered."""

    def there() -> DagRun | None:
        found = runs(stack, dag_id)
        return found[number - 1] if len(found) >= number else None

    return wait_until(there, limit=240, what=f"run {number} of {dag_id} starts", check=stack.check, every=0.5)


def test_a_dag_starts_when_copies_of_somebody_else_were_verified_and_only_then(
    service: EmulatorServer, pair: VaultPair, watching: AirflowStack
) -> None:
    records = somebody_replicates(service, pair)

    verification = run_of(watching, "verify_copies", 1)
    assert verification.wait(limit=240) == "success"
    assert sorted(verification.xcom("ended")) == records
    after = run_of(watching, "after_verified", 1)
    assert after.wait(limit=240) == "success"
    (told,) = after.xcom("told")
    assert (told["kind"], told["verdict"], told["run_id"]) == ("verified", "verified", verification.run_id)
    assert told["counts"] == {"verified": 2, "failed": 0, "missing": 0, "skipped": 0}
    assert told["source"]["vault_id"] == pair.source
    assert told["destination"]["vault_id"] == pair.destination

    # Another night, of which the copy fails.
    new = service.control.add_backup(pair.source)["id"]
    service.control.fault("copy_fails", backup_id=new, count=None)
    (failed,) = somebody_replicates(service, pair)

    second = run_of(watching, "verify_copies", 2)
    assert second.wait(limit=240) == "failed"
    assert second.xcom("ended") == [failed]
    assert second.xcom("verify")["verdict"] == "failed"

    until_it_has_its_place(watching, told=len([*records, failed]))
    for triggerer in triggerers(watching):
        triggerer.kill()
    watching.start_triggerer()
    until_it_looks(pair, watching)
    until_it_looks(pair, watching)

    assert len(runs(watching, "verify_copies")) == 2, "a restart repeats nothing"
    assert len(runs(watching, "after_verified")) == 1, "a verify that fails starts nothing"
    events = watching.api.request("GET", "assets/events", params={"source_dag_id": "verify_copies"})["asset_events"]
    assert [event["source_run_id"] for event in events] == [verification.run_id]
