"""What a verification found: verdicts, findings, counts, and what follows from them."""

from __future__ import annotations

import logging
from collections import Counter
from enum import StrEnum
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrVerificationError
from airflow_cbr.verification.faults import Fault, advice_on, level_of
from airflow_cbr.verification.levels import COPY_LEVELS, Action, Level
from airflow_cbr.verification.lines import WARNING, line_of
from airflow_cbr.verification.rules import is_plausible_size
from airflow_cbr.verification.verdicts import Verdict, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from airflow_cbr.verification.clocks import Clocks
    from airflow_cbr.verification.levels import VerificationSpec
    from airflow_cbr.verification.resource_state import ResourceState
    from airflow_cbr.verification.source_inventory import BackupRow, SourceInventory

__all__ = ["FIRST_FINDINGS", "FIRST_RESOURCES", "LARGEST_WHOLE", "About", "Entry", "Finding", "Outcome", "Report"]

LARGEST_WHOLE: Final = 1000
"""Most backups of a report that goes into XCom as a whole; a larger one is written to a file, and XCom has its beginning."""
FIRST_FINDINGS: Final = 20
"""Findings of a larger report that go into XCom and into the log."""
FIRST_RESOURCES: Final = 1000
"""Resources of a larger report that go into XCom."""
_VERIFIED: Final = str(Verdict.VERIFIED)
_IN_PLACE: Final = "available in the destination vault"


class About(StrEnum):
    """What a finding is about."""

    BACKUP = "backup"
    RESOURCE = "resource"
    VAULT = "vault"


class Outcome(StrEnum):
    """What follows from a report."""

    PASSED = "passed"
    WARNED = "warned"
    SKIPPED = "skipped"
    FAILED = "failed"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The verdict on one backup, as the report lists it.

    :param id: the backup; None for a record that no backup lists.
    :param verdict: a member of :class:`~airflow_cbr.verification.source_inventory.Verdict`; a plain string is encoded in half the time.
    :param level: the level that caught what is wrong; None where nothing is wrong.
    :param faults: what is wrong.
    """

    id: Annotated[str | None, Meta(description="Null for a record that no backup lists.")]
    name: str | None
    resource_id: str | None
    verdict: Annotated[str, Meta(extra_json_schema={"enum": list(Verdict)})]
    level: Annotated[Level | None, Meta(description="The level that caught what is wrong; null where nothing is wrong.")]
    faults: Annotated[tuple[Fault, ...], Meta(extra_json_schema={"uniqueItems": True})]
    reason: str
    record_id: str | None
    replica_id: str | None
    resource_name: str | None = None

    def line(self, action: Action | None = None) -> str:
        """Return the entry as one line.

        :param action: what the level does that caught what is wrong. Default: nothing is wrong, or it is more than a warning.
        """
        word = WARNING if action is Action.WARN else self.verdict
        subject = self.resource_name or self.name or self.id or "an unknown backup"
        ids = _ids_of_backup(self.id, self.name, self.record_id, self.replica_id)
        return line_of(word, subject, self.reason, self.level, self.faults, ids)

    def __str__(self) -> str:
        """Return the entry as one line."""
        return self.line()


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that is wrong.

    :param about: a backup, a resource or a vault.
    :param id: its id, if it has one.
    :param name: its name, or which vault it is.
    :param faults: what is wrong with it.
    :param reason: the same in words.
    :param verdict: the verdict, of a backup.
    :param caught_by: the level that caught it. Default: the level of its first fault.
    :param resource_name: name of the resource that it is about, or that was backed up. Default: not known.
    :param vault_name: name of the vault, of a finding about one. Default: not known.
    """

    about: About
    id: str | None
    name: str | None
    faults: tuple[Fault, ...]
    reason: str
    verdict: str = Verdict.FAILED
    record_id: str | None = None
    replica_id: str | None = None
    caught_by: Level | None = None
    resource_name: str | None = None
    vault_name: str | None = None

    @property
    def level(self) -> Level:
        """Return the level that caught it."""
        return self.caught_by or level_of(self.faults[0])

    @property
    def subject(self) -> str:
        """Return how a message names what the finding is about."""
        if self.about is About.VAULT:
            return f"{self.name} {self.vault_name}" if self.vault_name else str(self.name)
        return self.resource_name or self.name or self.id or "an unknown backup"

    @property
    def advice(self) -> str:
        """Return what to do about it."""
        return advice_on(self.faults)

    def line(self, action: Action | None = None) -> str:
        """Return the finding as one line.

        :param action: what its level does. Default: more than a warning.
        """
        word = WARNING if action is Action.WARN else self.verdict
        if self.about is About.BACKUP:
            ids = _ids_of_backup(self.id, self.name, self.record_id, self.replica_id)
        else:
            ids = _ids((str(self.about), self.id), ("record", self.record_id), ("replica", self.replica_id))
        return line_of(word, self.subject, self.reason, self.level, self.faults, ids)

    def __str__(self) -> str:
        """Return the finding as one line."""
        return self.line()


