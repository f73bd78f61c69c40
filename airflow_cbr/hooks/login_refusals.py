"""Where the tasks of a deployment tell each other of refused credentials: Airflow's Variables.

Of what a task can read and write in every supported Airflow, only Variables are not bound to its Dag run. XComs are, the task state store
(Airflow 3.3) belongs to one task, and an asset's state to an asset that the Dag would have to name.
"""

from __future__ import annotations

from airflow_cbr.api import deployment

__all__ = ["PREFIX", "share_refusals"]

PREFIX = "airflow_cbr_sign_in_"
"""What the names of the Variables begin with."""

_DESCRIPTION = "Written by airflow-cbr: whether a login for CBR works, so that a wrong one is not tried by every task. May be deleted."


class VariableRegister:
    """A text in an Airflow Variable.

    :param key: its key.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def read(self) -> str | None:
        """Return the text, or None."""
        from airflow.sdk import Variable

        value = Variable.get(self._key, default=None)
        return value if isinstance(value, str) else None

    def write(self, text: str) -> None:
        """Replace the text."""
        from airflow.sdk import Variable

        Variable.set(self._key, text, description=_DESCRIPTION)


class VariableRegisters:
    """Airflow's Variables, as a store."""

    def register(self, name: str) -> VariableRegister:
        """Return the Variable of a name."""
        return VariableRegister(f"{PREFIX}{name}")


def _in_a_task() -> VariableRegisters | None:
    from airflow.sdk import get_current_context

    try:
        get_current_context()
    except RuntimeError:
        # The web server that tests a connection, a triggerer, a script.
        return None
    return VariableRegisters()


def share_refusals() -> None:
    """Let this process count refused credentials together with the whole deployment, whenever it runs a task."""
    deployment.share(_in_a_task)
