"""Signatures: who could have written a file, and which key says so."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cbr.evidence.chain import Link
from airflow_cbr.evidence.file import seal, unseal
from airflow_cbr.evidence.signing import PublicKeys, Signature, Signer
from tests.support.evidence_nights import evidence, night
from tests.support.signing_keys import new_signer

SIGNER, PEM, PUBLIC = new_signer()
OTHER, _, OTHER_PUBLIC = new_signer()


def test_one_of_several_keys_is_enough() -> None:
    for signer in (SIGNER, OTHER):
        signature = Signature(signer.key_id, signer.sign(b"text"))
        assert PublicKeys.from_pems([PUBLIC, OTHER_PUBLIC]).accept(signature, b"text")
        assert PublicKeys.from_pems([PUBLIC]).accept(signature, b"text") is (signer is SIGNER)
    assert PublicKeys.from_pems([PUBLIC, OTHER_PUBLIC]).ids == sorted((SIGNER.key_id, OTHER.key_id))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=64), st.text(max_size=90))
def test_no_other_text_and_no_other_signature_is_accepted(text: bytes, value: str) -> None:
    keys = PublicKeys.from_pems([PUBLIC])
    signature = Signature(SIGNER.key_id, SIGNER.sign(text))
    assert keys.accept(signature, text)
    assert not keys.accept(signature, text + b" ")
    assert not keys.accept(Signature(SIGNER.key_id, value), text)
    assert not keys.accept(Signature(SIGNER.key_id, OTHER.sign(text)), text)


@pytest.mark.parametrize(
    "stored",
    [PEM, PEM.strip(), PEM.replace("\n", " "), PEM.replace("\n", "\\n"), PEM.replace("\n", "\r\n"), PEM.replace("\n", "")],
    ids=["as it is", "without the last line end", "spaces", "written line ends", "CRLF", "none"],
)
def test_a_key_survives_a_form_of_one_line(stored: str) -> None:
    assert Signer.from_pem(stored).key_id == SIGNER.key_id


def wrong_keys() -> dict[str, str]:
    elliptic = generate_private_key(SECP256R1())
    pkcs8 = PrivateFormat.PKCS8
    return {
        "nothing": "",
        "a text": "correct horse battery staple",
        "a public key": PUBLIC.decode(),
        "cut": PEM[:60],
        "of another kind": elliptic.private_bytes(Encoding.PEM, pkcs8, NoEncryption()).decode(),
        "with a passphrase": SIGNER._key.private_bytes(Encoding.PEM, pkcs8, BestAvailableEncryption(b"x")).decode(),
    }


def test_what_is_no_key_is_refused_without_a_word_of_it() -> None:
    for name, text in wrong_keys().items():
        with pytest.raises(
            ValueError, match=r"^it is (not an unencrypted private key in PEM|a private key, but not of Ed25519)$"
        ) as caught:
            Signer.from_pem(text)
        assert caught.value.__cause__ is None, name
        assert caught.value.__suppress_context__ or caught.value.__context__ is None, name
    elliptic = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for pem in (PEM.encode(), b"", elliptic):
        with pytest.raises(ValueError, match="public key"):
            PublicKeys.from_pems([pem])


def test_openssl_agrees(tmp_path: Path) -> None:
    """An auditor who does not trust this package needs nothing of it: the signature is over the file without its last line."""
    openssl = shutil.which("openssl")
    assert openssl is not None, "the page on evidence shows openssl: install the package openssl"
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    data = seal(evidence(Link(1, [], None), night(0)), SIGNER)
    _, sealed, attested = unseal(data)
    assert sealed.signature is not None
    (tmp_path / "line").write_bytes(data.splitlines(keepends=True)[0])
    assert (tmp_path / "line").read_bytes() == attested
    (tmp_path / "signature").write_bytes(base64.b64decode(sealed.signature.value))
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", "line", "-sigfile", "signature"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully"), done.stderr
