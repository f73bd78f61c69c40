"""The operators, under the name that Dags import them by; each has a module of its own."""

from __future__ import annotations

from airflow_cbr.operators.checkpoint import CbrCreateCheckpointOperator
from airflow_cbr.operators.preflight import CbrPreflightOperator
from airflow_cbr.operators.prune import CbrPruneOperator
from airflow_cbr.operators.replicate import CbrReplicateCheckpointOperator
from airflow_cbr.operators.replicate_backup import CbrReplicateBackupOperator
from airflow_cbr.operators.verify import CbrVerifyReplicationOperator

__all__ = [
    "CbrCreateCheckpointOperator",
    "CbrPreflightOperator",
    "CbrPruneOperator",
    "CbrReplicateBackupOperator",
    "CbrReplicateCheckpointOperator",
    "CbrVerifyReplicationOperator",
]
