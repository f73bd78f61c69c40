"""The schemas themselves: every call has one, every call's answer fits it, and an answer that is wrong does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.emulator.app import ROUTES
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, SOURCE_PROJECT, SOURCE_VAULT
from tests.support.answer_schemas import OWN, check_answer, published_folder, published_validator
from tests.support.emulator import InProcessAdapter
from tests.support.plain_client import Plain, token_body

if TYPE_CHECKING:
    import requests

ANSWERS_WITHOUT_BODY = {"DeleteBackup"}


@pytest.fixture(scope="module")
def answers() -> dict[str, requests.Response]:
    """One successful answer of every call, after a replication and a checkpoint."""
    adapter = InProcessAdapter()
    cbr = Plain.in_process(adapter)
    found: dict[str, requests.Response] = {}
    token = cbr.token(SOURCE_PROJECT)
    found["KeystoneShowVersion"] = cbr.session.get(f"{cbr.url}/v3", timeout=5)
    found["KeystoneCreateUserTokenByPassword"] = cbr.session.post(
        f"{cbr.url}/v3/auth/tokens", json=token_body({"project": {"name": "cn-north-4"}}), timeout=5
    )
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    found["KeystoneValidateToken"] = cbr.session.get(f"{cbr.url}/v3/auth/tokens", headers=headers, timeout=5)
    found["KeystoneListProjects"] = cbr.session.get(f"{cbr.url}/v3/projects", headers=headers, timeout=5)
    found["CopyBackup"] = cbr.replicate_backup(BACKUPS[0])
    adapter.clock.advance(10)
    found["CopyCheckpoint"] = cbr.replicate()
    found["CreateCheckpoint"] = cbr.send("POST", "/checkpoints", body={"checkpoint": {"vault_id": SOURCE_VAULT}})
    adapter.clock.advance(3)
    checkpoint = found["CreateCheckpoint"].json()["checkpoint"]["id"]
    found["ShowCheckpoint"] = cbr.send("GET", f"/checkpoints/{checkpoint}")
    found["ListBackups"] = cbr.send("GET", "/backups", query={"show_replication": "true"})
    found["ShowBackup"] = cbr.send("GET", f"/backups/{BACKUPS[0]}")
    found["ListOpLogs"] = cbr.send("GET", "/operation-logs")
    found["ShowOpLog"] = cbr.send("GET", f"/operation-logs/{found['ListOpLogs'].json()['operation_logs'][0]['id']}")
    found["ListVault"] = cbr.send("GET", "/vaults")
    found["ShowVault"] = cbr.send("GET", f"/vaults/{SOURCE_VAULT}")
    found["ListExternalVault"] = cbr.send(
        "GET", "/vaults/external", query={"external_project_id": DESTINATION_PROJECT, "region_id": "cn-shenzhen-1"}
    )
    found["ShowReplicationCapabilities"] = cbr.send("GET", "/replication-capabilities")
    found["DeleteBackup"] = cbr.send("DELETE", f"/backups/{BACKUPS[0]}")
    return found


def test_every_call_is_here(answers: dict[str, requests.Response]) -> None:
    published = {name for name, _, _ in ROUTES}
    assert set(answers) == published
    assert set(OWN) == published - ANSWERS_WITHOUT_BODY


@pytest.mark.parametrize("call", [name for name, _, _ in ROUTES])
def test_an_answer_fits_both_readings(answers: dict[str, requests.Response], call: str) -> None:
    answer = answers[call]
    assert answer.status_code < 300, answer.text
    check_answer(call, answer.status_code, answer.content)


@pytest.mark.parametrize("call", sorted(set(OWN) - {"KeystoneShowVersion"}))
def test_a_missing_or_a_strange_field_does_not_fit(answers: dict[str, requests.Response], call: str) -> None:
    missing, strange = json.loads(answers[call].content), json.loads(answers[call].content)
    del missing[next(iter(missing))]
    with pytest.raises(AssertionError, match="own schema"):
        check_answer(call, 200, json.dumps(missing).encode())
    strange["surprise"] = 1
    with pytest.raises(AssertionError, match="own schema"):
        check_answer(call, 200, json.dumps(strange).encode())


def test_a_field_of_the_wrong_type_does_not_fit(answers: dict[str, requests.Response]) -> None:
    content = answers["ListBackups"].json()
    content["backups"][0]["resource_size"] = "40"
    with pytest.raises(AssertionError, match=r"backups\.0\.resource_size"):
        check_answer("ListBackups", 200, json.dumps(content).encode())


def test_the_published_definitions_are_used_where_they_are(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a folder of definitions that ask for more than the emulator gives, an answer does not fit."""
    document = {
        "paths": {"/v3/x": {"post": {"responses": {"200": {"schema": {"$ref": "#/definitions/Answer"}}}}}},
        "definitions": {"Answer": {"required": ["job_id"], "properties": {"replication": {"type": "object"}}}},
    }
    (tmp_path / "CBR.CopyCheckpoint.json").write_text(json.dumps(document))
    monkeypatch.setenv("CBR_OPENAPI_DIR", str(tmp_path))
    published_validator.cache_clear()
    try:
        assert published_folder() == tmp_path
        validator = published_validator("CopyCheckpoint")
        assert validator is not None
        assert not validator.is_valid({"replication": {}})
        # A field may always be null.
        assert validator.is_valid({"job_id": 1, "replication": None})
        assert published_validator("ShowBackup") is None
    finally:
        published_validator.cache_clear()
