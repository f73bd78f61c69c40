"""The levels of the verify operator against the emulator: what each catches, what a violation does, and what the report says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_cbr.airflow_names import AirflowFailException, AirflowSkipException, conf
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT, default_world
from airflow_cbr.exceptions import CbrParameterError, CbrVerificationError
from airflow_cbr.verification.document import report_schema
from tests.support.task_run import ACCESS_KEY, PASSWORD, SECRET_KEY, TaskRun, replicating, verifying
from tests.support.triggerer import Stage

if TYPE_CHECKING:
    from pathlib import Path

WEB, APP, DB = BACKUPS
SERVER = "94eba8b2-acc9-4d82-badc-127144cc5526"
DAY = 86400
EVERY_LEVEL = dict.fromkeys(("record", "replica", "coverage", "rpo", "vault"), "fail")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a service with the default world on a virtual clock."""
    return Stage(monkeypatch)


def replicate(stage: Stage, **changes: Any) -> list[str]:
    return list(stage.play(replicating(deferrable=False, **changes)))


def replica_of(stage: Stage, backup_id: str) -> str:
    (backup,) = [one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["id"] == backup_id]
    return str(backup["records"][-1]["destination_backup_id"])


def report_of(run: TaskRun) -> dict[str, Any]:
    """Return the report that a run has pushed; it keeps to its schema and adds up."""
    document: dict[str, Any] = run.xcoms["verification"]
    jsonschema.validate(document, report_schema())
    assert document["counts"] == {name: run.xcoms["return_value"][name] for name in ("verified", "failed", "missing", "skipped")}
    assert document["verdict"] == run.xcoms["return_value"]["verdict"]
    assert document["findings_total"] == sum(level["violations"] for level in document["levels"].values())
    return document


def passes(stage: Stage, record_ids: Any = None, **changes: Any) -> dict[str, Any]:
    """Verify, and check that nothing is found; return the report."""
    run = verifying(record_ids, deferrable=False, **changes)
    stage.play(run)
    document = report_of(run)
    assert (document["verdict"], document["outcome"], document["findings"]) == ("verified", "passed", [])
    return document


def fails(stage: Stage, level: str, *faults: str, record_ids: Any = None, **changes: Any) -> list[dict[str, Any]]:
    """Verify, and check that exactly these faults are found, by this level; return the findings."""
    run = verifying(record_ids, deferrable=False, **changes)
    with pytest.raises(CbrVerificationError) as caught:
        stage.play(run)
    document = report_of(run)
    found = [one for one in document["findings"] if one["level"] == level]
    assert [one["faults"] for one in found] == [[fault] for fault in faults]
    assert document["levels"][level]["outcome"] == "violated"
    assert (document["verdict"], document["outcome"]) == ("failed", "failed")
    for one in found:
        (problem,) = [line for line in caught.value.problems if one["reason"] in line]
        assert f"[{level}: {', '.join(one['faults'])}]" in problem
        assert one["advice"] in problem
        assert problem in run.log
    return found


# --- a clean world ------------------------------------------------------------------------------------------------------------


