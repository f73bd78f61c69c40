"""The password flow against a real OpenStack Keystone: logging in, keeping a token, and losing it in the middle of the work."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import tokens
from airflow_cbr.api.auth import PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.exceptions import CbrAuthenticationError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator
from airflow_cbr.replication.steps import Step
from tests.support.emulator import EmulatorServer
from tests.support.keystone import ACCOUNT, Keystone, Person, installed
from tests.support.task_run import IDS, TaskRun, set_password_connection
from tests.support.token_gate import TokenGate

if TYPE_CHECKING:
    from collections.abc import Iterator

# The installation, on first use, is part of the first test.
pytestmark = pytest.mark.timeout(900)

HOME, THERE = "cn-north-4", "cn-shenzhen-1"


@pytest.fixture(scope="session")
def keystone(real_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    python = installed(real_environment)
    # Its files lie in a folder whose name has a space in it.
    server = Keystone(python, tmp_path_factory.mktemp("a keystone"), [HOME, THERE])
    with server.running():
        yield server


@pytest.fixture
def emulator(keystone: Keystone) -> Iterator[EmulatorServer]:
    with EmulatorServer(keystone.world()) as server:
        yield server


@pytest.fixture
def gate(keystone: Keystone, emulator: EmulatorServer) -> Iterator[TokenGate]:
    with TokenGate(emulator.url, keystone.token_of) as server:
        yield server


@pytest.fixture
def person(keystone: Keystone) -> Person:
    return keystone.new_person(regions=[HOME])


def client_of(keystone: Keystone, gate: TokenGate, person: Person, *, iam_url: str = "", region: str = HOME, **options: Any) -> CbrClient:
    return CbrClient(
        PasswordCredentials(person.name, options.pop("password", person.password), options.pop("account", ACCOUNT)),
        region=region,
        endpoints=Endpoints(cbr=gate.url, iam=iam_url or keystone.url),
        **options,
    )


def token_calls_during(keystone: Keystone, act: Any) -> list[int]:
    before = len(keystone.token_calls())
    act()
    return keystone.token_calls()[before:]


# --- logging in -----------------------------------------------------------------------------------------------------------


def test_a_token_is_scoped_to_the_project_that_is_given_by_its_id(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    client = client_of(keystone, gate, person, project_id=keystone.projects[HOME])
    assert [vault.name for vault in client.list_vaults()] == ["vault-nightly"]
    (token,) = gate.tokens
    judged = keystone.token_of(token)
    assert judged is not None
    assert judged["project"]["id"] == keystone.projects[HOME]
    assert judged["user"]["name"] == person.name


def test_the_project_is_found_by_the_name_of_the_region_and_the_account(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    client = client_of(keystone, gate, person)
    assert client.project_id == keystone.projects[HOME]
    assert [vault.name for vault in client.list_vaults()] == ["vault-nightly"]


def test_each_region_gets_a_token_of_its_own_project(keystone: Keystone, gate: TokenGate) -> None:
    person = keystone.new_person()
    here = client_of(keystone, gate, person)
    there = client_of(keystone, gate, person, region=THERE, home_region=HOME)
    assert (here.project_id, there.project_id) == (keystone.projects[HOME], keystone.projects[THERE])
    assert [vault.name for vault in there.list_vaults()] == ["vault-replicas"]


def test_one_token_serves_all_calls_of_all_clients_in_the_process(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    def work() -> None:
        for _ in range(2):
            client = client_of(keystone, gate, person)
            assert len(list(client.list_vaults())) == 1
            assert len(list(client.list_backups())) == 3

    assert token_calls_during(keystone, work) == [201]
    assert len(gate.tokens) == 1
    assert len(gate.statuses()) >= 4


def test_threads_that_start_together_log_in_once(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    def work() -> None:
        threads = [threading.Thread(target=lambda: list(client_of(keystone, gate, person).list_vaults())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert token_calls_during(keystone, work) == [201]
    assert len(gate.statuses()) >= 4
    assert set(gate.statuses()) == {200}


# --- what Keystone refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"password": "not the password"}, id="password"),
        pytest.param({"account": "no-such-account"}, id="account"),
        pytest.param({"project_id": "f" * 32}, id="project id"),
        pytest.param({"region": "cn-nowhere-9"}, id="region without a project"),
        pytest.param({"region": THERE}, id="project that the user may not use"),
    ],
)
def test_a_refused_login_is_an_authentication_error_after_exactly_one_try(
    keystone: Keystone, gate: TokenGate, person: Person, wrong: dict[str, Any]
) -> None:
    client = client_of(keystone, gate, person, **wrong)

    def fail() -> None:
        with pytest.raises(CbrAuthenticationError) as caught:
            next(client.list_vaults(), None)
        assert caught.value.http_status == 401
        assert caught.value.permanent
        for secret in (person.password, "not the password"):
            assert secret not in str(caught.value)
            assert secret not in repr(caught.value)

    assert token_calls_during(keystone, fail) == [401]
    assert gate.seen == []


# --- a token's end ------------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_before_it_expires(keystone: Keystone, gate: TokenGate, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(keystone, gate, person)
    assert token_calls_during(keystone, lambda: list(client.list_vaults())) == [201]
    # Keystone's tokens live 3600 seconds, of which the last 360 are not used.
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 - 360 - 60))
    assert token_calls_during(keystone, lambda: list(client.list_vaults())) == []
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 - 60))
    assert token_calls_during(keystone, lambda: list(client.list_vaults())) == [201]
    first, second = gate.tokens
    assert first != second
    assert keystone.token_of(first) is not None, "the first token was given up while it was still good"
    assert set(gate.statuses()) == {200}


def wait_until(condition: Any, limit: float) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"did not become true within {limit:g} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def short_lived(keystone: Keystone) -> Iterator[str]:
    """Serve tokens that live for four seconds."""
    with keystone.with_tokens_of(4) as url:
        yield url


def test_a_token_that_expires_in_the_middle_costs_one_login_and_no_error(
    keystone: Keystone, gate: TokenGate, person: Person, short_lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(keystone, gate, person, iam_url=short_lived)
    assert next(client.list_vaults()).name == "vault-nightly"
    token = gate.tokens[-1]
    # The worst case: by this machine's clock no time passes, and the token is still good.
    standstill = time.monotonic()
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: standstill))
    wait_until(lambda: keystone.token_of(token) is None, 30)
    before = len(gate.seen)
    assert token_calls_during(keystone, lambda: next(client.list_vaults())) == [201]
    assert gate.statuses()[before:] == [401, 200]


def test_work_that_outlives_its_token_goes_through(keystone: Keystone, gate: TokenGate, person: Person, short_lived: str) -> None:
    client = client_of(keystone, gate, person, iam_url=short_lived)
    assert next(client.list_vaults()).name == "vault-nightly"
    first = gate.tokens[0]

    def work() -> bool:
        assert next(client.list_vaults()).name == "vault-nightly"
        return keystone.token_of(first) is None and len(gate.tokens) > 1

    wait_until(work, 60)


def test_a_revoked_token_costs_one_login_and_no_error(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    client = client_of(keystone, gate, person)
    assert len(list(client.list_vaults())) == 1
    keystone.revoke(gate.tokens[0])
    before = len(gate.seen)
    assert token_calls_during(keystone, lambda: next(client.list_vaults())) == [201]
    assert gate.statuses()[before:] == [401, 200]


def test_a_password_that_changes_in_the_middle_ends_in_one_refused_login(keystone: Keystone, gate: TokenGate, person: Person) -> None:
    client = client_of(keystone, gate, person)
    assert len(list(client.list_vaults())) == 1
    keystone.change_password(person, "another password")

    def fail() -> None:
        with pytest.raises(CbrAuthenticationError):
            next(client.list_vaults())

    before = len(gate.seen)
    assert token_calls_during(keystone, fail) == [401]
    assert gate.statuses()[before:] == [401], "nothing is sent with a token that was not renewed"


# --- hook and operator --------------------------------------------------------------------------------------------------------


def connect(monkeypatch: pytest.MonkeyPatch, keystone: Keystone, gate: TokenGate, person: Person, **extra: Any) -> None:
    password = extra.pop("password", person.password)
    set_password_connection(
        monkeypatch, gate.url, login=person.name, password=password, domain_name=ACCOUNT, iam_endpoint=keystone.url, **extra
    )


def test_the_connection_test_says_what_keystone_says(
    keystone: Keystone, gate: TokenGate, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, keystone, gate, person)
    assert CbrHook().test_connection() == (True, f"CBR in {HOME} answers for project {keystone.projects[HOME]}.")
    connect(monkeypatch, keystone, gate, person, password="not the password")
    works, message = CbrHook().test_connection()
    assert not works
    assert "401" in message
    assert "password" in message
    assert "not the password" not in message


def test_a_token_revoked_during_the_replicate_call_and_the_wait_copies_once(
    keystone: Keystone, gate: TokenGate, emulator: EmulatorServer, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, keystone, gate, person)
    emulator.control.switch(queue_seconds=0, copy_seconds=0.5)

    class Interrupted(CbrReplicateCheckpointOperator):
        def at_step(self, step: Step, moment: str) -> None:
            if (step, moment) in ((Step.REPLICATE_VAULT, "before"), (Step.REPLICATE_VAULT, "after")):
                keystone.revoke(gate.tokens[-1])

    ids = IDS | {"destination_project_id": keystone.projects[THERE]}
    run = TaskRun(Interrupted(task_id="replicate", **ids, poll_interval=0.2, max_poll_interval=0.5, settle_time=1))
    record_ids = run.attempt()
    assert gate.statuses("/checkpoints/replicate") == [401, 200]
    ledger = emulator.control.ledger()
    assert [call["outcome"] for call in ledger["calls"]] == ["accepted"]
    assert sorted(entry["record_id"] for entry in ledger["replications"]) == record_ids
    assert {entry["outcome"] for entry in ledger["replications"]} == {"success"}
    assert ledger["duplicates"] == []
    assert len(gate.tokens) >= 3
