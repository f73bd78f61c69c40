"""The evidence that a verification, or a restore drill, leaves where it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_cbr import __version__
from airflow_cbr.airflow_names import AirflowNotFoundException, BaseHook
from airflow_cbr.api.texts import clean
from airflow_cbr.exceptions import CbrConfigurationError, CbrError, CbrEvidenceError, CbrParameterError, CbrWorkError
from airflow_cbr.hooks.attempt import identity_of
from airflow_cbr.operators.parameters import check_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_cbr.evidence.chain import Link
    from airflow_cbr.evidence.file import Evidence, VaultPlace
    from airflow_cbr.evidence.signing import Signer
    from airflow_cbr.operators.base import BetweenRegions
    from airflow_cbr.verification.report import Report

__all__ = ["EVIDENCE_XCOM_KEY", "Statement", "leave_evidence", "name_of_vault", "read_signer", "state_verification"]

EVIDENCE_XCOM_KEY: Final = "evidence"
_ADVICE: Final = (
    "Mend what is wrong with evidence_path, and clear the task: it looks once more, and writes then. The verdict is in XCom already."
)


class Statement(NamedTuple):
    """What a task attests about a vault pair.

    :param kind: ``verification`` or ``drill``.
    :param source: the source vault.
    :param destination: the destination vault.
    :param at: when it was found out.
    :param content: what was found out.
    """

    kind: str
    source: VaultPlace
    destination: VaultPlace
    at: datetime
    content: dict[str, Any]


def read_signer(evidence_path: Any, evidence_conn_id: Any) -> Signer | None:
    """Return what signs the evidence, after checking both parameters; None where it is not signed.

    :param evidence_path: as the Dag author gave it; None where no evidence is asked for.
    :param evidence_conn_id: connection whose password is the private key, or None.
    :raises CbrParameterError: when one cannot be right.
    :raises CbrConfigurationError: when the connection or its key cannot be used.
    """
    if evidence_path is not None:
        check_text(evidence_path, "evidence_path", "a folder, or a URL of object storage")
    if evidence_conn_id is None:
        return None
    if evidence_path is None:
        raise CbrParameterError("evidence_conn_id", "signs evidence, which needs evidence_path.")
    from airflow_cbr.evidence.signing import Signer

    conn_id = check_text(evidence_conn_id, "evidence_conn_id", "the id of a connection")
    advice = "Make a key with openssl genpkey -algorithm ed25519, and store it as the password of that connection."
    try:
        key = BaseHook.get_connection(conn_id).password
    except AirflowNotFoundException:
        raise CbrConfigurationError(f"There is no connection {conn_id}, whose password would sign the evidence.", advice=advice) from None
    if not key:
        raise CbrConfigurationError(f"The connection {conn_id} has no password, which would sign the evidence.", advice=advice)
    try:
        return Signer.from_pem(key)
    except ValueError as error:
        raise CbrConfigurationError(f"The password of the connection {conn_id} cannot sign evidence: {error}.", advice=advice) from None


def state_verification(operator: BetweenRegions, report: Report, document: dict[str, Any], report_sha256: str | None) -> Statement:
    """Return what a verification attests.

    :param operator: the task.
    :param report: what it found.
    :param document: the same as it is in XCom.
    :param report_sha256: the digest of the report's file, or None where there is no file.
    """
    from airflow_cbr.evidence.file import VaultPlace

    there = report.spec.destination
    return Statement(
        "verification",
        VaultPlace(**report.source, name=name_of_vault(operator.hook, report.source["vault_id"])),
        VaultPlace(there.region, there.project_id, there.vault_id, name_of_vault(operator.destination_hook, there.vault_id)),
        report.now or datetime.now(UTC),
        {"report": document, "report_sha256": report_sha256},
    )


def leave_evidence(operator: Any, context: Context, state: Callable[[], Statement], failure: CbrError | None) -> None:
    """Write the evidence of what a task found, and push where it is; nothing where none is asked for.

    A further attempt writes a further file: what an earlier one found stays as it was.

    :param operator: the task, with ``evidence_path`` and ``evidence_conn_id``.
    :param context: its context.
    :param state: returns what is attested; called only where evidence is asked for.
    :param failure: the error with which the task fails anyhow, or None.
    :raises CbrError: that error, if the evidence could not be written either.
    :raises CbrEvidenceError: it could not be written.
    """
    if operator.evidence_path is None:
        return
    try:
        pushed = _write(operator, context, state())
    except CbrError as error:
        if failure is None:
            raise
        operator.log.error("%s", error)
        if isinstance(failure, CbrWorkError):
            failure.problems.append(str(error))
        raise failure from error
    operator.log.info("The evidence was written to %s (SHA-256 %s)", pushed["path"], pushed["sha256"])
    context["ti"].xcom_push(key=EVIDENCE_XCOM_KEY, value=pushed)


def _write(operator: Any, context: Context, stated: Statement) -> dict[str, Any]:
    import msgspec

    from airflow_cbr.evidence.chain import append
    from airflow_cbr.evidence.file import Evidence, Run, pair_of, seal
    from airflow_cbr.operators.evidence_store import store_at

    path = str(operator.evidence_path)
    signer = read_signer(operator.evidence_path, operator.evidence_conn_id)
    dag_id, run_id, task_id, map_index = identity_of(context)
    run = Run(dag_id, run_id, task_id, map_index, context["ti"].try_number or 1)
    encoded = msgspec.Raw(msgspec.json.encode(stated.content))

    def evidence(link: Link) -> Evidence:
        return Evidence(
            kind=stated.kind,
            sequence=link.sequence,
            previous=link.previous,
            repeats=link.repeats,
            source=stated.source,
            destination=stated.destination,
            at=stated.at,
            written_at=datetime.now(UTC),
            run=run,
            package=__version__,
            content=encoded,
        )

    pair = pair_of(stated.source, stated.destination)
    try:
        written = append(store_at(path), pair, lambda link: seal(evidence(link), signer))
    except CbrEvidenceError as error:
        raise CbrEvidenceError(error.message, advice=_ADVICE) from error
    # A file system says OSError; what the libraries of object stores raise has no common base.
    except Exception as error:
        what = clean(f"{type(error).__name__}: {error}")
        raise CbrEvidenceError(f"The evidence could not be written to {clean(path)}: {what}", advice=_ADVICE) from error
    return {"path": f"{path.rstrip('/')}/{pair}/{written.name}", "sequence": written.sequence, "sha256": written.sha256}


def name_of_vault(hook: Any, vault_id: str) -> str | None:
    """Return a vault's name for people; the evidence does not depend on it.

    :param hook: of the vault's region and project.
    :param vault_id: the vault.
    """
    try:
        name: str | None = hook.client.show_vault(vault_id).name
    except CbrError:
        return None
    return name
