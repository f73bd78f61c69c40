"""A secret that does not show: not in a repr, a traceback with locals, a pickle, or a text that somebody formats.

Tracebacks with the frames' locals (rich, structlog, Sentry) print what a repr shows. A secret is therefore wrapped where it enters, and
taken out only where its bytes go to the service.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["Secret"]

_BLIND = "***"


class Secret:
    """Holds a text that must not be seen.

    Two secrets are equal when their texts are; a secret is never equal to a plain text.

    :param text: the text.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    @classmethod
    def of(cls, text: str | Secret) -> Secret:
        """Return the secret itself, or a new one with the text.

        :param text: a text, or a secret.
        """
        return text if isinstance(text, Secret) else cls(text)

    def reveal(self) -> str:
        """Return the text. Use it in the expression that needs it, and give it no name."""
        return self.__text

    def __bool__(self) -> bool:
        """Return whether there is any text."""
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a secret with the same text; takes the same time wherever they differ."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode("utf-8", "surrogatepass"), other.__text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        """Return a hash that is good in this process only."""
        return hash(self.__text)

    def __repr__(self) -> str:
        """Return three stars."""
        return _BLIND

    def __str__(self) -> str:
        """Return three stars."""
        return _BLIND

    def __format__(self, spec: str) -> NoReturn:
        """Refuse: three stars inside a text that is sent would be a wrong password that nobody finds."""
        raise TypeError("A secret cannot be formatted.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled, and with it to be copied."""
        raise TypeError("A secret can be neither pickled nor copied.")
