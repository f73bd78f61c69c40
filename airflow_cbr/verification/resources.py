"""The resources bound to the source vault: how old the newest verified replica of each is, and the levels that judge that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_cbr.inventory.measures import duration_text
from airflow_cbr.verification.faults import Fault
from airflow_cbr.verification.report import About, Finding
from airflow_cbr.verification.resource_state import ResourceState
from airflow_cbr.verification.rules import CLOCK_MARGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.api.models import Vault, VaultResource
    from airflow_cbr.exceptions import CbrError
    from airflow_cbr.verification.source_inventory import BackupRow, SourceInventory

__all__ = ["ages", "coverage", "newest_verified", "states"]

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def newest_verified(inventory: SourceInventory) -> dict[str | None, BackupRow]:
    """Return the newest backup with a verified replica by resource.

    :param inventory: the source vault's backups with their verdicts.
    """
    newest = {key: row for key, row in inventory.newest.items() if row.is_verified and row.resource_id is not None}
    if len(newest) == len(inventory.newest):
        return newest
    settled = set(newest)
    for row in inventory.rows:
        if row.is_verified and row.resource_id is not None and row.resource_id not in settled:
            known = newest.get(row.resource_id)
            if known is None or known.is_older_than(row):
                newest[row.resource_id] = row
    return newest


def states(vault: Vault | CbrError, verified: dict[str | None, BackupRow], *, now: datetime | None) -> list[ResourceState]:
    """Return what is protected of each bound resource, the worst first; nothing where the resources are not known.

    :param vault: the source vault, or why it cannot be looked at.
    :param verified: from :func:`newest_verified`.
    :param now: the service's time, or None when it did not send one.
    """
    bound = _bound(vault)
    if isinstance(bound, str):
        return []
    found = [_state(resource, verified.get(resource.id), now) for resource in bound]
    return sorted(found, key=lambda one: (one.verified_at or _NEVER, one.id or ""))


def _state(resource: VaultResource, last: BackupRow | None, now: datetime | None) -> ResourceState:
    if last is None:
        return ResourceState(resource.id, resource.name, resource.type, None, None, None, None, None, None, None)
    made, texts = last.created, last.texts
    if made is not None and (now is None or made - now > CLOCK_MARGIN):
        made = None
    return ResourceState(
        resource.id,
        resource.name,
        resource.type,
        texts.id,
        texts.name,
        texts.record_id,
        last.replica_id,
        made,
        None if made is None or now is None else max(0.0, (now - made).total_seconds()),
        last.size,
    )


def coverage(vault: Vault | CbrError, inventory: SourceInventory, verified: dict[str | None, BackupRow]) -> Iterator[Finding]:
    """Yield the bound resources that are not covered.

    :param vault: the source vault, or why it cannot be looked at.
    :param inventory: its backups with their verdicts.
    :param verified: from :func:`newest_verified`.
    """
    bound = _bound(vault)
    if isinstance(bound, str):
        yield _of_vault(vault, Fault.BOUND_RESOURCES_UNKNOWN, bound)
        return
    for resource in bound:
        newest, last = inventory.perhaps_newest(resource.id), verified.get(resource.id)
        uncovered = next((row for row in newest if not row.is_verified), None)
        if not newest and last is None:
            yield _of_resource(resource, Fault.RESOURCE_UNCOVERED, "the source vault holds no eligible backup of it")
        elif uncovered is not None and last is None:
            reason = f"no backup of it has a verified replica; its newest is {uncovered.subject}: {uncovered.reason}"
            yield _of_resource(resource, Fault.RESOURCE_UNCOVERED, reason)
        elif uncovered is not None and last is not None:
            which = "its newest eligible backup" if uncovered.created is not None else "a backup without a creation time"
            reason = f"{which} has no verified replica: {uncovered.subject}: {uncovered.reason}; the newest that has one is {last.subject}"
            yield _of_resource(resource, Fault.NEWEST_UNCOVERED, reason)


def ages(vault: Vault | CbrError, verified: dict[str | None, BackupRow], *, max_age: float, now: datetime | None) -> Iterator[Finding]:
    """Yield the bound resources whose newest verified replica is too old.

    :param vault: the source vault, or why it cannot be looked at.
    :param verified: from :func:`newest_verified`.
    :param max_age: greatest age in seconds, from the creation of the source backup.
    :param now: the service's time, or None when it did not send one.
    """
    bound = _bound(vault)
    if isinstance(bound, str):
        yield _of_vault(vault, Fault.AGE_UNKNOWN, bound)
        return
    for resource in bound:
        last = verified.get(resource.id)
        if last is None:
            yield _of_resource(resource, Fault.AGE_UNKNOWN, "it has no verified replica, so nothing of it could be restored")
        elif last.created is None or now is None:
            reason = f"the service does not return when {last.subject} was made, or its current time"
            yield _of_resource(resource, Fault.AGE_UNKNOWN, reason, last)
        elif last.created - now > CLOCK_MARGIN:
            made, today = last.created.isoformat(timespec="seconds"), now.isoformat(timespec="seconds")
            reason = f"its newest verified replica is of {last.subject}, made {made}, but the service's time is {today}"
            yield _of_resource(resource, Fault.FROM_THE_FUTURE, reason, last)
        elif (age := (now - last.created).total_seconds()) > max_age:
            made = last.created.isoformat(timespec="seconds")
            said = f"{age:.0f} s ago ({duration_text(age)}), more than {max_age:g} s ({duration_text(max_age)})"
            reason = f"its newest verified replica is of {last.subject}, made {made}: {said}"
            yield _of_resource(resource, Fault.TOO_OLD, reason, last)


def _bound(vault: Vault | CbrError) -> list[VaultResource] | str:
    if isinstance(vault, Exception):
        return f"its resources cannot be read: {vault.what_happened}"
    if vault.resources is None:
        return "the service does not return its resources"
    return vault.resources


def _of_vault(vault: Vault | CbrError, fault: Fault, reason: str) -> Finding:
    vault_id, name = (None, None) if isinstance(vault, Exception) else (vault.id, vault.name)
    return Finding(About.VAULT, vault_id, "source vault", (fault,), reason, vault_name=name)


def _of_resource(resource: VaultResource, fault: Fault, reason: str, row: BackupRow | None = None) -> Finding:
    return Finding(
        About.RESOURCE,
        resource.id,
        resource.name,
        (fault,),
        reason,
        record_id=None if row is None else row.texts.record_id,
        replica_id=None if row is None else row.replica_id,
        resource_name=resource.name,
    )
