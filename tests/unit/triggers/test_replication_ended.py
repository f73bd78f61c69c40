"""The watcher of an asset: what it tells of copies that somebody else started, and what a restart repeats: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher

from airflow_cbr.airflow_names import AIRFLOW_VERSION
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.triggers import cursor_store, replication_ended
from airflow_cbr.triggers.cbr import CbrReplicationEndedTrigger, CbrReplicationTrigger
from airflow_cbr.triggers.replication_ended import BOOKED_AFTER, REFUSED_FOR
from tests.support.many_vaults import Service, Vault, registered
from tests.support.task_run import CONN_ID, PASSWORD
from tests.support.triggerer import event_of, handed_over, triggerer
from tests.support.virtual_time import VirtualLoop, run

HOUR = 3600.0
WHERE: dict[str, Any] = {"region": "cn-north-4", "project_id": SOURCE_PROJECT}
OTHER = "a1b2c3d4-0000-4000-8000-000000000001"


class Store:
    """The state store of one asset, as Airflow gives it to a trigger."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.writes = 0
        self.failures = 0

    async def aget(self, key: str) -> Any:
        self._fail()
        return json.loads(self.kept[key]) if key in self.kept else None

    async def aset(self, key: str, value: Any) -> None:
        self._fail()
        self.writes += 1
        self.kept[key] = json.dumps(value)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the api-server is away: secret")


class Stores:
    """The stores of the assets that a trigger watches for."""

    def __init__(self, *stores: Store) -> None:
        self._by_name = {f"asset{number}": store for number, store in enumerate(stores)}
        self._by_uri: dict[str, Store] = {}


def make(vault: Vault, store: Store | None = None, **more: Any) -> Any:
    """Return a watcher as a triggerer makes it."""
    trigger = handed_over(CbrReplicationEndedTrigger(**{**WHERE, "vault_id": vault.id, **more}))
    trigger.asset_state_store = None if store is None else Stores(store)
    return trigger


class Watching:
    """A watcher at work.

    :param trigger: the watcher.
    """

    def __init__(self, trigger: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.at: list[float] = []
        self.fired = asyncio.Event()
        self._task = asyncio.create_task(self._collect(trigger))

    async def _collect(self, trigger: Any) -> None:
        async for event in trigger.run():
            self.events.append(json.loads(json.dumps(event.payload)))
            self.at.append(asyncio.get_running_loop().time())
            self.fired.set()

    async def until(self, time: float) -> None:
        """Let it watch until a moment of the loop's clock; it must not have ended by itself."""
        await asyncio.sleep(time - asyncio.get_running_loop().time())
        if self._task.done():
            self._task.result()
            raise AssertionError("the watcher has ended")

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def records(self) -> list[str]:
        return [record for event in self.events for record in event["replication_record_ids"]]


def play(scene: Callable[[Service], Coroutine[Any, Any, Any]], vaults: Sequence[Sequence[int]] = ((60,),), **switches: Any) -> Any:
    async def main(loop: VirtualLoop) -> Any:
        service = Service(loop, vaults, **switches)
        with triggerer(loop, service.adapter):
            result = await scene(service)
            await asyncio.sleep(0)
        assert registered() == 0
        return result

    return run(main)


# --- what is stored ---------------------------------------------------------------------------------------------------------


def test_every_argument_survives_the_store() -> None:
    arguments = {
        **WHERE,
        "vault_id": OTHER,
        "destination_region": "cn-shenzhen-1",
        "destination_project_id": DESTINATION_PROJECT,
        "destination_vault_id": OTHER,
        "cbr_conn_id": "mine",
        "poll_interval": 60.0,
        "hold": 0.0,
        "scheduled_only": True,
    }
    path, stored = CbrReplicationEndedTrigger(**arguments).serialize()

    assert path == f"{CbrReplicationEndedTrigger.__module__}.{CbrReplicationEndedTrigger.__qualname__}"
    assert stored == arguments
    assert CbrReplicationEndedTrigger(**stored).serialize() == (path, stored)
    assert PASSWORD not in json.dumps(stored)


def test_an_asset_takes_it_as_its_watcher() -> None:
    trigger = CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER)

    (watcher,) = Asset("copies", watchers=[AssetWatcher(name="copies", trigger=trigger)]).watchers
    assert watcher.trigger is trigger


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"region": "x@evil"}, "region"),
        ({"project_id": "{{ params.project_id }}"}, "project_id"),
        ({"vault_id": ""}, "vault_id"),
        ({"destination_region": ""}, "destination_region"),
        ({"destination_vault_id": "None"}, "destination_vault_id"),
        ({"cbr_conn_id": None}, "cbr_conn_id"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"hold": -1}, "hold"),
        ({"scheduled_only": "false"}, "scheduled_only"),
    ],
)
def test_what_cannot_be_right_fails_the_dag_file_and_says_why(changes: dict[str, Any], blamed: str) -> None:
    with pytest.raises(CbrParameterError, match=f"^{blamed}: "):
        CbrReplicationEndedTrigger(**{**WHERE, "vault_id": OTHER, **changes})


