"""Whether a checkpoint is complete, by its own status, its backups and what was requested. Sends nothing.

A checkpoint that says ``available`` may have left resources out, or hold a backup in ``error``. So its own status is never enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.texts import LONGEST_NAME, counted, one_line
from airflow_cbr.exceptions import CbrCheckpointFailedError, CbrCheckpointIncompleteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.models import Backup, Checkpoint
    from airflow_cbr.checkpoints.spec import CheckpointSpec
    from airflow_cbr.checkpoints.state import CheckpointState

__all__ = ["CheckpointFinding", "Condition", "failure", "judge", "summarise"]

SHOWN_SKIPPED: Final = 20
"""How many skipped resources the XCom names."""

_GOING: Final = frozenset({"deleting", "deleted", "error-deleting", "error_deleting", "waiting_delete"})
_USABLE: Final = frozenset({"available", "restoring", "waiting_restore"})


class Condition(StrEnum):
    """The condition of a checkpoint."""

    BEING_MADE = "being made"
    WHOLE = "whole"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class CheckpointFinding:
    """What a look at a checkpoint found.

    :param condition: its condition.
    :param status: its own status; ``not listed`` when the service does not show it.
    :param backups: how many backups it holds.
    :param available: how many of these can be used.
    :param skipped: what the service left out: ``id``, ``name``, ``code``, ``reason``.
    :param problems: one line for each thing that is wrong.
    """

    condition: Condition
    status: str
    backups: int = 0
    available: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """Return its progress in words."""
        return f"{self.status}, {self.available} of {counted(self.backups, 'backup')} available"


def judge(
    checkpoint: Checkpoint | None,
    backups: Sequence[Backup],
    spec: CheckpointSpec,
    state: CheckpointState,
    age: float,
) -> CheckpointFinding:
    """Return the condition of a checkpoint.

    :param checkpoint: the checkpoint, or None when the service says that there is none.
    :param backups: those that are listed as its own.
    :param spec: what was asked for.
    :param state: what the attempt knows.
    :param age: seconds for which it has existed, at least.
    """
    may_still_show = age < spec.settle_time
    if checkpoint is None:
        if may_still_show:
            return CheckpointFinding(Condition.BEING_MADE, "not listed", skipped=_skipped(None, state))
        return CheckpointFinding(Condition.GONE, "not listed", problems=["the service does not list the checkpoint (any more)"])
    status = checkpoint.status or "without a status"
    skipped = _skipped(checkpoint, state)
    available = sum(backup.status in _USABLE for backup in backups)

    def finding(condition: Condition, problems: Sequence[str] = ()) -> CheckpointFinding:
        return CheckpointFinding(condition, status, len(backups), available, skipped, list(problems))

    if status in _GOING:
        return finding(Condition.GONE, [f"the checkpoint is {status}"])
    broken = [_broken(backup) for backup in backups if backup.status == "error" or backup.status in _GOING]
    if status == "error":
        return finding(Condition.FAILED, broken or ["the checkpoint is in error"])
    ends_later = any(backup.status not in _USABLE and backup.status != "error" and backup.status not in _GOING for backup in backups)
    if status != "available" or ends_later:
        return finding(Condition.BEING_MADE)
    absent = _absent(checkpoint, backups, spec, skipped)
    if absent and may_still_show:
        return finding(Condition.BEING_MADE)
    if broken or absent:
        return finding(Condition.FAILED, [*broken, *absent])
    return finding(Condition.INCOMPLETE if skipped and spec.on_skipped == "fail" else Condition.WHOLE)


def failure(
    checkpoint_id: str, finding: CheckpointFinding, spec: CheckpointSpec, vault: str
) -> CbrCheckpointFailedError | CbrCheckpointIncompleteError | None:
    """Return why the task fails with this checkpoint; None when it succeeds.

    :param checkpoint_id: the checkpoint.
    :param finding: what the last look found.
    :param spec: what was asked for.
    :param vault: the vault's name, or else its id.
    """
    where, ids = f"The checkpoint of vault {vault}", f"(checkpoint {checkpoint_id}, vault {spec.vault_id})"
    if finding.condition in (Condition.FAILED, Condition.GONE):
        return CbrCheckpointFailedError(
            f"{where} {'failed' if finding.condition is Condition.FAILED else 'no longer exists'}: {finding.line} {ids}.",
            checkpoint_id=checkpoint_id,
            problems=finding.problems,
            advice="Check the vault's tasks in the CBR console. The next attempt makes another checkpoint.",
        )
    if finding.skipped and spec.on_skipped == "fail":
        return CbrCheckpointIncompleteError(
            f"{where} is incomplete: the service skipped {counted(len(finding.skipped), 'resource')} {ids}.",
            checkpoint_id=checkpoint_id,
            problems=[describe(one) for one in finding.skipped],
            advice="Fix these resources or remove them from the vault, then clear the task: it makes another checkpoint. "
            "To accept a checkpoint without them, set on_skipped='warn'.",
        )
    return None


def describe(skipped: dict[str, str]) -> str:
    """Return a skipped resource in words.

    :param skipped: an entry of :attr:`Finding.skipped`.
    """
    said = ", ".join(part for part in (skipped["reason"], skipped["code"]) if part)
    return one_line(f"{skipped['name'][:LONGEST_NAME] or 'a resource'} ({skipped['id']}): skipped ({said or 'no reason given'})")


def summarise(finding: CheckpointFinding, spec: CheckpointSpec, state: CheckpointState) -> dict[str, Any]:
    """Return the checkpoint as the XCom has it.

    :param finding: what the last look found.
    :param spec: what was asked for.
    :param state: what the attempt knows.
    """
    return {
        "name": spec.name,
        "status": finding.status,
        "backups": finding.backups,
        "available": finding.available,
        "skipped": len(finding.skipped),
        "skipped_resources": finding.skipped[:SHOWN_SKIPPED],
        "adopted": bool(state.evidence),
    }


def _skipped(checkpoint: Checkpoint | None, state: CheckpointState) -> list[dict[str, str]]:
    """Return what was left out, as the checkpoint says now or as the answer to the call said."""
    found = {
        resource.id or "": {
            "id": resource.id or "",
            "name": resource.name or "",
            "code": str(resource.code or ""),
            "reason": resource.reason or "",
        }
        for resource in (checkpoint.vault.skipped_resources if checkpoint is not None and checkpoint.vault is not None else None) or ()
    }
    for resource_id, code in state.skipped.items():
        found.setdefault(resource_id, {"id": resource_id, "name": "", "code": code, "reason": ""})
    return list(found.values())


def _broken(backup: Backup) -> str:
    name = (backup.name or "without a name")[:LONGEST_NAME]
    return one_line(f"{backup.resource_name or name}: its backup is {backup.status}; backup {name} ({backup.id})")


def _absent(checkpoint: Checkpoint, backups: Sequence[Backup], spec: CheckpointSpec, skipped: list[dict[str, str]]) -> list[str]:
    """Return a line for each resource that should be in the checkpoint and has no backup there."""
    have = {backup.resource_id for backup in backups}
    listed = {resource.id: resource.name for resource in (checkpoint.vault.resources if checkpoint.vault is not None else None) or ()}
    without = [
        f"{name or 'resource'} ({resource_id}): no backup of it is listed"
        for resource_id, name in listed.items()
        if resource_id not in have
    ]
    named = have | set(listed) | {one["id"] for one in skipped}
    unnamed = [
        f"a resource was requested, but is neither backed up nor reported as skipped (resource {one})"
        for one in spec.resource_ids or ()
        if one not in named
    ]
    return [*without, *unnamed] or ([] if backups else ["the checkpoint holds no backup"])
