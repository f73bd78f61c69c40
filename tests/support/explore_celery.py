"""``make stack-celery``: Airflow with Celery workers, Redis and PostgreSQL on this machine, with the example Dags, until Ctrl-C."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from airflow_cbr.demo.loopback import reserve_port
from airflow_cbr.demo.scenario import CONN_ID, DESTINATION_REGION, example_dags
from airflow_cbr.demo.waiting import DemoError
from airflow_cbr.demo.web import explore
from airflow_cbr.emulator.vault_parts import BackupPart, VaultPart
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT, World, default_world
from tests.support.celery_stack import CeleryStack
from tests.support.servers import PostgreSQL, Redis, need

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_cbr.demo.emulator import EmulatorProcess
    from airflow_cbr.demo.stack import AirflowStack

__all__ = ["main", "many_vaults"]

DAG_ID: Final = "cbr_many_vaults"
VAULTS: Final = 20
#: Seconds that a copy takes: long enough to look at what waits.
COPY: Final = 120.0


def main() -> int:
    """Run it; ``PORT`` in the environment chooses the port of the web page.

    :return: exit code: 0 when a stop signal has ended it, 1 when it could not start or a process has died.
    """

    def stack(folder: Path, check: Callable[[], None]) -> CeleryStack:
        need(PostgreSQL, Redis)
        return CeleryStack([example_dags()], port=reserve_port(_port()), folder=folder, check=check)

    world, vaults = many_vaults(VAULTS)
    return explore(stack, world, "aksk", [DAG_ID], partial(_welcome, vaults))


def _port() -> int:
    given = os.environ.get("PORT") or "0"
    if not given.isdecimal():
        raise DemoError(f"PORT={given} is not a port number")
    return int(given)


def many_vaults(number: int) -> tuple[World, list[dict[str, str]]]:
    """Return the emulator's default world with more vaults, and the param ``vaults`` of the example Dag for these.

    :param number: how many pairs of vaults.
    """
    world = default_world()
    sources, destinations = ([f"5c1f0b7e-0d64-4b7a-9a5{side}-{one:012}" for one in range(1, number + 1)] for side in (1, 2))
    parts = [
        VaultPart(id=vault, name=f"vault-{one:03}", project_id=SOURCE_PROJECT, backups=[BackupPart(), BackupPart()])
        for one, vault in enumerate(sources, start=1)
    ]
    parts += [
        VaultPart(id=vault, name=f"replicas-{one:03}", project_id=DESTINATION_PROJECT, protect_type="replication")
        for one, vault in enumerate(destinations, start=1)
    ]
    switches = world.switches.model_copy(update={"copy_seconds": COPY})
    there = {"destination_region": DESTINATION_REGION, "destination_project_id": DESTINATION_PROJECT}
    return (
        world.model_copy(update={"vaults": [*world.vaults, *parts], "switches": switches}),
        [{"vault_id": one, "destination_vault_id": other, **there} for one, other in zip(sources, destinations, strict=True)],
    )


def _welcome(vaults: list[dict[str, str]], stack: AirflowStack, emulator: EmulatorProcess) -> str:
    (given := stack.home / "vaults.json").write_text(json.dumps(vaults, indent=2))
    run = stack.api.request("POST", f"dags/{DAG_ID}/dagRuns", json={"logical_date": None, "conf": {"vaults": vaults}})
    return f"""
Airflow is ready:   {stack.url}  (this machine only, no password)
A run of {len(vaults)} vaults:   {stack.url}/dags/{DAG_ID}/runs/{quote(run["dag_run_id"])}
                    It has just begun. For another one, press "Trigger"; the param "vaults" is in
                    {given}
The page:           {stack.url}/plugin/cbr-replication  ("CBR replication" in the navigation)
The connection:     {stack.url}/connections  ({CONN_ID})
The emulator:       {emulator.url}  (its record of every replicate call: {emulator.url}/_emulator/ledger)
The logs:           {stack.home}/*.log, those of tasks in {stack.home}/logs

Processes:          {", ".join(f"{name} {component.pid}" for name, component in stack.components.items())}
                    A worker is lost with all that it runs by: pkill -KILL --session <its number>
Ctrl-C stops everything."""


if __name__ == "__main__":
    sys.exit(main())
