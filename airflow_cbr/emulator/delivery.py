"""How an answer leaves: whole, late, cut off, or not at all. What it needs to know of the connection is a :class:`Line`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_cbr.emulator.service import Reply

LINE: Final = "airflow_cbr.line"
"""Name of the scope's extension that holds the :class:`Line`."""


class Line(Protocol):
    """The connection on which a request came."""

    async def pause(self, seconds: float) -> bool:
        """Wait, and return whether the client is still there.

        :param seconds: how long.
        """

    async def silence(self, receive: Receive) -> None:
        """Wait until the client has given up.

        :param receive: tells when it did.
        """

    def reset(self) -> None:
        """Break the connection, so that the client sees a reset."""

    def cut(self) -> None:
        """End the connection after what was sent."""


class DeliveredResponse(Response):
    """Delivers a reply.

    :param reply: the answer and how it is delivered.
    """

    def __init__(self, reply: Reply) -> None:
        answer = reply.answer
        super().__init__(answer.body, answer.status, media_type=answer.content_type)
        if answer.status == 204:
            del self.headers["content-type"]
        self.headers.update(answer.headers)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer as the reply says."""
        delivery = self._reply.delivery
        line: Line = scope["extensions"][LINE]
        if delivery.how == "reset":
            line.reset()
            return
        if delivery.how == "silence":
            await line.silence(receive)
            return
        if delivery.how == "truncated":
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
            line.cut()
            return
        if delivery.pause and not await line.pause(delivery.pause):
            return
        await super().__call__(scope, receive, send)
        self._reply.delivered()