# --- when it fires ----------------------------------------------------------------------------------------------------------


def test_the_copies_of_a_night_make_one_event_when_the_last_has_ended() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        watching = Watching(make(vault, Store()))
        await watching.until(HOUR)
        service.start_copies()
        await watching.until(30 * HOUR)
        await watching.stop()
        (event,) = watching.events
        assert sorted(event.pop("replication_record_ids")) == sorted(vault.records)
        assert event == {
            "kind": "ended",
            "source": {**WHERE, "vault_id": vault.id},
            "destination": {"region": "cn-shenzhen-1", "project_id": DESTINATION_PROJECT, "vault_id": service._destination},
            "counts": {"succeeded": 3, "failed": 0, "skipped": 0},
        }
        assert 2 * HOUR <= watching.at[0] <= 2 * HOUR + 2 * 330

    play(scene, [[5, 30, 60]])


@pytest.mark.campaign
def test_copies_that_ended_wait_for_others_no_longer_than_they_may() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.start_copies()
        watching = Watching(make(vault, Store(), hold=2 * HOUR))
        await watching.until(40 * HOUR)
        await watching.stop()
        assert [len(event["replication_record_ids"]) for event in watching.events] == [2, 1]
        assert 2 * HOUR <= watching.at[0] < 3 * HOUR
        assert 30 * HOUR <= watching.at[1] < 31 * HOUR

    play(scene, [[5, 30, 1800]])


def test_a_copy_that_fails_is_told_too() -> None:
    async def scene(service: Service) -> None:
        service.control.fault("copy_fails", count=None)
        service.start_copies()
        watching = Watching(make(service.vaults[0]))
        await watching.until(2 * HOUR)
        await watching.stop()
        assert watching.events[0]["counts"] == {"succeeded": 0, "failed": 1, "skipped": 0}

    play(scene)


def test_more_records_than_an_event_takes_make_more_events() -> None:
    async def scene(service: Service) -> None:
        service.start_copies()
        store = Store()
        watching = Watching(make(service.vaults[0], store))
        await watching.until(2 * HOUR)
        await watching.stop()
        assert [len(event["replication_record_ids"]) for event in watching.events] == [500, 500, 1]
        assert sorted(watching.records) == sorted(service.vaults[0].records)
        assert len(next(iter(store.kept.values()))) < 65_535

    play(scene, [[10] * 1001])


@pytest.mark.parametrize(
    ("wanted", "fires"),
    [
        ({"destination_region": "CN-Shenzhen-1", "destination_project_id": DESTINATION_PROJECT.upper()}, True),
        ({"destination_region": "cn-east-3"}, False),
        ({"destination_vault_id": OTHER}, False),
        ({"scheduled_only": True}, False),
    ],
    ids=["the destination", "another region", "another vault", "started by hand"],
)
def test_only_what_is_wanted_is_told(wanted: dict[str, Any], fires: bool) -> None:
    async def scene(service: Service) -> None:
        service.start_copies()
        watching = Watching(make(service.vaults[0], **wanted))
        await watching.until(3 * HOUR)
        await watching.stop()
        assert bool(watching.events) is fires

    play(scene)


def test_a_copy_that_a_schedule_started_is_told_where_only_those_are_wanted() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        client = service.client()
        client.replicate_checkpoint(
            vault_id=vault.id,
            destination_region="cn-shenzhen-1",
            destination_project_id=DESTINATION_PROJECT,
            destination_vault_id=service._destination,
            auto_trigger=True,
        )
        client.close()
        watching = Watching(make(vault, scheduled_only=True))
        await watching.until(3 * HOUR)
        await watching.stop()
        assert len(watching.events) == 1

    play(scene)


# --- restarts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.campaign
def test_a_restart_repeats_nothing_and_misses_nothing() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        store = Store()
        first = Watching(make(vault, store))
        await first.until(HOUR)
        service.start_copies()
        await first.until(HOUR + 900)
        await first.stop()
        assert first.events == []
        # The copies end while no triggerer runs.
        await asyncio.sleep(20 * HOUR)
        second = Watching(make(vault, store))
        await second.until(23 * HOUR)
        await second.stop()
        assert sorted(second.records) == sorted(vault.records)
        third = Watching(make(vault, store))
        await third.until(60 * HOUR)
        await third.stop()
        assert third.events == []

    play(scene, [[5, 30, 60]])


