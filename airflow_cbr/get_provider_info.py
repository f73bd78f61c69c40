"""What Airflow learns about this provider without importing it."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata; see Airflow's provider_info.schema.json."""
    return {
        "package-name": "airflow-cbr",
        "name": "Huawei Cloud CBR",
        "description": "Huawei Cloud CBR (Cloud Backup and Recovery).",
    }
