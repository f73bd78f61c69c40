"""Refused credentials are tried a bounded number of times by all processes of a machine; nothing of that fails a task by itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api import brake, tallies
from airflow_cbr.api.brake import IN_FLIGHT, LIMIT, PAUSE, RESERVED_FOR, WITHIN, Brake
from airflow_cbr.api.tallies import DIRECTORY_VARIABLE, open_tally
from airflow_cbr.exceptions import CbrAuthenticationError, CbrConnectionError, CbrUnavailableError
from tests.support.emulator import EmulatorServer
from tests.support.fresh_machine import new_machine
from tests.support.python_process import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 1_790_000_000.0
SECRET = "the-secret-that-nobody-may-read"


class Login:
    """A login on a machine whose clock only the test moves, and a service that takes one secret."""

    def __init__(self, right: str = SECRET) -> None:
        self.now = START
        self.right = right
        self.tried: list[str] = []

    def brake(self, secret: str = SECRET, **options: Any) -> Brake:
        known: dict[str, Any] = {"place": "here", "login": "user", "who": "IAM user backup-bot", "secret": lambda: secret}
        return Brake(**{**known, **options}, clock=lambda: self.now)

    def use(self, secret: str = SECRET, how: str = "attempt", **options: Any) -> None:
        with getattr(self.brake(secret, **options), how)():
            self.tried.append(secret)
            if secret != self.right:
                raise CbrAuthenticationError("Wrong password.", error_code="IAM.0062", request_id="r-1", http_status=401)

    def is_refused(self, secret: str = SECRET, **options: Any) -> CbrAuthenticationError:
        with pytest.raises(CbrAuthenticationError) as caught:
            self.use(secret, **options)
        return caught.value


@pytest.fixture
def login() -> Login:
    return Login(right="another")


def another_process() -> None:
    """Forget what this process knows, and keep what the machine knows."""
    brake.forget()


def files() -> list[Path]:
    return sorted(Path(os.environ[DIRECTORY_VARIABLE]).iterdir())


# --- the rule -----------------------------------------------------------------------------------------------------------------


def test_a_refused_secret_is_not_tried_again_for_a_while_by_any_process(login: Login) -> None:
    assert login.is_refused().refusals == 1
    for _ in range(5):
        another_process()
        error = login.is_refused()
        assert error.is_local
    assert len(login.tried) == 1
    login.now += PAUSE
    assert not login.is_refused().is_local
    assert len(login.tried) == 2


def test_three_refusals_in_a_quarter_of_an_hour_are_all_that_a_machine_meets(login: Login) -> None:
    met = []
    for _ in range(int(3 * WITHIN)):
        before = len(login.tried)
        login.is_refused()
        if len(login.tried) > before:
            met.append(login.now)
        login.now += 1
    assert len(met) == 3 * LIMIT
    assert all(sum(0 <= other - one < WITHIN for other in met) <= LIMIT for one in met)


def test_the_error_says_what_is_refused_since_when_until_when_and_what_to_do(login: Login) -> None:
    login.is_refused()
    login.now += 20
    another_process()
    error = login.is_refused()
    assert error.message == (
        "The service has refused the secret of IAM user backup-bot once since 2026-09-21 14:13:20 UTC. This machine does not try it again "
        "before 2026-09-21 14:15:20 UTC, so that the login is not locked. The service's message: Wrong password."
    )
    assert "a new secret is tried at once" in str(error.advice)
    assert (error.error_code, error.request_id, error.http_status) == ("IAM.0062", "r-1", 401)
    assert error.retry_after == PAUSE - 20


def test_it_is_a_matter_of_a_retry_until_it_has_been_met_three_times(login: Login) -> None:
    """One bad moment of IAM's fails no other task for good."""
    for number in range(LIMIT):
        assert login.is_refused().permanent, "the service's own word"
        assert login.is_refused().permanent is (number == LIMIT - 1)
        login.now += PAUSE


def test_another_secret_is_tried_at_once(login: Login) -> None:
    for _ in range(2 * LIMIT):
        with contextlib.suppress(CbrAuthenticationError):
            login.use()
        login.now += PAUSE
    another_process()
    login.use("another")
    assert login.tried[-1] == "another"
    assert login.is_refused().is_local, "that says nothing of the first one"


def test_a_success_forgets_the_refusals(login: Login) -> None:
    login.is_refused()
    login.now += PAUSE
    login.right = SECRET
    login.use()
    login.right = "another"
    for number in range(LIMIT):
        assert login.is_refused().refusals == number + 1
        login.now += PAUSE
    assert login.is_refused().is_local


@pytest.mark.parametrize("other", [{"login": "other"}, {"place": "there"}])
def test_another_login_or_place_is_not_held_up(other: dict[str, str], login: Login) -> None:
    login.is_refused()
    with login.brake(**other).attempt():
        pass


