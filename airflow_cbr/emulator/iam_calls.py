"""What each call of IAM does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.emulator.error_responses import iam
from airflow_cbr.emulator.exchange import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.iam import Iam

_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class IamCalls:
    """The calls of IAM, by their published names."""

    def __init__(self, identity: Iam) -> None:
        self._iam = identity
        self.by_name: dict[str, Callable[[Call], Answer]] = {
            "KeystoneShowVersion": self.show_version,
            "KeystoneCreateUserTokenByPassword": self.create_token,
            "KeystoneValidateToken": self.validate_token,
            "KeystoneListProjects": self.list_projects,
        }

    def show_version(self, call: Call) -> Answer:
        """Tell the version; nobody is asked who they are."""
        return Answer.of(
            {
                "version": {
                    "id": "v3.6",
                    "status": "stable",
                    "updated": "2016-04-04T00:00:00Z",
                    "links": [{"rel": "self", "href": f"{_base(call)}/v3/"}],
                    "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
                }
            }
        )

    def create_token(self, call: Call) -> Answer:
        """Issue a token for a name and a password."""
        token = self._iam.issue(call)
        row = self._iam.token_row(token, self._catalog_base(call))
        return Answer.of({"token": row}, 201, {"X-Subject-Token": token.value})

    def validate_token(self, call: Call) -> Answer:
        """Show what a token is good for."""
        self._iam.caller(call, None)
        token = self._iam.show(call)
        return Answer.of({"token": self._iam.token_row(token, self._catalog_base(call))}, 200, {"X-Subject-Token": token.value})

    def list_projects(self, call: Call) -> Answer:
        """List the projects that the caller may use."""
        caller = self._iam.caller(call, None)
        base, account_id = _base(call), self._iam.account_id
        nothing = (
            call.asked("domain_id") not in (None, account_id)
            or call.asked("parent_id") not in (None, account_id)
            or call.asked("enabled") == "false"
            or call.asked("is_domain") == "true"
        )
        rows: list[dict[str, Any]] = [
            {
                "id": project.id,
                "name": project.name,
                "description": "",
                "domain_id": account_id,
                "parent_id": account_id,
                "enabled": True,
                "is_domain": False,
                "links": {"self": f"{base}/v3/projects/{project.id}", "next": None, "previous": None},
            }
            for project in self._iam.projects_of(caller.user)
            if call.asked("name") in (None, project.name) and not nothing
        ]
        per_page, number = _positive(call, "per_page", 5000), _positive(call, "page", 1)
        if per_page > 5000:
            raise iam(400, "per_page must be 5000 or less")
        shown = rows[(number - 1) * per_page : number * per_page]
        return Answer.of({"projects": shown, "links": {"self": f"{base}/v3/projects", "next": None, "previous": None}})

    def _catalog_base(self, call: Call) -> str | None:
        return None if call.asked("nocatalog") is not None else _base(call)


def _base(call: Call) -> str:
    return f"http://{call.headers.get('host', '127.0.0.1')}"


def _positive(call: Call, name: str, default: int) -> int:
    text = call.asked(name)
    if text is None:
        return default
    if _WHOLE.fullmatch(text) is None or int(text) < 1:
        raise iam(400, f"{name} must be a number from 1")
    return int(text)
