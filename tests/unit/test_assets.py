"""Vaults as assets: one spelling for each vault, and nothing else under the scheme."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.assets import vault_asset
from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.get_provider_info import get_provider_info
from tests.support.python_process import run_python

REGION, PROJECT, VAULT = "cn-north-4", "4229d7a45436489f8c3dc2b1d35d4987", "3b5816b5-f29c-4172-9d9a-76c719a659ce"
URI = f"huaweicloud-cbr://{REGION}/{PROJECT}/{VAULT}"

regions = st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9][0-9]?", fullmatch=True)
ids = st.uuids().map(str) | st.uuids().map(lambda one: one.hex)


def test_a_vault_is_named_by_region_project_and_vault() -> None:
    asset = vault_asset(REGION, PROJECT, VAULT, extra={"owner": "ops"})

    assert (asset.name, asset.uri, asset.extra) == (URI, URI, {"owner": "ops"})


@given(region=regions, project_id=ids, vault_id=ids)
def test_a_vault_is_one_asset_however_its_ids_are_written(region: str, project_id: str, vault_id: str) -> None:
    asset = vault_asset(region, project_id, vault_id)

    assert asset == vault_asset(region.upper(), project_id.upper(), vault_id.upper())
    assert Asset(uri=asset.uri) == asset, "Airflow's own normalization changes nothing more"
    assert Asset(uri=asset.uri.upper().replace("HUAWEICLOUD", "huaweicloud") + "/").uri == asset.uri


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"region": "cn-north-4/evil"}, "region"),
        ({"region": "x@evil"}, "region"),
        ({"region": "cn-north-4:80"}, "region"),
        ({"region": None}, "region"),
        ({"project_id": "../.."}, "project_id"),
        ({"project_id": ""}, "project_id"),
        ({"vault_id": "None"}, "vault_id"),
        ({"vault_id": f"{VAULT}?x=1"}, "vault_id"),
        ({"vault_id": f"{VAULT}#x"}, "vault_id"),
        ({"vault_id": "{{ params.vault_id }}"}, "vault_id"),
        ({"vault_id": 5}, "vault_id"),
    ],
)
def test_what_cannot_be_a_vault_is_refused_by_name(changes: dict[str, Any], blamed: str) -> None:
    with pytest.raises(CbrParameterError, match=f"^{blamed}: "):
        vault_asset(**{"region": REGION, "project_id": PROJECT, "vault_id": VAULT, **changes})


@pytest.mark.parametrize(
    "uri",
    [
        "huaweicloud-cbr://",
        f"huaweicloud-cbr://{REGION}",
        f"huaweicloud-cbr://{REGION}/{PROJECT}",
        f"huaweicloud-cbr://{REGION}/{VAULT}/{PROJECT}/{VAULT}",
        f"huaweicloud-cbr:///{PROJECT}/{VAULT}",
        f"huaweicloud-cbr://me@{REGION}/{PROJECT}/{VAULT}",
        f"huaweicloud-cbr://{REGION}//{PROJECT}/{VAULT}",
        f"huaweicloud-cbr://{REGION}/{PROJECT}/my-vault",
        f"{URI}?version=1",
        f"huaweicloud-cbr:{REGION}/{PROJECT}/{VAULT}",
    ],
)
def test_airflow_refuses_any_other_uri_of_the_scheme(uri: str) -> None:
    with pytest.raises(ValueError, match=r"vault|region|project"):
        Asset(uri=uri)


@given(text=st.text(max_size=120))
def test_whatever_stands_in_a_uri_is_a_vault_or_a_value_error(text: str) -> None:
    try:
        asset = Asset(uri=f"huaweicloud-cbr://{text}")
    except ValueError:
        return
    assert re.fullmatch(r"huaweicloud-cbr://[a-z0-9-]+/[0-9a-f-]+/[0-9a-f-]+", asset.uri)


def test_the_scheme_is_registered_with_all_that_airflow_asks_for() -> None:
    (registered,) = get_provider_info()["asset-uris"]

    assert registered == {
        "schemes": ["huaweicloud-cbr"],
        "handler": "airflow_cbr.assets.sanitize_uri",
        "factory": "airflow_cbr.assets.vault_asset",
        "to_openlineage_converter": "airflow_cbr.assets.openlineage_dataset",
    }


def test_airflow_finds_the_handler_the_factory_and_the_converter() -> None:
    from airflow.providers_manager import ProvidersManager

    from airflow_cbr import assets

    manager = ProvidersManager()

    assert manager.asset_uri_handlers["huaweicloud-cbr"] is assets.sanitize_uri
    assert manager.asset_factories["huaweicloud-cbr"] is assets.vault_asset
    assert manager.asset_to_openlineage_converters["huaweicloud-cbr"] is assets.openlineage_dataset


@pytest.mark.campaign
def test_an_asset_in_a_dag_file_loads_little() -> None:
    loaded = run_python(
        "-c",
        "import sys, airflow.sdk\nfrom airflow.sdk import Asset\nbefore = set(sys.modules)\n"
        f"import airflow_cbr.assets as assets\nassets.vault_asset({REGION!r}, {PROJECT!r}, {VAULT!r})\n"
        "print(*(name for name in sys.modules.keys() - before if name.split('.')[0] in "
        "{'airflow_cbr', 'requests', 'openlineage', 'msgspec', 'tenacity'}))",
    )

    assert set(loaded.split()) <= {
        "airflow_cbr",
        "airflow_cbr.assets",
        "airflow_cbr.api",
        "airflow_cbr.api.ids",
        "airflow_cbr.exceptions",
        "airflow_cbr.get_provider_info",
    }
