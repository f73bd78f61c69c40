"""The watcher of an asset: it tells when copies out of a vault have ended that somebody else started."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.triggers.cursor_store import CursorStore
from airflow_cbr.triggers.events import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
    from datetime import timedelta

    from airflow_cbr.waiting.copies import CopiesSeen, Copy
    from airflow_cbr.waiting.ended import EndedCopies

__all__ = ["CbrReplicationEndedTrigger"]

RECORDS_PER_EVENT: Final = 500
REFUSED_FOR: Final = 900.0
"""Seconds without a look after the service has kept refusing, or the connection cannot be used. A watcher has no task that could fail,
and Airflow would start one that ended with an error again at once."""
BOOKED_AFTER: Final = 5.0
"""Seconds after an event before the cursor passes it: until then, the triggerer may still hold it in memory."""

_log: Final = logging.getLogger(__name__)


class CbrReplicationEndedTrigger(BaseEventTrigger):
    """Fire when copies out of a vault have ended, whoever started them: a policy of CBR, a person, or another Airflow.

    For an ``AssetWatcher``. All watchers and deferred tasks for a vault share one poll. The copies of a night make one event: ended copies
    wait for those that still run, at most for ``hold``. An event does not say that a replica exists, which is for
    :class:`~airflow_cbr.operators.cbr.CbrVerifyReplicationOperator` to find out. Its payload is a dict with ``source``, ``destination``,
    ``replication_record_ids`` (at most 500; more make more events) and ``counts`` of ``succeeded``, ``failed`` and ``skipped``.

    With Airflow 3.3 and newer a cursor in the asset's state store lets a restart of the triggerer repeat nothing and miss nothing. Before,
    what ends while no triggerer runs is not noticed. The first start only takes note of what has ended already.

    :param region: region id of the source.
    :param project_id: project in that region.
    :param vault_id: source vault.
    :param destination_region: only copies to this region. Default: to any.
    :param destination_project_id: only copies to this project. Default: to any.
    :param destination_vault_id: only copies to this vault. Default: to any.
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``.
    :param poll_interval: seconds between two looks. Default: 300.
    :param hold: most seconds for which ended copies wait for those that still run. Default: 3600.
    :param scheduled_only: leave out copies that are marked as started by hand, as those of this package's operators are unless they set
        ``auto_trigger``. Default: False.
    :raises CbrParameterError: when a value cannot be right.
    """

    def __init__(
        self,
        *,
        region: str,
        project_id: str,
        vault_id: str,
        destination_region: str | None = None,
        destination_project_id: str | None = None,
        destination_vault_id: str | None = None,
        cbr_conn_id: str = "huaweicloud_cbr_default",
        poll_interval: float | timedelta = 300,
        hold: float | timedelta = 3600,
        scheduled_only: bool = False,
    ) -> None:
        from airflow_cbr.operators.parameters import check_duration, check_seconds, check_text, check_truth

        super().__init__()  # type: ignore[no-untyped-call]
        self.region = check_region(region)
        self.project_id = check_id(project_id, "project_id")
        self.vault_id = check_id(vault_id, "vault_id")
        self.destination_region = None if destination_region is None else check_region(destination_region, "destination_region")
        self.destination_project_id = None if destination_project_id is None else check_id(destination_project_id, "destination_project_id")
        self.destination_vault_id = None if destination_vault_id is None else check_id(destination_vault_id, "destination_vault_id")
        self.cbr_conn_id = check_text(cbr_conn_id, "cbr_conn_id", "the id of a connection")
        self.poll_interval = check_seconds(poll_interval, "poll_interval")
        self.hold = check_duration(hold, "hold")
        self.scheduled_only = check_truth(scheduled_only, "scheduled_only")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; ids and numbers only."""
        return (
            "airflow_cbr.triggers.replication_ended.CbrReplicationEndedTrigger",
            {
                "region": self.region,
                "project_id": self.project_id,
                "vault_id": self.vault_id,
                "destination_region": self.destination_region,
                "destination_project_id": self.destination_project_id,
                "destination_vault_id": self.destination_vault_id,
                "cbr_conn_id": self.cbr_conn_id,
                "poll_interval": self.poll_interval,
                "hold": self.hold,
                "scheduled_only": self.scheduled_only,
            },
        )

    # --- the looks that watchers share --------------------------------------------------------------------------------------

    def shared_stream_key(self) -> Hashable | None:
        """Return what watchers have in common that share their looks: Airflow 3.3 and newer makes one stream for them."""
        return (
            "airflow_cbr.replication_ended",
            self.cbr_conn_id,
            self.region,
            self.project_id.lower(),
            self.vault_id.lower(),
            self.poll_interval,
        )

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[CopiesSeen]:
        """Look at the vault again and again, and yield every copy that is listed.

        :param kwargs: a watcher's arguments.
        """
        from airflow_cbr.triggers.access import ConnectionAccess
        from airflow_cbr.waiting.listener import Listener
        from airflow_cbr.waiting.watch import join

        conn_id, region, project_id, vault_id = (kwargs[name] for name in ("cbr_conn_id", "region", "project_id", "vault_id"))
        where = {"connection": conn_id, "region": region, "project_id": project_id, "vault_id": vault_id}
        reported: type[Exception] | None = None
        while True:
            with join(Listener(every=kwargs["poll_interval"]), access=ConnectionAccess(conn_id, region, project_id), **where) as listener:
                while not (poll := await listener.next()).refused:
                    if poll.copies is not None:
                        reported = None
                        yield poll.copies
                    elif poll.error is not None and type(poll.error) is not reported:
                        reported = type(poll.error)
                        _log.warning("The vault could not be read; trying again: %s (vault %s)", describe(poll.error), vault_id)
            _log.error(
                "The vault cannot be watched; the next look is in %.0f s: %s (vault %s)",
                REFUSED_FOR,
                "the looks have ended" if poll.error is None else describe(poll.error),
                vault_id,
            )
            await asyncio.sleep(REFUSED_FOR)

    # --- what concerns this watcher -----------------------------------------------------------------------------------------

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch with looks of its own, which before Airflow 3.3 is the only way; the watchers of a vault share one poll all the same."""
        async for event in self.filter_shared_stream(type(self).open_shared_stream(self.serialize()[1])):
            yield event

    async def filter_shared_stream(self, shared_stream: AsyncIterator[CopiesSeen]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for the copies that have ended since the last one.

        :param shared_stream: the looks, as of :meth:`open_shared_stream`.
        """
        loop = asyncio.get_running_loop()
        store = CursorStore(getattr(self, "asset_state_store", None), self._cursor_key, log=self.log)
        cursor = await self._cursor(store)
        held_since: float | None = None
        is_warned = False
        async for seen in shared_stream:
            if not seen.lists_records and not is_warned:
                is_warned = True
                self.log.warning("This cloud lists no replication records, so no copy out of vault %s can be noticed", self.vault_id)
            now = min(seen.at, time.time())
            ended = cursor.look(self._concerning(seen), now)
            if ended and held_since is None:
                held_since = loop.time()
            if held_since is not None and (not cursor.running or loop.time() - held_since >= self.hold):
                for event in self._events(ended, cursor.running):
                    yield event
                held_since = None
                if store.is_there:
                    await asyncio.sleep(BOOKED_AFTER)
                cursor.tell(ended, now)
            if cursor.has_changed and await store.save(cursor.dump()):
                cursor.has_changed = False

    @property
    def _cursor_key(self) -> str:
        """Return the name of the cursor; an asset may have several watchers."""
        places = self.region, self.project_id, self.vault_id, *self._destination, "scheduled" if self.scheduled_only else None
        return "/".join(("cbr_replication_ended", *(place or "any" for place in places))).lower()

    async def _cursor(self, store: CursorStore) -> EndedCopies:
        from airflow_cbr.waiting.ended import EndedCopies

        kept = await store.load()
        if kept is None:
            return EndedCopies()
        try:
            return EndedCopies.load(kept)
        except ValueError as error:
            self.log.warning("The watcher's cursor cannot be understood; only copies that end from now on are noticed: %s", error)
            return EndedCopies()

    @property
    def _destination(self) -> tuple[str | None, str | None, str | None]:
        region, project_id, vault_id = (
            part and part.lower() for part in (self.destination_region, self.destination_project_id, self.destination_vault_id)
        )
        return region, project_id, vault_id

    def _concerning(self, seen: CopiesSeen) -> Iterator[Copy]:
        destination = self._destination
        return (copy for copy in seen.copies if copy.may_go_to(destination) and not (self.scheduled_only and copy.is_scheduled is False))

    def _events(self, ended: Sequence[Copy], running: int) -> Iterator[TriggerEvent]:
        def place(copy: Copy) -> tuple[str, ...]:
            return tuple(part or "" for part in copy.destination)

        for destination, group in groupby(sorted(ended, key=lambda copy: (place(copy), copy.began or 0.0, copy.id)), key=place):
            copies = list(group)
            for start in range(0, len(copies), RECORDS_PER_EVENT):
                yield self._event(
                    dict(zip(("region", "project_id", "vault_id"), destination, strict=True)),
                    copies[start : start + RECORDS_PER_EVENT],
                    running,
                )

    def _event(self, destination: dict[str, str], copies: Sequence[Copy], running: int) -> TriggerEvent:
        from airflow_cbr.api.copy_state import CopyState

        states = [copy.state for copy in copies]
        counts = {str(state): states.count(state) for state in (CopyState.SUCCEEDED, CopyState.FAILED, CopyState.SKIPPED)}
        payload = {
            "kind": "ended",
            "source": {"region": self.region, "project_id": self.project_id, "vault_id": self.vault_id},
            "destination": {name: value or None for name, value in destination.items()},
            "replication_record_ids": [copy.id for copy in copies],
            "counts": counts,
        }
        said = ", ".join(f"{number} {state}" for state, number in counts.items())
        self.log.info("Copies have ended: %s; %s still running (vault %s)", said, running, self.vault_id)
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]
