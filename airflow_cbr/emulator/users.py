"""IAM users, and how often in a row each was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cbr.emulator.key_parts import UserPart


@dataclass(slots=True)
class User:
    """An IAM user, and how often in a row the password or the signature was wrong."""

    id: str
    name: str
    password: str
    access_key: str
    secret_key: str
    security_token: str | None
    projects: frozenset[str] | None
    denied_calls: frozenset[str]
    signature_failures: int = 0
    keys_locked_until: float = 0.0
    password_failures: int = 0
    password_locked_until: float = 0.0

    def may_use(self, project_id: str) -> bool:
        """Return whether the user may use a project.

        :param project_id: the project.
        """
        return self.projects is None or project_id in self.projects


def held(part: UserPart) -> dict[str, Any]:
    """Return what a user holds, by the names of its fields.

    :param part: as the world says it.
    """
    projects = None if part.projects is None else frozenset(part.projects)
    return dict(part) | {"projects": projects, "denied_calls": frozenset(part.denied_calls)}
