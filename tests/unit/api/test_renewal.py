"""One key for everybody: asked for once, renewed before its end, and never missed while an old one is good."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api import renewal
from airflow_cbr.api.credentials import AkSkCredentials
from airflow_cbr.api.renewal import IssuedKey, KeyCache, margin
from airflow_cbr.exceptions import CbrConnectionError, CbrError, CbrPermissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHO = "asking somebody for a key"


class Issuer:
    """Gives keys that last, and counts them; refuses while it is told to."""

    def __init__(self, clock: SimpleNamespace, lifetime: float = 900.0) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.asked = 0
        self.error: CbrError | None = None
        self.asked_at: list[float] = []

    def __call__(self) -> IssuedKey:
        self.asked += 1
        self.asked_at.append(self.clock.now)
        if self.error is not None:
            raise self.error
        return IssuedKey.lasting(AkSkCredentials(f"KEY{self.asked}", "secret", "token"), self.lifetime, asked_at=self.clock.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(renewal, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def issuer(clock: SimpleNamespace) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def cache() -> KeyCache:
    return KeyCache()


def name(cache: KeyCache, issuer: Issuer, asker: str = "one") -> str:
    return cache.get(asker, issuer, who=WHO).credentials.access_key


@pytest.mark.parametrize(("lifetime", "seconds"), [(900, 90), (3600, 360), (6000, 600), (86400, 600)])
def test_the_margin_is_a_tenth_of_a_life_and_ten_minutes_at_most(lifetime: float, seconds: float) -> None:
    assert margin(lifetime) == seconds


def test_a_key_is_asked_for_once_and_renewed_once_when_its_margin_begins(cache: KeyCache, issuer: Issuer, clock: SimpleNamespace) -> None:
    assert [name(cache, issuer) for _ in range(3)] == ["KEY1"] * 3
    clock.now += 809.9
    assert name(cache, issuer) == "KEY1"
    clock.now += 0.2
    assert [name(cache, issuer) for _ in range(3)] == ["KEY2"] * 3
    assert issuer.asked == 2


def test_askers_that_differ_share_nothing(cache: KeyCache, issuer: Issuer) -> None:
    assert [name(cache, issuer, asker) for asker in ("one", "other", "one")] == ["KEY1", "KEY2", "KEY1"]


def test_whoever_comes_while_a_key_is_renewed_takes_the_old_one_and_does_not_wait(
    cache: KeyCache, issuer: Issuer, clock: SimpleNamespace
) -> None:
    name(cache, issuer)
    clock.now += 850
    at_it, go_on = threading.Event(), threading.Event()

    def slow() -> IssuedKey:
        at_it.set()
        assert go_on.wait(20)
        return issuer()

    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(lambda: cache.get("one", slow, who=WHO))
        assert at_it.wait(20)
        assert [name(cache, issuer) for _ in range(5)] == ["KEY1"] * 5
        go_on.set()
        assert renewing.result(20).credentials.access_key == "KEY2"
    assert issuer.asked == 2


@pytest.mark.parametrize("refused", [False, True])
def test_many_who_have_no_key_ask_once_also_when_the_answer_is_an_error(cache: KeyCache, issuer: Issuer, refused: bool) -> None:
    threads = 8
    waiting = threading.Semaphore(0)
    go_on = threading.Event()
    guard = cache._guard
    if refused:
        issuer.error = CbrPermissionError("No.", http_status=403)

    def slow() -> IssuedKey:
        assert go_on.wait(20)
        return issuer()

    def ask() -> str:
        waiting.release()
        try:
            return cache.get("one", slow, who=WHO).credentials.access_key
        except CbrPermissionError as error:
            return error.message

    place = cache._place("one")
    entered = threading.Semaphore(0)

    class Lock:
        """Tells who has come as far as the lock: whoever comes later asks anew, and may."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            entered.release()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    place.lock = Lock()  # type: ignore[assignment]
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(ask) for _ in range(threads)]
        for _ in range(threads):
            assert entered.acquire(timeout=20)
        go_on.set()
        results = {future.result(20) for future in futures}
    assert cache._guard is guard
    assert results == ({"No."} if refused else {"KEY1"})
    assert issuer.asked == 1


