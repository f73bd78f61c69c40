"""Draw the pictures of the pages: what tasks really log and push in nights that are played against the emulator.

``make pictures`` writes them anew into docs/pictures; ``python tools/pictures.py FOLDER`` writes them elsewhere. Ids come from a seed and
time is virtual, so that a picture changes only when what the tasks say has changed. Each one is drawn twice: for a desk, and for a phone.
"""

from __future__ import annotations

import inspect
import io
import json
import logging
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = REPOSITORY / "docs/pictures"
START: Final = datetime(2026, 11, 27, 3, 0, tzinfo=UTC).timestamp()
DAY: Final = 86400.0
WIDTHS: Final = {"": 104, "-narrow": 46}
"""Characters in a line, by what the file's name ends in."""
STYLES: Final = {"ERROR": "bold red", "WARNING": "yellow", "INFO": "green"}
FORMAT: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class _Time:
    """This process's time, and the emulator's: it passes only when a task waits."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.advance: Callable[[float], object] = lambda seconds: None

    def now(self) -> float:
        return START + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds
        self.advance(seconds)


TIME: Final = _Time()


def _isolate(home: Path) -> None:
    """Let neither the caller's Airflow nor the caller's clock show in a picture; before anything of Airflow is imported."""
    sys.path.insert(0, str(REPOSITORY))
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "HUAWEICLOUD_"))]:
        del os.environ[name]
    os.environ |= {"AIRFLOW_HOME": str(home), "AIRFLOW_CBR_LANGUAGE": "en", "CBR_REFUSALS_DIRECTORY": str(home / "refusals")}
    # A task may be run without a worker.
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
    # A signature has the real time, and the emulator judges it: its clock is imported before time becomes virtual, and keeps the real one.
    import airflow_cbr.emulator.clock  # noqa: F401

    time.time, time.sleep = TIME.now, TIME.sleep


@dataclass
class Told:
    """What a task told: its log, as time of the night, level and text, and its XComs."""

    task_id: str
    run: Any
    lines: list[tuple[float, str, str]] = field(default_factory=list)

    @property
    def xcoms(self) -> dict[str, Any]:
        """Return the XComs."""
        return dict(self.run.xcoms)


class _Listener(logging.Handler):
    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.lines.append((TIME.now(), record.levelname, record.getMessage()))


class Night:
    """The demo's world on an emulator, and tasks that run against it, one after the other."""

    def __init__(self, world: Any, url: str, control: Any) -> None:
        self.world = world
        self.url = url
        self.control = control

    def run(self, operator: str, task_id: str, *, states: dict[str, str | None] | None = None, after: Any = (), **given: Any) -> Told:
        """Run a task once, as a worker does.

        :param operator: name of the operator or sensor.
        :param states: of the tasks that it asks after.
        :param after: what tasks told whose XComs it reads.
        :param given: its parameters, beside the demo's ids where it takes them.
        """
        from airflow_cbr.operators import cbr as operators
        from airflow_cbr.sensors import cbr as sensors
        from tests.support.task_run import IDS, TaskRun

        cls: Any = getattr(operators, operator, None) or getattr(sensors, operator)
        taken = inspect.signature(cls.__init__).parameters
        usual = {name: value for name, value in IDS.items() if name in taken} | ({"deferrable": False} if "deferrable" in taken else {})
        run = TaskRun(
            cls(**{"task_id": task_id, **usual, **given}),
            others={one.task_id: one.run for one in after},
            states=states or {},
            run_after=datetime.fromtimestamp(START, UTC),
            dag_id="nightly",
            run_id="scheduled__2026-11-27T03:00:00+00:00",
        )
        told = Told(task_id, run)
        run.task._cached_logger.addHandler(_Listener(told))
        run.task._cached_logger.propagate = False
        try:
            run.attempt()
        except Exception as error:  # what a task fails with is the end of its log
            told.lines.append((TIME.now(), "ERROR", str(error)))
        return told


