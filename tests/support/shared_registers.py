"""A store that several hosts share, as the brake of a deployment uses Airflow's Variables: files, and a program that signs in beside it.

The program is one host: its directory of refusals is its own, and the store is everybody's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from airflow_cbr.api import deployment
from airflow_cbr.api.client import CbrClient
from airflow_cbr.api.credentials import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrError


@dataclass(frozen=True)
class FileRegister:
    """A text in a file; a write is there for all, or not at all."""

    path: Path

    def read(self) -> str | None:
        """Return the text, or None."""
        return self.path.read_text() if self.path.exists() else None

    def write(self, text: str) -> None:
        """Replace the text."""
        draft = self.path.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}")
        draft.write_text(text)
        draft.replace(self.path)


@dataclass(frozen=True)
class FileRegisters:
    """The store: one folder."""

    folder: Path

    def register(self, name: str) -> FileRegister:
        """Return the text of a name."""
        return FileRegister(self.folder / name)


def main(url: str, store: str, start: str, auth: str, login: str, secret: str) -> None:
    """Sign in as soon as a file is there, and print what came of it."""
    deployment.share(lambda: FileRegisters(Path(store)))
    who = AkSkCredentials(login, Secret(secret), None) if auth == "aksk" else PasswordCredentials(login, Secret(secret), "acme")
    client = CbrClient(who, region="cn-north-4", endpoints=Endpoints(cbr=url, iam=url), retry_budget=60.0)
    print("ready", flush=True)
    while not Path(start).exists():
        time.sleep(0.01)
    try:
        vaults = len(list(client.list_vaults()))
        print(json.dumps({"vaults": vaults}))
    except CbrError as error:
        print(json.dumps({"error": type(error).__name__, "text": str(error), "is_local": getattr(error, "is_local", False)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
