"""Where keys are asked for: on this machine, on its link, or where TLS says who answers; whatever an environment variable says."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_cbr.api.addresses import check_address, is_link_local, is_on_this_link
from airflow_cbr.exceptions import CbrParameterError

GOOD = [
    "http://169.254.169.254",
    "http://169.254.169.254/",
    "http://127.0.0.1:18090/pod-identity/credentials",
    "http://[::1]:8080/v1",
    "http://[fe80::1]/v1",
    "http://localhost:8080",
    "http://127.8.9.10/a?b=c",
]
BAD = [
    "http://example.com",
    "http://10.0.0.1/v1",
    "http://169.253.169.254",
    "http://169.254.169.254.evil.example",
    "http://169.254.169.254@evil.example/",
    "http://evil.example/@169.254.169.254",
    "http://evil.example#@169.254.169.254",
    "http://evil.example\\@169.254.169.254",
    "http://169.254.169.254:99999",
    "http://2852039166",
    "http://0xa9fea9fe",
    "http://0251.0376.0251.0376",
    "http://localhost.evil.example",
    "http://[fd00::1]",
    "http://0.0.0.0",
    "ftp://127.0.0.1",
    "//127.0.0.1",
    "127.0.0.1",
    "http://",
    "http://127.0.0.1/\r\nX: y",
    "http://127.0.0.1/ a",
    "",
]


@pytest.mark.parametrize("address", GOOD)
def test_this_machine_and_its_link_are_asked(address: str) -> None:
    assert check_address(address, "x") == address
    assert check_address(address, "x", secure=True) == address


@pytest.mark.parametrize("address", BAD)
def test_nobody_else_is(address: str) -> None:
    for secure in (False, True):
        with pytest.raises(CbrParameterError, match=r"loopback, link-local"):
            check_address(address, "x", secure=secure)


def test_https_is_good_enough_where_it_may_be() -> None:
    assert check_address("https://pod-identity.example.com/v1", "x", secure=True)
    with pytest.raises(CbrParameterError):
        check_address("https://pod-identity.example.com/v1", "metadata_endpoint")


def test_a_password_in_an_address_is_not_quoted() -> None:
    with pytest.raises(CbrParameterError) as caught:
        check_address("http://user:hunter2@evil.example", "x")
    assert "hunter2" not in str(caught.value)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"https?://[0-9A-Za-z.:@\[\]\\/#?%-]{0,40}", fullmatch=True)))
@example("http://169.254.169.254\t.evil.example")
def test_what_is_accepted_leads_where_it_says(text: str) -> None:
    try:
        check_address(text, "x")
    except CbrParameterError:
        return
    host = urlsplit(text).hostname or ""
    if host != "localhost":
        address = ipaddress.ip_address(host)
        assert address.is_loopback or address.is_link_local
    assert "@" not in text
    assert "\\" not in text
    assert text.isprintable()


def test_what_is_on_this_link() -> None:
    assert is_link_local("http://169.254.169.254/x")
    assert not is_link_local("http://127.0.0.1")
    assert not is_link_local("http://example.com")
    assert is_on_this_link("http://localhost")