def test_a_project_for_which_a_password_is_refused_holds_up_no_other(login: Login) -> None:
    login.is_refused(scope="bad")
    another_process()
    login.right = SECRET
    for _ in range(10):
        login.use(scope="good")
    login.right = "another"
    assert login.is_refused(scope="bad").is_local
    for number in range(LIMIT):
        login.now += PAUSE
        login.right = SECRET
        login.use(scope="good")
        login.right = "another"
        assert login.is_refused(scope="bad").is_local is (number == LIMIT - 1)


def test_many_projects_together_meet_no_more_refusals_than_one(login: Login) -> None:
    for number in range(40):
        login.is_refused(scope=f"project {number}")
        login.now += 1
    assert len(login.tried) == LIMIT


def test_an_error_that_is_no_refusal_counts_for_nothing(login: Login) -> None:
    for _ in range(10):
        with pytest.raises(CbrUnavailableError), login.brake().attempt():
            raise CbrUnavailableError("503")
    with pytest.raises(KeyboardInterrupt), login.brake().attempt():
        raise KeyboardInterrupt
    assert not login.is_refused().is_local


# --- on their way -------------------------------------------------------------------------------------------------------------


def test_attempts_on_their_way_count_and_one_that_is_never_heard_of_again_does_not_for_long(login: Login) -> None:
    for _ in range(IN_FLIGHT):
        login.brake()._reserve()
    another_process()
    with pytest.raises(CbrConnectionError, match="Other tasks on this machine") as caught, _impatient(login).attempt():
        pass
    assert caught.value.sent is False
    assert not caught.value.permanent
    login.now += RESERVED_FOR
    with _impatient(login).attempt():
        pass


def _impatient(login: Login) -> Brake:
    impatient = login.brake()
    impatient._patience = 0.0
    return impatient


