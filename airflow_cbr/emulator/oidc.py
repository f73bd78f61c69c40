"""Tokens of an OpenID Connect provider, as IAM judges them: who signed them, for whom, and until when."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.emulator.exchange import NotJsonError, decoded

if TYPE_CHECKING:
    from airflow_cbr.emulator.key_parts import OidcPart

_SHA256_PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 hash in an RSA signature by PKCS #1 v1.5 (RFC 8017, 9.2)."""
_LONGEST: Final = 16_384
_LONGEST_MODULUS: Final = 1024


class IdTokenError(Exception):
    """A token that is not accepted; the text says why."""


def check_id_token(token: str, provider: OidcPart, now: float) -> dict[str, Any]:
    """Return the claims of a token.

    :param token: a signed JWT.
    :param provider: the provider that it must be of.
    :param now: by which its times are judged.
    :raises IdTokenError: it is not accepted.
    """
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 3:
        raise IdTokenError("the id token is malformed")
    header, claims = (_object(part) for part in parts[:2])
    if header.get("alg") != "RS256":
        raise IdTokenError("the id token is not signed with RS256")
    _check_signature(provider, header.get("kid"), f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))
    if claims.get("iss") != provider.issuer:
        raise IdTokenError("the issuer of the id token is not the provider's")
    audience = claims.get("aud")
    if not set(audience if isinstance(audience, list) else [audience]) & set(provider.audiences):
        raise IdTokenError("the audience of the id token is not one of the provider's")
    if provider.subjects is not None and claims.get("sub") not in provider.subjects:
        raise IdTokenError("the subject of the id token is not trusted")
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(ends, int | float) or isinstance(ends, bool) or ends <= now:
        raise IdTokenError("the id token has expired")
    if not isinstance(begins, int | float) or begins > now:
        raise IdTokenError("the id token is not valid yet")
    return claims


def _check_signature(provider: OidcPart, kid: Any, signed: bytes, signature: bytes) -> None:
    for key in provider.keys:
        if key.get("kty") == "RSA" and key.get("kid") == kid:
            try:
                modulus, exponent = _bytes(str(key.get("n"))), int.from_bytes(_bytes(str(key.get("e"))), "big")
            except IdTokenError:
                continue
            if len(modulus) <= _LONGEST_MODULUS and exponent.bit_length() <= 32 and _fits(modulus, exponent, signed, signature):
                return
    raise IdTokenError("the signature of the id token does not fit any key of the provider")


def _fits(modulus: bytes, exponent: int, signed: bytes, signature: bytes) -> bool:
    length = len(modulus)
    content = _SHA256_PREFIX + hashlib.sha256(signed).digest()
    if len(signature) != length or length < len(content) + 11:
        return False
    shown = pow(int.from_bytes(signature, "big"), exponent, int.from_bytes(modulus, "big")).to_bytes(length, "big")
    padding = b"\xff" * (length - len(content) - 3)
    return hmac.compare_digest(shown, b"\x00\x01" + padding + b"\x00" + content)


def _object(part: str) -> dict[str, Any]:
    try:
        content = decoded(_bytes(part))
    except NotJsonError:
        content = None
    if not isinstance(content, dict):
        raise IdTokenError("the id token is malformed")
    return content


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise IdTokenError("the id token is malformed") from None
