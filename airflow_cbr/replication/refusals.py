"""What the service's refusal of a replicate call means for the requested backups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_cbr.api.copy_state import CopyState
from airflow_cbr.api.error_lookup import find, normalise_code

if TYPE_CHECKING:
    from airflow_cbr.api.summaries import RecordSummary
    from airflow_cbr.exceptions import CbrApiError

__all__ = ["declines_backup", "describe", "fails_for_good", "note_of", "note_of_log", "says_nothing_left"]

_DECLINED: Final = frozenset(f"BackupService.{number}" for number in ("1001", "1002", "1003", "1004", "1013", "6122"))
# The service's word for any copy that went wrong: it asks to call support, and says nothing that lasts.
_IMPORT_FAILED: Final = "BackupService.1006"
_BY_LOG: Final = "operation-log"
_NOTHING_LEFT: Final = frozenset({"BackupService.0001", "BackupService.1009"})


def declines_backup(error: CbrApiError) -> bool:
    """Return whether the service refuses a backup because of what it is: not available, of a wrong kind, without its system disk.

    :param error: the service's answer to a replicate call.
    """
    return normalise_code(error.error_code or "") in _DECLINED


def says_nothing_left(error: CbrApiError) -> bool:
    """Return whether the service says that nothing is left to copy (0001), or that it was or is being copied (1009).

    :param error: the service's answer to a replicate call.
    """
    return normalise_code(error.error_code or "") in _NOTHING_LEFT


def fails_for_good(record: RecordSummary) -> bool:
    """Return whether a record failed for a reason that stays until somebody changes something, by its ``fail_code``.

    :param record: a replication record.
    """
    code = normalise_code(str(record.extra.fail_code or ""))
    row = find(code, None)
    return record.state is CopyState.FAILED and row is not None and row.error.permanent and code != _IMPORT_FAILED


def note_of(error: CbrApiError) -> str:
    """Return a refusal as ids alone, its code and request id, fit for a trigger's arguments.

    :param error: the service's answer to a replicate call.
    """
    return " ".join(part for part in (normalise_code(error.error_code or "no-code"), error.request_id) if part)


def note_of_log(log_id: str) -> str:
    """Return, as an id alone, that the operation log shows a successful copy that has no record.

    :param log_id: the row of the operation log.
    """
    return f"{_BY_LOG} {log_id}"


def describe(note: str) -> str:
    """Return in words why a backup is not requested again.

    :param note: what :func:`note_of` or :func:`note_of_log` made of it.
    """
    if note.startswith(f"{_BY_LOG} "):
        return (
            f"the operation log says that its copy succeeded (row {note.removeprefix(_BY_LOG).strip()}), but no replication record shows "
            "it, so no other copy is requested; look for the replica in the destination vault"
        )
    code, _, request_id = note.partition(" ")
    row = find(code, None)
    meaning = row.meaning if row is not None else "the service refused it"
    return f"{meaning} [{code}, request id {request_id}]" if request_id else f"{meaning} [{code}]"