def test_the_cursor_passes_an_event_only_when_the_triggerer_has_handed_it_over() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.start_copies()
        store = Store()
        first = Watching(make(vault, store))
        await first.fired.wait()
        await asyncio.sleep(BOOKED_AFTER - 1)
        await first.stop()
        second = Watching(make(vault, store))
        await second.until(service.loop.time() + HOUR)
        await second.stop()
        assert second.records == first.records, "twice rather than never"

    play(scene)


def test_without_a_store_a_restart_repeats_nothing_either() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.start_copies()
        first = Watching(make(vault))
        await first.until(2 * HOUR)
        await first.stop()
        assert len(first.events) == 1
        second = Watching(make(vault))
        await second.until(4 * HOUR)
        await second.stop()
        assert second.events == []

    play(scene)


def test_two_watchers_of_an_asset_keep_a_cursor_each() -> None:
    async def scene(service: Service) -> None:
        store = Store()
        service.start_copies()
        watching = [Watching(make(vault, store)) for vault in service.vaults]
        watching.append(Watching(make(service.vaults[0], store, scheduled_only=True)))
        await watching[0].until(2 * HOUR)
        for one in watching:
            await one.stop()
        assert len(store.kept) == 3
        assert [len(one.events) for one in watching] == [1, 1, 0]

    play(scene, [[10], [10]])


def test_a_watcher_of_two_assets_keeps_its_cursor_with_both() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.start_copies()
        one, other = Store(), Store()
        trigger = make(vault)
        trigger.asset_state_store = Stores(one, other)
        watching = Watching(trigger)
        await watching.until(2 * HOUR)
        await watching.stop()
        assert len(watching.events) == 1
        assert one.kept == other.kept != {}

    play(scene)


def test_a_store_that_is_away_costs_no_event() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        store = Store()
        first = Watching(make(vault, store))
        await first.until(HOUR)
        await first.stop()
        service.start_copies()
        await asyncio.sleep(2 * HOUR)
        store.failures = 20
        second = Watching(make(vault, store))
        await second.until(service.loop.time() + 10 * cursor_store.RETRY_AFTER)
        assert second.events == [], "without its place it would take the ended copies for old ones"
        await second.until(service.loop.time() + HOUR)
        assert len(second.events) == 1
        store.failures = 2
        service.control.advance(60)
        await second.until(service.loop.time() + HOUR)
        await second.stop()
        assert len(second.events) == 1

    play(scene)


@pytest.mark.campaign
def test_nothing_is_written_as_long_as_nothing_happens() -> None:
    async def scene(service: Service) -> None:
        store = Store()
        watching = Watching(make(service.vaults[0], store))
        await watching.until(48 * HOUR)
        await watching.stop()
        assert store.writes == 1

    play(scene)


def test_airflows_own_stores_are_read_as_here() -> None:
    if AIRFLOW_VERSION < (3, 3):
        assert not hasattr(CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER), "asset_state_store"), "there is none"
        return
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    stores: Any = AssetStateStoreAccessors(inlets=[Asset("one"), Asset("two")])
    found = cursor_store.CursorStore(stores, "key", log=None)._stores
    assert [type(one).__name__ for one in found] == ["AssetStateStoreAccessor"] * 2
    assert all(callable(getattr(one, name)) for one in found for name in ("get", "set"))


# --- what it costs ----------------------------------------------------------------------------------------------------------


def looks_of(watchers: int, hours: float = 4) -> int:
    async def scene(service: Service) -> int:
        (vault,) = service.vaults
        watching = [Watching(make(vault, Store())) for _ in range(watchers)]
        await watching[0].until(hours * HOUR)
        for one in watching:
            await one.stop()
        return service.looks(vault)

    return int(play(scene))


def test_all_watchers_of_a_vault_share_one_poll() -> None:
    alone = looks_of(1)

    assert 40 <= alone <= 49, "every five minutes"
    assert looks_of(20) <= alone + 4


