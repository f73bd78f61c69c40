"""The files of the page, and nothing else, as a web application.

Airflow asks nobody for a login on the routes of a plugin's application. So this one has no data: it answers with the files that lie in
``static`` beside this module, the same for everybody. What the page shows, it asks Airflow's own REST API for, as the user who looks at it.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]

__all__ = ["FILES", "STYLE", "StaticFiles", "headers"]

FILES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "rows.js": ("rows.js", "text/javascript; charset=utf-8"),
    "texts.js": ("texts.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The paths below the prefix, each with its file and its type."""

STYLE: Final = "page.css"
"""The style, which goes out inside the page: it is one request less, and the page may make ten."""

_LINK: Final = f'<link rel="stylesheet" href="{STYLE}">'


@cache
def headers() -> dict[str, str]:
    """Return what every answer says of itself."""
    style = b64encode(sha256(_text(STYLE).encode()).digest()).decode()
    return {
        # Scripts and answers of this server alone, the page's own style, no string is ever parsed as HTML, and only Airflow's own pages may
        # frame this one.
        "content-security-policy": f"default-src 'none'; script-src 'self'; style-src 'sha256-{style}'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; "
        "trusted-types 'none'",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        # Asked for again each time, and answered with 304 while it is the same: an upgrade shows at once.
        "cache-control": "no-cache",
    }


def _text(name: str) -> str:
    return files("airflow_cbr.plugins").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _content(name: str) -> tuple[bytes, str]:
    """Return a file's bytes and its tag; read once in a process."""
    content = _text(name).replace(_LINK, f"<style>{_text(STYLE)}</style>").encode()
    return content, f'"{sha256(content).hexdigest()[:32]}"'


class StaticFiles:
    """An ASGI application that answers GET and HEAD for the page's files.

    :param prefix: the path that it is mounted at, for example ``/cbr-replication``.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        status, own, body = self._answer(scope)
        lines = [(name.encode(), value.encode()) for name, value in {**headers(), **own}.items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> tuple[int, dict[str, str], bytes]:
        # Whether a proxy leaves the path of `[api] base_url` in front or takes it away, the path ends the same.
        asked = scope["path"].rpartition(f"{self._prefix}/")[2]
        found = FILES.get(asked)
        if found is None:
            return 404, {"content-type": "text/plain; charset=utf-8"}, b"There is no such file.\n"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, {"content-type": "text/plain; charset=utf-8", "allow": "GET, HEAD"}, b"This can only be read.\n"
        name, kind = found
        content, tag = _content(name)
        if any(key == b"if-none-match" and tag.encode() in value for key, value in scope["headers"]):
            return 304, {"etag": tag}, b""
        return 200, {"content-type": kind, "content-length": str(len(content)), "etag": tag}, content
