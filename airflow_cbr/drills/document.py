"""What is said of a drill, as plain JSON values: while it runs, and at its end. The one place where the verdict is made."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.once.clock import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_cbr.drills.state import DrillState

__all__ = ["KIND", "DrillOutcome", "DrillProgress", "progress", "verdict"]

KIND: Final = "drill"
"""``kind`` of every document that is made here."""
_PASSED: Final = "success"


class DrillOutcome(StrEnum):
    """The verdict on a drill."""

    SUCCESSFUL = "successful"
    """The server became active, and every check succeeded."""
    FAILED = "failed"
    """There was no server, or a check did not succeed: it failed, was skipped, or never ran."""
    TIMED_OUT = "timed_out"
    """The server was not active in time, was deleted by the service before the end, or the recovery took longer than it may."""


class DrillProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What the start of a drill publishes, and its end reads: the XCom ``drill`` of the start. Unix times by the clock of the start.

    :param name: the mark that image and server carry.
    :param region: where they are.
    :param project_id: the project in that region.
    :param vault_id: the vault of the replica.
    :param source: ``region``, ``project_id`` and ``vault_id`` of the vault that it is a replica of.
    :param state: ``running``, ``ready``, ``failed`` or ``timed_out``.
    :param reason: why it failed.
    :param replica: what is restored.
    :param flavor: of the server.
    :param unsettled_until: until when a call may still make something that was not seen yet.
    """

    name: str
    region: str | None = None
    project_id: str | None = None
    vault_id: str | None = None
    source: dict[str, str] | None = None
    state: str = "running"
    reason: str | None = None
    replica: dict[str, Any] | None = None
    flavor: str | None = None
    image_id: str | None = None
    server_id: str | None = None
    private_ip: str | None = None
    terminate_at: str | None = None
    begun_at: float = 0.0
    image_ready_at: float = 0.0
    server_ready_at: float = 0.0
    unsettled_until: float = 0.0

    @classmethod
    def read(cls, pulled: Any, name: str) -> DrillProgress | None:
        """Return what the start has published, or None where it has published nothing that can be read, or for another drill.

        :param pulled: the XCom.
        :param name: the drill's mark.
        """
        try:
            found = msgspec.convert({key: value for key, value in pulled.items() if key != "kind"}, cls)
        except (AttributeError, msgspec.ValidationError):
            return None
        return found if found.name == name else None


def progress(
    state: DrillState,
    place: Mapping[str, str],
    *,
    name: str,
    flavor: str,
    source: Mapping[str, str] | None = None,
    outcome: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Return the document of a drill that runs, or whose start has failed.

    :param state: what is known.
    :param place: ``region``, ``project_id`` and ``vault_id``.
    :param name: the drill's mark.
    :param flavor: of the server.
    :param source: the same of the source vault. Default: not known.
    :param outcome: ``failed`` or ``timed_out``. Default: ``ready`` or ``running``, as the state says.
    :param reason: why. Default: none.
    """
    return {
        "kind": KIND,
        "name": name,
        **place,
        "source": None if source is None else dict(source),
        "state": outcome or ("ready" if state.server_ready_at else "running"),
        "reason": reason,
        "replica": None if state.replica is None else msgspec.to_builtins(state.replica),
        "flavor": flavor,
        "image_id": state.image_id,
        "server_id": state.server_id,
        "private_ip": state.private_ip,
        "terminate_at": state.terminate_at,
        "begun_at": state.begun_at,
        "image_ready_at": state.image_ready_at,
        "server_ready_at": state.server_ready_at,
        "unsettled_until": state.unsettled_until,
    }


def verdict(
    started: DrillProgress | None,
    *,
    name: str,
    checks: Mapping[str, str | None],
    ended_at: float,
    max_duration: float | None = None,
    server_was_there: bool = True,
) -> dict[str, Any]:
    """Return the verdict on a drill, with how long it took: the document for XCom, metrics and evidence.

    :param started: what the start published; None when it published nothing.
    :param name: the drill's mark.
    :param checks: the state of each check's task, by task id.
    :param ended_at: when the checks had ended, Unix time.
    :param max_duration: seconds from the beginning to the end of the checks that the recovery may take. Default: any.
    :param server_was_there: whether the server was still there when the checks had ended. Default: True.
    """
    began, image, server = (0.0, 0.0, 0.0) if started is None else (started.begun_at, started.image_ready_at, started.server_ready_at)
    rto = _between(began, ended_at) if server else None
    outcome, reason = _judge(started, checks, rto, max_duration, server_was_there=server_was_there)
    return {
        "kind": KIND,
        "verdict": str(outcome),
        "reason": reason,
        "name": name,
        "region": started.region if started is not None else None,
        "project_id": started.project_id if started is not None else None,
        "vault_id": started.vault_id if started is not None else None,
        "source": started.source if started is not None else None,
        "replica": started.replica if started is not None else None,
        "flavor": started.flavor if started is not None else None,
        "server_id": started.server_id if started is not None else None,
        "image_id": started.image_id if started is not None else None,
        "checks": dict(checks),
        "begun_at": _text(began),
        "ended_at": _text(ended_at),
        "durations": {
            "image_seconds": _between(began, image),
            "boot_seconds": _between(image, server),
            "check_seconds": _between(server, ended_at),
            "rto_seconds": rto,
        },
        "max_duration": max_duration,
    }


def _judge(
    started: DrillProgress | None,
    checks: Mapping[str, str | None],
    rto: float | None,
    max_duration: float | None,
    *,
    server_was_there: bool,
) -> tuple[DrillOutcome, str | None]:
    if started is None:
        return DrillOutcome.FAILED, "the start has published nothing: it did not run, or failed before it had sent anything"
    if started.state == DrillOutcome.TIMED_OUT:
        return DrillOutcome.TIMED_OUT, started.reason
    if started.state != "ready":
        return DrillOutcome.FAILED, started.reason or "the server never became active"
    if not server_was_there:
        return DrillOutcome.TIMED_OUT, "the server was gone before the checks had ended: deleted at its auto_terminate_time, or by somebody"
    failed = [f"{task_id} is {state or 'not run'}" for task_id, state in checks.items() if state != _PASSED]
    if failed:
        return DrillOutcome.FAILED, "; ".join(failed)
    if max_duration is not None and (rto is None or rto > max_duration):
        return DrillOutcome.TIMED_OUT, f"the recovery took {rto or 0.0:.0f} s, more than {max_duration:g} s"
    return DrillOutcome.SUCCESSFUL, None


def _between(begin: float, end: float) -> float | None:
    return round(max(end - begin, 0.0), 1) if begin and end else None


def _text(timestamp: float) -> str | None:
    return moment(timestamp).isoformat(timespec="seconds") if timestamp else None
