"""What waiting costs: ``python -m tests.benchmarks.bench_waiting``.

The real triggers and watches wait for copies of the real emulator, in an event loop whose time is virtual: it jumps to the next timer when
nothing else is left to do, so that a night takes seconds. Looks run in real threads of this process, as they do in a triggerer; the
emulator runs in them too, so that the event loop has more company than in real life. Freezes are measured in real time, without the time
in which other programs had the processors.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import statistics
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

_HOME = tempfile.TemporaryDirectory(prefix="airflow-cbr-bench-")
os.environ |= {"AIRFLOW_HOME": _HOME.name, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
os.environ["CBR_REFUSALS_DIRECTORY"] = f"{_HOME.name}/refusals"

import airflow.jobs.triggerer_job_runner  # noqa: E402, F401 - what a triggerer has loaded before the first trigger comes

from airflow_cbr.emulator.world import SOURCE_PROJECT  # noqa: E402
from airflow_cbr.triggers import cbr as triggers  # noqa: E402
from airflow_cbr.waiting import poll, watch  # noqa: E402
from tests.benchmarks.targets import Target, report  # noqa: E402
from tests.support.many_vaults import Service, Vault  # noqa: E402
from tests.support.task_run import CONN_ID  # noqa: E402
from tests.support.triggerer import event_of, triggerer  # noqa: E402
from tests.support.virtual_time import ThreadedLooks, VirtualLoop, run  # noqa: E402

VAULTS, WAITS, RECORDS = 50, 1000, 20


def trigger(loop: VirtualLoop, vault: Vault, records: Sequence[str]) -> triggers.CbrReplicationTrigger:
    return triggers.CbrReplicationTrigger(
        cbr_conn_id=CONN_ID,
        region="cn-north-4",
        project_id=SOURCE_PROJECT,
        vault_id=vault.id,
        replication_record_ids=list(records),
        deadline=loop.unix_time() + 86400,
    )


async def fire(loop: VirtualLoop, one: triggers.CbrReplicationTrigger) -> tuple[float, str]:
    """Run a trigger; return when it fired, in virtual time, and what it said."""
    event = await event_of(one)
    return loop.time(), str(event["wake"])


class Collections:
    """Measures the time for which Python collects garbage, as :func:`gc.callbacks` tells it, while the block lasts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self._began


# --- a thousand waits ---------------------------------------------------------------------------------------------------


def many_waits(waits: int, records: int, *, longest: int) -> dict[str, float]:
    """Let waits of equally many records, whose copies take up to so many minutes, come to their ends; return what was measured."""
    chance = random.Random(waits)
    share = waits // VAULTS
    lengths = [[chance.randrange(5, longest) for _ in range(share * records)] for _ in range(VAULTS)]

    async def main(loop: VirtualLoop) -> dict[str, float]:
        service = Service(loop, lengths, progress="linear")
        service.start_copies()
        # A triggerer has no emulator in it whose million objects the garbage collector would walk through.
        gc.collect()
        gc.freeze()
        with ThreadPoolExecutor(4) as threads, triggerer(loop, service.adapter, ThreadedLooks(loop, threads)), Collections() as collections:
            loop.collected = lambda: collections.seconds
            return await measure(loop, service)

    async def measure(loop: VirtualLoop, service: Service) -> dict[str, float]:
        looks: dict[str, list[tuple[float, int]]] = {vault.id: [] for vault in service.vaults}
        look = poll.VaultPoll.look

        def noted(self: poll.VaultPoll, *arguments: Any) -> Any:
            vault = Vault(self._vault_id)
            before = service.looks(vault)
            answers = look(self, *arguments)
            looks[vault.id].append((loop.time(), service.looks(vault) - before))
            return answers

        poll.VaultPoll.look = noted  # type: ignore[method-assign, assignment]
        ends = []
        tasks = []
        length_of = {backup.id: backup.resource_size for backup in service.emulator.service.store.backups.values()}
        await asyncio.sleep(0)
        loop.longest_freeze = loop.longest_turn = 0.0
        for vault in service.vaults:
            for number in range(share):
                chosen = vault.records[number::share]
                ends.append((vault, 60.0 * max(length_of[vault.backups[record]] for record in chosen)))
                tasks.append(asyncio.create_task(fire(loop, trigger(loop, vault, chosen))))
                # As a triggerer does between two triggers.
                await asyncio.sleep(0)
        fired = await asyncio.gather(*tasks)
        turn, freeze = loop.longest_turn, loop.longest_freeze
        poll.VaultPoll.look = look  # type: ignore[method-assign]
        assert Counter(word for _, word in fired) == {"final": waits}, Counter(fired)
        late = []
        for (vault, end), (when, _) in zip(ends, fired, strict=True):
            moments = [moment for moment, _ in looks[vault.id] if moment <= when]
            current_gap = moments[-1] - moments[-2] if len(moments) > 1 else watch.FIRST_LOOK_AFTER
            late.append(when - end - current_gap)
        return {
            "requests per look": max(count for of_vault in looks.values() for _, count in of_vault),
            "looks": sum(map(len, looks.values())),
            "seconds beyond the gap": max(late),
            "turn": turn * 1000,
            "freeze": freeze * 1000,
        }

    try:
        return run(main)
    finally:
        gc.unfreeze()


