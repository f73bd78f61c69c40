"""The lines in which a submission says what it does: names first, ids last."""

from __future__ import annotations

import pytest

from airflow_cbr.api.models import ReplicationReference
from airflow_cbr.replication import lines
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT, time_text
from tests.support.looks import backup, look, record

SPEC = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION)


@pytest.mark.parametrize("name", [None, "vault-replicas"])
def test_what_is_about_to_be_paid_is_said_with_its_destination(name: str | None) -> None:
    seen = look(backup("a", resource_size=40), backup("b", resource_size=2.5), backup("c", record("r", "success"), resource_size=500))
    state = ReplicationState(deadline=BEGIN, vault_name="vault-nightly", destination_name=name)
    line = lines.about_to_replicate(seen, [seen.by_backup["a"], seen.by_backup["b"]], SPEC, state)
    assert line == f"About to replicate 2 of 3 eligible backups, at most 42.5 GB, to {DESTINATION.named(name)}"


@pytest.mark.parametrize(
    ("backup_id", "said"), [("a", "web; backup night-a (a)"), ("gone", "a backup; backup gone")], ids=["listed", "not listed"]
)
def test_an_accepted_copy_is_named_by_its_resource(backup_id: str, said: str) -> None:
    seen = look(backup("a", resource_name="web"))
    pair = ReplicationReference(backup_id=backup_id, replication_record_id="r")
    assert lines.accepted(seen, pair) == f"CBR accepted the copy of {said}, replication record r"


@pytest.mark.parametrize("foreign", [False, True])
def test_an_adopted_copy_says_who_started_it_as_far_as_that_is_known(foreign: bool) -> None:
    one = record("r", "replicating")
    by = "; by its auto_trigger flag, something else started it" if foreign else ""
    line = lines.adopted(look(backup("b"), backup("a", one, resource_name="web")), one, foreign=foreign)
    assert line == (f"Adopted the copy of web: replicating, created at {time_text(BEGIN)}{by}; backup night-a (a), replication record r")
