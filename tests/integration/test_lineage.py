"""What OpenLineage is told of a pair of vaults, by a task that Airflow runs with the provider and its file transport."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from airflow_cbr.assets import vault_asset
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from tests.support.python_process import run_python
from tests.support.task_run import SECRET_KEY, replicating, verifying

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

DAGS = Path(__file__).resolve().parent / "dags"
SOURCE = ("huaweicloud-cbr://cn-north-4", f"{SOURCE_PROJECT}/{SOURCE_VAULT}")
REPLICAS = ("huaweicloud-cbr://cn-shenzhen-1", f"{DESTINATION_PROJECT}/{DESTINATION_VAULT}")
FACET = "cbr_replication"


def schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads(files("airflow_cbr.lineage").joinpath("CbrReplicationRunFacet.json").read_text()))


def names(datasets: list[Any]) -> list[tuple[str, str]]:
    return [(one.namespace, one.name) for one in datasets]


# --- what an operator answers -----------------------------------------------------------------------------------------------


def test_replicate_and_verify_lead_from_the_source_vault_to_the_replica_vault(emulator: EmulatorServer) -> None:
    replicate = replicating()
    verify = verifying(replicate.attempt())
    verify.attempt()
    for run, kind, verdict in ((replicate, "replicated", None), (verify, "verified", "verified")):
        lineage = run.task.get_openlineage_facets_on_complete(run)
        assert (names(lineage.inputs), names(lineage.outputs)) == ([SOURCE], [REPLICAS])
        facet = lineage.run_facets[FACET]
        assert (facet.kind, facet.verdict) == (kind, verdict)
    assert facet.counts == {"verified": 3, "failed": 0, "missing": 0, "skipped": 0}


def test_a_verify_that_fails_says_so(emulator: EmulatorServer) -> None:
    run = verifying(None)
    with pytest.raises(CbrVerificationError):
        run.attempt()
    facet = run.task.get_openlineage_facets_on_complete(run).run_facets[FACET]
    assert (facet.kind, facet.verdict, facet.outcome, facet.counts["missing"]) == ("failed", "failed", "failed", 3)


@pytest.mark.parametrize(
    ("levels", "counts"),
    [
        ({"record": "warn", "replica": "warn"}, {"verified": 0, "failed": 0, "missing": 3, "skipped": 0}),
        ({"record": "fail"}, {"verified": 0, "failed": 0, "missing": 0, "skipped": 0, "unproven": 3}),
    ],
)
def test_a_green_verify_that_proves_no_copy_is_not_called_verified(
    emulator: EmulatorServer, levels: dict[str, str], counts: dict[str, int]
) -> None:
    if "unproven" in counts:
        replicating().attempt()
    run = verifying(None, levels=levels)
    assert run.attempt()["verdict"] == "verified", "the task is green"
    facet = run.task.get_openlineage_facets_on_complete(run).run_facets[FACET]
    assert (facet.kind, facet.verdict, facet.counts) == ("unproven", "unproven", counts)


def test_a_task_that_knows_nothing_yet_says_nothing() -> None:
    for run in (replicating(), verifying(None)):
        assert run.task.get_openlineage_facets_on_complete(run) is None


@pytest.mark.parametrize(
    "module", ["airflow.providers.openlineage.extractors", "openlineage.client.event_v2", "airflow_cbr.lineage.facets"]
)
def test_it_never_raises(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    run = replicating()
    run.attempt()
    monkeypatch.delitem(sys.modules, "airflow_cbr.lineage.facets", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    assert run.task.get_openlineage_facets_on_complete(run) is None
    assert "lineage of this task could not be told" in run.log


def test_an_asset_and_the_lineage_name_a_vault_alike() -> None:
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset

    dataset: Any = translate_airflow_asset(vault_asset("CN-Shenzhen-1", DESTINATION_PROJECT.upper(), DESTINATION_VAULT), None)
    assert (dataset.namespace, dataset.name) == REPLICAS


def test_a_preflight_moves_nothing_and_has_no_lineage() -> None:
    from airflow_cbr.operators.cbr import CbrPreflightOperator

    assert hasattr(CbrReplicateCheckpointOperator, "get_openlineage_facets_on_complete")
    assert not hasattr(CbrPreflightOperator, "get_openlineage_facets_on_complete")


# --- a task that Airflow runs -----------------------------------------------------------------------------------------------


@pytest.mark.db
def test_the_provider_writes_the_lineage_of_a_task_that_airflow_runs(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "events.ndjson"
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps({"type": "file", "log_file_path": str(events), "append": True}))
    run_python("-c", RUNS, limit=280)
    written = [json.loads(line) for line in events.read_text().splitlines()]
    told = {(event["job"]["name"].partition(".")[2], event["eventType"]): event for event in written}
    for task, end, kind in (("replicate", "COMPLETE", "replicated"), ("verify", "COMPLETE", "verified")):
        event = told[task, end]
        assert [(one["namespace"], one["name"]) for one in event["inputs"]] == [SOURCE]
        assert [(one["namespace"], one["name"]) for one in event["outputs"]] == [REPLICAS]
        facet = event["run"]["facets"][FACET]
        schema().validate(facet)
        assert facet["kind"] == kind
        assert sum(facet["counts"].values()) >= 3
    assert told["verify", "FAIL"]["run"]["facets"][FACET]["verdict"] == "failed"
    assert SECRET_KEY not in events.read_text()


@pytest.mark.full
@pytest.mark.db
def test_nothing_is_imported_for_it_where_the_provider_is_off(emulator: EmulatorServer) -> None:
    (line,) = (line for line in run_python("-c", WHAT_IT_LOADS, limit=280).splitlines() if line.startswith("LOADED"))
    assert line == "LOADED"


RUNS = f"""
import sys
sys.path.insert(0, {str(DAGS)!r})
import outlets
outlets.without_copies.test()
outlets.with_copies.test()
"""

WHAT_IT_LOADS = f"""
import sys
sys.path.insert(0, {str(DAGS)!r})
import outlets
assert outlets.without_copies.test().state == "failed"
print("LOADED", *(name for name in sys.modules if name.startswith("airflow_cbr.lineage")))
"""
