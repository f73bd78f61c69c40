"""The pages keep their word: their examples work, their links lead somewhere, their commands exist."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import runpy
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.makefile import make_targets

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [path.relative_to(REPOSITORY).as_posix() for path in [*sorted(REPOSITORY.glob("*.md")), *sorted(REPOSITORY.glob("docs/**/*.md"))]]
CONNECTION_PREFIX = "AIRFLOW_CONN_"
CONNECTION_PAGE = "docs/reference/connection.md"
#: First line of an example that needs a newer Airflow than the oldest one that is supported.
NEEDS_AIRFLOW = re.compile(r"# Airflow (\d+)\.(\d+) and newer\n")


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str
    is_included: bool = False

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page, those that it includes from a file too."""
    text = (REPOSITORY / page).read_text()
    found = [
        Block(page, text[: match.start()].count("\n") + 1, match["language"], match["text"])
        for match in re.finditer(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    for match in re.finditer(r"^```\{literalinclude\} (?P<file>\S+)\n:language: (?P<language>\w+)\n```$", text, re.MULTILINE):
        file = (REPOSITORY / page).parent / match["file"]
        found.append(Block(page, text[: match.start()].count("\n") + 1, match["language"], file.read_text(), is_included=True))
    return found


def blocks_of(*languages: str) -> list[Any]:
    return [pytest.param(block, id=block.id) for page in PAGES for block in blocks(page) if block.language in languages]


def can_run(block: Block) -> bool:
    if "from kubernetes." in block.text:
        return find_spec("kubernetes") is not None  # see tests/system/kubernetes
    needed = NEEDS_AIRFLOW.match(block.text)
    if needed is None:
        return True
    from airflow import __version__

    return tuple(int(number) for number in __version__.split(".")[:2]) >= (int(needed[1]), int(needed[2]))


def is_dag_file(block: Block) -> bool:
    names = {node.id for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Name)}
    return bool(names & {"DAG", "dag"})


def exported_connections(block: Block) -> dict[str, str]:
    """Let a shell read the block, as the reader would, and return the connections it exports."""
    if f"export {CONNECTION_PREFIX}" not in block.text:
        return {}
    exports = "\n".join(re.findall(rf"^export {CONNECTION_PREFIX}\w+='.*?'$", block.text, re.MULTILINE | re.DOTALL))
    run = subprocess.run(["sh", "-euc", f"{exports}\nenv -0"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    variables = dict(entry.split("=", 1) for entry in run.stdout.split("\0") if "=" in entry)
    return {name: value for name, value in variables.items() if name.startswith(CONNECTION_PREFIX)}


EXPORTED = [
    (block.id, name, value)
    for page in PAGES
    for block in blocks(page)
    if block.language == "bash"
    for name, value in exported_connections(block).items()
]


def fields_of(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow_cbr.hooks.cbr import CbrHook

    monkeypatch.setenv(name, value)
    return CbrHook(name.removeprefix(CONNECTION_PREFIX).lower()).fields


def test_there_is_something_to_check() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", CONNECTION_PAGE} <= set(PAGES)
    assert len(EXPORTED) >= 5


@pytest.mark.parametrize(("where", "name", "value"), EXPORTED, ids=[f"{where}-{name}" for where, name, _ in EXPORTED])
def test_an_exported_connection_can_be_used(where: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fields_of(name, value, monkeypatch).region == "cn-north-4", where


@pytest.mark.parametrize("name", ["AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT", "AIRFLOW_CONN_CBR_USER"])
def test_the_forms_of_a_connection_say_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_json, as_uri = (value for where, exported, value in EXPORTED if exported == name and where.startswith(CONNECTION_PAGE))

    assert in_json.startswith("{")
    assert as_uri.startswith("huaweicloud-cbr://")
    assert fields_of(name, in_json, monkeypatch) == fields_of(name, as_uri, monkeypatch)


def test_every_field_of_the_connection_is_explained() -> None:
    from airflow_cbr.get_provider_info import get_provider_info

    (connection_type,) = get_provider_info()["connection-types"]
    rows = dict(re.findall(r"^\| extra ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", (REPOSITORY / CONNECTION_PAGE).read_text(), re.MULTILINE))

    assert rows == {f"`{name}`": field["label"] for name, field in connection_type["conn-fields"].items()}


def page_text(page: str) -> str:
    return (REPOSITORY / page).read_text()


def rows_below(text: str, header: str) -> list[list[str]]:
    """Return the cells of the rows of every table with that header line."""
    tables = re.findall(rf"^{re.escape(header)}\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for table in tables for line in table.splitlines()]


def section(page: str, title: str) -> str:
    """Return the text between a heading and the next one of the same level."""
    level = title.split(" ")[0]
    _, _, rest = page_text(page).partition(f"\n{title}\n")
    assert rest, f"{page} has no heading {title!r}"
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def page_of(class_name: str, name: str) -> str:
    """Return the reference page of a class, which has the class's name for its title."""
    text = page_text(f"docs/reference/{name}.md")
    assert text.startswith(f"# {class_name}\n")
    return text


def operator_classes() -> list[Any]:
    from airflow_cbr.operators.cbr import (
        CbrCreateCheckpointOperator,
        CbrEndRestoreDrillOperator,
        CbrNameRestoreDrillOperator,
        CbrPlanRestoreDrillsOperator,
        CbrPreflightOperator,
        CbrPruneOperator,
        CbrReplicateBackupOperator,
        CbrReplicateCheckpointOperator,
        CbrStartRestoreDrillOperator,
        CbrSweepRestoreDrillsOperator,
        CbrVerifyReplicationOperator,
    )
    from airflow_cbr.sensors.cbr import CbrReplicationSensor

    return [
        CbrReplicateCheckpointOperator,
        CbrVerifyReplicationOperator,
        CbrReplicationSensor,
        CbrCreateCheckpointOperator,
        CbrPreflightOperator,
        CbrReplicateBackupOperator,
        CbrPlanRestoreDrillsOperator,
        CbrNameRestoreDrillOperator,
        CbrStartRestoreDrillOperator,
        CbrEndRestoreDrillOperator,
        CbrSweepRestoreDrillsOperator,
        CbrPruneOperator,
    ]


PAGES_OF_CLASSES = ["replicate", "verify", "sensor", "checkpoint", "preflight", "replicate-backup"]
PAGES_OF_CLASSES += [f"drill-{name}" for name in ("plan", "name", "start", "end", "sweep")]
PAGES_OF_CLASSES.append("prune")


@pytest.mark.parametrize(("place", "name"), list(enumerate(PAGES_OF_CLASSES)))
def test_every_parameter_is_explained(place: int, name: str) -> None:
    """Name, default and templating of each parameter are those of the class, in the order of its signature."""
    cls = operator_classes()[place]

    def default_of(parameter: inspect.Parameter) -> str:
        if parameter.name == "deferrable":
            return "`[operators] default_deferrable`"
        return "required" if parameter.default is inspect.Parameter.empty else f"`{parameter.default!r}`"

    expected = [
        [f"`{name}`", default_of(parameter), "yes" if name in cls.template_fields else "no"]
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    rows = rows_below(page_of(cls.__name__, name), "| Parameter | Default | Templated | Meaning |")

    assert [row[:3] for row in rows] == expected
    assert all(row[3] for row in rows)


def test_the_sensors_inherited_parameters_exist() -> None:
    from airflow_cbr.airflow_names import BaseSensorOperator

    rows = rows_below(page_of("CbrReplicationSensor", "sensor"), "| Inherited | Here |")
    assert rows
    assert {row[0].strip("`") for row in rows} <= set(inspect.signature(BaseSensorOperator.__init__).parameters)


def test_every_count_of_the_replicate_task_is_explained() -> None:
    from airflow_cbr.replication.decisions import counts_before_looking
    from airflow_cbr.replication.state import ReplicationState

    rows = rows_below(page_of("CbrReplicateCheckpointOperator", "replicate"), "| Count | Counts |")
    assert [row[0].strip("`") for row in rows] == list(counts_before_looking(ReplicationState(deadline=0)))


def test_every_standing_is_explained() -> None:
    from airflow_cbr.inventory.coverage import CoverageStatus

    rows = rows_below(page_of("CbrReplicateCheckpointOperator", "replicate"), "| Place | When | What the task does |")
    assert sorted(row[0] for row in rows) == sorted(CoverageStatus)


def test_what_is_said_about_retries_is_what_the_errors_say() -> None:
    from airflow_cbr import exceptions

    rows = rows_below(page_text("docs/reference/exceptions.md"), "| Error | Retried | Meaning |")
    told = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    classes = [getattr(exceptions, name) for name in exceptions.__all__]

    assert told == {cls.__name__: "no" if cls.permanent else "yes" for cls in classes if not cls.__subclasses__() or cls.__name__ in told}
    assert {cls.__name__ for cls in classes if not cls.__subclasses__()} <= set(told)


def test_the_messages_that_are_quoted_exist() -> None:
    source = "\n".join(path.read_text() for path in (REPOSITORY / "airflow_cbr").rglob("*.py"))
    rows = rows_below(page_text("docs/runbook.md"), "| The log says | It means | Do |")
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row[0])]

    assert len(quoted) >= len(rows) > 10
    assert [text for text in quoted if text not in source] == []


def test_every_check_of_the_preflight_is_explained() -> None:
    from airflow_cbr.preflight.findings import Check, Severity

    page = page_of("CbrPreflightOperator", "preflight")
    rows = rows_below(page, "| Check | Finding | Weight | Code |")
    assert {row[0] for row in rows} == set(Check)
    assert {weight for row in rows for weight in row[2].split(" or ")} == {Severity.ERROR, Severity.WARNING, Severity.NOTE}
    assert [row[0] for row in rows_below(page, "| Weight | Means | The task |")] == list(Severity)


def test_every_reason_why_a_backup_stays_is_explained() -> None:
    from airflow_cbr.pruning.protection import KeepReason

    rows = rows_below(page_of("CbrPruneOperator", "prune"), "| Reason | Stays because |")
    assert [row[0].strip("`") for row in rows] == list(KeepReason)


def test_every_step_of_the_machine_is_drawn() -> None:
    from airflow_cbr.replication.steps import Step

    (drawing,) = re.findall(r"```text\n(.*?)```", section("docs/explanation/design.md", "## The state machine"), re.DOTALL)
    assert set(re.findall(r"\[([a-z ]+)\]", drawing)) == set(Step)


def test_every_step_of_the_making_of_a_checkpoint_is_drawn() -> None:
    from airflow_cbr.checkpoints.steps import CheckpointStep

    (drawing,) = re.findall(r"```text\n(.*?)```", section("docs/explanation/design.md", "## The making of a checkpoint"), re.DOTALL)
    assert set(re.findall(r"\[([a-z ]+)\]", drawing)) == set(CheckpointStep)


def test_every_step_of_a_drill_and_of_its_end_is_drawn() -> None:
    from airflow_cbr.drills.steps import CleanupStep, DrillStep

    drawings = re.findall(r"```text\n(.*?)```", section("docs/explanation/design.md", "## A drill, from its start to its end"), re.DOTALL)
    assert [set(re.findall(r"\[([a-z ]+)\]", one)) for one in drawings] == [set(DrillStep), set(CleanupStep)]


def test_every_protection_of_the_pruning_has_its_group() -> None:
    from airflow_cbr.pruning.protection import KeepReason

    rows = rows_below(section("docs/explanation/design.md", "## What a pruning may delete"), "| What stays | Lines of the table |")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(named) == sorted(set(KeepReason) - {KeepReason.OTHER_SIDE, KeepReason.KEEP_RULE})


def test_every_module_of_the_rings_has_its_line() -> None:
    package = REPOSITORY / "airflow_cbr"
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.name != "__init__.py" and path.relative_to(package).parts[0] not in {"emulator", "demo"}
    } | {path.parent.name for path in package.glob("*/__init__.py") if len(list(path.parent.glob("*.py"))) == 1}
    rows = rows_below(section("docs/explanation/design.md", "## The house"), "| Module | What it holds |")
    assert sorted(row[0].strip("`") for row in rows) == sorted(modules)


@pytest.mark.parametrize("block", [param for param in blocks_of("python") if can_run(param.values[0])])
def test_a_python_example_runs(block: Block, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    if not is_dag_file(block):
        exec(compile(block.text, block.id, "exec"), {"__name__": "example"})
        return
    file = tmp_path / "example.py"
    file.write_text(block.text)
    dags = [value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)]

    assert dags, "the example defines a Dag, and binds it to a name"
    for dag in dags:
        assert dag.task_ids
        dag.check_cycle()


def test_every_example_is_on_a_page() -> None:
    texts = [block.text for page in PAGES for block in blocks(page)]
    assert [path.name for path in sorted((REPOSITORY / "docs/examples").glob("*.py")) if path.read_text() not in texts] == []


def test_the_dags_of_the_docs_are_included_from_files() -> None:
    found = [block for page in PAGES if page.startswith("docs/") for block in blocks(page) if block.language == "python"]
    assert [block.id for block in found if is_dag_file(block) and not block.is_included] == []


def test_the_example_of_a_callback_tells_errors_apart(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_cbr.airflow_names import AirflowFailException
    from airflow_cbr.exceptions import CbrReplicationTimeoutError, CbrUnavailableError
    from airflow_cbr.hooks.failures import raise_for_airflow

    (block,) = (block for block in blocks("docs/howto/alerts.md") if "def report(" in block.text)
    example: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.text, block.id, "exec"), example)
    with pytest.raises(AirflowFailException) as permanent:
        raise_for_airflow(CbrReplicationTimeoutError("Too late.", running=["record"]))
    example["report"]({"exception": permanent.value})
    example["report"]({"exception": CbrUnavailableError("Not now.", error_code="BackupService.9910", request_id="r1")})

    assert capsys.readouterr().out == "still running: ['record']\nfor support: BackupService.9910 r1\n"


def test_the_line_about_the_connections_type_that_is_quoted_is_airflows_own() -> None:
    from airflow.models.connection import Connection

    from airflow_cbr.airflow_names import AIRFLOW_VERSION

    (quoted,) = (block.text for block in blocks(CONNECTION_PAGE) if block.text.startswith("Connection schemes"))
    is_written = quoted.strip().replace("huaweicloud_cbr", "%s") in inspect.getsource(Connection)
    assert is_written is (AIRFLOW_VERSION < (3, 4))


def test_json_examples_can_be_read() -> None:
    unreadable = []
    for block in (block for page in PAGES for block in blocks(page) if block.language == "json"):
        try:
            json.loads(block.text)
        except ValueError as error:
            unreadable.append(f"{block.id}: {error}")

    assert unreadable == []


def test_make_targets_exist() -> None:
    known = make_targets()
    unknown = []
    for page in PAGES:
        commands = [block.text for block in blocks(page) if block.language in {"bash", "console", "sh"}]
        commands += re.findall(r"`([^`\n]+)`", page_text(page))
        named = {target for command in commands for target in re.findall(r"^\$? ?make ([a-z][\w.-]*)", command, re.MULTILINE)}
        unknown += [f"{page}: make {target}" for target in sorted(named - known)]

    assert unknown == []


def heading_anchors(path: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(page: str) -> list[str]:
    path = REPOSITORY / page
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose)):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in heading_anchors(linked)):
            broken.append(target)
    return broken


def test_links_lead_somewhere() -> None:
    assert [f"{page}: {target}" for page in PAGES for target in broken_links(page)] == []


def test_no_example_limits_by_what_counts_deferred_tasks_on_some_versions_only() -> None:
    """From Airflow 3.2 on ``max_active_tis_per_dag`` counts deferred tasks: vaults that should wait together would queue."""
    limits = {"max_active_tis_per_dag", "max_active_tis_per_dagrun"}
    examples = [*REPOSITORY.glob("dags/*.py"), *REPOSITORY.glob("docs/examples/*.py")]
    assert len(examples) > 10
    limited = [
        (path.name, node.arg)
        for path in examples
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg in limits
    ]
    assert limited == []