@contextmanager
def night(change: Callable[[Any], object] = lambda world: None) -> Iterator[Night]:
    """Begin a night in the demo's world.

    :param change: changes the world before the night begins.
    """
    from airflow_cbr.demo.scenario import connection_variable
    from airflow_cbr.emulator.clock import Clock
    from airflow_cbr.emulator.world import default_world
    from airflow_cbr.waiting import schedule
    from tests.support.emulator import EmulatorServer

    random.seed(1)
    schedule._chance.seed(1)
    TIME.passed = 0.0
    world = default_world()
    world.seed = 7
    for name, value in {"queue_seconds": 20.0, "copy_seconds": 120.0, "copy_seconds_per_gb": 6.0, "checkpoint_seconds": 240.0}.items():
        setattr(world.switches, name, value)
    world.switches.image_seconds, world.switches.server_seconds = 400.0, 90.0
    change(world)
    with EmulatorServer(world, Clock(speed=0, start=START)) as server:
        TIME.advance = server.control.advance
        ((name, value),) = connection_variable("aksk", server.url).items()
        connection = json.loads(value)
        connection["extra"] |= {"ims_endpoint": server.url, "ecs_endpoint": server.url}
        os.environ[name] = json.dumps(connection)
        try:
            yield Night(world, server.url, server.control)
        finally:
            TIME.advance = lambda seconds: None


# --- the worlds ---------------------------------------------------------------------------------------------------------------


def last_night(world: Any) -> None:
    """Give every server a backup of last night, which is replicated, and the vaults room for all that comes."""
    from airflow_cbr.emulator.world import DESTINATION_VAULT, BackupPart

    source = world.vaults[0]
    for server in source.resources:
        earlier = {"resource_id": server.id, "auto_trigger": True, "age_seconds": DAY + 3600.0, "replicated_to": [DESTINATION_VAULT]}
        source.backups.append(BackupPart(name=f"nightly-{server.name}", **earlier))
    for vault in world.vaults:
        vault.size = 10_000


def all_copied(world: Any) -> None:
    """Let tonight's backups be at the destination already."""
    from airflow_cbr.emulator.world import DESTINATION_VAULT

    last_night(world)
    for backup in world.vaults[0].backups:
        backup.replicated_to = [DESTINATION_VAULT]


def full(world: Any) -> None:
    """Leave no room for tonight's replicas."""
    last_night(world)
    world.vaults[1].size = 200


