"""What the making of a checkpoint remembers: inside an attempt, over a deferral, and from attempt to attempt. Ids and numbers only."""

from __future__ import annotations

from airflow_cbr.once.state import AttemptState

__all__ = ["CheckpointState"]


class CheckpointState(AttemptState, kw_only=True):
    """What one attempt knows, and a deferral carries. Times are Unix times of this machine's clock.

    :param has_looked: whether a look has succeeded.
    :param checkpoint_id: the checkpoint that is this task's result, once it is known.
    :param evidence: why a checkpoint that this attempt did not start is taken for its own; empty when it started it.
    :param known_at: when the checkpoint's id became known.
    :param skipped: code by resource id, for the resources that the answer to the call named as skipped.
    :param unsettled_until: until when a call may still take effect.
    :param lost_from: when the first call was sent whose outcome is not known; None when there is none.
    :param lost_to: when the newest of them was sent.
    :param is_noted: whether the times of lost calls come from a note or this attempt; otherwise they are a guess.
    :param unknown: how many calls of this attempt ended without a known outcome.
    :param put_aside: checkpoints of this task that are not its result.
    :param vault_name: name of the vault, once a checkpoint has told it.
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
    vault_name: str | None = None

    def lose(self, sent_at: float) -> None:
        """Note that the outcome of a call is not known.

        :param sent_at: when it was sent.
        """
        self.lost_from = sent_at if self.lost_from is None else self.lost_from
        self.lost_to = sent_at
