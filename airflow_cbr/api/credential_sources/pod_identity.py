"""Pod identity of CCE: an address and a token file that the cluster puts into the pod."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from airflow_cbr.api.addresses import check_address, is_on_this_link
from airflow_cbr.api.credential_sources.base import HeaderAuth, IssuedSource, needed, read_token_file
from airflow_cbr.api.deadline import within
from airflow_cbr.api.transport import OutgoingCall

if TYPE_CHECKING:
    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.sign_in import SignIn

__all__ = ["PodIdentity"]

_ADDRESS: Final = "HC_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN_FILE: Final = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - the name of a variable
_SET_BY: Final = "CCE sets it in pods whose service account has a pod identity association."
_PATIENCE: Final = 20.0


@dataclass(frozen=True)
class PodIdentity(IssuedSource):
    """The identity that CCE gives the pod in which the process runs. Its environment and its token file are read anew each time."""

    auth_type: ClassVar[str] = "pod_identity"
    step: ClassVar[str] = "asking for the identity of this pod (auth_type pod_identity)"
    advice: ClassVar[str] = (
        "See whether the pod's service account has a pod identity association in CCE, and whether its agency trusts the pod identity "
        "service."
    )

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Ask the address of the environment, with the token of the file."""
        address = check_address(needed(_ADDRESS, on=_SET_BY), f"environment variable {_ADDRESS}", secure=True)
        token = read_token_file(needed(_TOKEN_FILE, on=_SET_BY), _TOKEN_FILE)
        desk.hide(token)
        call = OutgoingCall("GetPodIdentityCredentials", "POST", address, body=b"{}", direct=is_on_this_link(address))
        with within(_PATIENCE):
            return desk.ask(call, auth=HeaderAuth("Authorization", token), asked_at=time.monotonic(), secrets=(token,))