# --- the pictures -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """What a picture shows of a task.

    :param told: what the task told.
    :param xcoms: XComs below the log, some as ``name.key``.
    :param only: the lines of the log that are shown match this pattern. Default: all.
    """

    told: Told
    xcoms: tuple[str, ...] = ()
    only: str = ""


MAX_AGE: Final = 1.5 * DAY
FLAVOR: Final = "s6.large.2"
WEB: Final = "94eba8b2-acc9-4d82-badc-127144cc5526"


def _good_night() -> dict[str, list[Part]]:
    with night(last_night) as one:
        replicate = one.run("CbrReplicateCheckpointOperator", "replicate")
        verify = one.run("CbrVerifyReplicationOperator", "verify", max_age=MAX_AGE)
        wait = one.run("CbrReplicationSensor", "wait", replication_record_ids=replicate.xcoms["return_value"])
    return {
        "good-night": [Part(replicate, only="About|replicated,|eligible"), Part(verify, only="VERIFIED")],
        "replicate": [Part(replicate, ("return_value", "replication"))],
        "sensor": [Part(wait)],
    }


def _bad_night() -> dict[str, list[Part]]:
    with night(full) as one:
        replicate = one.run("CbrReplicateCheckpointOperator", "replicate")
        verify = one.run("CbrVerifyReplicationOperator", "verify", max_age=MAX_AGE)
    return {"bad-night": [Part(replicate), Part(verify, only="^MISSING ecs-db|^FAILED vault")]}


def _lost_replica() -> dict[str, list[Part]]:
    from airflow_cbr.emulator.world import BACKUPS, SOURCE_VAULT

    with night(all_copied) as one:
        backups = one.control.state(SOURCE_VAULT)["backups"]
        (record,) = next(backup["records"] for backup in backups if backup["id"] == BACKUPS[2])
        one.control.remove_backup(record["destination_backup_id"])
        verify = one.run("CbrVerifyReplicationOperator", "verify", max_age=MAX_AGE)
        again = one.run("CbrReplicateBackupOperator", "copy_again", backup_id=BACKUPS[2])
    return {
        "verify": [Part(verify, ("return_value",), only="^VERIFIED|^MISSING|^FAILED")],
        "replicate-backup": [Part(again, ("return_value", "replication"))],
    }


def _chain() -> dict[str, list[Part]]:
    with night(last_night) as one:
        preflight = one.run("CbrPreflightOperator", "preflight", with_checkpoint=True)
        checkpoint = one.run("CbrCreateCheckpointOperator", "checkpoint")
    return {"preflight": [Part(preflight, ("return_value",))], "checkpoint": [Part(checkpoint, ("return_value", "checkpoint"))]}


def _prune() -> dict[str, list[Part]]:
    with night(all_copied) as one:
        prune = one.run("CbrPruneOperator", "prune", keep_last=1)
    return {"prune": [Part(prune, ("prune.planned", "prune.size_gb", "prune.kept"), only="^[^RK]|ecs-web-01")]}


def _drill() -> dict[str, list[Part]]:
    from airflow_cbr.emulator.world import DRILL_SECURITY_GROUP, DRILL_SUBNET, DRILL_VPC

    server = {"flavor": FLAVOR, "vpc_id": DRILL_VPC, "subnet_id": DRILL_SUBNET, "security_group_ids": [DRILL_SECURITY_GROUP]}
    with night(all_copied) as one:
        plan = one.run("CbrPlanRestoreDrillsOperator", "plan", sample=2, seed="2026-W48", **server)
        name = one.run("CbrNameRestoreDrillOperator", "name", start_task_id="start")
        start = one.run("CbrStartRestoreDrillOperator", "start", resource_id=WEB, **server)
        TIME.sleep(75.0)  # the checks
        end = one.run(
            "CbrEndRestoreDrillOperator", "end", start_task_id="start", check_task_ids=["check"], states={"check": "success"}, after=[start]
        )
        TIME.sleep(DAY)
        one.run("CbrStartRestoreDrillOperator", "start_again", resource_id=WEB, **server)
        TIME.sleep(2 * DAY)
        sweep = one.run("CbrSweepRestoreDrillsOperator", "sweep")
    return {
        "drill-plan": [Part(plan, ("plan.costs",))],
        "drill-name": [Part(name, ("return_value",))],
        "drill-start": [Part(start, ("return_value",))],
        "drill-end": [Part(end, ("drill.verdict", "drill.reason", "drill.checks", "drill.durations"))],
        "drill-sweep": [Part(sweep, ("return_value",))],
    }


SCENES: Final = (_good_night, _bad_night, _lost_replica, _chain, _prune, _drill)


# --- how they are drawn -------------------------------------------------------------------------------------------------------


def _chosen(xcoms: dict[str, Any], path: str) -> Any:
    value: Any = xcoms
    for key in path.split("."):
        value = value[key]
    return value


def _lines(part: Part) -> Iterator[tuple[str, str, str]]:
    """Return time, level and text of the lines that are shown; three dots stand for what is not."""
    left_out = False
    for moment, level, text in part.told.lines:
        if re.search(part.only, text) is None:
            left_out = True
            continue
        if left_out:
            yield "", "", "…"
        left_out = False
        yield datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S"), level, text
    if left_out:
        yield "", "", "…"


def _draw(name: str, picture: list[Part], suffix: str) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=WIDTHS[suffix], file=io.StringIO(), color_system="truecolor", force_terminal=True, highlight=False)
    for number, part in enumerate(picture):
        if number:
            console.print()
        console.print(Text(f"Log of {part.told.task_id}", style="bold"))
        rows = Table.grid(padding=(0, 1))
        for _ in range(1 if suffix else 2):
            rows.add_column(no_wrap=True, style="#a0a0a0")
        rows.add_column(ratio=1)
        for clock, level, text in _lines(part):
            first = [] if suffix else [clock]
            rows.add_row(*first, Text(level, style=STYLES.get(level, "")), Text(text))
        console.print(rows)
        for path in part.xcoms:
            console.print()
            console.print(Text(f"XCom {path}", style="bold"))
            console.print(Text(json.dumps(_chosen(part.told.xcoms, path), ensure_ascii=False), style="cyan"))
    title = ", ".join(part.told.task_id for part in picture)
    drawn = console.export_svg(title=title, theme=MONOKAI, code_format=FORMAT, unique_id=f"{name}{suffix}")
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"


def main(folder: Path) -> None:
    """Draw all pictures.

    :param folder: where to.
    """
    with tempfile.TemporaryDirectory(prefix="airflow-cbr-pictures-") as home:
        _isolate(Path(home))
        folder.mkdir(parents=True, exist_ok=True)
        for scene in SCENES:
            for name, picture in scene().items():
                for suffix in WIDTHS:
                    (folder / f"{name}{suffix}.svg").write_text(_draw(name, picture, suffix), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
