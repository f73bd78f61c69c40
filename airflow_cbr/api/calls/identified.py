"""What an answer must say to be of use: rows without an id would make a copied backup look like one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from airflow_cbr.api.ids import is_id
from airflow_cbr.exceptions import CbrProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.models import Checkpoint, Replication
    from airflow_cbr.api.responses import ServiceResponse
    from airflow_cbr.api.summaries import BackupSummary

__all__ = ["unreadable", "with_id", "with_ids", "with_record_ids"]

BackupModel = TypeVar("BackupModel", bound="BackupSummary")

_LONGEST_ROW_ID: Final = 64


def with_ids(backups: Sequence[BackupModel], answer: ServiceResponse, call: str) -> Sequence[BackupModel]:
    """Return the backups if they and their replication records have something like an id each.

    Rows without do not tell what is covered, and to leave them out would be to copy a backup again.
    """
    ids = [backup.id for backup in backups]
    ids += [record.id for backup in backups for record in backup.replication_records or ()]
    if not _are_row_ids(ids):
        raise unreadable(answer, call, "the id of a backup or of a replication record is not valid")
    return backups


def _are_row_ids(ids: Sequence[str]) -> bool:
    """Return whether each is 1 to 64 letters of ASCII, digits, dashes and underscores.

    Wider than a valid id: rows of a cloud that writes its ids differently still show what is covered. All are looked at together, which
    takes half of the time that one after the other does.
    """
    if not all(ids) or max(map(len, ids), default=0) > _LONGEST_ROW_ID:
        return False
    characters = "".join(ids).replace("-", "").replace("_", "")
    # Nothing is left of ids that are dashes alone.
    return not characters or (characters.isascii() and characters.isalnum())


def with_record_ids(found: Replication, answer: ServiceResponse, call: str) -> Replication:
    """Return what a replicate call began, if every backup and record has an id.

    :param found: the answer's rows.
    :param answer: the answer, for the error.
    :param call: the call's name, for the error.
    :raises CbrProtocolError: an id is none.
    """
    if len(found.references) != len(found.pairs):
        raise unreadable(answer, call, "the id of a backup or of a replication record is not valid")
    return found


def with_id(checkpoint: Checkpoint, answer: ServiceResponse, call: str) -> Checkpoint:
    """Return a checkpoint that has an id.

    :param checkpoint: the answer's checkpoint.
    :param answer: the answer, for the error.
    :param call: the call's name, for the error.
    :raises CbrProtocolError: it has none.
    """
    if not is_id(checkpoint.id):
        raise unreadable(answer, call, "the checkpoint's id is not valid")
    return checkpoint


def unreadable(answer: ServiceResponse, call: str, what: str) -> CbrProtocolError:
    """Return the error of an answer that does not say what it must.

    :param answer: the answer.
    :param call: the call's name.
    :param what: what is wrong with it.
    """
    return CbrProtocolError(f"{call}: the answer cannot be read ({what}).", request_id=answer.request_id, http_status=answer.status)
