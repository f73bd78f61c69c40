"""Texts for messages: numbers with their nouns, and texts that somebody else wrote, made short, one line, and harmless.

A service, a gateway or a proxy may send line ends that forge log lines, escape codes that move a terminal's cursor, marks that turn the
direction of writing, and megabytes of any of them. All of this module takes time in proportion to the text, whatever the text is.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from airflow_cbr.api.secret import Secret

__all__ = ["LONGEST_FIELD", "LONGEST_MESSAGE", "LONGEST_NAME", "clean", "counted", "one_line"]

LONGEST_MESSAGE: Final = 300
"""Characters of an error's text that a message quotes."""
LONGEST_NAME: Final = 100
"""Characters of a name that a message shows, before the id that identifies it; the service itself allows 64."""
LONGEST_FIELD: Final = 1000
"""Characters of a row's field that are kept: a name, a status word, a reason."""

_READ: Final = 64 * LONGEST_MESSAGE
"""Characters of a text that are read: enough to get past the head of a proxy's error page."""
_HIDDEN: Final = re.compile(r"<(?:(!--)|(script|style)\b)", re.IGNORECASE)
_ENDS: Final = {
    "!--": re.compile("-->"),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}
_SIGNATURE: Final = re.compile(r"(Signature=)[0-9A-Fa-f]+")
_URL_USER: Final = re.compile(r"(://)[^/@\s]*@")
_ABSURD_REFERENCE: Final = re.compile(r"&#[xX]?[0-9A-Fa-f]{9,};?")
"""A character's number with more digits than any has: html.unescape would make an integer of it, and fail."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with what it counts: ``1 backup``, ``3 backups``, ``2 copies are``.

    :param number: how many.
    :param one: the word, or words, for exactly one.
    :param many: the same for any other number. Default: ``one`` with an "s".
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def one_line(text: object, longest: int = LONGEST_FIELD) -> str:
    """Make a value of the service fit to be shown: cut, without line ends, control characters or marks that cannot be seen.

    :param text: what the service said; anything but a string is converted to one.
    :param longest: characters that are kept. Default: 1000.
    :return: one line; each character that cannot be printed has become a space, so that no text becomes an id by it.
    """
    text = text if isinstance(text, str) else str(text)
    if len(text) > longest:
        text = f"{text[: longest - 3]}..."
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def clean(text: str, secrets: Iterable[Secret | str] = (), longest: int = LONGEST_MESSAGE) -> str:
    """Make a text of unknown origin fit for a message: one line, short, without markup and secrets.

    :param text: what a service or a library said.
    :param secrets: texts to black out, also where they appear in URL or JSON notation. Default: none.
    :param longest: characters that are kept. Default: 300.
    :return: the text.
    """
    forms = sorted({form for secret in secrets for form in _forms(Secret.of(secret).reveal())}, key=len, reverse=True)
    margin = len(forms[0]) if forms else 0
    is_cut = len(text) > _READ
    text = _black_out(text[: _READ + margin], forms)
    if is_cut:
        # The beginning of a secret may stand at the cut, where nothing tells it from any other text.
        text = text[: max(0, len(text) - margin)]
    text = html.unescape(_ABSURD_REFERENCE.sub(" ", _without_markup(one_line(text, _READ))))
    # What was written as a reference is a character only now.
    text = _black_out(" ".join(one_line(text, _READ).split()), forms)
    text = _URL_USER.sub(r"\1***@", _SIGNATURE.sub(r"\1***", text))
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _forms(secret: str) -> set[str]:
    """Return the notations of a secret that may stand in a text."""
    if not secret:
        return set()
    # One lone surrogate, which no URL can carry, must not keep the others from being found.
    plain = secret.encode("utf-8", "replace")
    return {secret, quote(plain), quote(plain, safe=""), json.dumps(secret)[1:-1], " ".join(secret.split())} - {""}


def _black_out(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, "***")
    return text


def _without_markup(text: str) -> str:
    parts = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        parts.append(text[at:start])
        if hidden := _HIDDEN.match(text, start):
            end = _ENDS[(hidden[1] or hidden[2]).lower()].search(text, hidden.end())
            if end is None:
                # It hides all that follows.
                return " ".join(parts)
            at = end.end()
            continue
        at = text.find(">", start) + 1
        if not at:
            # No tag from here on.
            return " ".join([*parts, text[start:]])
    return " ".join([*parts, text[at:]])
