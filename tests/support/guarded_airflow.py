"""A second api-server beside a stack's own, which asks for a login, below a path; and who may see what there.

``HidingAuthManager`` is Airflow's simple auth manager with one thing more: the Dags named in ``HIDDEN`` are not shown to ``HIDDEN_FROM``.
Airflow itself can say that with other auth managers, which are providers of their own.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import requests
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from airflow_cbr.demo.components import Component, stop_all
from airflow_cbr.demo.loopback import HOST, reserve_port
from airflow_cbr.demo.stack import airflow_command
from airflow_cbr.demo.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from airflow_cbr.demo.stack import AirflowStack

__all__ = ["GuardedAirflow", "HidingAuthManager", "guarded_airflow"]

PATH: Final = "/data/airflow"
#: User: role of the simple auth manager; without one nothing is allowed.
USERS: Final = {"ada": "admin", "vera": "viewer", "hidden": "viewer", "nobody": ""}
HIDDEN_FROM: Final = "hidden"
HIDDEN: Final = ("page_audit",)
_LIMIT: Final = 240.0


class HidingAuthManager(SimpleAuthManager):
    """The simple auth manager, which hides some Dags from one user."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        """Return what the simple auth manager says, unless the Dag is hidden from the user."""
        if user.get_id() == HIDDEN_FROM and details is not None and details.id in HIDDEN:
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)


class GuardedAirflow:
    """The api-server at ``url``.

    :param url: its address, with the path of ``[api] base_url``.
    :param passwords: by user.
    """

    def __init__(self, url: str, passwords: dict[str, str]) -> None:
        self.url = url
        self._passwords = passwords

    def sign_in(self, page: Page, user: str) -> None:
        """Give a browser the session of a user, as the login page does.

        :param page: a page of the browser.
        :param user: one of ``USERS``.
        """
        body = {"username": user, "password": self._passwords[user]}
        answer = requests.post(f"{self.url}/auth/token", json=body, timeout=60)
        answer.raise_for_status()
        page.context.add_cookies([{"name": "_token", "value": answer.json()["access_token"], "url": f"{self.url}/"}])


@contextmanager
def guarded_airflow(stack: AirflowStack) -> Iterator[GuardedAirflow]:
    """Run the api-server over the stack's database.

    :param stack: the running stack.
    """
    port = reserve_port(0)
    url = f"http://{HOST}:{port}{PATH}"
    passwords = {user: secrets.token_urlsafe(16) for user in USERS}
    file = stack.home / "passwords.json"
    file.write_text(json.dumps(passwords))
    settings = {
        "AIRFLOW__CORE__AUTH_MANAGER": f"{HidingAuthManager.__module__}.{HidingAuthManager.__qualname__}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(file),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
    }
    server = Component(
        "guarded api-server",
        airflow_command("api-server"),
        environment={**stack.environment, **settings},
        directory=stack.home,
        log=stack.home / "guarded-api-server.log",
    )
    server.start()

    def answers() -> bool:
        try:
            return requests.get(f"{url}/api/v2/version", timeout=20).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, limit=_LIMIT, what="the guarded api-server answers", check=server.check, every=0.5)
        yield GuardedAirflow(url, passwords)
    finally:
        stop_all([server])
