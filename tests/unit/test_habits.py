"""The rules of tests/conftest.py hold: nothing is skipped in silence, and nothing of the developer's own is seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.makefile import make_plan

REPOSITORY = Path(__file__).resolve().parents[2]


def run_pytest(folder: Path, code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(f"import os\nimport pytest\n\n{code}\n")
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = '{REPOSITORY}'\naddopts = -p tests.conftest -p no:cacheprovider\n")
    command = [sys.executable, "-m", "pytest", "-q", *options, str(folder)]
    return subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


SKIPS = {
    "in_the_test": "def test_it(): pytest.skip('not today')",
    "mark": "@pytest.mark.skip(reason='not today')\ndef test_it(): pass",
    "xfail": "@pytest.mark.xfail(reason='not today')\ndef test_it(): assert False",
    "module": "pytest.skip('not today', allow_module_level=True)",
    "import": "nothing = pytest.importorskip('a_module_that_is_not_there', reason='not today')",
}


@pytest.mark.campaign
def test_a_skip_fails_the_run(tmp_path: Path) -> None:
    for name, code in SKIPS.items():
        (tmp_path / f"test_{name}.py").write_text(f"import pytest\n\n{code}\n")

    run = run_pytest(tmp_path, "def test_it(): pass", "--continue-on-collection-errors")

    assert run.returncode == 1, run.stdout
    refused = re.findall(
        r"^.*test_(\w+)\.py(?:::test_it)? was skipped, and is not in ALLOWED_SKIPS .*: .*not today", run.stdout, re.MULTILINE
    )
    assert set(refused) == set(SKIPS), run.stdout
    assert "1 passed" in run.stdout


@pytest.mark.campaign
def test_a_test_sees_a_home_and_an_airflow_of_its_own(tmp_path: Path) -> None:
    code = (
        "def test_it(real_environment):\n"
        "    assert 'AIRFLOW_CONN_CBR' not in os.environ\n"
        "    assert 'HUAWEICLOUD_SDK_AK' not in os.environ\n"
        "    assert os.environ['HOME'] != real_environment['HOME']\n"
        "    assert os.environ['AIRFLOW_HOME'].startswith(os.environ['HOME'])\n"
        "    assert real_environment['AIRFLOW_CONN_CBR'] == 'x://'\n"
    )

    run = run_pytest(tmp_path, code, AIRFLOW_CONN_CBR="x://", HUAWEICLOUD_SDK_AK="x", HOME=str(tmp_path))

    assert run.returncode == 0, run.stdout


def test_what_a_contributor_runs_leaves_out_the_campaigns_and_the_whole_does_not() -> None:
    unit, whole = (make_plan(target).splitlines()[-1] for target in ("test-unit", "test"))

    assert '-m "not full and not campaign and not browser" tests/unit' in unit
    assert '-m "not full"' in whole
    assert "tests/" not in whole


def test_the_files_and_the_tests_that_contributing_names_are_there() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:airflow_cbr|docs|tests|tools|\.ci|\.github)/[\w./-]*)(?:::(\w+))?`", text)
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    by_themselves = [name for name in re.findall(r"`(test_\w+)`", text) if f"def {name}(" not in tests]

    assert len(named) > 30
    assert [path for path, _ in named if not (REPOSITORY / path).exists()] == []
    assert [f"{path}::{name}" for path, name in named if name and f"def {name}(" not in (REPOSITORY / path).read_text()] == []
    assert by_themselves == []
