"""Publishing which records a task is responsible for, by valid ids only, and what came of their copies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from airflow_cbr.api.ids import is_id
from airflow_cbr.once.publisher import Publisher
from airflow_cbr.replication import decisions
from airflow_cbr.replication.decisions import Counts
from airflow_cbr.replication.steps import Step

if TYPE_CHECKING:
    from airflow_cbr.inventory.coverage import Coverage
    from airflow_cbr.replication.state import ReplicationState

__all__ = ["Publish", "RecordPublisher"]

Publish = Callable[[list[str], Counts], None]


class RecordPublisher:
    """Publishes record ids and counts.

    :param publish: called with them.
    :param at: marks the step, so that a test can stop there.
    """

    def __init__(self, publish: Publish, *, at: Callable[[Step], AbstractContextManager[None]]) -> None:
        self._publisher = Publisher(publish, Step.PUBLISH, at=at)

    def tell_look(self, coverage: Coverage, state: ReplicationState) -> tuple[list[str], Counts]:
        """Publish what a look found, unless the same was published before.

        :param coverage: the look.
        :param state: what the attempt knows.
        :return: as of :meth:`tell`.
        """
        return self.tell(decisions.record_ids_of(coverage, state), decisions.counts_of(coverage, state))

    def tell(self, record_ids: list[str], counts: Counts) -> tuple[list[str], Counts]:
        """Publish, unless the same was published before.

        :param record_ids: the records that were accepted or adopted.
        :param counts: the counts.
        :return: both, the ids in their own order. A record with an invalid id is followed, but left out of what is published.
        """
        # A wait that was deferred comes back with its keys in the database's order, which PostgreSQL makes anew.
        record_ids = sorted(one for one in record_ids if is_id(one))
        self._publisher.tell(record_ids, counts)
        return record_ids, counts
