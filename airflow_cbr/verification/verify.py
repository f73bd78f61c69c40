"""A verification from beginning to end: read the source, read the destination, judge level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.exceptions import CbrError, CbrNothingToReplicateError
from airflow_cbr.inventory.absence import vault_or_error, why_not_empty
from airflow_cbr.inventory.vaults import capacity_of
from airflow_cbr.verification.clocks import Clocks
from airflow_cbr.verification.destination_vault import destination_vault
from airflow_cbr.verification.levels import Level, Scope
from airflow_cbr.verification.reading import read_source
from airflow_cbr.verification.replicas import ask_destination
from airflow_cbr.verification.report import Report
from airflow_cbr.verification.resources import ages, coverage, newest_verified, states

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Vault
    from airflow_cbr.verification.levels import VerificationSpec
    from airflow_cbr.verification.report import Finding
    from airflow_cbr.verification.resource_state import ResourceState

__all__ = ["verify"]


def verify(source: CbrClient, destination: CbrClient, spec: VerificationSpec) -> Report:
    """Read both sides once, and judge.

    Costs one request for each 1,000 backups of the source vault, one for each 1,000 of the destination vault, one for the source vault's
    own row, from which its resources are known, one for the destination vault's, from which its name and use are, and a few for replicas
    that the destination vault does not list. Holds one small row for each backup of the source vault.

    :param source: a client of the source region and project.
    :param destination: a client of the destination region and project, with credentials that may read there.
    :param spec: what is verified.
    :return: the report.
    :raises CbrNothingToReplicateError: no records were given, the vault holds no eligible backup, and ``allow_empty`` is not set.
    :raises CbrNotFoundError: the same, ``allow_empty`` is set, and there is no such vault.
    :raises CbrError: one of the two lists cannot be read. A vault whose own row cannot be read is a finding, unless it may be no vault at
        all because no eligible backup is listed of it.
    """
    levels, there = spec.levels, spec.destination
    inventory = read_source(source, spec)
    has_nothing = spec.scope is not Scope.RECORDS and not inventory.newest
    if has_nothing and not spec.allow_empty:
        raise CbrNothingToReplicateError(
            f"Nothing to verify: the vault holds no eligible backup (vault {spec.vault_id}).",
            advice="Check vault_id and that backups are made; only if an empty vault is fine, set allow_empty=True.",
        )
    clocks = Clocks.read(source.server_time, None)
    if spec.looks_at_replicas:
        clocks = ask_destination(inventory, destination, spec, source_time=source.server_time)
    others: list[Finding] = []
    resources: list[ResourceState] = []
    vault = target = None
    if spec.looks_at_source_vault or spec.looks_at_replicas:
        vault, target = vault_or_error(source, spec.vault_id), vault_or_error(destination, there.vault_id)
        if spec.looks_at_replicas:
            # A verdict that no look at the destination confirmed is the word of the source.
            verified = newest_verified(inventory)
            resources = states(vault, verified, now=clocks.service_now)
            if Level.COVERAGE in levels:
                others += coverage(vault, inventory, verified)
            if Level.RPO in levels and spec.max_age is not None:
                others += ages(vault, verified, max_age=spec.max_age, now=clocks.service_now)
        if Level.VAULT in levels:
            others += destination_vault(
                target,
                vault,
                inventory,
                vault_id=there.vault_id,
                require_locked=spec.require_locked,
            )
    if has_nothing and not inventory.rows and (error := why_not_empty(source, spec.vault_id, seen=vault)):
        raise error
    here = {"region": source.region, "project_id": source.project_id, "vault_id": spec.vault_id}
    return Report(
        spec,
        inventory,
        others,
        source=here,
        clocks=clocks,
        resources=resources,
        vault_name=_name_of(vault),
        destination_name=_name_of(target),
        destination_used_ratio=_used_ratio_of(target),
    )


def _name_of(vault: Vault | CbrError | None) -> str | None:
    return None if vault is None or isinstance(vault, Exception) else vault.name


def _used_ratio_of(vault: Vault | CbrError | None) -> float | None:
    capacity = None if vault is None or isinstance(vault, Exception) else capacity_of(vault)
    return None if capacity is None else capacity.used_ratio
