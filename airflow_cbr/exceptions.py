"""What callers catch, or name in a retry policy.

This module is the innermost ring: it imports nothing from Airflow, and of the package the languages of its advice alone, so that a Dag
author, a test or a script without Airflow can use the names. Turning a permanent error into ``AirflowFailException`` is the work of
:func:`airflow_cbr.hooks.failures.raise_for_airflow`.

Two things decide what a caller does with an error, and both are attributes:

* ``permanent``: would the same task, run again, meet the same error? Then Airflow should not retry it.
* ``error_code`` and ``request_id``: what to quote to Huawei Cloud support.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CbrAlreadyReplicatedError", "CbrApiError", "CbrAuthenticationError", "CbrBusyError", "CbrCallLimitError", "CbrCheckpointError",
    "CbrCheckpointFailedError", "CbrCheckpointIncompleteError", "CbrCheckpointTimeoutError", "CbrConfigurationError",
    "CbrConnectionError", "CbrDrillCleanupError", "CbrDrillError", "CbrDrillFailedError", "CbrDrillTimeoutError", "CbrError",
    "CbrEvidenceError",
    "CbrLimitError", "CbrNotFoundError", "CbrNothingToReplicateError", "CbrOutcomeUnknownError", "CbrParameterError",
    "CbrPermissionError", "CbrPreflightError", "CbrProtocolError", "CbrPruneError", "CbrPruneStoppedError", "CbrRefusedError",
    "CbrReplicationError", "CbrReplicationFailedError", "CbrReplicationTimeoutError", "CbrStoppedError", "CbrThrottledError",
    "CbrTimeoutError", "CbrTransportError", "CbrUnavailableError", "CbrUnlistedRecordError", "CbrVaultReplicatingError",
    "CbrVerificationError", "CbrWorkError",
]  # fmt: skip


class CbrError(Exception):
    """Base of every error that this package raises.

    :param message: what happened, in one sentence, without any secret.
    :param advice: what the user can do about it, one sentence; shown behind the message. Default: none.
    :param error_code: the service's own code, for example ``BackupService.1009``. Default: none.
    :param request_id: the service's request id (``X-Request-Id`` or ``X-IAM-Trace-Id``). Default: none.
    :param http_status: the HTTP status of the answer. Default: none, there was no answer.
    :param permanent: whether running the task again would meet the same error. Default: the class's own ``permanent``.
    """

    permanent: bool = True
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        error_code: str | None = None,
        request_id: str | None = None,
        http_status: int | None = None,
        permanent: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.error_code = error_code
        self.request_id = request_id
        self.http_status = http_status
        if permanent is not None:
            self.permanent = permanent

    @property
    def what_happened(self) -> str:
        """Return message, code, status and request id as one line of text; for callers that give their own advice."""
        facts = [
            fact
            for fact in (
                self.error_code,
                f"HTTP {self.http_status}" if self.http_status else None,
                f"request id {self.request_id}" if self.request_id else None,
            )
            if fact
        ]
        text = self.message.rstrip()
        return f"{text} [{', '.join(facts)}]" if facts else text

    def __str__(self) -> str:
        """Return what happened and the advice as one line of text."""
        if not self.advice:
            return self.what_happened
        from airflow_cbr.languages import advice_line

        return f"{self.what_happened} {advice_line(self.advice)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by attributes: Airflow and multiprocessing hand exceptions from process to process."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(cls: type[CbrError], args: tuple[Any, ...], state: dict[str, Any]) -> CbrError:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


# --- before anything is sent ------------------------------------------------------------------------------------------


class CbrConfigurationError(CbrError):
    """The Airflow connection is incomplete or contradicts itself."""


class CbrParameterError(CbrError, ValueError):
    """A parameter has a value that cannot be right; nothing was sent.

    :param parameter: the parameter's name as the Dag author wrote it.
    :param message: what is wrong with its value.
    """

    def __init__(self, parameter: str, message: str, **details: Any) -> None:
        super().__init__(f"{parameter}: {message}", **details)
        self.parameter = parameter


# --- no usable answer -------------------------------------------------------------------------------------------------


class CbrTransportError(CbrError):
    """No usable answer: network, TLS, timeout, or a body that cannot be read.

    :param sent: whether the request may have reached the service. False only where that is certain.
    """

    permanent: bool = False

    def __init__(self, message: str, *, sent: bool = True, **details: Any) -> None:
        super().__init__(message, **details)
        self.sent = sent


class CbrConnectionError(CbrTransportError):
    """The connection could not be made, or broke."""


class CbrTimeoutError(CbrTransportError):
    """The service did not answer in time."""


class CbrProtocolError(CbrTransportError):
    """The answer is not what the API's documentation promises (truncated, HTML from a proxy, a redirect, wrong types)."""


class CbrOutcomeUnknownError(CbrError):
    """A call that copies, backs up or deletes was sent, and whether the service accepted it is not known.

    Sending it again could copy or back up, and bill, twice. The contents of the vault show what happened.
    """


# --- the service's own refusals ---------------------------------------------------------------------------------------


