"""What a connection says of signing in: where keys come from, and which agency is assumed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from airflow_cbr.api.addresses import check_address
from airflow_cbr.api.agency_fields import LONGEST_BY_NAME, LONGEST_BY_URN, LONGEST_CHAINED, check_duration, check_name, check_urn
from airflow_cbr.exceptions import CbrParameterError

if TYPE_CHECKING:
    from airflow_cbr.api.auth import Credentials
    from airflow_cbr.api.secret import Secret
    from airflow_cbr.api.sign_in import KeySource

__all__ = ["AUTH_TYPES", "WITH_A_LOGIN", "SignInFields", "credentials_of"]

WITH_A_LOGIN: Final = ("aksk", "password")
"""What takes login and password of the connection."""
AUTH_TYPES: Final = (*WITH_A_LOGIN, "ecs_agency", "pod_identity", "oidc")
"""What extra ``auth_type`` may be; the form says the same. The other ones are modules of :mod:`airflow_cbr.api.credential_sources`."""


@dataclass(frozen=True, slots=True)
class SignInFields:
    """The extras that describe a source of keys or an agency, each under its own name.

    :param metadata_endpoint: address of the metadata service. Default: none, its own.
    :param agency_urn: an agency that STS knows. Default: none.
    :param agency_name: an agency that IAM knows. Default: none.
    :param agency_domain_name: the account that made it. Default: none.
    :param agency_duration: seconds that its keys last. Default: none, 3600.
    """

    metadata_endpoint: str | None = None
    agency_urn: str | None = None
    agency_name: str | None = None
    agency_domain_name: str | None = None
    agency_duration: str | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the extras."""
        return tuple(one.name for one in fields(cls))

    @classmethod
    def checked(cls, settings: Mapping[str, str | None], *, auth_type: str, is_temporary: bool) -> SignInFields:
        """Check the extras.

        :param settings: their texts, by name.
        :param auth_type: how the connection signs in.
        :param is_temporary: whether its access key has a security token.
        :raises CbrParameterError: one of them cannot be right, or they contradict one another.
        """
        found = cls(**settings)
        if found.metadata_endpoint is not None:
            check_address(found.metadata_endpoint, "metadata_endpoint")
        _check_agency(found, asks_with_a_lasting_key=auth_type == "aksk" and not is_temporary)
        return found

    @property
    def account(self) -> str | None:
        """Return the agency, which belongs to one account, or None."""
        return self.agency_urn or (f"{self.agency_domain_name}/{self.agency_name}" if self.agency_name else None)


def _check_agency(found: SignInFields, *, asks_with_a_lasting_key: bool) -> None:
    if found.agency_urn and found.agency_name:
        raise CbrParameterError(
            "agency_urn",
            "is set together with agency_name: one agency can be assumed.",
            advice="Leave one of them out: agency_urn asks STS, agency_name with agency_domain_name asks IAM.",
        )
    if bool(found.agency_name) != bool(found.agency_domain_name):
        lacks, there = ("agency_domain_name", "agency_name") if found.agency_name else ("agency_name", "agency_domain_name")
        raise CbrParameterError(lacks, f"is missing, and {there} is set.", advice="Set both: the agency, and the account that made it.")
    if not found.account:
        if found.agency_duration is not None:
            raise CbrParameterError(
                "agency_duration", "is set without an agency.", advice="Set agency_urn, or agency_name with agency_domain_name."
            )
        return
    longest = LONGEST_BY_NAME
    if found.agency_urn:
        check_urn(found.agency_urn)
        longest = LONGEST_BY_URN if asks_with_a_lasting_key else LONGEST_CHAINED
    check_duration(found.agency_duration, longest=longest)
    for name, value in (("agency_name", found.agency_name), ("agency_domain_name", found.agency_domain_name)):
        if value is not None:
            check_name(value, name)


def credentials_of(
    said: SignInFields, *, auth_type: str, login: str, password: Secret, domain_name: str | None, security_token: Secret | None
) -> Credentials:
    """Return who asks, by what a connection says.

    :param said: its extras about signing in.
    :param auth_type: how it signs in.
    :param login: access key, or IAM user name.
    :param password: secret key, or IAM password.
    :param domain_name: account name of the IAM user.
    :param security_token: with temporary keys.
    :raises CbrConfigurationError: a key or a user cannot be right.
    """
    from airflow_cbr.api.agencies import AgencyByName, AgencyByUrn
    from airflow_cbr.api.credential_sources import SOURCES
    from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
    from airflow_cbr.api.given_credentials import GivenKey, GivenPassword

    source: KeySource
    given: AkSkCredentials | PasswordCredentials | None = None
    if auth_type == "aksk":
        given = AkSkCredentials(login, password, security_token)
        source = GivenKey(given)
    elif auth_type == "password":
        given = PasswordCredentials(login, password, domain_name or "")
        source = GivenPassword(given)
    else:
        source = SOURCES[auth_type].of({name: getattr(said, name) for name in SignInFields.names()})
    seconds = check_duration(said.agency_duration, longest=LONGEST_BY_NAME)
    if said.agency_urn:
        return AgencyByUrn(source, seconds, said.agency_urn)
    if said.agency_name:
        return AgencyByName(source, seconds, said.agency_name, said.agency_domain_name or "")
    return source if given is None else given
