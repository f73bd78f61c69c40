"""One host at a time tries a login that nobody knows to work, over a store that can only be read and written."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_cbr.api import deployment
from airflow_cbr.api.deployment import FINGERPRINT, FREE, Deployment
from airflow_cbr.exceptions import CbrAuthenticationError, CbrConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.api.tallies import Tally

START = 1_790_000_000.0
SECRET = "the-secret-that-nobody-may-read"


@dataclass
class Store:
    """Texts in this process, some of which take their time to be written."""

    texts: dict[str, str] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    breaks: bool = False

    def register(self, name: str) -> StoredText:
        return StoredText(self, name)


@dataclass
class StoredText:
    store: Store
    name: str

    def read(self) -> str | None:
        if self.store.breaks:
            raise PermissionError("hvs.a-secrets-backends-token")
        return self.store.texts.get(self.name)

    def write(self, text: str) -> None:
        with contextlib.suppress(IndexError):
            time.sleep(self.store.delays.pop())
        self.store.texts[self.name] = text


class Host:
    """One host's brake of one login, on a clock of its own."""

    def __init__(self, *, ahead: float = 0.0, secret: str = SECRET, patience: float = 60.0) -> None:
        self.now = START + ahead
        self.tried = 0
        self.brake = Deployment(
            "login",
            who="IAM user backup-bot",
            scope="",
            fingerprint=lambda salt: f"{hash((salt, secret)) & 0xFFFFFFFF:08x}",
            check=self.check,
            patience=patience,
            within=900.0,
            clock=lambda: self.now,
        )

    def check(self, tally: Tally, fingerprint: str) -> None:
        if any(one.fingerprint == fingerprint and self.now - one.at < 120 for one in tally.refused):
            error = CbrAuthenticationError("refused elsewhere")
            error.is_local = True
            raise error

    def sign_in(self, *, is_right: bool = True) -> None:
        with self.brake.attempt():
            self.tried += 1
            if not is_right:
                raise CbrAuthenticationError("Wrong password.", error_code="IAM.0062")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    made = Store()
    monkeypatch.setattr(deployment, "QUICK", 0.03)
    monkeypatch.setattr(deployment, "SETTLED_AFTER", 0.06)
    monkeypatch.setattr(deployment, "AFTER_A_SLOW_WRITE", 3.0)
    deployment.share(lambda: made)
    yield made
    deployment.forget()


@pytest.mark.campaign
def test_never_two_at_once_however_slowly_their_names_are_written(store: Store) -> None:
    source = random.Random(7)
    store.delays = [source.choice((0.0, 0.01, 0.02, 0.04, 0.1)) for _ in range(60)]
    inside, most, done = [0], [0], []
    guard = threading.Lock()

    def one(host: Host) -> None:
        with contextlib.suppress(CbrConnectionError), host.brake.attempt():
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            with guard:
                inside[0] -= 1
            done.append(host)
            # Nobody learns that the secret works, so each must have its turn.
            raise CbrConnectionError("no answer")

    threads = [threading.Thread(target=one, args=(Host(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 6
    assert most == [1]
    assert store.texts["login_turn"] == FREE


def test_a_secret_that_one_host_has_seen_work_is_used_by_all_and_proven_again_later(store: Store) -> None:
    Host().sign_in()
    store.texts["login_turn"] = "somebody else"
    Host(ahead=50.0).sign_in()
    Host(ahead=-50.0).sign_in()
    with pytest.raises(CbrConnectionError, match="another machine is trying the login of IAM user backup-bot"):
        Host(ahead=61.0, patience=0.0).sign_in()


@pytest.mark.parametrize("ahead", [-600.0, 0.0, 100.0])
def test_a_refusal_counts_on_every_host_whatever_its_clock_says(store: Store, ahead: float) -> None:
    first, other = Host(), Host(ahead=ahead)
    with pytest.raises(CbrAuthenticationError):
        first.sign_in(is_right=False)
    with pytest.raises(CbrAuthenticationError) as caught:
        other.sign_in(is_right=False)
    assert caught.value.is_local
    assert other.tried == 0
    Host(secret="a corrected one").sign_in()


def test_a_refusal_of_a_secret_that_had_worked_ends_the_proof(store: Store) -> None:
    host, other = Host(), Host()
    host.sign_in()
    with pytest.raises(CbrAuthenticationError):
        host.sign_in(is_right=False)
    with pytest.raises(CbrAuthenticationError):
        other.sign_in()
    assert other.tried == 0


def test_a_name_that_a_killed_process_left_does_not_stand_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "GIVEN_UP_AFTER", 1.0)
    store.texts["login_turn"] = "of the dead"
    host = Host()
    host.sign_in()
    assert host.tried == 1
    assert store.texts["login_turn"] == FREE


def test_nothing_of_the_secret_can_be_found_in_the_store(store: Store) -> None:
    with pytest.raises(CbrAuthenticationError):
        Host().sign_in(is_right=False)
    record: dict[str, Any] = msgspec.json.decode(store.texts["login"])
    assert SECRET not in str(record)
    (refused,) = record["refused"]
    assert len(refused["fingerprint"]) == FINGERPRINT == 4, "16 bits: any dictionary leaves thousands of candidates"


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"refused": 1}', "{}"])
def test_what_cannot_be_read_is_as_good_as_nothing(store: Store, text: str) -> None:
    store.texts["login"] = text
    Host().sign_in()


def test_a_store_that_cannot_be_used_is_left_alone_and_quoted_by_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.breaks = True
    host = Host()
    for _ in range(3):
        host.sign_in()
    assert host.tried == 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert "counted for this machine alone" in line
    assert "PermissionError" in line
    assert "hvs" not in line


def test_a_store_that_keeps_nothing_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(StoredText, "write", lambda self, text: None)
    host = Host()
    host.sign_in()
    assert host.tried == 1
    assert "LookupError" in caplog.text


def test_without_a_store_nothing_is_waited_for() -> None:
    deployment.forget()
    host = Host(patience=0.0)
    host.sign_in()
    assert host.tried == 1