def memory_per_wait() -> float:
    """Return how much a wait of twenty records adds, in KiB, when all have been looked at a few times."""

    async def main(loop: VirtualLoop) -> float:
        share = WAITS // VAULTS
        service = Service(loop, [[60] * (share * RECORDS) for _ in range(VAULTS)], copy_seconds_per_gb=600.0)
        service.start_copies()
        with triggerer(loop, service.adapter):
            # The first wait of each vault pays for what all share: modules, the vault's client.
            tasks = [asyncio.create_task(fire(loop, trigger(loop, vault, vault.records[:1]))) for vault in service.vaults]
            await asyncio.sleep(1000)
            tracemalloc.start()
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for vault in service.vaults:
                for number in range(share):
                    # Of its own, as arguments that were read from the database are.
                    records = [record.encode().decode() for record in vault.records[number::share]]
                    tasks.append(asyncio.create_task(fire(loop, trigger(loop, vault, records))))
            await asyncio.sleep(3600)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return float((after - before) / WAITS / 1024)

    return run(main)


# --- when to look -------------------------------------------------------------------------------------------------------


def night(kind: str, *, fixed: bool) -> tuple[int, list[float]]:
    """Let copies of 5 minutes to 6 hours run, each in a vault of its own; return requests and detection delays."""
    chance = random.Random(kind)
    minutes = [round(5 * (360 / 5) ** chance.random()) for _ in range(40)]
    intervals = {"poll_interval": 30.0, "max_poll_interval": 30.0 if fixed else 600.0}

    async def main(loop: VirtualLoop) -> tuple[int, list[float]]:
        service = Service(loop, [[one] for one in minutes], progress=kind)
        service.start_copies()
        with triggerer(loop, service.adapter):
            waits = []
            for vault in service.vaults:
                one = trigger(loop, vault, vault.records)
                one.__dict__ |= intervals
                waits.append(fire(loop, one))
            fired = await asyncio.gather(*waits)
        return service.looks(), [when - 60.0 * length for (when, _), length in zip(fired, minutes, strict=True)]

    return run(main)


def one_alone(kind: str) -> tuple[int, int]:
    """Return the requests of the same order, waited for on a worker and in the triggerer."""
    from tests.support.replication_night import Night

    counts = []
    for deferred in (False, True):
        played = Night(spec={"poll_interval": 30.0, "max_poll_interval": 600.0})
        played.control.switch(copy_seconds=5400.0, progress=kind)
        if deferred:
            counts.append(requests_deferred(played))
        else:
            played.attempt()
            counts.append(sum(played.control.requests().values()))
    return counts[0], counts[1]


