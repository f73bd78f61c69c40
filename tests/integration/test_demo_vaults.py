"""The vaults of ``airflow-cbr demo --ui`` are what its page says of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_cbr.demo.vaults import audited_vaults, morning_world
from airflow_cbr.exceptions import CbrVerificationError
from tests.support.emulator import EmulatorServer
from tests.support.task_run import set_connection, verifying

if TYPE_CHECKING:
    import pytest


def test_two_are_well_one_is_old_and_one_lacks_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"record": "fail", "replica": "fail", "coverage": "fail", "rpo": "fail", "vault": "warn"}
    found = []
    with EmulatorServer(morning_world()) as server:
        set_connection(monkeypatch, server.url)
        for vault in audited_vaults():
            run = verifying(None, **vault, levels=levels, scope="all", max_age=36 * 3600)
            with suppress(CbrVerificationError):
                run.attempt()
            report = run.xcoms["verification"]
            found.append((report["verdict"], [level for level, one in report["levels"].items() if one["outcome"] == "violated"]))

    assert found == [("verified", []), ("verified", []), ("failed", ["rpo"]), ("failed", ["record", "coverage"])]
