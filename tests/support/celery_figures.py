"""What a night on Celery costs: memory, connections, rows, requests; printed at the end of a run, for the page of benchmarks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2

from tests.support.airflow_processes import connections_to, triggerers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.celery_stack import CeleryStack

__all__ = ["Figures", "database_connections", "largest_rows", "triggerer_memory"]

#: What a row is made of by this package or for it: a name, and the expression of its size.
_ROWS = {
    "XCom": ("xcom", "value::text"),
    "trigger (encrypted kwargs)": ("trigger", "kwargs"),
    "task instance, next_kwargs": ("task_instance", "next_kwargs::text"),
    "task state": ("task_state_store", "value"),
}


class Figures:
    """Lines that a run prints at its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, what: str, value: str) -> None:
        """Add a line."""
        self.lines.append(f"  {what:<56}{value}")


def triggerer_memory(stack: CeleryStack) -> int:
    """Return the bytes that all processes of the triggerers have for themselves."""
    total = 0
    for pid in [pid for triggerer in triggerers(stack) for pid in triggerer.members()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += psutil.Process(pid).memory_full_info().uss
    return total


def database_connections(stack: CeleryStack) -> dict[str, int]:
    """Return how many connections to PostgreSQL each part of Airflow keeps open."""
    url = f"postgresql://127.0.0.1:{stack.postgresql.port}"
    counted = {}
    for name, component in stack.components.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            if number := connections_to(component, url):
                counted[name] = number
    return counted


def largest_rows(stack: CeleryStack) -> dict[str, tuple[int, int]]:
    """Return the size of the largest row of each kind in bytes, before compression, and how many rows there are."""
    with _cursor(stack) as cursor:
        found = {}
        for name, (table, column) in _ROWS.items():
            cursor.execute(f"SELECT coalesce(max(octet_length({column})), 0), count({column}) FROM {table}")
            largest, rows = cursor.fetchone()
            found[name] = (int(largest), int(rows))
        return found


@contextlib.contextmanager
def _cursor(stack: CeleryStack) -> Iterator[Any]:
    address = stack.postgresql.address.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        yield cursor
