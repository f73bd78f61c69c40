"""Ids, request ids and tokens: random, or repeatable under a seed."""

from __future__ import annotations

import base64
import random
import uuid


class Ids:
    """The service's source of ids.

    :param seed: makes the ids repeatable. Default: None, they differ in every run.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 (not secrets: a stand-in's ids)

    def uuid(self) -> str:
        """Return an id of a vault, a backup, a checkpoint or a record."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def hex32(self) -> str:
        """Return an id of a project, a user or a request."""
        return f"{self._random.getrandbits(128):032x}"

    def token(self) -> str:
        """Return a token: like IAM's, long, opaque, and beginning as base64 of CMS does."""
        return "MIIE" + base64.b64encode(self._random.getrandbits(8 * 1200).to_bytes(1200, "big")).decode()
