"""What every way to a key has: what it depends on, what it asks, and the name of that step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from requests.auth import AuthBase

from airflow_cbr.api.credentials import VISIBLE
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from requests import PreparedRequest

    from airflow_cbr.api.renewal import IssuedKey
    from airflow_cbr.api.sign_in import SignIn

__all__ = ["HeaderAuth", "IssuedSource", "environment", "needed", "read_token_file"]

_LONGEST_FILE: Final = 1 << 16


@dataclass(frozen=True)
class IssuedSource:
    """A source that a connection names by its ``auth_type``, and that needs no key itself."""

    auth_type: ClassVar[str]
    step: ClassVar[str]
    advice: ClassVar[str]

    @property
    def base(self) -> None:
        """Return None: it needs none."""
        return None

    @classmethod
    def of(cls, settings: Mapping[str, str | None]) -> IssuedSource:
        """Return the source that a connection describes.

        :param settings: the texts of its extra, by name.
        :raises CbrParameterError: one of them cannot be right.
        """
        return cls()

    def issue(self, desk: SignIn, base: IssuedKey | None) -> IssuedKey:
        """Ask for a key.

        :param desk: what to ask with.
        :param base: None.
        :raises CbrError: there is none.
        """
        raise NotImplementedError

    def guard(self, desk: SignIn) -> AbstractContextManager[None]:
        """Guard nothing: a key that ends is replaced when it is refused, and nobody is locked out with it.

        :param desk: what is asked with.
        """
        return contextlib.nullcontext()


class HeaderAuth(AuthBase):
    """Authenticates a request by one header.

    :param name: the header.
    :param value: its value.
    """

    def __init__(self, name: str, value: Secret) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Set the header."""
        request.headers[self._name] = self._value.reveal()
        return request


def environment(name: str) -> str | None:
    """Return a variable of the environment, or None when it is not set or blank.

    :param name: the variable.
    """
    return os.environ.get(name, "").strip() or None


def needed(name: str, *, on: str) -> str:
    """Return a variable of the environment that must be there.

    :param name: the variable.
    :param on: where it is set, for the message.
    :raises CbrConfigurationError: it is not set.
    """
    value = environment(name)
    if value is None:
        raise CbrConfigurationError(
            f"The environment variable {name} is not set for this process.",
            advice=f"{on} It must be set for workers, the triggerer and, for the connection test, the API server.",
        )
    return value


def read_token_file(path: str, variable: str) -> Secret:
    """Return the token in a file, read now: the platform replaces it while tasks run.

    :param path: the file.
    :param variable: the environment variable that names it.
    :raises CbrConfigurationError: there is no such file, or what is in it is no token; not permanent, for it may be just being replaced.
    """
    try:
        with Path(path).open("rb") as file:
            token = Secret(file.read(_LONGEST_FILE + 1).decode("ascii").strip())
    except (OSError, ValueError) as error:
        # What is in the file is not quoted.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CbrConfigurationError(
            f"The token file that {variable} names cannot be read: {ascii(path)[:200]} ({reason}).",
            advice="See whether the pod mounts it, and whether Airflow's user may read it.",
            permanent=False,
        ) from None
    if not VISIBLE.fullmatch(token.reveal()) or len(token.reveal()) > _LONGEST_FILE:
        raise CbrConfigurationError(
            f"The token file that {variable} names holds no token: {ascii(path)[:200]}.",
            advice="See what mounts it; it must hold one line with the token alone.",
            permanent=False,
        )
    return token
