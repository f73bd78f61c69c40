"""The mark of a drill: in the names of its image and its server, and in their tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_cbr.once.marks import mark_of

if TYPE_CHECKING:
    from airflow_cbr.api.machine_models import Image, Server

__all__ = ["DagMark", "DrillMark", "Owner"]

_PREFIX: Final = "cbr-drill"
_DAG_LENGTH: Final = 12
_TAG: Final = "cbr-drill"


@dataclass(frozen=True, slots=True)
class DrillMark:
    """What one drill's image and server are called.

    :param dag: digest of the Dag.
    :param drill: digest of Dag, run, task and map index.
    """

    dag: str
    drill: str

    @classmethod
    def of(cls, dag_id: str, run_id: str, task_id: str, map_index: int) -> DrillMark:
        """Return the mark of a drill.

        :param dag_id: its Dag.
        :param run_id: the Dag run.
        :param task_id: the task that starts it.
        :param map_index: that task's map index; -1 when it is not mapped.
        """
        return cls(DagMark.of(dag_id).dag, mark_of(dag_id, run_id, task_id, map_index))

    @property
    def name(self) -> str:
        """Return the name of its image and its server; nothing else has it."""
        return f"{_PREFIX}-{self.dag}-{self.drill}"

    @property
    def search(self) -> str:
        """Return what is searched for among servers."""
        return self.name

    @property
    def image_name(self) -> str | None:
        """Return the one name that its image has."""
        return self.name

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags of its image and its server."""
        return {_TAG: self.drill, f"{_TAG}-dag": self.dag}

    def owns(self, thing: Image | Server) -> bool:
        """Return whether an image or a server carries the mark.

        :param thing: as the service lists it, whatever it was asked for.
        """
        return thing.name == self.name and _tag_of(thing) in (None, self.drill)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True, slots=True)
class DagMark:
    """What the images and servers of all drills of a Dag have in common.

    :param dag: digest of the Dag.
    """

    dag: str

    @classmethod
    def of(cls, dag_id: str) -> DagMark:
        """Return the mark of a Dag.

        :param dag_id: the Dag.
        """
        return cls(mark_of(dag_id)[:_DAG_LENGTH])

    @property
    def search(self) -> str:
        """Return what is searched for among servers."""
        return f"{_PREFIX}-{self.dag}-"

    @property
    def image_name(self) -> str | None:
        """Return None: images are not searched by the beginning of a name."""
        return None

    def owns(self, thing: Image | Server) -> bool:
        """Return whether an image or a server carries the mark.

        :param thing: as the service lists it, whatever it was asked for.
        """
        found = re.fullmatch(rf"{_PREFIX}-{self.dag}-([0-9a-f]{{16}})", thing.name or "")
        return found is not None and _tag_of(thing) in (None, found[1])

    def __str__(self) -> str:
        """Return how the names begin."""
        return f"{self.search}*"


Owner = DrillMark | DagMark
"""Whose images and servers are meant: those of one drill, or of all drills of a Dag."""


def _tag_of(thing: Image | Server) -> str | None:
    """Return the mark in the tags, or None where tags are not listed; servers write ``key=value``, images ``key.value``."""
    for tag in thing.tags or ():
        for separator in "=.":
            if tag.startswith(f"{_TAG}{separator}"):
                return tag[len(_TAG) + 1 :]
    return None
