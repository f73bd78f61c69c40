"""A world in which nobody needs a permanent key: its agencies, its pod, and an OpenID Connect provider whose key is real."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_cbr.emulator.key_parts import POD_TOKEN, AgencyPart, OidcPart, account_id_of
from airflow_cbr.emulator.world import World, default_world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ISSUER: Final = "https://kubernetes.example.com"
AUDIENCE: Final = "sts.myhuaweicloud.com"
SUBJECT: Final = "system:serviceaccount:airflow:airflow-worker"
PROVIDER_URN: Final = f"iam::{account_id_of('acme')}:oidc-provider:cluster"
AGENCY_URN: Final = f"iam::{account_id_of('acme')}:agency:airflow"
PARTNER_URN: Final = f"iam::{account_id_of('partner')}:agency:partner-backup"


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def public_key(name: str = "key-1") -> dict[str, Any]:
    """Return the public half of a key of the provider, as JWK."""
    found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_key(name).public_key()))
    return {"kid": name, **{part: found[part] for part in ("kty", "n", "e")}}


def id_token(*, signed_by: str = "key-1", kid: str | None = None, now: float | None = None, seconds: float = 600, **claims: Any) -> str:
    """Return a token of the provider.

    :param signed_by: name of the private key.
    :param kid: name of the key that the token claims. Default: the same.
    :param now: Unix time. Default: this machine's.
    :param seconds: how long it is good.
    :param claims: those that differ.
    """
    begins = int(time.time() if now is None else now)
    content = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT, "iat": begins, "nbf": begins - 60, "exp": begins + seconds} | claims
    return jwt.encode(content, _key(signed_by), algorithm="RS256", headers={"kid": kid or signed_by})


def keyless_world(**agency: Any) -> World:
    """Return the default world with an OpenID Connect provider.

    :param agency: what differs of the agency ``airflow``.
    """
    world = default_world()
    partner = world.agencies[1]
    provider = OidcPart(name="cluster", issuer=ISSUER, audiences=[AUDIENCE], subjects=[SUBJECT], keys=[public_key()])
    return world.model_copy(update={"agencies": [AgencyPart(name="airflow", **agency), partner], "oidc_providers": [provider]})


@dataclass
class Pod:
    """What a platform gives a process: environment variables, and token files that it replaces.

    :param folder: where the files are.
    :param url: base URL of the emulator.
    :param monkeypatch: undoes the environment.
    """

    folder: Path
    url: str
    monkeypatch: pytest.MonkeyPatch
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Give it all at once; what asks for which is the connection's word."""
        self.monkeypatch.setenv("HC_CONTAINER_CREDENTIALS_FULL_URI", f"{self.url}/pod-identity/credentials")
        self.monkeypatch.setenv("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(self.folder / "pod-token"))
        self.monkeypatch.setenv("HUAWEICLOUD_OIDC_PROVIDER_URN", PROVIDER_URN)
        self.monkeypatch.setenv("HUAWEICLOUD_OIDC_AGENCY_URN", AGENCY_URN)
        self.monkeypatch.setenv("HUAWEICLOUD_OIDC_TOKEN_FILE", str(self.folder / "id-token"))
        self.mount(pod=POD_TOKEN, oidc=id_token())

    def mount(self, *, pod: str | None = None, oidc: str | None = None) -> None:
        """Replace token files, as a platform does: a new file in the old one's place."""
        for name, content in (("pod-token", pod), ("id-token", oidc)):
            if content is not None:
                self.secrets.add(content)
                new = self.folder / f"{name}.new"
                new.write_text(f"{content}\n")
                new.replace(self.folder / name)


#: Extras of a connection for each way that needs no permanent key; ``{url}`` is the emulator's.
WAYS: Final[dict[str, dict[str, str]]] = {
    "ecs_agency": {"auth_type": "ecs_agency", "metadata_endpoint": "{url}"},
    "pod_identity": {"auth_type": "pod_identity"},
    "oidc": {"auth_type": "oidc", "sts_endpoint": "{url}"},
    "ecs_agency, then agency_urn": {
        "auth_type": "ecs_agency",
        "metadata_endpoint": "{url}",
        "sts_endpoint": "{url}",
        "agency_urn": AGENCY_URN,
    },
    "pod_identity, then agency_name": {"auth_type": "pod_identity", "agency_name": "airflow", "agency_domain_name": "acme"},
}


def extras_of(way: str, url: str, **more: Any) -> dict[str, Any]:
    """Return the extras of a connection that signs in in one of :data:`WAYS`."""
    return {name: text.replace("{url}", url) for name, text in WAYS[way].items()} | more
