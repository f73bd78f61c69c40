"""A cloud that lists no replication records: the operation log and the destination's list are all there is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.exceptions import CbrConfigurationError, CbrReplicationFailedError
from airflow_cbr.replication.unlisted import NOTICE
from airflow_cbr.waiting.schedule import BLIND_GAP
from tests.support.hostile_service import HostileService, run
from tests.support.replication_night import Night

BACKUPS = ["7558e1a3-7046-4787-95cd-14b0ad0642a8", "6df2b54c-dd62-4059-a07c-1b8f24f2725d", "aa00034d-ef40-443d-ab7a-dc846d988cdf"]


def unlisted_night(**switches: Any) -> Night:
    night = Night()
    night.control.switch(replication_records="unlisted", careless=True, copy_seconds=600, **switches)
    return night


@pytest.mark.parametrize("link", ["name", "created_at", "protected_at", "checkpoint", "log"])
def test_a_night_is_green_and_the_next_sends_only_what_is_new(link: str) -> None:
    switches = {
        "replica_name": "source" if link == "name" else "own",
        "replica_created_at": "source" if link == "created_at" else "copy",
        "replica_protected_at": "source" if link == "protected_at" else "null",
        "replica_checkpoint": "source" if link == "checkpoint" else "own",
    }
    night = unlisted_night(**switches)
    result = night.attempt()
    assert sorted(night.copies) == sorted(BACKUPS)
    assert result.counts["succeeded"] == 3
    assert len(result.record_ids) == 3
    night.clock.advance(86400)
    added = night.control.add_backup(SOURCE_VAULT, age_seconds=60)["id"]
    following = next_run(night)
    again = following.attempt()
    assert night.copies[3:] == [added]
    assert (again.counts["already"], again.counts["succeeded"]) == (3, 1)
    night.clock.advance(86400)
    assert next_run(night).attempt().counts["already"] == 4
    assert len(night.copies) == 4


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("by_type", [False, True])
def test_a_lost_answer_never_copies_twice(when: str, deferred: bool, by_type: bool) -> None:
    night = unlisted_night(operation_log_delay=60, operation_log_replication_filter=by_type)
    night.control.fault("reset", call="CopyCheckpoint", when=when)
    result = night.attempt(deferred=deferred)
    assert sorted(night.copies) == sorted(BACKUPS)
    assert result.counts["succeeded"] + result.counts["already"] == 3


def test_a_killed_attempt_is_followed_by_one_that_sends_nothing() -> None:
    night = unlisted_night()
    with pytest.raises(RuntimeError):
        night.attempt(observe=die_after_the_call)
    night.clock.advance(30)
    night.attempt()
    assert sorted(night.copies) == sorted(BACKUPS)


def test_a_failed_copy_is_asked_for_again_by_the_next_attempt_alone() -> None:
    night = unlisted_night()
    night.control.fault("copy_fails", backup_id=BACKUPS[0])
    with pytest.raises(CbrReplicationFailedError):
        night.attempt()
    assert sorted(night.copies) == sorted(BACKUPS)
    night.clock.advance(300)
    assert night.attempt().counts["missing"] == 0
    assert sorted(night.copies) == sorted([*BACKUPS, BACKUPS[0]])


def test_a_replica_of_which_nothing_says_whose_it_is_is_neither_copied_again_nor_called_covered() -> None:
    night = unlisted_night(replica_name="own")
    night.attempt()
    # The log keeps its rows for a while only.
    night.adapter.emulator.service.store.logs.clear()
    following = next_run(night)
    with pytest.raises(CbrReplicationFailedError, match="holds a replica of the resource, but of which of its backups is not known"):
        following.attempt()
    assert len(night.copies) == 3


def gaps(night: Night) -> list[float]:
    """Return the pauses while copies run, in order."""
    running = "3 copies are running, according to the operation log and the destination vault"
    return [pause.seconds for pause in night.pauses if pause.reason == running]


def test_copies_whose_progress_the_log_shows_are_looked_at_rarely_and_others_more_often() -> None:
    shown = unlisted_night()
    shown.control.switch(copy_seconds=36000)
    shown.attempt()
    assert max(gaps(shown)) > BLIND_GAP

    hidden = unlisted_night(operation_log_delay=36000)
    hidden.spec["settle_time"] = 5400.0
    hidden.control.switch(copy_seconds=3600)
    hidden.attempt()
    assert 2 * hidden.pauses[0].seconds < max(gaps(hidden)) <= BLIND_GAP, "of what nothing is known, the time that has passed decides"


def test_without_a_way_to_the_destination_such_a_cloud_is_refused() -> None:
    def without_records(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != "replication_records"}

    service = HostileService(["7558e1a3-7046-4787-95cd-14b0ad0642a8"], distort=without_records)
    error = run(service)
    assert isinstance(error, CbrConfigurationError)
    assert "lists no replication records" in str(error)
    assert service.posts == []


def test_the_first_look_says_what_is_done_instead(caplog: pytest.LogCaptureFixture) -> None:
    night = unlisted_night()
    night.attempt()
    assert [record.getMessage() for record in caplog.records].count(NOTICE) == 1


def next_run(night: Night) -> Night:
    """Return the next Dag run on the same service."""
    following = Night()
    following.adapter, following.control, following.clock = night.adapter, night.control, night.clock
    following.run_after = night.clock.now()
    return following


def die_after_the_call(step: object, moment: str) -> None:
    if str(step) == "replicate the vault" and moment == "after":
        raise RuntimeError("the worker died")
