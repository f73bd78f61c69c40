"""Nothing that is not a host label, a domain, an id or a plain endpoint gets into a URL."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.endpoints import SERVICES, Endpoints, Service, check_cloud, check_endpoint, is_loopback
from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.exceptions import CbrConfigurationError, CbrParameterError

CRAFTED: list[Any] = [
    "",
    " ",
    "evil/",
    "evil.example/",
    "x@evil",
    "x@evil/",
    "x:y@evil/",
    "#",
    "evil#",
    "evil?",
    "..",
    "../..",
    "a..b",
    "evil\\",
    "%2e%2e",
    "cn-north-4 ",
    " cn-north-4",
    "cn-north-4\n",
    "cn-north-4\r\nX-Evil: 1",
    "cn-north-4\x00",
    "\u0441n-north-4",
    "cn\u2010north-4",
    "\uff43n-north-4",
    "cn_north",
    "-cn",
    "cn-",
    "a" * 64,
    "[::1]",
    "x:80",
    "{region}",
    "{0.__class__}",
    None,
    4,
    b"cn-north-4",
    ["cn-north-4"],
]


@pytest.mark.parametrize("value", CRAFTED, ids=repr)
def test_crafted_regions_and_clouds_are_refused(value: object) -> None:
    with pytest.raises(CbrParameterError, match=r"^destination_region: ") as caught:
        check_region(value, "destination_region")
    assert caught.value.parameter == "destination_region"
    assert caught.value.permanent
    with pytest.raises(CbrParameterError, match=r"^cloud: "):
        check_cloud(value)


@pytest.mark.parametrize("value", [*CRAFTED, "a" * 31, "a" * 33, "g" * 32, "3b5816b5f29c-4172-9d9a-76c719a659ce-", "\u0661" * 32], ids=repr)
def test_crafted_ids_are_refused(value: object) -> None:
    with pytest.raises(CbrParameterError, match=r"^vault_id: "):
        check_id(value, "vault_id")


@pytest.mark.parametrize("value", ["cn-north-4", "eu-de", "region2", "a", "my-kualalumpur-1", "a" * 63])
def test_regions_are_accepted(value: str) -> None:
    assert check_region(value) == value


@pytest.mark.parametrize("value", ["myhuaweicloud.com", "otc.t-systems.com", "prod-cloud-ocb.orange-business.com", "internal"])
def test_clouds_are_accepted(value: str) -> None:
    assert check_cloud(value) == value


def test_a_cloud_longer_than_a_host_name_is_refused() -> None:
    with pytest.raises(CbrParameterError):
        check_cloud(".".join(["a" * 60] * 5))


@pytest.mark.parametrize("value", ["4229d7a45436489f8c3dc2b1d35d4987", "3b5816b5-f29c-4172-9d9a-76c719a659ce"])
def test_ids_are_accepted_and_written_like_the_service_writes_them(value: str) -> None:
    assert check_id(value, "x") == value
    assert check_id(value.upper(), "x") == value


@given(st.text(max_size=70))
def test_what_passes_as_a_region_is_one_host_label(text: str) -> None:
    try:
        check_region(text)
    except CbrParameterError:
        return
    assert urlsplit(Endpoints().url_of("cbr", text, home_region=text)).netloc == f"cbr.{text}.myhuaweicloud.com"
    assert text.isascii()
    assert not set(text) & set("./@#?:\\% \n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://cbr.example.com", "https://cbr.example.com"),
        ("https://cbr.example.com/", "https://cbr.example.com"),
        ("https://cbr.example.com/v3/", "https://cbr.example.com"),
        ("https://cbr.{region}.example.com:8443/prefix", "https://cbr.{region}.example.com:8443/prefix"),
        ("https://gateway.example.com/{region}/cbr", "https://gateway.example.com/{region}/cbr"),
        ("http://127.0.0.1:18090", "http://127.0.0.1:18090"),
        ("http://[::1]:18090", "http://[::1]:18090"),
        ("HTTPS://CBR.Example.com", "HTTPS://CBR.Example.com"),
    ],
)
def test_endpoints_are_accepted(value: str, expected: str) -> None:
    assert check_endpoint(value, "cbr_endpoint") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "cbr.example.com",
        "//cbr.example.com",
        "ftp://cbr.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@cbr.example.com",
        "https://user:word@cbr.example.com",
        "https://cbr.example.com@evil",
        "https://cbr.example.com?x=1",
        "https://cbr.example.com?",
        "https://cbr.example.com#x",
        "https://cbr.example.com#",
        "https://cbr.example.com/a/../b",
        "https://cbr.example.com/./b",
        "https://cbr.example.com//b",
        "https://cbr.example.com/%2e%2e",
        "https://cbr.example.com:99999",
        "https://cbr.example.com:",
        "https://cbr.example.com:8o",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://[:::]",
        "https://cbr.example.com ",
        "https://cbr.example.com\n",
        "https://cbr.exam ple.com",
        "https://cbr.example.com\\@evil",
        "https://cbr.b\u00fccher.example",
        "http\u017f://cbr.example.com",
        "https://cbr.\u212aey.example.com",
        "https://cbr.{project}.example.com",
        "https://cbr.{region.__class__}.example.com",
        "https://cbr.{}.example.com",
        "https://" + ".".join(["a" * 60] * 5),
        None,
        7,
    ],
    ids=repr,
)
def test_crafted_endpoints_are_refused(value: object) -> None:
    with pytest.raises(CbrParameterError, match=r"^iam_endpoint: "):
        check_endpoint(value, "iam_endpoint")


def test_a_password_in_a_refused_endpoint_is_not_shown() -> None:
    with pytest.raises(CbrParameterError) as caught:
        Endpoints(cbr="https://me:hunter2-secret@cbr.example.com")
    assert "hunter2" not in str(caught.value)


def test_a_long_refused_value_is_shortened() -> None:
    with pytest.raises(CbrParameterError) as caught:
        check_region("x" * 10_000)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.1", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://127.1", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_public_endpoints() -> None:
    assert {one.name for one in fields(Endpoints)} == {"cloud", *SERVICES}
    for service in SERVICES:
        url = Endpoints().url_of(service, "cn-north-4", home_region="cn-east-3")
        assert url == f"https://{service}.cn-north-4.myhuaweicloud.com"
    assert Endpoints(cloud="otc.t-systems.com").url_of("cbr", "eu-de", home_region="eu-de") == "https://cbr.eu-de.otc.t-systems.com"


def test_the_region_is_filled_into_an_endpoint() -> None:
    endpoints = Endpoints(cbr="https://cbr.{region}.example.com/{region}", iam="https://iam.example.com")
    assert endpoints.url_of("cbr", "eu-nl", home_region="eu-de") == "https://cbr.eu-nl.example.com/eu-nl"
    assert endpoints.url_of("iam", "eu-de", home_region="eu-de") == "https://iam.example.com"


@pytest.mark.parametrize("service", SERVICES)
def test_an_endpoint_of_one_region_is_refused_for_another(service: Service) -> None:
    endpoints = Endpoints(**{service: "https://one.example.com"})
    with pytest.raises(CbrConfigurationError, match=rf"{service}_endpoint .*eu-de.*eu-nl.*\{{region\}}"):
        endpoints.url_of(service, "eu-nl", home_region="eu-de")


def test_an_endpoint_on_this_machine_serves_every_region() -> None:
    endpoints = Endpoints(cbr="http://127.0.0.1:18090", iam="http://localhost:18090")
    assert endpoints.url_of("cbr", "eu-nl", home_region="eu-de") == "http://127.0.0.1:18090"
    assert endpoints.url_of("iam", "eu-nl", home_region="eu-de") == "http://localhost:18090"


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"cloud": "x@evil/"}, "cloud"),
        ({"cbr": "https://cbr.example.com#"}, "cbr_endpoint"),
        ({"iam": "https://x@evil"}, "iam_endpoint"),
    ],
)
def test_the_error_names_the_field(options: dict[str, str], parameter: str) -> None:
    with pytest.raises(CbrParameterError) as caught:
        Endpoints(**options)
    assert caught.value.parameter == parameter


def test_a_crafted_region_is_refused_before_a_url_is_made() -> None:
    with pytest.raises(CbrParameterError, match=r"home_region"):
        Endpoints().url_of("cbr", "eu-de", home_region="x@evil")