def test_a_renewal_that_fails_is_tried_with_growing_pauses_and_nobody_notices(
    cache: KeyCache, issuer: Issuer, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    name(cache, issuer)
    clock.now += 811
    issuer.error = CbrPermissionError("No.", http_status=403)
    with caplog.at_level(logging.WARNING):
        while clock.now < 1000 + 899:
            assert name(cache, issuer) == "KEY1"
            clock.now += 1
    gaps = [later - earlier for earlier, later in pairwise(issuer.asked_at[1:])]
    assert gaps == [5, 10, 20, 40]
    assert "is used for as long as it is good. No." in caplog.text
    issuer.error = None
    clock.now = issuer.asked_at[-1] + 61
    assert name(cache, issuer) == f"KEY{issuer.asked}"


def test_after_the_old_keys_end_a_failure_passes_for_a_while_and_is_then_told_as_it_is(
    cache: KeyCache, issuer: Issuer, clock: SimpleNamespace
) -> None:
    name(cache, issuer)
    issuer.error = CbrPermissionError("No.", advice="Ask.", error_code="STS5.1003", http_status=403, request_id="r1")
    clock.now += 900
    with pytest.raises(CbrConnectionError, match=r"could not be renewed.*No\.") as passing:
        name(cache, issuer)
    assert (passing.value.sent, passing.value.permanent, passing.value.request_id, passing.value.advice) == (False, False, "r1", "Ask.")
    clock.now += 899
    with pytest.raises(CbrConnectionError):
        name(cache, issuer)
    clock.now += 2
    with pytest.raises(CbrPermissionError):
        name(cache, issuer)
    issuer.error = None
    assert name(cache, issuer) == f"KEY{issuer.asked}"


def test_the_first_failure_is_told_as_it_is(cache: KeyCache, issuer: Issuer) -> None:
    issuer.error = CbrPermissionError("No.", http_status=403)
    with pytest.raises(CbrPermissionError):
        name(cache, issuer)


def test_the_same_key_again_is_not_asked_for_all_the_time(cache: KeyCache, clock: SimpleNamespace) -> None:
    ends_at, asked = clock.now + 900, []

    def same() -> IssuedKey:
        asked.append(clock.now)
        return IssuedKey.lasting(AkSkCredentials("KEY", "secret", "token"), ends_at - clock.now, asked_at=clock.now)

    while clock.now < ends_at - 1:
        cache.get("one", same, who=WHO)
        clock.now += 0.5
    assert len(asked) < 12, "a service that renews its key late is not asked for each request"


# --- refused before its end ------------------------------------------------------------------------------------------------


def test_a_refused_key_is_replaced_once_for_all(cache: KeyCache, issuer: Issuer) -> None:
    first = cache.get("one", issuer, who=WHO)
    replaced = [cache.replace("one", first, issuer, who=WHO) for _ in range(3)]
    assert [key.credentials.access_key if key else None for key in replaced] == ["KEY2"] * 3
    assert name(cache, issuer) == "KEY2"
    assert issuer.asked == 2


def test_a_key_that_is_refused_right_after_another_is_not_replaced(cache: KeyCache, issuer: Issuer, clock: SimpleNamespace) -> None:
    first = cache.get("one", issuer, who=WHO)
    second = cache.replace("one", first, issuer, who=WHO)
    assert second is not None
    clock.now += 59
    assert cache.replace("one", second, issuer, who=WHO) is None
    clock.now += 2
    assert cache.replace("one", second, issuer, who=WHO) is not None
    assert issuer.asked == 3


def test_a_refused_key_that_cannot_be_replaced_is_given_to_nobody(cache: KeyCache, issuer: Issuer, clock: SimpleNamespace) -> None:
    first = cache.get("one", issuer, who=WHO)
    issuer.error = CbrPermissionError("No.", http_status=403)
    with pytest.raises(CbrConnectionError):
        cache.replace("one", first, issuer, who=WHO)
    with pytest.raises(CbrConnectionError):
        name(cache, issuer)
    clock.now += 900
    with pytest.raises(CbrPermissionError):
        name(cache, issuer)


def test_a_key_of_unknown_life_is_used_until_it_is_refused(cache: KeyCache, clock: SimpleNamespace) -> None:
    names = iter(["A", "B"])

    def issue() -> IssuedKey:
        return IssuedKey(AkSkCredentials(next(names), "secret", "token"))

    first = cache.get("one", issue, who=WHO)
    clock.now += 1e6
    assert cache.get("one", issue, who=WHO) is first
    second = cache.replace("one", first, issue, who=WHO)
    assert second is not None
    assert second.credentials.access_key == "B"


# --- any life, any outages -----------------------------------------------------------------------------------------------


def outcome(cache: KeyCache, issue: Callable[[], IssuedKey]) -> tuple[IssuedKey | None, CbrError | None]:
    try:
        return cache.get("one", issue, who=WHO), None
    except CbrError as error:
        return None, error


@settings(deadline=None)
@given(
    lifetime=st.floats(60, 90_000),
    steps=st.lists(st.tuples(st.floats(0.1, 400), st.booleans()), min_size=1, max_size=120),
)
def test_no_key_is_handed_out_after_its_end_and_none_is_renewed_twice(lifetime: float, steps: list[tuple[float, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = SimpleNamespace(now=0.0)
        patch.setattr(renewal, "time", SimpleNamespace(monotonic=lambda: clock.now))
        cache, issuer = KeyCache(), Issuer(clock, lifetime)
        made: list[IssuedKey] = []

        def issue() -> IssuedKey:
            made.append(issuer())
            return made[-1]

        for seconds, works in steps:
            clock.now += seconds
            issuer.error = None if works else CbrPermissionError("No.", http_status=403)
            key, error = outcome(cache, issue)
            if key is None:
                assert not [one for one in made if one.is_good()], "an old key is good, and was not used"
                if made:
                    assert made[-1].ends_at is not None
                    is_over = clock.now >= made[-1].ends_at + renewal.RENEWAL_BUDGET
                    assert isinstance(error, CbrPermissionError if is_over else CbrConnectionError)
            else:
                assert key.is_good()
                assert key is made[-1]
        for earlier, later in pairwise(made):
            assert later.ends_at - earlier.ends_at >= 0.9 * lifetime - 1e-6  # type: ignore[operator]


# --- forks -----------------------------------------------------------------------------------------------------------------


def forked(act: object) -> Iterator[int]:
    child = os.fork()
    if child == 0:
        try:
            act()  # type: ignore[operator]
            os._exit(0)
        except BaseException:
            os._exit(1)
    yield os.waitpid(child, 0)[1]


def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(cache: KeyCache, issuer: Issuer) -> None:
    name(cache, issuer)
    place = cache._place("one")
    place.key = None
    with place.lock, cache._guard:
        assert list(forked(lambda: name(cache, issuer))) == [0]
