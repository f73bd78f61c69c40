"""What a submission remembers: inside an attempt, over a deferral, and from attempt to attempt.

Two sizes of the same memory. :class:`Memory` goes through a deferral inside the trigger's arguments and event; it grows with the
number of backups. :class:`Intent` is what is written down before a replicate call, a few hundred bytes in whatever outlives the process.
Airflow's task state store outlives retries, but not every clear. Both hold ids and numbers only.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_cbr.once.ceiling import CallCounts
from airflow_cbr.once.state import AttemptState

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Intent", "Memory", "digest_of"]


def digest_of(record_ids: Iterable[str]) -> str:
    """Return a short digest of a set of record ids: it tells whether anything appeared since."""
    return hashlib.sha256("\n".join(sorted(record_ids)).encode()).hexdigest()[:16]


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt writes down: its deadline when it begins, and what it is about to send before each replicate call.

    :param destination: region, project and vault of the destination.
    :param generation: the task's generation (clears) that the deadline belongs to.
    :param deadline: Unix time at which the task gives up, in the local clock.
    :param began: Unix time (service) of the newest record that was there before the first replicate call that this task intended: what is
        newer is this task's, or was made beside it. None before the first call.
    :param first_posted_at: Unix time of the first replicate call that this task intended, in the local clock; None before it.
    :param posted_at: Unix time of the newest one.
    :param needed: how many backups were to be copied.
    :param eligible: how many backups were eligible.
    :param digest: digest of the destination's records that were there before.
    :param calls: the calls of this task in this Dag run, for their ceiling.
    :param has_gap: whether there was nothing to read although earlier attempts may have sent something: the store was emptied by a clear.
    """

    destination: list[str]
    generation: int = 0
    deadline: float = 0.0
    began: float | None = None
    first_posted_at: float | None = None
    posted_at: float | None = None
    needed: int = 0
    eligible: int = 0
    digest: str = ""
    calls: CallCounts | None = None
    has_gap: bool = False

    @classmethod
    def read(cls, stored: Any) -> Intent | None:
        """Return the intent that a store gave back, or None when there is none or it is not one of ours."""
        try:
            return msgspec.convert(stored, cls)
        except msgspec.ValidationError:
            return None


class Memory(AttemptState, kw_only=True):
    """What one attempt knows, and a deferral carries. Unix times are by the local clock unless they say otherwise.

    :param as_of: Unix time of the newest backup of the first look, in the service's clock; only backups created until then count.
    :param looked_at: Unix time of the first look.
    :param wanted: ids of the backups that the first look found without a copy: no other is asked for. None: not written down.
    :param began: Unix time (service) after which all records of this Dag run's task were made; None when it has sent nothing.
    :param first_sent_at: Unix time of the first call of this Dag run's task, as far as it is known of.
    :param unsettled_until: Unix time until which an earlier attempt's call may still show up.
    :param accepted: backup id by record id, for the copies that the service accepted from this attempt.
    :param accepted_at: Unix time of the newest acceptance.
    :param adopted: backup id by record id, for the copies of earlier attempts or of others that this task follows.
    :param sent: Unix time, by backup id, of the newest call whose effect on that backup is not known.
    :param unseen: Unix time, by backup id, since when the operation log shows a copy that no record shows.
    :param unknown: how many calls ended without a known outcome, by backup id; the vault's own id for the vault call.
    :param stale: ids of the records that had failed before this attempt: their backups are asked for again.
    :param declined: code and request id by backup id, where the service refused a backup for what it is.
    :param given_up: code and request id by backup id, where the service refused for any other reason.
    :param one_by_one: whether what is still needed is asked for singly.
    :param disowned: ids of running records that count for nothing because the order is not durable.
    :param log_troubles: how many looks at the operation log in a row have failed.
    """

    as_of: float | None = None
    looked_at: float = 0.0
    wanted: list[str] | None = None
    began: float | None = None
    first_sent_at: float | None = None
    unsettled_until: float = 0.0
    accepted: dict[str, str] = {}
    accepted_at: float = 0.0
    adopted: dict[str, str] = {}
    sent: dict[str, float] = {}
    unseen: dict[str, float] = {}
    unknown: dict[str, int] = {}
    stale: list[str] = []
    declined: dict[str, str] = {}
    given_up: dict[str, str] = {}
    one_by_one: bool = False
    disowned: list[str] = []
    log_troubles: int = 0

    @property
    def followed(self) -> dict[str, str]:
        """Return backup id by record id for every copy that this task answers for."""
        return {**self.adopted, **self.accepted}
