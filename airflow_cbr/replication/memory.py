"""What a submission remembers: inside an attempt, over a deferral, and from attempt to attempt.

Two sizes of the same memory. :class:`Memory` goes through a deferral inside the trigger's arguments and event; it grows with the
number of backups. :class:`Intent` is what is written down before a replicate call, a few hundred bytes in whatever outlives the process.
Both hold ids and numbers only.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Intent", "IntentStore", "Memory", "digest_of"]


def digest_of(record_ids: Iterable[str]) -> str:
    """Return a short digest of a set of record ids: it tells whether anything appeared since."""
    return hashlib.sha256("\n".join(sorted(record_ids)).encode()).hexdigest()[:16]


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt writes down: its deadline when it begins, and what it is about to send before each replicate call.

    :param destination: region, project and vault of the destination.
    :param generation: the task's generation (clears) that the deadline belongs to.
    :param deadline: Unix time at which the task gives up, in the local clock.
    :param began: Unix time of the first replicate call that this task intended, in the service's clock; None before it.
    :param posted_at: Unix time of the newest replicate call that this task intended, in the service's clock; None before it.
    :param needed: how many backups were to be copied.
    :param eligible: how many backups were eligible.
    :param digest: digest of the destination's records that were there before.
    """

    destination: list[str]
    generation: int = 0
    deadline: float = 0.0
    began: float | None = None
    posted_at: float | None = None
    needed: int = 0
    eligible: int = 0
    digest: str = ""

    @classmethod
    def read(cls, stored: Any) -> Intent | None:
        """Return the intent that a store gave back, or None when there is none or it is not one of ours."""
        try:
            return msgspec.convert(stored, cls)
        except msgspec.ValidationError:
            return None


class IntentStore(Protocol):
    """Where an intent outlives the process; Airflow's task state store, for example."""

    def load(self) -> Any:
        """Return what was saved last, or None."""

    def save(self, intent: dict[str, Any]) -> None:
        """Keep the intent; it must be safe when this returns."""


class Memory(msgspec.Struct, kw_only=True):
    """What one attempt knows, and a deferral carries.

    :param deadline: Unix time at which the task gives up, in the local clock.
    :param as_of: Unix time of the first look, in the service's clock; only backups created until then count.
    :param began: Unix time of the first replicate call of this Dag run's task, in the service's clock, if any is known of.
    :param unsettled_until: Unix time (service) until which an earlier attempt's call may still show up.
    :param accepted: backup id by record id, for the copies that the service accepted from this attempt.
    :param accepted_at: Unix time (service) of the newest acceptance.
    :param adopted: backup id by record id, for the copies of earlier attempts or of others that this task follows.
    :param sent: Unix time (service), by backup id, of the newest call whose effect on that backup is not known.
    :param unknown: how many calls ended without a known outcome, by backup id; the vault's own id for the vault call.
    :param stale: ids of the records that had failed before this attempt: their backups are asked for again.
    :param declined: code and request id by backup id, where the service refused a backup for what it is.
    :param given_up: code and request id by backup id, where the service refused for any other reason.
    :param one_by_one: whether what is still needed is asked for singly.
    :param disowned: ids of running records that count for nothing because the order is not durable.
    :param troubles: how many looks in a row have failed.
    """

    deadline: float
    as_of: float | None = None
    began: float | None = None
    unsettled_until: float = 0.0
    accepted: dict[str, str] = {}
    accepted_at: float = 0.0
    adopted: dict[str, str] = {}
    sent: dict[str, float] = {}
    unknown: dict[str, int] = {}
    stale: list[str] = []
    declined: dict[str, str] = {}
    given_up: dict[str, str] = {}
    one_by_one: bool = False
    disowned: list[str] = []
    troubles: int = 0

    @property
    def followed(self) -> dict[str, str]:
        """Return backup id by record id for every copy that this task answers for."""
        return {**self.adopted, **self.accepted}

    def dump(self) -> dict[str, Any]:
        """Return the memory as plain JSON values."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def load(cls, dumped: Any) -> Memory:
        """Return the memory that :meth:`dump` wrote.

        :raises ValueError: when it is not one (a deferred task of another version, a foreign event).
        """
        return msgspec.convert(dumped, cls)
