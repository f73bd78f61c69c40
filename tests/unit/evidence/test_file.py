"""A file says what was written into it, and every change of a byte shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airflow_cbr.evidence.chain import Link
from airflow_cbr.evidence.file import UnsoundFileError, VaultPlace, digest_of, evidence_schema, generate_schema, pair_of, seal, unseal
from airflow_cbr.evidence.signing import Signer
from tests.support.evidence_nights import HERE, PAIR, THERE, evidence, night
from tests.support.signing_keys import new_signer

LINK = Link(2, ["0" * 64], None)
WHOLE = seal(evidence(LINK, night(0)))
SIGNED = seal(evidence(LINK, night(0)), new_signer()[0])


def test_what_was_written_is_read() -> None:
    written = evidence(LINK, night(0))
    found, sealed, attested = unseal(seal(written))

    assert found == written
    assert (sealed.signature, sealed.sha256) == (None, digest_of(attested))


def test_a_file_is_one_json_object_of_two_lines() -> None:
    for data in (WHOLE, SIGNED):
        assert data.count(b"\n") == 2
        document = json.loads(data)
        assert (document["sequence"], document["previous"], document["kind"]) == (2, ["0" * 64], "verification")
        assert document["content"]["report"]["verdict"] == "verified"
    assert "signature" not in json.loads(WHOLE)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([WHOLE, SIGNED]), st.integers(0, 2**16), st.integers(1, 255))
def test_any_change_of_any_byte_shows(file: bytes, place: int, change: int) -> None:
    at = place % len(file)
    changed = file[:at] + bytes([(file[at] + change) % 256]) + file[at + 1 :]

    with_signature = file is SIGNED and b'"signature"' in file[at - 200 :]
    try:
        _, sealed, attested = unseal(changed)
    except UnsoundFileError:
        return
    # What the digest does not cover is the signature, and that no longer fits.
    assert with_signature
    assert changed.partition(b"\n")[0] == file.partition(b"\n")[0]
    assert sealed != unseal(file)[1]
    assert attested == unseal(file)[2]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(WHOLE) - 1))
def test_a_part_of_a_file_is_none(length: int) -> None:
    with pytest.raises(UnsoundFileError):
        unseal(WHOLE[:length])


@pytest.mark.parametrize("tail", [b" ", b"\n", b"{}", b"\n,}\n", WHOLE])
def test_nothing_can_follow_the_seal(tail: bytes) -> None:
    with pytest.raises(UnsoundFileError):
        unseal(WHOLE + tail)


def test_nothing_can_be_slipped_in_behind_what_is_signed() -> None:
    """A reader of JSON takes the last of two members with one name: the verdict behind the signature would count."""
    slipped = SIGNED.removesuffix(b"}\n") + b',"kind":"drill"}\n'
    assert json.loads(slipped)["kind"] == "drill"
    with pytest.raises(UnsoundFileError, match="unknown field"):
        unseal(slipped)

    twice = SIGNED.replace(b',"sha256":"', b',"sha256":"' + b"0" * 64 + b'","sha256":"')
    assert json.loads(twice) == json.loads(SIGNED)
    with pytest.raises(UnsoundFileError, match="not a seal"):
        unseal(twice)


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[]\n,}\n", b'{"a":1\n,"sha256":"x"}\n', b"\xff\xfe\n,\xff\n"])
def test_other_files_are_none(data: bytes) -> None:
    with pytest.raises(UnsoundFileError):
        unseal(data)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False), lambda inner: st.lists(inner, max_size=3)),
    st.text(),
)
def test_any_text_can_be_evidence(content: Any, name: str) -> None:
    source = VaultPlace(HERE.region, HERE.project_id, HERE.vault_id, name)
    written = evidence(LINK, night(0), {"any": content}, source=source)

    found, _, _ = unseal(seal(written))

    assert found.source == source
    assert json.loads(bytes(found.content)) == {"any": content}


def test_the_folder_of_a_pair_is_the_pairs_alone_and_stays_in_its_place() -> None:
    others = [(HERE, HERE), (THERE, HERE), (HERE, VaultPlace("cn-south-2", THERE.project_id, THERE.vault_id))]
    assert len({PAIR, *(pair_of(*places) for places in others)}) == 4
    assert pair_of(HERE, THERE) == f"cn-north-4_{HERE.vault_id}_to_cn-south-1_{THERE.vault_id}"
    assert "/" not in pair_of(VaultPlace("../..", "p", "/etc/passwd"), THERE)
    assert pair_of(HERE, THERE) == pair_of(VaultPlace(HERE.region, HERE.project_id, HERE.vault_id, "renamed"), THERE)


def test_the_published_schema_is_that_of_the_types_and_files_fit_it() -> None:
    assert evidence_schema() == json.loads(json.dumps(generate_schema())), "the types have changed: run `make schema`"
    Draft202012Validator.check_schema(evidence_schema())
    for data in (WHOLE, SIGNED):
        Draft202012Validator(evidence_schema()).validate(json.loads(data))


def test_the_content_of_the_tests_is_that_of_a_verification() -> None:
    from airflow_cbr.verification.document import report_schema
    from tests.support.evidence_nights import verification

    known = report_schema()["properties"]
    report = verification(backups=1)["report"]
    for name in ("resources", "findings", "backups"):
        kind = known[name]["items"]["$ref"].rpartition("/")[2]
        for row in report[name]:
            assert set(row) == set(report_schema()["$defs"][kind]["properties"])
    assert set(report) <= set(known)


def test_a_signer_shows_nothing_of_its_key() -> None:
    signer, pem, _ = new_signer()
    assert isinstance(signer, Signer)
    assert repr(signer) == f"Signer({signer.key_id})"
    assert not any(line in SIGNED.decode() + repr(signer) for line in pem.splitlines()[1:-1])
