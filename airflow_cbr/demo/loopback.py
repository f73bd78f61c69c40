"""Everything of the demo stays on 127.0.0.1: ports, names, and the way past any proxy."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.waiting import DemoError
from airflow_cbr.languages import VARIABLE, translated

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HOST", "clean_environment", "free_port", "hostname", "reserve_port"]

HOST: Final = "127.0.0.1"


def hostname() -> str:
    """Return the name by which the components of the stack reach each other (``[core] hostname_callable``)."""
    return HOST


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def reserve_port(port: int) -> int:
    """Check that a server can listen on a port, before anything is started for it.

    :param port: the wanted port; 0 for any free one.
    :return: the port.
    :raises DemoError: it is taken, or not allowed.
    """
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        # As servers do: a port whose last connection has just been closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            said = translated(
                "port {port} of {host} cannot be used: {reason}; choose another with --port", port=port, host=HOST, reason=reason.lower()
            )
            raise DemoError(said) from error
    return port


def clean_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without anything that belongs to another Airflow, and without a proxy in the way to 127.0.0.1.

    The language that somebody has asked for stays.

    :param inherited: usually ``os.environ``; it may name somebody's production database.
    :return: a new dictionary.
    """
    environment = {name: value for name, value in inherited.items() if name == VARIABLE or not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name), HOST, "localhost")))
    return environment