def _ids_of_backup(backup_id: str | None, name: str | None, record_id: str | None, replica_id: str | None) -> str:
    backup = f"{name} {backup_id}" if name and backup_id else backup_id
    return _ids(("backup", backup), ("record", record_id), ("replica", replica_id))


def _ids(*named: tuple[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named if value)


class Report:
    """What a verification found.

    :param spec: what was asked.
    :param inventory: the source vault's backups with their verdicts.
    :param others: findings about resources and vaults.
    :param source: region, project and vault of the source.
    :param clocks: the clocks that ages and expiry times were judged by.
    :param resources: what is protected of each bound resource, the worst first. Default: not known.
    :param vault_name: name of the source vault. Default: not known.
    :param destination_name: name of the destination vault. Default: not known.
    :param destination_used_ratio: which part of it is used; 1 is full. Default: not known.
    """

    def __init__(
        self,
        spec: VerificationSpec,
        inventory: SourceInventory,
        others: list[Finding],
        *,
        source: dict[str, str],
        clocks: Clocks,
        resources: Sequence[ResourceState] = (),
        vault_name: str | None = None,
        destination_name: str | None = None,
        destination_used_ratio: float | None = None,
    ) -> None:
        self.spec = spec
        self.inventory = inventory
        self.others = others
        self.source = source
        self.clocks = clocks
        self.now = clocks.service_now
        self.resources = resources
        self.vault_name = vault_name
        self.destination_name = destination_name
        self.destination_used_ratio = destination_used_ratio
        self._name_of_resource = inventory.resource_names.get
        self._judges_replicas = Level.REPLICA in spec.levels

    # --- backups ------------------------------------------------------------------------------------------------------

    @property
    def entries(self) -> Iterator[Entry]:
        """Return the verdict on each backup; made one by one."""
        return chain(self._unlisted, map(self._entry, self.inventory.judged))

    @property
    def _unlisted(self) -> Iterator[Entry]:
        for record_id in self.inventory.unlisted:
            reason = "no backup of the source vault lists this replication record"
            faults = (Fault.RECORD_UNLISTED,)
            verdict, level, reason = self._as_judged(verdict_on(faults), faults, reason)
            yield Entry(None, None, None, verdict, level, faults if level else (), reason, record_id, None)

    def _entry(self, row: BackupRow) -> Entry:
        name = self._name_of_resource(row.resource_id)
        if row.verdict is Verdict.VERIFIED and self._judges_replicas:
            return Entry(row.id, row.name, row.resource_id, _VERIFIED, None, (), _IN_PLACE, row.record_id, row.replica_id, name)
        verdict, level, faults, reason = row.verdict, None, row.faults, row.reason
        if verdict is Verdict.VERIFIED or verdict is None:
            verdict, reason = self._by_record_alone()
        elif faults:
            verdict, level, reason = self._as_judged(verdict, faults, reason)
            faults = faults if level else ()
        return Entry(row.id, row.name, row.resource_id, str(verdict), level, faults, reason, row.record_id, row.replica_id, name)

    def _by_record_alone(self) -> tuple[Verdict, str]:
        if Level.RECORD in self.spec.levels:
            return Verdict.VERIFIED, "its record is success; the replica was not checked"
        return Verdict.SKIPPED, "not judged: levels names neither record nor replica"

    def _as_judged(self, verdict: Verdict, faults: tuple[Fault, ...], reason: str) -> tuple[Verdict, Level | None, str]:
        """Return verdict, level and reason under the levels that are judged; without a successful record there is no replica either."""
        caught = level_of(faults[0])
        for level in COPY_LEVELS[COPY_LEVELS.index(caught) :]:
            if level in self.spec.levels:
                return verdict, level, reason
        return Verdict.SKIPPED, None, f"not judged: levels does not name {caught} ({reason})"

    @cached_property
    def _tally(self) -> tuple[dict[str, int], Counter[Level]]:
        """Return how many backups have each verdict, and how many each level caught."""
        verdicts, caught = Counter[str](), Counter[Level]()
        verified, judges_replicas = Verdict.VERIFIED, self._judges_replicas
        others = [row for row in self.inventory.judged if row.verdict is not verified or not judges_replicas]
        verdicts[_VERIFIED] = sum(1 for _ in self.inventory.judged) - len(others)
        for entry in chain(self._unlisted, map(self._entry, others)):
            verdicts[entry.verdict] += 1
            if entry.level is not None:
                caught[entry.level] += 1
        caught.update(finding.level for finding in self.others)
        return {str(verdict): verdicts[verdict] for verdict in Verdict}, caught

    @property
    def counts(self) -> dict[str, int]:
        """Return how many backups have each verdict."""
        return self._tally[0]

    @property
    def violations(self) -> dict[Level, int]:
        """Return how often each level that was judged is violated: by backups, by resources, or by the vault."""
        return {level: self._tally[1][level] for level in Level if level in self.spec.levels}

    @property
    def is_large(self) -> bool:
        """Return whether the report is too large to go into XCom as a whole."""
        return sum(self.counts.values()) > LARGEST_WHOLE

    # --- how old ------------------------------------------------------------------------------------------------------

    @property
    def verified_at(self) -> datetime | None:
        """Return when the newest verified backup of the worst resource was made; None when one has none, or when that is not known."""
        return self.resources[0].verified_at if self.resources else None

    @property
    def age_seconds(self) -> float | None:
        """Return how many seconds ago that was, by the service's time."""
        return self.resources[0].age_seconds if self.resources else None

    @cached_property
    def size_gb(self) -> float:
        """Return the size in GB of the judged backups that are verified, as far as the service returns sizes."""
        return sum(row.size for row in self.inventory.judged if row.is_verified and row.size is not None and is_plausible_size(row.size))

    # --- what follows -------------------------------------------------------------------------------------------------

    @cached_property
    def outcome(self) -> Outcome:
        """Return what follows: the most severe action among the violated levels."""
        actions = {self.spec.levels[level] for level, count in self.violations.items() if count}
        for action, outcome in ((Action.FAIL, Outcome.FAILED), (Action.SKIP, Outcome.SKIPPED), (Action.WARN, Outcome.WARNED)):
            if action in actions:
                return outcome
        return Outcome.PASSED

    @property
    def verdict(self) -> Verdict:
        """Return ``verified``, or ``failed`` when a level is violated whose action is more than a warning."""
        return Verdict.FAILED if self.outcome in (Outcome.FAILED, Outcome.SKIPPED) else Verdict.VERIFIED

    @property
    def summary(self) -> dict[str, str | int]:
        """Return the small dict that goes into XCom."""
        return {"verdict": str(self.verdict), **self.counts}

    @property
    def findings(self) -> Iterator[Finding]:
        """Return everything that is wrong, what fails the task first; made one by one."""
        for action in Action:
            levels = {level for level, given in self.spec.levels.items() if given is action}
            yield from (finding for finding in self.others if finding.level in levels)
            if not levels.isdisjoint(COPY_LEVELS) and any(self.violations[level] for level in levels.intersection(COPY_LEVELS)):
                yield from (_finding_of(entry) for entry in self.entries if entry.level in levels)

    @property
    def settling(self) -> list[BackupRow]:
        """Return the backups with nothing wrong but what may become right a little later."""
        if not self.spec.looks_at_replicas:
            return []
        rows = self.inventory.judged
        if not self.spec.levels.keys().isdisjoint({Level.COVERAGE, Level.RPO}):
            rows = chain(rows, (row for row in self.inventory.all_perhaps_newest if not row.is_judged))
        return [row for row in rows if row.may_settle(self.now)]

    def lines(self) -> Iterator[tuple[int, str]]:
        """Return the lines for the log, each with its logging level: one for each backup, or the first findings of a large report."""
        levels = self.spec.levels
        if self.spec.looks_at_replicas and (doubt := self.clocks.doubt) is not None:
            yield logging.WARNING, doubt
        if self.is_large:
            for finding in islice(self.findings, FIRST_FINDINGS):
                yield _SEVERITIES[levels[finding.level]], finding.line(levels[finding.level])
            return
        for entry in self.entries:
            action = None if entry.level is None else levels[entry.level]
            yield logging.INFO if action is None else _SEVERITIES[action], entry.line(action)
        for finding in self.others:
            yield _SEVERITIES[levels[finding.level]], finding.line(levels[finding.level])

    @property
    def way(self) -> str:
        """Return from where to where: ``vault-nightly: cn-north-4 -> cn-shenzhen-1``."""
        return f"{self.vault_name or self.spec.vault_id}: {self.source['region']} -> {self.spec.destination.region}"

    def failure(self) -> CbrVerificationError | None:
        """Return the error that says what is wrong; None when the outcome is not that the task fails."""
        if self.outcome is not Outcome.FAILED:
            return None
        return CbrVerificationError(self.headline(), problems=self.problems(), advice=_ADVICE)

    def headline(self) -> str:
        """Return in one sentence what is wrong."""
        wrong = self.counts[Verdict.FAILED] + self.counts[Verdict.MISSING]
        said = [f"{wrong} of {counted(sum(self.counts.values()), 'backup')} without a verified replica."] if wrong else []
        said += [
            f"The level {level} is violated {counted(count, 'time')}."
            for level, count in self.violations.items()
            if count and level not in COPY_LEVELS
        ]
        return f"{self.way}: {' '.join(said) or 'Nothing is wrong.'}"

    def problems(self) -> list[str]:
        """Return one line for each finding that is more than a warning, the first of them of a large report."""
        counting = (finding for finding in self.findings if self.spec.levels[finding.level] is not Action.WARN)
        if not self.is_large:
            return [str(finding) for finding in counting]
        lines = [str(finding) for finding in islice(counting, FIRST_FINDINGS)]
        rest = sum(count for level, count in self.violations.items() if self.spec.levels[level] is not Action.WARN) - len(lines)
        return [*lines, f"and {counted(rest, 'more finding')}: see the report"] if rest > 0 else lines


_ADVICE: Final = "Follow the advice in each line; the documentation's page on verification explains every fault."


_SEVERITIES: Final = {Action.FAIL: logging.ERROR, Action.SKIP: logging.WARNING, Action.WARN: logging.WARNING}


def _finding_of(entry: Entry) -> Finding:
    return Finding(
        About.BACKUP,
        entry.id,
        entry.name,
        entry.faults,
        entry.reason,
        entry.verdict,
        entry.record_id,
        entry.replica_id,
        entry.level,
        entry.resource_name,
    )
