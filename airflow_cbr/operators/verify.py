"""The operator that verifies that the copies exist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.airflow_names import AirflowSkipException, conf
from airflow_cbr.api.ids import check_id
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.links.cbr import REPORT_XCOM_KEY, CbrFailureLink, CbrReportLink
from airflow_cbr.operators.base import BetweenRegions, WaitingOperator
from airflow_cbr.operators.lineage import TracedOperator
from airflow_cbr.operators.parameters import (
    check_age,
    check_duration,
    check_levels,
    check_record_ids,
    check_seconds,
    check_text,
    check_truth,
    check_word,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import BaseOperatorLink, Context, XComArg

    from airflow_cbr.verification.levels import Action, Level, VerificationSpec
    from airflow_cbr.verification.report import Report
    from airflow_cbr.verification.settling import SettlingState

__all__ = ["CbrVerifyReplicationOperator"]

VERIFICATION_XCOM_KEY = "verification"
_SETTLE_TIMEOUT: Final = 600.0
_TRIGGERER_SLACK: Final = 3600.0


class CbrVerifyReplicationOperator(TracedOperator, BetweenRegions, WaitingOperator[dict[str, str | int]]):
    """Verify on both sides that backups were replicated.

    Judges by levels: ``record`` (each copy ended in success at the source), ``replica`` (the destination region holds it, and it is what it
    must be), ``coverage`` (every bound resource has a verified replica, of its newest backup too), ``rpo`` (the newest verified replica
    is young enough) and ``vault`` (the destination vault is fit to take replicas). The log has one line for each backup; the error lists
    everything that is wrong.

    XCom, pushed before the task fails or is skipped: ``return_value`` is a dict with ``verdict`` (``verified`` or ``failed``) and the
    counts ``verified``, ``failed``, ``missing`` and ``skipped``; ``verification`` is the report, a JSON document whose schema is
    ``airflow_cbr/verification/report.schema.json``. Of more than 1,000 backups it has the counts, the levels, the first 20 findings and
    the path of a file with the whole. With ``evidence_path``, ``evidence`` is a dict of the ``path``, ``sequence`` and ``sha256`` of what
    was written.

    Seconds are a number or a ``timedelta``, within the bounds of :mod:`airflow_cbr.operators.parameters`.

    :param vault_id: id of the source vault. (templated)
    :param replication_record_ids: the records to check: a list, or one id, for example ``replicate.output``. Left out, or empty: see
        ``scope``. (templated)
    :param destination_region: region id of the destination. (templated)
    :param destination_project_id: project id in that region. (templated)
    :param destination_vault_id: id of the replication vault in that project. (templated)
    :param cbr_conn_id: id of the connection. Default: ``huaweicloud_cbr_default``. (templated)
    :param destination_conn_id: connection for the destination region, where it needs other credentials. Default: ``cbr_conn_id``.
        (templated)
    :param region: source region id. Default: the connection's. (templated)
    :param project_id: source project id. Default: the connection's, or looked up. (templated)
    :param allow_empty: do not fail when there is nothing to check: no record ids and no eligible backup of a vault that exists.
        Resources that are bound to such a vault are still findings of ``coverage`` and ``rpo``, where these are judged. Default: False,
        the task fails.
    :param levels: what a violation does to the task: ``fail``, ``warn`` or ``skip``, by level. A level that is not named is not judged.
        Default: ``record`` and ``replica`` fail, and ``coverage`` fails where the Dag leaves ``replication_record_ids`` out.
    :param max_age: greatest age of the newest verified replica of each resource in seconds, from the creation of its source backup to the
        service's clock. Given, the level ``rpo`` is judged. Default: none.
    :param retention: seconds for which a replica must be kept, from the creation of its source backup; one that never expires is. Part of
        the level ``replica``. Default: none.
    :param require_locked: whether the destination vault must be locked. True, the level ``vault`` is judged. Default: False.
    :param scope: which backups get a verdict when no record ids are given: ``newest``, the newest eligible one of each resource, or
        ``all``. Default: ``newest``.
    :param report_path: file for the report: a path on the worker, or a URL that ``ObjectStoragePath`` takes. Default: none up to 1,000
        backups, else beside the task's log. (templated)
    :param evidence_path: folder for evidence, or a URL that ``ObjectStoragePath`` takes: one file for each verification, chained for each
        vault pair. The task fails when it cannot be written. Default: none. (templated)
    :param evidence_conn_id: id of a connection whose password is the Ed25519 private key, as PEM, that signs the evidence. Default: it is
        not signed. (templated)
    :param settle_timeout: seconds to wait for a replica that is not listed, or not ``available``, yet; counted from the
        attempt's first look. Default: 600 when ``deferrable``, else 0, since a retry does not hold a worker slot.
    :param poll_interval: seconds between two looks while it waits. Default: 30.
    :param deferrable: wait in the triggerer and not on a worker. Default: ``[operators] default_deferrable``.
    :raises CbrVerificationError: when a level is violated whose action is ``fail``; Airflow retries it like any other failure.
    :raises CbrEvidenceError: when nothing is wrong but that the evidence cannot be written.
    """

    template_fields: Sequence[str] = (
        "vault_id",
        "replication_record_ids",
        *BetweenRegions.template_fields,
        "report_path",
        "evidence_path",
        "evidence_conn_id",
    )
    operator_extra_links: Collection[BaseOperatorLink] = (*BetweenRegions.operator_extra_links, CbrReportLink(), CbrFailureLink())
    ui_color = "#d4f0d4"

    _facts: dict[str, Any] | None = None

    def __init__(
        self,
        *,
        vault_id: str,
        replication_record_ids: list[str] | str | XComArg | None = None,
        destination_region: str,
        destination_project_id: str,
        destination_vault_id: str,
        cbr_conn_id: str = CbrHook.default_conn_name,
        destination_conn_id: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        allow_empty: bool = False,
        levels: Mapping[str, str] | None = None,
        max_age: float | timedelta | None = None,
        retention: float | timedelta | None = None,
        require_locked: bool = False,
        scope: str = "newest",
        report_path: str | None = None,
        evidence_path: str | None = None,
        evidence_conn_id: str | None = None,
        settle_timeout: float | timedelta | None = None,
        poll_interval: float | timedelta = 30,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
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
        self.levels = levels
        self.max_age = max_age
        self.retention = retention
        self.require_locked = require_locked
        self.scope = scope
        self.report_path = report_path
        self.evidence_path = evidence_path
        self.evidence_conn_id = evidence_conn_id
        self.settle_timeout = settle_timeout
        self.poll_interval = poll_interval
        self.deferrable = deferrable
        # After rendering, an audit and a replicate task that pushed nothing look alike.
        self._is_audit = replication_record_ids is None

    def _perform(self, context: Context, state: SettlingState | None) -> dict[str, str | int]:
        from airflow_cbr.operators.evidence import read_signer
        from airflow_cbr.verification.settling import Settling, SettlingState

        spec = self._spec()
        read_signer(self.evidence_path, self.evidence_conn_id)
        settle_timeout, poll_interval = self._patience()
        state = state or SettlingState(settle_until=time.time() + settle_timeout)
        clients = self.hook.client, self.destination_hook.client
        self._push_links(context)
        return self._conclude(context, self._follow(Settling(*clients, spec, state, poll_interval=poll_interval, log=self.log)))

    def _recall(self, event: Any) -> SettlingState:
        from airflow_cbr.triggers.events import memory_of
        from airflow_cbr.verification.settling import SettlingState

        return memory_of(event, SettlingState.load)

    def _backstop(self, state: SettlingState, seconds: float) -> float:
        return seconds + _TRIGGERER_SLACK

    def _conclude(self, context: Context, report: Report) -> dict[str, str | int]:
        from airflow_cbr.operators.evidence import leave_evidence, state_verification
        from airflow_cbr.operators.facts import verified
        from airflow_cbr.operators.outcome import of_report
        from airflow_cbr.operators.report_file import default_path, write_report
        from airflow_cbr.verification.closing import closing_line
        from airflow_cbr.verification.document import beginning, whole
        from airflow_cbr.verification.report import Outcome

        self._source_region, self._source_name = report.source["region"], report.vault_name
        for severity, line in report.lines():
            self.log.log(severity, "%s", line)
        ti = context["ti"]
        ti.xcom_push(key="return_value", value=report.summary)
        self._tell_metrics(report)
        path = self.report_path or (default_path(context) if report.is_large else None)
        digest = None
        if path is not None:
            digest = write_report(report, path)
            self.log.info("The report was written to %s", path)
        document = beginning(report, path) if report.is_large else whole(report, path)
        ti.xcom_push(key=VERIFICATION_XCOM_KEY, value=document)
        self._facts = verified(report, path)
        self.tell(of_report(self._facts, report, self.consoles))
        ti.xcom_push(key=REPORT_XCOM_KEY, value=path or "")
        leave_evidence(self, context, lambda: state_verification(self, report, document, digest), report.failure())
        severity, line = closing_line(report)
        self.log.log(severity, "%s", line)
        if error := report.failure():
            raise error
        if report.outcome is Outcome.SKIPPED:
            raise AirflowSkipException("\n  - ".join([report.headline(), *report.problems()]))
        self._tell_outlets(context, report)
        return report.summary

    def _tell_outlets(self, context: Context, report: Report) -> None:
        """Let the events of the outlets say what was verified; where a report proves no copy, there are none."""
        if not self.outlets or self._facts is None:
            return
        from airflow_cbr.operators.facts import proves_copies
        from airflow_cbr.operators.outlet_events import announce, withhold

        if proves_copies(report):
            announce(context, self._facts)
        else:
            withhold(context, "no replica was verified, or one is missing or wrong, although no level fails the task for it.")

    def _lineage_facts(self) -> dict[str, Any] | None:
        return self._facts

    def _tell_metrics(self, report: Report) -> None:
        """Send when the worst resource was last protected, and how full the destination is, also on failure: what it found is true."""
        from airflow_cbr.hooks.metrics import quietly, tell_used, tell_verified

        with quietly():
            tags = self._tags(check_id(self.vault_id, "vault_id"))
            tell_verified(report.verified_at, report.age_seconds, tags)
            tell_used(report.destination_used_ratio, tags)

    def _spec(self) -> VerificationSpec:
        from airflow_cbr.verification.levels import Scope, VerificationSpec

        destination = self.destination_of(self.vault_id)
        # A replicate task that failed before it knew any record pushes no XCom.
        record_ids = [] if self.replication_record_ids is None else check_record_ids(self.replication_record_ids)
        scope = Scope(check_word(self.scope, (Scope.NEWEST, Scope.ALL), "scope"))
        if not record_ids:
            which = "the newest eligible backup of each resource" if scope is Scope.NEWEST else "every backup of the vault"
            self.log.info("No replication record ids were given; checking %s", which)
        if self.report_path is not None:
            check_text(self.report_path, "report_path", "a path or a URL")
        return VerificationSpec(
            vault_id=check_id(self.vault_id, "vault_id"),
            destination=destination,
            levels=self._levels(),
            scope=Scope.RECORDS if record_ids else scope,
            record_ids=tuple(record_ids),
            max_age=None if self.max_age is None else check_age(self.max_age, "max_age"),
            retention=None if self.retention is None else check_age(self.retention, "retention"),
            require_locked=check_truth(self.require_locked, "require_locked"),
            allow_empty=check_truth(self.allow_empty, "allow_empty"),
        )

    def _levels(self) -> dict[Level, Action]:
        from airflow_cbr.verification.levels import Action, Level

        if self.levels is None:
            levels = {Level.RECORD: Action.FAIL, Level.REPLICA: Action.FAIL}
            if self._is_audit:
                levels[Level.COVERAGE] = Action.FAIL
        else:
            levels = check_levels(self.levels, "levels")
        if self.max_age is not None:
            levels.setdefault(Level.RPO, Action.FAIL)
        elif Level.RPO in levels:
            raise CbrParameterError("levels", "names rpo, which needs max_age.")
        if self.retention is not None and Level.REPLICA not in levels:
            raise CbrParameterError("retention", "is part of the level replica, which levels does not name.")
        if check_truth(self.require_locked, "require_locked"):
            levels.setdefault(Level.VAULT, Action.FAIL)
        return levels

    def _patience(self) -> tuple[float, float]:
        """Return how long replicas may take to settle, and how long to wait between two looks, in seconds."""
        deferrable = check_truth(self.deferrable, "deferrable")
        poll_interval = check_seconds(self.poll_interval, "poll_interval")
        if self.settle_timeout is None:
            return _SETTLE_TIMEOUT if deferrable else 0.0, poll_interval
        return check_duration(self.settle_timeout, "settle_timeout"), poll_interval
