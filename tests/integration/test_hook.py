"""The hook against the emulator: what the connection means, what the connection test says, and that each call goes through."""

from __future__ import annotations

import runpy
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_PROJECT, SOURCE_VAULT
from airflow_cbr.exceptions import CbrConfigurationError, CbrError, CbrNotFoundError, CbrParameterError
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.task_run import CONN_ID, IDS, PASSWORD, SECRET_KEY, set_connection, set_password_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import EmulatorServer

WORKS = (True, f"CBR in cn-north-4 answers for project {SOURCE_PROJECT}.")


def fails(*needles: str, **hook: Any) -> str:
    """Check that the connection test fails, says so without a secret, and writes nothing; return the message."""
    works, message = CbrHook(**hook).test_connection()
    assert not works
    for needle in needles:
        assert needle in message
    for secret in (SECRET_KEY, PASSWORD, "not-the-secret"):
        assert secret not in message
    return message


# --- the connection test ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("project_id", [None, SOURCE_PROJECT])
@pytest.mark.parametrize("by", ["key", "password"])
def test_a_good_connection_works_and_is_only_read(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, by: str, project_id: str | None
) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url, project_id=project_id)
    assert CbrHook().test_connection() == WORKS
    assert emulator.control.ledger()["calls"] == []
    assert emulator.control.requests()["ListVault"] == 1


def test_a_wrong_secret_key_is_one_try_and_names_the_fields(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, password="not-the-secret", project_id=SOURCE_PROJECT)
    fails("HTTP 401", "APIG.0301", "secret key")
    assert emulator.control.requests() == {"ListVault": 1}, "the sixth wrong signature locks the key"


def test_an_unknown_access_key(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, login="NOSUCHKEY")
    fails("HTTP 401", "access key")


def test_a_wrong_password_is_one_try_and_names_the_fields(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_password_connection(monkeypatch, emulator.url, password="not-the-secret")
    fails("HTTP 401", "password")
    assert emulator.control.requests() == {"KeystoneCreateUserTokenByPassword": 1}


@pytest.mark.parametrize("by", ["key", "password"])
def test_an_unknown_region(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url, region="cn-nowhere-9")
    fails("project" if by == "password" else "cn-nowhere-9")


def test_a_region_whose_endpoint_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, "", cbr_endpoint=None, iam_endpoint=None, cloud="cloud.invalid", region="cn-nowhere-9")
    began = time.monotonic()
    fails("iam.cn-nowhere-9.cloud.invalid")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("by", ["key", "password"])
def test_an_unknown_project(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url, project_id="f" * 32)
    fails("project")


