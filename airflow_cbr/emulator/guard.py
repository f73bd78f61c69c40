"""What stands before every route: no page of another site gets in, and no body is longer than it may be."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_cbr.emulator.error_responses import gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

CONTROL: Final = "/_emulator"
CALL_BODY: Final = 128 * 1024
"""Bytes of the body of a call; the longest documented one, a checkpoint of 256 resources, takes a third of it."""
CONTROL_BODY: Final = 4 * 1024 * 1024
"""Bytes of the body of a control call; a larger world comes from a file, or from ``generate``."""
_DRAINED: Final = 256 * 1024 * 1024
_AUTHORITY: Final = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[^\s:/@\[\]]{1,255})(?::\d{1,5})?")
_ORIGIN: Final = re.compile(r"https?://(?P<authority>[^/]+)")


class Hosts:
    """The names under which an emulator is known. An address needs no name: a page of another site cannot make one its own.

    :param names: further names. Default: none.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {"localhost"} | {name.lower().rstrip(".") for name in names}

    def own(self, authority: str) -> bool:
        """Return whether a ``Host`` is one of the emulator's.

        :param authority: a name or an address, with or without a port.
        """
        found = _AUTHORITY.fullmatch(authority.lower())
        if found is None:
            return False
        name = found["name"].rstrip(".")
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


class Guard:
    """An ASGI application before another one, to which it gives whole bodies.

    A browser names the page that makes it send a request (``Origin``, ``Sec-Fetch-Site``): no foreign page may send any. Control calls
    need no credentials; they must also name the emulator (``Host``), so that no name of somebody else's leads a page here, and a body
    must be of the content type that a page of another site cannot send.

    :param app: the application.
    :param hosts: the emulator's names.
    """

    def __init__(self, app: App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Judge a request, read its body, and pass both on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        control = scope["path"] == CONTROL or scope["path"].startswith(f"{CONTROL}/")
        refusal = self._refusal(scope, control=control)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        limit = CONTROL_BODY if control else CALL_BODY
        try:
            body = await _read(receive, limit)
        except ConnectionError:
            return
        if body is None:
            text = f"the body is longer than {limit} bytes"
            await _answer(send, 413, {"error": text} if control else gateway("APIG.0201", f"Request entity too large: {text}", 413).content)
            return
        left = [body]

        async def whole() -> Message:
            return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

        await self._app(scope, whole, send)

    def _refusal(self, scope: Message, *, control: bool) -> tuple[int, dict[str, str]] | None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
        hosts = headers.get("host", [])
        if any(not _same(origin, hosts) for origin in headers.get("origin", ())) or not {"same-origin", "none"}.issuperset(
            headers.get("sec-fetch-site", ())
        ):
            return 403, {"error": "a page of another site sent this; the emulator accepts requests only from programs and its own address"}
        if not control:
            return None
        if len(hosts) != 1 or not self._hosts.own(hosts[0]):
            named = ", ".join(hosts)[:100] or "(none)"
            return 403, {"error": f"{named} is not a host name of this emulator; to accept it, start the emulator with --allow-host NAME"}
        if any(kind.partition(";")[0].strip().lower() != "application/json" for kind in headers.get("content-type", ())):
            return 415, {"error": "control calls take a body of content type application/json"}
        return None


def _same(origin: str, hosts: list[str]) -> bool:
    found = _ORIGIN.fullmatch(origin.lower())
    return found is not None and [found["authority"]] == [host.lower() for host in hosts]


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return a body, or None when it is too long. What is too long is read and dropped for a while, so that the client gets the answer."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client disconnected while it was sending")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= limit else None
        if size > _DRAINED:
            return None


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = msgspec.json.encode(content)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
