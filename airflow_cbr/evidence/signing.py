"""Signing evidence with an Ed25519 key, and checking that.

``cryptography`` is loaded where a key is: a check without keys needs none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["PublicKeys", "Signature", "Signer"]

_KEY_ID_DIGITS: Final = 16
_LINE_ENDS: Final = re.compile(r"\s|\\n")
_PEM: Final = re.compile(r"(-----BEGIN PRIVATE KEY-----)(.*?)(-----END PRIVATE KEY-----)", re.DOTALL)


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An Ed25519 signature."""

    key: Annotated[str, Meta(pattern="^[0-9a-f]{16}$", description="The first 16 hex digits of the SHA-256 of the raw public key.")]
    value: Annotated[str, Meta(description="Base64 of the signature of the first line, its line end included.")]


class Signer:
    """Signs with a private key, which does not show.

    :param key: the key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = _key_id(key.public_key())

    @classmethod
    def from_pem(cls, pem: str) -> Signer:
        """Return a signer.

        :param pem: the private key as ``openssl genpkey -algorithm ed25519`` writes it, with its line ends or without.
        :raises ValueError: it is not an unencrypted Ed25519 private key; the message quotes nothing of it.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        # A form of one line, such as a connection's, makes spaces of line ends.
        if found := _PEM.search(pem):
            pem = "\n".join((found[1], _LINE_ENDS.sub("", found[2]), found[3], ""))
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("it is not an unencrypted private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("it is a private key, but not of Ed25519")
        return cls(key)

    def __repr__(self) -> str:
        """Return which key it is, by what may be known of it."""
        return f"Signer({self.key_id})"

    def sign(self, data: bytes) -> str:
        """Return the signature in base64.

        :param data: what is signed.
        """
        return base64.b64encode(self._key.sign(data)).decode("ascii")


class PublicKeys:
    """The public keys with which evidence may be signed; several, for a key that was changed.

    :param keys: the keys.
    """

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._by_id = {_key_id(key): key for key in keys}

    @classmethod
    def from_pems(cls, pems: Iterable[bytes]) -> PublicKeys:
        """Return the keys.

        :param pems: each is a public key as ``openssl pkey -pubout`` writes it.
        :raises ValueError: one is not an Ed25519 public key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        keys = []
        for pem in pems:
            try:
                key = load_pem_public_key(pem)
            except (ValueError, UnsupportedAlgorithm):
                raise ValueError("it is not a public key in PEM") from None
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("it is a public key, but not of Ed25519")
            keys.append(key)
        return cls(keys)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the keys, as signatures name them."""
        return sorted(self._by_id)

    def knows(self, signature: Signature) -> bool:
        """Return whether the key that a signature names is one of these.

        :param signature: from a file.
        """
        return signature.key in self._by_id

    def accept(self, signature: Signature, data: bytes) -> bool:
        """Return whether a signature is right.

        :param signature: from a file.
        :param data: what was signed.
        """
        from cryptography.exceptions import InvalidSignature

        key = self._by_id.get(signature.key)
        if key is None:
            return False
        try:
            key.verify(base64.b64decode(signature.value, validate=True), data)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_KEY_ID_DIGITS]