def test_one_that_waits_goes_on_when_others_have_had_their_answer(login: Login) -> None:
    login.right = SECRET
    entered, go_on = threading.Barrier(IN_FLIGHT + 1), threading.Event()
    done: list[int] = []

    def slow() -> None:
        with login.brake().attempt():
            entered.wait(20)
            go_on.wait(20)

    def quick() -> None:
        login.use()
        done.append(1)

    threads = [threading.Thread(target=slow) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    entered.wait(20)
    waiting = threading.Thread(target=quick)
    waiting.start()
    waiting.join(0.2)
    assert done == []
    go_on.set()
    for thread in [*threads, waiting]:
        thread.join(20)
    assert done == [1]


# --- a key that works -----------------------------------------------------------------------------------------------------------


def test_a_key_that_has_worked_costs_no_file_until_it_is_refused(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    login.right = SECRET
    login.use(how="use")
    with monkeypatch.context() as patch:
        patch.setattr(brake, "open_tally", lambda name: pytest.fail("that is a file for each call"))
        for _ in range(100):
            login.use(how="use")
    login.right = "another"
    assert not login.is_refused(how="use").is_local
    assert login.is_refused(how="use").is_local


def test_a_key_that_has_worked_here_is_held_when_others_were_refused(login: Login) -> None:
    login.right = SECRET
    login.use(how="use")
    proven = dict(brake._proven)
    login.right = "another"
    login.is_refused()
    another_process()
    brake._proven.update(proven)
    login.now += brake.PROVEN_FOR + 1
    assert login.is_refused(how="use").is_local


# --- the files ------------------------------------------------------------------------------------------------------------------


def test_files_are_private_and_hold_no_secret_nor_a_quick_digest_of_it(login: Login) -> None:
    login.is_refused()
    assert Path(os.environ[DIRECTORY_VARIABLE]).stat().st_mode & 0o777 == 0o700
    kinds = {file.suffix for file in files()}
    assert kinds == {".json", ".lock"}
    (kept,) = (file for file in files() if file.suffix == ".json")
    assert kept.stat().st_mode & 0o777 == 0o600
    text = kept.read_text()
    assert SECRET not in text
    salt = json.loads(text)["salt"]
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
        for value in (SECRET, salt + SECRET, SECRET + salt):
            digest = hashlib.new(name, value.encode()).hexdigest()
            assert json.loads(text)["refused"][0]["fingerprint"] not in digest
    before = json.loads(text)["refused"][0]["fingerprint"]
    new_machine()
    login.is_refused()
    (kept,) = (file for file in files() if file.suffix == ".json")
    assert json.loads(kept.read_text())["refused"][0]["fingerprint"] != before, "the salt is another"


def a_file(directory: Path) -> None:
    directory.write_text("in the way")


def for_everybody(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o755)


def a_link(directory: Path) -> None:
    (directory.parent / "elsewhere").mkdir(mode=0o700)
    directory.symlink_to(directory.parent / "elsewhere")


def without_a_parent(directory: Path) -> None:
    directory.parent.rmdir()


def full_of_directories(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / f"{Login().brake()._name}.lock").mkdir()


@pytest.mark.parametrize("spoil", [a_file, for_everybody, a_link, without_a_parent, full_of_directories])
def test_a_directory_that_cannot_be_used_fails_nothing_and_this_process_counts_for_itself(
    spoil: Callable[[Path], None], login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "parent" / "refusals"
    directory.parent.mkdir()
    spoil(directory)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(directory))
    assert not login.is_refused().is_local
    assert login.is_refused().is_local
    login.use("another")
    assert [record.message for record in caplog.records if "counts refused credentials only for itself" in record.message] != []
    assert len(caplog.records) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_of_another_user_is_not_used(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    login.is_refused()
    uid = os.geteuid()
    another_process()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert not login.is_refused().is_local


def test_a_full_disk_fails_nothing(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert not login.is_refused().is_local
    assert login.is_refused().is_local


def test_a_lock_that_is_never_given_up_fails_nothing(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "LOCK_PATIENCE", 0.0)
    with open_tally(login.brake()._name):
        assert not login.is_refused().is_local
        assert login.is_refused().is_local


@given(
    st.one_of(st.binary(max_size=200), st.sampled_from([b"{}", b"[]", b'{"pending": {"a": 1e308}}', b'{"refused": [{}]}', b'{"salt": ""}']))
)
@settings(max_examples=50, deadline=None)
def test_a_file_that_cannot_be_read_counts_for_nothing(content: bytes) -> None:
    new_machine()
    login = Login()
    name = login.brake()._name
    with open_tally(name):
        pass
    (Path(os.environ[DIRECTORY_VARIABLE]) / f"{name}.json").write_bytes(content)
    login.use()
    assert login.tried == [SECRET]


@pytest.mark.parametrize("leap", [-86400.0 * 365, -3600.0, 86400.0 * 365])
def test_a_clock_that_leaps_holds_nobody(leap: float, login: Login) -> None:
    login.is_refused()
    login.brake("another")._reserve()
    login.now += leap
    another_process()
    assert not login.is_refused().is_local


def test_a_python_without_scrypt_counts_by_process(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "scrypt")
    assert not login.is_refused().is_local
    assert login.is_refused().is_local


# --- processes ------------------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.exceptions import CbrError
url, kind, secret, count = sys.argv[1:]

def attempt():
    by_password = kind == "password"
    credentials = PasswordCredentials("backup-bot", secret, "acme") if by_password else AkSkCredentials("EMULATORACCESSKEY001", secret)
    where = {"region": "cn-north-4", "project_id": "4229d7a45436489f8c3dc2b1d35d4987", "endpoints": Endpoints(cbr=url, iam=url)}
    client = CbrClient(credentials, **where, retry_budget=60)
    try:
        next(client.list_vaults(page_size=1))
        return "ok"
    except CbrError as error:
        return f"{type(error).__name__} {error}"

go_in, go_out = os.pipe()
children = []
for _ in range(int(count)):
    if not (child := os.fork()):
        os.read(go_in, 1)
        os.write(1, (attempt() + chr(10)).encode())
        os._exit(0)
    children.append(child)
os.write(go_out, b"x" * len(children))
for child in children:
    os.waitpid(child, 0)
"""


def run_processes(url: str, kind: str, secret: str, count: int = 1) -> list[str]:
    """Let processes try a secret at the same moment; return what each of them met."""
    return run_python("-c", PROGRAM, url, kind, secret, str(count)).splitlines()


@pytest.fixture
def served() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


RIGHT = {"password": "emulator-password", "key": "emulator-secret-key-for-local-use-only"}


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["password", pytest.param("key", marks=pytest.mark.full)])
def test_forty_processes_with_a_wrong_secret_do_not_lock_the_login_and_a_right_one_goes_through(kind: str, served: EmulatorServer) -> None:
    met = run_processes(served.url, kind, "wrong", 40)
    assert len(met) == 40
    assert all(line.startswith("CbrAuthenticationError") for line in met), met
    user = served.emulator.service.iam.users["backup-bot"]
    failures = user.password_failures if kind == "password" else user.signature_failures
    assert 1 <= failures <= LIMIT
    assert (user.password_locked_until, user.keys_locked_until) == (0.0, 0.0)
    assert sum("This machine does not try it again" in line for line in met) == 40 - failures
    assert run_processes(served.url, kind, RIGHT[kind]) == ["ok"]
    assert "wrong" not in "".join(file.read_text() for file in files())


@pytest.mark.campaign
def test_processes_with_the_right_password_all_go_through(served: EmulatorServer) -> None:
    assert run_processes(served.url, "password", RIGHT["password"], 40) == ["ok"] * 40
