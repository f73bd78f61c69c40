"""A plain client for tests of the emulator: it knows the protocol no better than ``curl`` does."""

from __future__ import annotations

from typing import Any

import requests

from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT
from tests.support.emulator import IN_PROCESS_URL, ControlClient, InProcessAdapter

TO_DESTINATION: dict[str, Any] = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": DESTINATION_PROJECT,
    "destination_vault_id": DESTINATION_VAULT,
}


def token_body(
    scope: dict[str, Any] | None = None, *, name: str = "backup-bot", password: str = "emulator-password", account: str = "acme"
) -> dict[str, Any]:
    """Return the body of a request for a token."""
    user = {"name": name, "password": password, "domain": {"name": account}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return {"auth": auth | ({"scope": scope} if scope is not None else {})}


class Plain:
    """Calls the emulator with a token of one project at a time.

    :param session: sends the calls.
    :param url: base URL of the emulator.
    :param control: its control calls.
    """

    def __init__(self, session: requests.Session, url: str, control: ControlClient) -> None:
        self.session = session
        self.url = url
        self.control = control
        self._tokens: dict[str, str] = {}

    @classmethod
    def in_process(cls, adapter: InProcessAdapter) -> Plain:
        """Return one that needs no sockets."""
        session = requests.Session()
        session.trust_env = False
        session.mount(IN_PROCESS_URL, adapter)
        return cls(session, IN_PROCESS_URL, adapter.control())

    def forget_tokens(self) -> None:
        """Ask for new tokens from now on."""
        self._tokens.clear()

    def token(self, project_id: str) -> str:
        """Return a token of a project."""
        if project_id not in self._tokens:
            answer = self.session.post(f"{self.url}/v3/auth/tokens", json=token_body({"project": {"id": project_id}}), timeout=(5, 20))
            assert answer.status_code == 201, answer.text
            self._tokens[project_id] = answer.headers["X-Subject-Token"]
        return self._tokens[project_id]

    def send(
        self, method: str, path: str, *, project_id: str = SOURCE_PROJECT, body: Any = None, query: Any = None, **options: Any
    ) -> requests.Response:
        """Send a call about a project."""
        headers = {"X-Auth-Token": self.token(project_id)} | options.pop("headers", {})
        options.setdefault("timeout", (5, 20))
        return self.session.request(method, f"{self.url}/v3/{project_id}{path}", json=body, params=query, headers=headers, **options)

    def get(self, path: str, *, project_id: str = SOURCE_PROJECT, **query: Any) -> Any:
        """Read something that is there."""
        answer = self.send("GET", path, project_id=project_id, query=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def replicate(self, vault_id: str = SOURCE_VAULT, **changes: Any) -> requests.Response:
        """Replicate a vault."""
        body = {"replicate": {"vault_id": vault_id} | TO_DESTINATION | changes}
        return self.send("POST", "/checkpoints/replicate", body=body)

    def replicate_backup(self, backup_id: str, **changes: Any) -> requests.Response:
        """Replicate one backup."""
        return self.send("POST", f"/backups/{backup_id}/replicate", body={"replicate": TO_DESTINATION | changes})

    def accepted(self, vault_id: str = SOURCE_VAULT, **changes: Any) -> list[str]:
        """Replicate a vault successfully; return the ids of the backups that are copied."""
        answer = self.replicate(vault_id, **changes)
        assert answer.status_code == 200, answer.text
        return [pair["backup_id"] for pair in answer.json()["replication"]["backups"]]

    def records(self, backup_id: str) -> list[dict[str, Any]]:
        """Return the records of a backup."""
        records: list[dict[str, Any]] = self.get(f"/backups/{backup_id}")["backup"]["replication_records"]
        return records

    def statuses(self, vault_id: str = SOURCE_VAULT) -> list[str]:
        """Return the status of every record of a vault's backups."""
        rows = self.get("/backups", vault_id=vault_id, show_replication="true")["backups"]
        return [record["status"] for row in rows for record in row["replication_records"]]


def code_of(answer: requests.Response) -> tuple[int, str]:
    """Return the HTTP status and the code of a refusal."""
    return answer.status_code, answer.json()["error_code"]
