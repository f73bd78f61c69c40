"""What one step of a submission does with given rows and answers, to the second: the clock stands."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_cbr.api.summaries import BackupSummary, RecordSummary
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrError,
    CbrOutcomeUnknownError,
    CbrPermissionError,
    CbrRefusedError,
    CbrReplicationTimeoutError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)
from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.steps import Pause
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.steps import Result, Step
from airflow_cbr.replication.submission import BEING_MADE_LIMIT
from airflow_cbr.waiting.schedule import BLIND_GAP
from tests.support.given_rows import SETTLE, GivenRows, new, submission_of
from tests.support.hostile_service import BEGIN, SOURCE_VAULT, time_text
from tests.support.looks import backup, record
from tests.unit.replication.test_log_lookup import row as log_row

ABC = A, B, C = ["a" * 32, "b" * 32, "c" * 32]
D, E = "d" * 32, "e" * 32


def begun(*wanted: str, **fields: Any) -> ReplicationState:
    """Return the state of an attempt that has looked and found these without a copy."""
    given: dict[str, Any] = {"deadline": BEGIN + 86400, "as_of": BEGIN, "looked_at": BEGIN, "wanted": list(wanted)}
    return ReplicationState(**{**given, **fields})


def pause_of(service: GivenRows, state: ReplicationState | None = None, **spec: Any) -> Pause:
    """Return the pause that comes next."""
    pause = submission_of(service, state, **spec).advance()
    assert isinstance(pause, Pause), pause
    return pause


# --- what was seen last -------------------------------------------------------------------------------------------------------


def test_before_the_first_look_nothing_is_anywhere() -> None:
    figures = submission_of(GivenRows()).figures
    assert (figures.eligible, figures.copied, figures.before, figures.running, figures.seconds) == (0, 0, 0, 0, None)


def test_the_vaults_backups_are_asked_for_with_their_records_and_the_result_has_the_figures() -> None:
    service = GivenRows([backup(A, record("r", "success"), resource_size=40)])
    result = submission_of(service).advance()
    assert isinstance(result, Result)
    assert service.asked == [{"vault_id": SOURCE_VAULT, "show_replication": True}]
    assert (result.record_ids, result.counts["already"]) == ([], 1)
    assert (result.figures.eligible, result.figures.before, result.figures.gb_before) == (1, 1, 40)
    assert [step for step in service.steps if step[0] in (Step.LOOK, Step.CONCLUDE)] == [
        (Step.LOOK, "before"),
        (Step.LOOK, "after"),
        (Step.CONCLUDE, "before"),
        (Step.CONCLUDE, "after"),
    ]


class Records(list[RecordSummary]):
    """The records of a backup, of which it can be asked whether anybody keeps them."""


def test_of_what_was_covered_before_no_row_is_kept() -> None:
    listed: list[weakref.ref[Records]] = []

    class Rows:
        def __iter__(self) -> Iterator[BackupSummary]:
            for number in range(50):
                done = record(f"r{number}", "success")
                records = Records([RecordSummary(**{name: getattr(done, name) for name in RecordSummary.__struct_fields__})])
                listed.append(weakref.ref(records))
                yield BackupSummary(id=f"b{number}", status="available", image_type="backup", replication_records=records)
            yield backup(A, record("running", "replicating"))

    submission = submission_of(GivenRows(Rows()))  # type: ignore[arg-type]
    assert isinstance(submission.advance(), Pause)
    assert submission.figures.before == 50
    assert sum(records() is not None for records in listed) <= 1, "one of its kind, at most"


def test_a_row_that_comes_again_with_a_copy_counts() -> None:
    service = GivenRows([backup(A)], again=[backup(A, record("r", "replicating"))])
    assert pause_of(service).records == ("r",)
    assert service.sent == []


def test_the_first_look_notes_what_is_there() -> None:
    rows = [
        backup(A),
        backup(B, record("failed", "fail")),
        backup(C, record("running", "replicating", at=BEGIN - 600)),
        backup(D, record("done", "success")),
        backup(E, created_at=time_text(BEGIN + 3600)),
    ]
    submission = submission_of(GivenRows(rows))
    submission.advance()
    state = submission.state
    assert sorted(state.wanted or []) == [A, B, C, E]
    assert (state.as_of, state.looked_at) == (BEGIN, BEGIN), "one backup is of the future"
    assert state.stale == ["failed"]
    assert state.copying_since == BEGIN - 600
    assert (state.adopted, state.disowned, state.vault_name) == ({"running": C}, [], "vault-nightly")


def test_what_the_first_look_found_counts_also_if_it_says_that_it_was_made_later() -> None:
    service = GivenRows([backup(A, created_at=time_text(BEGIN + 3600)), backup(B, created_at=time_text(BEGIN + 3600))], answers=[[A]])
    pause_of(service, begun(A, one_by_one=True))
    assert service.sent == [A]


# --- to the second ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "sends"), [(0.0, False), (0.5, True)])
def test_at_its_deadline_a_task_sends_nothing_more(left: float, sends: bool) -> None:
    service = GivenRows([backup(A, resource_name="web")], answers=[[A]])
    state = begun(A, deadline=BEGIN + left)
    if sends:
        assert pause_of(service, state).records == (new(A),)
    else:
        with pytest.raises(CbrReplicationTimeoutError):
            submission_of(service, state).advance()
    assert service.sent == [SOURCE_VAULT] * sends


@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_look_that_fails_names_the_copies_that_are_followed_and_ends_the_task_at_its_deadline(left: float) -> None:
    submission = submission_of(
        GivenRows(error=CbrUnavailableError("later")), begun(A, accepted={new(A): A}, adopted={"r": B}, deadline=BEGIN + left)
    )
    if left:
        pause = submission.advance()
        assert isinstance(pause, Pause)
        assert (pause.reason, pause.records, submission.figures.eligible) == ("later", ("r", new(A)), 0)
    else:
        with pytest.raises(CbrReplicationTimeoutError) as caught:
            submission.advance()
        assert list(caught.value.running) == ["r", new(A)]


@pytest.mark.parametrize(("ago", "seconds"), [(0.0, SETTLE), (SETTLE - 30, 30.0), (SETTLE - 1.5, 1.5), (SETTLE - 0.5, 1.0), (SETTLE, None)])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_call_in_doubt_is_repeated_after_settle_time_and_not_a_moment_earlier(
    one_by_one: bool, ago: float, seconds: float | None
) -> None:
    service = GivenRows([backup(A)], answers=[[A]])
    pause = pause_of(service, begun(A, sent={A: BEGIN - ago}, one_by_one=one_by_one))
    assert len(service.sent) == (seconds is None)
    if seconds is not None:
        assert (pause.reason, pause.seconds) == ("an earlier replicate call may still take effect", seconds)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_one_in_doubt_holds_up_the_call_for_the_vault_and_no_other(one_by_one: bool) -> None:
    service = GivenRows([backup(A), backup(B), backup(C)], answers=[[B], [C]])
    pause = pause_of(service, begun(A, B, C, sent={A: BEGIN - 20, B: BEGIN - SETTLE}, one_by_one=one_by_one))
    assert service.sent == ([B, C] if one_by_one else [])
    if not one_by_one:
        assert pause.seconds == SETTLE - 20


@pytest.mark.parametrize("ago", [0.0, SETTLE - 1, SETTLE, 3600.0])
def test_what_an_earlier_attempt_sent_is_in_doubt_for_settle_time(ago: float) -> None:
    service = GivenRows([backup(A)], answers=[CbrOutcomeUnknownError("lost"), [A]])
    pause_of(service)
    service.now += ago
    following = submission_of(service)
    pause = following.advance()
    assert isinstance(pause, Pause)
    assert service.sent == [SOURCE_VAULT] * (1 if ago < SETTLE else 2)
    assert following.state.unsettled_until == (BEGIN + SETTLE if ago < SETTLE else 0.0)
    if ago < SETTLE:
        assert pause.seconds == SETTLE - ago


@pytest.mark.parametrize(("for_seconds", "waits"), [(BEING_MADE_LIMIT - 1, True), (BEING_MADE_LIMIT, False)])
def test_what_is_being_made_holds_up_the_others_until_its_limit(for_seconds: float, waits: bool) -> None:
    rows = [backup(A), backup(B, status="protecting")]
    service = GivenRows(rows, answers=[[A]])
    pause = pause_of(service, begun(A, B, looked_at=BEGIN - for_seconds))
    assert service.sent == ([] if waits else [A]), "individually, since the call for the vault is for all"
    assert ("still being made" in pause.reason) is waits
    alone = pause_of(GivenRows(rows[1:]), begun(B, looked_at=BEGIN - for_seconds))
    assert "still being made" in alone.reason
    assert ("without waiting" in alone.reason) is waits


def test_a_copy_with_hours_to_go_is_looked_at_as_rarely_as_was_asked() -> None:
    slow = record("r", "replicating", at=BEGIN - 36000, progress=1)
    pause = pause_of(GivenRows([backup(A, slow)]), max_poll_interval=3600.0)
    assert 1800 < pause.seconds <= 3600
    assert pause.reason.startswith("0/1 replicated")


# --- what is sent, and what comes of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [[A], [A, B], ABC])
def test_what_the_operation_log_shows_is_asked_for_by_no_call(shown: list[str]) -> None:
    """The call for the vault was lost, and began some of the copies; no record shows them yet."""
    service = GivenRows(
        [backup(one) for one in ABC],
        logs=[log_row(f"log-{one}", one, "running") for one in shown],
        answers=[[one] for one in ABC if one not in shown],
    )
    pause = pause_of(service, begun(A, B, C, sent=dict.fromkeys(ABC, BEGIN - SETTLE), first_sent_at=BEGIN - SETTLE))
    assert service.sent == [one for one in ABC if one not in shown]
    if shown == ABC:
        assert ("log shows 3 copies " in pause.reason, pause.seconds) == (True, 30.0)


def test_one_copy_that_the_operation_log_shows_is_one_copy() -> None:
    service = GivenRows([backup(A)], logs=[log_row("l", A, "running")])
    assert "log shows 1 copy " in pause_of(service, begun(A, sent={A: BEGIN - SETTLE})).reason


@pytest.mark.parametrize(("wait", "own", "sends"), [(True, True, False), (True, False, False), (False, True, True), (False, False, False)])
def test_nothing_is_sent_while_copies_run_but_beside_own_ones_that_are_not_waited_for(wait: bool, own: bool, sends: bool) -> None:
    service = GivenRows([backup(A, record("r", "replicating")), backup(B)], answers=[[B]])
    state = begun(A, B, one_by_one=True, accepted={"r": A} if own else {})
    step = submission_of(service, state, wait_for_completion=wait).advance()
    assert service.sent == [B] * sends
    assert isinstance(step, Result if sends else Pause)


@pytest.mark.parametrize(("ids", "said"), [([A], "1 copy was accepted"), ([A, B], "2 copies were accepted")])
def test_what_was_accepted_is_given_time_since_then(ids: list[str], said: str) -> None:
    service = GivenRows([backup(one) for one in ids], answers=[ids])
    state = begun(*ids, refusals=2)
    pause = pause_of(service, state)
    assert (pause.reason, pause.seconds, pause.records) == (said, 30.0, tuple(new(one) for one in ids))
    assert (state.accepted_at, state.copying_since, state.refusals, state.one_by_one) == (BEGIN, BEGIN, 0, True)
    assert state.accepted == {new(one): one for one in ids}


def test_where_no_records_are_listed_the_look_has_read_the_log_and_it_is_not_read_again() -> None:
    service = GivenRows([backup(A, replication_records=None)], answers=[[A]])
    pause_of(service, begun(A, sent={A: BEGIN - SETTLE}))
    assert service.sent == [SOURCE_VAULT]
    assert Step.LOOK_AT_LOG not in {step for step, _ in service.steps}


@pytest.mark.parametrize(
    ("troubles", "error", "ends"),
    [
        (0, CbrPermissionError("no"), False),
        (1, CbrPermissionError("no"), False),
        (2, CbrPermissionError("no"), True),
        (2, CbrUnavailableError("later"), False),
        (9, CbrUnavailableError("later"), False),
    ],
)
def test_a_log_that_may_not_be_read_ends_the_attempt_at_the_third_look_in_a_row(troubles: int, error: CbrError, ends: bool) -> None:
    service = GivenRows([backup(A)], log_error=error, answers=[[A]])
    state = begun(A, sent={A: BEGIN - SETTLE}, log_troubles=troubles)
    if ends:
        with pytest.raises(CbrPermissionError):
            submission_of(service, state).advance()
        return
    assert pause_of(service, state).reason == str(error)
    assert (state.log_troubles, service.sent) == (troubles + 1, [])
    service.log_error = None
    pause_of(service, state)
    assert (state.log_troubles, service.sent) == (0, [SOURCE_VAULT])


@pytest.mark.parametrize(("ids", "said"), [([A], "1 copy is running, "), ([A, B], "2 copies are running, ")])
def test_where_no_records_are_listed_a_pause_says_how_many_copies_run_and_grows_with_what_is_not_known_of_them(
    ids: list[str], said: str
) -> None:
    service = GivenRows([backup(one, replication_records=None) for one in ids])
    state = begun(*ids, accepted={new(one): one for one in ids}, accepted_at=BEGIN)
    submission = submission_of(service, state, settle_time=5400.0)
    first = submission.advance()
    service.now += 1000
    second = submission.advance()
    assert isinstance(first, Pause)
    assert isinstance(second, Pause)
    assert first.reason[: len(said)] == second.reason[: len(said)] == said
    assert 30 <= first.seconds < 60 < second.seconds <= BLIND_GAP
    assert service.sent == []


def test_copies_have_run_since_the_first_of_them() -> None:
    state = begun(A, copying_since=BEGIN - 60)
    pause_of(GivenRows([backup(A)], answers=[[A]]), state)
    assert state.copying_since == BEGIN - 60


@pytest.mark.parametrize(
    "answer", [[], CbrAlreadyReplicatedError("nothing is left", error_code="BackupService.1009")], ids=["empty", "1009"]
)
def test_refusals_of_the_vaults_call_do_not_count_for_the_next_call(answer: Any) -> None:
    refused = CbrVaultReplicatingError("it replicates", error_code="BackupService.6130")
    service = GivenRows([backup(A)], answers=[answer, refused])
    state = begun(A, refusals=3)
    pause = pause_of(service, state)
    assert (pause.seconds, state.sent) == (SETTLE, {A: BEGIN}), "it may be the echo of a call that was taken"
    service.now += pause.seconds
    pause = pause_of(service, state)
    assert service.sent == [SOURCE_VAULT, A]
    assert (pause.reason, pause.seconds) == (str(refused), 30.0)


def test_a_step_that_had_nothing_accepted_is_followed_by_the_next_at_once() -> None:
    service = GivenRows(
        [backup(A), backup(B, record("r", "success"))],
        answers=[CbrRefusedError("no system disk", error_code="BackupService.1004", request_id="q")],
    )
    state = begun(A, B, one_by_one=True, adopted={"r": B})
    result = submission_of(service, state).advance()
    assert isinstance(result, Result)
    assert (result.counts["skipped"], result.counts["succeeded"]) == (1, 1)
    assert state.declined == {A: "BackupService.1004 q"}


def test_a_copy_of_an_earlier_call_that_left_no_record_is_asked_for_under_the_ceiling_of_all_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = begun(A, one_by_one=True, calls=CallCounts(by_item={A: 1}), first_sent_at=BEGIN - 3600)
    service = GivenRows([backup(A, resource_name="web")], answers=[[A]])
    with caplog.at_level(logging.INFO):
        pause_of(service, state)
    assert state.calls.by_item == {A: 2}
    assert f"CBR accepted the copy of web; backup night-{A} ({A}), replication record {new(A)}" in [
        one.getMessage() for one in caplog.records
    ]
