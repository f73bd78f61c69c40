from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.signature import canonical_request, signature_of
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT, default_world
from tests.support.emulator import IN_PROCESS_URL, InProcessAdapter
from tests.support.plain_client import Plain, code_of, token_body

if TYPE_CHECKING:
    import requests

    from tests.support.emulator import ControlClient

KEYS = ("EMULATORACCESSKEY001", "emulator-secret-key-for-local-use-only")
BACKUPS_PATH = f"/v3/{SOURCE_PROJECT}/backups"


def ask_token(cbr: Plain, body: Any, query: str = "") -> requests.Response:
    return cbr.session.post(f"{cbr.url}/v3/auth/tokens{query}", json=body, timeout=5)


def signed(cbr: Plain, path: str = BACKUPS_PATH, *, keys: tuple[str, str] = KEYS, off: float = 0.0, **more: str) -> requests.Response:
    date = (datetime.now(UTC) + timedelta(seconds=off)).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "127.0.0.1:1", "x-sdk-date": date} | {name.replace("_", "-"): value for name, value in more.items()}
    names = tuple(sorted(headers))
    path, _, query = path.partition("?")
    signature = signature_of(canonical_request("GET", path, query, headers, names, b""), date, keys[1])
    headers["Authorization"] = f"SDK-HMAC-SHA256 Access={keys[0]}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return cbr.session.get(f"{cbr.url}{path}", params=query or None, headers=headers, timeout=5)


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_the_version_needs_no_token(cbr: Plain) -> None:
    assert cbr.session.get(f"{cbr.url}/v3", timeout=5).json()["version"]["status"] == "stable"


@pytest.mark.parametrize(
    "project",
    [{"id": SOURCE_PROJECT}, {"name": "cn-north-4"}, {"name": "cn-north-4", "domain": {"name": "acme"}}],
    ids=["id", "name", "name and account"],
)
def test_a_token_for_a_project(cbr: Plain, project: dict[str, Any]) -> None:
    answer = ask_token(cbr, token_body({"project": project}))
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert token["project"]["id"] == SOURCE_PROJECT
    assert any(service["type"] == "cbr" and SOURCE_PROJECT in service["endpoints"][0]["url"] for service in token["catalog"])
    assert len(answer.headers["X-Subject-Token"]) > 1000
    life = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["issued_at"])
    assert life == timedelta(hours=24)


def test_no_catalog_on_request(cbr: Plain) -> None:
    assert "catalog" not in ask_token(cbr, token_body({"project": {"id": SOURCE_PROJECT}}), "?nocatalog=any").json()["token"]


