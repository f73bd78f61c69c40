"""The stack with Celery says what is missing before it starts anything, and make starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.waiting import DemoError
from tests.support import explore_celery
from tests.support.celery_stack import CeleryStack
from tests.support.makefile import make_plan
from tests.support.servers import PostgreSQL, Redis, Server, need

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.support.servers.DEBIAN", str(tmp_path))


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("servers", [(PostgreSQL,), (Redis,), (PostgreSQL, Redis)])
def test_all_packages_that_are_missing_are_named(servers: tuple[type[Server], ...]) -> None:
    with pytest.raises(DemoError) as caught:
        need(*servers)
    assert str(caught.value).endswith(f"apt-get install {' '.join(server.package for server in servers)}")


@pytest.mark.usefixtures("nothing_installed")
def test_the_stack_starts_nothing_then(tmp_path: Path) -> None:
    stack = CeleryStack([tmp_path])
    with pytest.raises(DemoError, match="postgresql redis-server"):
        stack.start()
    assert stack.components == {}


@pytest.mark.usefixtures("nothing_installed")
def test_the_command_says_it_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert explore_celery.main() == 1
    assert capsys.readouterr().err.strip().splitlines() == [
        "airflow-cbr: not installed: postgresql, redis-server. On Debian and Ubuntu: apt-get install postgresql redis-server"
    ]


def test_the_vaults_to_look_at_are_those_of_the_emulator() -> None:
    world, vaults = explore_celery.many_vaults(3)
    known = {vault.id for vault in world.vaults}
    assert len(vaults) == 3
    assert {vault[name] for vault in vaults for name in ("vault_id", "destination_vault_id")} <= known


def test_make_starts_it_and_runs_its_tests_in_a_virtual_environment_of_their_own() -> None:
    assert ".venv-celery/bin/python -m tests.support.explore_celery" in make_plan("stack-celery")
    command = ".venv-celery/bin/python -m pytest tests/system/celery --vaults {}"
    assert command.format(20) in make_plan("test-celery", "VAULTS=20")
    for plan in (make_plan("--always-make", "test-celery"), make_plan("--always-make", "test-full")):
        assert command.format(200) in plan
        assert "make-venv.sh .venv-celery test,celery -c constraints.txt" in plan
