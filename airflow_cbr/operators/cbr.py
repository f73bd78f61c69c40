"""The operators, under the name that Dags import them by; each has a module of its own, which is imported when its name is asked for.

The Dag processor imports this module for every Dag file, again and again. So a file pays for the operators that it names, and not for the
others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_cbr.operators.checkpoint import CbrCreateCheckpointOperator
    from airflow_cbr.operators.drill_end import CbrEndRestoreDrillOperator
    from airflow_cbr.operators.drill_group import restore_drills
    from airflow_cbr.operators.drill_name import CbrNameRestoreDrillOperator
    from airflow_cbr.operators.drill_plan import CbrPlanRestoreDrillsOperator
    from airflow_cbr.operators.drill_start import CbrStartRestoreDrillOperator
    from airflow_cbr.operators.drill_sweep import CbrSweepRestoreDrillsOperator
    from airflow_cbr.operators.preflight import CbrPreflightOperator
    from airflow_cbr.operators.prune import CbrPruneOperator
    from airflow_cbr.operators.replicate import CbrReplicateCheckpointOperator
    from airflow_cbr.operators.replicate_backup import CbrReplicateBackupOperator
    from airflow_cbr.operators.verify import CbrVerifyReplicationOperator

__all__ = [
    "CbrCreateCheckpointOperator",
    "CbrEndRestoreDrillOperator",
    "CbrNameRestoreDrillOperator",
    "CbrPlanRestoreDrillsOperator",
    "CbrPreflightOperator",
    "CbrPruneOperator",
    "CbrReplicateBackupOperator",
    "CbrReplicateCheckpointOperator",
    "CbrStartRestoreDrillOperator",
    "CbrSweepRestoreDrillsOperator",
    "CbrVerifyReplicationOperator",
    "restore_drills",
]

# Type checkers read the imports above, and would take every name for one that exists if they saw this.
if not TYPE_CHECKING:
    _MODULES = {
        "CbrCreateCheckpointOperator": "checkpoint",
        "CbrEndRestoreDrillOperator": "drill_end",
        "CbrNameRestoreDrillOperator": "drill_name",
        "CbrPlanRestoreDrillsOperator": "drill_plan",
        "CbrPreflightOperator": "preflight",
        "CbrPruneOperator": "prune",
        "CbrReplicateBackupOperator": "replicate_backup",
        "CbrReplicateCheckpointOperator": "replicate",
        "CbrStartRestoreDrillOperator": "drill_start",
        "CbrSweepRestoreDrillsOperator": "drill_sweep",
        "CbrVerifyReplicationOperator": "verify",
        "restore_drills": "drill_group",
    }

    def __getattr__(name):
        """Import an operator from its module, once."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        operator = getattr(import_module(f"airflow_cbr.operators.{_MODULES[name]}"), name)
        globals()[name] = operator
        return operator

    def __dir__():
        """Return the names that are there, and those that would be if they were asked for."""
        return sorted({*globals(), *__all__})
