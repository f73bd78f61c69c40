"""The calls about backups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow_cbr.api import responses
from airflow_cbr.api.call_parameters import LARGEST_PAGE, Filter, destination_of, optional_id, segment, texts_of
from airflow_cbr.api.calls.identified import unreadable, with_ids, with_record_ids
from airflow_cbr.api.models import Backup
from airflow_cbr.api.responses import decode
from airflow_cbr.api.summaries import BackupSummary
from airflow_cbr.exceptions import CbrOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.models import Replication
    from airflow_cbr.api.paging import Page
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["BackupCalls"]

BackupModel = TypeVar("BackupModel", bound=BackupSummary)


class BackupCalls:
    """ListBackups, ShowBackup, DeleteBackup and CopyBackup."""

    _calls: Caller

    def list_backups(
        self,
        *,
        page_size: int = LARGEST_PAGE,
        show_replication: bool = False,
        vault_id: str | None = None,
        checkpoint_id: str | None = None,
        resource_id: str | None = None,
        resource_name: str | None = None,
        resource_type: str | None = None,
        resource_az: str | None = None,
        name: str | None = None,
        parent_id: str | None = None,
        image_type: str | None = None,
        status: str | Sequence[str] | None = None,
        incremental: bool | None = None,
        dec: bool | None = None,
        own_type: str | None = None,
        member_status: str | None = None,
        used_percent: int | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        enterprise_project_id: str | None = None,
        sort: str | None = None,
        on_repeat: Callable[[Backup], object] | None = None,
    ) -> Iterator[Backup]:
        """Yield backups, page by page, newest first (ListBackups).

        The service's ``marker``, ``limit`` and ``offset`` are the walk's own business: see :func:`airflow_cbr.api.paging.walk`.

        :param page_size: rows per request, 1 to 1000. Default: 1000.
        :param show_replication: fill ``replication_records``. Default: False.
        :param vault_id: backups in this vault.
        :param checkpoint_id: backups of this checkpoint.
        :param resource_id: backups of this server or file system.
        :param resource_name: backups of a resource of this name.
        :param resource_type: for example ``OS::Nova::Server``.
        :param resource_az: availability zone of the resource.
        :param name: name of the backup.
        :param parent_id: parent backup.
        :param image_type: ``backup`` or ``replication``.
        :param status: one status, or several of which any will do.
        :param incremental: only incremental, or only full backups.
        :param dec: only backups of dedicated clouds, or only others.
        :param own_type: ``private``, ``shared`` or ``all_granted``. Default: the service's, ``private``.
        :param member_status: of shared backups: ``pending``, ``accepted`` or ``rejected``.
        :param used_percent: backups in vaults used beyond this percentage, 1 to 100.
        :param start_time: created at or after this time; must have a zone.
        :param end_time: created at or before this time; must have a zone.
        :param enterprise_project_id: an id, ``0`` for the default one, or ``all_granted_eps``.
        :param sort: keys with directions, for example ``created_at:asc``. Sorting by a key that changes while the list is read
            (``updated_at``, ``status``) can hide rows. Default: the service's, newest first.
        :param on_repeat: is told of every row that comes again and is not yielded. Default: nobody is told.
        """
        filters: dict[str, Filter] = {
            "show_replication": show_replication or None,
            "vault_id": optional_id(vault_id, "vault_id"),
            "checkpoint_id": optional_id(checkpoint_id, "checkpoint_id"),
            "resource_id": resource_id,
            "resource_name": resource_name,
            "resource_type": resource_type,
            "resource_az": resource_az,
            "name": name,
            "parent_id": optional_id(parent_id, "parent_id"),
            "image_type": image_type,
            "status": status,
            "incremental": incremental,
            "dec": dec,
            "own_type": own_type,
            "member_status": member_status,
            "used_percent": used_percent,
            "start_time": start_time,
            "end_time": end_time,
            "enterprise_project_id": enterprise_project_id,
            "sort": sort,
        }

        return self._walk(Backup, filters, page_size, on_repeat)

    def read_backups(
        self,
        model: type[BackupModel],
        *,
        vault_id: str,
        checkpoint_id: str | None = None,
        show_replication: bool = False,
        on_repeat: Callable[[BackupModel], object] | None = None,
    ) -> Iterator[BackupModel]:
        """Yield the backups of a vault as :meth:`list_backups` does, of each row no more than what the model has.

        :param model: what is decoded of a row: what nobody looks at costs neither time nor memory.
        :param vault_id: backups in this vault.
        :param checkpoint_id: backups of this checkpoint. Default: of all.
        :param show_replication: fill ``replication_records``. Default: False.
        :param on_repeat: is told of every row that comes again and is not yielded. Default: nobody is told.
        """
        filters: dict[str, Filter] = {
            "show_replication": show_replication or None,
            "vault_id": optional_id(vault_id, "vault_id"),
            "checkpoint_id": optional_id(checkpoint_id, "checkpoint_id"),
        }
        return self._walk(model, filters, LARGEST_PAGE, on_repeat)

    def _walk(
        self,
        model: type[BackupModel],
        filters: dict[str, Filter],
        page_size: int,
        on_repeat: Callable[[BackupModel], object] | None,
    ) -> Iterator[BackupModel]:
        form: type[responses.BackupsAnswer[BackupModel]] = responses.BackupsAnswer[model]  # type: ignore[valid-type]

        def read(answer: ServiceResponse) -> Page[BackupModel]:
            page = decode(answer, form, call="ListBackups")
            return with_ids(page.backups or (), answer, "ListBackups"), page.count

        return self._calls.list("ListBackups", "/backups", filters, page_size, read, on_repeat)

    def show_backup(self, backup_id: str) -> Backup:
        """Return one backup, with its replication records (ShowBackup).

        :param backup_id: id of the backup.
        :raises CbrNotFoundError: there is no such backup in this project.
        """
        path = f"/backups/{segment(backup_id, 'backup_id')}"
        return self._calls.send(
            "ShowBackup",
            "GET",
            path,
            lambda answer: with_ids([decode(answer, responses.BackupAnswer, call="ShowBackup").backup], answer, "ShowBackup")[0],
        )

    def delete_backup(self, backup_id: str) -> None:
        """Delete one backup, or one replica (DeleteBackup). Sent once: look at what is there before you send it again.

        When this returns, the service has accepted the deletion; the backup may be ``deleting`` for a while.

        :param backup_id: id of the backup.
        :raises CbrNotFoundError: there is no such backup in this project, or no longer.
        :raises CbrBusyError: it is in use, or cannot be deleted at present (6216, 6201).
        :raises CbrRefusedError: an image uses it (6204), or its vault is locked (6220).
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """

        def read(answer: ServiceResponse) -> None:
            # A page of a proxy, say, is no consent.
            if answer.body.strip() and not answer.body.lstrip().startswith(b"{"):
                raise unreadable(answer, "DeleteBackup", "it is no JSON")

        try:
            self._calls.delete("DeleteBackup", f"/backups/{segment(backup_id, 'backup_id')}", read)
        except CbrOutcomeUnknownError as error:
            error.advice = "Check whether the backup still exists, and is not being deleted, before you delete it again."
            raise

    def replicate_backup(
        self,
        backup_id: str,
        *,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        name: str | None = None,
        description: str | None = None,
        enable_acceleration: bool = False,
    ) -> Replication:
        """Replicate one backup (CopyBackup).

        :param backup_id: the backup in the source region.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param name: name of the replica: 1 to 64 Chinese characters, letters, digits, ``_`` and ``-``. Default: the service's choice.
        :param description: at most 255 characters without ``<`` and ``>``. Default: none.
        :param enable_acceleration: as in :meth:`replicate_checkpoint`. Default: False.
        :return: the backup with its record id.
        :raises CbrAlreadyReplicatedError: that region has, or is being sent, a replica of this backup.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        replicate: dict[str, Any] = {
            **destination_of(destination_region, destination_project_id, destination_vault_id),
            **texts_of(name, description),
        }
        if enable_acceleration:
            replicate["enable_acceleration"] = True

        def read(answer: ServiceResponse) -> Replication:
            found = decode(answer, responses.ReplicationAnswer, call="CopyBackup").replication
            if not found.pairs:
                raise unreadable(answer, "CopyBackup", "it has no record id")
            return with_record_ids(found, answer, "CopyBackup")

        return self._calls.change("CopyBackup", f"/backups/{segment(backup_id, 'backup_id')}/replicate", {"replicate": replicate}, read)
