"""An emulator for tests: on a real socket in a thread, or in-process without sockets and in virtual time.

``EmulatorServer`` is for what must see real connections (resets, timeouts, other processes). ``InProcessAdapter`` is a transport adapter
of requests that runs the same application in the calling thread, a few hundred microseconds a call, on a clock that only the test
moves: for campaigns of thousands of requests.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import unquote, urlsplit

import requests
import urllib3
import uvicorn
from requests.adapters import BaseAdapter, HTTPAdapter

from airflow_cbr.emulator.app import create_app
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.delivery import LINE
from airflow_cbr.emulator.server import listen, url_of, uvicorn_config
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.world import World, default_world

if TYPE_CHECKING:
    from fastapi import FastAPI

IN_PROCESS_URL = "http://127.0.0.1:1"
"""Base URL of an in-process emulator: loopback, and nothing listens there, so that a request past the adapter fails."""
_LIMIT = 20.0
_ASKED: ContextVar[Emulator] = ContextVar("_ASKED")


class ControlError(AssertionError):
    """A control call was refused: the test asks for something that makes no sense."""


class ControlClient:
    """The control calls of an emulator.

    :param url: base URL of the emulator.
    :param session: sends the calls. Default: a new one.
    """

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self._base = f"{url}/_emulator"
        self._session = session or requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _ask(self, method: str, path: str, content: Any = None, **query: str | None) -> dict[str, Any]:
        answer = self._session.request(method, self._base + path, json=content, params=query, timeout=_LIMIT)
        if answer.status_code != 200:
            raise ControlError(f"{method} {path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json()
        return result

    def state(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return the summary of the world, or of one vault with its backups' records."""
        return self._ask("GET", "/state", vault_id=vault_id)

    def ledger(self, vault_id: str | None = None) -> dict[str, Any]:
        """Return what the service did: ``calls``, ``replications``, ``checkpoints``, ``duplicates``, ``requests``."""
        return self._ask("GET", "/ledger", vault_id=vault_id)

    def requests(self, vault_id: str | None = None) -> dict[str, int]:
        """Return the number of requests by call name."""
        counts: dict[str, int] = self.ledger(vault_id)["requests"]
        return counts

    def world(self, world: World | Mapping[str, Any]) -> dict[str, Any]:
        """Put another world in force."""
        return self._ask("POST", "/world", world.model_dump(mode="json") if isinstance(world, World) else dict(world))

    def reset(self) -> dict[str, Any]:
        """Start the world anew."""
        return self._ask("POST", "/reset")

    def fault(self, kind: str, **details: Any) -> int:
        """Put a fault in force; return its number."""
        number: int = self._ask("POST", "/faults", {"kind": kind, **details})["numbers"][0]
        return number

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults in force."""
        listing: list[dict[str, Any]] = self._ask("GET", "/faults")["faults"]
        return listing

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("DELETE", "/faults")

    def switch(self, **switches: Any) -> dict[str, Any]:
        """Change switches; return all."""
        return self._ask("PATCH", "/switches", switches)

    def advance(self, seconds: float) -> dict[str, Any]:
        """Let simulated time pass at once."""
        return self._ask("POST", "/clock", {"advance": seconds})

    def speed(self, factor: float) -> dict[str, Any]:
        """Change the speed of simulated time."""
        return self._ask("POST", "/clock", {"speed": factor})

    def end_tokens(self, *, how: str = "revoke", token: str | None = None, user: str | None = None) -> int:
        """Revoke tokens, or let them expire; return how many."""
        ended: int = self._ask("POST", "/tokens/revoke", {"how": how, "token": token, "user": user})["ended"]
        return ended

    def change_user(self, name: str, **changes: Any) -> None:
        """Rotate keys or the password, or change what the user may do."""
        self._ask("PATCH", f"/users/{name}", changes)

    def change_agency(self, name: str, **changes: Any) -> None:
        """Change whom an agency trusts, or what it may do."""
        self._ask("PATCH", f"/agencies/{name}", changes)

    def change_server(self, **changes: Any) -> None:
        """Change the server that the metadata service belongs to."""
        self._ask("PATCH", "/server", changes)

    def change_pod(self, **changes: Any) -> None:
        """Change the pod whose identity is asked for."""
        self._ask("PATCH", "/pod", changes)

    def end_keys(self) -> int:
        """Let all keys that end do so now; return how many."""
        ended: int = self._ask("POST", "/keys/end")["ended"]
        return ended

    def add_vault(self, **vault: Any) -> dict[str, Any]:
        """Add a vault with its backups."""
        return self._ask("POST", "/vaults", vault)

    def change_vault(self, vault_id: str, **changes: Any) -> dict[str, Any]:
        """Change a vault."""
        return self._ask("PATCH", f"/vaults/{vault_id}", changes)

    def remove_vault(self, vault_id: str) -> None:
        """Remove a vault with its backups."""
        self._ask("DELETE", f"/vaults/{vault_id}")

    def add_backup(self, vault_id: str, **backup: Any) -> dict[str, Any]:
        """Add a backup; it is new unless its age is given."""
        return self._ask("POST", f"/vaults/{vault_id}/backups", backup)

    def change_backup(self, backup_id: str, **changes: Any) -> dict[str, Any]:
        """Change a backup or a replica."""
        return self._ask("PATCH", f"/backups/{backup_id}", changes)

    def remove_backup(self, backup_id: str) -> None:
        """Remove a backup or a replica."""
        self._ask("DELETE", f"/backups/{backup_id}")

    def change_record(self, record_id: str, **changes: Any) -> dict[str, Any]:
        """Change a replication record."""
        return self._ask("PATCH", f"/records/{record_id}", changes)

    def remove_record(self, record_id: str) -> None:
        """Let a replication record vanish."""
        self._ask("DELETE", f"/records/{record_id}")


class _AnnouncedServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class EmulatorServer:
    """An emulator on a free port of 127.0.0.1, in a thread of this process.

    :param world: what there is. Default: the default world.
    :param clock: simulated time. Default: real time.
    """

    def __init__(self, world: World | None = None, clock: Clock | None = None) -> None:
        self.emulator = Emulator(world or default_world(), clock)
        self._listener = listen("127.0.0.1", 0)
        self.url = url_of(self._listener)
        self.control = ControlClient(self.url)
        self._server = _AnnouncedServer(uvicorn_config(self.emulator))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="emulator", daemon=True)

    def __enter__(self) -> Self:
        """Start it, and wait until it serves."""
        self._thread.start()
        if not self._server.ready.wait(_LIMIT):
            raise TimeoutError("the emulator did not start")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and wait until its thread has ended."""
        self.control.close()
        self._server.should_exit = True
        self._thread.join(_LIMIT)
        self._listener.close()
        if self._thread.is_alive():
            raise TimeoutError("the emulator did not stop")


