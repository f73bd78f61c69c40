"""A token of an OpenID Connect provider, a Kubernetes cluster for example, exchanged at STS for a key."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from airflow_cbr.api.credential_sources.base import IssuedSource, environment, needed, read_token_file
from airflow_cbr.api.credentials import VISIBLE
from airflow_cbr.api.secret import Secret
from airflow_cbr.api.transport import OutgoingCall
from airflow_cbr.exceptions import CbrConfigurationError

if TYPE_CHECKING:
    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.sign_in import SignIn

__all__ = ["Oidc"]

_PROVIDER: Final = "HUAWEICLOUD_OIDC_PROVIDER_URN"
_AGENCY: Final = "HUAWEICLOUD_OIDC_AGENCY_URN"
_TOKEN: Final = "HUAWEICLOUD_OIDC_ID_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_FILE: Final = "HUAWEICLOUD_OIDC_TOKEN_FILE"  # noqa: S105 - the name of a variable
_SESSION: Final = "HUAWEICLOUD_OIDC_SESSION_NAME"
_DURATION: Final = "HUAWEICLOUD_OIDC_DURATION_SECONDS"
_SET_BY: Final = "The deployment sets it, next to the token that it mounts."
_DEFAULT_SECONDS: Final = 3600


@dataclass(frozen=True)
class Oidc(IssuedSource):
    """An agency that trusts the OpenID Connect provider of the place where the process runs. All is read anew each time."""

    auth_type: ClassVar[str] = "oidc"
    step: ClassVar[str] = "exchanging the OpenID Connect token for a key at STS (auth_type oidc)"
    advice: ClassVar[str] = (
        f"See whether {_PROVIDER} and {_AGENCY} are right, whether the identity provider in IAM has the token's issuer, audience and "
        "keys, and whether the agency trusts the provider and the token's subject."
    )

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Ask STS, with nothing but the token."""
        body = {
            "provider_urn": needed(_PROVIDER, on=_SET_BY),
            "agency_urn": needed(_AGENCY, on=_SET_BY),
            "agency_session_name": environment(_SESSION) or "airflow-cbr",
            "duration_seconds": _seconds(),
        }
        token = _token()
        desk.hide(token)
        call = OutgoingCall(
            "AssumeAgencyWithOIDC",
            "POST",
            f"{desk.sts_url()}/v5/agencies/assume-with-oidc",
            body=Secret(msgspec.json.encode(body | {"id_token": token.reveal()}).decode()),
        )
        return desk.ask(call, auth=None, asked_at=time.monotonic(), secrets=(token,))


def _token() -> Secret:
    given = environment(_TOKEN)
    if given is None:
        return read_token_file(needed(_TOKEN_FILE, on=f"{_SET_BY} {_TOKEN} would hold the token itself."), _TOKEN_FILE)
    token = Secret(given)
    del given
    if not VISIBLE.fullmatch(token.reveal()):
        raise CbrConfigurationError(f"The environment variable {_TOKEN} holds no token.")
    return token


def _seconds() -> int:
    text = environment(_DURATION)
    if text is None:
        return _DEFAULT_SECONDS
    if not text.isascii() or not text.isdigit() or not 900 <= int(text[:9]) <= 43200:
        raise CbrConfigurationError(f"The environment variable {_DURATION} must be a number of seconds from 900 to 43200.")
    return int(text[:9])
