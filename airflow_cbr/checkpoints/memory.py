"""What the making of a checkpoint remembers: inside an attempt, over a deferral, and from attempt to attempt. Ids and numbers only."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.state import AttemptState

__all__ = ["CheckpointIntent", "CheckpointMemory"]


class CheckpointIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt writes down: its deadline when it begins, the call before it is sent, the checkpoint when it is known.

    :param vault_id: the vault.
    :param mark: the order's mark.
    :param generation: the task's generation (clears) that the deadline belongs to.
    :param deadline: Unix time at which the task gives up, in the local clock.
    :param posted_at: Unix time of the newest call that this task intended, in the local clock; None before it.
    :param checkpoint_id: the checkpoint that came of it; None as long as that is not known.
    :param put_aside: checkpoints of this task that lack resources and are not to be taken for its result, after a clear.
    :param calls: the calls of this task in this Dag run, for their ceiling.
    :param has_gap: whether there was nothing to read although earlier attempts may have sent something: the store was emptied by a clear.
    """

    vault_id: str
    mark: str
    generation: int = 0
    deadline: float = 0.0
    posted_at: float | None = None
    checkpoint_id: str | None = None
    put_aside: list[str] = []
    calls: CallCounts | None = None
    has_gap: bool = False

    @classmethod
    def read(cls, stored: Any) -> CheckpointIntent | None:
        """Return the intent that a store gave back, or None when there is none or it is not one of ours."""
        try:
            return msgspec.convert(stored, cls)
        except msgspec.ValidationError:
            return None


class CheckpointMemory(AttemptState, kw_only=True):
    """What one attempt knows, and a deferral carries. Times are Unix times of this machine's clock.

    :param has_looked: whether a look has succeeded.
    :param checkpoint_id: the checkpoint that this task answers for, once it is known.
    :param evidence: why a checkpoint that this attempt did not start is taken for its own; empty when it started it.
    :param known_at: when the checkpoint's id became known.
    :param skipped: code by resource id, as the answer to the call named what the service skipped.
    :param unsettled_until: until when a call may still show up.
    :param lost_from: when the first call was sent whose outcome is not known; None when there is none.
    :param lost_to: when the newest of them was sent.
    :param is_noted: whether the times of lost calls come from a note or this attempt; without that they are a guess.
    :param unknown: how many calls of this attempt ended without a known outcome.
    :param put_aside: checkpoints of this task that are no result.
    """

    has_looked: bool = False
    checkpoint_id: str | None = None
    evidence: str = ""
    known_at: float = 0.0
    skipped: dict[str, str] = {}
    unsettled_until: float = 0.0
    lost_from: float | None = None
    lost_to: float = 0.0
    is_noted: bool = True
    unknown: int = 0
    put_aside: list[str] = []

    def lose(self, sent_at: float) -> None:
        """Note that the outcome of a call is not known.

        :param sent_at: when it was sent.
        """
        self.lost_from = sent_at if self.lost_from is None else self.lost_from
        self.lost_to = sent_at
