"""Assuming an agency, of this account or another one, with a key: at STS by its URN, or at IAM by its name and account."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from airflow_cbr.api.signed import SignedAuth
from airflow_cbr.api.transport import OutgoingCall
from airflow_cbr.exceptions import CbrAuthenticationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.sign_in import KeySource, SignIn

__all__ = ["AgencyByName", "AgencyByUrn"]

SESSION_NAME: Final = "airflow-cbr"


@dataclass(frozen=True)
class _Agency:
    """An agency, and whose key it is assumed with.

    :param base: where the key comes from.
    :param duration: seconds that the agency's key lasts.
    """

    base: KeySource
    duration: int

    step: ClassVar[str]
    advice: ClassVar[str]

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Assume the agency; once more with another key, when the one at hand has ended before its time."""
        key = base if base is not None else desk.key_of(self.base)
        try:
            with self.base.guard(desk):
                return self._assume(desk, key)
        except CbrAuthenticationError:
            better = desk.replace(self.base, key) if key.ends_at is not None else None
            if better is None:
                raise
        return self._assume(desk, better)

    def guard(self, desk: SignIn) -> AbstractContextManager[None]:
        """Guard what a key of the base is guarded by."""
        return self.base.guard(desk)

    def _assume(self, desk: SignIn, base: IssuedKey) -> IssuedKey:
        asked_at = time.monotonic()
        key = base.credentials
        secrets = tuple(filter(None, (key.secret_key, key.security_token)))
        return desk.ask(self._call(desk), auth=SignedAuth(key, None), asked_at=asked_at, secrets=secrets)

    @abstractmethod
    def _call(self, desk: SignIn) -> OutgoingCall:
        """Return the call that assumes the agency."""


@dataclass(frozen=True)
class AgencyByUrn(_Agency):
    """An agency that STS knows by its URN.

    :param urn: for example ``iam::27680d67da6b47eb82d00a1a118be145:agency:backup``.
    """

    urn: str

    step: ClassVar[str] = "assuming the agency at STS (agency_urn)"
    advice: ClassVar[str] = (
        "See whether agency_urn is right, whether the agency trusts the account, user or agency that asks, whether those may call "
        "sts:agencies:assume, and whether the agency's longest session is at least agency_duration."
    )

    def _call(self, desk: SignIn) -> OutgoingCall:
        body = {"agency_urn": self.urn, "agency_session_name": SESSION_NAME, "duration_seconds": self.duration}
        return OutgoingCall("AssumeAgency", "POST", f"{desk.sts_url()}/v5/agencies/assume", body=msgspec.json.encode(body))


@dataclass(frozen=True)
class AgencyByName(_Agency):
    """An agency that IAM knows by its name and the account that made it.

    :param name: the agency.
    :param domain_name: the account.
    """

    name: str
    domain_name: str

    step: ClassVar[str] = "assuming the agency at IAM (agency_name)"
    advice: ClassVar[str] = (
        "See whether agency_name and agency_domain_name are right, whether the agency trusts the account that asks, and whether the user "
        "or agency that asks has the permission Agent Operator."
    )

    def _call(self, desk: SignIn) -> OutgoingCall:
        role = {"agency_name": self.name, "domain_name": self.domain_name, "duration_seconds": self.duration}
        body = {"auth": {"identity": {"methods": ["assume_role"], "assume_role": role}}}
        return OutgoingCall(
            "CreateTemporaryAccessKeyByAgency",
            "POST",
            f"{desk.iam_url()}/v3.0/OS-CREDENTIAL/securitytokens",
            body=msgspec.json.encode(body),
            iam=True,
        )
