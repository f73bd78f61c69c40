"""What a user does in Airflow's web page, over the same REST API: trigger, look, clear, mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_cbr.demo.waiting import DemoError, wait_until

if TYPE_CHECKING:
    from airflow_cbr.demo.rest import AirflowApi

PAGE = 100
"""Most rows of one answer: Airflow's ``[api] maximum_page_limit``."""
FINAL = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class DagRun:
    """One run of a Dag.

    :param api: the server.
    :param dag_id: the Dag.
    :param run_id: the run.
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self.api = api
        self.dag_id = dag_id
        self.run_id = run_id
        self._path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"

    @property
    def state(self) -> str:
        """Return the state of the run."""
        return str(self.api.request("GET", self._path)["state"])

    def wait(self, *, limit: float = 120) -> str:
        """Wait until the run has ended, and return its state."""

        def ended() -> str | None:
            state = self.state
            return state if state in FINAL else None

        try:
            return wait_until(ended, limit=limit, what=f"run {self.run_id} of {self.dag_id} ends", every=0.5)
        except DemoError as error:
            raise AssertionError(f"{error}; its tasks: {self.task_states()}") from error

    def tasks(self) -> list[dict[str, Any]]:
        """Return the rows of all task instances."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.api.request(
                "GET", f"{self._path}/taskInstances", params={"limit": PAGE, "offset": len(rows), "order_by": "map_index"}
            )
            rows += page["task_instances"]
            if len(page["task_instances"]) < PAGE:
                return rows

    def count(self, *states: str) -> int:
        """Return the number of task instances in one of the states, without their rows."""
        answer = self.api.request("GET", f"{self._path}/taskInstances", params={"state": list(states), "limit": 1})
        return int(answer["total_entries"])

    def task_states(self) -> dict[str, str | None]:
        """Return the state of each task instance; a mapped one is named ``task[index]``."""
        return {_name(row["task_id"], row["map_index"]): row["state"] for row in self.tasks()}

    def task(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the row of a task instance: ``id``, ``state``, ``try_number``, ``trigger``, ``triggerer_job``, ..."""
        for row in self.tasks():
            if (row["task_id"], row["map_index"]) == (task_id, map_index):
                return row
        raise AssertionError(f"run {self.run_id} has no task instance {_name(task_id, map_index)}")

    def wait_for_task(self, task_id: str, *states: str, map_index: int = -1, tries: int = 1, limit: float = 90) -> dict[str, Any]:
        """Wait until a task instance is in one of the states, in the given try or a later one; return its row."""

        def there() -> dict[str, Any] | None:
            row = self.task(task_id, map_index)
            return row if row["state"] in states and row["try_number"] >= tries else None

        try:
            return wait_until(there, limit=limit, what=f"{_name(task_id, map_index)} of {self.run_id} is {' or '.join(states)}", every=0.3)
        except DemoError as error:
            raise AssertionError(f"{error}; the tasks: {self.task_states()}; its log: {self.log(task_id, map_index=map_index)}") from error

    def xcom(self, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Return an XCom's value; None when it is not there."""
        entry = self.api.request(
            "GET",
            f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}",
            params={"map_index": map_index, "deserialize": "true"},
            absent_ok=True,
        )
        return None if entry is None else entry["value"]

    def xcoms(self, task_id: str) -> dict[str, Any]:
        """Return every XCom of a task by its key, as it is stored."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries"
        keys = [row["key"] for row in self.api.request("GET", path, params={"limit": 100})["xcom_entries"]]
        return {
            key: self.api.request("GET", f"{path}/{key}", params={"deserialize": "false", "stringify": "false"})["value"] for key in keys
        }

    def log(self, task_id: str, *, tries: int | None = None, map_index: int = -1) -> str:
        """Return the log of one try as text, one event per line; by default the newest try's."""
        content = self._log_events(task_id, tries, map_index)
        return "\n".join(event["event"] if isinstance(event, dict) else str(event) for event in content)

    def errors(self, task_id: str, *, tries: int | None = None, map_index: int = -1) -> list[str]:
        """Return the texts of the exceptions in the log of one try; by default the newest try's."""
        events = self._log_events(task_id, tries, map_index)
        details = [one for event in events if isinstance(event, dict) for one in event.get("error_detail") or []]
        return [str(one["exc_value"]) for one in details]

    def _log_events(self, task_id: str, tries: int | None, map_index: int) -> list[Any]:
        number = tries or max(self.task(task_id, map_index)["try_number"], 1)
        answer = self.api.request(
            "GET", f"{self._path}/taskInstances/{task_id}/logs/{number}", params={"map_index": map_index, "full_content": "true"}
        )
        events: list[Any] = answer["content"]
        return events

    def links(self, task_id: str, map_index: int = -1) -> dict[str, str | None]:
        """Return the extra links of a task instance by name."""
        links: dict[str, str | None] = self.api.request(
            "GET", f"{self._path}/taskInstances/{task_id}/links", params={"map_index": map_index}
        )["extra_links"]
        return links

    def clear(self, *task_ids: str | list[str | int], **more: Any) -> None:
        """Clear tasks, and set the run to running again.

        :param task_ids: their ids; of one mapped instance a list of its task's id and its map index.
        :param more: further fields of the request; Airflow refuses one that it does not know.
        """
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "reset_dag_runs": True,
            **more,
        }
        self.api.request("POST", f"dags/{self.dag_id}/clearTaskInstances", json={**body, **more})

    def mark(self, task_id: str, state: str) -> None:
        """Mark a task instance ``success`` or ``failed``."""
        self.api.request("PATCH", f"{self._path}/taskInstances/{task_id}", json={"new_state": state})


def trigger(api: AirflowApi, dag_id: str, params: dict[str, Any] | None = None, *, limit: float = 90) -> DagRun:
    """Trigger a run as soon as the Dag has been parsed."""

    def parsed() -> bool:
        if errors := api.import_errors():
            raise AssertionError(f"Airflow cannot read {errors[0]['filename']}: {errors[0]['stack_trace']}")
        return api.knows_dag(dag_id)

    wait_until(parsed, limit=limit, what=f"the Dag {dag_id} is parsed", every=0.5)
    row = api.request("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": params or {}})
    return DagRun(api, dag_id, row["dag_run_id"])


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"
