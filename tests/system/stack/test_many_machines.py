"""A wrong password in many tasks, each on a machine of its own: the deployment is refused once, and a corrected one works at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields
from tests.support.airflow_batches import connection
from tests.support.airflow_rest import trigger
from tests.support.emulator import EmulatorServer

if TYPE_CHECKING:
    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth

# As long as many other cases together.
pytestmark = pytest.mark.full

MACHINES = 24
WRONG = "a-secret-that-nobody-has"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("auth", ["password", "aksk"])
def test_a_wrong_secret_is_tried_once_by_the_whole_deployment(api: AirflowApi, auth: Auth) -> None:
    conn_id = f"cbr_wrong_{auth}"
    with EmulatorServer() as emulator:
        fields = connection_fields(auth, emulator.url)
        login = fields["login"]
        with connection(api, conn_id, emulator.url, auth=auth, who=(login, WRONG)):
            run = trigger(api, "many_machines", {"machines": MACHINES, "cbr_conn_id": conn_id})
            assert run.wait(limit=400) == "failed"
            tasks = [row for row in run.tasks() if row["task_id"] == "sign_in"]
            assert [row["state"] for row in tasks] == ["failed"] * MACHINES
            requests = emulator.control.requests()
            assert requests.get("KeystoneCreateUserTokenByPassword", 0) + requests.get("ListVault", 0) == 1, requests
            texts = ["\n".join(run.errors("sign_in", map_index=place)) for place in range(MACHINES)]
            heard = [text for text in texts if "No task of this deployment tries it again" in text]
            assert len(heard) == MACHINES - 1

            api.request("DELETE", f"connections/{conn_id}")
            api.create_connection(conn_id, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})
            run.clear("sign_in")
            assert run.wait(limit=400) == "success"
