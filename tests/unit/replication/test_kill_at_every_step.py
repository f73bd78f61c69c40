"""The process may die before and after every step of a submission, and nothing is copied twice or lost."""

from __future__ import annotations

import pytest

from airflow_cbr.emulator.world import SOURCE_VAULT
from airflow_cbr.replication.steps import Result, Step
from tests.support.replication_night import Killed, Night

MOMENTS = [(step, moment) for step in Step for moment in ("before", "after")]


def prepare(step: Step, *, durable_store: bool) -> Night:
    """Return a night on which that step is reached, on a service that would copy twice if it were asked twice."""
    night = Night(durable_store=durable_store)
    night.control.switch(careless=True, record_delay=60, operation_log_delay=60)
    if step is Step.LOOK_AT_LOG:
        night.control.fault("reset", call="CopyCheckpoint", when="before")
    if step is Step.REPLICATE_BACKUP:
        # In the careless world a vault's call takes everything that qualifies, so what is left out must become available later.
        night.control.fault("copy_skipped", count=1)
    return night


@pytest.mark.parametrize("durable_store", [True, False], ids=["3.3", "3.1"])
@pytest.mark.parametrize("deferred", [False, True], ids=["sync", "deferred"])
@pytest.mark.parametrize(("step", "moment"), MOMENTS, ids=lambda value: str(value).replace(" ", "-"))
@pytest.mark.campaign
def test_a_kill_at_every_step(step: Step, moment: str, deferred: bool, durable_store: bool) -> None:
    night = prepare(step, durable_store=durable_store)
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
        # On Airflow before 3.3 there is nowhere to record an intent: that step does not exist there.
        assert step is Step.RECORD_INTENT
        assert not durable_store
        return
    _check(night, result)


def _check(night: Night, result: Result) -> None:
    replications = night.ledger["replications"]
    copied = [started for started in replications if started["outcome"] != "skip"]
    assert len({started["backup_id"] for started in copied}) == len(copied) == 3
    assert sorted(result.record_ids) == sorted(started["record_id"] for started in copied)
    assert result.counts["succeeded"] == 3
    assert night.published[-1] == (result.record_ids, result.counts)


@pytest.mark.parametrize("kills", [2, 3, 5])
def test_being_killed_again_and_again(kills: int) -> None:
    night = Night()
    night.control.switch(careless=True, record_delay=60)
    moments = iter(
        [(Step.REPLICATE_VAULT, "after"), (Step.LOOK, "after"), (Step.PUBLISH, "before"), (Step.LOOK, "before"), (Step.CONCLUDE, "after")]
    )

    for _ in range(kills):
        step, moment = next(moments)

        def kill(at: Step, when: str, step: Step = step, moment: str = moment) -> None:
            if (at, when) == (step, moment):
                raise Killed

        with pytest.raises(Killed):
            night.attempt(observe=kill)
    _check(night, night.attempt())


def test_every_step_is_reached_by_its_night() -> None:
    """The kill cases above say something only if each step is really taken."""
    for step in Step:
        night = prepare(step, durable_store=True)
        night.attempt()
        assert (step, "before") in night.steps
        assert (step, "after") in night.steps


def test_the_vault_of_these_nights_holds_three_backups() -> None:
    assert len(Night().control.state(SOURCE_VAULT)["backups"]) == 3
