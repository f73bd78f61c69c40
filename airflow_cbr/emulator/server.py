"""Serves an emulator with uvicorn, and gives its faults a hold on the real connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_cbr.emulator.app import create_app
from airflow_cbr.emulator.delivery import LINE
from airflow_cbr.emulator.guard import Hosts
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.store import WorldError
from airflow_cbr.emulator.world import default_world, load_world

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path
    from types import FrameType

    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_cbr.emulator.world import World

_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_BACKLOG: Final = 2048
_HEAD: Final = 64 * 1024
"""Bytes of the head of a request; a longer one is answered 400."""


class SocketLine:
    """The real connection.

    :param transport: asyncio's.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    async def pause(self, seconds: float) -> bool:
        """Wait in real time; return whether the client is still there."""
        await asyncio.sleep(seconds)
        return not self._transport.is_closing()

    async def silence(self, receive: Receive) -> None:
        """Wait until the client closes the connection."""
        while (await receive())["type"] != "http.disconnect":
            pass

    def reset(self) -> None:
        """Close without lingering: the client gets a TCP reset."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._transport.abort()

    def cut(self) -> None:
        """Close after what is in the buffer."""
        self._transport.close()


class LineProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also tells the application on which connection a request came.

    It is the one that bounds the head of a request, whatever else is installed.
    """

    app: ASGIApp

    def connection_made(self, transport: Any) -> None:
        """Take a connection."""
        super().connection_made(transport)
        inner = self.app
        line = SocketLine(transport)

        async def with_line(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[LINE] = line
            await inner(scope, receive, send)

        self.app = with_line


class EmulatorUvicorn(uvicorn.Server):
    """Announces itself when it is really ready, and ends without passing the signal on."""

    announcement: str | None = None
    connection: str | None = None
    heading = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets)
        if self.announcement is not None:
            sys.stdout.write(f"{self.announcement}\n")
            sys.stdout.flush()
        if self.connection is not None:
            # Standard error: whoever reads the first line of standard output waits for that line alone.
            sys.stderr.write(f"{self.heading}\n\nexport AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT='{self.connection}'\n")
            sys.stderr.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End on SIGTERM and SIGINT; the caller returns an exit code, so the signal is not raised again."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    :param host: name or address.
    :param port: 0 for a free one.
    :raises OSError: the port is taken or the host is unknown.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the base URL under which a socket can be reached.

    :param listener: from :func:`listen`.
    """
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def uvicorn_config(emulator: Emulator, hosts: Hosts | None = None) -> uvicorn.Config:
    """Return the configuration under which an emulator is served.

    :param emulator: the emulator.
    :param hosts: the names under which control calls may know it. Default: ``localhost`` and any address.
    """
    return uvicorn.Config(
        create_app(emulator, hosts),
        http=LineProtocol,
        h11_max_incomplete_event_size=_HEAD,
        # The faults set socket options, which uvloop's sockets do not have.
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def serve(
    host: str,
    port: int,
    world_file: str | Path | None = None,
    allow_hosts: Sequence[str] = (),
    *,
    heading: str = "To connect Airflow with it:",
) -> int:
    """Serve until SIGTERM or SIGINT.

    Prints ``CBR emulator listening on http://HOST:PORT`` when it is ready, and on standard error a connection to it. What goes wrong before
    is one line on standard error.

    :param host: name or address to listen on.
    :param port: 0 for a free one.
    :param world_file: JSON file of the world. Default: None, the default world.
    :param allow_hosts: further names under which control calls may know it. Default: none but ``host``, ``localhost`` and addresses.
    :param heading: what stands over the connection, in the reader's language. Default: it in English.
    :return: exit code: 0 after a signal, 1 when it could not start.
    """
    try:
        world = default_world() if world_file is None else load_world(world_file)
        emulator = Emulator(world)
    except WorldError as error:
        return _fail(str(error))
    try:
        listener = listen(host, port)
    except OSError as error:
        return _fail(f"cannot listen on {host}:{port}: {error.strerror or error}")
    server = EmulatorUvicorn(uvicorn_config(emulator, Hosts([host, *allow_hosts])))
    server.announcement = f"CBR emulator listening on {url_of(listener)}"
    server.connection, server.heading = connection_json(world, url_of(listener)), heading
    with listener:
        asyncio.run(server.serve(sockets=[listener]))
    return 0


def connection_json(world: World, url: str) -> str:
    """Return an Airflow connection to the emulator as JSON: the world's first user, in the project of its first vault.

    :param world: what is served.
    :param url: where.
    """
    user = world.users[0]
    home = world.vaults[0].project_id if world.vaults else world.projects[0].id
    region = next((one.region for one in world.projects if one.id == home), world.projects[0].region)
    extra = {"region": region, "project_id": home, "cbr_endpoint": url, "iam_endpoint": url}
    if user.security_token:
        extra["security_token"] = user.security_token
    # The port is text: `airflow connections add --conn-json` takes the number 0 for none, and Airflow's page cannot test a connection then.
    fields = {"conn_type": "huaweicloud_cbr", "login": user.access_key, "password": user.secret_key, "port": "0", "extra": extra}
    # It stands between single quotes of a shell.
    return json.dumps(fields).replace("'", "\\u0027")


def _fail(message: str) -> int:
    sys.stderr.write(f"CBR emulator: {message}\n")
    return 1
