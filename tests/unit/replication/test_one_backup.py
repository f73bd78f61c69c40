"""One backup gets its copy again: what counts is the replica, and nothing is copied twice, whatever dies on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from airflow_cbr.emulator.world import BACKUPS
from airflow_cbr.exceptions import (
    CbrNothingToReplicateError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrReplicationFailedError,
    CbrReplicationTimeoutError,
)
from airflow_cbr.once.attempt import Attempt
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.one_backup import BackupSubmission
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Result, Step
from tests.support.given_rows import SETTLE, GivenRows, submission_of
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT
from tests.support.looks import backup, record
from tests.support.replication_night import Killed, Night
from tests.support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.api.models import Backup, ReplicationRecord
    from airflow_cbr.replication.submission import Submission

BACKUP = BACKUPS[0]


class OneBackupNight(Night):
    """A night on which one backup is asked for."""

    backup_id = BACKUP

    def submission(self, *, state: ReplicationState | None = None, observe: Callable[[Step, str], None] | None = None) -> Submission:
        """Return a submission of the current attempt."""
        client = self.client()
        return BackupSubmission(
            client,
            ReplicationSpec(**self.spec),
            client.show_backup(self.backup_id),
            attempt=Attempt(number=self.number, generation=self.generation, run_after=self.run_after),
            intents=self.intents,
            publish=lambda record_ids, counts: self.published.append((record_ids, counts)),
            destination=self.destination_client,
            state=state,
            observe=observe or (lambda step, moment: None),
            now=self.clock.now,
        )


def copied_night(**options: Any) -> OneBackupNight:
    """Return a night whose vault was replicated the day before."""
    night = OneBackupNight(**options)
    earlier = Night()
    earlier.adapter, earlier.control, earlier.clock = night.adapter, night.control, night.clock
    earlier.attempt()
    night.clock.advance(86400)
    night.run_after = night.clock.now()
    return night


def replica_of(night: Night, backup_id: str = BACKUP) -> str:
    records = night.client().show_backup(backup_id).replication_records or []
    return str(records[0].destination_backup_id)


def lost_night(**options: Any) -> OneBackupNight:
    """Return such a night on which somebody has deleted the replica."""
    night = copied_night(**options)
    night.control.remove_backup(replica_of(night))
    return night


def test_a_backup_whose_replica_is_there_is_not_copied_again() -> None:
    night = copied_night()
    result = night.attempt()

    assert result.record_ids == []
    assert result.counts["already"] == 1
    assert night.calls == ["CopyCheckpoint"], "the one of the day before"


def test_a_backup_that_was_never_copied_is_copied_alone() -> None:
    night = OneBackupNight()
    result = night.attempt()

    assert night.calls == ["CopyBackup"]
    assert night.copies == [BACKUP]
    assert len(result.record_ids) == 1
    assert result.counts | {"accepted": 1, "succeeded": 1, "already": 0} == result.counts


@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
def test_a_backup_whose_replica_is_gone_is_copied_again(deferred: bool) -> None:
    night = lost_night()
    result = night.attempt(deferred=deferred)

    assert night.calls == ["CopyCheckpoint", "CopyBackup"]
    assert night.copies.count(BACKUP) == 2
    assert len(result.record_ids) == result.counts["succeeded"] == 1


def test_a_replica_that_shows_late_is_not_copied_again() -> None:
    night = copied_night()
    replica_id = replica_of(night)
    hidden = night.adapter.emulator.service.store.backups.pop(replica_id)

    def show(step: Step, moment: str) -> None:
        if (step, moment) == (Step.LOOK, "after"):
            night.adapter.emulator.service.store.backups[replica_id] = hidden

    result = night.attempt(observe=show)

    assert result.counts["already"] == 1
    assert night.calls == ["CopyCheckpoint"]


def test_a_replica_in_error_is_named_and_not_replaced() -> None:
    night = copied_night()
    replica_id = replica_of(night)
    night.control.change_backup(replica_id, status="error")

    with pytest.raises(CbrReplicationFailedError, match=f"(?s){replica_id}.*status is error") as caught:
        night.attempt()

    assert caught.value.permanent
    assert f"Delete replica {replica_id}" in str(caught.value)
    assert night.calls == ["CopyCheckpoint"]


def test_a_destination_that_may_not_be_looked_at_copies_nothing() -> None:
    night = lost_night()
    night.control.fault("status", call="ShowBackup", status=403, nth=2)

    with pytest.raises(CbrPermissionError):
        night.attempt()

    assert night.calls == ["CopyCheckpoint"]


@pytest.mark.parametrize("changes", [{"status": "error"}, {"contain_system_disk": False}], ids=["in error", "without its system disk"])
def test_a_backup_that_cannot_be_replicated_fails_with_the_reason(changes: dict[str, Any]) -> None:
    night = OneBackupNight()
    night.control.change_backup(BACKUP, **changes)

    with pytest.raises(CbrNothingToReplicateError, match=f"{BACKUP}.*cannot be replicated"):
        night.attempt()

    assert night.copies == []


def test_a_backup_that_is_still_being_made_is_waited_for() -> None:
    night = OneBackupNight(spec={"timeout": 3600.0})
    night.control.change_backup(BACKUP, status="protecting")

    with pytest.raises(CbrReplicationTimeoutError):
        night.attempt()

    assert night.copies == []


def test_the_others_of_the_vault_are_not_asked_for() -> None:
    night = OneBackupNight()
    night.attempt()

    assert [one for one in night.copies if one != BACKUP] == []


def test_a_copy_that_runs_is_adopted() -> None:
    night = OneBackupNight()
    night.control.switch(copy_seconds=600)
    there = night.spec["destination"]
    night.client().replicate_backup(
        BACKUP, destination_region=there.region, destination_project_id=there.project_id, destination_vault_id=there.vault_id
    )
    result = night.attempt()

    assert night.copies == [BACKUP]
    assert result.counts["adopted"] == 1


MOMENTS = [(step, moment) for step in Step for moment in ("before", "after") if step not in (Step.REPLICATE_VAULT, Step.LOOK_AT_LOG)]


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
@pytest.mark.parametrize(("step", "moment"), thinned(MOMENTS, every=3), ids=lambda value: str(value).replace(" ", "-"))
def test_a_kill_at_every_step_copies_once(step: Step, moment: str, deferred: bool, durable_store: bool) -> None:
    night = lost_night(durable_store=durable_store)
    night.control.switch(careless=True, record_delay=60, operation_log_delay=60)
    hits: list[Step] = []

    def kill(at: Step, when: str) -> None:
        if (at, when) == (step, moment) and not hits:
            hits.append(at)
            raise Killed

    try:
        night.attempt(deferred=deferred, observe=kill)
    except Killed:
        result = night.attempt(deferred=deferred)
    else:
        assert (step, durable_store) == (Step.RECORD_INTENT, False), "without a store no intent is written down"
        return

    assert night.copies.count(BACKUP) == 2, "the one of the day before, and one more"
    assert result.counts["succeeded"] == 1
    assert replica_exists(night, result.record_ids[0])


def replica_exists(night: Night, record_id: str) -> bool:
    records = night.client().show_backup(BACKUP).replication_records or ()
    replica_id = next(record.destination_backup_id for record in records if record.id == record_id)
    return night.destination_client().show_backup(str(replica_id)).status == "available"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_copies_once(when: str) -> None:
    night = lost_night()
    night.control.switch(careless=True, record_delay=60, operation_log_delay=60)
    night.control.fault("reset", call="CopyBackup", when=when)

    try:
        result = night.attempt()
    except CbrOutcomeUnknownError:
        result = night.attempt()

    assert night.copies.count(BACKUP) == 2
    assert result.counts["succeeded"] == 1


def test_a_replica_that_this_task_made_and_somebody_deleted_is_made_again_after_a_clear() -> None:
    """The operation log still tells of the copy whose replica is gone; it is not taken for one that is on its way."""
    night = OneBackupNight()
    night.attempt()
    night.control.remove_backup(replica_of(night))
    night.clear()
    result = night.attempt()

    assert night.copies == [BACKUP, BACKUP]
    assert result.counts["succeeded"] == 1
    assert replica_exists(night, result.record_ids[-1])


# --- to the second, with given rows -------------------------------------------------------------------------------------------

A = "a" * 32


def row_of(*records: Any, **fields: Any) -> Backup:
    return backup(A, *records, **{"checkpoint_id": "c", "resource_name": "web", **fields})


def copied(id: str = "r", status: str = "success", **fields: Any) -> ReplicationRecord:
    """Return a record whose replica is ``x``."""
    return replace(record(id, status, **{"at": BEGIN - 50, **fields}), destination_backup_id="x")


@pytest.mark.parametrize(
    ("listed", "replica", "is_asked_for", "is_lost"),
    [
        (copied(), None, True, True),
        (copied(), "available", True, False),
        (copied(), "restoring", True, False),
        (copied(), "deleting", True, True),
        (copied(), "deleted", True, True),
        (copied(), "waiting_delete", True, True),
        (copied(status="replicating"), None, False, False),
        (copied(status="fail"), None, False, False),
        (copied(to="1" * 32), None, False, False),
        (replace(copied(), destination_backup_id=None), None, False, False),
        (replace(copied(to="1" * 32), destination_backup_id=None), None, False, False),
        (replace(copied(status="fail", to="1" * 32)), None, False, False),
    ],
)
def test_a_replica_is_looked_up_for_a_success_here_and_is_lost_only_if_it_is_gone(
    listed: ReplicationRecord, replica: str | None, is_asked_for: bool, is_lost: bool
) -> None:
    service = GivenRows([row_of(listed), backup("b" * 32)], replicas={} if replica is None else {"x": replica}, answers=[[A]])
    submission = submission_of(service, backup=row_of())
    with suppress(CbrReplicationFailedError):
        submission.advance()
    assert service.shown[:1] == ["x"] * is_asked_for
    assert submission.state.lost_replicas == ["r"] * is_lost
    assert service.asked[0] == {"vault_id": SOURCE_VAULT, "checkpoint_id": "c", "show_replication": True}
    if is_lost:
        assert submission.state.unsettled_until == BEGIN + SETTLE
        assert submission.state.lost_at == BEGIN - 50
        assert service.sent == []


@pytest.mark.parametrize(
    ("times", "lost_at"), [((BEGIN - 50, BEGIN - 70), BEGIN - 50), ((BEGIN - 70, BEGIN - 50), BEGIN - 50), ((BEGIN - 50, None), BEGIN)]
)
def test_what_the_log_says_of_lost_copies_is_known_by_the_newest_of_them(times: tuple[float, float | None], lost_at: float) -> None:
    records = [copied(f"r{number}", at=at) for number, at in enumerate(times)]
    submission = submission_of(GivenRows([row_of(*records)]), backup=row_of())
    submission.advance()
    assert submission.state.lost_at == lost_at


def test_a_row_that_comes_again_with_a_copy_counts() -> None:
    service = GivenRows([row_of()], again=[row_of(copied())], replicas={"x": "available"})
    result = submission_of(service, backup=row_of()).advance()
    assert isinstance(result, Result)
    assert (result.counts["already"], service.sent) == (1, [])


def test_a_later_look_looks_up_what_was_lost_before_and_nothing_else() -> None:
    service = GivenRows([row_of(copied("r"), replace(copied("q"), destination_backup_id="y"))], replicas={"x": "available"})
    submission = submission_of(service, backup=row_of())
    submission.advance()
    assert (service.shown, submission.state.lost_replicas) == (["x", "y"], ["q"])
    submission.advance()
    assert service.shown == ["x", "y", "y"]
    service.rows = [row_of(copied("r"))]
    assert isinstance(submission.advance(), Result)
    assert (service.shown, submission.state.lost_replicas, submission.state.lost_at) == (["x", "y", "y"], [], None)


def test_while_the_new_copy_is_followed_no_replica_is_looked_up() -> None:
    known = ReplicationState(deadline=BEGIN + 86400, as_of=BEGIN, wanted=[A], accepted={"r": A}, lost_replicas=["old"])
    service = GivenRows([row_of(copied("old"), record("r", "replicating"))])
    pause = submission_of(service, known, backup=row_of()).advance()
    assert isinstance(pause, Pause)
    assert (pause.records, service.shown) == (("r",), [])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], f"vault vault-nightly ({SOURCE_VAULT}) does not list it"),
        ([row_of(status="error")], "its status is error, not available"),
    ],
)
def test_a_backup_that_cannot_be_replicated_says_why_and_what_to_do(rows: list[Backup], reason: str) -> None:
    submission = submission_of(GivenRows(rows), backup=row_of())
    with pytest.raises(CbrNothingToReplicateError) as caught:
        submission.advance()
    assert f"({A}) cannot be replicated: {reason}." in str(caught.value)
    assert caught.value.advice


def test_a_replica_in_error_is_permanent_and_says_which_to_delete() -> None:
    with pytest.raises(CbrReplicationFailedError, match="replica x is there, and its status is error") as caught:
        submission_of(GivenRows([row_of(copied())], replicas={"x": "error"}), backup=row_of()).advance()
    assert caught.value.permanent is True
    assert caught.value.advice is not None
    assert "Delete replica x" in caught.value.advice


def test_where_no_records_are_listed_the_destination_is_looked_at() -> None:
    service = GivenRows([backup(A, replication_records=None, checkpoint_id="c")], answers=[[A]])
    pause = submission_of(service, backup=row_of()).advance()
    assert isinstance(pause, Pause)
    assert [asked["vault_id"] for asked in service.asked][:2] == [SOURCE_VAULT, DESTINATION.vault_id]
    assert service.sent == [A]
