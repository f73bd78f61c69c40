"""The deferred waits: for replication records, and for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_cbr.triggers.events import Wake, describe, refusal_in
from airflow_cbr.triggers.replication_ended import CbrReplicationEndedTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_cbr.waiting.waiter import PollResult, Waiter

__all__ = ["CbrPauseTrigger", "CbrReplicationEndedTrigger", "CbrReplicationTrigger"]


class CbrReplicationTrigger(BaseTrigger):
    """Wait until replication records have ended; all waits for the same vault share one poll.

    The trigger decides nothing: it wakes its task, which reads the vault itself, unless the credentials were refused. Its arguments hold
    ids and numbers only. It is safe to run twice.

    :param cbr_conn_id: id of the connection.
    :param region: source region id.
    :param project_id: source project id.
    :param vault_id: source vault.
    :param replication_record_ids: the records.
    :param deadline: Unix time at which the wait ends in any case.
    :param poll_interval: shortest time between two looks, in seconds. Default: 30.
    :param max_poll_interval: longest time between two looks, in seconds. Default: 600.
    :param unlisted_for: seconds after which a record that no backup lists wakes the task. Default: 120.
    :param follows_unseen: whether that also holds for a record that was never listed. Default: True.
    :param backups: backup id by record id, for records that are known to have been listed once. Default: none is.
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
        backups: dict[str, str] | None = None,
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
        self.backups = backups
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
                "backups": self.backups,
                "memory": self.memory,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, logging each change, and yield one event."""
        yield await self._wait()

    async def on_kill(self) -> None:
        """Log which copies continue when somebody marks or clears the task (Airflow 3.3 and newer); CBR cannot cancel one.

        Airflow 3.3 calls it too in a triggerer whose heartbeat was lost, when another one has taken the trigger over.
        """
        records = ", ".join(self.replication_record_ids)
        self.log.warning(
            "This wait was stopped: the task was marked or cleared, or another triggerer took over. "
            "CBR cannot cancel copies; these replication records keep running: %s",
            records,
        )

    async def _wait(self) -> TriggerEvent:
        from airflow_cbr.triggers.access import ConnectionAccess
        from airflow_cbr.waiting.waiter import Waiter
        from airflow_cbr.waiting.watch import FIRST_LOOK_AFTER, join

        waiter = Waiter(self.replication_record_ids, shortest=self.poll_interval, longest=self.max_poll_interval, backups=self.backups)
        access = ConnectionAccess(self.cbr_conn_id, self.region, self.project_id)
        where = {"connection": self.cbr_conn_id, "region": self.region, "project_id": self.project_id, "vault_id": self.vault_id}
        loop = asyncio.get_running_loop()
        earliest = loop.time() + FIRST_LOOK_AFTER
        reported: Any = None
        unlisted_since: dict[str, float] = {}
        with join(waiter, access=access, **where):
            while True:
                try:
                    # Not wait_for: before Python 3.12 that loses a cancellation that comes together with a result.
                    async with asyncio.timeout(max(self.deadline - time.time(), earliest - loop.time())):
                        poll = await waiter.next()
                except TimeoutError:
                    return self._event(Wake.DEADLINE, waiter)
                reported = self._report(poll, reported)
                if poll.refused:
                    return self._event(Wake.REFUSED, waiter, refusal_in(poll.error))
                if poll.are_final:
                    return self._event(Wake.FINAL, waiter)
                if poll.error is None and (vanished := self._vanished(poll, unlisted_since, loop.time())):
                    self.log.warning("These replication records are not listed: %s", ", ".join(vanished))
                    return self._event(Wake.LOST, waiter)
                # Thousands of waits sleep here; what each keeps, the garbage collector walks through while nothing else can run.
                del poll

    def _report(self, poll: PollResult, reported: Any) -> Any:
        """Log what changed since the last line; return what the line said."""
        if poll.error is not None:
            said: Any = type(poll.error)
            if said != reported:
                self.log.warning("The vault could not be read; trying again: %s (vault %s)", describe(poll.error), self.vault_id)
            return said
        if poll.progress is None or poll.progress.change_key == reported:
            return reported
        self.log.info("%s", poll.progress.line)
        return poll.progress.change_key

    def _vanished(self, poll: PollResult, unlisted_since: dict[str, float], now: float) -> list[str]:
        """Return the records that have not been listed for too long."""
        for record_id in list(unlisted_since):
            if record_id not in poll.unlisted:
                del unlisted_since[record_id]
        for record_id, backup_id in poll.unlisted.items():
            if backup_id is not None or self.follows_unseen:
                unlisted_since.setdefault(record_id, now)
        return [record_id for record_id, since in unlisted_since.items() if now - since >= self.unlisted_for]

    def _event(self, wake: Wake, waiter: Waiter, refusal: dict[str, Any] | None = None) -> TriggerEvent:
        event = {
            "wake": str(wake),
            "records": self.replication_record_ids,
            "backups": waiter.backups,
            "deadline": self.deadline,
            "memory": self.memory,
            "refusal": refusal,
        }
        return TriggerEvent(event)  # type: ignore[no-untyped-call]


class CbrPauseTrigger(BaseTrigger):
    """Wait for a moment, without a worker: for a backup that is being made, a vault that is busy, a call that may still take effect.

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
        """Sleep, at least as long as Airflow may take to book the deferral, and yield one event."""
        from airflow_cbr.waiting.watch import FIRST_LOOK_AFTER

        await asyncio.sleep(max(self.until - time.time(), FIRST_LOOK_AFTER))
        yield TriggerEvent({"wake": str(Wake.RESUME), "memory": self.memory})  # type: ignore[no-untyped-call]
