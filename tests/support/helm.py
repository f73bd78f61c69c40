"""The official Helm chart of Apache Airflow, rendered by helm without a cluster."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RELEASE", "Chart"]

#: The name that the docs install it by.
RELEASE: Final = "airflow"


class Chart:
    """A chart, as helm takes it: a folder, or an archive that ``helm pull`` has fetched.

    :param path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def render(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the objects that it makes of values, which helm checks against the chart's schema."""
        output = self._helm(["template", RELEASE, str(self._path)], values)
        return [one for one in yaml.safe_load_all(output) if one]

    def notes(self, values: dict[str, Any]) -> str:
        """Return what it tells who installs it: which values it will not take for much longer, too."""
        return self._helm(["install", RELEASE, str(self._path), "--dry-run=client"], values).partition("\nNOTES:\n")[2]

    def _helm(self, arguments: list[str], values: dict[str, Any]) -> str:
        command = ["helm", *arguments, "--namespace", RELEASE, "--values", "-"]
        text: str = yaml.safe_dump(values)
        run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        return run.stdout
