"""What a connection may hold: each wrong thing is a CbrConfigurationError that names the connection, and none quotes a secret."""

from __future__ import annotations

import asyncio
import json
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.airflow_names import AIRFLOW_VERSION, BaseHook, Connection
from airflow_cbr.emulator.world import SOURCE_PROJECT
from airflow_cbr.exceptions import CbrConfigurationError
from airflow_cbr.get_provider_info import get_provider_info
from airflow_cbr.hooks.cbr import CbrHook
from airflow_cbr.hooks.connection import ConnectionFields
from airflow_cbr.hooks.unknown_extras import KNOWN_EXTRAS, unknown_extras
from airflow_cbr.triggers.access import ConnectionAccess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXTRA = {"region": "cn-north-4", "project_id": SOURCE_PROJECT}
SECRET = "not-to-be-told"
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=12)


def connection(**changes: Any) -> Any:
    fields = {"conn_id": "cbr", "conn_type": "huaweicloud_cbr", "host": None, "login": "AKEXAMPLE", "password": SECRET, "extra": EXTRA}
    fields |= changes
    extra = fields["extra"]
    fields["extra"] = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    return SimpleNamespace(**fields, extra_dejson=extra)


def by_hook() -> None:
    _ = CbrHook("cbr").client


def by_trigger() -> None:
    asyncio.run(ConnectionAccess("cbr", "cn-north-4", SOURCE_PROJECT).open())


def by_test_connection() -> None:
    works, said = CbrHook("cbr").test_connection()
    if not works:
        raise CbrConfigurationError(said)


def stored(**changes: Any) -> str:
    return json.dumps({"conn_type": "huaweicloud_cbr", "login": "AKEXAMPLE", "password": SECRET, "extra": EXTRA} | changes)


WRONG = {
    "extra encoded twice": (stored(extra=json.dumps(json.dumps(EXTRA | {"security_token": SECRET}))), "a string that contains JSON"),
    "extra is a list": (stored(extra=json.dumps([EXTRA])), "a list"),
    "extra is text": (stored(extra=json.dumps(SECRET)), "is a string"),
    "extra is a number": (stored(extra="7"), "int"),
    "extra is null": (stored(extra="null"), "null"),
    "extra is no JSON": (stored(extra=f"{{'region': '{SECRET}'"), "not JSON"),
    "extra is blank": (stored(extra="  "), "not JSON"),
    "another type": (stored(conn_type="aws"), "of type 'aws'"),
    "no type": (stored(conn_type=""), "huaweicloud-cbr://"),
    "scheme with an underscore": (f"huaweicloud_cbr://AKEXAMPLE:{SECRET}@/?region=cn-north-4", "huaweicloud-cbr://"),
    "scheme of http": (f"https://AKEXAMPLE:{SECRET}@cbr.example.com/?region=cn-north-4", "huaweicloud-cbr://"),
    "host": (stored(host="http://127.0.0.1:9"), "cbr_endpoint"),
    "host in a URI": (f"huaweicloud-cbr://AKEXAMPLE:{SECRET}@127.0.0.1:9/?region=cn-north-4", "cbr_endpoint"),
    "password with a line end": (stored(password=SECRET + "\n"), "password contains a line end"),
    "login with a line end in it": (stored(login="AK\r\nX: y"), "login contains a line end"),
    "password with NUL": (stored(password="a\0" + SECRET), "password contains a control character"),
    "login outside ASCII": (stored(login="ключ"), "login contains a character outside ASCII"),
    "region of None": (stored(extra=EXTRA | {"region": "None"}), "the string 'None'"),
    "verify is a word": (stored(extra=EXTRA | {"verify": "off"}), "true, false, or the path"),
    "verify has NUL": (stored(extra=EXTRA | {"verify": "x\0y"}), "true, false, or the path"),
    "verify is too long": (stored(extra=EXTRA | {"verify": "/" + "a" * 5000}), "true, false, or the path"),
}


