"""What every test run gets: an Airflow of its own, a home directory of its own, and no silent skips.

This file is read before any test module is imported, and Airflow reads its environment when it is imported. So the environment is set
here, at import time, once in each pytest process: workers of pytest-xdist have their own directories and share nothing.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.exclusively import alone_in

# A hook of pytest-xdist: it is found by its name in this file.
from tests.support.worker_groups import pytest_xdist_make_scheduler  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import Browser
    from xdist.workermanage import WorkerController

# No test depends on the clock: 200 ms for an example, and a second to make some, are nothing on a busy machine.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
# For `make test-unit`: a tenth of the examples, where a test does not say how many it needs.
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("untimed"), max_examples=10)

REPOSITORY = Path(__file__).resolve().parent.parent

#: Tests that may be skipped (patterns of node ids) and why. Any other skip fails the run: a skipped test proves nothing.
ALLOWED_SKIPS: dict[str, str] = {}

_REAL_ENVIRONMENT = dict(os.environ)
_DIRECTORY = Path(tempfile.mkdtemp(prefix="airflow-cbr-tests-"))


def _isolate() -> None:
    for name in list(os.environ):
        # A developer's own Airflow, Huawei Cloud key or proxy must not decide what a test sees.
        if name.startswith(("AIRFLOW_", "_AIRFLOW_", "HUAWEICLOUD_")) or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            del os.environ[name]
    home = _DIRECTORY / "home"
    (home / "airflow").mkdir(parents=True)
    os.environ["HOME"] = str(home)
    os.environ["AIRFLOW_CBR_LANGUAGE"] = "en"
    os.environ["CBR_REFUSALS_DIRECTORY"] = str(_DIRECTORY / "refusals")
    os.environ["AIRFLOW_HOME"] = str(home / "airflow")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
    # Airflow reads this once in a process, so the tests that need a folder of their own cannot set it later. Each example has a bundle to
    # itself, since dag.test() reads all of its Dag's bundle anew at every run.
    folders = {"integration": REPOSITORY / "tests" / "integration" / "dags"}
    for example in sorted((REPOSITORY / "dags").glob("*.py")):
        folders[example.stem] = _DIRECTORY / "bundles" / example.stem
        folders[example.stem].mkdir(parents=True)
        shutil.copy(example, folders[example.stem])
    bundles = [
        {"name": name, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": str(folder)}}
        for name, folder in folders.items()
    ]
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)


_isolate()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the long runs ask for."""
    parser.addoption("--vaults", type=int, default=200, help="vaults of a night of tests/system/celery (default: %(default)s)")
    parser.addoption("--chart", type=Path, help="Airflow's official Helm chart, for tests/system/kubernetes (default: %(default)s)")
    parser.addoption("--postgresql", action="store_true", help="give the real Airflow of tests/system a PostgreSQL server, not SQLite")


def pytest_configure_node(node: WorkerController) -> None:
    # A worker inherits the isolated environment, so it is told the real one.
    node.workerinput["real_environment"] = _REAL_ENVIRONMENT


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_DIRECTORY, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


def _allowed(node_id: str) -> bool:
    return any(fnmatch.fnmatch(node_id, pattern) for pattern in ALLOWED_SKIPS)


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not _allowed(report.nodeid):
        reason = getattr(report, "wasxfail", None) or (report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and is not in ALLOWED_SKIPS of tests/conftest.py: {reason}"
        report.__dict__.pop("wasxfail", None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.fixture(scope="session")
def real_environment(pytestconfig: pytest.Config) -> dict[str, str]:
    """Return the environment as the session found it: for installing packages, which needs the user's caches and settings."""
    workerinput = getattr(pytestconfig, "workerinput", {})
    return dict(workerinput.get("real_environment", _REAL_ENVIRONMENT))


@pytest.fixture(scope="session")
def airflow_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give this process an Airflow metadata database, and return its AIRFLOW_HOME. It is migrated once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    migrated = (base if worker_id == "master" else base.parent) / "migrated-database"
    home = Path(os.environ["AIRFLOW_HOME"])
    with alone_in(migrated.parent):
        if not migrated.exists():
            subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL, timeout=240)
            # Not its configuration, which names the folder.
            shutil.copytree(home, migrated, ignore=lambda _, names: [name for name in names if not name.endswith(".db")])
    shutil.copytree(migrated, home, dirs_exist_ok=True)
    return home


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a headless Chromium for the tests of a module.

    No longer: while it runs, Playwright's event loop counts as the running one, and ``asyncio.run`` of another test would refuse.
    """
    from tests.support.browser import running_browser

    with running_browser() as running:
        yield running


@pytest.fixture(autouse=True)
def _a_machine_that_has_refused_nobody() -> None:
    # Only where a login can have been tried: most tests load no client at all.
    if "airflow_cbr.api.auth" in sys.modules:
        from tests.support.fresh_machine import new_machine

        new_machine()


@pytest.fixture(autouse=True)
def _a_masker_that_knows_no_secret() -> None:
    # Airflow's masker never forgets, and compiles all secrets of a process into one expression at each new one: with the tokens of
    # thousands of tests that takes longer than the tests.
    for name in ("airflow.sdk._shared.secrets_masker.secrets_masker", "airflow._shared.secrets_masker.secrets_masker"):
        if (masker := sys.modules.get(name)) is not None:
            masker.reset_secrets_masker()


@pytest.fixture(autouse=True)
def _airflow_database_where_marked(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("db"):
        request.getfixturevalue("airflow_database")
