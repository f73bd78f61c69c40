"""``airflow-cbr demo --ui``: a whole Airflow with its web page, to explore the example Dags; and what else runs until Ctrl-C like it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from airflow_cbr.demo.components import stop_all
from airflow_cbr.demo.emulator import EmulatorProcess
from airflow_cbr.demo.intervals import DEMO_INTERVAL
from airflow_cbr.demo.loopback import reserve_port
from airflow_cbr.demo.scenario import CONN_ID, CONN_TYPE, DAG_ID, Auth, connection_fields, example_dags
from airflow_cbr.demo.stack import AirflowStack
from airflow_cbr.demo.vaults import AUDIT_DAG_ID, audited_vaults, morning_world
from airflow_cbr.demo.waiting import DemoError, Stopped, StopSignals, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_cbr.emulator.world import World

__all__ = ["explore", "serve_web_page"]

PARSE_LIMIT: Final = 300.0


def serve_web_page(port: int, auth: Auth) -> int:
    """Start Airflow, the emulator and the example Dags, say where, and run until a stop signal.

    :param port: port of the web page; 0 for any free one.
    :param auth: how the connection authenticates, ``aksk`` or ``password``.
    :return: exit code: 0 when a stop signal has ended it, 1 when it could not start or a component has died.
    """

    def stack(folder: Path, check: Callable[[], None]) -> AirflowStack:
        reserve_port(port)
        return AirflowStack([example_dags()], port=port, pace=DEMO_INTERVAL, folder=folder, check=check)

    return explore(stack, morning_world(), auth, (DAG_ID, AUDIT_DAG_ID), _welcome)


def explore(
    make_stack: Callable[[Path, Callable[[], None]], AirflowStack],
    world: World,
    auth: Auth,
    dag_ids: Collection[str],
    welcome: Callable[[AirflowStack, EmulatorProcess], str],
) -> int:
    """Start an Airflow and the emulator with its connection, say where, and run until a stop signal.

    :param make_stack: makes the stack, given a folder and what it calls while it waits.
    :param world: what the emulator starts with.
    :param auth: how the connection authenticates, ``aksk`` or ``password``.
    :param dag_ids: Dags that are there before anybody is told.
    :param welcome: does what remains to be done on the running stack, and returns what is printed.
    :return: exit code: 0 when a stop signal has ended it, 1 when it could not start or a component has died.
    """
    with StopSignals() as signals:
        try:
            _serve(make_stack, world, auth, dag_ids, welcome, signals)
        except Stopped:
            print("All processes are stopped.", flush=True)
            return 0
        except DemoError as error:
            print(f"airflow-cbr: {error}", file=sys.stderr)
            return 1


def _serve(
    make_stack: Callable[[Path, Callable[[], None]], AirflowStack],
    world: World,
    auth: Auth,
    dag_ids: Collection[str],
    welcome: Callable[[AirflowStack, EmulatorProcess], str],
    signals: StopSignals,
) -> NoReturn:
    with tempfile.TemporaryDirectory(prefix="airflow-cbr-demo-") as folder:
        (file := Path(folder) / "world.json").write_text(world.model_dump_json(exclude_defaults=True))
        emulator = EmulatorProcess(Path(folder), world_file=file)

        def check() -> None:
            signals.check()
            emulator.check()

        stack = make_stack(Path(folder), check)
        try:
            emulator.start()
            print("Starting Airflow and the emulator; this takes half a minute or longer ...", flush=True)
            with stack:
                emulator.wait_until_ready(check)
                fields = connection_fields(auth, emulator.url)
                stack.api.create_connection(CONN_ID, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})
                for dag_id in dag_ids:
                    there = partial(_parsed, stack, dag_id)
                    wait_until(there, limit=PARSE_LIMIT, what=f"the Dag {dag_id} is parsed", check=stack.check, every=0.5)
                print(welcome(stack, emulator), flush=True)
                while True:
                    stack.check()
                    time.sleep(0.2)
        except Stopped:
            print("Stopping ...", flush=True)
            raise
        finally:
            stop_all([emulator])


def _parsed(stack: AirflowStack, dag_id: str) -> bool:
    if errors := stack.api.import_errors():
        raise DemoError(f"Airflow cannot read {errors[0]['filename']}:\n{errors[0]['stack_trace']}")
    return stack.api.knows_dag(dag_id)


def _welcome(stack: AirflowStack, emulator: EmulatorProcess) -> str:
    audit = {"logical_date": None, "conf": {"vaults": audited_vaults()}}
    stack.api.request("POST", f"dags/{AUDIT_DAG_ID}/dagRuns", json=audit)
    airflow = stack.url
    return f"""
Airflow is ready:   {airflow}  (this machine only, no password)
The example Dag:    {airflow}/dags/{DAG_ID}
                    Press "Trigger"; the params are those of the emulator's default world.
The page:           {airflow}/plugin/cbr-replication  ("CBR replication" in the navigation)
                    Four vaults that {AUDIT_DAG_ID} is looking at: two are well, one is replicated too
                    rarely, and one lacks last night's replicas. Open a red one for what to do.
The connection:     {airflow}/connections  ({CONN_ID})
The emulator:       {emulator.url}  (its record of every replicate call: {emulator.url}/_emulator/ledger)

Ctrl-C stops everything."""
