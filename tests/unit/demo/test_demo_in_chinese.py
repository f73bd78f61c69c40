"""What the demo says, in Chinese: all of it, from the catalogue, and nothing else of the demo changes."""

from __future__ import annotations

import ast
import dataclasses
import io
import json
import os
import shlex
import socket
import string
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from rich.console import Console

import airflow_cbr.demo
from airflow_cbr.cli import main
from airflow_cbr.demo.copies import CopyRow
from airflow_cbr.demo.display import copy_blocks, labelled, verdict
from airflow_cbr.demo.loopback import clean_environment
from airflow_cbr.demo.run import next_steps
from airflow_cbr.languages import VARIABLE, translated

pytestmark = pytest.mark.campaign

TEXTS: dict[str, str] = json.loads(files("airflow_cbr.languages").joinpath("zh.json").read_text(encoding="utf-8"))
DEMO = Path(airflow_cbr.demo.__file__).parent
#: The command line itself says a word for the emulator, which knows no language.
MODULES = [*sorted(DEMO.glob("*.py")), DEMO.parent / "cli.py"]
#: What speaks to whoever runs the demo.
SPEAKING = {"print", "DemoError", "append"}
COPY = CopyRow(
    "backup-1", "nightly-web", 40, "ecs-web-01", record_id="record-1", status="success", progress=100, replica_id="replica-1", arrived=True
)


def calls(path: Path, names: set[str]) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if getattr(node.func, "id", getattr(node.func, "attr", "")) in names]


def texts_of(path: Path) -> list[str]:
    return [ast.literal_eval(call.args[0]) for call in calls(path, {"translated"})]


def words_outside(node: ast.AST) -> list[str]:
    """Return the texts below a node that are not looked up in the catalogue."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"translated", "ended_with", "verdict", "copy_blocks"}:
        return []
    if isinstance(node, ast.FormattedValue | ast.Subscript):
        return words_outside(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if any(character.isalpha() for character in node.value) else []
    return [text for child in ast.iter_child_nodes(node) for text in words_outside(child)]


def test_each_text_of_the_demo_has_a_chinese_one() -> None:
    english = [text for path in MODULES for text in texts_of(path)]
    assert len(english) > 40
    assert [text for text in english if text not in TEXTS] == []


def test_nothing_is_said_past_the_catalogue() -> None:
    said = [
        (path.name, word)
        for path in MODULES
        for call in calls(path, SPEAKING)
        for argument in call.args
        for word in words_outside(argument)
    ]
    # A line of the copies' progress: seconds, name, the service's own word, per cent; and what an HTTP server has answered.
    assert sorted(set(said)) == [("display.py", " s  "), ("rest.py", ": HTTP "), ("run.py", "airflow-cbr: "), ("web.py", "airflow-cbr: ")]


def test_the_emulator_writes_nothing_of_its_own_but_lines_for_programs_and_errors() -> None:
    written = [
        word for call in calls(DEMO.parent / "emulator/server.py", {"write", "print"}) for one in call.args for word in words_outside(one)
    ]
    assert sorted(written) == ["\n\nexport AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT='", "CBR emulator: "]


@pytest.mark.parametrize(
    ("variable", "arguments", "said"),
    [
        ("en", ["--lang", "zh"], "用下面的命令让 Airflow 连接它："),
        ("zh", [], "用下面的命令让 Airflow 连接它："),
        ("zh", ["--lang", "en"], "To connect Airflow with it:"),
    ],
)
def test_the_emulator_says_in_the_language_what_its_connection_is_for(
    variable: str, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headings: list[str] = []
    monkeypatch.setenv(VARIABLE, variable)

    def serve(*_: object, heading: str) -> int:
        headings.append(heading)
        return 0

    monkeypatch.setattr("airflow_cbr.emulator.server.serve", serve)
    assert main(["emulator", *arguments]) == 0
    assert headings == [said]


def test_the_same_values_stand_in_both_languages() -> None:
    def names(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    english = {text for path in MODULES for text in texts_of(path)}
    assert {text: TEXTS[text] for text in english if names(text) != names(TEXTS[text])} == {}


def test_a_block_of_ids_is_in_one_column_in_either_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "zh")
    lost = dataclasses.replace(COPY, resource="ecs-db-01", status=None, replica_id=None, arrived=False)
    assert copy_blocks([COPY, lost], "cn-shenzhen-1").splitlines()[:6] == [
        "  ecs-web-01：success，已在 cn-shenzhen-1 核实",
        "    名称  nightly-web",
        "    备份  backup-1",
        "    记录  record-1",
        "    副本  replica-1",
        "  ecs-db-01：没有副本，在 cn-shenzhen-1 未能核实",
    ]
    assert labelled([("备份", "1"), ("name", "2"), ("记录：", "3")]) == ["备份    1", "name    2", "记录：  3"]


@pytest.mark.parametrize(("language", "word"), [("en", "VERIFIED"), ("zh", "核实通过")])
def test_the_verdict_stands_out_in_either_language(language: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, language)
    line = translated("VERIFIED: {count} of {count} backups are in {region}, each copied once.", count=3, region="cn-shenzhen-1")
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=30)
    console.print(verdict(line, "bold green"), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"\x1b[1;32m{word}\x1b[0m{line.removeprefix(word)}\n"


@pytest.mark.parametrize("language", ["en", "zh", None])
def test_the_commands_to_go_on_with_are_right_as_they_are_printed(language: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, language or "en")
    lines = next_steps(Path("/a folder/dags"), language).splitlines()
    demo, emulator, file = (shlex.split(line) for line in lines[2::4])
    asked = ["--lang", language] if language else []
    assert demo[-2 - len(asked) :] == ["demo", "--ui", *asked]
    assert emulator[-1 - len(asked) :] == ["emulator", *asked]
    assert file == ["/a folder/dags/cbr_nightly_replication.py"]
    for command in (demo, emulator):
        done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=120, check=True)
        assert "usage: airflow-cbr" in done.stdout
    assert bool(set("接下来") & set("".join(lines))) == (language == "zh")


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, ["--lang", "zh"], "不可用"),
        ({VARIABLE: "zh"}, [], "不可用"),
        ({VARIABLE: "zh"}, ["--lang", "en"], "cannot be used"),
        ({"LANG": "zh_CN.UTF-8"}, [], "不可用"),
        # Such a terminal shows question marks; the demo goes on.
        ({"PYTHONIOENCODING": "ascii"}, ["--lang", "zh"], "airflow-cbr: 127.0.0.1 ??? "),
    ],
)
def test_it_speaks_what_it_is_asked_for(environment: dict[str, str], arguments: list[str], expected: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "LANG", "LC_ALL", "LC_MESSAGES")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "airflow_cbr.cli", "demo", "--ui", "--port", port, *arguments],
            env={"PYTHONIOENCODING": "utf-8", **inherited, **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
    assert done.returncode == 1
    assert expected in done.stderr
    assert port in done.stderr


def test_airflow_is_asked_for_the_same_language() -> None:
    """What goes wrong in the demo's Airflow is told with the advice in Chinese too."""
    kept = clean_environment({VARIABLE: "zh", "AIRFLOW_HOME": "/elsewhere", "AIRFLOW_CBR_LANGUAGES": "x"})
    assert [name for name in kept if "AIRFLOW" in name] == [VARIABLE]


def test_another_language_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--lang", "de"])
    assert ended.value.code == 2
    assert "invalid choice: 'de'" in capsys.readouterr().err
