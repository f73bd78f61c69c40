"""The fields of a connection that say how it signs in: each wrong thing is named before anything is sent."""

from __future__ import annotations

import ast
import contextlib
import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cbr.api.agencies import AgencyByName, AgencyByUrn
from airflow_cbr.api.credential_sources import SOURCES
from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.given_credentials import GivenKey, GivenPassword
from airflow_cbr.exceptions import CbrConfigurationError
from airflow_cbr.get_provider_info import get_provider_info
from airflow_cbr.hooks import sign_in
from airflow_cbr.hooks.connection import ConnectionFields
from airflow_cbr.hooks.sign_in import AUTH_TYPES, WITH_A_LOGIN, SignInFields
from tests.support.key_world import AGENCY_URN
from tests.support.python_process import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA = {"region": "cn-north-4"}
FORM = get_provider_info()["connection-types"][0]["conn-fields"]


def connection(**changes: Any) -> Any:
    fields = {"conn_id": "cbr", "conn_type": "huaweicloud_cbr", "host": None, "login": "AKEXAMPLE", "password": "not-to-be-told"} | changes
    return SimpleNamespace(**fields | {"extra": None}, extra_dejson=fields["extra"])


def fields(*, login: str = "AKEXAMPLE", **extra: Any) -> ConnectionFields:
    return ConnectionFields.of(connection(login=login, extra=EXTRA | extra))


def test_the_form_the_code_and_the_sources_know_the_same_ways() -> None:
    assert tuple(FORM["auth_type"]["schema"]["enum"]) == AUTH_TYPES == (*WITH_A_LOGIN, *sorted(SOURCES, key=AUTH_TYPES.index))
    assert set(FORM["auth_type"]["schema"]["values_display"]) == set(AUTH_TYPES)
    assert set(SignInFields.names()) <= set(FORM)
    for name in (*SignInFields.names(), "sts_endpoint"):
        assert FORM[name]["label"]
        assert FORM[name]["description"]


@pytest.mark.parametrize("way", sorted(SOURCES))
def test_without_a_permanent_key_neither_login_nor_password_is_needed_or_kept(way: str) -> None:
    for login, password in ((None, None), ("AKEXAMPLE", "not-to-be-told")):
        found = ConnectionFields.of(connection(login=login, password=password, extra=EXTRA | {"auth_type": way}))
        assert found.login == ""
        assert not found.password
        assert found.credentials == SOURCES[way]()


