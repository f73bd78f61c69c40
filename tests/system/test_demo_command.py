"""``airflow-cbr demo`` as a user runs it: to the verdict, stopped half-way, with the web page, and on a taken port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.rest import AirflowApi
from airflow_cbr.demo.scenario import DAG_ID
from airflow_cbr.demo.waiting import wait_until
from tests.support.airflow_processes import family, living
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Command:
    """A running ``airflow-cbr`` command, and the folder in which it makes its temporary files."""

    def __init__(self, arguments: Sequence[str], folder: Path, python: str) -> None:
        self.temporary = folder / "temporary files"
        self.temporary.mkdir()
        self._output = folder / "output.log"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [python, "-m", "airflow_cbr.cli", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"},
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, *, limit: float) -> None:
        def check() -> None:
            assert self.process.poll() is None, self.output

        wait_until(lambda: text in self.output, limit=limit, what=f"{text!r} in the output", check=check)

    def leftovers(self) -> list[str]:
        return [path.name for path in self.temporary.iterdir()]


@contextmanager
def running(arguments: Sequence[str], folder: Path, python: str = sys.executable) -> Iterator[Command]:
    command = Command(arguments, folder, python)
    try:
        yield command
    finally:
        command.process.terminate()
        command.process.wait(60)


@pytest.fixture
def python_in_a_folder_with_a_space(tmp_path: Path) -> str:
    """Return an interpreter of a virtual environment whose path has a space in it, with the packages of the running one."""
    place = tmp_path / "virtual environment"
    venv.create(place, with_pip=False, symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    # Not a plain path: site.addsitedir also reads the files by which editable installs are found.
    with open(os.path.join(packages, "shared.pth"), "w") as file:
        file.write(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return str(place / "bin" / "python")


def test_the_demo_verifies_three_copies_with_each_way_to_authenticate(tmp_path: Path) -> None:
    with running(["demo"], tmp_path) as command:
        code = command.process.wait(240)

        assert code == 0, command.output
    assert command.output.count("VERIFIED: 3 of 3 backups are in cn-shenzhen-1, each copied once.") == 2
    assert "NOT VERIFIED" not in command.output
    for name in ("nightly-ecs-web-01", "nightly-ecs-app-01", "nightly-ecs-db-01"):
        assert command.output.count(f"{name}  success  100 %") == 2
    assert "Where to go next" in command.output
    assert command.leftovers() == []


@pytest.mark.full
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_leaves_neither_a_process_nor_a_file(tmp_path: Path, signum: signal.Signals) -> None:
    with running(["demo", "--auth", "aksk"], tmp_path) as command:
        command.wait_for("waiting_replicate", limit=120)
        processes = family(command.process.pid)
        assert len(processes) >= 3, "the command, the emulator and Airflow"

        command.process.send_signal(signum)
        code = command.process.wait(60)

    assert code == 128 + signum
    assert command.output.splitlines()[-1] == f"airflow-cbr: stopped by {signum.name}; all processes are stopped"
    assert living(processes) == []
    assert command.leftovers() == []


@pytest.mark.full
def test_the_web_page_serves_and_runs_and_stops_from_folders_with_a_space(tmp_path: Path, python_in_a_folder_with_a_space: str) -> None:
    with running(["demo", "--ui"], tmp_path, python_in_a_folder_with_a_space) as command:
        command.wait_for("Ctrl-C stops everything.", limit=240)
        (address,) = [line.split()[3] for line in command.output.splitlines() if line.startswith("Airflow is ready:")]
        run = trigger(AirflowApi(address), DAG_ID)
        run.wait_for_task("replicate", "running", limit=90)
        assert f"{address}/plugin/cbr-replication" in command.output
        assert AirflowApi(address).request("GET", "dags/cbr_audit/dagRuns")["total_entries"] == 1
        processes = family(command.process.pid)
        assert any("airflow worker -- " in line for line in living(processes)), "the process of the running task is among them"
        assert run.wait(limit=180) == "success"
        assert run.xcom("verify")["verdict"] == "verified"

        command.process.send_signal(signal.SIGINT)
        code = command.process.wait(90)

    assert code == 0
    assert living(processes) == []
    assert command.leftovers() == []


def test_a_taken_port_is_one_line_and_no_hang(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with running(["demo", "--ui", "--port", str(port)], tmp_path) as command:
            code = command.process.wait(30)

    assert code == 1
    assert (
        command.output.strip()
        == f"airflow-cbr: port {port} of 127.0.0.1 cannot be used: address already in use; choose another with --port"
    )
    assert command.leftovers() == []