def test_a_clean_world_gives_no_finding_at_any_level(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.change_vault(DESTINATION_VAULT, locked=True)
    asked = {"levels": EVERY_LEVEL, "max_age": DAY, "retention": DAY, "require_locked": True}
    for given in (record_ids, [], None):
        document = passes(stage, given, **asked)
        assert document["counts"] == {"verified": 3, "failed": 0, "missing": 0, "skipped": 0}
        assert {name: level["outcome"] for name, level in document["levels"].items()} == dict.fromkeys(EVERY_LEVEL, "passed")
    assert {one["id"] for one in document["backups"]} == set(BACKUPS)
    assert document["source"]["vault_id"] == SOURCE_VAULT
    there = {"region": "cn-shenzhen-1", "project_id": DESTINATION_PROJECT, "vault_id": DESTINATION_VAULT}
    assert document["destination"] == there | {"vault_name": "vault-replicas"}
    assert document["at"].startswith("2026-")
    assert document["path"] is None


def test_copies_that_somebody_else_made_are_judged_too(stage: Stage) -> None:
    world = default_world()
    for backup in world.vaults[0].backups:
        backup.replicated_to = [DESTINATION_VAULT]
    stage.control.world(world)
    assert passes(stage, scope="all")["counts"]["verified"] == 3


# --- coverage -----------------------------------------------------------------------------------------------------------------


def bind(stage: Stage, resource_id: str, name: str) -> None:
    """Bind a further resource to the source vault."""
    bound = [{"id": resource.id, "name": resource.name, "type": resource.type} for resource in default_world().vaults[0].resources]
    stage.control.change_vault(SOURCE_VAULT, row={"resources": [*bound, {"id": resource_id, "name": name, "type": "OS::Nova::Server"}]})


def test_an_audit_misses_a_resource_that_nobody_backs_up(stage: Stage) -> None:
    replicate(stage)
    bind(stage, "forgotten", "ecs-new-01")
    (found,) = fails(stage, "coverage", "resource_uncovered")
    assert (found["about"], found["id"], found["name"]) == ("resource", "forgotten", "ecs-new-01")


def test_given_records_coverage_is_judged_only_if_that_is_asked_for(stage: Stage) -> None:
    record_ids = replicate(stage)
    bind(stage, "forgotten", "ecs-new-01")
    for given in (record_ids, []):
        assert "coverage" not in passes(stage, given)["levels"]
    fails(stage, "coverage", "resource_uncovered", record_ids=record_ids, levels={"coverage": "fail"})


def test_the_records_of_last_night_do_not_cover_tonights_backup(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.add_backup(SOURCE_VAULT, name="tonight", resource_id=SERVER, age_seconds=10)
    (found,) = fails(stage, "coverage", "newest_uncovered", record_ids=record_ids, levels={"record": "fail", "coverage": "fail"})
    assert "tonight" in found["reason"]
    assert "nightly-ecs-web-01" in found["reason"]


def test_a_resource_whose_only_replica_is_wrong_is_not_covered(stage: Stage) -> None:
    replicate(stage)
    stage.control.change_backup(replica_of(stage, WEB), status="error")
    (found,) = fails(stage, "coverage", "resource_uncovered")
    assert "its status is error" in found["reason"]


@pytest.mark.parametrize("resources", [None, "denied"])
def test_what_is_bound_to_a_vault_that_does_not_say_so_is_a_finding(stage: Stage, resources: str | None) -> None:
    replicate(stage)
    if resources is None:
        stage.control.change_vault(SOURCE_VAULT, row={"resources": None})
    else:
        stage.control.change_user("backup-bot", denied_calls=["ShowVault"])
    fails(stage, "coverage", "bound_resources_unknown")


# --- rpo ----------------------------------------------------------------------------------------------------------------------


def test_the_newest_verified_replica_is_young_enough_until_it_is_not(stage: Stage) -> None:
    record_ids = replicate(stage)
    passes(stage, record_ids, max_age=2 * DAY)
    stage.sleep(2 * DAY)
    found = fails(stage, "rpo", *["too_old"] * 3, record_ids=record_ids, max_age=2 * DAY)
    assert {one["name"] for one in found} == {"ecs-web-01", "ecs-app-01", "ecs-db-01"}


def test_a_young_backup_without_a_replica_does_not_make_its_resource_young(stage: Stage) -> None:
    replicate(stage)
    stage.sleep(2 * DAY)
    for resource in default_world().vaults[0].resources:
        stage.control.add_backup(SOURCE_VAULT, resource_id=resource.id, age_seconds=10)
    fails(stage, "rpo", *["too_old"] * 3, max_age=DAY, levels={"rpo": "fail"})


def test_a_resource_without_a_verified_replica_has_no_age(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.remove_backup(replica_of(stage, WEB))
    fails(stage, "rpo", "age_unknown", record_ids=record_ids, max_age=DAY)


# --- vault --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"protect_type": "backup"}, "vault_kind"),
        ({"object_type": "turbo"}, "vault_object_type"),
        ({"status": "frozen"}, "vault_status"),
        ({"size": 399}, "vault_room"),
        ({"used": 801 * 1024}, "vault_room"),
        ({"row": {"billing": None}}, "vault_unreadable"),
        ({"row": {"billing": {"protect_type": "replication", "object_type": "server", "status": "available", "size": 9}}}, "vault_room"),
        ({"row": {"billing": {"object_type": "server", "status": "available", "size": 9000, "used": 0}}}, "vault_kind"),
        ({"row": {"billing": {"protect_type": "replication", "status": "available", "size": 900, "used": 0}}}, "vault_object_type"),
        ({"row": {"billing": {"protect_type": "replication", "object_type": "server", "size": 900, "used": 0}}}, "vault_status"),
    ],
    ids=["kind", "object type", "status", "size", "used", "unsaid", "use unsaid", "kind unsaid", "object type unsaid", "status unsaid"],
)
def test_what_is_wrong_with_the_destination_vault(stage: Stage, changes: dict[str, Any], fault: str) -> None:
    record_ids = replicate(stage)
    passes(stage, record_ids, levels=EVERY_LEVEL, max_age=DAY)
    stage.control.change_vault(DESTINATION_VAULT, **changes)
    (found,) = fails(stage, "vault", fault, record_ids=record_ids, levels={"replica": "fail", "vault": "fail"})
    assert (found["about"], found["id"]) == ("vault", DESTINATION_VAULT)


def test_the_room_is_that_of_the_next_night_on_top_of_what_is_used(stage: Stage) -> None:
    """The newest backups are of 40, 60 and 100 GB; as many are used by their replicas."""
    record_ids = replicate(stage)
    used = 200 * 1024
    stage.control.change_vault(DESTINATION_VAULT, size=400, used=used)
    passes(stage, record_ids, levels={"record": "fail", "vault": "fail"})
    stage.control.change_vault(DESTINATION_VAULT, used=used + 1)
    (found,) = fails(stage, "vault", "vault_room", record_ids=record_ids, levels={"record": "fail", "vault": "fail"})
    assert "200 GB" in found["reason"]
    stage.control.change_vault(DESTINATION_VAULT, row={"auto_expand": True})
    passes(stage, record_ids, levels={"record": "fail", "vault": "fail"})


@pytest.mark.parametrize("locked", [False, None])
def test_a_vault_that_must_be_locked_is(stage: Stage, locked: bool | None) -> None:
    record_ids = replicate(stage)
    stage.control.change_vault(DESTINATION_VAULT, row={"locked": locked})
    fails(stage, "vault", "vault_unlocked", record_ids=record_ids, require_locked=True)
    passes(stage, record_ids)


def test_a_destination_vault_that_may_not_be_looked_at_is_a_finding(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.fault("status", call="ShowVault", status=403, when="before", count=None)
    found = fails(stage, "vault", "vault_unreadable", record_ids=record_ids, require_locked=True)
    assert "HTTP 403" in found[0]["reason"]
    assert "What to do" not in found[0]["reason"], "the finding has an advice of its own"


def test_one_who_may_list_but_not_show_the_replicas_is_answered_by_the_list(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.remove_backup(replica_of(stage, BACKUPS[0]))
    stage.control.fault("status", call="ShowBackup", status=403, when="before", count=None)
    fails(stage, "replica", "replica_missing", record_ids=record_ids)


# --- replica ------------------------------------------------------------------------------------------------------------------


def test_a_replica_must_be_kept_as_long_as_its_retention_says(stage: Stage) -> None:
    record_ids = replicate(stage)
    made = stage.time() - 3600
    for backup_id in BACKUPS:
        stage.control.change_backup(replica_of(stage, backup_id), expired_at=made + 8 * DAY)
    passes(stage, record_ids, retention=7 * DAY)
    stage.control.change_backup(replica_of(stage, WEB), expired_at=made + 6 * DAY)
    (found,) = fails(stage, "replica", "replica_expires", record_ids=record_ids, retention=7 * DAY)
    assert found["id"] == WEB
    passes(stage, record_ids)


def test_a_backup_fails_with_its_checkpoint_when_nobody_asked_about_the_other_one(stage: Stage) -> None:
    record_ids = replicate(stage)
    stage.control.change_backup(replica_of(stage, DB), status="error")
    alone = [record for record in record_ids if record in json.dumps(stage.control.state(SOURCE_VAULT)["backups"][0])]
    (found,) = fails(stage, "replica", "checkpoint_incomplete", record_ids=alone)
    assert "nightly-ecs-db-01" in found["reason"]
    (found,) = fails(stage, "replica", "replica_status", record_ids=record_ids)
    assert found["id"] == DB, "it is told once, where it belongs"


# --- what a violation does ----------------------------------------------------------------------------------------------------


def wrong_replica(stage: Stage) -> list[str]:
    record_ids = replicate(stage)
    stage.control.change_backup(replica_of(stage, WEB), resource_size=1)
    return record_ids


def test_a_warning_leaves_the_task_green(stage: Stage) -> None:
    run = verifying(wrong_replica(stage), levels={"record": "fail", "replica": "warn"})
    assert stage.play(run) == {"verdict": "verified", "verified": 2, "failed": 1, "missing": 0, "skipped": 0}
    document = report_of(run)
    assert document["outcome"] == "warned"
    assert document["levels"]["replica"] == {"action": "warn", "outcome": "violated", "violations": 1}
    (line,) = [line for line in run.lines if "nightly-ecs-web-01" in line]
    assert line.startswith("WARNING ")
    assert "FAILED" not in line


def test_a_skip_skips_the_task_with_its_report(stage: Stage) -> None:
    run = verifying(wrong_replica(stage), levels={"record": "fail", "replica": "skip"})
    with pytest.raises(AirflowSkipException, match="its size is 1 GB"):
        stage.play(run)
    document = report_of(run)
    assert (document["verdict"], document["outcome"]) == ("failed", "skipped")


def test_what_fails_is_graver_than_what_skips(stage: Stage) -> None:
    levels = {"replica": "skip", "vault": "fail", "coverage": "warn"}
    run = verifying(wrong_replica(stage), levels=levels, require_locked=True)
    with pytest.raises(CbrVerificationError) as caught:
        stage.play(run)
    assert [one["level"] for one in report_of(run)["findings"]] == ["vault", "replica", "coverage"], "the gravest first"
    assert len(caught.value.problems) == 2, "a warning is no reason to fail"


def test_what_an_unjudged_level_would_have_caught_is_not_called_verified(stage: Stage) -> None:
    record_ids = wrong_replica(stage)
    run = verifying(record_ids, levels={"record": "fail", "coverage": "warn"})
    assert stage.play(run)["verdict"] == "verified"
    (web,) = [one for one in report_of(run)["backups"] if one["id"] == WEB]
    assert web["verdict"] == "skipped"
    assert "levels does not name replica" in web["reason"]


def test_by_its_records_alone_nothing_is_asked_of_the_destination(stage: Stage) -> None:
    record_ids = wrong_replica(stage)
    stage.control.change_user("backup-bot", projects=[default_world().projects[0].id])
    run = verifying(record_ids, levels={"record": "fail"})
    assert stage.play(run)["verified"] == 3
    assert all("the replica was not checked" in one["reason"] for one in report_of(run)["backups"])


def test_without_the_level_record_a_copy_that_failed_has_no_replica(stage: Stage) -> None:
    stage.control.fault("copy_fails", backup_id=WEB)
    record_ids = list(stage.play(replicating(wait_for_completion=False, deferrable=False)))
    stage.sleep(600)
    (found,) = fails(stage, "replica", "record_failed", record_ids=record_ids, levels={"replica": "fail"})
    assert found["id"] == WEB


# --- the report ---------------------------------------------------------------------------------------------------------------


def test_the_report_is_written_where_it_is_asked_for(stage: Stage, tmp_path: Path) -> None:
    record_ids = replicate(stage)
    path = tmp_path / "new" / "manual__1.json"
    run = verifying(record_ids, report_path=f"{tmp_path}/new/{{{{ run_id }}}}.json")
    stage.play(run)
    document = json.loads(path.read_text())
    assert document == report_of(run)
    assert document["path"] == str(path)
    assert [one.name for one in path.parent.iterdir()] == [path.name], "nothing unfinished is left"


def test_the_report_of_a_failure_is_written_to_a_url_too(stage: Stage, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/report.json"
    run = verifying(wrong_replica(stage), report_path=url)
    with pytest.raises(CbrVerificationError):
        stage.play(run)
    document = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(document, report_schema())
    assert document == report_of(run)


def test_the_report_holds_no_secret(stage: Stage, tmp_path: Path) -> None:
    run = verifying(replicate(stage), report_path=str(tmp_path / "report.json"), levels=EVERY_LEVEL, max_age=DAY)
    stage.play(run)
    text = (tmp_path / "report.json").read_text() + json.dumps(run.pushes)
    assert [secret for secret in (ACCESS_KEY, PASSWORD, SECRET_KEY) if secret in text] == []


def large_world(count: int) -> Any:
    world = default_world()
    content = world.model_dump(mode="json")
    content["vaults"][0] |= {"backups": [], "size": 10_000_000}
    content["vaults"][0]["generate"] = {"count": count, "replicated_to": [DESTINATION_VAULT]}
    content["vaults"][1]["size"] = 10_000_000
    return content


def test_a_thousand_backups_are_reported_in_full_and_more_in_a_file(stage: Stage) -> None:
    stage.control.world(large_world(1000))
    assert len(passes(stage, scope="all")["backups"]) == 1000
    stage.control.world(large_world(1001))
    document = passes(stage, scope="all")
    assert "backups" not in document
    folder = f"{conf.get('logging', 'base_log_folder')}/dag_id=adhoc_airflow/run_id=manual__1/task_id=verify"
    assert document["path"] == f"{folder}/attempt=1.verification.json"
    with open(document["path"]) as file:
        whole = json.load(file)
    jsonschema.validate(whole, report_schema())
    assert len(whole.pop("backups")) == 1001
    assert whole == document


def test_of_a_large_report_the_first_wrong_ones_are_told(stage: Stage, tmp_path: Path) -> None:
    stage.control.world(large_world(1500))
    stage.control.change_vault(DESTINATION_VAULT, status="frozen")
    wrong = [one["id"] for one in stage.control.state(DESTINATION_VAULT)["backups"][:30]]
    for replica_id in wrong:
        stage.control.change_backup(replica_id, status="error")
    levels = {"record": "fail", "replica": "fail", "vault": "warn"}
    run = verifying(None, deferrable=False, scope="all", levels=levels, report_path=str(tmp_path / "report.json"))
    with pytest.raises(CbrVerificationError) as caught:
        stage.play(run)
    document = report_of(run)
    assert document["findings_total"] == 31
    assert [one["level"] for one in document["findings"]] == ["replica"] * 20, "what fails comes first"
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "and 10 more findings: see the report"
    assert len(run.lines) < 30
    whole = json.loads((tmp_path / "report.json").read_text())
    assert [one["level"] for one in whole["findings"]] == ["replica"] * 30 + ["vault"]
    assert sum(one["verdict"] == "failed" for one in whole["backups"]) == 30


def test_ten_thousand_backups_take_at_most_thirty_requests(stage: Stage) -> None:
    stage.control.world(large_world(10_000))
    for replica in stage.control.state(DESTINATION_VAULT)["backups"][:50]:
        stage.control.remove_backup(replica["id"])
    before = sum(stage.control.requests().values())
    run = verifying(None, deferrable=False, scope="all", levels=EVERY_LEVEL, max_age=30 * DAY)
    with pytest.raises(CbrVerificationError):
        stage.play(run)
    assert report_of(run)["counts"]["missing"] == 50
    assert sum(stage.control.requests().values()) - before <= 30


# --- parameters ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parameter", "said"),
    [
        ({"levels": {}}, "levels", "at least one"),
        ({"levels": ["record"]}, "levels", "must map"),
        ({"levels": {"everything": "fail"}}, "levels", "must be one of record"),
        ({"levels": {"record": "ignore"}}, "levels['record']", "must be one of fail"),
        ({"levels": {"rpo": "fail"}}, "levels", "needs max_age"),
        ({"levels": {"record": "fail"}, "retention": DAY}, "retention", "level replica"),
        ({"max_age": 0}, "max_age", "greater than 0"),
        ({"max_age": "86400"}, "max_age", "number of seconds"),
        ({"retention": -1}, "retention", "greater than 0"),
        ({"require_locked": "yes"}, "require_locked", "True or False"),
        ({"scope": "oldest"}, "scope", "must be one of newest, all"),
        ({"scope": "records"}, "scope", "must be one of newest, all"),
        ({"report_path": ""}, "report_path", "must be a path"),
        ({"report_path": 7}, "report_path", "must be a path"),
        ({"settle_timeout": -1}, "settle_timeout", "at least 0"),
        ({"settle_timeout": False}, "settle_timeout", "at least 0"),
        ({"poll_interval": 0}, "poll_interval", "greater than 0"),
        ({"deferrable": "true"}, "deferrable", "True or False"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_before_anything_is_sent(stage: Stage, changes: dict[str, Any], parameter: str, said: str) -> None:
    with pytest.raises(AirflowFailException, match=said) as caught:
        stage.play(verifying([], **changes))
    assert isinstance(caught.value.__cause__, CbrParameterError)
    assert caught.value.__cause__.parameter == parameter
    assert stage.control.requests() == {}