def test_a_token_without_scope_is_for_the_account(cbr: Plain) -> None:
    answer = ask_token(cbr, token_body())
    assert answer.json()["token"]["domain"]["name"] == "acme"
    refused = cbr.session.get(f"{cbr.url}{BACKUPS_PATH}", headers={"X-Auth-Token": answer.headers["X-Subject-Token"]}, timeout=5)
    assert code_of(refused) == (403, "APIG.0302")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (token_body(password="wrong"), 401, "The username or password is wrong."),
        (token_body(name="nobody"), 401, "The username or password is wrong."),
        (token_body(account="other"), 401, "The username or password is wrong."),
        (token_body({"project": {"name": "cn-nowhere-1"}}), 404, "The project does not exist."),
        (token_body({"project": {"name": "cn-north-4", "domain": {"name": "other"}}}), 404, "The account does not exist."),
        ({"auth": {}}, 400, "The request body is invalid"),
        (None, 400, "The request body is invalid"),
    ],
)
def test_refused_tokens_in_the_shape_of_iam(cbr: Plain, body: Any, status: int, message: str) -> None:
    answer = ask_token(cbr, body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status
    assert answer.json()["error"]["message"] == message
    assert answer.headers["X-IAM-Trace-Id"]


def test_wrong_passwords_lock_the_user_for_a_while(cbr: Plain, adapter: InProcessAdapter) -> None:
    for _ in range(6):
        ask_token(cbr, token_body(password="wrong"))
    locked = ask_token(cbr, token_body())
    assert (locked.status_code, locked.json()["error"]["message"]) == (401, "The account is locked.")
    adapter.clock.advance(301)
    assert ask_token(cbr, token_body()).status_code == 201


def test_a_token_expires(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    control.switch(token_seconds=60)
    assert cbr.get("/backups")["count"] == 3
    adapter.clock.advance(59)
    assert cbr.get("/backups")["count"] == 3
    adapter.clock.advance(1)
    assert code_of(cbr.send("GET", "/backups")) == (401, "APIG.0307")


@pytest.mark.parametrize(("how", "code"), [("revoke", "APIG.0301"), ("expire", "APIG.0307")])
def test_tokens_end_on_command(cbr: Plain, control: ControlClient, how: str, code: str) -> None:
    cbr.get("/backups")
    assert control.end_tokens(how=how) == 1
    assert code_of(cbr.send("GET", "/backups")) == (401, code)


def test_a_new_token_leaves_the_old_one_alone(cbr: Plain) -> None:
    cbr.get("/backups")
    ask_token(cbr, token_body({"project": {"id": SOURCE_PROJECT}}))
    assert cbr.get("/backups")["count"] == 3


def test_a_token_of_another_project_is_refused(cbr: Plain) -> None:
    headers = {"X-Auth-Token": cbr.token(DESTINATION_PROJECT)}
    assert code_of(cbr.send("GET", "/backups", headers=headers)) == (403, "APIG.0302")


def test_validating_a_token(cbr: Plain) -> None:
    token = cbr.token(SOURCE_PROJECT)
    url = f"{cbr.url}/v3/auth/tokens"
    shown = cbr.session.get(url, headers={"X-Auth-Token": token, "X-Subject-Token": token}, timeout=5)
    assert shown.json()["token"]["user"]["name"] == "backup-bot"
    unknown = cbr.session.get(url, headers={"X-Auth-Token": token, "X-Subject-Token": "x"}, timeout=5)
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "X-Subject-Token is invalid in the request")


# --- projects ---------------------------------------------------------------------------------------------------------


def test_projects_by_name_with_a_token_and_signed(cbr: Plain) -> None:
    headers = {"X-Auth-Token": cbr.token(SOURCE_PROJECT)}
    by_token = cbr.session.get(f"{cbr.url}/v3/projects", params={"name": "cn-shenzhen-1"}, headers=headers, timeout=5)
    assert [project["id"] for project in by_token.json()["projects"]] == [DESTINATION_PROJECT]
    by_signature = signed(cbr, "/v3/projects?name=cn-north-4")
    assert [project["id"] for project in by_signature.json()["projects"]] == [SOURCE_PROJECT]
    assert len(signed(cbr, "/v3/projects").json()["projects"]) == 2


def test_pages_of_projects(cbr: Plain) -> None:
    assert [one["id"] for one in signed(cbr, "/v3/projects?page=2&per_page=1").json()["projects"]] == [DESTINATION_PROJECT]


# --- signatures -------------------------------------------------------------------------------------------------------


def test_a_signed_call(cbr: Plain) -> None:
    assert signed(cbr).json()["count"] == 3


@pytest.mark.parametrize(
    ("keys", "off", "reason"),
    [
        ((KEYS[0], "wrong"), 0, "verify aksk signature fail"),
        (("NOSUCHKEY", "x"), 0, "ak NOSUCHKEY not exist"),
        (KEYS, -1000, "15 minutes"),
        (KEYS, 1000, "15 minutes"),
    ],
)
def test_refused_signatures(cbr: Plain, keys: tuple[str, str], off: float, reason: str) -> None:
    answer = signed(cbr, keys=keys, off=off)
    assert code_of(answer) == (401, "APIG.0301")
    assert reason in answer.json()["error_msg"]
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_no_credentials_at_all(cbr: Plain) -> None:
    assert code_of(cbr.session.get(f"{cbr.url}{BACKUPS_PATH}", timeout=5)) == (401, "APIG.0301")


def test_wrong_signatures_lock_the_key(cbr: Plain, adapter: InProcessAdapter) -> None:
    for _ in range(2):
        # Only failures in a row count.
        for _ in range(5):
            signed(cbr, keys=(KEYS[0], "wrong"))
        assert signed(cbr).status_code == 200
    for _ in range(6):
        signed(cbr, keys=(KEYS[0], "wrong"))
    assert "AK access failed to reach the limit" in signed(cbr).json()["error_msg"]
    adapter.clock.advance(299)
    assert signed(cbr).status_code == 401
    adapter.clock.advance(2)
    assert signed(cbr).status_code == 200


def test_the_project_header_must_fit_the_path(cbr: Plain) -> None:
    assert signed(cbr, x_project_id=SOURCE_PROJECT).status_code == 200
    assert code_of(signed(cbr, x_project_id=DESTINATION_PROJECT)) == (403, "APIG.0302")


def test_the_clock_that_judges_a_signature_is_a_switch(cbr: Plain, control: ControlClient, adapter: InProcessAdapter) -> None:
    adapter.clock.advance(3600)
    assert signed(cbr).status_code == 200
    control.switch(signature_clock="simulated")
    assert signed(cbr).status_code == 401


def test_temporary_keys_bring_a_signed_token() -> None:
    world = default_world()
    world.users[0].security_token = "temporary"
    cbr = Plain.in_process(InProcessAdapter(Emulator(world, Clock(speed=0))))
    assert "security token is missing" in signed(cbr).json()["error_msg"]
    assert signed(cbr, x_security_token="temporary").status_code == 200


# --- what a user may do -------------------------------------------------------------------------------------------------


def test_a_user_of_some_projects_only() -> None:
    world = default_world()
    world.users.append(
        UserPart(name="narrow", password="narrow-password", access_key="AK2", secret_key="SK2", projects=[DESTINATION_PROJECT])
    )
    cbr = Plain.in_process(InProcessAdapter(Emulator(world, Clock(speed=0))))
    assert code_of(signed(cbr, keys=("AK2", "SK2"))) == (403, "APIG.0302")
    assert signed(cbr, f"/v3/{DESTINATION_PROJECT}/backups", keys=("AK2", "SK2")).status_code == 200
    assert [one["id"] for one in signed(cbr, "/v3/projects", keys=("AK2", "SK2")).json()["projects"]] == [DESTINATION_PROJECT]
    refused = ask_token(cbr, token_body({"project": {"id": SOURCE_PROJECT}}, name="narrow", password="narrow-password"))
    assert refused.status_code == 403


def test_denied_calls_and_rotated_secrets(cbr: Plain, control: ControlClient) -> None:
    control.change_user("backup-bot", denied_calls=["CopyCheckpoint"])
    assert code_of(cbr.replicate()) == (403, "APIG.0302")
    assert cbr.get("/backups")["count"] == 3
    control.change_user("backup-bot", secret_key="new", password="new-password")
    assert signed(cbr).status_code == 401
    assert signed(cbr, keys=(KEYS[0], "new")).status_code == 200
    assert code_of(cbr.send("GET", "/backups")) == (401, "APIG.0301")
    assert ask_token(cbr, token_body()).status_code == 401


def test_ids_that_are_none(cbr: Plain) -> None:
    for path in (f"/v3/{'0' * 32}/backups", "/v3/not-a-project/backups"):
        answer = signed(cbr, path)
        assert answer.status_code == 401
        assert answer.json() == {"unauthorized": {"code": "401", "message": "Malformed request url"}}
    assert cbr.send("GET", "/backups/not-an-id").json()["unauthorized"]["message"] == "Malformed request url"


def test_no_such_path(cbr: Plain) -> None:
    assert code_of(cbr.session.get(f"{IN_PROCESS_URL}/v3/x/y/z", timeout=5)) == (404, "APIG.0101")


@pytest.mark.parametrize(("ahead", "status"), [(890.0, 200), (910.0, 401), (-910.0, 401)])
def test_a_region_whose_clock_is_off_says_so_and_judges_signatures_by_it(
    cbr: Plain, control: ControlClient, adapter: InProcessAdapter, ahead: float, status: int
) -> None:
    world = default_world()
    world.regions[0].clock_ahead = ahead
    control.world(world)
    answer = signed(cbr)
    assert answer.status_code == status
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == int(adapter.clock.now() + ahead)
    assert signed(cbr, f"/v3/{DESTINATION_PROJECT}/backups").status_code == 200, "the other region's clock is right"
