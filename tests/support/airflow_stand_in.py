"""What the page "CBR replication" needs of an api-server: its three calls of the REST API, and the page's files, below a path.

The rows have the keys that Airflow 3.1 to 3.4 send; ``tests/system`` holds the page against the real thing.
"""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from airflow_cbr.plugins.replication_page import PREFIX, CbrReplicationPagePlugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

__all__ = ["NOW", "AirflowStandIn", "outcome_of", "task_row", "vault_id"]

PATH: Final = "/data/airflow"
NOW: Final = datetime.now(UTC).replace(microsecond=0)
_LIMIT: Final = 60.0
_SANDBOX: Final = "allow-scripts allow-same-origin allow-forms"  # the narrowest of Airflow 3.1 to 3.4


def vault_id(number: int) -> str:
    """Return the id of a made-up source vault."""
    return f"00000000-0000-4000-8000-{number:012}"


def outcome_of(
    vault: str,
    *,
    verdict: str = "verified",
    age: float | None = 3600,
    max_age: float | None = 86400,
    at: datetime = NOW,
    names: tuple[str | None, str | None] = (None, None),
    **more: Any,
) -> dict[str, Any]:
    """Return the outcome of a verification.

    :param vault: the source vault.
    :param age: of the worst resource's newest verified replica in seconds, at ``at``.
    :param names: of the source and of the destination vault. Default: not known.
    """
    return {
        "kind": "verification",
        "verdict": verdict,
        "counts": {"verified": 3, "failed": 0, "missing": 0, "skipped": 0},
        "verified_at": None if age is None else (at - timedelta(seconds=age)).isoformat(),
        "max_age": max_age,
        "size_gb": 120.0,
        "at": at.isoformat(),
        "report": None,
        "source": {"region": "cn-north-4", "project_id": "0" * 32, "vault_id": vault, "vault_name": names[0]},
        "destination": {"region": "cn-shenzhen-1", "project_id": "1" * 32, "vault_id": "d" + vault[1:], "vault_name": names[1]},
        "consoles": {"source": "https://console.huaweicloud.com/cbr/?region=cn-north-4"},
        "findings_total": 0,
        "findings": [],
        **more,
    }


def task_row(
    vault: str,
    *,
    outcome: Any = None,
    operator: str = "CbrVerifyReplicationOperator",
    state: str | None = "success",
    dag: str = "nightly",
    run: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Return a task instance as Airflow lists it.

    :param vault: the source vault.
    :param outcome: its rendered field of that name. Default: none.
    :param run: how many days ago its run was.
    :param more: keys that differ.
    """
    after = (NOW - timedelta(days=run, minutes=5)).isoformat()
    fields = {
        "vault_id": vault,
        "destination_region": "cn-shenzhen-1",
        "destination_project_id": "1" * 32,
        "destination_vault_id": "d" + vault[1:],
        "region": None,
        "project_id": None,
        **({} if outcome is None else {"outcome": outcome}),
    }
    return {
        "id": f"{dag}-{run}-{vault}-{operator}",
        "task_id": "verify" if operator == "CbrVerifyReplicationOperator" else "replicate",
        "dag_id": dag,
        "dag_run_id": f"scheduled__{after}",
        "map_index": int(vault[-12:]) if vault[-12:].isdigit() else -1,
        "logical_date": after,
        "run_after": after,
        "start_date": after,
        "end_date": after,
        "duration": 1.0,
        "state": state,
        "try_number": 1,
        "max_tries": 3,
        "task_display_name": "verify",
        "dag_display_name": dag,
        "operator": operator,
        "note": None,
        "rendered_map_index": None,
        "rendered_fields": fields,
        "trigger": None,
        "triggerer_job": None,
        **more,
    }


class AirflowStandIn:
    """An api-server at ``url``, which has the path of a ``[api] base_url`` behind it; a context manager.

    :param before_33: whether it leaves the rendered fields out of the list of task instances that is asked for with GET, as Airflow 3.1 and
        3.2 do.
    """

    def __init__(self, *, before_33: bool = False) -> None:
        self.before_33 = before_33
        self.rows: list[dict[str, Any]] = []
        self.xcoms: dict[tuple[str, str], Any] = {}
        """Values by task id and key."""
        self.answer: Callable[[Request], Response | None] = lambda _: None
        """May give another answer to a call of the REST API."""
        self.requests: list[str] = []
        """Paths of all requests."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{PATH}"
        self.page = f"{self.url}{PREFIX}/"
        self._server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical", lifespan="off", ws="none", date_header=False))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="airflow stand-in", daemon=True)

    def __enter__(self) -> Self:
        """Start it; the socket takes connections already."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.should_exit = True
        self._thread.join(_LIMIT)
        self._listener.close()

    @property
    def calls(self) -> list[str]:
        """Return the paths of the requests to the REST API."""
        return [path for path in self.requests if "/api/v2/" in path]

    def _app(self) -> FastAPI:
        app = FastAPI(root_path=PATH)

        @app.middleware("http")
        async def note(request: Request, answer: Any) -> Any:
            self.requests.append(request.url.path)
            given = await answer(request)
            # However long the tests before this one have taken: the rows are as old as they say.
            given.headers["date"] = format_datetime(NOW, usegmt=True)
            return given

        @app.get("/api/v2/dags/~/dagRuns/~/taskInstances")
        def list_tasks(request: Request) -> Any:
            if (other := self.answer(request)) is not None:
                return other
            query = request.query_params
            assert query["order_by"] == "-run_after"
            wanted = [row for row in self.rows if row["operator"] in query.getlist("operator")]
            wanted.sort(key=lambda row: (row["run_after"], row["id"]), reverse=True)
            begin, size = int(query["offset"]), min(int(query["limit"]), 100)
            listed = [{**row, "rendered_fields": {}} if self.before_33 else row for row in wanted[begin : begin + size]]
            return JSONResponse({"task_instances": listed, "total_entries": len(wanted)})

        @app.post("/api/v2/dags/~/dagRuns/~/taskInstances/list")
        async def list_tasks_by_name(request: Request) -> Any:
            if (other := self.answer(request)) is not None:
                return other
            body = await request.json()
            names = {"dag_id": body.pop("dag_ids"), "dag_run_id": body.pop("dag_run_ids"), "task_id": body.pop("task_ids")}
            begin, size = body.pop("page_offset"), body.pop("page_limit")
            assert not body, "Airflow refuses what it does not know"
            wanted = [row for row in self.rows if all(row[name] in asked for name, asked in names.items())]
            wanted.sort(key=lambda row: row["id"])
            return JSONResponse({"task_instances": wanted[begin : begin + size], "total_entries": len(wanted)})

        @app.get("/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}")
        def get_xcom(request: Request, task: str, key: str) -> Any:
            if (other := self.answer(request)) is not None:
                return other
            if (task, key) not in self.xcoms:
                return JSONResponse({"detail": "XCom entry not found"}, 404)
            return {"key": key, "value": self.xcoms[task, key]}

        for one in CbrReplicationPagePlugin.fastapi_apps:
            app.mount(one["url_prefix"], one["app"])
        (view,) = CbrReplicationPagePlugin.external_views

        @app.get("/{rest:path}")
        def frame(rest: str) -> HTMLResponse:
            """Answer as Airflow's own page, which is one for all paths."""
            framed = f'<iframe sandbox="{_SANDBOX}" src="{view["href"]}"></iframe>' if rest.startswith("plugin/") else ""
            return HTMLResponse(f'<base href="{PATH}/"><title>Airflow</title>{framed}')

        return app
