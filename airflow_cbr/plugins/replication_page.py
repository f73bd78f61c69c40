"""The plugin that brings the page "CBR replication" into Airflow's navigation.

Every Airflow process loads it, so it imports nothing that is not loaded anyway, and reads no file before somebody opens the page.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_cbr.plugins.static_files import StaticFiles

__all__ = ["PREFIX", "CbrReplicationPagePlugin"]

PREFIX = "/cbr-replication"

# Airflow's own page resolves what is relative against the path of `[api] base_url`.
_HREF = f"{PREFIX[1:]}/"


class CbrReplicationPagePlugin(AirflowPlugin):
    """The page, as a view inside Airflow's frame, and the application that serves its files."""

    name = "airflow_cbr"
    fastapi_apps = [{"name": "CBR replication", "app": StaticFiles(PREFIX), "url_prefix": PREFIX}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "CBR replication",
            "href": _HREF,
            "destination": "nav",
            "url_route": PREFIX[1:],
            "icon": f"{_HREF}icon.svg",
            # Airflow 3.3 and newer; older ones ignore it.
            "nav_top_level": True,
        }
    ]
