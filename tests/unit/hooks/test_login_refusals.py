"""Airflow's Variables as the store in which tasks tell each other of refused credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import deployment
from airflow_cbr.hooks import login_refusals
from airflow_cbr.hooks.login_refusals import PREFIX, VariableRegisters, share_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

SENSITIVE = ("access_token", "api_key", "apikey", "authorization", "passphrase", "passwd", "password", "private_key", "secret", "token")


class Variables:
    """What a task sees of Airflow's Variables."""

    kept: dict[str, str]

    def get(self, key: str, default: Any) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: str, description: str) -> None:
        assert description
        self.kept[key] = value


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[Variables]:
    made = Variables()
    made.kept = {}
    monkeypatch.setattr("airflow.sdk.Variable", made)
    yield made
    deployment.forget()


def test_a_register_is_a_variable_of_its_own(variables: Variables) -> None:
    store = VariableRegisters()
    one, other = store.register("a1"), store.register("a1_turn")
    assert one.read() is None
    one.write("text")
    other.write("free")
    assert (one.read(), other.read()) == ("text", "free")
    assert variables.kept == {f"{PREFIX}a1": "text", f"{PREFIX}a1_turn": "free"}


def test_what_somebody_else_put_there_is_nothing(variables: Variables) -> None:
    variables.kept[f"{PREFIX}a1"] = 7  # type: ignore[assignment]
    assert VariableRegisters().register("a1").read() is None


def test_no_name_makes_airflow_hide_the_value(variables: Variables) -> None:
    """Airflow masks the value of a Variable whose key looks like a secret's, wherever that text appears in a log: ``free`` for example."""
    assert not any(word in PREFIX for word in SENSITIVE)


def test_only_a_task_takes_part(variables: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    share_refusals()
    assert deployment._find() is None
    monkeypatch.setattr("airflow.sdk.get_current_context", dict)
    assert isinstance(login_refusals._in_a_task(), VariableRegisters)
    assert isinstance(deployment._find(), VariableRegisters)
