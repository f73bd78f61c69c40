"""What the demo replicates: the emulator's default world, seen from Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import airflow_cbr
from airflow_cbr.demo.waiting import DemoError
from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_PROJECT, SOURCE_VAULT, default_world
from airflow_cbr.languages import translated

__all__ = ["CONN_ID", "CONN_TYPE", "DAG_FILE", "DAG_ID", "Auth", "connection_fields", "connection_variable", "example_dags", "params"]

Auth = Literal["aksk", "password"]

CONN_ID: Final = "huaweicloud_cbr_default"
CONN_TYPE: Final = "huaweicloud_cbr"
DAG_ID: Final = "cbr_nightly_replication"
DAG_FILE: Final = f"{DAG_ID}.py"
SOURCE_REGION: Final = "cn-north-4"
DESTINATION_REGION: Final = "cn-shenzhen-1"


def example_dags() -> Path:
    """Return the folder of the example Dags: in a wheel they are part of the package, in a checkout they lie beside it.

    :raises DemoError: neither is there.
    """
    package = Path(airflow_cbr.__file__).resolve().parent
    candidates = [package / "example_dags", package.parent / "dags"]
    for folder in candidates:
        if (folder / DAG_FILE).is_file():
            return folder
    said = translated(
        "the example Dag {file} is in neither {folder} nor {other}; run the demo from a checkout",
        file=DAG_FILE,
        folder=candidates[0],
        other=candidates[1],
    )
    raise DemoError(said)


def params() -> dict[str, str]:
    """Return the example Dag's params for the default world."""
    return {
        "vault_id": SOURCE_VAULT,
        "destination_region": DESTINATION_REGION,
        "destination_project_id": DESTINATION_PROJECT,
        "destination_vault_id": DESTINATION_VAULT,
    }


def connection_fields(auth: Auth, endpoint: str) -> dict[str, Any]:
    """Return the fields of the Airflow connection to the emulator.

    The port means nothing, and is stored because Airflow's page cannot test a connection without one (3.3.2).

    :param auth: ``aksk`` (signed requests) or ``password`` (IAM token).
    :param endpoint: address of the emulator.
    """
    world = default_world()
    user = world.users[0]
    extra = {"region": SOURCE_REGION, "project_id": SOURCE_PROJECT, "cbr_endpoint": endpoint, "iam_endpoint": endpoint}
    if auth == "aksk":
        return {"login": user.access_key, "password": user.secret_key, "port": 0, "extra": extra}
    return {
        "login": user.name,
        "password": user.password,
        "port": 0,
        "extra": {"auth_type": "password", "domain_name": world.account, **extra},
    }


def connection_variable(auth: Auth, endpoint: str) -> dict[str, str]:
    """Return the environment variable that defines the connection.

    :param auth: ``aksk`` or ``password``.
    :param endpoint: address of the emulator.
    """
    return {f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps({"conn_type": CONN_TYPE, **connection_fields(auth, endpoint)})}
