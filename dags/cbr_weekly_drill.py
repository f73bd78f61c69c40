"""A weekly restore drill: three random servers are restored from their replicas, checked, and removed again.

1. `plan` verifies the replicas at the destination, chooses three resources at random (the same ones in every attempt of this run), and
   looks whether their servers can be started: quotas, flavor, and by a dry run the network. Nothing is made yet.
2. For each of them, two at a time:
   - `start` makes an image of the newest verified replica, and a server of it without a public address, and waits until it is active.
   - `check` asks the server whether the service on it answers. Put your own checks here: SSH, HTTP, SQL.
   - `end` deletes server, disks and image whatever happened, and records the verdict with the time that the recovery took.
3. `sweep` says what drills of this Dag have left behind in earlier weeks, if anything. With `plan_only=False` it removes that.

All of them wait deferred. The VPC must be one from which nothing that is restored can reach anything that is in use: a restored server
wakes up as the original did, with its jobs, its addresses of others and its passwords.

To run it against your own vaults, set the connection `huaweicloud_cbr_default` and the params, and write your own `check`.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_cbr.operators.cbr import CbrSweepRestoreDrillsOperator, restore_drills

# The form of an id, and of a region's, as the service writes them.
ID = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
REGION = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

with DAG(
    dag_id="cbr_weekly_drill",
    dag_display_name="CBR: restore three random servers, and remove them",
    doc_md=__doc__,
    description="Restore three random servers of a CBR vault in another region, check them, and remove them again.",
    schedule="0 6 * * 0",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "backup",
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "cbr_conn_id": "huaweicloud_cbr_default",
    },
    # Change these for your vaults and your network; one run may be given others in the form of "Trigger Dag".
    params={
        "vault_id": Param(
            "3b5816b5-f29c-4172-9d9a-76c719a659ce", type="string", title="Source vault", pattern=ID, description="Source vault."
        ),
        "destination_region": Param(
            "cn-shenzhen-1", type="string", title="Destination region", pattern=REGION, description="Region id of the replicas."
        ),
        "destination_project_id": Param(
            "68589cac08274b82b4e254268a3862d8",
            type="string",
            title="Destination project",
            pattern=ID,
            description="Project in that region.",
        ),
        "destination_vault_id": Param(
            "0ca3eb86-8800-46da-9c37-9d657a825274",
            type="string",
            title="Destination vault",
            pattern=ID,
            description="Replication vault there.",
        ),
        "flavor": Param("s6.large.2", type="string", title="Flavor", pattern="^[A-Za-z0-9._-]+$", description="Flavor of the servers."),
        "vpc_id": Param("2a1f3c4d-77f1-4a0e-8a2b-5f0d0b6f1e11", type="string", title="VPC", pattern=ID, description="An isolated VPC."),
        "subnet_id": Param(
            "5d6c1b7e-3e0d-4b55-9b0c-8d3b7e5a9c22", type="string", title="Subnet", pattern=ID, description="A subnet in it."
        ),
        "security_group_id": Param(
            "f0e1d2c3-b4a5-4687-9a8b-7c6d5e4f3a33",
            type="string",
            title="Security group",
            pattern=ID,
            description="Lets in the checks alone.",
        ),
        "port": Param(22, type="integer", title="Port", description="Where a restored server must answer."),
    },
    tags=["backup", "cbr", "cbr:drill"],
) as dag:

    @task(doc_md="Whether something listens on the restored server.")
    def answers(drill: Any, port: Any) -> str:
        """Connect to the server, and return what it says first."""
        with socket.create_connection((drill["private_ip"], int(port)), timeout=60) as connection:
            connection.settimeout(60)
            return connection.recv(80).decode(errors="replace").strip()

    verdicts = restore_drills(
        check=lambda started: answers(started, "{{ params.port }}"),
        sample=3,
        at_once=2,
        # The promise to the business: back within four hours.
        max_duration=timedelta(hours=4),
        vault_id="{{ params.vault_id }}",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        destination_vault_id="{{ params.destination_vault_id }}",
        flavor="{{ params.flavor }}",
        vpc_id="{{ params.vpc_id }}",
        subnet_id="{{ params.subnet_id }}",
        security_group_ids=["{{ params.security_group_id }}"],
        terminate_after=timedelta(hours=6),
        deferrable=True,
    )

    sweep = CbrSweepRestoreDrillsOperator(
        task_id="sweep",
        doc_md="What earlier drills have left behind. Says it, and deletes nothing.",
        destination_region="{{ params.destination_region }}",
        destination_project_id="{{ params.destination_project_id }}",
        plan_only=True,
    )
