"""The plan: each backup with why it stays, or why it may go. Made of one look; decides and asks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import counted
from airflow_cbr.inventory.backups import name_of, resource_of
from airflow_cbr.pruning.keep_rules import kept_by
from airflow_cbr.pruning.protection import KeepReason, created_of, protections_of, survivor_of
from airflow_cbr.pruning.spec import Side

if TYPE_CHECKING:
    from airflow_cbr.pruning.look import Held, Look

__all__ = ["Kept", "PrunePlan", "Removal", "make_plan"]


_MOST_LINES: Final = 1000
"""Backups that the log names."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that stays.

    :param row: the backup or replica.
    :param reason: why.
    :param text: the same in words.
    """

    row: Held
    reason: KeepReason
    text: str

    def __str__(self) -> str:
        """Return the line for the log."""
        return f"KEPT {_resource(self.row)}: {self.text} [{self.reason}]; {_ids(self.row)}"


@dataclass(frozen=True, slots=True)
class Removal:
    """A backup that may go.

    :param row: the backup or replica.
    :param created: when it was made.
    :param replica: the verified replica without which it must stay: its own, or another one of its resource.
    :param source: the source backup of that replica, without which the replica is not verified; the backup itself where it is one.
    """

    row: Held
    created: datetime
    replica: Held
    source: Held

    @property
    def id(self) -> str:
        """Return its id."""
        return self.row.backup.id

    @property
    def size_gb(self) -> float:
        """Return its size: an upper bound of what is freed, since backups are mostly incremental."""
        return float(self.row.backup.resource_size or 0)

    @property
    def why(self) -> str:
        """Return why it may go, in words."""
        replica_id = self.replica.backup.id
        if self.row.side is Side.SOURCE:
            return f"no keep rule keeps it, and its replica {replica_id} is verified"
        source = "is gone" if self.row.source is None else "goes too"
        return f"no keep rule keeps it, its source backup {source}, and the verified replica {replica_id} of its resource stays"

    def __str__(self) -> str:
        """Return the line for the log."""
        if self.row.side is Side.SOURCE:
            why = "no keep rule keeps it, and its replica is verified"
        else:
            source = "is gone" if self.row.source is None else "goes too"
            why = f"no keep rule keeps it, its source backup {source}, and a verified replica of its resource stays"
        made = f"made {self.created:%Y-%m-%dT%H:%M:%S%z}, {self.size_gb:g} GB"
        return f"REMOVE {_resource(self.row)}, {made}: {why}; {_ids(self.row)}, verified replica {self.replica.backup.id}"


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What goes and what stays.

    :param removals: what goes, in the order of its deletion: source backups first, and the oldest first.
    :param kept: what stays.
    :param look: what it was made of.
    """

    removals: list[Removal]
    kept: list[Kept]
    look: Look

    @property
    def size_gb(self) -> float:
        """Return how many GB are freed, at most."""
        return sum(one.size_gb for one in self.removals)

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many stay, by reason."""
        counts = Counter(str(one.reason) for one in self.kept)
        return {reason: counts[reason] for reason in KeepReason if counts[reason]}

    @property
    def headline(self) -> str:
        """Return the plan in one sentence."""
        backups = sum(one.row.side is Side.SOURCE for one in self.removals)
        replicas = len(self.removals) - backups
        may_go = f"{counted(backups, 'backup')} and {counted(replicas, 'replica')} may go, at most {self.size_gb:g} GB"
        return f"{self.way}: {may_go}; {len(self.kept)} stay"

    @property
    def way(self) -> str:
        """Return which vaults it is about: ``vault-nightly: cn-north-4 -> cn-shenzhen-1``."""
        spec, source = self.look.spec, self.look.vaults[Side.SOURCE]
        return f"{source.name or spec.vault_id}: {self.look.places['source']['region']} -> {spec.destination.region}"

    def lines(self) -> Iterator[str]:
        """Return the lines for the log: the sentence, what goes, and what stays, or of a large plan how much stays and why."""
        yield self.headline
        yield from (str(one) for one in self.removals[:_MOST_LINES])
        if len(self.removals) > _MOST_LINES:
            yield f"and {counted(len(self.removals) - _MOST_LINES, 'more removal')}"
        if len(self.kept) <= _MOST_LINES:
            yield from (str(one) for one in self.kept)
        yield from (f"{number} stay: {reason}" for reason, number in self.reasons.items())


def make_plan(look: Look, *, why_incomplete: Callable[[str], str | None]) -> PrunePlan:
    """Return what goes and what stays.

    :param look: what was seen.
    :param why_incomplete: asks the service why a checkpoint of the source is not complete; called once for each checkpoint of which a
        backup would go. None: it is complete.
    """
    removals, kept = _judge(look, Side.SOURCE)
    checkpoints = dict.fromkeys(one.row.backup.checkpoint_id or "" for one in removals)
    incomplete = {(Side.SOURCE, id_): why for id_ in checkpoints if (why := why_incomplete(id_)) is not None}
    if incomplete:
        look = replace(look, incomplete=look.incomplete | incomplete)
        removals, kept = _judge(look, Side.SOURCE)
    going = frozenset(one.id for one in removals)
    staying = {row.backup.id for row in look.of_side(Side.SOURCE)} - going
    survivors: dict[str, list[Held]] = {}
    for row in look.of_side(Side.REPLICA):
        survives = row.is_verified and row.source is not None and row.source.id in staying and not row.is_contradicted
        if survives and row.backup.resource_id is not None:
            survivors.setdefault(row.backup.resource_id, []).append(row)
    look = replace(look, going=going, survivors=survivors)
    replicas, kept_replicas = _judge(look, Side.REPLICA)
    return PrunePlan(removals + replicas, kept + kept_replicas, look)


def _judge(look: Look, side: Side) -> tuple[list[Removal], list[Kept]]:
    protections = {row.backup.id: list(protections_of(row, look)) for row in look.of_side(side)}
    rules = _kept_by_rules(look, side, protections={id_: [line.is_useful for line, _ in found] for id_, found in protections.items()})
    replicas = {row.source.id: row for row in look.of_side(Side.REPLICA) if row.is_verified and row.source is not None}
    sources = {row.backup.id: row for row in look.of_side(Side.SOURCE)}
    removals: list[Removal] = []
    kept: list[Kept] = []
    for row in look.of_side(side):
        found, rule, created = protections[row.backup.id], rules.get(row.backup.id), created_of(row)
        partner = replicas.get(row.backup.id) if side is Side.SOURCE else survivor_of(row, look)
        if side not in look.spec.sides:
            kept.append(Kept(row, KeepReason.OTHER_SIDE, "this side is not pruned"))
        elif found:
            kept.append(Kept(row, found[0][0].reason, found[0][1]))
        elif rule is not None:
            kept.append(Kept(row, KeepReason.KEEP_RULE, f"kept by {', '.join(f'keep_{name}' for name in rule)}"))
        elif created is None or partner is None or partner.source is None:
            kept.append(Kept(row, KeepReason.UNVERIFIED, "its verified replica is not listed"))
        else:
            removals.append(Removal(row, created, partner, sources[partner.source.id]))
    return sorted(removals, key=lambda one: (one.created, one.id)), kept


def _kept_by_rules(look: Look, side: Side, *, protections: dict[str, list[bool]]) -> dict[str, list[str]]:
    """Return what the keep rules keep: among what is of use for a restore, so that a broken backup is nobody's place holder."""
    useful: dict[str, list[tuple[str, datetime]]] = {}
    for row in look.of_side(side):
        created = created_of(row)
        if created is not None and row.backup.resource_id is not None and all(protections[row.backup.id]):
            useful.setdefault(row.backup.resource_id, []).append((row.backup.id, created))
    return {id_: names for backups in useful.values() for id_, names in kept_by(backups, look.spec.rules).items()}


def _resource(row: Held) -> str:
    return f"{resource_of(row.backup)} ({'backup' if row.side is Side.SOURCE else 'replica'})"


def _ids(row: Held) -> str:
    return f"{'backup' if row.side is Side.SOURCE else 'replica'} {name_of(row.backup)}"
