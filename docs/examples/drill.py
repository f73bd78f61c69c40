from __future__ import annotations

import socket
import urllib.request
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, task

from airflow_cbr.operators.cbr import CbrEndRestoreDrillOperator, CbrNameRestoreDrillOperator, CbrStartRestoreDrillOperator


@task
def ssh_answers(drill: dict[str, Any], port: int = 22) -> str:
    """SSH: the daemon of the restored server says who it is. To log in, use SSHOperator with remote_host=start.output["private_ip"]."""
    with socket.create_connection((drill["private_ip"], port), timeout=60) as connection:
        connection.settimeout(60)
        banner = connection.recv(255).decode(errors="replace").strip()
    if not banner.startswith("SSH-"):
        raise ValueError(f"{drill['private_ip']} does not speak SSH: {banner!r}")
    return banner


@task
def page_is_served(drill: dict[str, Any], path: str = "/health", port: int = 80, expected: str = "ok") -> int:
    """HTTP: the application answers, and says what it must."""
    with urllib.request.urlopen(f"http://{drill['private_ip']}:{port}{path}", timeout=60) as answer:
        body = answer.read(65536).decode(errors="replace")
    if expected not in body:
        raise ValueError(f"{path} does not say {expected!r}")
    return len(body)


@task
def rows_are_there(drill: dict[str, Any], url: str, query: str, at_least: int) -> int:
    """SQL: the data is there, not only the database. `url` is SQLAlchemy's, with {ip} where the address belongs."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.format(ip=drill["private_ip"]))
    with engine.connect() as connection:
        found = int(connection.execute(sqlalchemy.text(query)).scalar_one())
    if found < at_least:
        raise ValueError(f"{query!r} finds {found}, fewer than {at_least}")
    return found


THERE = {"destination_region": "cn-shenzhen-1", "destination_project_id": "68589cac08274b82b4e254268a3862d8"}

with DAG(dag_id="cbr_drill_by_hand", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    name = CbrNameRestoreDrillOperator(task_id="name", start_task_id="start")
    start = CbrStartRestoreDrillOperator(
        task_id="start",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        resource_id="94eba8b2-acc9-4d82-badc-127144cc5526",
        flavor="s6.large.2",
        vpc_id="2a1f3c4d-77f1-4a0e-8a2b-5f0d0b6f1e11",
        subnet_id="5d6c1b7e-3e0d-4b55-9b0c-8d3b7e5a9c22",
        security_group_ids=["f0e1d2c3-b4a5-4687-9a8b-7c6d5e4f3a33"],
        deferrable=True,
        **THERE,
    )
    end = CbrEndRestoreDrillOperator(task_id="end", start_task_id="start", deferrable=True, **THERE)

    url = "postgresql+psycopg2://drill@{ip}/shop"
    checks = [
        ssh_answers(start.output),
        page_is_served(start.output),
        rows_are_there(start.output, url, query="SELECT count(*) FROM orders", at_least=1),
    ]
    name >> start >> checks >> end
    # Both are setups: a teardown runs only where one of its setups has succeeded, and the first one always does.
    end.as_teardown(setups=[name, start], on_failure_fail_dagrun=True)
