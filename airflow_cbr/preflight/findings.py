"""The findings of a preflight with their severity, and its report, which also holds the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.error_lookup import find
from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import CbrPreflightError
from airflow_cbr.inventory.vaults import named_vault
from airflow_cbr.languages import advice_line
from airflow_cbr.preflight.plan import LISTED, Plan

if TYPE_CHECKING:
    from airflow_cbr.inventory.destination import Destination

__all__ = ["Check", "PreflightFinding", "PreflightReport", "Severity"]


class Severity(StrEnum):
    """How severe a finding is, the most severe first."""

    ERROR = "error"
    """The replication would be refused, or cannot be judged because a read that it needs fails."""
    WARNING = "warning"
    """The replication can begin, but must wait for something, leaves something out, or may fail."""
    UNCHECKED = "unchecked"
    """It could not be checked, because something else failed."""
    NOTE = "note"
    """Good to know."""


class Check(StrEnum):
    """What was checked."""

    SOURCE_VAULT = "source vault"
    BACKUPS = "backups"
    BUSY = "busy"
    CAPABILITIES = "capabilities"
    DESTINATION_PROJECT = "destination project"
    DESTINATION_VAULT = "destination vault"
    ROOM = "room"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    """One thing that a preflight found.

    :param check: what was checked.
    :param severity: how severe it is.
    :param text: what was found, without any secret.
    :param code: the code that the service returned, or would return to the replicate call. Default: none.
    :param advice: what to do. Default: the error catalogue's advice on the code.
    :param request_id: request id of the answer that says so. Default: none.
    :param passes: whether it ends by itself, so that running the task again later can help. Default: False.
    """

    check: Check
    severity: Severity
    text: str
    code: str | None = None
    advice: str | None = None
    request_id: str | None = None
    passes: bool = False

    @property
    def what_to_do(self) -> str | None:
        """Return the advice: its own, or the catalogue's."""
        row = find(self.code, None)
        return self.advice or (row.advice if row is not None else None)

    @property
    def row(self) -> dict[str, Any]:
        """Return the finding as a dict for an XCom."""
        return {
            "check": str(self.check),
            "severity": str(self.severity),
            "text": self.text,
            "code": self.code,
            "advice": self.what_to_do,
            "request_id": self.request_id,
        }

    def __str__(self) -> str:
        """Return the finding as one line."""
        facts = ", ".join(fact for fact in (self.code, f"request id {self.request_id}" if self.request_id else None) if fact)
        line = f"{self.severity.upper()} {self.check}: {self.text}" + (f" [{facts}]" if facts else "")
        return f"{line} {advice_line(self.what_to_do)}" if self.what_to_do else line


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All findings at once, and what would be copied.

    :param vault_id: the source vault.
    :param destination: the destination.
    :param findings: what was found, the most severe first.
    :param plan: what would be copied, or None where the backups could not be listed.
    :param source: region id of the source vault. Default: not known.
    :param vault_name: name of the source vault. Default: not known.
    :param destination_name: name of the destination vault. Default: not known.
    """

    vault_id: str
    destination: Destination
    findings: list[PreflightFinding] = field(default_factory=list)
    plan: Plan | None = None
    source: str = ""
    vault_name: str | None = None
    destination_name: str | None = None

    def of(self, *severities: Severity) -> list[PreflightFinding]:
        """Return the findings of these severities."""
        return [one for one in self.findings if one.severity in severities]

    @property
    def is_ready(self) -> bool:
        """Return whether nothing was found that would make the replication fail."""
        return not self.of(Severity.ERROR)

    @property
    def summary(self) -> dict[str, Any]:
        """Return the small dict for XCom: verdict, counts by severity, and what would be copied (None where that is not known)."""
        plan = self.plan
        return {
            "verdict": "ready" if self.is_ready else "not ready",
            "errors": len(self.of(Severity.ERROR)),
            "warnings": len(self.of(Severity.WARNING)),
            "unchecked": len(self.of(Severity.UNCHECKED)),
            "notes": len(self.of(Severity.NOTE)),
            "backups": None if plan is None else plan.backups,
            "gb": None if plan is None else plan.gb,
            "gb_estimated": None if plan is None else plan.gb_estimated,
        }

    @property
    def document(self) -> dict[str, Any]:
        """Return the summary with the names of both vaults and the most severe findings."""
        names = {"vault_name": self.vault_name, "destination_vault_name": self.destination_name}
        return {**self.summary, **names, "findings": [one.row for one in self.findings[:LISTED]]}

    @property
    def line(self) -> str:
        """Return the last line: the verdict, how much would be copied, and what was found."""
        numbers = {severity: len(self.of(severity)) for severity in Severity}
        found = ", ".join(
            f"{number} unchecked" if severity is Severity.UNCHECKED else counted(number, str(severity))
            for severity, number in numbers.items()
            if number
        )
        way = f"{self.vault_name or self.vault_id}: {f'{self.source} ' if self.source else ''}-> {self.destination.region}"
        what = "what would be copied is not known"
        if self.plan is not None:
            what = f"{counted(self.plan.backups, 'backup')} would be copied, {self.plan.size}"
        return f"{'READY' if self.is_ready else 'NOT READY'} {way}: {what}; {found or 'nothing found'}"

    def failure(self, *, warnings_fail: bool = False) -> CbrPreflightError | None:
        """Return the error that names everything that would make the replication fail, or None.

        :param warnings_fail: whether warnings fail the preflight too. Default: False.
        """
        wrong = self.of(Severity.ERROR, Severity.WARNING) if warnings_fail else self.of(Severity.ERROR)
        if not wrong:
            return None
        return CbrPreflightError(
            f"The preflight for replicating vault {named_vault(self.vault_id, self.vault_name)} to "
            f"{self.destination.named(self.destination_name)} failed with {counted(len(wrong), 'finding')}. "
            "Nothing was sent.",
            problems=[str(one) for one in wrong],
            permanent=not all(one.passes for one in wrong),
        )
