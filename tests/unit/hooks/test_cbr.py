"""The hook offers what the client can do, and no error of a connection shows a secret in its frames."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cbr.api.client import CbrClient
from airflow_cbr.exceptions import CbrConfigurationError
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.connection import ConnectionFields


def calls_of(kind: type) -> set[str]:
    return {
        name
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if name.startswith(("list_", "show_", "replicate_", "create_", "delete_"))
    }


def test_the_hook_has_each_call_of_the_client() -> None:
    assert calls_of(CbrHook) == calls_of(CbrClient)
    assert calls_of(CbrHook) > {"list_backups", "show_vault", "replicate_checkpoint", "create_checkpoint", "delete_backup"}


@pytest.mark.parametrize("name", sorted(calls_of(CbrClient)))
def test_the_hook_takes_what_the_client_takes(name: str) -> None:
    of_hook, of_client = (inspect.signature(getattr(kind, name)).parameters for kind in (CbrHook, CbrClient))
    named = [parameter for parameter in of_hook.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    for parameter in named:
        other = of_client[parameter.name]
        assert (parameter.kind, parameter.default, parameter.annotation) == (other.kind, other.default, other.annotation)
    # What the hook does not name it passes on.
    if len(named) == len(of_hook):
        assert set(of_hook) == set(of_client)


@pytest.mark.parametrize(
    ("password", "extra"),
    [
        ("SK-nobody", {"security_token": "ST-nobody", "region": "no region"}),
        ("SK-nobody", {"security_token": "ST-nobody", "auth_type": "x"}),
        ("SK-nobody with a space", {"security_token": "ST-nobody", "region": "cn-north-4"}),
        ("SK", {"security_token": "ST-nobody with a space", "region": "cn-north-4"}),
        ("SK-nobody", {"security_token": ["ST"], "region": "cn-north-4"}),
        ("SK-nobody", {"security_token": "ST-nobody"}),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_no_frame_of_a_refused_connection_holds_a_secret(password: str, extra: dict[str, Any], apart: bool) -> None:
    connection = SimpleNamespace(conn_id="c", login="AK", password=password, extra_dejson=extra)
    with pytest.raises(CbrConfigurationError) as caught:
        ConnectionFields.of(connection, extra if apart else None).client()  # type: ignore[arg-type]
    error: BaseException | None = caught.value
    while error is not None:
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename != __file__:
                assert "nobody" not in repr(step.tb_frame.f_locals)
            step = step.tb_next
        assert "nobody" not in str(error)
        error = error.__cause__ or error.__context__


def test_the_fields_of_a_connection_keep_their_secrets() -> None:
    connection: Any = SimpleNamespace(conn_id="c", login="AK", password="SK-nobody", extra_dejson={"security_token": " ST-nobody "})
    fields = ConnectionFields.of(connection)
    assert "nobody" not in repr(fields)
    assert fields.password.reveal() == "SK-nobody"
    assert fields.security_token is not None
    assert fields.security_token.reveal() == "ST-nobody"
