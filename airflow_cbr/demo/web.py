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
from airflow_cbr.demo.display import labelled
from airflow_cbr.demo.emulator import EmulatorProcess
from airflow_cbr.demo.intervals import DEMO_INTERVAL
from airflow_cbr.demo.loopback import reserve_port
from airflow_cbr.demo.scenario import CONN_ID, CONN_TYPE, DAG_ID, Auth, connection_fields, example_dags
from airflow_cbr.demo.stack import AirflowStack
from airflow_cbr.demo.vaults import AUDIT_DAG_ID, audited_vaults, morning_world
from airflow_cbr.demo.waiting import DemoError, Stopped, StopSignals, wait_until
from airflow_cbr.languages import translated

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
            print(translated("All processes are stopped."), flush=True)
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
            print(translated("Starting Airflow and the emulator; this takes about half a minute ..."), flush=True)
            with stack:
                emulator.wait_until_ready(check)
                fields = connection_fields(auth, emulator.url)
                stack.api.create_connection(CONN_ID, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})
                for dag_id in dag_ids:
                    there = partial(_parsed, stack, dag_id)
                    wait_until(
                        there, limit=PARSE_LIMIT, what=translated("the Dag {dag_id} is parsed", dag_id=dag_id), check=stack.check, every=0.5
                    )
                print("\n" + welcome(stack, emulator), flush=True)
                while True:
                    stack.check()
                    time.sleep(0.2)
        except Stopped:
            print(translated("Stopping ..."), flush=True)
            raise
        finally:
            stop_all([emulator])


def _parsed(stack: AirflowStack, dag_id: str) -> bool:
    if errors := stack.api.import_errors():
        said = translated("Airflow cannot read {file}:", file=errors[0]["filename"])
        raise DemoError(f"{said}\n{errors[0]['stack_trace']}")
    return stack.api.knows_dag(dag_id)


def _welcome(stack: AirflowStack, emulator: EmulatorProcess) -> str:
    audit = {"logical_date": None, "conf": {"vaults": audited_vaults()}}
    stack.api.request("POST", f"dags/{AUDIT_DAG_ID}/dagRuns", json=audit)
    airflow = stack.url
    navigation = translated('("CBR replication" in the navigation)')
    rows = [
        (translated("Airflow is ready:"), f"{airflow}  {translated('(this machine only, no password)')}"),
        (translated("The example Dag:"), f"{airflow}/dags/{DAG_ID}"),
        ("", translated("Press Trigger: its params are those of the emulator's default world.")),
        (translated("The page:"), f"{airflow}/plugin/cbr-replication  {navigation}"),
        ("", translated("{dag_id} looks at four vaults there, and two are well.", dag_id=AUDIT_DAG_ID)),
        ("", translated("One is replicated too rarely, one lacks last night's replicas: open them for what to do.")),
        (translated("The connection:"), f"{airflow}/connections  ({CONN_ID})"),
        (translated("The emulator:"), emulator.url),
        ("", translated("Its record of every replicate call: {url}", url=f"{emulator.url}/_emulator/ledger")),
    ]
    return "\n".join([*labelled(rows, gap=3), "", translated("Ctrl-C stops everything.")])
