"""The deferred waits: for replication records, and for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_cbr.hooks.connection import ConnectionFields
from airflow_cbr.triggers.events import Wake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.replication.watch import Sight

__all__ = ["CbrPauseTrigger", "CbrReplicationTrigger"]


class CbrReplicationTrigger(BaseTrigger):
    """Wait until replication records have ended, sharing the looks of everybody who waits for the same vault.

    The trigger decides nothing: it wakes its task, which looks for itself. Its arguments hold ids and numbers only. It is safe to
    run twice.

    :param cbr_conn_id: id of the connection.
    :param region: source region id.
    :param project_id: source project id.
    :param vault_id: source vault.
    :param replication_record_ids: the records.
    :param deadline: Unix time at which the wait ends in any case.
    :param poll_interval: shortest time between two looks, in seconds. Default: 30.
    :param max_poll_interval: longest time between two looks, in seconds. Default: 600.
    :param unlisted_for: seconds after which a record that no backup lists wakes the task. Default: 120.
    :param follows_unseen: whether that holds for a record that was never listed too. Default: True.
    :param memory: what the task wants back in the event. Default: nothing.
    """

    def __init__(
        self,
        *,
        cbr_conn_id: str,
        region: str,
        project_id: str,
        vault_id: str,
        replication_record_ids: list[str],
        deadline: float,
        poll_interval: float = 30,
        max_poll_interval: float = 600,
        unlisted_for: float = 120,
        follows_unseen: bool = True,
        memory: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cbr_conn_id = cbr_conn_id
        self.region = region
        self.project_id = project_id
        self.vault_id = vault_id
        self.replication_record_ids = replication_record_ids
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.unlisted_for = unlisted_for
        self.follows_unseen = follows_unseen
        self.memory = memory

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; ids and numbers only."""
        return (
            "airflow_cbr.triggers.cbr.CbrReplicationTrigger",
            {
                "cbr_conn_id": self.cbr_conn_id,
                "region": self.region,
                "project_id": self.project_id,
                "vault_id": self.vault_id,
                "replication_record_ids": self.replication_record_ids,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
                "unlisted_for": self.unlisted_for,
                "follows_unseen": self.follows_unseen,
                "memory": self.memory,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, logging each change, and yield one event."""
        from airflow_cbr.replication.watch import Waiter, join

        waiter = Waiter(self.replication_record_ids, shortest=self.poll_interval, longest=self.max_poll_interval)
        watched = join(
            waiter,
            account=self.cbr_conn_id,
            region=self.region,
            project_id=self.project_id,
            vault_id=self.vault_id,
            connect=self._connect,
        )
        reported: Any = None
        unlisted_since: dict[str, float] = {}
        async with watched:
            while True:
                try:
                    sight = await asyncio.wait_for(waiter.next(), self.deadline - time.time())
                except TimeoutError:
                    yield self._event(Wake.DEADLINE)
                    return
                reported = self._report(sight, reported)
                if sight.refused:
                    yield self._event(Wake.REFUSED)
                    return
                if sight.error is not None:
                    continue
                if sight.are_final:
                    yield self._event(Wake.FINAL)
                    return
                if vanished := self._vanished(sight, unlisted_since):
                    self.log.warning("These replication records are not listed: %s", ", ".join(vanished))
                    yield self._event(Wake.LOST, lost=vanished)
                    return

    async def on_kill(self) -> None:
        """Say which copies go on when somebody marks or clears the task (Airflow 3.3 and newer); CBR has no cancel."""
        records = ", ".join(self.replication_record_ids)
        self.log.warning("The task is stopped; CBR has no cancel, these replication records keep running: %s", records)

    async def _connect(self) -> CbrClient:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        connection = await get_async_connection(self.cbr_conn_id)
        fields = ConnectionFields.of(connection, await get_async_extra_dejson(connection))
        # The watch repeats a failed look itself, with all who wait for it in mind; a retry inside a look would only hold up a thread.
        return fields.client(region=self.region, project_id=self.project_id, retry_budget=0.0)

    def _report(self, sight: Sight, reported: Any) -> Any:
        """Log what changed since the last line; return what the line said."""
        if sight.error is not None:
            said: Any = type(sight.error)
            if said != reported:
                self.log.warning("Looking at vault %s failed, and is tried again: %s", self.vault_id, sight.error)
            return said
        if sight.progress is None or sight.progress.change_key == reported:
            return reported
        self.log.info("%s", sight.progress.line)
        return sight.progress.change_key

    def _vanished(self, sight: Sight, unlisted_since: dict[str, float]) -> dict[str, str | None]:
        """Return the records that were not listed for too long, with their backups where those are known."""
        now = time.time()
        for record_id in list(unlisted_since):
            if record_id not in sight.unlisted:
                del unlisted_since[record_id]
        for record_id, backup_id in sight.unlisted.items():
            if backup_id is not None or self.follows_unseen:
                unlisted_since.setdefault(record_id, now)
        return {record_id: sight.unlisted[record_id] for record_id, since in unlisted_since.items() if now - since >= self.unlisted_for}

    def _event(self, wake: Wake, **more: Any) -> TriggerEvent:
        return TriggerEvent({"wake": str(wake), "memory": self.memory, "deadline": self.deadline, **more})  # type: ignore[no-untyped-call]


class CbrPauseTrigger(BaseTrigger):
    """Wait for a moment, without a worker: for a backup that is being made, a vault that is busy, a call that may still show up.

    :param until: Unix time of the moment.
    :param memory: what the task wants back in the event.
    """

    def __init__(self, *, until: float, memory: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.memory = memory

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; ids and numbers only."""
        return "airflow_cbr.triggers.cbr.CbrPauseTrigger", {"until": self.until, "memory": self.memory}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and yield one event."""
        await asyncio.sleep(max(self.until - time.time(), 0.0))
        yield TriggerEvent({"wake": str(Wake.RESUME), "memory": self.memory})  # type: ignore[no-untyped-call]
