"""One table says which Airflow is supported and with the packages of which day; everything else that names a version agrees with it."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from tests.support.makefile import make_plan

REPOSITORY = Path(__file__).resolve().parents[2]
LINES = [
    line.split() for line in (REPOSITORY / "tools/airflow-lines.txt").read_text().splitlines() if line.strip() and not line.startswith("#")
]
FLOOR = LINES[0][0]


def test_each_line_has_a_day_a_python_and_something_to_run() -> None:
    for version, packages, python, runs in LINES:
        assert re.fullmatch(r"3\.\d+\.\d+(b\d+)?", version)
        assert packages == "today" or date.fromisoformat(packages).year >= 2025
        assert re.fullmatch(r"3\.1[1-9]", python)
        assert runs in {"tests", "demo"}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_the_pages_name_the_lowest_line(page: str) -> None:
    assert re.findall(r"Needs Apache Airflow (\S+) or newer", (REPOSITORY / page).read_text()) == [FLOOR]


def test_the_package_asks_for_the_lowest_line() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert [name for name in project["dependencies"] if name.startswith("apache-airflow")] == [f"apache-airflow>={FLOOR}"]


def test_make_runs_every_line_with_the_packages_of_its_day() -> None:
    plan = make_plan("--always-make", "test-full")
    (newest,) = re.findall(r"^apache-airflow==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    others = [version for version, *_ in LINES if version != newest]

    assert newest in {version for version, *_ in LINES}
    assert re.findall(r"make-line-venv\.sh (\S+)", plan) == others
    assert re.findall(r"for line in (.*?);", plan) == [
        " ".join(version for version, *_, runs in LINES if runs == kind and version != newest) for kind in ("demo", "tests")
    ]


def test_no_line_is_mended_by_a_bound_of_its_own() -> None:
    """The day's packages are the whole truth of a line; a bound that only make knows would hide what a site runs into."""
    script = (REPOSITORY / "tools/make-line-venv.sh").read_text()

    assert re.findall(r"make-venv\.sh .*", script)[-1] == 'make-venv.sh "$directory" test "apache-airflow==$version"'
    assert re.search(r"[a-z]<[\d]|!=\d", (REPOSITORY / "Makefile").read_text()) is None


def test_the_support_matrix_is_the_table_of_lines() -> None:
    rows = re.findall(
        r"^\| (3\S+) \| (\S.*?) \| (3\S+) \| (\S.*?) \|$", (REPOSITORY / "docs/reference/support.md").read_text(), re.MULTILINE
    )
    runs = {"tests": "all", "demo": "the example Dag from end to end"}

    assert rows == [
        (version, "the day of the test" if packages == "today" else packages, python, runs[kind])
        for version, packages, python, kind in LINES
    ]


def test_the_support_matrix_names_the_pythons_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pythons = [name.rsplit(" ", 1)[1] for name in project["classifiers"] if re.search(r":: 3\.\d+$", name)]
    (newest,) = re.findall(r"^apache-airflow==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    page = (REPOSITORY / "docs/reference/support.md").read_text()

    assert f"| Python | {', '.join(pythons)} on Airflow {newest} |" in page
    assert project["requires-python"] == f">={pythons[0]}"
