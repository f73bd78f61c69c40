"""The processes behind a stack: which one runs a task, and what is left of a program that has ended."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from airflow_cbr.demo.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cbr.demo.components import Component
    from airflow_cbr.demo.stack import AirflowStack


def restart_what_died(stack: AirflowStack) -> None:
    """Do what a service manager does: start again what has ended though nobody stopped it.

    :param stack: the stack.
    """
    for component in list(stack.components.values()):
        if component.expected_to_run:
            _restart_if_dead(component)


def restart_scheduler_where_it_died(stack: AirflowStack) -> None:
    """Do what a service manager does: a clear can crash Airflow's scheduler.

    Clearing a task whose process has just died writes the same row of the task's history as the scheduler, which handles that death: one of
    the two meets ``IntegrityError: UNIQUE constraint failed: task_instance_history...`` (seen on 3.3.2) or ``StaleDataError`` (3.1.8).

    :param stack: the stack.
    """
    _restart_if_dead(stack.components["scheduler"])


def _restart_if_dead(component: Component) -> None:
    if component.exit_code is not None:
        component.kill()
        component.start()


def task_process(stack: AirflowStack, task: dict[str, Any], *, limit: float = 30) -> int:
    """Return the id of the process that runs a task instance, as soon as there is one.

    :param stack: the stack; its scheduler's LocalExecutor runs the tasks.
    :param task: row of the task instance: its ``id`` is in the title of the process.
    """
    title = f"airflow worker -- {task['id']}"
    scheduler = stack.components["scheduler"]

    def find() -> int | None:
        return next((pid for pid in scheduler.members() if title in _title(pid)), None)

    return wait_until(find, limit=limit, what=f"a process runs {task['task_id']}", check=stack.check)


def kill_task(stack: AirflowStack, task: dict[str, Any]) -> None:
    """Kill the process that runs a task instance with SIGKILL; its supervisor notices, and Airflow retries it."""
    pid = task_process(stack, task)
    os.kill(pid, signal.SIGKILL)


def triggerers(stack: AirflowStack) -> list[Component]:
    """Return the triggerers that run, the oldest first."""
    return running(stack, "triggerer-")


def running(stack: AirflowStack, prefix: str) -> list[Component]:
    """Return the components of a kind that run, the oldest first.

    :param stack: the stack.
    :param prefix: how their names begin.
    """
    return [component for name, component in stack.components.items() if name.startswith(prefix) and component.exit_code is None]


@contextmanager
def frozen(component: Component) -> Iterator[None]:
    """Stop a component's own process while the block runs, as when it starves: its heartbeat is lost, and what it has started goes on."""
    component.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        component.signal(signal.SIGCONT)


def connections_to(component: Component, url: str) -> int:
    """Return how many connections the processes of a component keep open to a server."""
    port = urlsplit(url).port
    return sum(
        bool(connection.raddr) and connection.raddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        for pid in component.members()
        for connection in psutil.Process(pid).net_connections(kind="tcp")
    )


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it has started, so far."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def living(processes: list[psutil.Process]) -> list[str]:
    """Return the command lines of those processes that still run."""
    return [" ".join(process.cmdline()) for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""
