"""Puts the example Dags into the wheel, so that ``airflow-cbr demo`` works where the package was installed without its sources."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ExampleDags(BuildHookInterface):  # type: ignore[type-arg]
    """Copies ``dags`` to ``airflow_cbr/example_dags`` in wheels; an editable install reads them where they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder to what the builder includes.

        :param version: ``standard`` or ``editable``.
        :param build_data: the builder's settings, changed in place.
        """
        if version == "standard":
            build_data["force_include"]["dags"] = "airflow_cbr/example_dags"