@pytest.mark.parametrize("way", [by_hook, by_trigger, by_test_connection])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_connection_that_cannot_be_meant_names_itself_and_says_what_to_do(
    wrong: str, way: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    value, said = WRONG[wrong]
    monkeypatch.setenv("AIRFLOW_CONN_CBR", value)
    if AIRFLOW_VERSION < (3, 2) and wrong.startswith("extra "):
        # This Airflow says that a connection of the environment with such an extra is not there; one of its database it hands on.
        one = Connection(conn_id="cbr", **json.loads(value))
        monkeypatch.setattr(BaseHook, "get_connection", staticmethod(lambda conn_id: one))
    with pytest.raises(CbrConfigurationError) as caught:
        way()
    assert "Connection cbr" in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.permanent
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def refusal(make: Callable[[], Any]) -> CbrConfigurationError | None:
    """Return why a connection is refused, or None."""
    try:
        make()
    except CbrConfigurationError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": '{"x": ' + "1" * 5000 + "}"}, "not JSON"),
        ({"extra": "[" * 100_000}, "not JSON"),
        ({"login": 7}, "login must be a string"),
        ({"password": 4711}, "password must be a string"),
        ({"password": "\ud800" + SECRET}, "password contains a character outside ASCII"),
        ({"conn_type": None}, "huaweicloud-cbr://"),
        ({"conn_type": "huaweicloud-cbr"}, "of type 'huaweicloud-cbr'"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_so_does_one_that_only_a_database_can_hold(changes: dict[str, Any], said: str) -> None:
    error = refusal(lambda: ConnectionFields.of(connection(**changes)))
    assert error is not None
    assert error.message.startswith("Connection cbr")
    assert said in str(error)
    assert SECRET not in "".join(traceback.format_exception(error))
    assert "4711" not in str(error)


@pytest.mark.parametrize("value", [stored(), stored(conn_type="huaweicloud"), stored(conn_type="huaweicloud-cbr")])
@pytest.mark.parametrize("way", [by_hook, by_trigger])
def test_both_types_are_taken(way: Callable[[], None], value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CBR", value)
    way()


def test_a_host_beside_an_endpoint_does_no_harm() -> None:
    fields = ConnectionFields.of(connection(host="example.com", extra=EXTRA | {"cbr_endpoint": "http://127.0.0.1:9"}))
    assert fields.endpoints.cbr == "http://127.0.0.1:9"


@given(word=st.one_of(ANY_TEXT, st.sampled_from([" ", "\t\n", "False", "false ", "FALSE", "true", "0", "no", "off", "None", "null", "f"])))
def test_nothing_but_an_explicit_false_switches_the_certificate_check_off(word: str) -> None:
    found: list[ConnectionFields] = []
    error = refusal(lambda: found.append(ConnectionFields.of(connection(extra=EXTRA | {"verify": word}))))
    if error is not None:
        assert "true, false, or the path" in error.message
    else:
        assert (found[0].verify is False) is (word.strip().lower() == "false")
        assert found[0].verify != ""


@pytest.mark.parametrize("value", [0, 1, [], {}, 0.0])
def test_verify_is_no_number(value: Any) -> None:
    with pytest.raises(CbrConfigurationError, match="true, false, or the path"):
        ConnectionFields.of(connection(extra=EXTRA | {"verify": value}))


def test_verify_may_be_a_boolean_or_a_path(tmp_path: Path) -> None:
    for value, expected in ((True, True), (False, False), (None, True), ("", True), (str(tmp_path), str(tmp_path))):
        assert ConnectionFields.of(connection(extra=EXTRA | {"verify": value})).verify == expected


@given(login=ANY_TEXT, password=ANY_TEXT, domain=ANY_TEXT, token=ANY_TEXT, auth_type=st.sampled_from(["aksk", "password"]))
def test_any_characters_give_a_client_or_an_error_that_names_the_connection(
    login: str, password: str, domain: str, token: str, auth_type: str
) -> None:
    extra = EXTRA | {"auth_type": auth_type, "domain_name": domain} | ({"security_token": token} if auth_type == "aksk" else {})
    secret = password + SECRET
    error = refusal(lambda: ConnectionFields.of(connection(login=login, password=secret, extra=extra)).client().close())
    if error is not None:
        assert "Connection cbr" in error.message
        assert SECRET not in "".join(traceback.format_exception(error))
    else:
        assert secret.isascii()
        assert secret.isprintable()


# --- unknown keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("regoin", "region"), ("projectId", "project_id"), ("Domain-Name", "domain_name"), ("cbr_endpoints", "cbr_endpoint"), ("zzz", None)],
)
def test_a_key_that_means_nothing_warns_once_with_the_nearest_that_does_and_without_its_value(
    key: str, nearest: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_cbr.hooks.unknown_extras._warned", set())
    for _ in range(2):
        fields = ConnectionFields.of(connection(extra={**EXTRA, key: SECRET}))
    (text,) = fields.unknown
    assert f"the unknown key '{key}', which is not used" in text
    assert (f"did you mean {nearest}?" in text) if nearest else ("did you mean" not in text)
    assert [record.getMessage() for record in caplog.records] == [f"Connection cbr: {text}"]
    assert SECRET not in caplog.text


def test_a_connection_of_the_shared_type_may_have_keys_of_others() -> None:
    assert ConnectionFields.of(connection(conn_type="huaweicloud", extra={**EXTRA, "obs_bucket": "b"})).unknown == ()


@given(st.dictionaries(ANY_TEXT, st.none() | st.text() | st.integers(), max_size=5))
def test_whatever_key_there_is_its_warning_is_one_short_line(extra: dict[str, Any]) -> None:
    for text in unknown_extras(extra):
        assert text.isprintable()
        assert len(text) < 200


def test_the_form_has_a_field_for_each_key_that_is_known() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    assert set(connection_type["conn-fields"]) == KNOWN_EXTRAS


@pytest.mark.parametrize("console", ["console.example.com/evil", "https://console.example.com", "a b"])
def test_a_console_that_is_no_host_is_refused(console: str) -> None:
    with pytest.raises(CbrConfigurationError, match="extra console"):
        ConnectionFields.of(connection(extra={**EXTRA, "console": console}))