def test_watchers_of_a_vault_have_one_stream_and_others_another() -> None:
    one = CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER)
    same = CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER.upper(), destination_region="cn-shenzhen-1", hold=0, scheduled_only=True)
    others = [
        CbrReplicationEndedTrigger(**WHERE, vault_id=SOURCE_PROJECT),
        CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER, cbr_conn_id="mine"),
        CbrReplicationEndedTrigger(**WHERE, vault_id=OTHER, poll_interval=60),
        CbrReplicationEndedTrigger(**{**WHERE, "region": "cn-east-3"}, vault_id=OTHER),
    ]

    assert one.shared_stream_key() == same.shared_stream_key()
    assert hash(one.shared_stream_key()) == hash(same.shared_stream_key())
    assert one.shared_stream_key() not in [other.shared_stream_key() for other in others]


def test_airflows_shared_stream_feeds_all_watchers_with_one_poll() -> None:
    async def scene(service: Service) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        (vault,) = service.vaults
        service.start_copies()
        manager = SharedStreamManager()
        triggers = [make(vault, Store()) for _ in range(5)]
        told: list[list[Any]] = [[] for _ in triggers]

        async def consume(number: int) -> None:
            trigger = triggers[number]
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
            async for event in trigger.filter_shared_stream(stream):
                told[number].append(event.payload)

        tasks = [asyncio.create_task(consume(number)) for number in range(len(triggers))]
        await asyncio.sleep(2 * HOUR)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await manager.stop_all()
        assert [len(events) for events in told] == [1] * 5
        assert service.looks(vault) <= 26

    if AIRFLOW_VERSION >= (3, 3):
        play(scene)


def test_a_watcher_does_not_make_a_deferred_task_list_the_vault_more_often() -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        service.start_copies()
        watching = Watching(make(vault, Store(), poll_interval=HOUR))
        waiting = asyncio.create_task(
            event_of(
                CbrReplicationTrigger(
                    cbr_conn_id=CONN_ID,
                    **WHERE,
                    vault_id=vault.id,
                    replication_record_ids=vault.records[:1],
                    deadline=service.loop.unix_time() + 86400,
                )
            )
        )
        assert (await waiting)["wake"] == "final"
        await watching.until(service.loop.time() + 2 * HOUR)
        await watching.stop()
        assert sorted(watching.records) == sorted(vault.records)
        # Two pages each hour for the watcher; the task shows its one backup instead, except at its first look.
        assert service.requests(vault)["ListBackups"] <= 2 * 4 + 2
        assert service.requests(vault)["ShowBackup"] > 5

    play(scene, [[60] * 1100])


# --- a service that fails ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 502}, {"kind": "throttle"}, {"kind": "truncated"}])
def test_a_service_that_is_away_for_hours_costs_nothing_but_time(fault: dict[str, Any]) -> None:
    async def scene(service: Service) -> None:
        (vault,) = service.vaults
        watching = Watching(make(vault, Store()))
        await watching.until(HOUR)
        service.start_copies()
        service.control.fault(call="ListBackups", count=None, **fault)
        await watching.until(8 * HOUR)
        assert watching.events == []
        service.control.clear_faults()
        await watching.until(10 * HOUR)
        await watching.stop()
        assert watching.records == vault.records

    play(scene)


def test_a_service_that_refuses_is_left_alone_for_a_while_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(service: Service) -> int:
        (vault,) = service.vaults
        service.start_copies()
        service.control.change_user("backup-bot", denied_calls=["ListBackups"])
        watching = Watching(make(vault, Store()))
        await watching.until(6 * HOUR)
        asked = service.looks(vault) + service.requests()["ListBackups"]
        service.control.change_user("backup-bot", denied_calls=[])
        service.control.advance(0)
        await watching.until(8 * HOUR)
        await watching.stop()
        assert watching.events == [], "it had never seen the vault, so what ended before is the past"
        return asked

    asked = play(scene)

    assert 0 < asked <= 6 * HOUR / REFUSED_FOR * 6
    assert "cannot be watched; the next look is in 900 s" in caplog.text
    assert "backup-bot" not in caplog.text


def test_a_connection_that_is_not_there_is_looked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(service: Service) -> None:
        watching = Watching(make(service.vaults[0], cbr_conn_id="nowhere"))
        await watching.until(3 * HOUR)
        await watching.stop()
        assert watching.events == []

    play(scene)
    assert "Connection 'nowhere' is not defined" in caplog.text


def test_a_password_never_reaches_the_log_or_an_event(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(service: Service) -> list[Any]:
        service.start_copies()
        watching = Watching(make(service.vaults[0], Store()))
        await watching.until(2 * HOUR)
        await watching.stop()
        return watching.events

    events = play(scene)
    assert PASSWORD not in json.dumps(events) + caplog.text


def test_the_module_and_the_listed_module_offer_the_same_class() -> None:
    assert replication_ended.CbrReplicationEndedTrigger is CbrReplicationEndedTrigger
