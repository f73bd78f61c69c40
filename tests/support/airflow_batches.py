"""Many runs at once on one Airflow, against services of their own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields
from airflow_cbr.demo.waiting import wait_until
from tests.support.airflow_rest import DagRun, trigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth


@contextmanager
def connection(
    api: AirflowApi, conn_id: str, url: str, *, auth: Auth = "aksk", who: tuple[str, str] | None = None, **extra: str
) -> Iterator[str]:
    """Give Airflow a connection to a service of the test's own.

    :param api: the server.
    :param conn_id: id of the connection.
    :param url: address of the emulator.
    :param auth: how to authenticate. Default: with an access key.
    :param who: login and password. Default: those of the emulator's default world.
    :param extra: extra fields that differ from those of the default world.
    """
    fields = connection_fields(auth, url)
    fields["extra"].update(extra)
    if who is not None:
        fields["login"], fields["password"] = who
    api.create_connection(conn_id, CONN_TYPE, **{**fields, "extra": json.dumps(fields["extra"])})
    try:
        yield conn_id
    finally:
        api.request("DELETE", f"connections/{conn_id}")


def chosen(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """Return the cases of the module that this run has: a run for one that is not would be waited for by nobody.

    :param request: of the fixture that triggers the runs.
    :param parameter: the tests' parameter that is the case.
    """
    calls = (getattr(item, "callspec", None) for item in request.session.items if item.path == request.path)
    return [call.params[parameter] for call in calls if call is not None and parameter in call.params]


def trigger_together(api: AirflowApi, orders: Sequence[tuple[str, dict[str, Any]]]) -> list[DagRun]:
    """Trigger many runs before the first one starts.

    SQLite takes one writer at a time: a new run would wait behind all that the tasks of the runs before it write.

    :param api: the server.
    :param orders: Dag and params of each run.
    """
    dag_ids = {dag_id for dag_id, _ in orders}
    wait_until(lambda: all(api.knows_dag(dag_id) for dag_id in dag_ids), limit=90, what="the Dags are parsed", every=0.5)
    _pause(api, dag_ids, True)
    try:
        return [trigger(api, dag_id, params) for dag_id, params in orders]
    finally:
        _pause(api, dag_ids, False)


def _pause(api: AirflowApi, dag_ids: set[str], paused: bool) -> None:
    for dag_id in dag_ids:
        api.request("PATCH", f"dags/{dag_id}", json={"is_paused": paused})
