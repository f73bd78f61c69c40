"""A pruning from beginning to end: look, plan, delete one by one, look back."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrBusyError,
    CbrLimitError,
    CbrNotFoundError,
    CbrOutcomeUnknownError,
    CbrPruneStoppedError,
    CbrThrottledError,
    CbrTransportError,
    CbrUnavailableError,
)
from airflow_cbr.inventory.backups import name_of, resource_of
from airflow_cbr.once.backoff import backoff
from airflow_cbr.pruning.look import look_at_both_sides
from airflow_cbr.pruning.look_again import look_again, why_incomplete
from airflow_cbr.pruning.notes import Notes, RemovedBackup, removed_of
from airflow_cbr.pruning.plan import make_plan
from airflow_cbr.pruning.rows import RemovalState, show, state_of
from airflow_cbr.pruning.siblings import Siblings
from airflow_cbr.pruning.spec import Side
from airflow_cbr.pruning.steps import PruneStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.pruning.plan import PrunePlan, Removal
    from airflow_cbr.pruning.spec import PruneSpec

__all__ = ["Pruning"]

_TRIES: Final = 5
"""How often one deletion is sent, each time after a look."""
_SHORTEST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_PASSING: Final = (CbrThrottledError, CbrUnavailableError, CbrTransportError, CbrOutcomeUnknownError)
"""What a deletion may meet that says nothing about the backup."""
_REFUSED: Final = "Nothing more was deleted. When that has ended, run the task again: it makes a new plan."


class Pruning:
    """One pruning. What it has done so far can be read at any time, also after an error.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project.
    :param spec: what is asked for.
    :param notes: what outlives the process.
    :param observe: called with each step and ``before`` or ``after``; tests kill the process there.
    :param sleep: waits. Default: :func:`time.sleep`.
    :param log: takes the lines.
    """

    def __init__(
        self,
        source: CbrClient,
        destination: CbrClient,
        spec: PruneSpec,
        *,
        notes: Notes,
        observe: Callable[[PruneStep, str], None] = lambda step, moment: None,
        sleep: Callable[[float], None] = time.sleep,
        log: Any,
    ) -> None:
        self._source = source
        self._destination = destination
        self._spec = spec
        self._notes = notes
        self._observe = observe
        self._sleep = sleep
        self._log = log
        self.plan: PrunePlan | None = None
        self._removed: dict[str, RemovedBackup] = {}
        self._gone: set[str] = set()

    @property
    def removed(self) -> list[RemovedBackup]:
        """Return what was deleted so far, or, with ``plan_only``, what would be."""
        return list(self._removed.values())

    @property
    def removed_ids(self) -> list[str]:
        """Return the ids of the same."""
        return list(self._removed)

    @property
    def going_ids(self) -> list[str]:
        """Return the ids of what the service has consented to delete, and was not seen to be gone; with ``plan_only`` nothing."""
        return [] if self._spec.plan_only else [one for one in self._removed if one not in self._gone]

    def run(self) -> None:
        """Prune.

        :raises CbrPruneStoppedError: something is not as planned; nothing more was deleted.
        :raises CbrLimitError: more would be deleted than ``max_deletions``; nothing was.
        :raises CbrStoppedError: the task was stopped; nothing more was deleted.
        :raises CbrError: what is there cannot be read; nothing more was deleted.
        """
        try:
            self._run()
        except CbrPruneStoppedError as error:
            error.deleted = self.removed_ids
            raise

    def _run(self) -> None:
        with self._at(PruneStep.LOOK):
            look = look_at_both_sides(self._source, self._destination, self._spec)
            plan = self.plan = make_plan(look, why_incomplete=lambda one: why_incomplete(self._source, one))
        for line in plan.lines():
            self._log.info("%s", line)
        planned = [removed_of(removal) for removal in plan.removals]
        if self._spec.plan_only:
            self._removed = {one.id: one for one in planned}
            return
        self._adopt(self._notes.read())
        self._check_limit(len(planned))
        if planned:
            with self._at(PruneStep.NOTE):
                self._notes.write([*self.removed, *planned])
        siblings = Siblings(plan.look)
        for side in Side:
            for removal in plan.removals:
                if removal.row.side is side:
                    self._remove(removal, plan, siblings)
            # A replica goes once its source backup is gone, and not before.
            self._look_back()

    # --- what earlier attempts have done --------------------------------------------------------------------------------

    def _adopt(self, noted: list[RemovedBackup]) -> None:
        """Take what an earlier attempt has planned, and what is gone or going since, for its deletion."""
        for one in noted:
            condition = state_of(show(self._client(one.side), one.id))
            if condition is not RemovalState.AS_PLANNED:
                self._log.info("Adopted: an earlier attempt has deleted %s %s (%s)", one.side, one.name or "without a name", one.id)
                self._record(msgspec.structs.replace(one, is_adopted=True))

    def _check_limit(self, planned: int) -> None:
        most = self._spec.max_deletions
        if most is not None and planned > most:
            raise CbrLimitError(
                f"{counted(planned, 'backup')} would be deleted, but max_deletions is {most}; nothing was deleted.",
                advice="Read the plan in the log. If it is right, raise max_deletions.",
            )

    # --- one deletion -----------------------------------------------------------------------------------------------------

    def _remove(self, removal: Removal, plan: PrunePlan, siblings: Siblings) -> None:
        was_sent = False
        for tries in range(1, _TRIES + 1):
            with self._at(PruneStep.LOOK_AGAIN):
                condition = look_again(self._source, self._destination, plan.look, removal, siblings=siblings, deleted=self._removed)
            if condition is not RemovalState.AS_PLANNED:
                self._record(removed_of(removal, is_adopted=not was_sent))
                by = "by this task's call" if was_sent else "not by this attempt"
                self._log.info("%s is %s: %s (%s)", resource_of(removal.row.backup), condition, by, removal.id)
                return
            try:
                with self._at(PruneStep.DELETE):
                    self._client(removal.row.side).delete_backup(removal.id)
            except _PASSING as error:
                was_sent = was_sent or isinstance(error, CbrOutcomeUnknownError)
                self._log.warning("%s This was try %s of %s.", error, tries, _TRIES)
                self._sleep(backoff(tries, shortest=_SHORTEST_PAUSE, longest=_LONGEST_PAUSE, asked=error.retry_after))
            except CbrApiError as error:
                self._settle_refusal(removal, error)
                return
            else:
                self._record(removed_of(removal))
                self._log.info("Deleted: %s", removal)
                return
        raise self._stopped(removal, f"it was still there after {counted(_TRIES, 'try', 'tries')}")

    def _settle_refusal(self, removal: Removal, error: CbrApiError) -> None:
        """Take a deletion that was refused for done if the backup is gone or going, as after a call whose answer was lost; else stop."""
        may_be_done = isinstance(error, (CbrNotFoundError, CbrBusyError))
        if may_be_done and state_of(show(self._client(removal.row.side), removal.id)) is not RemovalState.AS_PLANNED:
            self._record(removed_of(removal))
            return
        raise self._stopped(removal, error.what_happened, error) from error

    def _stopped(self, removal: Removal, what: str, error: CbrApiError | None = None) -> CbrPruneStoppedError:
        details: dict[str, Any] = {}
        if error is not None:
            details = {
                "error_code": error.error_code,
                "request_id": error.request_id,
                "http_status": error.http_status,
                "permanent": error.permanent,
            }
        subject = f"{removal.row.side.capitalize()} {name_of(removal.row.backup)}"
        advice = _REFUSED if error is None or error.advice is None else f"{error.advice} Nothing more was deleted."
        return CbrPruneStoppedError(f"{subject} was not deleted: {what}.", advice=advice, **details)

    # --- looking back -----------------------------------------------------------------------------------------------------

    def _look_back(self) -> None:
        """Wait until all that was deleted is gone: the service's consent alone is no proof."""
        left = self._spec.settle_timeout
        waiting = [one for one in self.removed if one.id not in self._gone]
        while waiting:
            with self._at(PruneStep.LOOK_BACK):
                self._gone |= {one.id for one in waiting if show(self._client(one.side), one.id) is None}
            waiting = [one for one in waiting if one.id not in self._gone]
            if not waiting:
                return
            if left <= 0:
                raise CbrPruneStoppedError(
                    f"{counted(len(waiting), 'backup is', 'backups are')} still there, although the service accepted the deletion "
                    f"{self._spec.settle_timeout:g} s ago.",
                    problems=[f"{one.side} {one.name or ''} ({one.id})" for one in waiting[:20]],
                    advice="Look at the vault's tasks in the CBR console. Run the task again to check, or raise settle_timeout.",
                )
            pause = min(self._spec.poll_interval, left)
            self._log.info("Waiting: %s not deleted yet", counted(len(waiting), "backup is", "backups are"))
            self._sleep(pause)
            left -= pause

    # --- tools ------------------------------------------------------------------------------------------------------------

    def _record(self, one: RemovedBackup) -> None:
        self._removed.setdefault(one.id, one)

    def _client(self, side: Side) -> CbrClient:
        return self._source if side is Side.SOURCE else self._destination

    @contextmanager
    def _at(self, step: PruneStep) -> Iterator[None]:
        self._observe(step, "before")
        yield
        self._observe(step, "after")