@pytest.mark.parametrize(
    ("extra", "kind", "base"),
    [
        ({}, AkSkCredentials, None),
        ({"auth_type": "password", "domain_name": "acme"}, PasswordCredentials, None),
        ({"agency_urn": AGENCY_URN}, AgencyByUrn, GivenKey),
        ({"agency_name": "a", "agency_domain_name": "b"}, AgencyByName, GivenKey),
        ({"auth_type": "password", "domain_name": "acme", "agency_urn": AGENCY_URN}, AgencyByUrn, GivenPassword),
        ({"auth_type": "oidc", "agency_urn": AGENCY_URN}, AgencyByUrn, SOURCES["oidc"]),
        ({"auth_type": "ecs_agency", "agency_name": "a", "agency_domain_name": "b"}, AgencyByName, SOURCES["ecs_agency"]),
    ],
)
def test_what_is_assumed_and_with_what(extra: dict[str, Any], kind: type, base: type | None) -> None:
    found = fields(**extra).credentials
    assert type(found) is kind
    if base is not None:
        assert type(found.base) is base  # type: ignore[union-attr]
        assert found.duration == 3600  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"auth_type": "telepathy"}, "auth_type must be one of aksk, password, ecs_agency, pod_identity, oidc"),
        ({"agency_urn": AGENCY_URN, "agency_name": "a", "agency_domain_name": "b"}, "agency_urn: is set together with agency_name"),
        ({"agency_name": "a"}, "agency_domain_name: is missing"),
        ({"agency_domain_name": "b"}, "agency_name: is missing"),
        ({"agency_duration": "3600"}, "agency_duration: is set without an agency"),
        ({"agency_urn": "my-agency"}, "agency_urn: 'my-agency' is not the URN"),
        ({"agency_urn": f"{AGENCY_URN}\nX"}, "is not the URN"),
        ({"agency_urn": AGENCY_URN, "agency_duration": 899}, "from 900 to 43200"),
        ({"agency_urn": AGENCY_URN, "agency_duration": "43201"}, "from 900 to 43200"),
        ({"agency_urn": AGENCY_URN, "agency_duration": 3600.5}, "agency_duration must be a string, not float"),
        ({"agency_urn": AGENCY_URN, "agency_duration": True}, "agency_duration must be a string, not bool"),
        ({"agency_urn": AGENCY_URN, "agency_duration": "an hour"}, "from 900 to 43200"),
        ({"agency_urn": AGENCY_URN, "agency_duration": "3601", "security_token": "t"}, "from 900 to 3600"),
        ({"agency_urn": AGENCY_URN, "agency_duration": "3601", "auth_type": "ecs_agency"}, "from 900 to 3600"),
        ({"agency_name": "a", "agency_domain_name": "b", "agency_duration": "86401"}, "from 900 to 86400"),
        ({"agency_name": "a" * 65, "agency_domain_name": "b"}, "agency_name: has more than 64 characters"),
        ({"agency_name": "a\tb", "agency_domain_name": "b"}, "agency_name: has more than 64 characters, or one that cannot be sent"),
        ({"auth_type": "ecs_agency", "metadata_endpoint": "http://example.com"}, "metadata_endpoint: 'http://example.com' is not followed"),
        ({"auth_type": "ecs_agency", "metadata_endpoint": "https://example.com"}, "metadata_endpoint"),
        ({"metadata_endpoint": "http://10.0.0.1"}, "metadata_endpoint"),
        ({"sts_endpoint": "sts.example.com"}, "sts_endpoint"),
        ({"sts_endpoint": "https://user:not-to-be-told@sts.example.com"}, "sts_endpoint"),
        ({"agency_urn": "None"}, "agency_urn is the string 'None'"),
    ],
    ids=str,
)
def test_what_cannot_be_right_is_named(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(CbrConfigurationError) as caught:
        fields(**extra)
    assert caught.value.message.startswith("Connection cbr: extra ")
    assert said in caught.value.message
    assert "not-to-be-told" not in str(caught.value)
    assert caught.value.permanent


@pytest.mark.parametrize("duration", [900, "900", " 43200 ", "43200"])
def test_a_duration_is_a_number_or_text(duration: Any) -> None:
    assert fields(agency_urn=AGENCY_URN, agency_duration=duration).credentials.duration in (900, 43200)  # type: ignore[union-attr]


ANY = st.one_of(st.none(), st.integers(), st.booleans(), st.text(max_size=30), st.lists(st.integers(), max_size=2))
OWN = st.dictionaries(st.sampled_from([*SignInFields.names(), "sts_endpoint", "auth_type"]), ANY, max_size=4)


class _Named(Exception):  # noqa: N818 - what must happen
    """The error names the connection and the field, and quotes no secret."""


@settings(deadline=None)
@given(OWN, st.sampled_from(AUTH_TYPES))
def test_any_values_give_credentials_or_an_error_that_names_the_connection(extra: dict[str, Any], auth_type: str) -> None:
    with contextlib.suppress(_Named):
        try:
            fields(**({"auth_type": auth_type, "domain_name": "acme"} | extra)).client().close()
        except CbrConfigurationError as error:
            if error.message.startswith("Connection cbr: extra ") and "not-to-be-told" not in str(error):
                raise _Named from error
            raise


def accounts() -> Iterator[tuple[dict[str, Any], str]]:
    yield {"auth_type": "ecs_agency"}, "ecs_agency"
    yield {"agency_urn": AGENCY_URN}, AGENCY_URN
    yield {"agency_name": "a", "agency_domain_name": "b"}, "b/a"
    yield {}, "AKEXAMPLE"
    yield {"auth_type": "password", "domain_name": "acme"}, "acme"


@pytest.mark.parametrize(("extra", "account"), list(accounts()))
def test_requests_are_counted_for_the_account_that_is_worked_in(extra: dict[str, Any], account: str) -> None:
    assert fields(**extra).account == account


def test_reading_a_connection_loads_no_http_library() -> None:
    """A trigger reads it on the event loop that all triggers share."""
    loaded = run_python(
        "-c",
        "import sys\nfrom types import SimpleNamespace\nfrom airflow_cbr.hooks.connection import ConnectionFields\n"
        f"extra = {EXTRA | {'auth_type': 'ecs_agency', 'agency_urn': AGENCY_URN, 'metadata_endpoint': 'http://127.0.0.1'}!r}\n"
        "one = SimpleNamespace(conn_id='cbr', conn_type='huaweicloud_cbr', login=None, password=None, host=None, extra=None)\n"
        "ConnectionFields.of(one, extra)\nprint(*sys.modules.keys() & {'requests', 'urllib3'})",
    )
    assert loaded.split() == []


def test_a_new_way_is_one_module_and_its_word() -> None:
    """Nothing but the form, and the list of words that it may send, names a way outside of its own module."""
    tree = ast.parse(inspect.getsource(sign_in))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert {text for text in texts if text in SOURCES} == set(SOURCES)
    assert sum(text in SOURCES for text in texts) == len(SOURCES), "once each, in AUTH_TYPES"
