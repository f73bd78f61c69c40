"""What a world says of users and agencies, and of the places that hand out keys of agencies."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

from pydantic import Field

from airflow_cbr.emulator.bounds import MOST_FIELDS, MOST_THINGS
from airflow_cbr.emulator.parts import Name, Part, ProjectId

POD_TOKEN: Final = "emulator-pod-token"  # noqa: S105 (published: it opens nothing but the emulator)


class UserPart(Part):
    """An IAM user with a password and one access key."""

    name: str = Field(description="User name.")
    password: str = Field(description="IAM password.")
    access_key: str = Field(description="Access key (AK).")
    secret_key: str = Field(description="Secret key (SK).")
    security_token: str | None = Field(default=None, description="Makes the keys temporary ones: requests must bring and sign it.")
    projects: list[ProjectId] | None = Field(default=None, max_length=MOST_THINGS, description="Projects that the user may use; null: all.")
    denied_calls: list[str] = Field(default_factory=list, max_length=MOST_THINGS, description="Names of calls that the user may not make.")


class AgencyPart(Part):
    """An agency: an identity that others take on for a while."""

    name: Name = Field(description="Agency name.")
    account: Name | None = Field(default=None, description="Account that made it; null: the world's own.")
    trusts: list[Name] | None = Field(
        default=None, max_length=MOST_THINGS, description="Names of the users and agencies that may assume it; null: all, [] nobody."
    )
    longest_seconds: int = Field(default=3600, ge=900, le=86400, description="Longest session that STS gives.")
    projects: list[ProjectId] | None = Field(default=None, max_length=MOST_THINGS, description="Projects that it may use; null: all.")
    denied_calls: list[str] = Field(default_factory=list, max_length=MOST_THINGS, description="Names of calls that it may not make.")


class ServerPart(Part):
    """The server that the metadata service belongs to."""

    agency: Name | None = Field(default=None, description="Agency that is attached to it; null: none, keys are refused.")
    metadata_tokens: bool = Field(default=True, description="Whether the metadata service wants a token; false: an older image.")


class PodPart(Part):
    """The pod whose identity is asked for."""

    agency: Name = Field(description="Agency that is associated with it.")
    token: str = Field(default=POD_TOKEN, min_length=1, description="What its token file holds.")


class OidcPart(Part):
    """An identity provider in IAM that an OpenID Connect issuer is trusted by."""

    name: Name = Field(description="Provider name; its URN is `iam::<account id>:oidc-provider:<name>`.")
    issuer: str = Field(min_length=1, description="`iss` of its tokens.")
    audiences: list[str] = Field(min_length=1, max_length=MOST_THINGS, description="`aud`, of which a token must name one.")
    subjects: list[str] | None = Field(default=None, max_length=MOST_THINGS, description="`sub` that may come; null: all.")
    keys: list[Annotated[dict[str, Any], Field(max_length=MOST_FIELDS)]] = Field(
        min_length=1, max_length=MOST_THINGS, description="Public RSA keys as JWK (`kty`, `kid`, `n`, `e`); tokens are signed with RS256."
    )


def account_id_of(account: str) -> str:
    """Return the id under which URNs name an account.

    :param account: its name.
    """
    return hashlib.sha256(account.encode()).hexdigest()[:32]
