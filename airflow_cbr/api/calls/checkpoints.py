"""The calls about checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api import responses
from airflow_cbr.api.call_parameters import destination_of, ids, segment, texts_of
from airflow_cbr.api.calls.identified import unreadable, with_id, with_record_ids
from airflow_cbr.api.ids import check_id
from airflow_cbr.api.responses import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_cbr.api.caller import Caller
    from airflow_cbr.api.models import Checkpoint, Replication
    from airflow_cbr.api.responses import ServiceResponse

__all__ = ["CheckpointCalls"]


class CheckpointCalls:
    """CreateCheckpoint, ShowCheckpoint and CopyCheckpoint."""

    _calls: Caller

    def create_checkpoint(
        self,
        *,
        vault_id: str,
        name: str | None = None,
        description: str | None = None,
        incremental: bool | None = None,
        auto_trigger: bool | None = None,
        resources: Sequence[str] | None = None,
    ) -> Checkpoint:
        """Back up the resources of a vault (CreateCheckpoint).

        :param vault_id: the vault.
        :param name: name of the backups, as in :meth:`replicate_backup`.
        :param description: at most 255 characters without ``<`` and ``>``.
        :param incremental: incremental or full. Default: the service's, incremental.
        :param auto_trigger: mark it as made by a schedule. Default: the service's, False.
        :param resources: ids of the resources to back up. Default: all of the vault.
        :return: the checkpoint, usually ``protecting``.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        parameters: dict[str, Any] = texts_of(name, description)
        if incremental is not None:
            parameters["incremental"] = incremental
        if auto_trigger is not None:
            parameters["auto_trigger"] = auto_trigger
        if resources is not None:
            parameters["resources"] = ids(resources, "resources")
        body = {"checkpoint": {"vault_id": check_id(vault_id, "vault_id"), "parameters": parameters}}
        return self._calls.change(
            "CreateCheckpoint",
            "/checkpoints",
            body,
            lambda answer: with_id(
                decode(answer, responses.CheckpointAnswer, call="CreateCheckpoint").checkpoint, answer, "CreateCheckpoint"
            ),
        )

    def show_checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return one checkpoint (ShowCheckpoint).

        :param checkpoint_id: id of the checkpoint.
        :raises CbrNotFoundError: there is no such checkpoint in this project.
        """
        path = f"/checkpoints/{segment(checkpoint_id, 'checkpoint_id')}"
        return self._calls.get("ShowCheckpoint", path, responses.CheckpointAnswer).checkpoint

    def replicate_checkpoint(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        auto_trigger: bool = False,
        enable_acceleration: bool = False,
    ) -> Replication:
        """Replicate the backups of a vault that have no replica at the destination yet (CopyCheckpoint).

        :param vault_id: source vault.
        :param destination_region: region id of the destination.
        :param destination_project_id: project in that region.
        :param destination_vault_id: replication vault in that project.
        :param auto_trigger: mark the records as made by a schedule. Default: False.
        :param enable_acceleration: quicker transfer for an extra fee; sent only when true, since some accounts must not use the
            word. Default: False.
        :return: the accepted backups with their record ids; may be empty.
        :raises CbrOutcomeUnknownError: the service may have accepted the call.
        """
        replicate: dict[str, Any] = {
            "vault_id": check_id(vault_id, "vault_id"),
            **destination_of(destination_region, destination_project_id, destination_vault_id),
            "auto_trigger": auto_trigger,
        }
        if enable_acceleration:
            replicate["enable_acceleration"] = True

        def read(answer: ServiceResponse) -> Replication:
            found = decode(answer, responses.ReplicationAnswer, call="CopyCheckpoint").replication
            if found.backups is None:
                raise unreadable(answer, "CopyCheckpoint", "it has no list of backups")
            return with_record_ids(found, answer, "CopyCheckpoint")

        return self._calls.change("CopyCheckpoint", "/checkpoints/replicate", {"replicate": replicate}, read)