@pytest.mark.parametrize("by", ["key", "password"])
def test_a_missing_permission(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    (set_connection if by == "key" else set_password_connection)(monkeypatch, emulator.url, project_id=SOURCE_PROJECT)
    emulator.control.change_user("backup-bot", denied_calls=["ListVault"])
    fails("HTTP 403", "APIG.0302", "Give the user or agency the action cbr:vaults:list")


def test_an_endpoint_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        set_connection(monkeypatch, url, project_id=SOURCE_PROJECT)
        began = time.monotonic()
        fails("127.0.0.1")
        assert time.monotonic() - began < 15


def test_a_service_that_does_not_answer_is_given_up_soon(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, project_id=SOURCE_PROJECT)
    emulator.control.fault("timeout", call="ListVault", count=None)
    began = time.monotonic()
    fails("ListVault")
    assert time.monotonic() - began < 15
    assert emulator.control.requests() == {"ListVault": 1}, "a form waits for the answer: there is no second try"


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer to everything; give the base URL and the list of what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_and_not_followed(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with answering(status, {"Location": f"{emulator.url}/v3/{SOURCE_PROJECT}/vaults"}, b"") as (url, asked):
        set_connection(monkeypatch, url, project_id=SOURCE_PROJECT)
        fails(f"HTTP {status}", "redirect", "https, not http?")
        assert len(asked) == 1
    assert emulator.control.requests() == {}


def test_a_page_of_a_proxy_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>") as (url, _):
        set_connection(monkeypatch, url, project_id=SOURCE_PROJECT)
        fails("ListVault")


# --- what the connection says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "needle"),
    [
        ({"auth_type": "oauth"}, "auth_type"),
        ({"auth_type": "password"}, "domain_name"),
        ({"login": ""}, "login"),
        ({"password": ""}, "password"),
        ({"region": "evil/"}, "region"),
        ({"region": "x@evil/"}, "region"),
        ({"region": 7}, "region"),
        ({"region": None}, "region"),
        ({"project_id": "../x"}, "project_id"),
        ({"cloud": "evil/#"}, "cloud"),
        ({"cbr_endpoint": "ftp://x"}, "cbr_endpoint"),
        ({"iam_endpoint": "http://user:secret@x"}, "iam_endpoint"),
        ({"login": "AK WITH A SPACE"}, "access key"),
        ({"verify": 7}, "verify"),
        ({"verify": "/no/such/bundle"}, "verify"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_right_is_named_by_hook_and_connection_test(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], needle: str
) -> None:
    set_connection(monkeypatch, emulator.url, **extra)
    with pytest.raises(CbrConfigurationError, match=needle) as caught:
        _ = CbrHook().client
    assert CONN_ID in str(caught.value)
    assert "user:secret" not in str(caught.value)
    fails(needle)
    assert emulator.control.requests() == {}


@pytest.mark.parametrize("value", ["evil/", "x@evil/", "#", "..", "a.b"])
def test_the_hooks_own_region_and_project_are_checked_before_anything_is_sent(emulator: EmulatorServer, value: str) -> None:
    for hook in (CbrHook(region=value), CbrHook(project_id=value)):
        with pytest.raises(CbrParameterError):
            next(hook.list_vaults())
    fails("region", region=value)
    fails("project_id", project_id=value)
    assert emulator.control.requests() == {}


def test_a_public_endpoint_of_one_region_is_not_asked_about_another(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, "https://cbr.example.invalid", project_id=SOURCE_PROJECT)
    with pytest.raises(CbrConfigurationError, match=r"cbr_endpoint .*serves one region .cn-north-4.*cn-shenzhen-1"):
        next(CbrHook(region="cn-shenzhen-1", project_id=DESTINATION_PROJECT).list_vaults())


def test_the_connections_project_is_that_of_its_own_region_only(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, project_id=SOURCE_PROJECT)
    assert CbrHook().project_id == SOURCE_PROJECT
    assert CbrHook(region="cn-shenzhen-1").project_id == DESTINATION_PROJECT
    assert CbrHook(region="cn-shenzhen-1").region == "cn-shenzhen-1"


def test_the_region_stands_in_an_endpoint_where_it_says_so(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(404, {}, b"") as (url, asked):
        set_connection(monkeypatch, url, cbr_endpoint=f"{url}/at/{{region}}", project_id=SOURCE_PROJECT)
        with pytest.raises(CbrError):
            next(CbrHook(region="cn-shenzhen-1", project_id=DESTINATION_PROJECT).list_vaults())
        assert asked[0].startswith(f"/at/cn-shenzhen-1/v3/{DESTINATION_PROJECT}/vaults?")


def test_the_connection_is_read_on_first_use_and_not_before(monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    hook = CbrHook()
    set_connection(monkeypatch, emulator.url)
    assert hook.get_conn() is hook.client
    assert hook.region == "cn-north-4"


def test_temporary_keys_work_with_their_security_token_only(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.control.change_user("backup-bot", security_token="a-security-token")
    fails("HTTP 401")
    set_connection(monkeypatch, emulator.url, security_token="a-security-token")
    assert CbrHook().test_connection() == WORKS


# --- one method per call ----------------------------------------------------------------------------------------------------


def test_every_call_goes_through(emulator: EmulatorServer) -> None:
    hook = CbrHook()
    to = {name: value for name, value in IDS.items() if name != "vault_id"}
    assert {backup.id for backup in hook.list_backups(vault_id=SOURCE_VAULT, show_replication=True)} == set(BACKUPS)
    assert hook.show_backup(BACKUPS[0]).name == "nightly-ecs-web-01"
    assert [vault.id for vault in hook.list_vaults(protect_type="backup")] == [SOURCE_VAULT]
    assert hook.show_vault(SOURCE_VAULT).name == "vault-nightly"
    external = hook.list_external_vaults(external_project_id=DESTINATION_PROJECT, region_id="cn-shenzhen-1", protect_type="replication")
    assert [vault.id for vault in external] == [IDS["destination_vault_id"]]
    assert next((one.name, one.replication_destinations) for one in hook.list_replication_capabilities()) == (
        "cn-north-4",
        ["cn-shenzhen-1"],
    )
    assert len(hook.replicate_backup(BACKUPS[0], **to, name="replica", description="by hand").references) == 1
    emulator.control.advance(60)
    assert len(hook.replicate_checkpoint(**IDS).references) == 2
    logs = list(hook.list_operation_logs(operation_type="replication"))
    assert len(logs) == 3
    assert hook.show_operation_log(str(logs[0].id)).id == logs[0].id
    emulator.control.advance(60)
    checkpoint = hook.create_checkpoint(vault_id=SOURCE_VAULT, name="by-hand", description="x", incremental=True)
    assert hook.show_checkpoint(str(checkpoint.id)).id == checkpoint.id
    with pytest.raises(CbrNotFoundError):
        hook.show_backup("a1b2c3d4-0000-4000-8000-000000000001")
    called = {name for name in emulator.control.requests() if not name.startswith("Keystone")}
    assert len(called) == 12, called


# --- what the documentation does with it --------------------------------------------------------------------------------------


def test_the_example_lists_the_vaults_of_both_regions(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_connection(monkeypatch, emulator.url)
    print_vaults = runpy.run_path(str(Path(__file__).parents[2] / "docs/examples/list_vaults.py"))["print_vaults"]
    print_vaults()
    print_vaults("cn-shenzhen-1")
    here, there = capsys.readouterr().out.split("Project of ")[1:]
    assert here.startswith(f"cn-north-4: {SOURCE_PROJECT}\n")
    assert f"{SOURCE_VAULT}  " in here
    assert "(replication)" in there
