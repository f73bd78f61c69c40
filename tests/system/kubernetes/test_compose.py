"""The compose file, by the schema of the Compose specification: no engine is needed, and none is at hand where these tests run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from airflow.cli.cli_parser import get_parser

from airflow_cbr.airflow_names import conf

pytestmark = pytest.mark.full

FILE = Path(__file__).resolve().parents[3] / "docs" / "deployment" / "docker-compose.yml"
SERVICES = yaml.safe_load(FILE.read_text())["services"]


def is_valid(file: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, timeout=120).returncode == 0


def test_the_compose_file_is_valid() -> None:
    assert is_valid(FILE)


def test_one_with_a_slip_is_not(tmp_path: Path) -> None:
    wrong = tmp_path / FILE.name
    wrong.write_text(FILE.read_text().replace("stop_grace_period: 2m", "stop_grace: 2m"))
    assert not is_valid(wrong)


def test_every_setting_is_an_option_of_airflow() -> None:
    environment = SERVICES["worker-1"]["environment"]
    options = [match.groups() for name in environment if (match := re.fullmatch(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)", name))]
    # Airflow's own and those of its providers, whether or not they have a default.
    known = {(section, option) for section, about in conf.configuration_description.items() for option in about["options"]}

    assert len(options) > 10
    assert {(section.lower(), option.lower()) for section, option in options} - known == set()


def test_the_healthchecks_that_call_airflow_are_commands_that_it_has() -> None:
    checks = [service["healthcheck"]["test"] for service in SERVICES.values() if "healthcheck" in service]
    commands = [check[2:] for check in checks if check[:2] == ["CMD", "airflow"]]
    parsed = [get_parser().parse_args(command) for command in commands]

    assert {one.job_type for one in parsed} == {"DagProcessorJob", "TriggererJob"}
    assert all(one.local for one in parsed)
