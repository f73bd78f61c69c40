"""The agency of an ECS server: its metadata service hands out keys, which it renews itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from airflow_cbr.api.addresses import check_address
from airflow_cbr.api.credential_sources.base import HeaderAuth, IssuedSource
from airflow_cbr.api.credentials import VISIBLE
from airflow_cbr.api.deadline import within
from airflow_cbr.api.secret import Secret
from airflow_cbr.api.transport import OutgoingCall
from airflow_cbr.exceptions import CbrApiError, CbrAuthenticationError, CbrProtocolError, CbrUnavailableError

if TYPE_CHECKING:
    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.responses import ServiceResponse
    from airflow_cbr.api.sign_in import SignIn

__all__ = ["EcsAgency"]

_DEFAULT: Final = "http://169.254.169.254"
_TOKEN_SECONDS: Final = 300
"""The token is good for the next request; nobody keeps it."""
_PATIENCE: Final = 20.0
_TOKEN_PATIENCE: Final = 10.0
"""Seconds for the key, and how many of them for the token."""
_WITHOUT_TOKENS: Final = (404, 405, 503)
"""What an older image of the service answers to the request for a token; it wants none."""


@dataclass(frozen=True)
class EcsAgency(IssuedSource):
    """The agency of the server on which the process runs.

    :param endpoint: address of the metadata service. Default: ``http://169.254.169.254``.
    """

    endpoint: str = _DEFAULT

    auth_type: ClassVar[str] = "ecs_agency"
    step: ClassVar[str] = "asking the metadata service of this server for a key (auth_type ecs_agency)"
    advice: ClassVar[str] = (
        "See whether this runs on an ECS server that an agency for the cloud service ECS is attached to (console: the server's agency), "
        "and whether containers on it may reach the metadata service. Elsewhere use another auth_type."
    )

    @classmethod
    def of(cls, settings: Mapping[str, str | None]) -> EcsAgency:
        """Return the source that a connection describes.

        :param settings: the texts of its extra; ``metadata_endpoint`` is looked at.
        :raises CbrParameterError: the endpoint is neither loopback nor link-local.
        """
        endpoint = settings.get("metadata_endpoint")
        return cls() if endpoint is None else cls(check_address(endpoint, "metadata_endpoint").rstrip("/"))

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Ask the metadata service, with a token of its own where it gives any."""
        asked_at = time.monotonic()
        with within(_PATIENCE):
            token = self._token(desk)
            call = OutgoingCall("GetSecurityKey", "GET", f"{self.endpoint}/openstack/latest/securitykey", direct=True)
            if isinstance(token, Secret):
                return desk.ask(call, auth=HeaderAuth("X-Metadata-Token", token), asked_at=asked_at, secrets=(token,))
            try:
                return desk.ask(call, auth=None, asked_at=asked_at)
            except CbrAuthenticationError:
                if isinstance(token, CbrUnavailableError):
                    # It does want a token, and could give none just now.
                    raise token from None
                raise

    def _token(self, desk: SignIn) -> Secret | CbrApiError:
        """Return a token, or why there is none, where that is no reason to ask for no key."""
        call = OutgoingCall("GetMetadataToken", "PUT", f"{self.endpoint}/meta-data/latest/api/token", direct=True)
        try:
            with within(_TOKEN_PATIENCE):
                token = desk.transport.send(
                    call,
                    lambda answer: _read_token(answer, call.name),
                    auth=HeaderAuth("X-Metadata-Token-Ttl-Seconds", Secret(str(_TOKEN_SECONDS))),
                )
        except CbrApiError as error:
            if error.http_status in _WITHOUT_TOKENS:
                return error
            raise
        desk.hide(token)
        return token


def _read_token(answer: ServiceResponse, call: str) -> Secret:
    token = Secret(answer.body[: 1 << 16].decode("ascii", "replace").strip())
    if not VISIBLE.fullmatch(token.reveal()):
        raise CbrProtocolError(f"{call}: the answer is no token.", http_status=answer.status)
    return token
