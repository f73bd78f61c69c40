"""``airflow-cbr demo``: the example Dag, run through Airflow against the emulator, once for each way to authenticate."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.components import Component, ended_with, stop_all
from airflow_cbr.demo.copies import CopyReader, CopyRow
from airflow_cbr.demo.dag_run import DagRunAnswer, DagRunRequest
from airflow_cbr.demo.display import CopyProgress, copy_blocks, make_console, verdict
from airflow_cbr.demo.emulator import EmulatorProcess
from airflow_cbr.demo.intervals import DEMO_INTERVAL, install_intervals
from airflow_cbr.demo.scenario import DAG_FILE, DAG_ID, DESTINATION_REGION, SOURCE_REGION, Auth, connection_variable, example_dags, params
from airflow_cbr.demo.stack import airflow_environment, migrate_database
from airflow_cbr.demo.waiting import DemoError, Stopped, StopSignals
from airflow_cbr.exceptions import CbrError
from airflow_cbr.languages import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

__all__ = ["judge", "next_steps", "program", "run_demo"]

#: A bound for a run that hangs: on a busy machine Airflow alone has taken five minutes to start a task.
RUN_LIMIT: Final = 900.0


def run_demo(auths: Sequence[Auth], language: str | None = None) -> int:
    """Run the demo and print it.

    :param auths: the ways to authenticate, one run for each.
    :param language: what ``--lang`` of this command was, for the commands to go on with. Default: it was not given.
    :return: exit code: 0 only when every copy of every run was verified; 1 otherwise; 128 + signal when stopped.
    """
    console = make_console()
    with StopSignals() as signals:
        try:
            verified = _run(auths, console, signals)
        except Stopped as stopped:
            print("airflow-cbr: " + translated("{stopped}; all processes are stopped", stopped=stopped), file=sys.stderr)
            return stopped.exit_code
        except (DemoError, CbrError) as error:
            print(f"airflow-cbr: {error}", file=sys.stderr)
            return 1
    if verified:
        console.print("\n" + next_steps(example_dags(), language), soft_wrap=True, markup=False)
    return 0 if verified else 1


def _run(auths: Sequence[Auth], console: Console, signals: StopSignals) -> bool:
    dags = example_dags()
    with tempfile.TemporaryDirectory(prefix="airflow-cbr-demo-") as folder:
        home = Path(folder).resolve()
        environment = airflow_environment(home, [dags])
        install_intervals(home, DEMO_INTERVAL)
        console.print(translated("Creating Airflow's database ..."))
        migrate_database(home, environment, check=signals.check)
        # Each run replicates three fresh backups: it gets an emulator of its own. All of them run, also after one that has failed.
        return all(_run_once(auth, home, environment, dags / DAG_FILE, console, signals) for auth in auths)


def _run_once(auth: Auth, home: Path, environment: dict[str, str], dag_file: Path, console: Console, signals: StopSignals) -> bool:
    request, answer = home / f"{auth}-request.json", home / f"{auth}-answer.json"
    request.write_text(json.dumps(asdict(DagRunRequest(str(dag_file), DAG_ID, params()))))
    emulator = EmulatorProcess(home)
    dag_run = Component(
        "Airflow",
        [sys.executable, "-P", "-m", "airflow_cbr.demo.dag_run", str(request), str(answer)],
        environment={**environment, **connection_variable(auth, emulator.url)},
        directory=home,
        log=home / f"{auth}-dag-run.log",
    )
    console.print("\n" + _title(auth), style="bold")
    console.print(translated("Airflow runs {dag_id} against the emulator at {url} ...", dag_id=DAG_ID, url=emulator.url))
    try:
        emulator.start()
        emulator.wait_until_ready(signals.check)
        dag_run.start()
        reader = CopyReader(emulator.url)
        try:
            _follow(reader, emulator, dag_run, console, signals)
            copies, started = reader.read(), reader.started()
        finally:
            reader.close()
    finally:
        stop_all([dag_run, emulator])
    if not answer.exists():
        raise DemoError(ended_with(dag_run.name, dag_run.exit_code, _end_of_log(dag_run)))
    outcome = DagRunAnswer(**json.loads(answer.read_text()))
    problems = judge(outcome, copies, started)
    console.print(copy_blocks(copies, DESTINATION_REGION), soft_wrap=True, markup=False)
    if problems:
        line = translated("NOT VERIFIED: {problems}", problems="; ".join(problems))
        console.print(verdict(line, "bold red"), soft_wrap=True)
        console.print(_end_of_log(dag_run), markup=False, soft_wrap=True)
        return False
    line = translated(
        "VERIFIED: {count} of {count} backups are in {region}, each copied once.", count=len(copies), region=DESTINATION_REGION
    )
    console.print(verdict(line, "bold green"), soft_wrap=True)
    return True


def _title(auth: Auth) -> str:
    ends = {"source": SOURCE_REGION, "destination": DESTINATION_REGION}
    if auth == "aksk":
        return translated("{source} to {destination}, requests signed with AK/SK", **ends)
    return translated("{source} to {destination}, an IAM token for user and password", **ends)


def _follow(reader: CopyReader, emulator: EmulatorProcess, dag_run: Component, console: Console, signals: StopSignals) -> None:
    deadline = time.monotonic() + RUN_LIMIT
    with CopyProgress(console) as progress:
        while dag_run.exit_code is None:
            signals.check()
            emulator.check()
            if time.monotonic() > deadline:
                said = translated("the Dag run did not end within {limit} s; the end of its output:", limit=f"{RUN_LIMIT:g}")
                raise DemoError(f"{said}\n{_end_of_log(dag_run)}")
            progress.show(reader.read())
            time.sleep(0.25)
        progress.show(reader.read())


def _end_of_log(dag_run: Component) -> str:
    # dag.test() says this once a second while a task waits for its retry, and buries the reason.
    return dag_run.tail(40, without="No tasks to run")


def judge(outcome: DagRunAnswer, copies: Sequence[CopyRow], started: Sequence[str]) -> list[str]:
    """Return why it is not true that every backup was copied once and verified by the run; an empty list if it is true.

    :param outcome: what Airflow says about the run.
    :param copies: what the service says at both ends.
    :param started: backup ids of the replications that the service has started.
    """
    problems = []
    if outcome.state != "success":
        bad = ", ".join(f"{task}: {state}" for task, state in outcome.tasks.items() if state != "success")
        problems.append(translated("the Dag run is {state} ({tasks})", state=outcome.state, tasks=bad))
    verdicts = outcome.verdicts()
    if not verdicts:
        problems.append(translated("no task of the run returned a verdict"))
    own = [str(said["verdict"]) for said in verdicts]
    problems += [translated("the run's own verdict is {verdict}", verdict=one) for one in own if one != "verified"]
    if not copies:
        problems.append(translated("there is no backup"))
    problems += [translated("{name} is not at the destination", name=copy.name) for copy in copies if not copy.arrived]
    again = {backup: times for backup, times in Counter(started).items() if times > 1}
    problems += [translated("backup {backup} was copied {times} times", backup=backup, times=times) for backup, times in again.items()]
    return problems


def next_steps(dags: Path, language: str | None = None) -> str:
    """Return what to do after the demo: commands that run as they are printed, each on a line of its own.

    :param dags: folder of the example Dags.
    :param language: what ``--lang`` of this command was. Default: it was not given.
    """
    command, asked = program(), f" --lang {language}" if language else ""
    steps = {
        translated("Where to go next. Airflow with its web page, and with these Dags:"): f"{command} demo --ui{asked}",
        translated("The emulator alone, for Dags of your own (it prints the connection to use):"): f"{command} emulator{asked}",
        translated("The Dag that has just run, which runs unchanged against Huawei Cloud with your connection and params:"): shlex.quote(
            str(dags / DAG_FILE)
        ),
    }
    return "\n\n".join(part for step in steps.items() for part in step)


def program() -> str:
    """Return how this command is called in the shell that has called it: it need not be on PATH."""
    script = Path(sys.executable).parent / "airflow-cbr"
    found = shutil.which("airflow-cbr")
    if found is not None and os.path.realpath(found) == os.path.realpath(script):
        return "airflow-cbr"
    if os.access(script, os.X_OK):
        return shlex.quote(str(script))
    return f"{shlex.quote(sys.executable)} -m airflow_cbr.cli"
