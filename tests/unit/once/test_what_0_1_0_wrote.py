"""A wait in flight during an upgrade goes on: what version 0.1.0 wrote down is read by this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_cbr.checkpoints.intents import CheckpointIntent
from airflow_cbr.checkpoints.state import CheckpointState
from airflow_cbr.replication.intents import ReplicationIntent
from airflow_cbr.replication.state import ReplicationState

if TYPE_CHECKING:
    from airflow_cbr.once.state import AttemptState

RECORD, BACKUP = "474f3e40-7544-46d0-8154-bcd3ca422a5a", "7558e1a3-7046-4787-95cd-14b0ad0642a8"
MEMORY = {
    "deadline": 1700086400.5, "as_of": 1700000000.0, "began": 1700000001.0, "unsettled_until": 0.0, "accepted": {RECORD: BACKUP},
    "accepted_at": 1700000002.0, "adopted": {}, "sent": {BACKUP: 1700000001.0}, "unknown": {"v": 1}, "stale": ["r1"],
    "declined": {"b": "BackupService.1004 id"}, "given_up": {}, "one_by_one": True, "disowned": [], "troubles": 2,
}  # fmt: skip
INTENT = {
    "destination": ["cn-shenzhen-1", "68589cac08274b82b4e254268a3862d8", "0ca3eb86-8800-46da-9c37-9d657a825274"], "generation": 1,
    "deadline": 1700086400.5, "began": 1700000001.0, "posted_at": 1700000001.0, "needed": 3, "eligible": 3, "digest": "0123456789abcdef",
}  # fmt: skip
CHECKPOINT_MEMORY: dict[str, Any] = {
    "deadline": 1700086400.5, "has_looked": True, "checkpoint_id": None, "evidence": "", "known_at": 0.0, "skipped": {},
    "unsettled_until": 1700000121.0, "lost_from": 1700000001.0, "lost_to": 1700000001.0, "is_noted": True, "unknown": 1,
    "put_aside": ["c"], "troubles": 0,
}  # fmt: skip
CHECKPOINT_INTENT = {
    "vault_id": "3b5816b5-f29c-4172-9d9a-76c719a659ce", "mark": "0123456789abcdef", "generation": 0, "deadline": 1700086400.5,
    "posted_at": 1700000001.0, "checkpoint_id": "c", "put_aside": [],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "written"), [(ReplicationState, MEMORY), (CheckpointState, CHECKPOINT_MEMORY)])
def test_an_attempts_memory(kind: type[AttemptState], written: dict[str, object]) -> None:
    read = kind.load(written).dump()
    assert {name: read[name] for name in written} == written


@pytest.mark.parametrize(("kind", "written"), [(ReplicationIntent, INTENT), (CheckpointIntent, CHECKPOINT_INTENT)])
def test_an_intent(kind: type[ReplicationIntent] | type[CheckpointIntent], written: dict[str, object]) -> None:
    read = msgspec.to_builtins(kind.read(written))
    assert {name: read[name] for name in written} == written
