"""Credentials: an access key pair, or an IAM user. Neither shows its secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError

__all__ = ["VISIBLE", "AkSkCredentials", "PasswordCredentials"]

VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
"""The characters of a key or a token."""


@dataclass(frozen=True, init=False)
class AkSkCredentials:
    """An access key pair, permanent or temporary.

    :param access_key: the AK.
    :param secret_key: the SK; kept as a :class:`~airflow_cbr.api.secret.Secret`.
    :param security_token: comes with temporary keys; is sent and signed, and kept in the same way. Default: none.
    :raises CbrConfigurationError: a part is empty, or has a space or a line end in it.
    """

    access_key: str
    secret_key: Secret
    security_token: Secret | None

    def __init__(self, access_key: str, secret_key: str | Secret, security_token: str | Secret | None = None) -> None:
        # Under the same names, so that no plain text stays in this frame.
        secret_key = Secret.of(secret_key)
        security_token = None if security_token is None else Secret.of(security_token)
        object.__setattr__(self, "access_key", access_key)
        object.__setattr__(self, "secret_key", secret_key)
        object.__setattr__(self, "security_token", security_token)
        parts = {"access key (login)": Secret.of(access_key), "secret key (password)": secret_key}
        if security_token is not None:
            parts["security_token"] = security_token
        for name, value in parts.items():
            if not value:
                raise CbrConfigurationError(f"The {name} is missing.")
            if not VISIBLE.fullmatch(value.reveal()):
                raise CbrConfigurationError(f"The {name} contains a space, a line end or another character that is not allowed in a key.")

    def all_secrets(self) -> str:
        """Return all that is secret of it, in one text, for a fingerprint."""
        return "\0".join((self.secret_key.reveal(), self.security_token.reveal() if self.security_token is not None else ""))


@dataclass(frozen=True, init=False)
class PasswordCredentials:
    """An IAM user; a HUAWEI ID cannot do this.

    :param user_name: name of the IAM user.
    :param password: its password; kept as a :class:`~airflow_cbr.api.secret.Secret`.
    :param domain_name: name of the account that the user belongs to.
    :raises CbrConfigurationError: a part is empty.
    """

    user_name: str
    password: Secret
    domain_name: str

    def __init__(self, user_name: str, password: str | Secret, domain_name: str) -> None:
        password = Secret.of(password)
        object.__setattr__(self, "user_name", user_name)
        object.__setattr__(self, "password", password)
        object.__setattr__(self, "domain_name", domain_name)
        for name, value in {
            "IAM user name (login)": user_name,
            "IAM password (password)": password,
            "domain_name": domain_name,
        }.items():
            if not value:
                raise CbrConfigurationError(f"The {name} is missing.")
