"""Many vaults on two Celery workers with Redis and PostgreSQL, while parts of the deployment are lost.

``--vaults`` says how many; 200 need a machine of one's own. See `make test-celery`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_processes import running, triggerers
from tests.support.celery_figures import database_connections, largest_rows, triggerer_memory
from tests.support.celery_nights import Night, lose_triggerers, lose_worker, restart_postgresql, restart_redis
from tests.support.refused_logins import check_that_a_wrong_secret_is_tried_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth
    from tests.support.celery_figures import Figures
    from tests.support.celery_stack import CeleryStack
    from tests.support.emulator import ControlClient

pytestmark = [pytest.mark.full, pytest.mark.timeout(4 * 3600)]

WATCHED = 120.0
"""Seconds for which the requests of waiting vaults are counted."""
AWAY = 60.0
"""Seconds for which the api-server is away."""
SYNCHRONOUS = 12
"""Vaults that are waited for on workers; two workers have 16 slots."""
MACHINES = 100
KILLS: dict[str, list[tuple[str, float, Callable[[Any], None]]]] = {
    # What is lost, and when: the share of copies that are started, or the share of vaults that wait.
    "a worker": [("submitted", 0.3, lose_worker)],
    "redis": [("submitted", 0.5, restart_redis)],
    "postgresql": [("submitted", 0.5, restart_postgresql)],
    "the triggerer": [("waiting", 0.75, lose_triggerers)],
    "all of them": [
        ("submitted", 0.2, lose_worker),
        ("submitted", 0.4, restart_redis),
        ("submitted", 0.5, restart_postgresql),
        ("waiting", 0.75, lose_triggerers),
    ],
}


def test_all_vaults_wait_together_and_each_backup_is_copied_once(
    stack: CeleryStack, control: ControlClient, vault_count: int, limit: Callable[[float], float], figures: Figures
) -> None:
    night = Night.prepare(stack, control, vault_count)
    night.begin_mapped()
    night.until_all_wait(0.25, limit=limit(10))
    # The first waits load this package.
    busy, memory, few = database_connections(stack), triggerer_memory(stack), night.count("deferred")
    seconds = night.until_all_wait(limit=limit(10))
    figures.say(f"{vault_count} vaults: all wait, deferred, after", f"{seconds:.0f} s, {60 * vault_count / seconds:.0f} tasks a minute")

    per_wait = (triggerer_memory(stack) - memory) / max(1, vault_count - few)
    before, began = sum(control.requests().values()), time.monotonic()
    rows, connections = largest_rows(stack), database_connections(stack)
    night.until(lambda: time.monotonic() - began >= WATCHED, "the watched time is over", limit=2 * WATCHED)
    asked = sum(control.requests().values()) - before
    minutes = (time.monotonic() - began) / 60
    assert night.count("deferred") == vault_count, "nothing has ended meanwhile"

    figures.say("requests for a waiting vault", f"{asked / minutes / vault_count:.2f} a minute")
    figures.say("memory of the triggerer for a wait", f"{per_wait / 1024:.0f} KiB, above {memory / 2**20:.0f} MiB with {few}")
    for moment, found in (("while tasks begin", busy), ("while all wait", connections)):
        figures.say(f"connections to PostgreSQL {moment}", f"{sum(found.values())}: {found}")
    for name, (largest, number) in rows.items():
        figures.say(f"largest row: {name}", f"{largest} B, of {number}")
    seconds = night.let_the_copies_end(limit=limit(20))
    figures.say(
        "all copied and proven, after the last copy has ended", f"{seconds:.0f} s, {60 * 2 * vault_count / seconds:.0f} tasks a minute"
    )
    assert {row["try_number"] for row in night.rows()} == {1}


@pytest.mark.parametrize("lost", KILLS)
def test_a_night_in_which_parts_are_lost_ends_as_any_other(
    lost: str, stack: CeleryStack, control: ControlClient, vault_count: int, limit: Callable[[float], float], figures: Figures
) -> None:
    # Each loss by itself is a matter of kinds, not of numbers.
    night = Night.prepare(stack, control, vault_count if lost == "all of them" else min(vault_count, 20))
    night.begin_mapped()
    moment = datetime.now(UTC)
    for phase, share, lose in KILLS[lost]:
        if phase == "submitted":
            night.until_submitted(share, limit=limit(15))
        else:
            night.until_all_wait(share, limit=limit(15))
        moment = datetime.now(UTC)
        lose(stack)

    night.until_all_wait(limit=limit(15) + 900)
    again = [row for row in night.rows() if row["try_number"] > 1]
    if again and lost == "a worker":
        seconds = max((datetime.fromisoformat(row["start_date"]) - moment).total_seconds() for row in again)
        figures.say("a worker is lost: tasks that began again", f"{len(again)} of {len(night.pairs)}, the last after {seconds:.0f} s")
    else:
        figures.say(f"{lost}: tasks that began again", f"{len(again)} of {len(night.pairs)}")
    night.let_the_copies_end(limit=limit(20) + 900)


def test_of_two_triggerers_one_is_enough(
    stack: CeleryStack, control: ControlClient, vault_count: int, limit: Callable[[float], float], figures: Figures
) -> None:
    second = stack.start_triggerer()
    night = Night.prepare(stack, control, vault_count)
    night.begin_mapped()
    night.until_all_wait(limit=limit(10))
    jobs = {row["triggerer_job"]["id"] for row in night.rows() if row["triggerer_job"]}
    figures.say("two triggerers: that have a part of the waits", str(len(jobs)))
    first = triggerers(stack)[0]
    assert first is not second
    first.kill()
    night.let_the_copies_end(limit=limit(20) + 600)
    assert {row["try_number"] for row in night.rows()} == {1}, "a lost triggerer costs no try"


def waiting_on_workers(stack: CeleryStack, control: ControlClient, vault_count: int, limit: float) -> Night:
    """Return a night whose tasks wait on workers."""
    night = Night.prepare(stack, control, min(vault_count, SYNCHRONOUS))
    night.begin_runs("replicate_with_pauses")
    night.until_submitted(1.0, limit=limit)
    night.until(lambda: night.count("running") == len(night.pairs), "all tasks wait on workers", limit=limit)
    return night


def until_all_look_again(night: Night, limit: float) -> None:
    """Wait until a task looks at each vault, after what has happened."""
    before = {pair.source: control_looks(night, pair.source) for pair in night.pairs}
    night.until(
        lambda: all(control_looks(night, vault) > looks for vault, looks in before.items()) and night.count("running") == len(night.pairs),
        "a task looks at each vault",
        limit=limit,
    )
    night.check_no_false_green()


def control_looks(night: Night, vault: str) -> int:
    """Return how often the backups of a vault were listed."""
    return night.control.requests(vault).get("ListBackups", 0)


def test_a_worker_that_is_lost_while_its_tasks_wait_loses_and_repeats_nothing(
    stack: CeleryStack, control: ControlClient, vault_count: int, limit: Callable[[float], float]
) -> None:
    night = waiting_on_workers(stack, control, vault_count, limit(10))
    lose_worker(stack)
    night.until(lambda: any(row["try_number"] > 1 for row in night.rows()), "its tasks are tried again", limit=limit(10))
    until_all_look_again(night, limit(10))
    night.let_the_copies_end(limit=limit(10))


def test_an_api_server_that_is_away_for_a_minute_loses_and_repeats_nothing(
    stack: CeleryStack, control: ControlClient, vault_count: int, limit: Callable[[float], float], figures: Figures
) -> None:
    night = waiting_on_workers(stack, control, vault_count, limit(10))
    server = stack.components["api-server"]
    server.kill()
    time.sleep(AWAY)
    server.start()
    night.until(stack.api.healthy, "the api-server is back", limit=600)
    until_all_look_again(night, limit(10) + 600)
    again = sum(row["try_number"] > 1 for row in night.rows())
    figures.say(f"the api-server is away for {AWAY:.0f} s: tasks that began again", f"{again} of {len(night.pairs)}")
    night.let_the_copies_end(limit=limit(10) + 600)


@pytest.mark.parametrize("auth", ["password", "aksk"])
def test_a_wrong_secret_is_tried_once_by_the_whole_deployment(
    api: AirflowApi, auth: Auth, stack: CeleryStack, vault_count: int, limit: Callable[[float], float]
) -> None:
    assert len(running(stack, "worker-")) == 2
    check_that_a_wrong_secret_is_tried_once(api, auth, min(vault_count, MACHINES), limit=limit(10))
