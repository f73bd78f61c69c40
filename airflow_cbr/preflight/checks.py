"""The preflight: everything that is known to make a replication fail, found by reads only, before anything is paid for.

No check stops another: all findings are collected, and a check that another failure prevents is a finding too. A region that refuses the
credentials, or cannot be reached, is not asked again: a few wrong signatures lock an access key.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_cbr.api.error_lookup import find, normalise_code
from airflow_cbr.api.texts import counted
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrError,
    CbrNotFoundError,
    CbrTransportError,
)
from airflow_cbr.inventory.backups import full_name_of
from airflow_cbr.inventory.coverage import BackupCoverage, Coverage, assess
from airflow_cbr.inventory.vaults import capacity_of, named_vault, objections_to_destination, objections_to_source
from airflow_cbr.preflight.findings import Check, PreflightFinding, PreflightReport, Severity
from airflow_cbr.preflight.plan import Plan, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Vault, VaultResource
    from airflow_cbr.api.summaries import RecordSummary
    from airflow_cbr.inventory.destination import Destination

__all__ = ["Preflight", "RegionAccess"]

Found = TypeVar("Found")

SIGNATURE_WINDOW: Final = 15 * 60.0
"""Seconds by which the time in a signature may be off, as the API's documentation says."""
CLOCK_TOLERANCE: Final = 60.0

# The codes about the destination that the call to the source region may return, as the replicate call would.
_SAID_OF_DESTINATION: Final = frozenset({"BackupService.1005", "BackupService.1011"})
_NAMED: Final = 5


@dataclass(slots=True)
class RegionAccess:
    """How one region is reached, and whether that worked.

    :param conn_id: the connection, for messages.
    :param region: the region, for messages.
    :param connect: returns the client; may raise what a connection that cannot be used raises.
    """

    conn_id: str
    region: str
    connect: Callable[[], CbrClient]
    closed: str | None = field(default=None, init=False)
    """Why this region is not asked again."""
    signature_refused: bool = field(default=False, init=False)
    ahead: float | None = field(default=None, init=False)
    """Seconds by which the service's clock is ahead of this machine's."""

    def __str__(self) -> str:
        """Return connection and region as a message names them."""
        return f"connection {self.conn_id} in region {self.region}"


