"""How a call is sent: its address, its credentials, once more after an expired token, page by page."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from airflow_cbr.api.call_parameters import Filter, check_page_size, query_of
from airflow_cbr.api.catalogue_row import Decision
from airflow_cbr.api.error_lookup import decide
from airflow_cbr.api.paging import Page, Row, walk
from airflow_cbr.api.responses import ServiceResponse, decode
from airflow_cbr.api.transport import OutgoingCall, Transport
from airflow_cbr.exceptions import CbrAuthenticationError, CbrTransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_cbr.api.auth import Authenticator

__all__ = ["Caller", "PlainCaller"]

Result = TypeVar("Result")


class Caller:
    """Sends the calls of one project.

    :param transport: sends requests.
    :param authenticator: knows the project and makes requests acceptable.
    :param base_url: address of CBR with its version.
    """

    def __init__(self, transport: Transport, authenticator: Authenticator, base_url: str) -> None:
        self._transport = transport
        self._authenticator = authenticator
        self._base = base_url

    def get(self, name: str, path: str, model: type[Result]) -> Result:
        """Read one object.

        :param name: the call's name in the API reference.
        :param path: path behind the project.
        :param model: what the answer is decoded to.
        """
        return self.send(name, "GET", path, lambda answer: decode(answer, model, call=name))

    def change(self, name: str, path: str, body: dict[str, Any], read: Callable[[ServiceResponse], Result]) -> Result:
        """Send a call that changes something, and is not repeated unless it was certainly not processed.

        :param name: the call's name in the API reference.
        :param path: path behind the project.
        :param body: sent as JSON.
        :param read: makes a value of the answer.
        """
        return self.send(name, "POST", path, read, msgspec.json.encode(body))

    def delete(self, name: str, path: str, read: Callable[[ServiceResponse], Result]) -> Result:
        """Send a call that deletes something, once: whoever calls looks again before it is sent another time.

        :param name: the call's name in the API reference.
        :param path: path behind the project.
        :param read: makes a value of the answer.
        """
        return self.send(name, "DELETE", path, read)

    def list(
        self,
        name: str,
        path: str,
        filters: dict[str, Filter],
        page_size: int,
        read: Callable[[ServiceResponse], Page[Row]],
        on_repeat: Callable[[Row], object] | None = None,
    ) -> Iterator[Row]:
        """Read a list, page by page.

        :param name: the call's name in the API reference.
        :param path: path behind the project.
        :param filters: query parameters; None is left out.
        :param page_size: rows per request.
        :param read: makes a page of an answer.
        :param on_repeat: called with every row that is listed again. Default: none.
        """
        page_size = check_page_size(page_size)
        query = query_of(filters)

        def fetch(offset: int, limit: int) -> Page[Row]:
            return self.send(name, "GET", f"{path}?{query}limit={limit}&offset={offset}", read)

        return walk(fetch, page_size=page_size, call=name, on_repeat=on_repeat)

    def ask(self, name: str, path: str, body: dict[str, Any], read: Callable[[ServiceResponse], Result]) -> Result:
        """Send a call with a body that changes nothing, however often it is sent.

        :param name: the call's name in the API reference.
        :param path: path behind the project.
        :param body: sent as JSON.
        :param read: makes a value of the answer.
        """
        return self.send(name, "POST", path, read, msgspec.json.encode(body), repeatable=True, changes=False)

    def repeat(self, name: str, method: str, path: str, body: dict[str, Any], read: Callable[[ServiceResponse], Result]) -> Result:
        """Send a call that changes something, and may be sent again: twice has the effect of once.

        :param name: the call's name in the API reference.
        :param method: HTTP method.
        :param path: path behind the project.
        :param body: sent as JSON.
        :param read: makes a value of the answer.
        """
        return self.send(name, method, path, read, msgspec.json.encode(body), repeatable=True, changes=True)

    def send(
        self,
        name: str,
        method: str,
        path: str,
        read: Callable[[ServiceResponse], Result],
        body: bytes | None = None,
        *,
        repeatable: bool | None = None,
        changes: bool | None = None,
    ) -> Result:
        """Send a call; once more with a new token when the service refuses the old one as expired.

        :param name: the call's name in the API reference.
        :param method: HTTP method.
        :param path: path behind the project, with its query.
        :param read: makes a value of the answer.
        :param body: JSON. Default: none.
        :param repeatable: whether it may be sent again. Default: when it reads (GET).
        :param changes: whether it changes something. Default: when it does not read.
        """
        authenticator = self._authenticator
        with _nothing_sent_yet():
            auth = authenticator.current()
            url = self._url(path)
        if repeatable is None:
            repeatable = method == "GET"
        if changes is None:
            changes = method != "GET"
        single = method == "DELETE" and not repeatable
        call = OutgoingCall(name, method, url, body=body, repeatable=repeatable, changes=changes, single=single)
        try:
            with authenticator.use():
                return self._transport.send(call, read, auth=auth, secrets=authenticator.secrets)
        except CbrAuthenticationError as error:
            if decide(error) is not Decision.REAUTHENTICATE or not (call.repeatable or error.http_status == 401):
                raise
            with _nothing_sent_yet():
                renewed = authenticator.renew(auth)
            if renewed is None:
                raise
        return self._transport.send(call, read, auth=renewed, secrets=authenticator.secrets)

    def _url(self, path: str) -> str:
        return f"{self._base}/{quote(self._authenticator.project_id(), safe='')}{path}"


class PlainCaller(Caller):
    """Sends calls whose path names no project; who asks says which it is."""

    def _url(self, path: str) -> str:
        return f"{self._base}{path}"


@contextlib.contextmanager
def _nothing_sent_yet() -> Iterator[None]:
    """Say of transport errors on the way to IAM that the call itself was not sent."""
    try:
        yield
    except CbrTransportError as error:
        error.sent = False
        raise
