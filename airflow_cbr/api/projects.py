"""The project of a region, looked up in IAM by its name; once for the life of the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from airflow_cbr.api import responses
from airflow_cbr.api.ids import is_id
from airflow_cbr.api.process_cache import ProcessCache
from airflow_cbr.api.texts import clean
from airflow_cbr.api.transport import OutgoingCall, Transport
from airflow_cbr.exceptions import CbrConfigurationError, CbrProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from requests.auth import AuthBase

    from airflow_cbr.api.secret import Secret

__all__ = ["ask_for_projects", "find_project"]

_CALL: Final = "KeystoneListProjects"
_SHOWN_PROJECTS: Final = 5

_PROJECT_IDS: Final[ProcessCache[str]] = ProcessCache()


def find_project(
    who: tuple[object, ...],
    *,
    transport: Transport,
    iam_url: str,
    region: str,
    look_up: Callable[[], list[responses.Project]],
) -> str:
    """Return the id of the project that is named exactly like a region.

    :param who: tells the asker from others; holds no secret in the clear.
    :param transport: what is asked with; whoever checks certificates otherwise asks anew.
    :param iam_url: base URL of IAM.
    :param region: the region.
    :param look_up: asks IAM, by :func:`ask_for_projects`.
    :raises CbrConfigurationError: IAM shows no such project, or several.
    :raises CbrProtocolError: the project's id is not valid.
    """
    return _PROJECT_IDS.get((iam_url, *who, region, transport.verify), bool, lambda: _own_project(region, look_up()))


def ask_for_projects(
    transport: Transport, iam_url: str, region: str, *, auth: AuthBase, secrets: Iterable[Secret]
) -> list[responses.Project]:
    """Return what IAM finds by a region's name.

    :param transport: sends the request.
    :param iam_url: base URL of IAM.
    :param region: the region.
    :param auth: authenticates the request.
    :param secrets: texts that must not appear in a message.
    """
    call = OutgoingCall(_CALL, "GET", f"{iam_url}/v3/projects?name={quote(region, safe='')}", iam=True)
    return transport.send(
        call, lambda answer: responses.decode(answer, responses.ProjectsAnswer, call=_CALL), auth=auth, secrets=secrets
    ).projects


def _own_project(region: str, found: Sequence[responses.Project]) -> str:
    own = [project for project in found if project.name == region]
    if len(own) != 1:
        raise _no_project(region, found, len(own))
    if not is_id(own[0].id):
        raise CbrProtocolError(f"{_CALL}: the id of project {region!r} is not valid ({clean(own[0].id)}).")
    return own[0].id


def _no_project(region: str, found: Sequence[responses.Project], own: int) -> CbrConfigurationError:
    seen = [
        f"{clean(project.name or 'without a name', longest=80)} ({clean(project.id, longest=80)})" for project in found[:_SHOWN_PROJECTS]
    ]
    if own:
        return CbrConfigurationError(
            f"IAM lists {own} projects named {region!r} for this access key: {', '.join(seen)}.", advice="Set project_id in the connection."
        )
    if any((project.name or "").startswith(f"{region}_") for project in found):
        return CbrConfigurationError(
            f"IAM lists no project named {region!r} for this access key, only a sub-project: {', '.join(seen)}.",
            advice="Set project_id in the connection to the id of the project that holds the vaults.",
        )
    others = f"; it lists {', '.join(seen)}" if seen else ""
    return CbrConfigurationError(
        f"IAM lists no project named {region!r} for this access key{others}.",
        advice="Set project_id in the connection. If it should be looked up, check region and cloud.",
    )
