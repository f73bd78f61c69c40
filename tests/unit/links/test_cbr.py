"""Where the link of a task leads."""

from __future__ import annotations

import pytest

from airflow_cbr.links.cbr import console_url


@pytest.mark.parametrize(
    ("region", "cloud", "url"),
    [
        ("cn-north-4", "myhuaweicloud.com", "https://console.huaweicloud.com/cbr/?region=cn-north-4"),
        ("eu-west-101", "myhuaweicloud.eu", "https://console.huaweicloud.eu/cbr/?region=eu-west-101"),
        ("eu-de", "otc.t-systems.com", "https://console.otc.t-systems.com/cbr/?region=eu-de"),
    ],
)
def test_the_console_of_a_cloud_has_its_name_without_my(region: str, cloud: str, url: str) -> None:
    assert console_url(region, cloud) == url
