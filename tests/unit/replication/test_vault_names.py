"""Names are for people: whatever goes wrong with asking for them, the copies are what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_cbr.api.models import Vault
from airflow_cbr.api.texts import LONGEST_NAME
from airflow_cbr.exceptions import CbrError, CbrPermissionError, CbrTimeoutError
from airflow_cbr.replication.spec import ReplicationSpec
from airflow_cbr.replication.state import ReplicationState
from airflow_cbr.replication.vault_names import ask_for_names, destination_text, source_text
from tests.support.hostile_service import BEGIN, DESTINATION, SOURCE_VAULT

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient

SPEC = ReplicationSpec(vault_id=SOURCE_VAULT, destination=DESTINATION)
NO = CbrPermissionError("no")


class WithoutNames:
    """A client that answers each question for a name with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, call: str) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [CbrPermissionError("not allowed"), CbrTimeoutError("no answer"), AttributeError("a client without this call"), KeyError("name")],
    ids=repr,
)
def test_what_goes_wrong_with_a_name_is_no_matter(error: Exception) -> None:
    state = ReplicationState(deadline=0.0, vault_name="old", destination_name="old")
    ask_for_names(cast("CbrClient", WithoutNames(error)), SPEC, state)
    assert (state.vault_name, state.destination_name) == (None, None)
    assert SOURCE_VAULT in source_text(SPEC, state)
    assert DESTINATION.vault_id in destination_text(SPEC, state)


class SourceRegion:
    """The source region's answers to the two questions."""

    def __init__(self, here: Vault | CbrError, there: list[Vault] | CbrError) -> None:
        self._here, self._there = here, there
        self.asked: list[Any] = []

    def show_vault(self, vault_id: str) -> Vault:
        """Show the source vault."""
        self.asked.append(vault_id)
        if isinstance(self._here, CbrError):
            raise self._here
        return self._here

    def list_external_vaults(self, **filters: str) -> list[Vault]:
        """List vaults of another region."""
        self.asked.append(filters)
        if isinstance(self._there, CbrError):
            raise self._there
        return self._there


def names(here: Vault | CbrError, there: list[Vault] | CbrError) -> tuple[str | None, str | None]:
    region, state = SourceRegion(here, there), ReplicationState(deadline=BEGIN, vault_name="old", destination_name="old")
    ask_for_names(cast("CbrClient", region), SPEC, state)
    assert region.asked == [
        SOURCE_VAULT,
        {"external_project_id": DESTINATION.project_id, "region_id": DESTINATION.region, "vault_id": DESTINATION.vault_id},
    ]
    return state.vault_name, state.destination_name


def there(name: str | None, vault_id: str = DESTINATION.vault_id) -> Vault:
    return Vault(id=vault_id, name=name)


@pytest.mark.parametrize(
    ("here", "rows", "found"),
    [
        (there("nightly", SOURCE_VAULT), [there("another", "x"), there("replicas")], ("nightly", "replicas")),
        (there("two\nlines", SOURCE_VAULT), [there("two\nlines")], ("two lines", "two lines")),
        (there(None, SOURCE_VAULT), [there(None)], (None, None)),
        (there("", SOURCE_VAULT), [there("")], (None, None)),
        (NO, [there("replicas")], (None, "replicas")),
        (there("nightly", SOURCE_VAULT), NO, ("nightly", None)),
        (there("nightly", SOURCE_VAULT), [], ("nightly", None)),
        (there("nightly", SOURCE_VAULT), [there("another", "x")], ("nightly", None)),
    ],
)
def test_a_name_is_noted_as_far_as_the_source_region_tells_it(
    here: Vault | CbrError, rows: list[Vault] | CbrError, found: tuple[str | None, str | None]
) -> None:
    assert names(here, rows) == found


def test_a_long_name_is_cut() -> None:
    here, destination = names(there("n" * 500, SOURCE_VAULT), [there("n" * 500)])
    assert here == destination
    assert here is not None
    assert len(here) == LONGEST_NAME


def test_a_message_names_a_vault_by_name_and_id_or_by_its_id_alone() -> None:
    known = ReplicationState(deadline=BEGIN, vault_name="nightly", destination_name="replicas")
    assert "nightly" in source_text(SPEC, known)
    assert SOURCE_VAULT in source_text(SPEC, known)
    assert destination_text(SPEC, known) == DESTINATION.named("replicas")
    unknown = ReplicationState(deadline=BEGIN)
    assert source_text(SPEC, unknown) == SOURCE_VAULT
    assert destination_text(SPEC, unknown) == str(DESTINATION)
