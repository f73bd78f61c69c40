"""The other backups of a checkpoint: whether each still is what made the checkpoint complete when the plan was made."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from airflow_cbr.pruning.look import listed
from airflow_cbr.pruning.rows import GOING, decisive, has_expired, names
from airflow_cbr.pruning.spec import Side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.api.models import Backup
    from airflow_cbr.pruning.look import Held, Look
    from airflow_cbr.pruning.plan import Removal

__all__ = ["Siblings"]


class Siblings:
    """The source backups of each checkpoint, and their replicas, as the plan was made of them.

    :param look: what the plan was made of.
    """

    def __init__(self, look: Look) -> None:
        self._vault_id = look.vault_id(Side.REPLICA)
        self._sources = {row.backup.id: row for row in look.of_side(Side.SOURCE)}
        self._replicas = {row.source.id: row.backup for row in look.of_side(Side.REPLICA) if row.source is not None}
        self._of_checkpoint: defaultdict[str | None, list[str]] = defaultdict(list)
        for id_, row in self._sources.items():
            self._of_checkpoint[row.backup.checkpoint_id].append(id_)

    def replicas(self, destination: CbrClient, removal: Removal, *, deleted: Collection[str]) -> dict[str, list[Backup]]:
        """Read the replicas of a source backup's siblings; one list for each of their checkpoints.

        :param destination: a client of the destination region and project.
        :param removal: the source backup that is to be deleted next.
        :param deleted: ids of what this run has deleted.
        :return: by id, all different rows of each.
        :raises CbrError: they cannot be read.
        """
        beside = [id_ for id_ in self._of_checkpoint[removal.row.backup.checkpoint_id] if id_ != removal.id and id_ not in deleted]
        checkpoints = {self._replicas[id_].checkpoint_id for id_ in beside if id_ in self._replicas}
        found: dict[str, list[Backup]] = {}
        for checkpoint_id in checkpoints - {None}:
            found |= listed(destination, vault_id=self._vault_id, checkpoint_id=checkpoint_id)
        return found

    def changes(
        self,
        removal: Removal,
        found: Mapping[str, list[Backup]],
        replicas: Mapping[str, list[Backup]],
        *,
        deleted: Collection[str],
        now: datetime | None,
    ) -> Iterator[str]:
        """Yield in words what makes the checkpoint of a source backup another one than that of the plan.

        :param removal: the source backup that is to be deleted next.
        :param found: the backups of its checkpoint, with their records, as they are now.
        :param replicas: what :meth:`replicas` has read.
        :param deleted: ids of what this run has deleted.
        :param now: the service's time, or None when it is not known.
        """
        for id_, rows in found.items():
            if id_ == removal.id or id_ in deleted or any(one.status in GOING for one in rows):
                continue
            known = self._sources.get(id_)
            if known is None or known.source is None:
                yield f"backup {id_} of its checkpoint was not there when the plan was made"
            elif known.source.is_eligible:
                yield from self._changes_of(known, rows, replicas, now)

    def _changes_of(self, known: Held, rows: list[Backup], replicas: Mapping[str, list[Backup]], now: datetime | None) -> Iterator[str]:
        id_, replica = known.backup.id, self._replicas.get(known.backup.id)
        if replica is None:
            yield f"the replica of backup {id_} of its checkpoint is not listed"
        elif any(decisive(one) != decisive(known.backup) for one in rows):
            yield f"backup {id_} of its checkpoint has changed"
        elif not all(names(one, replica.id) for one in rows):
            yield f"no successful record of backup {id_} of its checkpoint names its replica {replica.id} any more"
        elif replica.id not in replicas:
            yield f"replica {replica.id} of backup {id_} of its checkpoint no longer exists"
        elif any(decisive(one) != decisive(replica) for one in replicas[replica.id]):
            yield f"replica {replica.id} of backup {id_} of its checkpoint has changed"
        elif any(has_expired(one, now) for one in replicas[replica.id]):
            yield f"replica {replica.id} of backup {id_} of its checkpoint has expired"
