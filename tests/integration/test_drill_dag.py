"""The example Dag of restore drills, unchanged but for its intervals, through ``dag.test()``; and the checks of the documentation."""

from __future__ import annotations

import http.server
import runpy
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from tests.integration.test_example_dag import Ran, load
from tests.support.drill_night import replicated_world
from tests.support.emulator import EmulatorServer
from tests.support.task_run import set_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, stop_soon: Callable[[EmulatorServer], None]) -> Iterator[EmulatorServer]:
    """Serve the default world with replicas, and quick images and servers."""
    world = replicated_world()
    for name in ("image_seconds", "server_seconds", "image_delete_seconds", "server_delete_seconds"):
        setattr(world.switches, name, 0.2)
    server = EmulatorServer(world).__enter__()
    set_connection(monkeypatch, server.url)
    yield server
    stop_soon(server)


@pytest.fixture
def restored_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Stand in for whatever answers on a restored server, at any private address; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        threading.Thread(target=serve, daemon=True).start()
        connect = socket.create_connection

        def to_the_stand_in(address: tuple[str, int], *rest: Any, **options: Any) -> socket.socket:
            return connect(("127.0.0.1", address[1]) if address[0].startswith("192.168.") else address, *rest, **options)

        monkeypatch.setattr(socket, "create_connection", to_the_stand_in)
        yield port


@pytest.fixture
def dag() -> DAG:
    """Return the example Dag with intervals that suit quick servers; ``dag.test()`` runs one task after the other, so no drill may wait."""
    dag: DAG = load(REPOSITORY / "dags" / "cbr_weekly_drill.py").dag
    for task in dag.tasks:
        task.retries, task.retry_delay = 0, timedelta(0)
        for name, value in (
            ("poll_interval", 0.1),
            ("max_poll_interval", 0.3),
            ("settle_time", 1.0),
            ("deferrable", False),
            ("at_once", None),
        ):
            _set(task, name, value)
    return dag


def _set(task: Any, name: str, value: Any) -> None:
    """Set a parameter of an operator, mapped or not."""
    if hasattr(task, name):
        setattr(task, name, value)


@pytest.mark.db
def test_three_random_servers_are_restored_checked_and_removed(emulator: EmulatorServer, dag: DAG, restored_host: int) -> None:
    ran = Ran(dag, port=restored_host)
    assert ran.state() == "success"
    verdicts = [ran.xcom("restore_drills.drill.end", map_index=place) for place in range(3)]
    assert [verdict["verdict"] for verdict in verdicts] == ["successful"] * 3
    assert len({verdict["replica"]["resource_id"] for verdict in verdicts}) == 3
    assert [list(verdict["checks"].values()) for verdict in verdicts] == [["success"]] * 3
    assert [ran.xcom("restore_drills.drill.answers", map_index=place) for place in range(3)] == ["SSH-2.0-OpenSSH_9.6"] * 3
    ledger = emulator.control.ledger()
    assert len(ledger["servers"]) == len(ledger["images"]) == 3
    assert {one["state"] for kind in ("images", "servers", "disks") for one in ledger[kind]} == {"deleted"}
    assert ledger["lost_replicas"] == []


@pytest.mark.full
@pytest.mark.db
def test_a_start_that_fails_is_cleaned_up_after_though_it_is_the_setup(emulator: EmulatorServer, dag: DAG, restored_host: int) -> None:
    emulator.control.fault("server_fails")
    ran = Ran(dag, port=restored_host)
    assert ran.state() == "failed"
    assert sorted(ran.states("restore_drills.drill.start")) == ["failed", "success", "success"]
    assert sorted(ran.states("restore_drills.drill.end")) == ["failed", "success", "success"]
    verdicts = sorted(ran.xcom("restore_drills.drill.end", map_index=place)["verdict"] for place in range(3))
    assert verdicts == ["failed", "successful", "successful"]
    ledger = emulator.control.ledger()
    assert {one["state"] for kind in ("images", "servers", "disks") for one in ledger[kind]} == {"deleted"}


@pytest.mark.full
@pytest.mark.db
def test_a_check_that_fails_makes_the_run_red_though_the_end_cleans_up(emulator: EmulatorServer, dag: DAG, restored_host: int) -> None:
    """Airflow looks at no task before a teardown that counts: it must be red itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = Ran(dag, port=port)
    assert ran.state() == "failed"
    assert ran.states("restore_drills.drill.answers") == ["failed"] * 3
    ledger = emulator.control.ledger()
    assert {one["state"] for kind in ("images", "servers", "disks") for one in ledger[kind]} == {"deleted"}


# --- the checks of the documentation, each against a stand-in -----------------------------------------------------------------


@pytest.fixture
def checks() -> dict[str, Any]:
    """Return the functions of the example's checks."""
    found = runpy.run_path(str(REPOSITORY / "docs" / "examples" / "drill.py"))
    return {name: found[name].function for name in ("ssh_answers", "page_is_served", "rows_are_there")}


DRILL = {"private_ip": "127.0.0.1"}


def test_the_check_by_ssh(checks: dict[str, Any], restored_host: int) -> None:
    assert checks["ssh_answers"](DRILL, restored_host) == "SSH-2.0-OpenSSH_9.6"


def test_the_check_by_http(checks: dict[str, Any]) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert checks["page_is_served"](DRILL, port=server.server_port) == 16
        with pytest.raises(ValueError, match="does not say"):
            checks["page_is_served"](DRILL, port=server.server_port, expected="fine")
        server.shutdown()


def test_the_check_by_sql(checks: dict[str, Any], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/restored-{{ip}}.db"
    with sqlalchemy.create_engine(url.format(ip="127.0.0.1")).begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE orders (id INTEGER)"))
        connection.execute(sqlalchemy.text("INSERT INTO orders VALUES (1), (2)"))
    query = "SELECT count(*) FROM orders"
    assert checks["rows_are_there"](DRILL, url, query, 2) == 2
    with pytest.raises(ValueError, match="fewer than"):
        checks["rows_are_there"](DRILL, url, query, 3)
