"""The preflight against the emulator: what it finds is what the replicate call would be refused for, and it sends reads alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.emulator.clock import Clock
from airflow_cbr.emulator.key_parts import UserPart
from airflow_cbr.emulator.service import Emulator
from airflow_cbr.emulator.vault_parts import RegionPart
from airflow_cbr.emulator.world import BACKUPS, DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, World, default_world
from airflow_cbr.exceptions import CbrConfigurationError
from airflow_cbr.inventory.destination import Destination
from airflow_cbr.preflight.checks import Preflight, RegionAccess
from airflow_cbr.preflight.findings import Check, PreflightFinding, PreflightReport, Severity
from airflow_cbr.preflight.plan import LISTED
from tests.support.emulator import IN_PROCESS_URL, ControlClient, InProcessAdapter
from tests.support.fresh_machine import new_machine
from tests.support.plain_client import Plain, code_of

NOWHERE = "5f6e2ad1-2d60-4b4a-b2a6-0de0d3c4a001"
ENDPOINTS = Endpoints(cbr=IN_PROCESS_URL, iam=IN_PROCESS_URL)
SECRETS = ("emulator-password", "emulator-secret-key-for-local-use-only", "auditor-password", "auditor-secret-key")
Changes = Callable[["Stage"], Any]


@dataclass
class Stage:
    """A world, and a preflight of its one route.

    :param world: the world. Default: the default world.
    """

    world: World = field(default_factory=default_world)

    def __post_init__(self) -> None:
        # Tokens are cached in the process; those of another stage's service are worth nothing here.
        new_machine()
        self.adapter = InProcessAdapter(Emulator(self.world, Clock(speed=0)))
        self.control: ControlClient = self.adapter.control()
        self.plain = Plain.in_process(self.adapter)
        self.destination = Destination("cn-shenzhen-1", DESTINATION_PROJECT, DESTINATION_VAULT)
        self.started = self.adapter.clock.now()
        self.clients: dict[str, CbrClient] = {}
        self.with_keys = False
        self.user_there = "backup-bot"

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.adapter.clock.advance(seconds)

    def client(self, region: str, project_id: str, user: str = "backup-bot") -> CbrClient:
        """Return a client of one region, with a password or with keys."""
        known = next(part for part in self.world.users if part.name == user)
        credentials = (
            AkSkCredentials(known.access_key, known.secret_key, None)
            if self.with_keys
            else PasswordCredentials(known.name, known.password, self.world.account)
        )
        client = CbrClient(
            credentials,
            region=region,
            project_id=project_id,
            home_region=region,
            endpoints=ENDPOINTS,
            sleep=self.sleep,
        )
        client._transport._session.mount(IN_PROCESS_URL, self.adapter)
        self.clients[region] = client
        return client

    def access(self, conn_id: str, region: str, project_id: str, user: str = "backup-bot") -> RegionAccess:
        """Return an access whose client is made when it is asked for."""
        made: list[CbrClient] = []

        def connect() -> CbrClient:
            if not made:
                made.append(self.client(region, project_id, user))
            return made[0]

        return RegionAccess(conn_id, region, connect)

    def check(self, *, source: RegionAccess | None = None, sent: int = 0) -> PreflightReport:
        """Run the preflight, and check that it sent nothing but reads, and says no secret."""
        there = self.destination
        report = Preflight(
            SOURCE_VAULT,
            there,
            source=source or self.access("cbr", "cn-north-4", SOURCE_PROJECT),
            there=self.access("cbr_there", there.region, there.project_id, self.user_there),
            now=lambda: self.started,
        ).check()
        assert len(self.control.ledger()["calls"]) == sent
        said = json.dumps([report.document, report.plan.summary if report.plan else None]) + "".join(map(str, report.findings))
        assert [secret for secret in SECRETS if secret in said] == []
        return report

    def refusal(self) -> str:
        """Return the code by which the service refuses the replicate call itself."""
        there = self.destination
        status, code = code_of(
            self.plain.replicate(
                destination_region=there.region, destination_project_id=there.project_id, destination_vault_id=there.vault_id
            )
        )
        assert status >= 400
        return str(code)


def told(report: PreflightReport) -> list[tuple[str, str, str | None]]:
    """Return severity, check and code of each finding."""
    return [(str(one.severity), str(one.check), one.code) for one in report.findings]


def only(report: PreflightReport, *severities: Severity) -> PreflightFinding:
    """Return the only finding, of those weights if any are given."""
    (finding,) = report.of(*severities) if severities else report.findings
    return finding


def test_a_clean_world_gives_no_finding() -> None:
    stage = Stage()
    report = stage.check()
    assert report.findings == []
    assert report.is_ready
    assert report.failure(warnings_fail=True) is None
    assert report.summary == {
        "verdict": "ready",
        "errors": 0,
        "warnings": 0,
        "unchecked": 0,
        "notes": 0,
        "backups": 3,
        "gb": 200,
        "gb_estimated": 200,
    }
    assert {name for name in stage.control.requests() if not name.startswith("Keystone")} == {
        "ShowVault",
        "ListBackups",
        "ShowReplicationCapabilities",
        "ListExternalVault",
    }
    assert sum(number for name, number in stage.control.requests().items() if not name.startswith("Keystone")) == 5


# --- what the service would refuse the call for -----------------------------------------------------------------------


def vault(vault_id: str, **changes: Any) -> Changes:
    return lambda stage: stage.control.change_vault(vault_id, **changes)


def to(**changes: str) -> Changes:
    def aim(stage: Stage) -> None:
        given = {"region": "cn-shenzhen-1", "project_id": DESTINATION_PROJECT, "vault_id": DESTINATION_VAULT}
        stage.destination = Destination(**given | changes)

    return aim


@pytest.mark.parametrize(
    ("change", "check", "code", "needle"),
    [
        (vault(SOURCE_VAULT, object_type="disk"), Check.SOURCE_VAULT, "6122", "does not replicate vaults of the kind disk"),
        (vault(SOURCE_VAULT, protect_type="replication"), Check.SOURCE_VAULT, "6128", "it is a replication vault"),
        (vault(SOURCE_VAULT, status="frozen"), Check.SOURCE_VAULT, "6112", "its status is frozen, not available"),
        (to(vault_id=NOWHERE), Check.DESTINATION_VAULT, "6120", "Connection cbr_there in region cn-shenzhen-1 (HTTP 404)"),
        (vault(DESTINATION_VAULT, protect_type="backup"), Check.DESTINATION_VAULT, "6119", "it is a backup vault, not a replication vault"),
        (
            vault(DESTINATION_VAULT, object_type="turbo"),
            Check.DESTINATION_VAULT,
            "6119",
            "for resources of the kind turbo, but the source vault is for server",
        ),
        (vault(DESTINATION_VAULT, status="lock"), Check.DESTINATION_VAULT, "6112", "its status is lock, not available"),
        (vault(DESTINATION_VAULT, used=1000 * 1024), Check.ROOM, "6129", "is full: 0 of 1000 GB free"),
        (vault(DESTINATION_VAULT, size=150), Check.ROOM, "6129", "no room for at most 200 GB: 150 of 150 GB free"),
    ],
)
def test_each_finding_is_what_the_call_is_refused_for(change: Changes, check: Check, code: str, needle: str) -> None:
    stage = Stage()
    change(stage)
    report = stage.check()
    errors = report.of(Severity.ERROR)
    assert (errors[0].check, errors[0].code) == (check, f"BackupService.{code}"), errors
    # A vault of disks is also of another kind than its destination.
    assert {one.code for one in errors[1:]} <= ({"BackupService.6119"} if code == "6122" else set())
    assert needle in errors[0].text
    assert errors[0].what_to_do
    assert not report.is_ready
    assert stage.refusal() == errors[0].code


def test_a_source_vault_that_does_not_exist() -> None:
    stage = Stage()
    stage.control.remove_vault(SOURCE_VAULT)
    report = stage.check()
    assert only(report, Severity.ERROR).code == "BackupService.6105" == stage.refusal()
    assert "Connection cbr in region cn-north-4" in only(report, Severity.ERROR).text


def test_a_region_that_is_no_destination() -> None:
    world = default_world()
    world.regions = [
        RegionPart(id="cn-north-4", replicates_to=["cn-east-3"]),
        RegionPart(id="cn-shenzhen-1"),
        RegionPart(id="cn-east-3", replicates_to=["cn-shenzhen-1"]),
    ]
    stage = Stage(world)
    finding = only(stage.check())
    assert finding.check is Check.CAPABILITIES
    assert finding.code == "BackupService.1005" == stage.refusal()
    assert finding.text == "CBR in cn-north-4 cannot replicate to cn-shenzhen-1. It can replicate to: cn-east-3."


def test_a_region_from_which_nothing_is_replicated() -> None:
    world = default_world()
    world.regions = [RegionPart(id="cn-north-4"), RegionPart(id="cn-shenzhen-1")]
    stage = Stage(world)
    assert "It can replicate to: no region" in only(stage.check()).text
    assert stage.refusal() == "BackupService.1005"


def test_a_project_that_is_closed_to_replication() -> None:
    world = default_world()
    world.projects[1].replication = False
    stage = Stage(world)
    finding = only(stage.check())
    assert finding.check is Check.DESTINATION_PROJECT
    assert finding.code == "BackupService.1011" == stage.refusal()
    assert finding.request_id


def test_all_findings_come_at_once_and_one_error_names_them() -> None:
    stage = Stage()
    stage.control.change_vault(SOURCE_VAULT, status="frozen")
    stage.control.change_vault(DESTINATION_VAULT, protect_type="backup", object_type="turbo", status="error", used=1000 * 1024)
    stage.control.add_backup(SOURCE_VAULT, status="protecting")
    report = stage.check()
    assert told(report) == [
        ("error", "source vault", "BackupService.6112"),
        ("error", "destination vault", "BackupService.6119"),
        ("error", "destination vault", "BackupService.6119"),
        ("error", "destination vault", "BackupService.6112"),
        ("error", "room", "BackupService.6129"),
        ("note", "busy", None),
    ]
    error = report.failure()
    assert error is not None
    assert error.permanent
    assert len(error.problems) == 5
    assert "failed with 5 findings. Nothing was sent." in str(error)
    assert "Nothing was sent." in str(error)
    assert "6129] What to do: Expand the destination vault" in str(error)


# --- room -------------------------------------------------------------------------------------------------------------


def test_room_that_only_the_disks_whole_sizes_would_overrun_is_a_warning() -> None:
    stage = Stage()
    stage.control.change_vault(SOURCE_VAULT, used=50 * 1024)
    stage.control.change_vault(DESTINATION_VAULT, size=100)
    report = stage.check()
    finding = only(report)
    assert (finding.severity, finding.code) == (Severity.WARNING, "BackupService.6129")
    assert "may have no room for at most 200 GB (about 50 GB, judging by how full the source vault is): 100 of 100 GB free" in finding.text
    assert (report.summary["gb"], report.summary["gb_estimated"]) == (200, 50)
    assert report.failure() is None
    strict = report.failure(warnings_fail=True)
    assert strict is not None
    assert strict.permanent


def test_copies_on_their_way_take_room_too() -> None:
    stage = Stage()
    stage.plain.replicate()
    stage.control.change_vault(DESTINATION_VAULT, size=250)
    stage.control.add_backup(SOURCE_VAULT, age_seconds=10, resource_size=60)
    report = stage.check(sent=1)
    (capacity,) = [one for one in report.findings if one.check is Check.ROOM]
    assert "no room for at most 60 GB in addition to at most 200 GB of running copies: 250 of 250 GB free" in capacity.text


def test_a_vault_that_expands_by_itself_has_room() -> None:
    stage = Stage()
    stage.control.change_vault(DESTINATION_VAULT, size=1, row={"auto_expand": True})
    assert stage.check().findings == []


def test_a_full_vault_is_a_warning_while_nothing_is_to_be_copied() -> None:
    world = default_world()
    for backup in world.vaults[0].backups:
        backup.replicated_to = [DESTINATION_VAULT]
    world.vaults[1].size = 200
    finding = only(Stage(world).check())
    assert (finding.severity, finding.check) == (Severity.WARNING, Check.ROOM)


# --- what is waited for, and what is left out -------------------------------------------------------------------------


def running_record(stage: Stage, **changes: Any) -> None:
    """Leave one copy running that an earlier world started, so that this ledger stays empty."""
    world = default_world()
    world.vaults[0].backups[0].replicated_to = [DESTINATION_VAULT]
    stage.control.world(world)
    (backup,) = [one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["records"]]
    stage.control.change_record(backup["records"][0]["id"], status="replicating", **changes)


@pytest.mark.parametrize(
    ("changes", "here", "others"),
    [({}, 1, 0), ({"destination_region": "ap-southeast-1", "destination_vault_id": NOWHERE}, 0, 1)],
    ids=["to this destination", "to another"],
)
def test_a_vault_that_replicates_is_a_warning_that_passes(changes: dict[str, Any], here: int, others: int) -> None:
    stage = Stage()
    running_record(stage, **changes)
    report = stage.check()
    finding = only(report)
    assert (finding.severity, finding.check, finding.code) == (Severity.WARNING, Check.BUSY, "BackupService.6130")
    assert f"1 copy is running in vault vault-nightly ({SOURCE_VAULT}): {here} to this destination, {others} to others." in finding.text
    strict = report.failure(warnings_fail=True)
    assert strict is not None
    assert not strict.permanent, "it ends by itself"


@pytest.mark.parametrize("status", ["protecting", "waiting_protect"])
def test_a_backup_that_is_being_made_is_a_note_and_counts_for_the_gb(status: str) -> None:
    stage = Stage()
    stage.control.add_backup(SOURCE_VAULT, name="tonight", status=status, resource_size=7)
    report = stage.check()
    finding = only(report)
    assert (finding.severity, finding.check) == (Severity.NOTE, Check.BUSY)
    assert "tonight" in finding.text
    assert (report.summary["backups"], report.summary["gb"]) == (3, 207)


def test_a_backup_in_another_vault_of_the_region_is_a_warning() -> None:
    world = default_world()
    world.vaults.append(world.vaults[1].model_copy(update={"id": NOWHERE, "name": "other"}))
    world.vaults[0].backups[0].replicated_to = [NOWHERE]
    report = Stage(world).check()
    finding = only(report)
    assert (finding.severity, finding.code) == (Severity.WARNING, "BackupService.1009")
    assert BACKUPS[0] in finding.text
    assert report.summary["backups"] == 2


def test_a_servers_backup_without_its_system_disk_is_a_note() -> None:
    stage = Stage()
    stage.control.change_backup(BACKUPS[0], contain_system_disk=False)
    report = stage.check()
    finding = only(report)
    assert (finding.severity, finding.code) == (Severity.NOTE, "BackupService.1004")
    assert (report.summary["backups"], report.summary["gb"]) == (2, 160)


def test_an_empty_vault_is_a_note() -> None:
    stage = Stage()
    for backup_id in BACKUPS:
        stage.control.remove_backup(backup_id)
    assert only(stage.check()).text == f"Vault vault-nightly ({SOURCE_VAULT}) holds no eligible backup."


# --- credentials and permissions --------------------------------------------------------------------------------------


def two_users() -> World:
    """Return a world with a user for each project."""
    world = default_world()
    world.users[0].projects = [SOURCE_PROJECT]
    world.users.append(
        UserPart(
            name="auditor",
            password="auditor-password",
            access_key="AUDITORACCESSKEY0001",
            secret_key="auditor-secret-key",
            projects=[DESTINATION_PROJECT],
        )
    )
    return world


@pytest.mark.parametrize("with_keys", [False, True], ids=["password", "keys"])
def test_a_destination_project_that_needs_other_credentials(with_keys: bool) -> None:
    stage = Stage(two_users())
    stage.with_keys = with_keys
    stage.started = Clock().now()
    stage.user_there = "auditor"
    assert stage.check().findings == []

    stage.user_there = "backup-bot"
    report = stage.check()
    finding = only(report, Severity.ERROR)
    assert finding.check is Check.DESTINATION_VAULT
    assert "Connection cbr_there in region cn-shenzhen-1 (HTTP 403)" in finding.text
    assert finding.code == ("APIG.0302" if with_keys else None)
    assert [(one.check, one.severity) for one in report.findings[1:]] == [
        (Check.DESTINATION_VAULT, Severity.UNCHECKED),
        (Check.ROOM, Severity.UNCHECKED),
    ]


def test_a_destination_that_only_the_source_region_shows_is_judged_all_the_same() -> None:
    stage = Stage(two_users())
    stage.control.change_user("backup-bot", projects=None, denied_calls=[])
    stage.control.change_user("auditor", denied_calls=["ShowVault"])
    stage.control.change_vault(DESTINATION_VAULT, object_type="turbo", size=10)
    stage.user_there = "auditor"
    assert told(stage.check()) == [
        ("error", "destination vault", "APIG.0302"),
        ("error", "destination vault", "BackupService.6119"),
        ("error", "room", "BackupService.6129"),
    ]


def test_a_vault_that_the_source_region_does_not_list_is_a_warning() -> None:
    stage = Stage()
    stage.adapter.emulator.service.cbr.by_name["ListExternalVault"] = stage.adapter.emulator.service.cbr.list_vaults
    finding = only(stage.check())
    assert (finding.severity, finding.code) == (Severity.WARNING, "BackupService.6120")
    assert "cn-north-4 does not list it as a destination" in finding.text


@pytest.mark.parametrize("status", [404, 400, 403])
def test_a_cloud_without_the_look_from_the_source_region_is_clean(status: int) -> None:
    stage = Stage()
    stage.control.fault("code", call="ListExternalVault", code="9900", status=status, count=None)
    assert stage.check().findings == []


def test_wrong_keys_are_asked_with_once_for_all_regions() -> None:
    stage = Stage()
    stage.with_keys = True
    stage.started = Clock().now()
    stage.world.users[0].secret_key = "not-the-key"
    report = stage.check()
    assert told(report)[:2] == [("error", "source vault", "APIG.0301"), ("error", "destination vault", "APIG.0301")]
    assert {one.severity for one in report.findings[2:]} == {Severity.UNCHECKED}
    # The other region was not asked, so nothing is known of its clock either.
    assert {one.check for one in report.findings[2:]} == {
        Check.BACKUPS, Check.CAPABILITIES, Check.DESTINATION_VAULT, Check.ROOM, Check.CLOCK,
    }  # fmt: skip
    assert "Not checked, because connection cbr in region cn-north-4 was refused." in [one.text for one in report.findings]
    assert sum(stage.control.requests().values()) == 1, "a few wrong signatures lock the key"
    assert report.summary["gb"] is None
    error = report.failure()
    assert error is not None
    assert error.permanent


def test_a_connection_that_cannot_be_used_is_a_finding() -> None:
    def connect() -> CbrClient:
        raise CbrConfigurationError("Connection cbr names no region.", advice="Set it.")

    stage = Stage()
    report = stage.check(source=RegionAccess("cbr", "cn-north-4", connect))
    finding = only(report, Severity.ERROR)
    assert (finding.text, finding.what_to_do) == ("Connection cbr in region cn-north-4: Connection cbr names no region.", "Set it.")
    assert Check.CLOCK in {one.check for one in report.of(Severity.UNCHECKED)}


def test_a_permission_that_only_the_capabilities_lack_is_a_warning() -> None:
    stage = Stage()
    stage.control.change_user("backup-bot", denied_calls=["ShowReplicationCapabilities"])
    finding = only(stage.check())
    assert (finding.severity, finding.check, finding.code) == (Severity.WARNING, Check.CAPABILITIES, "APIG.0302")


@pytest.mark.parametrize("call", ["ShowVault", "ListBackups"])
@pytest.mark.parametrize("fault", [{"kind": "throttle"}, {"kind": "status", "status": 503}, {"kind": "reset"}], ids=lambda one: one["kind"])
def test_what_may_pass_is_not_permanent(call: str, fault: dict[str, Any]) -> None:
    stage = Stage()
    stage.control.fault(call=call, count=None, **fault)
    report = stage.check()
    assert report.of(Severity.ERROR)
    error = report.failure()
    assert error is not None
    assert not error.permanent


def test_a_finding_that_stays_beside_one_that_passes_is_permanent() -> None:
    stage = Stage()
    stage.control.fault("status", call="ListBackups", count=None, status=503)
    stage.control.change_vault(DESTINATION_VAULT, status="error")
    error = stage.check().failure()
    assert error is not None
    assert error.permanent


def test_rows_that_say_nothing_are_unchecked() -> None:
    stage = Stage()
    for vault_id in (SOURCE_VAULT, DESTINATION_VAULT):
        stage.control.change_vault(vault_id, row={"billing": None})
    report = stage.check()
    assert {one.severity for one in report.findings} == {Severity.UNCHECKED}
    assert [one.check for one in report.findings] == [Check.SOURCE_VAULT, Check.DESTINATION_VAULT, Check.ROOM]


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", [0, 1])
@pytest.mark.parametrize("off", [-200.0, 200.0])
def test_a_clock_that_is_off_is_a_warning_for_its_region(region: int, off: float) -> None:
    world = default_world()
    world.regions[region].clock_ahead = off
    finding = only(Stage(world).check())
    assert (finding.severity, finding.check, finding.code) == (Severity.WARNING, Check.CLOCK, None)
    assert ("behind the service's" if off > 0 else "ahead of the service's") in finding.text
    assert finding.text.endswith(f"in {world.regions[region].id}.")


def test_a_clock_that_is_a_little_off_is_no_finding() -> None:
    world = default_world()
    world.regions[0].clock_ahead = 50.0
    assert Stage(world).check().findings == []


def test_a_clock_by_which_signatures_are_refused_is_an_error() -> None:
    world = default_world()
    for region in world.regions:
        region.clock_ahead = 1000.0
    stage = Stage(world)
    stage.with_keys = True
    stage.started = Clock().now()
    report = stage.check()
    clocks = [one for one in report.of(Severity.ERROR) if one.check is Check.CLOCK]
    # A signature that one region refuses is not shown to the other: it would bring the key nearer to its lock.
    assert [one.code for one in clocks] == ["APIG.0301"]
    assert "NTP" in str(clocks[0].what_to_do)
    assert {one.check for one in report.of(Severity.ERROR)} == {Check.SOURCE_VAULT, Check.DESTINATION_VAULT, Check.CLOCK}


def test_a_clock_that_a_password_gets_past_is_a_warning() -> None:
    world = default_world()
    world.regions[1].clock_ahead = 1000.0
    finding = only(Stage(world).check())
    assert (finding.severity, finding.check, finding.code) == (Severity.WARNING, Check.CLOCK, "APIG.0301")


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_says_what_is_copied_and_why_and_what_is_not() -> None:
    world = default_world()
    world.vaults[0].backups[0].replicated_to = [DESTINATION_VAULT]
    world.vaults[0].backups[1].replicated_to = [DESTINATION_VAULT]
    stage = Stage(world)
    failed = next(one for one in stage.control.state(SOURCE_VAULT)["backups"] if one["id"] == BACKUPS[1])["records"][0]
    stage.control.change_record(failed["id"], status="fail", fail_code="BackupService.1006", fail_reason="No room in the lift.")
    stage.control.add_backup(SOURCE_VAULT, name="broken", status="error")
    plan = stage.check().plan
    assert plan is not None
    assert plan.counts == {"backups": 2, "coming": 0, "awaited": 0, "running": 0, "covered": 1, "skipped": 1, "declined": 0, "elsewhere": 0}
    assert (plan.gb, plan.by_vault, plan.calls) == (160, True, 1)
    assert {one["id"]: (one["gb"], one["reason"]) for one in plan.summary["to_copy"]} == {
        BACKUPS[1]: (60, "its newest copy failed, BackupService.1006: No room in the lift."),
        BACKUPS[2]: (100, "it has no copy there yet"),
    }
    assert [(one["name"], one["place"], one["reason"]) for one in plan.summary["not_copied"]] == [
        ("broken", "skipped", "its status is error, not available")
    ]
    assert plan.headline.startswith(f"2 backups would be copied to {stage.destination} with 1 call, at most 160 GB")
    assert len(plan.lines) == 3


def test_the_plan_of_failed_copies_alone_is_single_calls() -> None:
    world = default_world()
    for backup in world.vaults[0].backups:
        backup.replicated_to = [DESTINATION_VAULT]
    stage = Stage(world)
    for backup in stage.control.state(SOURCE_VAULT)["backups"][:2]:
        stage.control.change_record(backup["records"][0]["id"], status="fail")
    plan = stage.check().plan
    assert plan is not None
    assert (len(plan.copies), plan.by_vault, plan.calls) == (2, False, 2)


def test_a_plan_of_many_lists_the_first_and_counts_all() -> None:
    stage = Stage()
    for number in range(LISTED + 5):
        stage.control.add_backup(SOURCE_VAULT, name=f"more-{number}", age_seconds=60)
        stage.control.add_backup(SOURCE_VAULT, name=f"bad-{number}", status="error")
    report = stage.check()
    assert report.plan is not None
    summary = report.plan.summary
    assert (summary["backups"], summary["skipped"]) == (28, 25)
    assert len(summary["to_copy"]) == len(summary["not_copied"]) == LISTED
    assert len(json.dumps(summary)) < 16_384


def test_the_document_lists_the_heaviest_findings_and_counts_all() -> None:
    note = PreflightFinding(Check.BUSY, Severity.NOTE, "x")
    heavy = PreflightFinding(Check.ROOM, Severity.ERROR, "y", "BackupService.6129")
    report = PreflightReport(SOURCE_VAULT, Destination("a", "b", "c"), [heavy] + [note] * 30)
    assert report.document["notes"] == 30
    assert len(report.document["findings"]) == LISTED
    assert report.document["findings"][0] == {
        "check": "room",
        "severity": "error",
        "text": "y",
        "code": "BackupService.6129",
        "advice": "Expand the destination vault, or delete replicas in it.",
        "request_id": None,
    }