class CbrApiError(CbrError):
    """The service answered with an error; ``error_code`` says which one.

    :param retry_after: seconds the service asked to wait, if it said so. Default: it did not.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class CbrAuthenticationError(CbrApiError):
    """The service does not accept the credentials (HTTP 401).

    ``refusals`` is how often this machine was refused lately, as far as it is counted; ``is_local`` says that this time nothing was sent.
    """

    refusals: int = 0
    is_local: bool = False


class CbrPermissionError(CbrApiError):
    """The credentials are valid, but lack a permission (HTTP 403)."""


class CbrNotFoundError(CbrApiError):
    """The vault, backup, checkpoint, operation log or project does not exist, or is not visible to this project."""


class CbrRefusedError(CbrApiError):
    """The service refuses this request for a reason that stays until somebody changes something."""


class CbrThrottledError(CbrApiError):
    """Too many requests (HTTP 429); ``retry_after`` has the seconds that the service asked to wait, if it said so."""

    permanent: bool = False


class CbrUnavailableError(CbrApiError):
    """The service or the gateway failed (HTTP 5xx, or a code that means "try again later")."""

    permanent: bool = False


class CbrBusyError(CbrApiError):
    """A resource is busy with something that ends by itself: a backup, a restore, a check. The request had no effect."""

    permanent: bool = False


class CbrVaultReplicatingError(CbrBusyError):
    """The vault is being replicated already (``BackupService.6130``): by an earlier call of this package, a policy, or a person."""


class CbrAlreadyReplicatedError(CbrApiError):
    """A backup is, or is being, replicated to that region (``BackupService.1009``). The request had no effect."""

    permanent: bool = False


# --- the outcome of the work ------------------------------------------------------------------------------------------


class CbrWorkError(CbrError):
    """Base of the errors about the outcome of a task, as opposed to a single call.

    :param problems: one line for each thing that is wrong. Default: none, the message is complete.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.problems = list(problems)

    def __str__(self) -> str:
        """Return the message with one line for each problem."""
        return "\n  - ".join([super().__str__(), *self.problems])


class CbrReplicationError(CbrWorkError):
    """Base of the errors about a replication."""


class CbrNothingToReplicateError(CbrReplicationError):
    """The vault holds no eligible backup at all, and ``allow_empty`` is not set."""


class CbrLimitError(CbrReplicationError):
    """More would be replicated, deleted, or handed to mapped tasks, than a limit allows; nothing was sent."""


class CbrCallLimitError(CbrWorkError):
    """A task has sent as many calls that cost money as it may send in a Dag run, whatever their outcome; nothing more was sent."""


class CbrStoppedError(CbrWorkError):
    """The task was stopped, and has sent nothing since that changes anything. A retry looks first, and continues.

    :param running: the ids of what it had started, which continues in CBR. Default: nothing.
    """

    permanent: bool = False

    def __init__(self, message: str, *, running: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.running = list(running)


class CbrPreflightError(CbrReplicationError):
    """The preflight found something that would make the replication fail; nothing was sent.

    Permanent if one of the findings stays until somebody changes something.

    :param problems: one line for each finding, with the code that the service would return.
    """


class CbrReplicationFailedError(CbrReplicationError):
    """Not every eligible backup is covered, after all copies have ended.

    :param problems: one line for each backup that is not covered: its name, id, and the reason.
    """

    permanent: bool = False


class CbrUnlistedRecordError(CbrReplicationFailedError):
    """The source vault has not listed a replication record for so long that the record cannot belong to it.

    :param problems: one line for each record.
    """

    permanent: bool = True


class CbrReplicationTimeoutError(CbrReplicationError):
    """The task's ``timeout`` has passed; the copies continue in CBR.

    :param running: the ids of the replication records that were still running.
    """

    def __init__(self, message: str, *, running: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.running = list(running)


class CbrVerificationError(CbrReplicationError):
    """The verification failed: a level is violated, for example because a backup has no good replica.

    :param problems: one line for each finding.
    """

    permanent: bool = False


class CbrCheckpointError(CbrWorkError):
    """Base of the errors about a checkpoint.

    :param checkpoint_id: the checkpoint. Default: none is known.
    """

    def __init__(self, message: str, *, checkpoint_id: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.checkpoint_id = checkpoint_id


class CbrCheckpointFailedError(CbrCheckpointError):
    """The checkpoint, or a backup in it, failed. A retry makes another one.

    :param problems: one line for each backup that is missing: its name, id, and the reason.
    """

    permanent: bool = False


class CbrCheckpointIncompleteError(CbrCheckpointError):
    """The checkpoint was made, but the service left resources out of it.

    :param problems: one line for each resource that was skipped: its name, id, and the service's reason.
    """


class CbrCheckpointTimeoutError(CbrCheckpointError):
    """The task's ``timeout`` has passed; a checkpoint that is being made continues in CBR."""


class CbrDrillError(CbrWorkError):
    """Base of the errors about a restore drill."""


class CbrDrillFailedError(CbrDrillError):
    """The drill has no server: no replica to make one of, or the image or the server failed."""


class CbrDrillTimeoutError(CbrDrillError):
    """The drill took longer than it may: its server was not ready within ``timeout``, or was recovered too late."""


class CbrDrillCleanupError(CbrDrillError):
    """Something that a drill made is still there, and is billed.

    :param problems: one line for each image and server that is left.
    """

    permanent: bool = False


class CbrPruneError(CbrWorkError):
    """Base of the errors about pruning.

    :param deleted: ids of the backups that were deleted before.
    """

    def __init__(self, message: str, *, deleted: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.deleted = list(deleted)


class CbrPruneStoppedError(CbrPruneError):
    """Something was not as planned, so nothing more was deleted. A retry makes a new plan."""

    permanent: bool = False


class CbrEvidenceError(CbrWorkError):
    """The evidence of a verification or of a restore drill could not be written; the verdict itself is in the XCom."""

    permanent: bool = False
