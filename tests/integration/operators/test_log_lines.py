"""Every line that a task logs, over good nights and bad ones: verdict, server and reason first, ids last, and nothing of Python in it.

The nights are played in virtual time. What is checked is true of any line, so that a new one is held to it as well.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.operators.cbr import CbrPreflightOperator, CbrPruneOperator, CbrReplicateBackupOperator
from tests.support.task_run import IDS, TaskRun, checkpointing, replicating, verifying, waiting
from tests.support.triggerer import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import EmulatorServer

#: How often and how long the tasks wait, in seconds of virtual time.
PACE: Final[dict[str, Any]] = {"poll_interval": 30, "max_poll_interval": 600, "settle_time": 120, "timeout": 86400}
ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
#: What stands in brackets can be passed over.
ASIDE: Final = re.compile(r"\([^()]*\)|\[[^][]*\]")
#: A dict, a list, a tuple, an object or a type, as Python writes it; and None.
PYTHON: Final = re.compile(r"[{}]|\['|\[\"|\(['\"]|\[[0-9]|<[a-z_.]+ |object at 0x|\bNone\b|datetime\.|Decimal\(")
COUNTED: Final = "backup|copy|resource|finding|record|error|warning|note|call|replica|time|server|checkpoint|vault"
MANY: Final = "backups|copies|resources|findings|records|errors|warnings|notes|calls|replicas|times|servers|checkpoints|vaults"
WRONG_NUMBER: Final = re.compile(
    rf"\b1 (?:eligible )?(?:{MANY})\b|\b1 \S+ (?:are|have|were)\b|\b(?:0|[2-9]|[1-9]\d+) (?:eligible )?(?:{COUNTED})\b(?! level)"
)
RED: Final = ("FAILED", "MISSING", "ERROR", "NOT READY", "NOT VERIFIED")
SERVERS: Final = dict(zip(BACKUPS, ("ecs-web-01", "ecs-app-01", "ecs-db-01"), strict=True))

NIGHTS: dict[str, Callable[[Stage], list[TaskRun]]] = {}


def night(play: Callable[[Stage], list[TaskRun]]) -> Callable[[Stage], list[TaskRun]]:
    """Add a night, by its name."""
    NIGHTS[play.__name__] = play
    return play


def ended(stage: Stage, run: TaskRun) -> TaskRun:
    """Play a task to its end, be it good or bad; what it says at a bad one is among its lines, as Airflow logs it."""
    try:
        stage.play(run)
    except Exception as error:
        run.lines += [f"ERROR {line}" for line in str(error).splitlines() if line.strip()]
        run.lines.append("END bad")
    else:
        run.lines.append("END good")
    return run


def replicated(stage: Stage) -> list[str]:
    run = replicating(**PACE)
    return list(stage.play(run))


def preflight(**changes: Any) -> TaskRun:
    return TaskRun(CbrPreflightOperator(**{"task_id": "preflight", **IDS, **changes}))


def prune(**changes: Any) -> TaskRun:
    return TaskRun(CbrPruneOperator(**{"task_id": "prune", "keep_last": 1, **IDS, **changes}))


def one_backup(backup_id: str, **changes: Any) -> TaskRun:
    there = {name: value for name, value in IDS.items() if name != "vault_id"}
    return TaskRun(CbrReplicateBackupOperator(**{"task_id": "one", "backup_id": backup_id, **there, **PACE, **changes}))


# --- the nights -----------------------------------------------------------------------------------------------------------


@night
def preflight_before_a_copy(stage: Stage) -> list[TaskRun]:
    return [ended(stage, preflight())]


@night
def preflight_before_a_checkpoint(stage: Stage) -> list[TaskRun]:
    return [ended(stage, preflight(with_checkpoint=True))]


@night
def preflight_that_finds_much(stage: Stage) -> list[TaskRun]:
    stage.control.add_backup(SOURCE_VAULT, status="protecting")
    stage.control.add_backup(SOURCE_VAULT, status="error", resource_name="ecs-old-01")
    stage.control.change_vault(IDS["destination_vault_id"], protect_type="backup", used=1000 * 1024)
    stage.control.change_vault(SOURCE_VAULT, status="frozen")
    return [ended(stage, preflight())]


@night
def plan_only(stage: Stage) -> list[TaskRun]:
    return [ended(stage, replicating(plan_only=True, **PACE))]


@night
def checkpoint(stage: Stage) -> list[TaskRun]:
    return [ended(stage, checkpointing(**PACE))]


@night
def checkpoint_without_a_worker_slot(stage: Stage) -> list[TaskRun]:
    return [ended(stage, checkpointing(deferrable=True, **PACE))]


@night
def checkpoint_that_skips(stage: Stage) -> list[TaskRun]:
    resources = [{"name": "good", "size": 1}, {"name": "broken", "size": 1, "protect_status": "error"}]
    vault = stage.control.add_vault(project_id=SOURCE_PROJECT, name="vault-half", resources=resources)["id"]
    return [ended(stage, checkpointing(vault_id=vault, on_skipped=action, **PACE)) for action in ("fail", "warn")]


@night
def checkpoint_whose_answer_is_lost(stage: Stage) -> list[TaskRun]:
    stage.control.fault("reset", call="CreateCheckpoint", when="after")
    run = ended(stage, checkpointing(**PACE))
    run.cleared_after = 1
    return [ended(stage, run)]


@night
def checkpoint_that_takes_too_long(stage: Stage) -> list[TaskRun]:
    return [ended(stage, checkpointing(**PACE | {"timeout": 600}))]


@night
def replicate(stage: Stage) -> list[TaskRun]:
    return [ended(stage, replicating(**PACE))]


@night
def replicate_without_a_worker_slot(stage: Stage) -> list[TaskRun]:
    return [ended(stage, replicating(deferrable=True, **PACE))]


@night
def replicate_twice_with_a_broken_backup(stage: Stage) -> list[TaskRun]:
    first = ended(stage, replicating(**PACE))
    stage.sleep(86400)
    stage.control.add_backup(SOURCE_VAULT, resource_size=123, name="late", resource_name="ecs-late-01")
    stage.control.add_backup(SOURCE_VAULT, status="error", name="bad", resource_name="ecs-bad-01")
    return [first, ended(stage, replicating(**PACE)), ended(stage, replicating(**PACE))]


@night
def replicate_with_a_copy_that_fails(stage: Stage) -> list[TaskRun]:
    stage.control.fault("copy_fails", backup_id=BACKUPS[0], fail_code="BackupService.1006", fail_reason="No room in the lift.")
    run = ended(stage, replicating(retries=1, **PACE))
    return [ended(stage, run)]


@night
def replicate_whose_answer_is_lost(stage: Stage) -> list[TaskRun]:
    stage.control.fault("reset", call="CopyCheckpoint", when="after")
    return [ended(stage, replicating(**PACE))]


@night
def replicate_of_an_outage(stage: Stage) -> list[TaskRun]:
    stage.control.fault("status", call="ListBackups", status=503, nth=2)
    return [ended(stage, replicating(deferrable=deferrable, **PACE)) for deferrable in (False, True)]


@night
def replicate_that_takes_too_long(stage: Stage) -> list[TaskRun]:
    stage.control.switch(copy_seconds=100_000)
    return [ended(stage, replicating(**PACE | {"timeout": 600}))]


@night
def replicate_that_does_not_wait(stage: Stage) -> list[TaskRun]:
    return [ended(stage, replicating(wait_for_completion=False, **PACE))]


@night
def replicate_more_than_was_meant(stage: Stage) -> list[TaskRun]:
    return [ended(stage, replicating(max_backups=1, **PACE))]


@night
def replicate_one_whose_replica_is_gone(stage: Stage) -> list[TaskRun]:
    replicated(stage)
    (row,) = [one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["id"] == BACKUPS[1]]
    stage.control.remove_backup(str(row["records"][-1]["destination_backup_id"]))
    return [ended(stage, one_backup(BACKUPS[1])), ended(stage, one_backup(BACKUPS[1], deferrable=True))]


@night
def verify(stage: Stage) -> list[TaskRun]:
    return [ended(stage, verifying(replicated(stage))), ended(stage, verifying([], max_age=86400))]


def spoil(stage: Stage, backup_id: str, **changes: Any) -> None:
    (row,) = [one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["id"] == backup_id]
    replica = str(row["records"][-1]["destination_backup_id"])
    if changes:
        stage.control.change_backup(replica, **changes)
    else:
        stage.control.remove_backup(replica)


@night
def verify_what_is_wrong(stage: Stage) -> list[TaskRun]:
    records = replicated(stage)
    spoil(stage, BACKUPS[0])
    spoil(stage, BACKUPS[1], status="error")
    spoil(stage, BACKUPS[2], resource_size=39)
    stage.sleep(7 * 86400)
    levels = {"record": "fail", "replica": "fail", "coverage": "warn", "rpo": "warn"}
    return [
        ended(stage, verifying(records)),
        ended(stage, verifying([], max_age=86400)),
        ended(stage, verifying(None, max_age=86400, levels=levels)),
    ]


@night
def verify_with_warnings_alone(stage: Stage) -> list[TaskRun]:
    replicated(stage)
    stage.sleep(7 * 86400)
    return [ended(stage, verifying(None, max_age=86400, levels={"replica": "fail", "coverage": "fail", "rpo": "warn"}))]


@night
def verify_and_skip(stage: Stage) -> list[TaskRun]:
    replicated(stage)
    stage.sleep(7 * 86400)
    return [ended(stage, verifying(None, max_age=86400, levels={"replica": "fail", "coverage": "fail", "rpo": "skip"}))]


@night
def verify_what_was_never_copied(stage: Stage) -> list[TaskRun]:
    return [ended(stage, verifying(None, max_age=86400))]


@night
def sensor(stage: Stage) -> list[TaskRun]:
    records = list(stage.play(replicating(wait_for_completion=False, **PACE)))
    pace = {"poke_interval": 30, "timeout": 86400}
    runs = [waiting(records[:1], **pace), waiting(records, deferrable=True, **pace), waiting(records, mode="reschedule", **pace)]
    return [ended(stage, run) for run in runs]


@night
def sensor_of_a_copy_that_fails(stage: Stage) -> list[TaskRun]:
    stage.control.fault("copy_fails", backup_id=BACKUPS[0])
    records = list(stage.play(replicating(wait_for_completion=False, **PACE)))
    pace = {"poke_interval": 30, "timeout": 86400}
    return [ended(stage, waiting(records, **pace)), ended(stage, waiting(records, deferrable=True, **pace))]


@night
def sensor_that_waits_too_long(stage: Stage) -> list[TaskRun]:
    stage.control.switch(copy_seconds=100_000)
    records = list(stage.play(replicating(wait_for_completion=False, **PACE)))
    unknown = "a1b2c3d4-0000-4000-8000-000000000001"
    pace = {"poke_interval": 30, "timeout": 3000}
    return [ended(stage, waiting(records, **pace)), ended(stage, waiting([*records, unknown], **pace))]


# --- what is true of each line --------------------------------------------------------------------------------------------


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(monkeypatch, switches={"checkpoint_seconds": 3600, "copy_seconds": 3600})
    made.control.change_vault(SOURCE_VAULT, size=100_000)
    made.control.change_vault(IDS["destination_vault_id"], size=100_000)
    return made


def buried_ids(message: str) -> list[str]:
    """Return the ids that stand before the end of a line, outside brackets: between a reader and the reason."""
    text, before = message.partition(" What to do: ")[0], ""
    while text != before:
        text, before = ASIDE.sub("", text), text
    for mark in ("; ", ": "):
        if mark in text and ID.search(text):
            head = text.rpartition(mark)[0]
            return ID.findall(head)
    return ID.findall(text)


def faults_of(line: str) -> list[str]:
    """Return what is wrong with a line of a log."""
    level, _, message = line.partition(" ")
    wrong = [f"Python: {found.group()}" for found in [PYTHON.search(message)] if found]
    wrong += [f"buried: {one}" for one in buried_ids(message)]
    wrong += [f"number: {found.group()}" for found in [WRONG_NUMBER.search(message)] if found]
    if message.startswith(RED) and level != "ERROR":
        wrong.append("red, but no error")
    for backup_id, name in SERVERS.items():
        if (at := message.find(backup_id)) >= 0 and not 0 <= message.find(name) < at:
            wrong.append(f"{name} is not named")
    return wrong


@pytest.mark.parametrize("name", NIGHTS)
def test_each_line_says_what_matters_first_and_ids_last(name: str, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "airflow_cbr")
    runs = NIGHTS[name](stage)
    said = [line for run in runs for line in run.lines]
    said += [f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name.startswith("airflow_cbr")]
    assert len(said) > len(runs), "something was said"
    # Where the author of the Dag wants a skip, what is red makes nobody get up.
    accepted = [["red, but no error"]] if "skip" in name else []
    assert {line: wrong for line in said if (wrong := faults_of(line)) and wrong not in accepted} == {}
    for run in runs:
        # Airflow's own sensor has the last word.
        last = [line for line in run.lines if line != "INFO Success criteria met. Exiting."][-2]
        if run.lines[-1] == "END good":
            assert re.search(r"\d", ID.sub("", last)), f"how many? {last}"
            assert "vault-" in last or SOURCE_VAULT in last, f"of which vault? {last}"


def test_a_prune_says_so_too(emulator: EmulatorServer) -> None:
    """On a real socket: it compares the service's clock with this machine's."""
    there = emulator.control.add_vault(project_id=DESTINATION_PROJECT, name="vault-there", protect_type="replication", size=10_000)["id"]
    generate = {"count": 6, "resources": 2, "size": 25, "newest_age_seconds": 90_000, "every_seconds": 86400, "replicated_to": [there]}
    here = emulator.control.add_vault(project_id=SOURCE_PROJECT, name="vault-here", size=10_000, generate=generate)["id"]
    vaults = {"vault_id": here, "destination_vault_id": there, "poll_interval": 0.1}
    planned, deleted = prune(**vaults), prune(plan_only=False, **vaults)
    for run in (planned, deleted):
        run.attempt()
    assert {line: wrong for line in [*planned.lines, *deleted.lines] if (wrong := faults_of(line))} == {}
    way = "vault-here: cn-north-4 -> cn-shenzhen-1"
    assert planned.lines[-1] == f"INFO plan_only=True: nothing was deleted. {way}: 4 backups and 4 replicas may go, at most 200 GB; 4 stay"
    assert deleted.lines[-1] == f"INFO Deleted: 8 backups and replicas, at most 200 GB, of {way}"
    assert deleted.xcoms["prune"]["source"]["vault_name"] == "vault-here"
    assert deleted.xcoms["prune"]["destination"]["vault_name"] == "vault-there"


def test_a_line_as_it_should_not_be_is_found() -> None:
    """The rules can tell."""
    id_ = BACKUPS[0]
    assert faults_of(f"INFO Backup {id_} was copied to there: all is well") == [f"buried: {id_}", "ecs-web-01 is not named"]
    assert faults_of(f"INFO Copied ecs-web-01: all is well; backup {id_}") == []
    assert faults_of("INFO FAILED ecs-web-01: gone") == ["red, but no error"]
    assert faults_of("INFO counts: {'a': 1}") == ["Python: {"]
    assert faults_of("INFO 1 backups and 2 copy") == ["number: 1 backups"]
    assert {one.name for one in default_world().vaults[0].resources} == set(SERVERS.values())
