"""Vaults as assets of Airflow: their URI, and what other parts of Airflow ask about it.

Every process that reads a Dag file with such an asset imports this module, so it loads nothing but what checks ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset

from airflow_cbr.api.ids import check_id, check_region

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from openlineage.client.event_v2 import Dataset

__all__ = ["SCHEME", "dataset_of", "openlineage_dataset", "sanitize_uri", "vault_asset"]

SCHEME: Final = "huaweicloud-cbr"


def vault_asset(region: str, project_id: str, vault_id: str, *, extra: dict[str, Any] | None = None) -> Asset:
    """Return a vault as an asset, with the URI ``huaweicloud-cbr://{region}/{project_id}/{vault_id}``.

    The same vault is the same asset, whether its ids are written in capitals or not.

    :param region: region id, for example ``cn-shenzhen-1``.
    :param project_id: project in that region.
    :param vault_id: vault in that project.
    :param extra: the asset's own extra. Default: none.
    :raises CbrParameterError: when the region or an id cannot be right.
    """
    parts = check_region(region), check_id(project_id, "project_id"), check_id(vault_id, "vault_id")
    return Asset(uri=f"{SCHEME}://{'/'.join(parts).lower()}", extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a vault's URI in its one spelling; Airflow calls this for every asset with this scheme.

    :param uri: the URI, split.
    :raises ValueError: when it does not name a region, a project and a vault, and nothing else.
    """
    shape = f"{SCHEME}://{{region}}/{{project_id}}/{{vault_id}}"
    nothing, *ids = uri.path.split("/")
    if nothing or len(ids) != 2 or uri.query:
        raise ValueError(f"The URI of a vault is {shape}, not {uri.geturl()!r}.")
    check_region(uri.netloc)
    check_id(ids[0], "project_id")
    check_id(ids[1], "vault_id")
    return uri._replace(netloc=uri.netloc.lower(), path=uri.path.lower())


def dataset_of(region: str, project_id: str, vault_id: str) -> tuple[str, str]:
    """Return the namespace and the name of a vault in OpenLineage.

    :param region: region id.
    :param project_id: project in that region.
    :param vault_id: vault in that project.
    """
    return f"{SCHEME}://{region.lower()}", f"{project_id}/{vault_id}".lower()


def openlineage_dataset(asset: Asset, lineage_context: Any) -> Dataset:
    """Return a vault's asset as a dataset of OpenLineage, which calls this for inlets and outlets.

    :param asset: the asset, with a URI that :func:`sanitize_uri` has passed.
    :param lineage_context: who asks; not needed.
    """
    from urllib.parse import urlsplit

    from openlineage.client.event_v2 import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(*dataset_of(uri.netloc, *uri.path.strip("/").split("/")))
