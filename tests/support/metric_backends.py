"""What receives metrics: a StatsD server, and an OpenTelemetry collector that takes OTLP over HTTP; both on real sockets."""

from __future__ import annotations

import gzip
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "airflow."


class Sample(NamedTuple):
    """One number that was received.

    :param name: the metric, without Airflow's prefix.
    :param kind: ``gauge``, ``counter`` or ``timing``.
    :param value: the number; of a timing, milliseconds.
    :param tags: its tags.
    """

    name: str
    kind: str
    value: float
    tags: dict[str, str]


class Received(list[Sample]):
    """What a backend has received."""

    def of_package(self) -> Received:
        """Return what this package has sent."""
        return Received(one for one in self if one.name.startswith("cbr."))

    def values(self, name: str) -> list[float]:
        """Return the values of one metric, in the order in which they came."""
        return [one.value for one in self if one.name == name]

    def totals(self) -> dict[str, float]:
        """Return the sum of each counter."""
        found: dict[str, float] = {}
        for one in self:
            if one.kind == "counter":
                found[one.name] = found.get(one.name, 0) + one.value
        return found


class StatsdServer:
    """A StatsD server that reads InfluxDB's tags, as Prometheus's exporter does; use it as a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Room for what comes until the test reads it: UDP says nothing of what it drops.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        """Return the server, which listens already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment that lets Airflow send here."""
        host, port = self._socket.getsockname()
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host,
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def take(self) -> Received:
        """Return what has come since the last time. What a process sent over the loopback before it ended is there when it has ended."""
        found = Received()
        self._socket.setblocking(False)
        while True:
            try:
                packet = self._socket.recv(1 << 16)
            except BlockingIOError:
                return found
            found += map(sample_of, packet.decode().splitlines())


def sample_of(line: str) -> Sample:
    """Read a line such as ``airflow.x,tag=value:1|c``."""
    head, _, measured = line.rpartition(":")
    value, kind, *_ = measured.split("|")
    name, *tags = head.split(",")
    words = {"g": "gauge", "c": "counter", "ms": "timing"}
    return Sample(name.removeprefix(PREFIX), words[kind], float(value), dict(tag.split("=", 1) for tag in tags))


class Collector:
    """An OpenTelemetry collector; use it as a context manager.

    A series is told in full each time that it is exported, so the newest of its points stands for it. Each process has series of its own.
    """

    def __init__(self) -> None:
        self._newest: dict[Any, Sample] = {}

    def __enter__(self) -> Self:
        """Listen."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._newest.update(series_in(ExportMetricsServiceRequest.FromString(body)))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self) -> Received:
        """Return what has come since the last time; a process flushes what it has before it ends."""
        found, self._newest = self._newest, {}
        return Received(found.values())

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment that lets Airflow send here, by the settings that all of its versions read."""
        host, port = self._server.server_address[:2]
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_HOST": str(host),
            "AIRFLOW__METRICS__OTEL_PORT": str(port),
        }


def series_in(request: Any) -> Iterator[tuple[Any, Sample]]:
    """Yield what is exported, each number with what tells its series from others: a counter's also with its beginning."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from _series_of(metric)


def _series_of(metric: Any) -> Iterator[tuple[Any, Sample]]:
    name, data = metric.name.removeprefix(PREFIX), metric.WhichOneof("data")
    for point in getattr(metric, data).data_points:
        tags = {one.key: one.value.string_value for one in point.attributes}
        if data.endswith("histogram"):
            sample = Sample(name, "timing", point.sum, tags)
        else:
            value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
            sample = Sample(name, "counter" if data == "sum" else data, value, tags)
        began = 0 if data == "gauge" else point.start_time_unix_nano
        yield (name, began, tuple(sorted(tags.items()))), sample
