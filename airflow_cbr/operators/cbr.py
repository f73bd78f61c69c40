"""The operators, under the name that Dags import them by; each has a module of its own."""

from __future__ import annotations

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
