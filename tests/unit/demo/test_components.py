"""Processes of the demo: started with all they start, stopped the same way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_cbr.demo.components import Component, stop_all
from airflow_cbr.demo.process_reaper import ProcessReaper
from airflow_cbr.demo.sessions import session_members
from airflow_cbr.demo.waiting import DemoError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# As Airflow does it: a child in a process group of its own, and a parent that cannot take it along when it is killed.
PARENT_OF_A_GROUP = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], process_group=0)
print(child.pid, flush=True)
time.sleep(300)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"


@pytest.fixture
def make_component(tmp_path: Path) -> Iterator[Callable[[str], Component]]:
    made: list[Component] = []

    def make(program: str) -> Component:
        log = tmp_path / f"{len(made)}.log"
        made.append(Component("part", [sys.executable, "-c", program], environment=os.environ, directory=tmp_path, log=log))
        return made[-1]

    yield make
    for component in made:
        component.kill()


def _first_line(component: Component) -> str:
    return wait_until(lambda: component.log.read_text().strip() or None, limit=30, what="output", check=component.check)


def test_kill_takes_a_child_in_another_process_group(make_component: Callable[[str], Component]) -> None:
    component = make_component(PARENT_OF_A_GROUP)
    component.start()
    child = int(_first_line(component))
    assert os.getpgid(child) != os.getpgid(component.pid)
    assert sorted(component.members()) == sorted([component.pid, child])

    component.kill()

    assert component.members() == []
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_stop_finds_what_a_dead_parent_has_left(make_component: Callable[[str], Component]) -> None:
    component = make_component(PARENT_OF_A_GROUP)
    component.start()
    child = int(_first_line(component))
    os.kill(component.pid, signal.SIGKILL)
    wait_until(lambda: component.exit_code is not None, limit=10, what="the parent is gone")
    assert component.members() == [child]

    stop_all([component], grace=0.2)

    assert component.members() == []


@pytest.mark.campaign
def test_what_is_started_again_after_a_kill_is_stopped_again(make_component: Callable[[str], Component]) -> None:
    component = make_component(PARENT_OF_A_GROUP)
    component.start()
    component.kill()
    component.start()
    component.check()
    wait_until(lambda: len(component.members()) == 2, limit=30, what="its child is there", check=component.check)

    stop_all([component], grace=5)

    assert component.members() == []


def test_stop_asks_in_the_words_of_the_program(tmp_path: Path) -> None:
    program = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(300)"
    command = [sys.executable, "-c", program]
    log = tmp_path / "log"
    component = Component("part", command, environment=os.environ, directory=tmp_path, log=log, stop_signal=signal.SIGINT)
    component.start()
    _first_line(component)

    stop_all([component], grace=30)

    assert component.exit_code == 7


def test_stop_kills_a_process_that_ignores_sigterm(make_component: Callable[[str], Component]) -> None:
    component = make_component(DEAF)
    component.start()
    _first_line(component)

    stop_all([component], grace=0.3)

    assert component.exit_code == -signal.SIGKILL


def test_stop_lets_a_process_end_by_itself(make_component: Callable[[str], Component]) -> None:
    program = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(300)"
    component = make_component(program)
    component.start()
    _first_line(component)

    stop_all([component], grace=30)

    assert component.exit_code == 7


def test_check_reports_a_death_with_the_end_of_the_output(make_component: Callable[[str], Component]) -> None:
    component = make_component("print('the reason'); raise SystemExit(3)")
    component.start()
    wait_until(lambda: component.exit_code is not None, limit=30, what="the end")

    with pytest.raises(DemoError, match=r"part ended with exit code 3[\s\S]*the reason"):
        component.check()


def test_a_stopped_component_is_not_reported_dead(make_component: Callable[[str], Component]) -> None:
    component = make_component("import time; time.sleep(300)")
    component.start()
    stop_all([component])

    component.check()


def test_a_component_that_never_started_can_be_stopped(make_component: Callable[[str], Component]) -> None:
    component = make_component("")

    stop_all([component])

    assert component.members() == []
    assert component.tail() == ""
    with pytest.raises(DemoError, match="was not started"):
        _ = component.pid


def test_a_program_that_is_not_there_is_a_demo_error(tmp_path: Path) -> None:
    component = Component("part", [str(tmp_path / "nothing")], environment={}, directory=tmp_path, log=tmp_path / "log")

    with pytest.raises(DemoError, match="part cannot be started"):
        component.start()


def test_the_end_of_the_output_can_leave_noise_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    component = Component("part", [], environment={}, directory=tmp_path, log=log)
    log.write_text("first\nthe reason\n" + "noise again\n" * 50)

    assert component.tail(1, without="noise") == "the reason"


STARTS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from airflow_cbr.demo.components import Component

component = Component("part", [sys.executable, "-c", sys.argv[1]], environment=os.environ, directory=Path("."), log=Path("part.log"))
component.start()
print(component.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_program_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS_AND_IS_KILLED, PARENT_OF_A_GROUP], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == -signal.SIGKILL
    session = int(done.stdout)
    wait_until(lambda: not session_members(session), limit=30, what="the keeper kills what was started")


def test_what_has_ended_is_released_since_its_id_may_be_used_again(make_component: Callable[[str], Component]) -> None:
    component = make_component("")
    component.start()
    released: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessReaper, "release", lambda _, session: released.append(session))
        stop_all([component])

    assert released == [component.pid]
