"""One Airflow with Celery, Redis and PostgreSQL for these tests, as `make stack-celery` starts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields, example_dags
from tests.support.celery_figures import Figures
from tests.support.celery_stack import CeleryStack
from tests.system.conftest import TEST_DAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.demo.emulator import EmulatorProcess

#: The figures of a run. What a fixture prints at its end is captured; the summary is not.
FIGURES = pytest.StashKey[Figures]()
#: What is lost is noticed sooner than with Airflow's own settings, in brackets.
SOONER = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # 300
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "120",  # 600
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",  # 120
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",  # 5
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",  # 30
}


@pytest.fixture(scope="session")
def stack(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryStack]:
    """Start it, with the connection of the example Dags and that of the tests' own."""
    fields = json.dumps({"conn_type": CONN_TYPE, **connection_fields("aksk", emulator.url)})
    with CeleryStack(
        [example_dags(), TEST_DAGS],
        environment={**SOONER, "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT": fields, "AIRFLOW_CONN_CBR_AKSK": fields},
        folder=tmp_path_factory.mktemp("airflow"),
    ) as running:
        yield running


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Return what collects the figures of the run, which are printed at its end."""
    return pytestconfig.stash.setdefault(FIGURES, Figures())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    collected = config.stash.get(FIGURES, None)
    if collected is not None:
        terminalreporter.section("Figures of this run")
        terminalreporter.write_line("\n".join(collected.lines))


@pytest.fixture(scope="session")
def vault_count(pytestconfig: pytest.Config) -> int:
    """Return how many vaults a night has: ``--vaults``."""
    return int(pytestconfig.getoption("vaults"))


@pytest.fixture
def limit(vault_count: int) -> Callable[[float], float]:
    """Return a function that gives a limit: so many seconds for each vault, and half an hour for a machine with much else to do."""

    def seconds(each: float) -> float:
        return 1800 + each * vault_count

    return seconds
