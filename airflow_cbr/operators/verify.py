"""The operator that verifies that the copies exist."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_cbr.exceptions import CbrError, CbrNothingToReplicateError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.parameters import (
    check_destination,
    check_record_ids,
    check_truth,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg

    from airflow_cbr.api.models import Backup
    from airflow_cbr.replication.coverage import Destination
    from airflow_cbr.replication.verify import Claim

__all__ = ["CbrVerifyReplicationOperator"]


class CbrVerifyReplicationOperator(BaseOperator):
    """Verify on both sides that backups were replicated.

    Each record must be ``success`` at the source, and its replica must exist in the destination region: ``image_type`` replication, status
    ``available``, in the right vault, of the right resource and size. The log has one line for each backup; the task fails with a table of
    what is wrong. Given no records (``[]`` or None), it checks the newest eligible backup of each resource in the source vault.

    XCom: ``return_value``, pushed before the task fails too, is a dict: ``verdict`` (``verified`` or ``failed``) and the counts
    ``verified``, ``failed``, ``missing`` and ``skipped``.

    :param vault_id: id of the source vault. (templated)
    :param replication_record_ids: the records to check: a list, or one id, for example ``replicate.output``. (templated)
    :param destination_region: region id of the destination. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param allow_empty: succeed when there is nothing to check: no record ids and no eligible backup. Default: False, that fails.
    :raises CbrVerificationError: when a backup has no good replica; Airflow retries it as any other failure.
    """

    template_fields: Sequence[str] = (
        "vault_id",
        "replication_record_ids",
        "destination_region",
        "destination_project_id",
        "destination_vault_id",
        "cbr_conn_id",
        "destination_conn_id",
        "region",
        "project_id",
    )
    ui_color = "#d4f0d4"

    def __init__(
        self,
        *,
        vault_id: str,
        replication_record_ids: list[str] | str | XComArg,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.replication_record_ids = replication_record_ids
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id
        self.allow_empty = allow_empty

    @cached_property
    def hook(self) -> CbrHook:
        """Return the hook of the source region and project."""
        return CbrHook(self.cbr_conn_id, region=self.region, project_id=self.project_id)

    @cached_property
    def destination_hook(self) -> CbrHook:
        """Return the hook of the destination region and project."""
        return CbrHook(self.destination_conn_id or self.cbr_conn_id, region=self.destination_region, project_id=self.destination_project_id)

    def execute(self, context: Context) -> dict[str, str | int]:
        """Verify.

        :param context: the task's context.
        :return: the verdict and the counts.
        """
        from airflow_cbr.replication.verify import verify

        try:
            destination = check_destination(
                vault_id=self.vault_id,
                region=self.destination_region,
                project_id=self.destination_project_id,
                destination_vault_id=self.destination_vault_id,
            )
            claims = self._claims(destination)
            replicas = self.destination_hook.list_backups(vault_id=destination.vault_id, image_type="replication")
            wanted = {claim.record.destination_backup_id for claim in claims if claim.record is not None}
            report = verify(
                claims,
                destination_vault_id=destination.vault_id,
                replicas={replica.id: replica for replica in replicas if replica.id in wanted},
                look_up=self._look_up,
            )
            for finding in report.findings:
                self.log.info("%s", finding)
            context["ti"].xcom_push(key="return_value", value=report.summary)
            if error := report.failure():
                raise error
            self.log.info("Verified: %s", report.summary)
            return report.summary
        except CbrError as error:
            raise_for_airflow(error)

    def _claims(self, destination: Destination) -> list[Claim]:
        from airflow_cbr.replication.coverage import assess
        from airflow_cbr.replication.records import find_records
        from airflow_cbr.replication.verify import claims_of_newest, claims_of_records

        # A replicate task that failed before it knew any record leaves nothing in XCom.
        record_ids = [] if self.replication_record_ids is None else check_record_ids(self.replication_record_ids)
        allow_empty = check_truth(self.allow_empty, "allow_empty")
        backups = self.hook.list_backups(vault_id=self.vault_id, show_replication=True)
        if record_ids:
            return claims_of_records(find_records(backups, record_ids))
        self.log.info("No replication records are given: the newest eligible backup of each resource is checked")
        coverage = assess(backups, destination)
        if not coverage.eligible and not allow_empty:
            raise CbrNothingToReplicateError(
                f"Nothing to verify: vault {self.vault_id} holds no eligible backup.",
                advice="Check that backups are made, or set allow_empty=True if an empty vault is fine.",
            )
        return claims_of_newest(coverage)

    def _look_up(self, backup_id: str) -> Backup | None:
        from airflow_cbr.exceptions import CbrNotFoundError

        try:
            return self.destination_hook.show_backup(backup_id)
        except CbrNotFoundError:
            return None