class Preflight:
    """One preflight.

    :param vault_id: the source vault.
    :param destination: where the copies would go.
    :param source: how the source region is reached.
    :param there: how the destination region is reached.
    :param with_checkpoint: count what a checkpoint will add that is made between this preflight and the copy. Default: False.
    :param now: the local clock, Unix time.
    """

    def __init__(
        self,
        vault_id: str,
        destination: Destination,
        *,
        source: RegionAccess,
        there: RegionAccess,
        with_checkpoint: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._vault_id = vault_id
        self._destination = destination
        self._source = source
        self._there = there
        self._with_checkpoint = with_checkpoint
        self._now = now
        self._findings: list[PreflightFinding] = []
        self._vault_name: str | None = None

    def check(self) -> PreflightReport:
        """Run all checks.

        :return: the findings, and the plan.
        """
        source = self._check_source_vault()
        coverage = self._look()
        coming = self._coming(source) if self._with_checkpoint else ()
        plan = None if coverage is None else plan_of(coverage, source=source, coming=coming)
        if plan is not None:
            self._check_backups(plan)
        self._check_capabilities()
        there = self._check_destination_vault(source)
        self._check_capacity(there, plan)
        for access in (self._source, self._there):
            self._check_clock(access)
        weights = list(Severity)
        findings = sorted(self._findings, key=lambda one: weights.index(one.severity))
        names = [vault.name if vault is not None else None for vault in (source, there)]
        return PreflightReport(self._vault_id, self._destination, findings, plan, self._source.region, *names)

    # --- the source ---------------------------------------------------------------------------------------------------

    def _check_source_vault(self) -> Vault | None:
        vault = self._ask(self._source, Check.SOURCE_VAULT, lambda client: client.show_vault(self._vault_id))
        if vault is None:
            return None
        self._vault_name = vault.name
        for objection in objections_to_source(vault):
            self._find(Check.SOURCE_VAULT, Severity.ERROR, f"Vault {_named(vault)}: {objection.text}.", objection.code)
        if vault.billing is None:
            self._find(
                Check.SOURCE_VAULT,
                Severity.UNCHECKED,
                f"Kind and status of vault {_named(vault)} are not known: the service does not return them.",
            )
        return vault

    def _coming(self, source: Vault | None) -> Sequence[VaultResource]:
        """Return the resources of which the checkpoint will make a backup."""
        if source is not None and source.resources is not None:
            return source.resources
        self._find(
            Check.BACKUPS,
            Severity.UNCHECKED,
            "What the checkpoint will add is not known: the resources of the source vault could not be read. The GB are without it.",
        )
        return ()

    def _look(self) -> Coverage | None:
        def look(client: CbrClient) -> Coverage:
            backups = client.list_backups(vault_id=self._vault_id, show_replication=True)
            return assess((one for one in backups if one.vault_id in (None, self._vault_id)), self._destination)

        return self._ask(self._source, Check.BACKUPS, look)

    def _check_backups(self, plan: Plan) -> None:
        running = [
            record for one in plan.coverage.by_backup.values() for record in one.backup.replication_records or () if not record.is_final
        ]
        if running:
            self._find_running(running)
        if plan.awaited:
            self._find(
                Check.BUSY,
                Severity.NOTE,
                f"{counted(len(plan.awaited), 'backup is', 'backups are')} still being made: {_names(plan.awaited)}. The replicate "
                "task waits for them and copies them too.",
                passes=True,
            )
        if plan.elsewhere:
            self._find(
                Check.BACKUPS,
                Severity.WARNING,
                f"{counted(len(plan.elsewhere), 'backup has its', 'backups have their')} replica in another vault of "
                f"{self._destination.region}: {_names(plan.elsewhere)}. The replicate task copies the other backups, and then fails.",
                "BackupService.1009",
                advice="Name that vault as the destination, or delete the replicas there.",
            )
        if plan.declined:
            names = _names(plan.declined)
            lacking = counted(len(plan.declined), "server backup lacks", "server backups lack")
            text = f"{lacking} the system disk, and CBR does not replicate such backups: {names}."
            self._find(Check.BACKUPS, Severity.NOTE, text, "BackupService.1004")
        if not plan.coverage.eligible_number and not plan.awaited and not plan.coming:
            self._find(
                Check.BACKUPS,
                Severity.NOTE,
                f"Vault {named_vault(self._vault_id, self._vault_name)} holds no eligible backup.",
                advice="Back the vault up first. A replicate task fails on an empty vault unless allow_empty=True.",
            )

    def _find_running(self, running: Sequence[RecordSummary]) -> None:
        here = sum(self._destination.holds(record) for record in running)
        self._find(
            Check.BUSY,
            Severity.WARNING,
            f"{counted(len(running), 'copy is', 'copies are')} running in vault "
            f"{named_vault(self._vault_id, self._vault_name)}: {here} to this destination, "
            f"{len(running) - here} to others.",
            "BackupService.6130",
            advice="Nothing. The replicate task waits for them, and follows those to this destination.",
            passes=True,
        )

    def _check_capabilities(self) -> None:
        rows = self._ask(self._source, Check.CAPABILITIES, lambda client: client.list_replication_capabilities(), is_needed=False)
        if rows is None:
            return
        region, to = self._source.region, self._destination.region
        offered = sorted({one for row in rows if row.name == region for one in row.replication_destinations or ()})
        if to not in offered:
            text = f"CBR in {region} cannot replicate to {to}. It can replicate to: {', '.join(offered) or 'no region'}."
            self._find(Check.CAPABILITIES, Severity.ERROR, text, "BackupService.1005")

    # --- the destination ----------------------------------------------------------------------------------------------

    def _check_destination_vault(self, source: Vault | None) -> Vault | None:
        vault_id = self._destination.vault_id
        vault = self._ask(self._there, Check.DESTINATION_VAULT, lambda client: client.show_vault(vault_id), missing="BackupService.6120")
        seen = self._look_from_source(vault)
        vault = vault or seen
        if vault is None:
            if not any(one.code == "BackupService.6120" for one in self._findings):
                self._find(
                    Check.DESTINATION_VAULT,
                    Severity.UNCHECKED,
                    f"Kind and status of the destination vault are not known: neither region lists it (vault {vault_id}).",
                )
            return None
        billing = source.billing if source is not None else None
        object_type = billing.object_type if billing is not None else None
        for objection in objections_to_destination(vault, object_type=object_type):
            self._find(Check.DESTINATION_VAULT, Severity.ERROR, f"Vault {_named(vault)}: {objection.text}.", objection.code)
        if vault.billing is None:
            self._find(
                Check.DESTINATION_VAULT,
                Severity.UNCHECKED,
                f"Kind and status of vault {_named(vault)} are not known: the service does not return them.",
            )
        elif object_type is None:
            text = "Whether both vaults are for the same kind of resource is not known: the source vault's kind is not known."
            self._find(Check.DESTINATION_VAULT, Severity.UNCHECKED, text)
        return vault

    def _look_from_source(self, shown: Vault | None) -> Vault | None:
        """Return the destination vault as the source region lists it; not every cloud offers that call, so its absence proves nothing."""
        destination, source = self._destination, self._source
        if source.closed is not None:
            return None
        try:
            rows = source.connect().list_external_vaults(
                external_project_id=destination.project_id, region_id=destination.region, vault_id=destination.vault_id
            )
            seen = next((row for row in rows if row.id == destination.vault_id), None)
        except CbrError as error:
            code = normalise_code(error.error_code or "")
            if code in _SAID_OF_DESTINATION:
                text = f"Project {destination.project_id} in {destination.region}, as seen from {source.region}: {_meaning(error)}"
                self._find(Check.DESTINATION_PROJECT, Severity.ERROR, text, code, request_id=error.request_id)
            return None
        if seen is None and shown is not None:
            self._find(
                Check.DESTINATION_VAULT,
                Severity.WARNING,
                f"{destination.region} has the vault, but {source.region} does not list it as a destination "
                f"(vault {destination.vault_id}).",
                "BackupService.6120",
                advice="Check that destination_conn_id and cbr_conn_id belong to the same account.",
            )
        return seen

    def _check_capacity(self, vault: Vault | None, plan: Plan | None) -> None:
        named = named_vault(self._destination.vault_id, vault.name if vault is not None else None)
        capacity = capacity_of(vault) if vault is not None else None
        if capacity is None:
            self._find(
                Check.ROOM, Severity.UNCHECKED, f"Whether vault {named} has room is not known: its size and usage could not be read."
            )
            return
        if capacity.is_full and not capacity.auto_expand:
            comes = plan is None or bool(plan.backups or plan.awaited)
            self._find(
                Check.ROOM, Severity.ERROR if comes else Severity.WARNING, f"Vault {named} is full: {capacity}.", "BackupService.6129"
            )
        elif plan is None:
            self._find(
                Check.ROOM,
                Severity.UNCHECKED,
                f"Whether vault {named} has room is not known: the backups to copy could not be read; {capacity}.",
            )
        elif not capacity.holds(plan.gb + plan.gb_running):
            fits = capacity.holds(plan.gb_estimated + plan.gb_running * plan.filling)
            running = f" in addition to at most {plan.gb_running:g} GB of running copies" if plan.gb_running else ""
            self._find(
                Check.ROOM,
                Severity.WARNING if fits else Severity.ERROR,
                f"Vault {named} {'may have' if fits else 'has'} no room for {plan.size}{running}: {capacity}.",
                "BackupService.6129",
            )

    # --- clocks -------------------------------------------------------------------------------------------------------

    def _check_clock(self, access: RegionAccess) -> None:
        if access.ahead is None:
            self._find(Check.CLOCK, Severity.UNCHECKED, f"Whether the clocks agree is not known: {access} returned no time.")
            return
        off = abs(access.ahead)
        if off <= CLOCK_TOLERANCE:
            return
        refused = off > SIGNATURE_WINDOW and access.signature_refused
        self._find(
            Check.CLOCK,
            Severity.ERROR if refused else Severity.WARNING,
            f"This machine's clock is {off:.0f} s {'behind' if access.ahead > 0 else 'ahead of'} the service's clock in {access.region}.",
            "APIG.0301" if off > SIGNATURE_WINDOW else None,
            advice="Set this machine's clock (NTP): a request signed with an access key is refused when it is more than 15 minutes off.",
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(
        self,
        access: RegionAccess,
        check: Check,
        call: Callable[[CbrClient], Found],
        *,
        missing: str | None = None,
        is_needed: bool = True,
    ) -> Found | None:
        """Return what a read returns, or None when it fails; the findings then say why.

        :param missing: the code that the replicate call would return where this read says "not found". Default: the read's own.
        :param is_needed: whether the replication cannot be judged without it.
        """
        if access.closed is not None:
            self._find(check, Severity.UNCHECKED, f"Not checked, because {access.closed}.")
            return None
        try:
            client = access.connect()
        except CbrError as error:
            access.closed = f"{access} cannot be used"
            self._find_refused(access, check, error, Severity.ERROR)
            return None
        try:
            return call(client)
        except CbrError as error:
            if isinstance(error, CbrAuthenticationError):
                access.closed = f"{access} was refused"
                access.signature_refused = True
            elif isinstance(error, CbrTransportError | CbrConfigurationError):
                access.closed = f"{access} does not answer"
            code = missing if isinstance(error, CbrNotFoundError) else None
            self._find_refused(access, check, error, Severity.ERROR if is_needed or access.closed else Severity.WARNING, code)
            return None
        finally:
            if client.server_time is not None and access.ahead is None:
                access.ahead = client.server_time.timestamp() - self._now()

    def _find_refused(self, access: RegionAccess, check: Check, error: CbrError, severity: Severity, code: str | None = None) -> None:
        named = f"{str(access)[:1].upper()}{str(access)[1:]}"
        status = f" (HTTP {error.http_status})" if error.http_status else ""
        self._find(
            check,
            severity,
            f"{named}{status}: {error.message.rstrip()}",
            code or error.error_code,
            advice=error.advice if code is None else None,
            request_id=error.request_id,
            passes=not error.permanent,
        )

    def _find(
        self,
        check: Check,
        severity: Severity,
        text: str,
        code: str | None = None,
        *,
        advice: str | None = None,
        request_id: str | None = None,
        passes: bool = False,
    ) -> None:
        self._findings.append(PreflightFinding(check, severity, text, code, advice, request_id, passes))


def _meaning(error: CbrError) -> str:
    row = find(error.error_code, error.http_status) if isinstance(error, CbrApiError) else None
    return row.meaning if row is not None else error.message


def _named(vault: Vault) -> str:
    return named_vault(vault.id, vault.name)


def _names(backups: Sequence[BackupCoverage]) -> str:
    named = ", ".join(full_name_of(one.backup) for one in backups[:_NAMED])
    return f"{named} and {len(backups) - _NAMED} more" if len(backups) > _NAMED else named
