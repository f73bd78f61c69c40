"""Ports and environments of the demo."""

from __future__ import annotations

import socket

import pytest

from airflow_cbr.demo.loopback import HOST, clean_environment, free_port, reserve_port
from airflow_cbr.demo.waiting import DemoError


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(DemoError, match=f"port {port} .* cannot be used: address already in use"):
            reserve_port(port)


def test_a_port_whose_last_connection_was_just_closed_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
        server.bind((HOST, 0))
        server.listen()
        port: int = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        accepted, _ = server.accept()
        accepted.close()  # the server closes first: its side stays in TIME_WAIT
        assert client.recv(1) == b""
        client.close()

    assert reserve_port(port) == port


def test_zero_is_any_free_port() -> None:
    assert reserve_port(0) > 0
    assert free_port() > 0


def test_another_airflow_does_not_leak_in_and_loopback_needs_no_proxy() -> None:
    inherited = {
        "PATH": "/bin",
        "AIRFLOW_HOME": "/srv/production",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
        "AIRFLOW_CONN_HUAWEICLOUD_CBR_DEFAULT": "{}",
        "_AIRFLOW__AS_LIBRARY": "1",
        "https_proxy": "http://proxy:3128",
        "no_proxy": "intranet",
    }

    assert clean_environment(inherited) == {
        "PATH": "/bin",
        "https_proxy": "http://proxy:3128",
        "no_proxy": "intranet,127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
    }
