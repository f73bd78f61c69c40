"""The operator that checks, before anything is sent, whether a replication can succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.failures import raise_for_airflow
from airflow_cbr.operators.base import BetweenRegions
from airflow_cbr.operators.parameters import check_truth, check_word
from airflow_cbr.operators.preflight_report import run_preflight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["CbrPreflightOperator"]


class CbrPreflightOperator(BetweenRegions):
    """Check everything that is known to make a replication fail, before anything is sent or paid for.

    Reports all findings at once, each with its severity, the error code that the service would return, and what to do. Sends reads only.

    XCom, pushed even when the task fails: ``return_value`` is a dict with ``verdict`` (``ready`` or ``not ready``), the counts
    ``errors``, ``warnings``, ``unchecked`` and ``notes``, and ``backups``, ``gb`` and ``gb_estimated`` of what would be copied;
    ``preflight`` is the same with the first 20 findings, the most severe first; ``plan`` says which backups would be copied, and why.

    :param vault_id: id of the source vault. (templated)
    :param destination_region: region id of the destination, for example ``cn-shenzhen-1``. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param with_checkpoint: whether a checkpoint of the whole vault is made after this task and before the copy, as in the example Dag
        ``cbr_nightly_chain``. True: the numbers include the backup of each bound resource that it will add. Default: False.
    :param warnings: ``warn`` to log warnings, ``fail`` to fail on them as well. Default: ``warn``.
    :raises CbrPreflightError: when the replication would fail; as ``AirflowFailException`` unless all that is wrong passes by itself.
    """

    template_fields: Sequence[str] = ("vault_id", *BetweenRegions.template_fields)
    ui_color = "#f0ead4"

    def __init__(
        self,
        *,
        vault_id: str,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        with_checkpoint: bool = False,
        warnings: str = "warn",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vault_id = vault_id
        self.destination_region = destination_region
        self.destination_project_id = destination_project_id
        self.destination_vault_id = destination_vault_id
        self.cbr_conn_id = cbr_conn_id
        self.destination_conn_id = destination_conn_id
        self.region = region
        self.project_id = project_id
        self.with_checkpoint = with_checkpoint
        self.warnings = warnings

    def execute(self, context: Context) -> dict[str, Any]:
        """Run all checks.

        :param context: the task's context.
        :return: the verdict and the counts.
        """
        try:
            destination = self.destination_of(self.vault_id)
            warnings_fail = check_word(self.warnings, ("warn", "fail"), "warnings") == "fail"
            with_checkpoint = check_truth(self.with_checkpoint, "with_checkpoint")
            vault_id = check_id(self.vault_id, "vault_id")
            report = run_preflight(self, vault_id, destination, context["ti"], with_checkpoint=with_checkpoint)
            context["ti"].xcom_push(key="return_value", value=report.summary)
            if report.vault_name is not None or report.is_ready:
                self._push_links(context)
            if error := report.failure(warnings_fail=warnings_fail):
                raise error
            self.log.info("%s", report.line)
            return report.summary
        except CbrError as error:
            raise_for_airflow(error)
