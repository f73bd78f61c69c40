"""Finding a task's checkpoint: by the mark in its name, and where names cannot be read, by its time and its resources.

No call lists checkpoints. They show in the backups of the vault and in the operation log, which name them; that backups carry their
checkpoint's name is likely and not documented, and that ShowCheckpoint repeats it is documented and not always so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_cbr.exceptions import CbrNotFoundError, CbrOutcomeUnknownError
from airflow_cbr.once.clock import CLOCK_MARGIN, moment

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup, Checkpoint
    from airflow_cbr.checkpoints.spec import CheckpointSpec
    from airflow_cbr.checkpoints.state import CheckpointState
    from airflow_cbr.once.clock import ServiceClock

__all__ = ["CheckpointSearch", "Sighting", "show"]

BY_NAME: Final = "by its name"
_HOW_FAR_BACK: Final = timedelta(days=1)
"""How long before its Dag run a task's checkpoint is searched for; covers a scheduler whose clock is wrong."""


@dataclass(slots=True)
class Sighting:
    """A checkpoint that the vault's backups name.

    :param checkpoint_id: its id.
    :param created: when its oldest backup was created, as far as known.
    :param evidence: why it is taken for the task's own; empty when nothing shows that.
    :param is_by_schedule: whether its backups are marked as made by a schedule; None when they do not say.
    """

    checkpoint_id: str
    created: datetime | None = None
    evidence: str = ""
    is_by_schedule: bool | None = None

    def add(self, backup: Backup, mark: str) -> None:
        """Take note of one of its backups.

        :param backup: the backup.
        :param mark: the task's mark.
        """
        if mark in (backup.name or ""):
            self.evidence = BY_NAME
        if backup.created is not None and (self.created is None or backup.created < self.created):
            self.created = backup.created
        if backup.extend_info is not None and backup.extend_info.auto_trigger is not None:
            self.is_by_schedule = backup.extend_info.auto_trigger


def show(client: CbrClient, checkpoint_id: str) -> Checkpoint | None:
    """Return a checkpoint, or None when the service says that there is none.

    :param client: a client of the vault's region and project.
    :param checkpoint_id: its id.
    """
    try:
        return client.show_checkpoint(checkpoint_id)
    except CbrNotFoundError as error:
        if not (error.error_code or "").endswith("6217"):
            raise
        return None


class CheckpointSearch:
    """Finds the checkpoints that may be the result of one attempt.

    :param client: a client of the vault's region and project.
    :param spec: what was asked for.
    :param run_after: Unix time before which this Dag run cannot have begun, or None where it is not known.
    :param clock: the two clocks.
    """

    def __init__(self, client: CbrClient, spec: CheckpointSpec, run_after: float | None, *, clock: ServiceClock) -> None:
        self._clock = clock
        self._client = client
        self._spec = spec
        self._since = None if run_after is None else moment(run_after) - _HOW_FAR_BACK

    def sightings(self) -> list[Sighting]:
        """Return the checkpoints of the vault since shortly before the Dag run, newest first."""
        found: dict[str, Sighting] = {}
        for backup in self._client.list_backups(vault_id=self._spec.vault_id, start_time=self._since):
            if backup.checkpoint_id and backup.image_type in (None, "backup"):
                found.setdefault(backup.checkpoint_id, Sighting(backup.checkpoint_id)).add(backup, self._spec.mark)
        return list(found.values())

    def of_lost_calls(self, state: CheckpointState, found: list[Sighting], lost_from: float) -> Sighting | None:
        """Return the checkpoint that a call of unknown outcome has started, or None when it has started none.

        When the operation log names a checkpoint that is not listed yet, ``state.unsettled_until`` is set to the time when it must be.

        :param state: what the attempt knows.
        :param found: what a look has just seen.
        :param lost_from: when the first lost call was sent.
        :raises CbrOutcomeUnknownError: when that cannot be determined.
        """
        settle_time, clock = self._spec.settle_time, self._clock
        since = moment(clock.not_before(lost_from)) - CLOCK_MARGIN
        until = moment(clock.not_after(max(state.lost_to + settle_time, state.unsettled_until))) + CLOCK_MARGIN
        possible: list[Sighting] = []
        for one in {**self._logged(since), **{seen.checkpoint_id: seen for seen in found}}.values():
            if one.checkpoint_id in state.put_aside or (one.created is not None and not since <= one.created <= until):
                continue
            if one.is_by_schedule not in (None, self._spec.auto_trigger):
                continue
            checkpoint = show(self._client, one.checkpoint_id)
            if checkpoint is None:
                if one.created is not None and (age := clock.age(one.created.timestamp())) < settle_time:
                    shows_by = min(clock.local + settle_time - age, state.lost_to + 2 * settle_time)
                    state.unsettled_until = max(state.unsettled_until, shows_by)
            elif not self._may_be_own(checkpoint, since, until):
                continue
            elif checkpoint.name is None:
                possible.append(one)
            elif self._spec.mark in checkpoint.name:
                one.evidence = BY_NAME
                return one
        if len(possible) > 1 or (possible and not state.is_noted):
            ids = ", ".join(one.checkpoint_id for one in possible)
            raise CbrOutcomeUnknownError(
                f"Vault {self._spec.vault_id} has checkpoints since this task's call, and whether the call started one is not known: "
                f"{ids}. The task does not start another checkpoint.",
                advice="Check these checkpoints in the CBR console. If none belongs to this task, trigger a new Dag run.",
            )
        for one in possible:
            one.evidence = "by its time and its resources only"
        return possible[0] if possible else None

    def _logged(self, since: datetime) -> dict[str, Sighting]:
        """Return the checkpoints that the operation log names, by id."""
        rows = list(self._client.list_operation_logs(operation_type="backup", vault_id=self._spec.vault_id, start_time=since))
        if not rows:
            rows = list(self._client.list_operation_logs(operation_type="backup", start_time=since))
        return {
            row.checkpoint_id: Sighting(row.checkpoint_id, row.created)
            for row in rows
            if row.checkpoint_id and row.vault_id in (None, self._spec.vault_id)
        }

    def _may_be_own(self, checkpoint: Checkpoint, since: datetime, until: datetime) -> bool:
        """Return whether vault, time and resources are those of the lost call."""
        vault, created = checkpoint.vault, checkpoint.created
        if vault is None:
            return created is None or since <= created <= until
        if vault.id not in (None, self._spec.vault_id) or (created is not None and not since <= created <= until):
            return False
        taken = {resource.id for resource in [*(vault.resources or ()), *(vault.skipped_resources or ())]}
        if self._spec.resource_ids is not None:
            return taken == set(self._spec.resource_ids)
        bound = self._client.show_vault(self._spec.vault_id).resources or ()
        return taken >= {resource.id for resource in bound}
