"""The verify operator leaves evidence of every verdict, and no verdict without the evidence that was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.airflow_names import AirflowFailException, AirflowSkipException
from airflow_cbr.cli import main
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.evidence.file import evidence_schema
from airflow_cbr.evidence.judgement import State, judge
from airflow_cbr.exceptions import CbrEvidenceError, CbrVerificationError
from airflow_cbr.verification.document import report_schema
from tests.support.memory_bucket import empty_bucket
from tests.support.signing_keys import new_signer
from tests.support.task_run import TaskRun, replicating, set_connection, verifying

if TYPE_CHECKING:
    from tests.support.emulator import EmulatorServer

SIGNER, PRIVATE, PUBLIC = new_signer()
LEVELS = {"record": "fail", "replica": "fail", "coverage": "fail"}
BROKEN = "/proc/evidence"


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/*.json"))]


def audit(folder: Path | str, **changes: Any) -> TaskRun:
    return verifying(None, evidence_path=str(folder), max_age=86400, **changes)


def test_a_verification_leaves_one_file_that_says_what_it_found(emulator: EmulatorServer, tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    replicating().attempt()
    run = audit(tmp_path / "evidence")
    run.attempt()

    (document,) = documents(tmp_path / "evidence")
    Draft202012Validator(evidence_schema()).validate(document)
    Draft202012Validator(report_schema()).validate(document["content"]["report"])
    assert document["content"] == {"report": run.xcoms["verification"], "report_sha256": None}
    assert (document["sequence"], document["previous"], document["kind"]) == (1, [], "verification")
    assert document["run"] == {"dag_id": "a_dag", "run_id": "manual__1", "task_id": "verify", "map_index": -1, "try_number": 1}
    assert (document["source"]["vault_id"], document["destination"]["vault_id"]) == (SOURCE_VAULT, DESTINATION_VAULT)
    named = [run.task.hook.show_vault(SOURCE_VAULT).name, run.task.destination_hook.show_vault(DESTINATION_VAULT).name]
    assert [document["source"]["name"], document["destination"]["name"]] == named
    assert all(named)
    pushed = run.xcoms["evidence"]
    assert (Path(pushed["path"]).is_file(), pushed["sequence"]) == (True, 1)
    assert f"The evidence was written to {pushed['path']} (SHA-256 {pushed['sha256']})" in run.log
    assert main(["evidence", "check", str(tmp_path / "evidence")]) == 0


def test_what_it_found_is_what_the_report_judges(emulator: EmulatorServer, tmp_path: Path) -> None:
    import msgspec

    replicating().attempt()
    audit(tmp_path, levels=LEVELS).attempt()
    (document,) = documents(tmp_path)
    found = judge(msgspec.Raw(json.dumps(document["content"]).encode()))
    ages = [resource["age_seconds"] for resource in document["content"]["report"]["resources"]]
    assert len(ages) == 3
    assert (found.state, found.age) == (State.MET, max(ages))


def test_a_red_night_is_evidence_and_its_retry_a_further_file(emulator: EmulatorServer, tmp_path: Path) -> None:
    emulator.control.fault("replica_missing", backup_id=BACKUPS[0], count=1)
    record_ids = list(replicating().attempt())
    run = verifying(record_ids, evidence_path=str(tmp_path))
    for _ in range(2):
        with pytest.raises(CbrVerificationError):
            run.attempt()
        assert run.xcoms["evidence"]["sequence"] == run.try_number - 1

    first, second = documents(tmp_path)
    assert [one["run"]["try_number"] for one in (first, second)] == [1, 2]
    assert [one["content"]["report"]["verdict"] for one in (first, second)] == ["failed", "failed"]
    assert len(second["previous"]) == 1
    assert main(["evidence", "check", str(tmp_path)]) == 0


def test_a_skipped_task_leaves_evidence_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException):
        audit(tmp_path, levels=dict.fromkeys(("replica", "coverage", "rpo"), "skip")).attempt()
    (document,) = documents(tmp_path)
    assert document["content"]["report"]["outcome"] == "skipped"


def test_no_verdict_is_green_without_the_evidence_that_was_asked_for(emulator: EmulatorServer) -> None:
    replicating().attempt()
    run = audit(BROKEN)
    with pytest.raises(CbrEvidenceError, match="could not be written to /proc/evidence: FileNotFoundError") as caught:
        run.attempt()
    assert not caught.value.permanent
    assert run.xcoms["return_value"]["verdict"] == "verified", "the verdict itself is there"
    assert run.xcoms["verification"]["verdict"] == "verified"
    assert "evidence" not in run.xcoms

    skipping = audit(BROKEN, levels={"replica": "fail", "vault": "skip"}, require_locked=True)
    with pytest.raises(CbrEvidenceError):
        skipping.attempt()


def test_a_red_verdict_stays_one_when_its_evidence_cannot_be_written(emulator: EmulatorServer) -> None:
    run = audit(BROKEN)
    with pytest.raises(CbrVerificationError) as caught:
        run.attempt()
    assert any("The evidence could not be written to /proc/evidence" in problem for problem in caught.value.problems)
    assert "ERROR The evidence could not be written" in run.log


def test_a_large_report_is_named_by_its_digest(emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setattr("airflow_cbr.verification.report.LARGEST_WHOLE", 2)
    replicating().attempt()
    whole = tmp_path / "report.json"
    audit(tmp_path / "evidence", report_path=str(whole)).attempt()

    (document,) = documents(tmp_path / "evidence")
    assert "backups" not in document["content"]["report"]
    assert document["content"]["report"]["path"] == str(whole)
    assert document["content"]["report_sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    assert "backups" in json.loads(whole.read_bytes())


def test_the_path_is_a_template_and_may_be_a_url(emulator: EmulatorServer) -> None:
    replicating().attempt()
    run = audit(empty_bucket() + "/{{ run_id }}")
    run.attempt()
    assert run.xcoms["evidence"]["path"].startswith("memory://bucket/manual__1/cn-north-4_")
    assert main(["evidence", "check", "memory://bucket/manual__1"]) == 0


# --- signed -----------------------------------------------------------------------------------------------------------


def test_it_is_signed_with_the_password_of_a_connection(emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, emulator.url, conn_id="evidence_key", password=PRIVATE)
    replicating().attempt()
    run = audit(tmp_path / "evidence", evidence_conn_id="evidence_{{ params.what }}")
    run.params["what"] = "key"
    run.attempt()

    (document,) = documents(tmp_path / "evidence")
    assert document["signature"]["key"] == SIGNER.key_id
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    assert main(["evidence", "check", str(tmp_path / "evidence"), "--public-key", str(tmp_path / "public.pem")]) == 0
    secret = PRIVATE.splitlines()[1]
    everywhere = json.dumps([run.pushes, run.lines, document, {name: getattr(run.task, name) for name in run.task.template_fields}])
    assert secret not in everywhere


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evidence_conn_id": "evidence_key", "evidence_path": None}, "evidence_conn_id: signs evidence, which needs evidence_path"),
        ({"evidence_conn_id": "nowhere"}, "There is no connection nowhere"),
        ({"evidence_conn_id": "empty_key"}, "The connection empty_key has no password"),
        ({"evidence_conn_id": "wrong_key"}, "The password of the connection wrong_key cannot sign evidence: it is not an unencrypted"),
        ({"evidence_path": ""}, "evidence_path"),
        ({"evidence_path": "None"}, "evidence_path"),
        ({"evidence_path": 7}, "evidence_path"),
        ({"evidence_conn_id": ""}, "evidence_conn_id"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    set_connection(monkeypatch, emulator.url, conn_id="empty_key", password="")
    set_connection(monkeypatch, emulator.url, conn_id="wrong_key", password="correct horse battery staple")
    before = emulator.control.requests()
    run = verifying(None, **{"evidence_path": str(tmp_path), **changes})

    with pytest.raises(AirflowFailException, match=message) as caught:
        run.attempt()

    assert "correct horse" not in str(caught.value)
    assert emulator.control.requests() == before
    assert documents(tmp_path) == []
