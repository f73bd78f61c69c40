"""Where the copies of a vault's backups go, and whether a record leads there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.texts import LONGEST_NAME, one_line

if TYPE_CHECKING:
    from airflow_cbr.api.summaries import RecordSummary

__all__ = ["OR", "Destination", "vault_of"]

OR: Final = " or "
"""Separates the values of a field that was listed with more than one."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the copies go.

    :param region: region id, for example ``cn-shenzhen-1``.
    :param project_id: project in that region.
    :param vault_id: replication vault in that project.
    """

    region: str
    project_id: str
    vault_id: str

    def holds(self, record: RecordSummary) -> bool:
        """Return whether the record is a replication to exactly this region, project and vault.

        The vault is named in the record itself and again in ``extra_info``; either counts.
        """
        return (
            vault_of(record) == self.vault_id
            and record.destination_project_id == self.project_id
            and record.destination_region == self.region
        )

    def may_hold(self, record: RecordSummary) -> bool:
        """Return whether nothing in the record says that it goes elsewhere, though it may not say where it goes."""
        said = (vault_of(record), record.destination_project_id, record.destination_region)
        here = (self.vault_id, self.project_id, self.region)
        return all(not value or wanted in value.split(OR) for value, wanted in zip(said, here, strict=True))

    def named(self, name: str | None) -> str:
        """Return the destination in words, with the vault's name.

        :param name: the name of the vault, or None where it is not known.
        """
        if not name:
            return f"the vault in {self.region} (vault {self.vault_id}, project {self.project_id})"
        return f"vault {one_line(name, LONGEST_NAME)} in {self.region} (vault {self.vault_id}, project {self.project_id})"

    def __str__(self) -> str:
        """Return the destination in words."""
        return self.named(None)


def vault_of(record: RecordSummary) -> str | None:
    """Return the vault that a record leads to; it may say so in either of two places, or not at all.

    :param record: a replication record.
    """
    return record.destination_vault_id or record.extra.destination_vault_id
