"""A wrong secret on many machines at once: real processes that share no file but one store, as workers share Airflow's Variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api.brake import LIMIT
from tests.support.task_run import ACCESS_KEY, PASSWORD, SECRET_KEY, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import EmulatorServer

MACHINES = 8
WRONG = "a-secret-that-nobody-has"
LOGINS = {"password": (USER, PASSWORD), "aksk": (ACCESS_KEY, SECRET_KEY)}


def sign_in_everywhere(emulator: EmulatorServer, folder: Path, auth: str, secret: str) -> list[dict[str, Any]]:
    """Let machines that have refused nobody sign in at the same moment."""
    start, store = folder / "start", folder / "store"
    start.unlink(missing_ok=True)
    store.mkdir(exist_ok=True)
    arguments = [emulator.url, str(store), str(start), auth, LOGINS[auth][0], secret]
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.shared_registers", *arguments],
            env={**os.environ, "CBR_REFUSALS_DIRECTORY": str(folder / f"machine-{os.urandom(4).hex()}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(MACHINES)
    ]
    for one in machines:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    start.touch()
    return [json.loads(one.communicate(timeout=120)[0]) for one in machines]


def tries(emulator: EmulatorServer) -> int:
    """Return how many requests were refused because of the secret, or answered because it is right."""
    requests = emulator.control.requests()
    return requests.get("KeystoneCreateUserTokenByPassword", 0) + requests.get("KeystoneListProjects", 0)


@pytest.mark.parametrize("auth", ["aksk", pytest.param("password", marks=pytest.mark.full)])
def test_one_machine_is_refused_and_all_others_hear_of_it(emulator: EmulatorServer, tmp_path: Path, auth: str) -> None:
    outcomes = sign_in_everywhere(emulator, tmp_path, auth, WRONG)
    assert {one["error"] for one in outcomes} == {"CbrAuthenticationError"}
    assert sum(not one["is_local"] for one in outcomes) == 1
    assert tries(emulator) == 1
    for one in outcomes:
        if one["is_local"]:
            assert "No task of this deployment tries it again before" in one["text"]
            assert "since" in one["text"]
            assert "Correct login and password of the connection" in one["text"]
    # Another burst of tasks, on machines that know nothing yet.
    assert all(one["is_local"] for one in sign_in_everywhere(emulator, tmp_path, auth, WRONG))
    assert tries(emulator) == 1 < LIMIT

    kept = "".join(path.read_text() for path in (tmp_path / "store").iterdir())
    assert WRONG not in kept
    assert LOGINS[auth][0] not in kept

    # A corrected secret waits for nothing but its turn.
    assert {one["vaults"] for one in sign_in_everywhere(emulator, tmp_path, auth, LOGINS[auth][1])} == {1}
