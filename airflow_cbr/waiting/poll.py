"""One look at a vault that answers all its waiters. It runs in a worker thread and touches nothing of Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.models import Backup, ReplicationRecord
from airflow_cbr.exceptions import CbrNotFoundError
from airflow_cbr.waiting.copies import CopyCollector
from airflow_cbr.waiting.listener import Listener
from airflow_cbr.waiting.records import RecordsSeen, find_records
from airflow_cbr.waiting.waiter import PollResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.waiting.waiter import Waiter

__all__ = ["VaultPoll"]

ROWS_PER_PAGE: Final = 1000


class VaultPoll:
    """The looks at one vault, one after the other; each remembers what the last one cost.

    :param vault_id: the source vault.
    :param is_unwanted: returns whether nobody waits for the look any more.
    """

    def __init__(self, vault_id: str, is_unwanted: Callable[[], bool]) -> None:
        self._vault_id = vault_id
        self._is_unwanted = is_unwanted
        self._pages = 1
        self._shows_records = True

    def look(self, client: CbrClient, waiters: list[Waiter], at: float) -> dict[Waiter, tuple[PollResult, float]]:
        """Look at the vault, and work out for each waiter what concerns it and when to look again.

        :param client: a client of the source region and project.
        :param waiters: who waits.
        :param at: the event loop's clock.
        :return: by waiter, the result and the seconds until its next look; listeners are left out until one of them is due.
        :raises CbrError: the vault cannot be looked at.
        """
        # Those who listen need the whole list, which others can often do without: it is read when one of them is due, and for all of them.
        listeners = [waiter for waiter in waiters if isinstance(waiter, Listener)]
        if not any(listener.due <= at for listener in listeners):
            listeners = []
        waiters = [waiter for waiter in waiters if not isinstance(waiter, Listener)]
        collector = CopyCollector(self._vault_id) if listeners else None
        seen = (self._few(client, waiters) if collector is None else None) or self._all(client, waiters, collector)
        now = client.server_time or datetime.now(UTC)
        results: dict[Waiter, tuple[PollResult, float]] = {}
        if collector is not None:
            heard = PollResult(copies=collector.seen(now.timestamp()))
            results = {listener: (heard, listener.schedule.gap((), now, at=at)) for listener in listeners}
        for waiter in waiters:
            listed = {record_id: seen.listed[record_id] for record_id in waiter.open_ids if record_id in seen.listed}
            for record_id, (backup, record) in listed.items():
                waiter.backups[record_id] = backup.id
                if record.is_final:
                    waiter.ended[record_id] = Backup(id=backup.id), ReplicationRecord(id=record_id, status=record.status)
            listed |= waiter.ended
            own = RecordsSeen(listed, [record_id for record_id in waiter.record_ids if record_id not in listed])
            unlisted = {record_id: waiter.backups.get(record_id) for record_id in own.unlisted}
            gap = waiter.schedule.gap(own.unfinished, now, is_complete=not unlisted, at=at)
            results[waiter] = PollResult(own.progress(now), own.are_final, unlisted), gap
        return results

    def _all(self, client: CbrClient, waiters: list[Waiter], collector: CopyCollector | None) -> RecordsSeen:
        """List the vault: one request for each thousand of its backups answers everybody."""
        rows = 0

        def counted() -> Iterator[Backup]:
            nonlocal rows
            for backup in client.list_backups(vault_id=self._vault_id, show_replication=True, page_size=ROWS_PER_PAGE):
                rows += 1
                if collector is not None:
                    collector.note(backup)
                yield backup
                if self._is_unwanted():
                    return

        seen = find_records(counted(), _open_ids(waiters))
        self._pages = rows // ROWS_PER_PAGE + 1
        return seen

    def _few(self, client: CbrClient, waiters: list[Waiter]) -> RecordsSeen | None:
        """Show the backups in question one by one where that takes fewer requests than listing; None where it does not, or cannot."""
        if not self._shows_records:
            return None
        backup_ids = set()
        for waiter in waiters:
            for record_id in waiter.open_ids:
                if record_id not in waiter.backups:
                    return None
                backup_ids.add(waiter.backups[record_id])
        if len(backup_ids) >= self._pages:
            return None
        try:
            backups = [client.show_backup(backup_id) for backup_id in backup_ids]
        except CbrNotFoundError:
            return None
        seen = find_records(backups, _open_ids(waiters))
        # Whether ShowBackup always fills in the records is not documented.
        self._shows_records = not seen.unlisted
        return seen if self._shows_records else None


def _open_ids(waiters: list[Waiter]) -> Iterator[str]:
    return (record_id for waiter in waiters for record_id in waiter.open_ids)
