"""The compose file, by the schema of the Compose specification: no engine is needed, and none is at hand where these tests run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

FILE = Path(__file__).resolve().parents[3] / "docs" / "deployment" / "docker-compose.yml"


def is_valid(file: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, timeout=120).returncode == 0


def test_the_compose_file_is_valid() -> None:
    assert is_valid(FILE)


def test_one_with_a_slip_is_not(tmp_path: Path) -> None:
    wrong = tmp_path / FILE.name
    wrong.write_text(FILE.read_text().replace("stop_grace_period: 2m", "stop_grace: 2m"))
    assert not is_valid(wrong)