class _VirtualLine:
    """A connection that is none: what would happen on it in real time happens on the virtual clock."""

    def __init__(self, clock: Clock, read_timeout: float | None) -> None:
        self._clock = clock
        self._read_timeout = read_timeout
        self.ending: Exception | None = None

    async def pause(self, seconds: float) -> bool:
        if self._read_timeout is not None and seconds >= self._read_timeout:
            self._give_up()
            return False
        self._clock.advance(seconds)
        return True

    async def silence(self, _receive: object) -> None:
        self._give_up()

    def _give_up(self) -> None:
        if self._read_timeout is None:
            raise AssertionError("a request without a read timeout would wait for ever")
        self._clock.advance(self._read_timeout)
        self.ending = requests.exceptions.ReadTimeout(f"Read timed out. (read timeout={self._read_timeout})")

    def reset(self) -> None:
        cause = urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
        self.ending = requests.exceptions.ConnectionError(cause)

    def cut(self) -> None:
        """Nothing to do: the body that was sent is shorter than its announced length, as urllib3 will find out."""


class _Asked:
    """The emulator that the request at hand is for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_ASKED.get(), name)


@cache
def _application() -> FastAPI:
    """Return the one application of all emulators of this process: building it takes longer than most tests."""
    return create_app(cast("Emulator", _Asked()))


class InProcessAdapter(BaseAdapter):
    """Runs an emulator inside ``requests``: mount it on a session for :data:`IN_PROCESS_URL`.

    :param emulator: the emulator. Default: one of the default world.
    :param latency: virtual seconds that each request takes. Default: 0.
    """

    def __init__(self, emulator: Emulator | None = None, *, latency: float = 0.0) -> None:
        super().__init__()
        self.emulator = emulator or Emulator(default_world(), Clock(speed=0))
        self.clock = self.emulator.clock
        self._latency = latency
        self._builder = HTTPAdapter()
        self._turn = threading.Lock()

    def control(self) -> ControlClient:
        """Return the control calls of this emulator; they take no virtual time."""
        session = requests.Session()
        quick = InProcessAdapter.__new__(InProcessAdapter)
        quick.__dict__ |= self.__dict__ | {"_latency": 0.0}
        session.mount(IN_PROCESS_URL, quick)
        return ControlClient(IN_PROCESS_URL, session)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Answer a request; the faults of a connection become what requests raises for them."""
        read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        with self._turn:
            if self._latency:
                self.clock.advance(self._latency)
            line = _VirtualLine(self.clock, read_timeout)
            asked = _ASKED.set(self.emulator)
            try:
                status, headers, body = _run(_application(), request, line)
            finally:
                _ASKED.reset(asked)
        if line.ending is not None:
            raise line.ending
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=headers, status=status, preload_content=False, request_method=request.method
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """Close the adapter; there is nothing to close."""


@contextmanager
def in_process(emulator: Emulator | None = None) -> Iterator[tuple[requests.Session, InProcessAdapter]]:
    """Give a session whose requests to :data:`IN_PROCESS_URL` are answered in-process."""
    adapter = InProcessAdapter(emulator)
    with requests.Session() as session:
        session.trust_env = False
        session.mount(IN_PROCESS_URL, adapter)
        yield session, adapter


def _run(app: Any, request: requests.PreparedRequest, line: _VirtualLine) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(str(request.url))
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    headers = {name.lower(): value for name, value in request.headers.items()} | {"host": request.headers.get("Host", url.netloc)}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), _bytes(value)) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 1),
        "extensions": {LINE: line},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    running = app(scope, receive, send)
    try:
        running.send(None)
    except StopIteration:
        pass
    else:
        running.close()
        raise AssertionError("the emulator waited for something; in-process there is nothing to wait for")
    if line.ending is not None or not sent:
        return 0, {}, b""
    start, chunks = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    return start["status"], {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}, chunks


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
