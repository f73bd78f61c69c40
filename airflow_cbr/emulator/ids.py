"""Ids, request ids and tokens: random, or repeatable under a seed."""

from __future__ import annotations

import base64
import random
from typing import Final

_RANDOM_BITS: Final = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_4: Final = 0x4000 << 64 | 0x8000 << 48


class Ids:
    """The service's source of ids.

    :param seed: makes the ids repeatable. Default: None, they differ in every run.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 (not secrets: a stand-in's ids)

    def uuid(self) -> str:
        """Return an id of a vault, a backup, a checkpoint or a record."""
        digits = f"{self._random.getrandbits(128) & _RANDOM_BITS | _VERSION_4:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def hex32(self) -> str:
        """Return an id of a project, a user or a request."""
        return f"{self._random.getrandbits(128):032x}"

    def token(self) -> str:
        """Return a token: like IAM's, long, opaque, and beginning as base64 of CMS does."""
        return "MIIE" + base64.b64encode(self._random.getrandbits(8 * 1200).to_bytes(1200, "big")).decode()
