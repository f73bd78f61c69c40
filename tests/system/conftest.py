"""One real Airflow and one emulator for all system tests; each case has vaults of its own.

The tests that use the stack lie in ``stack/``, which is one group (see ``tests.support.worker_groups``), so that one worker of pytest-xdist
starts it, once. A test that wants many cases at once triggers them all and then waits for each: the stack runs 12 tasks at a time.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.demo.components import stop_all
from airflow_cbr.demo.emulator import EmulatorProcess
from airflow_cbr.demo.scenario import CONN_ID, CONN_TYPE, connection_fields, example_dags
from airflow_cbr.demo.stack import AirflowStack
from tests.support.airflow_processes import restart_scheduler_where_it_died
from tests.support.emulated_vaults import VaultPair, make_vaults
from tests.support.emulator import ControlClient
from tests.support.servers import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth

HERE = Path(__file__).parent
TEST_DAGS = HERE / "dags"
# These run in virtual environments of their own: see `make test-celery` and `make test-kubernetes`.
collect_ignore = [] if find_spec("airflow.providers") and find_spec("airflow.providers.celery") else ["celery"]
collect_ignore += [] if find_spec("kubernetes_validate") else ["kubernetes"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """Start the emulator with its default world; tests add what they need."""
    process = EmulatorProcess(tmp_path_factory.mktemp("emulator"))
    try:
        process.start()
        process.wait_until_ready()
        yield process
    finally:
        stop_all([process])


@pytest.fixture(scope="session")
def control(emulator: EmulatorProcess) -> Iterator[ControlClient]:
    client = ControlClient(emulator.url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Iterator[str | None]:
    """Return the address of the stack's database; None for SQLite, which needs nothing that is not there."""
    if pytestconfig.getoption("postgresql"):
        with PostgreSQL() as server:
            yield server.address
    else:
        yield None


@pytest.fixture(scope="session")
def stack(emulator: EmulatorProcess, database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """Start api-server, scheduler, Dag processor and triggerer, and give them the connections ``cbr_aksk`` and ``cbr_password``."""
    auths: tuple[Auth, ...] = ("aksk", "password")
    connections = {
        f"AIRFLOW_CONN_CBR_{auth.upper()}": json.dumps({"conn_type": CONN_TYPE, **connection_fields(auth, emulator.url)}) for auth in auths
    }
    # A lost triggerer is noticed within seconds.
    quick = {"AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1", "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6"}
    with AirflowStack(
        [example_dags(), TEST_DAGS],
        parallelism=12,
        pace=1.0,
        environment={**connections, **quick},
        database=database,
        folder=tmp_path_factory.mktemp("airflow"),
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def _live_scheduler(request: pytest.FixtureRequest) -> None:
    """Let a scheduler that died in one case not fail all that follow."""
    if "stack" in request.fixturenames:
        restart_scheduler_where_it_died(request.getfixturevalue("stack"))


@pytest.fixture
def api(stack: AirflowStack) -> AirflowApi:
    """Return the REST client, after a look whether every component still lives."""
    stack.check()
    return stack.api


@pytest.fixture
def vaults(control: ControlClient) -> Callable[..., VaultPair]:
    """Return a function that makes a source vault with backups, and a destination vault, for one case."""

    def make(**options: Any) -> VaultPair:
        return make_vaults(control, **options)

    return make


@pytest.fixture
def default_connection(api: AirflowApi, emulator: EmulatorProcess) -> Callable[[Auth], None]:
    """Return a function that makes, or replaces, the connection that the example Dags name."""

    def replace(auth: Auth) -> None:
        fields = connection_fields(auth, emulator.url)
        api.request("DELETE", f"connections/{CONN_ID}", absent_ok=True)
        api.create_connection(CONN_ID, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})

    return replace
