"""Waiting with a limit, and stop signals."""

from __future__ import annotations

import os
import signal

import pytest

from airflow_cbr.demo.waiting import STOP_SIGNALS, DemoError, Stopped, StopSignals, wait_until


def test_the_first_true_answer_is_returned() -> None:
    answers = iter([None, 0, "third"])

    assert wait_until(lambda: next(answers), limit=30, what="an answer", every=0) == "third"


def test_the_limit_is_an_error_that_says_what_was_waited_for() -> None:
    with pytest.raises(DemoError, match="the moon: not within 0 s"):
        wait_until(lambda: False, limit=0, what="the moon")


def test_the_check_ends_the_wait() -> None:
    def check() -> None:
        raise DemoError("a component has died")

    with pytest.raises(DemoError, match="has died"):
        wait_until(lambda: True, limit=30, what="an answer", check=check)


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_a_stop_signal_is_remembered_and_raised_by_the_next_check(signum: signal.Signals) -> None:
    with StopSignals() as signals:
        signals.check()
        os.kill(os.getpid(), signum)

        with pytest.raises(Stopped) as stopped:
            signals.check()

    assert stopped.value.exit_code == 128 + signum


def test_a_second_signal_changes_nothing() -> None:
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

        assert signals.received == signal.SIGINT


def test_the_previous_handlers_come_back() -> None:
    before = [signal.getsignal(signum) for signum in STOP_SIGNALS]
    with StopSignals():
        assert [signal.getsignal(signum) for signum in STOP_SIGNALS] != before

    assert [signal.getsignal(signum) for signum in STOP_SIGNALS] == before
