"""A wrong secret in many tasks of a real Airflow, each of them as if on a machine of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields
from tests.support.airflow_batches import connection
from tests.support.airflow_rest import trigger
from tests.support.emulator import EmulatorServer

if TYPE_CHECKING:
    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth

__all__ = ["check_that_a_wrong_secret_is_tried_once"]

_WRONG: Final = "a-secret-that-nobody-has"


def check_that_a_wrong_secret_is_tried_once(api: AirflowApi, auth: Auth, machines: int, *, limit: float = 400) -> None:
    """Let many tasks sign in with a wrong secret, correct it, and let them do it again.

    :param api: an Airflow that has the Dag ``many_machines``.
    :param auth: how they sign in.
    :param machines: how many tasks.
    :param limit: seconds for each of the two runs. Default: 400.
    """
    conn_id = f"cbr_wrong_{auth}"
    with EmulatorServer() as emulator:
        fields = connection_fields(auth, emulator.url)
        with connection(api, conn_id, emulator.url, auth=auth, who=(fields["login"], _WRONG)):
            run = trigger(api, "many_machines", {"machines": machines, "cbr_conn_id": conn_id})
            assert run.wait(limit=limit) == "failed"
            tasks = [row for row in run.tasks() if row["task_id"] == "sign_in"]
            assert [row["state"] for row in tasks] == ["failed"] * machines
            requests = emulator.control.requests()
            assert requests.get("KeystoneCreateUserTokenByPassword", 0) + requests.get("ListVault", 0) == 1, requests
            texts = ["\n".join(run.errors("sign_in", map_index=place)) for place in range(machines)]
            heard = [text for text in texts if "No task of this deployment tries it again" in text]
            assert len(heard) == machines - 1

            api.request("DELETE", f"connections/{conn_id}")
            api.create_connection(conn_id, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})
            run.clear("sign_in")
            assert run.wait(limit=limit) == "success"
