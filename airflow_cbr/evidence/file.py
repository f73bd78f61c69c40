"""One evidence file: what it says, and the line at its end that seals it.

A file has two lines, and both together are one JSON object. The first is what is attested. The second closes the object with the SHA-256
digest of the first line and, where there is a key, its signature. The seal is read by itself and compared with what it must look like byte
by byte, so that nothing can be slipped in behind what was signed.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from airflow_cbr.evidence.signing import Signature

if TYPE_CHECKING:
    from airflow_cbr.evidence.signing import Signer

__all__ = [
    "Evidence",
    "Run",
    "Seal",
    "UnsoundFileError",
    "VaultPlace",
    "digest_of",
    "evidence_schema",
    "generate_schema",
    "pair_of",
    "seal",
    "unseal",
]

_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Id = Annotated[str, Meta(min_length=1)]


class VaultPlace(msgspec.Struct, frozen=True):
    """Where a vault is, and its name at that time."""

    region: _Id
    project_id: _Id
    vault_id: _Id
    name: Annotated[str | None, Meta(description="Null where it could not be read.")] = None


class Run(msgspec.Struct, frozen=True):
    """Which attempt of which task wrote it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a vault pair at one time. Times are ISO 8601 with a zone."""

    version: Annotated[Literal[1], Meta(description="A new version may remove or rename fields; the same version only adds some.")] = 1
    kind: Annotated[str, Meta(description="The kind of its content: verification, or drill.")]
    sequence: Annotated[int, Meta(ge=1, description="Its number in the chain of the vault pair, which its name begins with.")]
    previous: Annotated[
        list[_Sha256],
        Meta(description="SHA-256 of the file before it. None in the first; more than one where two were written at the same time."),
    ]
    repeats: Annotated[
        _Sha256 | None,
        Meta(description="SHA-256 of an earlier file with the same evidence, left out of the chain because others came at the same time."),
    ] = None
    source: VaultPlace
    destination: VaultPlace
    at: Annotated[datetime, Meta(tz=True, description="When it was found out, by the service's clock where that is known.")]
    written_at: Annotated[datetime, Meta(tz=True, description="When the file was written, by the worker's clock.")]
    run: Run
    package: Annotated[str, Meta(description="The version of airflow-cbr that wrote it.")]
    content: Annotated[msgspec.Raw, Meta(description="What was found out, by kind.")]


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The last line: what seals the first."""

    sha256: Annotated[_Sha256, Meta(description="SHA-256 of the first line, its line end included.")]
    signature: Annotated[Signature | None, Meta(description="Left out where there is no key.")] = None


class UnsoundFileError(ValueError):
    """The bytes are not a whole, unchanged evidence file.

    :param evidence: what they say all the same, which nothing confirms. Default: nothing that can be read.
    """

    def __init__(self, message: str, evidence: Evidence | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence


_encode: Final = msgspec.json.Encoder().encode
_decode_evidence: Final = msgspec.json.Decoder(Evidence).decode
_decode_seal: Final = msgspec.json.Decoder(Seal).decode
_UNSAFE: Final = re.compile(r"[^0-9A-Za-z.-]")


def pair_of(source: VaultPlace, destination: VaultPlace) -> str:
    """Return the name of the folder of a vault pair.

    :param source: the source vault.
    :param destination: the destination vault.
    """
    names = (source.region, source.vault_id, "to", destination.region, destination.vault_id)
    return "_".join(_UNSAFE.sub("-", name) for name in names)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a whole file, by which the next one names it.

    :param data: the file.
    """
    return hashlib.sha256(data).hexdigest()


def seal(evidence: Evidence, signer: Signer | None = None) -> bytes:
    """Return the bytes of a file.

    :param evidence: what it says.
    :param signer: signs it. Default: it is not signed.
    """
    attested = _encode(evidence)[:-1] + b"\n"
    signature = None if signer is None else Signature(key=signer.key_id, value=signer.sign(attested))
    return attested + _last_line(Seal(digest_of(attested), signature))


def unseal(data: bytes) -> tuple[Evidence, Seal, bytes]:
    """Return what a file says, its seal, and the bytes that are sealed; whoever has a key checks the signature.

    :param data: the file.
    :raises UnsoundFileError: it is cut, changed, or no evidence file at all.
    """
    attested, end, last = data.partition(b"\n")
    attested += end
    try:
        sealed = _decode_seal(b"{" + last[1:])
        evidence = _decode_evidence(attested + b"}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnsoundFileError(f"it is cut, or no evidence file: {error}") from None
    if last != _last_line(sealed):
        raise UnsoundFileError("its last line is not a seal", evidence)
    if digest_of(attested) != sealed.sha256:
        raise UnsoundFileError("its content does not have the digest that its last line says", evidence)
    return evidence, sealed, attested


def _last_line(sealed: Seal) -> bytes:
    return b"," + _encode(sealed)[1:] + b"\n"


# --- the schema -------------------------------------------------------------------------------------------------------


@cache
def evidence_schema() -> dict[str, Any]:
    """Return the JSON schema of a file, as published with the package."""
    schema: dict[str, Any] = json.loads(files("airflow_cbr.evidence").joinpath("evidence.schema.json").read_text(encoding="utf-8"))
    return schema


def generate_schema() -> dict[str, Any]:
    """Return the JSON schema of a file from its types, to be published."""
    definitions: dict[str, dict[str, Any]] = msgspec.json.schema_components((Evidence, Seal), ref_template="#/$defs/{name}")[1]
    for definition in definitions.values():
        definition["description"] = definition["description"].partition("\n")[0]
    whole, closing = definitions.pop("Evidence"), definitions.pop("Seal")
    whole["properties"] |= closing["properties"]
    whole["required"] += closing["required"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "Evidence of a vault pair",
        "$defs": definitions,
    }
