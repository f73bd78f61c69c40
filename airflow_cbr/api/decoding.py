"""JSON of the service into typed rows, with every text in them made harmless on the way.

Here, and not where a text is shown: a name or a reason goes to logs, errors, XCom and reports by many ways. Nearly every page consists of
short printable texts; that is found out from its bytes, quicker than they are decoded.
"""

from __future__ import annotations

import threading
from typing import Any, Final, TypeVar

import msgspec

from airflow_cbr.api.texts import LONGEST_FIELD, one_line

__all__ = ["UNREADABLE", "decode_json"]

Model = TypeVar("Model")

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for bytes that are not the JSON that was expected."""

_NESTED: Final = "extra_info"
"""Older services send this object as a text that is JSON once more."""


_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}
_making: Final = threading.Lock()


def _decoder_of(model: type[Model]) -> msgspec.json.Decoder[Model]:
    # msgspec learns a type when it is first used. Two threads that make it learn the same one at the same moment, as the looks of a
    # triggerer do, end their process with a segmentation fault.
    if model not in _decoders:
        with _making:
            if model not in _decoders:
                _decoders[model] = msgspec.json.Decoder(model, strict=False)
    return _decoders[model]


def decode_json(body: bytes, model: type[Model]) -> Model:
    """Decode JSON. Each text in it is one line of at most 1000 characters, and has no character that cannot be printed.

    :param body: the JSON.
    :param model: what it is decoded to. Unknown fields are ignored; numbers and booleans may come as texts.
    :raises msgspec.MsgspecError: the body is not JSON, or not of the model's form.
    :raises ValueError: the body is not UTF-8.
    :raises RecursionError: it is nested too deeply.
    """
    decoder = _decoder_of(model)
    if _is_harmless(body):
        return decoder.decode(body)
    return msgspec.convert(_harmless(msgspec.json.decode(body)), type=model, strict=False)


def _is_harmless(body: bytes) -> bool:
    """Return whether no text in the JSON can hold a line end, an unprintable character, or too many characters; False when in doubt."""
    if b"\\" in body:
        # Backslashes, quotation marks and slashes may be escaped, as in an object that comes as a text; in pairs, from the left.
        body = body.replace(b"\\\\", b"__").replace(b'\\"', b"__").replace(b"\\/", b"__")
        if b"\\" in body:
            return False
    if _may_hold_long_text(body):
        return False
    if body.isascii():
        return b"\x7f" not in body
    # Outside of texts, JSON has white space that cannot be printed; inside of them it is not allowed.
    return body.decode().replace("\n", "").replace("\r", "").replace("\t", "").isprintable()


def _may_hold_long_text(body: bytes) -> bool:
    """Return whether there is a stretch without a quotation mark that is longer than the longest text, as such a text leaves one."""
    at, end, find = -1, len(body) - LONGEST_FIELD, body.rfind
    while at < end:
        at = find(b'"', at + 1, at + LONGEST_FIELD + 2)
        if at < 0:
            return True
    return False


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_FIELD and value.isprintable() else one_line(value)
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        return {name: _harmless(_opened(item) if name == _NESTED else item) for name, item in value.items()}
    return value


def _opened(value: Any) -> Any:
    """Return the object that a text holds, if the text cannot stay as it is and would be no JSON any more; anything else as it is."""
    if not isinstance(value, str) or value == _harmless(value):
        return value
    try:
        nested = msgspec.json.decode(value)
    except UNREADABLE:
        return value
    return nested if isinstance(nested, dict) else value
