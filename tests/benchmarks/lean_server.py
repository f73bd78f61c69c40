"""A server that costs as little as possible: it sends prepared answers, and knows nothing of what it is asked.

Run as ``python -m tests.benchmarks.lean_server ROWS [NEW]`` it prints its port, and serves a list of ROWS backups with their replication
records (but for the first NEW), in the project of the destination their replicas, the two vaults, and the answer of a replicate call.
It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT = "4229d7a45436489f8c3dc2b1d35d4987"
VAULT = "3b5816b5-f29c-4172-9d9a-76c719a659ce"
DATE = "Tue, 24 Nov 2026 12:00:00 GMT"
DESTINATION: dict[str, Any] = {
    "destination_region": "cn-shenzhen-1",
    "destination_project_id": "68589cac08274b82b4e254268a3862d8",
    "destination_vault_id": "0ca3eb86-8800-46da-9c37-9d657a825274",
}
ACCEPTED = {
    "replication": {
        "backups": [
            {"backup_id": f"{number:08x}-0000-4000-8000-000000000000", "replication_record_id": f"{number:08x}-1111-4000-8000-000000000000"}
            for number in range(3)
        ],
        "vault_id": VAULT,
        "project_id": PROJECT,
        "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
        "source_region": "cn-north-4",
        **DESTINATION,
    }
}


def backup(number: int) -> dict[str, Any]:
    """Return a row with every field that the documentation gives a backup, and one replication record."""
    backup_id = f"{number:08x}-0000-4000-8000-000000000000"
    return {
        "id": backup_id,
        "name": f"autobk_{number:06}",
        "description": None,
        "status": "available",
        "image_type": "backup",
        "checkpoint_id": f"{number // 20:08x}-2222-4000-8000-000000000000",
        "vault_id": VAULT,
        "project_id": PROJECT,
        "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
        "parent_id": None,
        "children": [],
        "resource_id": f"{number % 20:08x}-3333-4000-8000-000000000000",
        "resource_name": f"server-{number % 20}",
        "resource_type": "OS::Nova::Server",
        "resource_az": "cn-north-4a",
        "resource_size": 40 + number % 200,
        "created_at": "2026-01-01T06:32:07.951164",
        "updated_at": "2026-01-01T06:40:00.123456",
        "expired_at": None,
        "protected_at": "2026-01-01T06:40:00.000000",
        "incremental": True,
        "version": 3,
        "enterprise_project_id": "0",
        "extend_info": {
            "auto_trigger": True,
            "bootable": None,
            "contain_system_disk": True,
            "encrypted": False,
            "is_multi_az": False,
            "os_images_data": [{"image_id": "0b6a5b3a-0000-4000-8000-000000000000"}],
            "snapshot_id": None,
            "support_lld": True,
            "supported_restore_mode": "backup",
            "system_disk": False,
        },
        "replication_records": [
            {
                "id": f"{number:08x}-1111-4000-8000-000000000000",
                "status": "success",
                "created_at": "2026-01-01T07:00:00.000000",
                "vault_id": VAULT,
                "source_backup_id": backup_id,
                "source_checkpoint_id": f"{number // 20:08x}-2222-4000-8000-000000000000",
                "source_project_id": PROJECT,
                "source_region": "cn-north-4",
                "destination_backup_id": f"{number:08x}-4444-4000-8000-000000000000",
                "destination_checkpoint_id": f"{number // 20:08x}-5555-4000-8000-000000000000",
                **DESTINATION,
                "extra_info": {"progress": 100, "fail_code": "", "fail_reason": "", "auto_trigger": False},
            }
        ],
    }


def replica(number: int) -> dict[str, Any]:
    """Return the row of a backup's replica."""
    source = backup(number)
    (record,) = source["replication_records"]
    return source | {
        "id": record["destination_backup_id"],
        "image_type": "replication",
        "checkpoint_id": record["destination_checkpoint_id"],
        "vault_id": record["destination_vault_id"],
        "project_id": record["destination_project_id"],
        "replication_records": None,
    }


def vault(vault_id: str) -> dict[str, Any]:
    """Return the row of one of the two vaults."""
    protect_type = "backup" if vault_id == VAULT else "replication"
    resources = [
        {"id": f"{number:08x}-3333-4000-8000-000000000000", "name": f"server-{number}", "type": "OS::Nova::Server"} for number in range(20)
    ]
    return {
        "id": vault_id,
        "resources": resources if vault_id == VAULT else [],
        "billing": {"protect_type": protect_type, "object_type": "server", "status": "available", "size": 10_000_000, "used": 0},
    }


class _Server(asyncio.Protocol):
    rows = 0
    new = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, target, _ = head.split(b" ", 2)
        self._transport.write(_replicated() if method == b"POST" else _page(target.decode()))


@cache
def _replicated() -> bytes:
    return _answer(ACCEPTED)


@cache
def _page(target: str) -> bytes:
    url = urlsplit(target)
    if url.path.endswith("/vaults/external"):
        return _answer({"vaults": [], "count": 0})
    if "/vaults/" in url.path:
        return _answer({"vault": vault(url.path.rpartition("/")[2])})
    query = parse_qs(url.query)
    offset, limit = int(query["offset"][0]), int(query["limit"][0])
    row = backup if PROJECT in url.path else replica
    rows = [row(number) for number in range(offset, min(offset + limit, _Server.rows))]
    for one in rows[: max(0, _Server.new - offset)]:
        one["replication_records"] = []
    return _answer({"backups": rows, "count": _Server.rows, "offset": offset, "limit": limit})


def _answer(content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 200 OK\r\nDate: {DATE}\r\nContent-Type: application/json\r\nX-Request-Id: 0123\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(rows: int, new: int = 0) -> None:
    _Server.rows, _Server.new = rows, new
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def use_processor(number: int) -> None:
    """Stay on one processor, so that client and server do not push each other around."""
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(processors) > 1:
        os.sched_setaffinity(0, {processors[number % len(processors)]})


@contextlib.contextmanager
def serving(rows: int, new: int = 0) -> Iterator[str]:
    """Run the server in another process; yield its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.lean_server", str(rows), str(new)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    use_processor(1)
    asyncio.run(_serve(*map(int, sys.argv[1:])))
