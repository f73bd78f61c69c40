"""The prune operator against a served emulator: as a worker runs it, with its XComs, its log, and what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.exceptions import CbrPruneStoppedError
from airflow_cbr.operators.cbr import CbrPruneOperator
from airflow_cbr.pruning.steps import PruneStep
from tests.support.task_run import IDS, TaskRun

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer


@pytest.fixture
def vaults(emulator: EmulatorServer) -> dict[str, Any]:
    """Make two vaults with six backups of two resources, a day apart, and their replicas."""
    destination = emulator.control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication", size=10_000)["id"]
    generate = {
        "count": 6, "resources": 2, "size": 25, "newest_age_seconds": 90_000, "every_seconds": 86400, "replicated_to": [destination],
    }  # fmt: skip
    source = emulator.control.add_vault(project_id=SOURCE_PROJECT, size=10_000, generate=generate)["id"]
    return IDS | {"vault_id": source, "destination_vault_id": destination}


def pruning(vaults: dict[str, Any], cls: type[CbrPruneOperator] = CbrPruneOperator, **changes: Any) -> TaskRun:
    params = changes.pop("params", {})
    return TaskRun(cls(**{"task_id": "prune", "keep_last": 1, "poll_interval": 0.1, **vaults, **changes}), params=params)


def deleted(emulator: EmulatorServer) -> list[str]:
    return [entry["backup_id"] for entry in emulator.control.ledger()["deletions"]]


def test_the_plan_is_the_default(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    run = pruning(vaults)
    planned = run.attempt()
    assert len(planned) == 8
    assert deleted(emulator) == []
    assert run.xcoms["return_value"] == planned
    told = run.xcoms["prune"]
    assert (told["plan_only"], told["planned"], told["removed_total"], told["size_gb"]) == (True, 8, 8, 200.0)
    assert told["kept"] == {"source_exists": 2, "keep_rule": 2}
    assert [one["id"] for one in told["removed"]] == planned
    assert "4 backups and 4 replicas may go, at most 200 GB; 4 stay" in run.log
    assert "plan_only=True: nothing was deleted" in run.log
    assert run.log.count("INFO REMOVE ") == 8
    assert run.log.count("INFO KEPT ") == 4


def test_what_was_planned_is_deleted(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    planned = pruning(vaults).attempt()
    run = pruning(vaults, plan_only=False)
    assert run.attempt() == planned == deleted(emulator)
    assert run.xcoms["prune"]["removed_total"] == 8
    assert "Deleted: 8 backups and replicas, at most 200 GB" in run.log
    assert pruning(vaults, plan_only=False).attempt() == []


def test_one_side_alone(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    assert pruning(vaults, plan_only=False, side="replicas").attempt() == []
    assert len(pruning(vaults, plan_only=False, side="source").attempt()) == 4
    assert len(pruning(vaults, plan_only=False, side="replicas").attempt()) == 4
    assert {entry["image_type"] for entry in emulator.control.ledger()["deletions"][:4]} == {"backup"}


def test_params_fill_the_rules_and_the_switch(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    templates: dict[str, Any] = {
        "plan_only": "{{ params.plan_only }}",
        "keep_last": "{{ params.keep }}",
        "keep_daily": "{{ params.keep }}",
        "time_zone": "{{ params.zone }}",
    }
    params = {"plan_only": True, "keep": 2, "zone": "Asia/Shanghai"}
    run = pruning(vaults, **templates, params=params)
    assert len(run.attempt()) == 4
    assert run.xcoms["prune"]["asked"] == {
        "keep": {"last": 2, "daily": 2, "weekly": 0, "monthly": 0, "yearly": 0},
        "time_zone": "Asia/Shanghai",
        "min_age": 86400.0,
        "sides": ["source", "replica"],
        "max_deletions": None,
    }
    assert deleted(emulator) == []
    assert len(pruning(vaults, **templates, params=params | {"plan_only": False}).attempt()) == len(deleted(emulator)) == 4


def test_a_stop_is_told_with_what_was_deleted_before(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    emulator.control.fault("code", call="DeleteBackup", when="before", code="6216", nth=3)
    run = pruning(vaults, plan_only=False)
    with pytest.raises(CbrPruneStoppedError, match=r"BackupService\.6216") as caught:
        run.attempt()
    assert run.xcoms["return_value"] == caught.value.deleted == deleted(emulator)
    assert len(deleted(emulator)) == 2
    assert "6216" in run.xcoms["prune"]["stopped"]
    assert (run.xcoms["prune"]["planned"], run.xcoms["prune"]["removed_total"]) == (8, 2)


class Stopped(CbrPruneOperator):
    """Dies after its third deletion."""

    deletions = 0

    def at_step(self, step: Any, moment: str) -> None:
        """Count, and die."""
        if (step, moment) == (PruneStep.DELETE, "after"):
            self.deletions += 1
            if self.deletions == 3:
                raise KeyboardInterrupt


def test_the_next_attempt_names_what_the_killed_one_deleted(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    run = pruning(vaults, Stopped, plan_only=False)
    with pytest.raises(KeyboardInterrupt):
        run.attempt()
    assert len(deleted(emulator)) == 3
    later = run.followed_by(pruning(vaults, plan_only=False))
    assert sorted(later.attempt()) == sorted(deleted(emulator))
    assert (later.xcoms["prune"]["removed_total"], later.xcoms["prune"]["adopted"]) == (8, 3)


def test_a_permanent_refusal_is_not_retried(emulator: EmulatorServer, vaults: dict[str, Any]) -> None:
    emulator.control.fault("code", call="DeleteBackup", when="before", code="6204")
    with pytest.raises(AirflowFailException, match=r"Delete the image first\. Nothing more was deleted"):
        pruning(vaults, plan_only=False).attempt()
    with pytest.raises(AirflowFailException, match="8 backups would be deleted, but max_deletions is 7"):
        pruning(vaults, plan_only=False, max_deletions=7).attempt()
    assert deleted(emulator) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep_last": 0}, "keep_last: is 0, as are keep_daily"),
        ({"keep_last": -1}, "keep_last: must be a whole number of at least 0"),
        ({"keep_daily": "many"}, "keep_daily: must be a whole number"),
        ({"keep_daily": True}, "keep_daily: must be a whole number"),
        ({"keep_yearly": 1.5}, "keep_yearly: must be a whole number"),
        ({"time_zone": "Mars/Olympus"}, "time_zone: 'Mars/Olympus' is no time zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone: "),
        ({"time_zone": ""}, "time_zone: "),
        ({"plan_only": "false"}, "plan_only: must be True or False"),
        ({"plan_only": None}, "plan_only: must be True or False"),
        ({"plan_only": 0}, "plan_only: must be True or False"),
        ({"side": "all"}, "side: must be one of both, source, replicas"),
        ({"min_age": 0}, "min_age: must be a number of seconds greater than 0"),
        ({"min_age": timedelta(0)}, "min_age: "),
        ({"max_deletions": -1}, "max_deletions: must be a whole number"),
        ({"settle_timeout": -1}, "settle_timeout: "),
        ({"poll_interval": 0}, "poll_interval: "),
        ({"vault_id": "x"}, "vault_id: "),
        ({"destination_vault_id": "None"}, "destination_vault_id: "),
    ],
    ids=str,
)
def test_a_parameter_that_cannot_be_right_is_refused_before_anything_is_sent(
    emulator: EmulatorServer, vaults: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    before = emulator.control.requests()
    with pytest.raises(AirflowFailException) as caught:
        pruning(vaults, **changes).attempt()
    assert str(caught.value).startswith(said)
    assert emulator.control.requests() == before


def test_source_and_destination_must_be_two_vaults(vaults: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="is the source vault itself"):
        pruning(vaults | {"destination_vault_id": vaults["vault_id"]}).attempt()