def requests_deferred(played: Any) -> int:
    """Play a night whose waits for copies are triggers: each leg is the submission's, each wait the trigger's."""
    from airflow_cbr.once.steps import Pause
    from airflow_cbr.replication.state import ReplicationState

    played.number = 1
    submission = played.submission()
    while isinstance(step := submission.advance(), Pause):
        if step.records:
            wait_in_triggerer(played, step.records)
        else:
            played.clock.advance(step.seconds)
        submission = played.submission(state=ReplicationState.load(submission.state.dump()))
    return sum(played.control.requests().values())


def wait_in_triggerer(played: Any, records: Sequence[str]) -> None:
    async def main(loop: VirtualLoop) -> None:
        began, at = played.clock.now(), loop.time()
        clock = played.clock
        now = clock.now

        def moved() -> float:
            return float(began + loop.time() - at)

        clock.now = moved
        vault = Vault(played.spec["vault_id"])
        with triggerer(loop, played.adapter):
            await fire(loop, trigger(loop, vault, records))
            # The watch, which nobody needs any more, ends.
            await asyncio.sleep(0)
        clock.now = now
        clock.advance(loop.time() - at)

    run(main)


def main() -> None:
    many = many_waits(WAITS, RECORDS, longest=120)
    print(f"{WAITS} waits of {RECORDS} records over {VAULTS} vaults: {shown(many)}")
    targets = [
        Target("requests per look at a vault, 400 records each", many["requests per look"], 1, "requests"),
        Target("requests per round, against a poll for each record", many["requests per look"] * VAULTS, VAULTS, f"of {WAITS * RECORDS}"),
        Target("woken after the last record, beyond the current gap", many["seconds beyond the gap"], 2, "s"),
        Target("longest freeze of the event loop", many["freeze"], 50, "ms"),
        Target("memory of a wait", memory_per_wait(), 60, "KiB"),
    ]
    crowd = many_waits(10 * WAITS, 2, longest=20)
    print(f"{10 * WAITS} waits of 2 records over {VAULTS} vaults: {shown(crowd)}")
    targets += [
        Target(f"{10 * WAITS} waits: requests per look", crowd["requests per look"], 1, "requests"),
        Target(f"{10 * WAITS} waits: beyond the current gap", crowd["seconds beyond the gap"], 2, "s"),
        Target(f"{10 * WAITS} waits: longest turn of the event loop, without Python's garbage collection", crowd["turn"], 50, "ms"),
        Target(f"{10 * WAITS} waits: longest freeze of the event loop", crowd["freeze"], 50, "ms", known=400),
    ]

    print("A night of 40 copies each of 5 minutes to 6 hours, every copy waited for alone:")
    nights = {kind: (night(kind, fixed=False), night(kind, fixed=True)) for kind in ("linear", "bursty", "stuck", "null")}
    for kind, ((requests, delays), (fixed, fixed_delays)) in nights.items():
        print(
            f"  {kind:8}{requests:6} requests, fixed 30 s {fixed:6} ({requests / fixed:.2f}); detected after "
            f"{statistics.median(delays):5.1f} s (median), {max(delays):5.1f} s (most), fixed {statistics.median(fixed_delays):5.1f} s"
        )
    adaptive, fixed = (sum(one[which][0] for one in nights.values()) for which in (0, 1))
    delays = list(itertools.chain.from_iterable(one[0][1] for one in nights.values()))
    targets += [
        Target("requests of the night / of a fixed 30 s poll", adaptive / fixed, 1 / 3),
        Target("median detection delay", statistics.median(delays), 60, "s"),
    ]
    for kind in ("linear", "null"):
        synchronous, deferred = one_alone(kind)
        print(f"One wait alone, {kind}: {synchronous} requests on a worker, {deferred} deferred")
        targets.append(Target(f"one wait alone, {kind}: on a worker / deferred", synchronous / deferred, 1.0))
    report(targets)


def shown(measured: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in measured.items())


if __name__ == "__main__":
    main()
