"""Deferred waits among people, neighbours and tokens that expire. All cases begin at once, each with a service of its own.

A copy takes an hour of the service's time, and that passes when the test says so: nothing ends before the test has seen what it wants.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_cbr.api.auth import AkSkCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.demo.scenario import DESTINATION_REGION
from airflow_cbr.emulator.world import SOURCE_PROJECT, default_world
from tests.support.airflow_batches import connection, trigger_together
from tests.support.deferred_runs import COPY, DeferredRun
from tests.support.emulated_vaults import make_vaults
from tests.support.emulator import EmulatorServer
from tests.support.keystone import Keystone, installed
from tests.support.token_gate import TokenGate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulated_vaults import VaultPair

# The installation of Keystone, where that was not done yet, is part of the first test.
pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

REGION = "cn-north-4"
TOKEN_SECONDS = 4
#: Before Airflow 3.3 nothing of a deferred task runs when somebody marks or clears it: it has said so beforehand.
KEEPS_RUNNING = (
    "CBR cannot cancel copies; these replication records keep running: "
    if Version(airflow_version) >= Version("3.3")
    else "These replication records keep running in CBR even if the task is stopped: "
)


@pytest.fixture(scope="module")
def keystone(real_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    server = Keystone(installed(real_environment), tmp_path_factory.mktemp("keystone"), [REGION, DESTINATION_REGION])
    with server.running():
        yield server


@pytest.fixture(scope="module")
def guarded(keystone: Keystone) -> Iterator[tuple[EmulatorServer, TokenGate]]:
    """Return a service, and the gate before it at which Keystone judges every token."""
    with EmulatorServer(keystone.world()) as emulator, TokenGate(emulator.url, keystone.token_of) as gate:
        yield emulator, gate


@pytest.fixture(scope="module")
def cases(
    stack: AirflowStack, keystone: Keystone, guarded: tuple[EmulatorServer, TokenGate], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, DeferredRun]]:
    """Begin every case."""
    folder = tmp_path_factory.mktemp("scars")
    with ExitStack() as services:
        emulators = {name: services.enter_context(EmulatorServer()) for name in ("marked", "cleared", "tokens", "shared")}
        emulators["tokens"].control.switch(token_seconds=TOKEN_SECONDS)
        connections: dict[str, dict[str, Any]] = {name: {"url": emulator.url} for name, emulator in emulators.items()}
        connections["tokens"]["auth"] = "password"

        emulators["keystone"], gate = guarded
        person = keystone.new_person(regions=[REGION])
        connections["keystone"] = {
            "url": gate.url,
            "auth": "password",
            "who": (person.name, person.password),
            "iam_endpoint": services.enter_context(keystone.with_tokens_of(TOKEN_SECONDS)),
            "project_id": keystone.projects[REGION],
        }

        pairs, orders = {}, []
        for name, emulator in emulators.items():
            emulator.control.switch(queue_seconds=0, copy_seconds=COPY)
            projects = [keystone.projects[region] for region in (REGION, DESTINATION_REGION)] if name == "keystone" else []
            pairs[name] = pair = make_vaults(emulator.control, *projects, backups=2)
            params = {"cbr_conn_id": services.enter_context(connection(stack.api, f"cbr_{name}", **connections[name]))}
            if name == "shared":
                orders.append(("shared_wait", {**params, "vault_id": pair.source, "records": replicate(emulator, pair)}))
            else:
                orders.append(("killed_replication_deferrable", {**params, **pair.params(), "scars": str(folder / name)}))
        runs = trigger_together(stack.api, orders)
        yield {name: DeferredRun(pairs[name], run, stack) for name, run in zip(emulators, runs, strict=True)}


def replicate(emulator: EmulatorServer, pair: VaultPair) -> list[str]:
    """Replicate a vault of two backups, of which the second is copied when the first one has ended; return their records in that order."""
    first, second = pair.backups
    emulator.control.fault("copy_waits", backup_id=second, seconds=COPY)
    user = default_world().users[0]
    client = CbrClient(
        AkSkCredentials(user.access_key, user.secret_key),
        region=REGION,
        project_id=SOURCE_PROJECT,
        endpoints=Endpoints(cbr=emulator.url, iam=emulator.url),
    )
    params: dict[str, Any] = pair.params()
    records = {one.backup_id: one.replication_record_id for one in client.replicate_checkpoint(**params).references}
    client.close()
    return [records[first], records[second]]


def test_a_deferred_task_that_is_marked_failed_says_what_goes_on_and_can_be_picked_up(cases: dict[str, DeferredRun]) -> None:
    case = cases["marked"]
    case.until_a_triggerer_looks()

    case.run.mark("replicate", "failed")

    assert case.run.wait() == "failed"
    line = case.until_logged(KEEPS_RUNNING, tries=1)
    assert sorted(line.partition(KEEPS_RUNNING)[2].split(", ")) == case.records()

    case.run.clear("replicate")

    case.let_the_copies_end(tries=2)


def test_a_deferred_task_that_is_cleared_says_what_goes_on_and_waits_for_the_same_copies_again(cases: dict[str, DeferredRun]) -> None:
    case = cases["cleared"]
    case.until_a_triggerer_looks()
    records = case.run.xcom("replicate")

    case.run.clear("replicate")

    line = case.until_logged(KEEPS_RUNNING, tries=1)
    assert sorted(line.partition(KEEPS_RUNNING)[2].split(", ")) == sorted(records)
    case.until_a_triggerer_looks(tries=2)
    assert sorted(case.run.xcom("replicate")) == sorted(records)

    case.let_the_copies_end(tries=2)


def test_the_second_wait_of_a_vault_goes_on_when_the_first_has_ended_and_each_logs_for_itself(cases: dict[str, DeferredRun]) -> None:
    case = cases["shared"]
    for task_id in ("first", "second"):
        case.until_a_triggerer_looks(task_id)
    case.until_logged("1 waiting", "second")

    case.pair.control.advance(COPY)

    case.run.wait_for_task("first", "success")
    log_of_first = case.run.log("first")
    assert "1/1 replicated" in log_of_first

    case.pair.control.advance(COPY / 2)

    # A deferred task has no other process than the triggerer to say this.
    case.until_logged("0/1 replicated, 1 replicating (5", "second")
    assert case.run.task("second")["state"] == "deferred"
    assert case.run.log("second").count("Deferring the task") == 1, "it has not been woken for the end of the other one"
    assert case.run.log("first") == log_of_first
    assert "1 waiting" not in log_of_first

    case.pair.control.advance(COPY)

    assert case.run.wait() == "success"
    assert case.pair.posts() == 1


def test_a_deferred_wait_outlives_its_tokens(cases: dict[str, DeferredRun]) -> None:
    case = cases["tokens"]
    case.until_a_triggerer_looks()
    control = case.pair.control

    def token_calls() -> int:
        return control.requests()["KeystoneCreateUserTokenByPassword"]

    case.until(lambda: token_calls() >= 5, "five tokens are asked for; the task itself has needed two at most")
    # By the service's clock the token is dead long before it is to be renewed.
    control.switch(token_seconds=COPY / 4)
    before = token_calls()
    case.until(lambda: token_calls() > before, "a token of a quarter of an hour is asked for")
    before = token_calls()
    control.advance(COPY / 2)
    case.until(lambda: token_calls() > before, "it is replaced when it is refused")
    assert case.run.task("replicate")["state"] == "deferred"

    case.let_the_copies_end()

    assert "could not be read" not in case.run.log("replicate")


def test_a_deferred_wait_outlives_the_tokens_of_a_real_keystone(
    cases: dict[str, DeferredRun], keystone: Keystone, guarded: tuple[EmulatorServer, TokenGate]
) -> None:
    case, (_, gate) = cases["keystone"], guarded
    case.until_a_triggerer_looks()
    case.until(lambda: len(gate.tokens) >= 5, "five tokens come; the task itself has needed two at most")
    assert keystone.token_of(gate.tokens[2]) is None, "Keystone has let it expire"
    assert case.run.task("replicate")["state"] == "deferred"

    case.let_the_copies_end()

    assert gate.statuses()[-1] == 200
    assert "could not be read" not in case.run.log("replicate")
