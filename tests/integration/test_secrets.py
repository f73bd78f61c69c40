"""No secret leaves the process: not in a log at any level, an XCom, a rendered field, an exception, a URL, or a trigger's arguments.

What is looked at is what the package itself writes, before Airflow masks anything.
"""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.key_parts import POD_TOKEN
from airflow_cbr.emulator.service import Service
from airflow_cbr.emulator.world import BACKUPS
from airflow_cbr.exceptions import CbrError
from airflow_cbr.hooks import cbr as hook_module
from airflow_cbr.hooks.cbr import CbrHook
from tests.support.airflow_errors import AirflowException, TaskDeferred
from tests.support.key_world import Pod, extras_of, keyless_world
from tests.support.task_run import (
    PASSWORD,
    SECRET_KEY,
    TaskRun,
    checkpointing,
    replicating,
    set_connection,
    set_password_connection,
    verifying,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_cbr.emulator.exchange import Call
    from tests.support.emulator import EmulatorServer

SECURITY_TOKEN = "security-token-that-nobody-may-see-0123456789"
WRONG_PASSWORD = "wrong-password-that-nobody-may-see"
WRONG_KEY = "wrong-secret-key-that-nobody-may-see"


class Watch:
    """Everything that may not be seen, and everything that was written."""

    def __init__(self) -> None:
        self.secrets: set[str] = {PASSWORD, SECRET_KEY, SECURITY_TOKEN, WRONG_PASSWORD, WRONG_KEY}
        self.derived: set[str] = set()
        self.urls: list[str] = []
        self.texts: list[str] = []
        self.records: list[logging.LogRecord] = []
        self.masked: list[str] = []

    def received(self, call: Call) -> None:
        """Take note of what a request carries: its token or its signature must not be seen either."""
        self.urls.append(f"{call.method} {call.raw_path}?{call.raw_query}")
        # The keys, and the tokens that they are asked with.
        self.derived |= {call.headers[name] for name in ("x-security-token", "x-metadata-token") if name in call.headers} - {SECURITY_TOKEN}
        if call.name == "GetPodIdentityCredentials":
            self.derived.add(call.headers["authorization"])
        if call.name == "AssumeAgencyWithOIDC":
            self.derived.add(call.json["id_token"])
        token = call.headers.get("x-auth-token")
        if token:
            self.derived.add(token)
        signature = call.headers.get("authorization", "").rpartition("Signature=")[2]
        if signature:
            self.derived.add(signature)

    def run(self, run: TaskRun) -> BaseException | None:
        """Run an attempt and keep all that it tells; return how it failed."""
        error: BaseException | None = None
        try:
            run.attempt()
        except (CbrError, AirflowException, TaskDeferred) as caught:
            error = caught
            self._keep_error(caught)
        self.texts += run.lines
        self.texts.append(json.dumps(run.pushes))
        self.texts.append(json.dumps({name: getattr(run.task, name) for name in run.task.template_fields}))
        self.texts += [repr(run.task), str(vars(run.task))]
        if run.store is not None:
            self.texts.append(json.dumps(run.store.kept))
        if isinstance(error, TaskDeferred):
            self.texts.append(json.dumps(error.trigger.serialize()[1]))
            self.texts.append(str(error.kwargs))
        return error

    def hook(self, act: Callable[[CbrHook], Any]) -> None:
        """Use a hook and keep all that it tells."""
        hook = CbrHook()
        try:
            self.texts.append(repr(act(hook)))
        except CbrError as caught:
            self._keep_error(caught)
        self.texts += [repr(hook), repr(hook.fields), repr(hook.client), str(vars(hook))]

    def _keep_error(self, error: BaseException) -> None:
        self.texts += [str(error), repr(error), str(vars(error)), "".join(traceback.format_exception(error))]

    def check(self, *, derived: int) -> None:
        """Check that nothing was seen.

        :param derived: how many tokens or signatures there must have been at least, so that the check is not empty.
        """
        assert len(self.derived) >= derived
        assert self.urls
        assert self.texts
        assert not derived or any(record.levelno == logging.DEBUG for record in self.records)
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s")
        written = [*self.texts, *self.urls, *(formatter.format(record) for record in self.records)]
        for secret in self.secrets | self.derived:
            for text in written:
                assert secret not in text, f"a secret stands in: {text.replace(secret, '<<<HERE>>>')[:2000]}"


class ProcessReaper(logging.Handler):
    """Keeps what is logged; that of ``caplog`` keeps each phase of a test apart."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._records.append(record)


@pytest.fixture
def watch(pod: Pod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Watch]:
    watching = Watch()
    watching.secrets |= pod.secrets
    handle = Service.handle

    def noted(self: Service, call: Call) -> Any:
        watching.received(call)
        return handle(self, call)

    monkeypatch.setattr(Service, "handle", noted)
    monkeypatch.setattr(hook_module, "mask_secret", watching.masked.append)
    caplog.set_level(logging.DEBUG)
    # Also those loggers that somebody has made quiet.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("airflow_cbr", "urllib3", "requests", "tenacity")):
            caplog.set_level(logging.DEBUG, logger=name)
    handler = ProcessReaper(watching.records)
    logging.root.addHandler(handler)
    yield watching
    logging.root.removeHandler(handler)


WAYS = ["temporary keys", "password"]
KEYLESS = ["ecs_agency, then agency_urn", "pod_identity, then agency_name", "oidc"]


def connect(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, way: str, *, wrong: bool = False) -> None:
    """Define the connection; temporary keys have all the secrets that keys can have."""
    if way in KEYLESS:
        emulator.control.world(keyless_world().model_copy(update={"switches": emulator.emulator.service.switches}))
        set_connection(monkeypatch, emulator.url, login="", password="", **extras_of(way, emulator.url))
        return
    if way == "password":
        set_password_connection(monkeypatch, emulator.url, password=WRONG_PASSWORD if wrong else PASSWORD)
    else:
        emulator.control.change_user("backup-bot", security_token=SECURITY_TOKEN)
        set_connection(monkeypatch, emulator.url, password=WRONG_KEY if wrong else SECRET_KEY, security_token=SECURITY_TOKEN)


@pytest.fixture(autouse=True)
def pod(emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, emulator.url, monkeypatch)


@pytest.mark.parametrize("way", [*WAYS, *KEYLESS])
def test_in_success(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str) -> None:
    connect(emulator, monkeypatch, way)
    replicate = replicating()
    assert watch.run(replicate) is None
    record_ids = replicate.xcoms["return_value"]
    assert watch.run(waiting(record_ids)) is None
    assert watch.run(verifying(record_ids)) is None
    emulator.control.switch(checkpoint_seconds=0.2)
    assert watch.run(checkpointing()) is None
    watch.hook(lambda hook: hook.test_connection())
    watch.hook(lambda hook: list(hook.list_backups(show_replication=True)))
    watch.check(derived=1 if way == "password" else 2)
    if way == "password":
        assert watch.derived <= set(watch.masked), "each token is given to Airflow to be masked"
    if way in KEYLESS:
        keys = emulator.emulator.service.iam.agencies.keys.values()
        assert {secret for key in keys for secret in (key.secret_key, key.security_token)} <= set(watch.masked)


@pytest.mark.parametrize("way", [*WAYS, *KEYLESS])
def test_in_a_deferral(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str) -> None:
    connect(emulator, monkeypatch, way)
    emulator.control.switch(copy_seconds=3600)
    assert isinstance(watch.run(checkpointing(deferrable=True)), TaskDeferred)
    emulator.control.advance(60)
    replicate = replicating(deferrable=True)
    assert isinstance(watch.run(replicate), TaskDeferred)
    assert isinstance(watch.run(waiting(replicate.xcoms["return_value"], deferrable=True)), TaskDeferred)
    watch.check(derived=1 if way == "password" else 2)


@pytest.mark.parametrize("way", WAYS)
def test_in_a_refused_login(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str) -> None:
    connect(emulator, monkeypatch, way, wrong=True)
    record = "a1b2c3d4-0000-4000-8000-000000000001"
    for run in (replicating(), waiting([record]), verifying([record]), checkpointing()):
        assert "HTTP 401" in str(watch.run(run))
    watch.hook(lambda hook: hook.test_connection())
    watch.hook(lambda hook: hook.show_backup(BACKUPS[0]))
    watch.check(derived=0 if way == "password" else 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "status", "status": 502, "call": "CopyCheckpoint"},
        {"kind": "reset", "call": "CopyCheckpoint"},
        {"kind": "html", "call": "CopyCheckpoint"},
        {"kind": "truncated", "call": "CopyCheckpoint"},
        {"kind": "code", "code": "6119", "call": "CopyCheckpoint"},
        {"kind": "malformed_url", "call": "ListBackups"},
        {"kind": "status", "status": 503, "call": "ListBackups"},
        {"kind": "throttle", "retry_after": 0, "call": "ListBackups"},
        {"kind": "copy_fails"},
    ],
    ids=lambda trouble: f"{trouble['kind']}-{trouble.get('call', 'copy')}",
)
def test_when_something_goes_wrong(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str, trouble: dict[str, Any]
) -> None:
    connect(emulator, monkeypatch, way)
    emulator.control.fault(**trouble)
    watch.run(replicating())
    assert emulator.control.faults()[0]["hits"] == 1
    watch.run(verifying([]))
    watch.check(derived=1)


@pytest.mark.parametrize("way", WAYS)
def test_when_the_service_itself_says_them_back(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str) -> None:
    connect(emulator, monkeypatch, way)
    secrets = " ".join([PASSWORD, SECRET_KEY, SECURITY_TOKEN])
    emulator.control.fault("code", call="CopyCheckpoint", code="6119", message=f"You sent {secrets}.")
    own = {SECRET_KEY, SECURITY_TOKEN} if way == "temporary keys" else {PASSWORD}
    watch.secrets = own
    error = watch.run(replicating())
    assert "6119" in str(error)
    watch.check(derived=1)


@pytest.mark.parametrize("way", KEYLESS)
@pytest.mark.parametrize("trouble", ["refused", "html", "status", "reset", "says it back"])
def test_when_signing_in_goes_wrong(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, pod: Pod, way: str, trouble: str
) -> None:
    connect(emulator, monkeypatch, way)
    calls = {"oidc": "AssumeAgencyWithOIDC", "ecs_agency, then agency_urn": "AssumeAgency"}
    call = calls.get(way, "CreateTemporaryAccessKey")
    if trouble == "refused":
        emulator.control.change_agency("airflow", trusts=[])
    elif trouble == "says it back":
        # Each service the token that it was sent; the metadata service's own is another each time.
        asked = {"oidc": call, "ecs_agency, then agency_urn": call}.get(way, "GetPodIdentityCredentials")
        said = next(one for one in sorted(pod.secrets) if (one == POD_TOKEN) is (way != "oidc"))
        watch.secrets = pod.secrets if way != "ecs_agency, then agency_urn" else set()
        emulator.control.fault("code", call=asked, code="6119", message=f"You sent {said}.", count=None)
    else:
        emulator.control.fault(trouble, call=call, when="before")
    watch.hook(lambda hook: hook.test_connection())
    watch.run(replicating())
    watch.run(replicating(deferrable=True))
    watch.check(derived=1)


@pytest.mark.parametrize("way", WAYS)
def test_when_the_connection_itself_is_wrong(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, watch: Watch, way: str) -> None:
    connect(emulator, monkeypatch, way)
    for extra in ({"region": "evil/"}, {"cbr_endpoint": f"http://backup-bot:{PASSWORD}@evil.example"}, {"verify": 7}):
        if way == "password":
            set_password_connection(monkeypatch, emulator.url, **extra)
        else:
            set_connection(monkeypatch, emulator.url, security_token=SECURITY_TOKEN, **extra)
        assert watch.run(replicating()) is not None
        works, message = CbrHook().test_connection()
        assert not works
        watch.texts.append(message)
    watch.urls.append("nothing was sent")
    watch.check(derived=0)
