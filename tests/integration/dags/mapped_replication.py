"""Dags that map the operators: over vaults, and over the record ids of one replication."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_cbr.emulator.world import DESTINATION_PROJECT, DESTINATION_VAULT, SOURCE_VAULT
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator, CbrVerifyReplicationOperator

SECOND_VAULT = "00000000-0000-4000-8000-0000000000aa"
TO = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": DESTINATION_PROJECT,
    "destination_vault_id": DESTINATION_VAULT,
}

with DAG("mapped_over_vaults", schedule=None, default_args=TO) as over_vaults:
    replicate_each = CbrReplicateCheckpointOperator.partial(task_id="replicate", poll_interval=0.1, max_poll_interval=0.2).expand(
        vault_id=[SOURCE_VAULT, SECOND_VAULT]
    )
    verify_each = CbrVerifyReplicationOperator.partial(task_id="verify").expand_kwargs(
        [{"vault_id": vault_id, "replication_record_ids": []} for vault_id in (SOURCE_VAULT, SECOND_VAULT)]
    )
    replicate_each >> verify_each

with DAG("mapped_over_records", schedule=None, default_args=TO | {"vault_id": SOURCE_VAULT}) as over_records:
    replicate = CbrReplicateCheckpointOperator(task_id="replicate", poll_interval=0.1, max_poll_interval=0.2)  # type: ignore[call-arg]
    CbrVerifyReplicationOperator.partial(task_id="verify").expand(replication_record_ids=replicate.output)
