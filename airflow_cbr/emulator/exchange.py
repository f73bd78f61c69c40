"""A call and its answer, without a web framework in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE: Final = "application/json"


DEEPEST: Final = 64
"""Levels of a JSON text; no call needs ten."""


class NotJsonError(ValueError):
    """A text is no JSON, or deeper than anybody needs."""


def decoded(text: bytes) -> Any:
    """Return what a JSON text says.

    :param text: the text.
    :raises NotJsonError: it is no JSON, or has more than 64 levels.
    """
    try:
        content = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotJsonError(str(error)) from None
    except RecursionError:
        raise NotJsonError(f"more than {DEEPEST} levels") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(content) > DEEPEST:
        raise NotJsonError(f"more than {DEEPEST} levels")
    return content


def _depth(content: Any) -> int:
    level, depth = [content], 0
    while level and depth <= DEEPEST:
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for one in inner for value in one]
        depth += bool(inner)
    return depth


@dataclass(frozen=True)
class Call:
    """What a client sent.

    ``headers`` have lower-case names; ``path`` holds the decoded parameters of the path; ``raw_path`` and ``raw_query`` are as they
    came, since a signature covers them.
    """

    name: str
    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    path: Mapping[str, str]
    body: bytes

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """Return the decoded pairs of the query, in their order."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @cached_property
    def json(self) -> Any:
        """Return the decoded body, or None when it is no JSON."""
        try:
            return decoded(self.body) if self.body else None
        except NotJsonError:
            return None

    def asked(self, name: str) -> str | None:
        """Return the last value of a query parameter, or None.

        :param name: the parameter.
        """
        return next((value for key, value in reversed(self.query) if key == name), None)


@dataclass
class Answer:
    """What the service answers. ``body`` is exactly what is sent."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE

    @classmethod
    def of(cls, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
        """Make a JSON answer.

        :param content: what msgspec can encode.
        :param status: HTTP status. Default: 200.
        :param headers: further headers. Default: none.
        """
        return cls(status, msgspec.json.encode(content), headers or {})


@dataclass(frozen=True)
class Delivery:
    """How an answer reaches the client: whole, cut off, or not at all; ``pause`` is in seconds before the first byte."""

    how: Literal["whole", "truncated", "reset", "silence"] = "whole"
    pause: float = 0.0


WHOLE: Final = Delivery()


class Refusal(Exception):  # noqa: N818 (an answer of the service, not an error of this program)
    """The service refuses a call.

    :param status: HTTP status.
    :param content: the body, in the shape of the part of the service that refuses.
    :param code: the code without a prefix, for the switch that changes a code's HTTP status. Default: none.
    """

    def __init__(self, status: int, content: dict[str, Any], code: str | None = None) -> None:
        super().__init__(content)
        self.status = status
        self.content = content
        self.code = code

    def answer(self, request_id: str, code_status: Mapping[str, int] | None = None) -> Answer:
        """Return the refusal as an answer.

        :param request_id: goes into the gateway's bodies.
        :param code_status: HTTP status by code, where a switch changes it. Default: none.
        """
        content = self.content | ({"request_id": request_id} if "request_id" in self.content else {})
        return Answer.of(content, (code_status or {}).get(self.code or "", self.status))
