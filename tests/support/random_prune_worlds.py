"""Random worlds to be pruned: what may be odd about a backup, a replica, a vault or the service is odd now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from airflow_cbr.emulator.vault_parts import BackupPart
from airflow_cbr.emulator.world import DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.pruning.keep_rules import KeepRules
from airflow_cbr.pruning.spec import Side
from tests.support.prune_world import DAY, PruneWorld, prune_world

__all__ = ["Case", "cases", "faults", "open_world"]

_RESOURCES: Final = (
    "94eba8b2-acc9-4d82-badc-127144cc5526",
    "1a503932-ee8f-4dd5-8248-8dfb57e584c5",
    "54f7ccbc-072f-4ec5-a7b7-b24dabdb4539",
)
_OTHER: Final = "0f0f0f0f-0000-4000-8000-00000000000{}"
_STATUSES: Final = ("protecting", "deleting", "restoring", "error", "waiting_protect", "waiting_delete", "waiting_restore")
_ROWS: Final[tuple[dict[str, Any], ...]] = (
    {"status": "sealed"},
    {"status": None},
    {"created_at": None},
    {"created_at": "soon"},
    {"resource_id": None},
    {"checkpoint_id": None},
    {"extend_info": None},
    {"parent_id": _OTHER.format(1)},
    {"resource_size": None},
    {"vault_id": _OTHER.format(2)},
    {"project_id": None},
    {"image_type": "sync"},
    {"expired_at": "never"},
)
_ODD: Final = (*["plain"] * 40, "status", "row", "image", "copying", "skipping", "unknown", "restoring", "old checkpoint")
_ODD_REPLICAS: Final = (
    *["plain"] * 60, "none", "gone", "status", "row", "image", "size", "resource", "shared", "expired", "ends", "restoring", "failed",
    "hidden",
)  # fmt: skip


@dataclass(frozen=True)
class One:
    """A backup with its replica."""

    resource: int
    age_days: float
    odd: str = "plain"
    replica: str = "plain"
    source_is_gone: bool = False
    with_last: bool = False
    pick: int = 0


@dataclass(frozen=True)
class Case:
    """A world, and what is asked."""

    backups: list[One]
    rules: KeepRules
    min_age: float = 3600.0
    sides: tuple[Side, ...] = (Side.SOURCE, Side.REPLICA)
    plan_only: bool = False
    locked: tuple[bool, bool] = (False, False)
    status: tuple[str, str] = ("available", "available")
    checkpoint: str = "available"
    switches: dict[str, Any] = field(default_factory=dict)


_counts = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3])
_backups = st.builds(
    One,
    resource=st.integers(0, 2),
    age_days=st.one_of(st.sampled_from([0.01, 0.5, 1.0, 2.0, 7.0, 30.0, 31.0, 365.0]), st.floats(0.01, 500)),
    odd=st.sampled_from(_ODD),
    replica=st.sampled_from(_ODD_REPLICAS),
    source_is_gone=st.sampled_from([False, False, False, True]),
    with_last=st.sampled_from([False] * 4 + [True]),
    pick=st.integers(0, 12),
)
_rules = st.builds(
    KeepRules,
    last=_counts,
    daily=_counts,
    weekly=_counts,
    monthly=_counts,
    yearly=_counts,
    zone=st.sampled_from([ZoneInfo(name) for name in ("UTC", "Asia/Shanghai", "America/St_Johns", "Pacific/Kiritimati")]),
).filter(lambda rules: rules.keeps_something)
_seldom = st.sampled_from([False] * 19 + [True])
_switches = st.fixed_dictionaries(
    {
        "replica_created_at": st.sampled_from(["copy", "source"]),
        "replica_checkpoint": st.sampled_from(["own", "own", "source"]),
        "time_notation": st.sampled_from(["naive", "offset", "zulu"]),
        "delete_seconds": st.sampled_from([0.0, 0.0, 15.0, 100.0]),
        "delete_while_deleting": st.sampled_from(["6201", "204"]),
        "locked_vault_keeps": st.sampled_from(["automatic", "all"]),
        "expiry": st.sampled_from(["kept", "removed"]),
        "show_backup_records": st.sampled_from(["filled", "empty", "absent"]),
        "extra_info_as_text": st.booleans(),
        "replication_records": st.sampled_from(["listed"] * 19 + ["unlisted"]),
    }
)
cases = st.builds(
    Case,
    backups=st.lists(_backups, min_size=4, max_size=16),
    rules=_rules,
    min_age=st.sampled_from([1.0, 1.0, 3600.0, DAY, 10 * DAY]),
    sides=st.sampled_from([(Side.SOURCE, Side.REPLICA), (Side.SOURCE, Side.REPLICA), (Side.SOURCE,), (Side.REPLICA,)]),
    plan_only=_seldom,
    locked=st.tuples(_seldom, _seldom),
    status=st.tuples(st.sampled_from(["available"] * 19 + ["lock"]), st.sampled_from(["available"] * 19 + ["frozen"])),
    checkpoint=st.sampled_from(["available"] * 17 + ["error", "protecting", "skipped"]),
    switches=_switches,
)

faults = st.lists(
    st.fixed_dictionaries(
        {
            "call": st.sampled_from(
                ["ListBackups", "ListBackups", "ShowBackup", "ShowVault", "DeleteBackup", "DeleteBackup", "ListOpLogs"]
            ),
            "fault": st.sampled_from(
                [
                    {"kind": "reset", "when": "before"},
                    {"kind": "reset", "when": "after"},
                    {"kind": "timeout", "when": "after"},
                    {"kind": "status", "status": 500, "when": "after"},
                    {"kind": "status", "status": 502, "when": "before"},
                    {"kind": "status", "status": 504, "when": "after"},
                    {"kind": "throttle", "retry_after": 7},
                    {"kind": "throttle"},
                    {"kind": "truncated"},
                    {"kind": "html", "when": "after"},
                    {"kind": "not_json", "when": "after"},
                    {"kind": "empty_backups", "when": "after"},
                    {"kind": "records_hidden"},
                    {"kind": "rows_reversed"},
                    {"kind": "rows_repeated"},
                    {"kind": "rows_inserted"},
                    {"kind": "rows_deleted"},
                    {"kind": "code", "code": "6216", "when": "before"},
                    {"kind": "code", "code": "6204", "when": "before"},
                    {"kind": "code", "code": "9910", "when": "after"},
                    {"kind": "late", "seconds": 3},
                ]
            ),
            "nth": st.integers(1, 12),
            "count": st.sampled_from([1, 1, 2, 4]),
        }
    ),
    max_size=3,
)


def open_world(case: Case) -> PruneWorld:
    """Return the world of a case.

    :param case: the case.
    """
    parts, last_checkpoint = [], None
    for number, one in enumerate(case.backups):
        checkpoint = last_checkpoint if one.with_last and last_checkpoint is not None else f"c0c0c0c0-0000-4000-8000-{number:012}"
        last_checkpoint = checkpoint
        parts.append(
            BackupPart(
                id=f"b0b0b0b0-0000-4000-8000-{number:012}",
                checkpoint_id=checkpoint,
                resource_id=_RESOURCES[one.resource],
                age_seconds=one.age_days * DAY,
                auto_trigger=bool(one.pick % 2),
                replicated_to=[] if one.replica == "none" else [DESTINATION_VAULT],
            )
        )
    world = PruneWorld(
        prune_world(parts, switches=case.switches),
        rules=case.rules,
        min_age=case.min_age,
        sides=case.sides,
        plan_only=case.plan_only,
        settle_timeout=300.0,
    )
    if case.checkpoint != "available":
        first = world.store.checkpoints["c0c0c0c0-0000-4000-8000-000000000000"]
        if case.checkpoint == "skipped":
            first.skipped.append(
                {"id": _RESOURCES[0], "name": "x", "type": "OS::Nova::Server", "code": "BackupService.6113", "reason": "x"}
            )
        else:
            first.status = case.checkpoint
    for number, one in enumerate(case.backups):
        _distort(world, world.store.backups[f"b0b0b0b0-0000-4000-8000-{number:012}"], one)
    for vault_id, locked, status in zip((SOURCE_VAULT, DESTINATION_VAULT), case.locked, case.status, strict=True):
        world.store.vaults[vault_id].locked, world.store.vaults[vault_id].status = locked, status
    world.take_reference()
    return world


def _distort(world: PruneWorld, backup: Any, one: One) -> None:
    store, records = world.store, backup.records
    replica = store.backups.get(records[0].destination_backup_id) if records else None
    if replica is not None:
        _distort_replica(world, backup, replica, one)
    match one.odd:
        case "status":
            backup.status = _STATUSES[one.pick % len(_STATUSES)]
        case "row":
            backup.row = dict(_ROWS[one.pick % len(_ROWS)])
        case "image":
            backup.images = [_OTHER.format(3)]
        case "copying" | "skipping" | "unknown":
            vault = store.vaults[DESTINATION_VAULT]
            record = store.add_record(
                f"a0a0a0a0-0000-4000-8000-{backup.id[-12:]}", backup, vault, world.clock.now(), visible_at=0.0, auto_trigger=False
            )
            record.status = {"copying": "replicating", "skipping": "skip", "unknown": "replicating"}[one.odd]
            record.shown_status = "thawing" if one.odd == "unknown" else None
        case "restoring":
            _restore(world, backup)
        case "old checkpoint":
            store.checkpoints.pop(backup.checkpoint_id, None)
    backup.forget_row()
    if one.source_is_gone:
        store.remove_backup(backup)
    store.forget_listings()


def _distort_replica(world: PruneWorld, backup: Any, replica: Any, one: One) -> None:
    store, now = world.store, world.clock.now()
    match one.replica:
        case "gone":
            store.remove_backup(replica)
        case "status":
            replica.status = _STATUSES[one.pick % len(_STATUSES)]
        case "row":
            replica.row = dict(_ROWS[one.pick % len(_ROWS)])
        case "image":
            replica.images = [_OTHER.format(4)]
        case "size":
            replica.resource_size += 1
        case "resource":
            replica.resource_id = _RESOURCES[(one.resource + 1) % 3]
        case "shared":
            other = next((each for each in store.in_vault(SOURCE_VAULT) if each.id != backup.id and each.records), None)
            if other is not None:
                other.records[0].destination_backup_id = replica.id
                other.forget_row()
        case "expired":
            replica.expired_at = now - 60
        case "ends":
            replica.expired_at = now + one.pick * DAY + 1000
        case "restoring":
            _restore(world, replica)
        case "failed":
            backup.records[0].status = "fail"
        case "hidden":
            backup.row = {"replication_records": []}
    replica.forget_row()


def _restore(world: PruneWorld, backup: Any) -> None:
    world.store.add_log(
        f"d0d0d0d0-0000-4000-8000-{backup.id[-12:]}",
        "restore",
        backup,
        world.clock.now(),
        visible_at=0.0,
        request_id="req-1",
        detail={"backup_id": backup.id, "backup_name": backup.name},
        status="running",
    )
