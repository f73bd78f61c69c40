"""The example Dag on a real Airflow: api-server, scheduler, Dag processor, triggerer and LocalExecutor, driven over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.scenario import DAG_ID
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth
    from tests.support.emulated_vaults import VaultPair


# The demo shows the same of either way, in every run.
@pytest.mark.full
@pytest.mark.parametrize("auth", ["aksk", "password"])
def test_the_example_dag_replicates_and_verifies(
    auth: Auth, api: AirflowApi, vaults: Callable[..., VaultPair], default_connection: Callable[[Auth], None]
) -> None:
    default_connection(auth)
    pair = vaults(backups=3)

    run = trigger(api, DAG_ID, pair.params())

    assert run.wait() == "success"
    assert run.task_states() == {"replicate": "success", "verify": "success", "batches": "success", "verify_batch[0]": "success"}
    assert pair.copied() == pair.backups

    records = sorted(entry["record_id"] for entry in pair.ledger()["replications"])
    assert sorted(run.xcom("replicate")) == records
    replication = run.xcom("replicate", "replication")
    assert replication["source"]["vault_id"] == pair.source
    assert replication["destination"]["vault_id"] == pair.destination
    assert {name: replication[name] for name in ("accepted", "adopted", "already", "succeeded", "failed", "skipped", "missing")} == {
        "accepted": 3,
        "adopted": 0,
        "already": 0,
        "succeeded": 3,
        "failed": 0,
        "skipped": 0,
        "missing": 0,
    }
    verdict = {"verdict": "verified", "verified": 3, "failed": 0, "missing": 0, "skipped": 0}
    assert run.xcom("verify") == verdict
    assert run.xcom("verify_batch", map_index=0) == verdict

    log = run.log("replicate")
    assert "About to replicate 3 of 3 eligible backups, at most 120 GB" in log
    assert all(record in log for record in records)
    verified = run.log("verify")
    assert all(backup in verified for backup in pair.backups)
    for name, region in (("CBR console", "cn-north-4"), ("CBR console (destination)", "cn-shenzhen-1")):
        assert run.links("replicate")[name] == f"https://console.huaweicloud.com/cbr/?region={region}"


def test_a_second_run_finds_nothing_to_do_and_verifies_the_newest(
    api: AirflowApi, vaults: Callable[..., VaultPair], default_connection: Callable[[Auth], None]
) -> None:
    default_connection("aksk")
    pair = vaults(backups=2)
    assert trigger(api, DAG_ID, pair.params()).wait() == "success"

    again = trigger(api, DAG_ID, pair.params())

    assert again.wait() == "success"
    assert again.xcom("replicate") == []
    assert again.xcom("verify")["verdict"] == "verified"
    assert pair.posts() == 1
    assert pair.copied() == pair.backups


# Twenty runs share one api-server over SQLite: on a busy machine it is that which takes the time.
@pytest.mark.full
@pytest.mark.timeout(900)
def test_twenty_vaults_at_once_each_with_either_way_to_authenticate(api: AirflowApi, vaults: Callable[..., VaultPair]) -> None:
    pairs = [vaults(backups=2) for _ in range(20)]
    runs = [trigger(api, f"replicate_{'aksk' if number % 2 else 'password'}", pair.params()) for number, pair in enumerate(pairs)]

    assert [run.wait(limit=600) for run in runs] == ["success"] * 20
    assert [pair.copied() for pair in pairs] == [pair.backups for pair in pairs]
    assert {run.task("replicate")["try_number"] for run in runs} == {1}
