"""What is known for the life of the process: made by one thread at a time, and shared by all clients."""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from airflow_cbr.exceptions import CbrError

if TYPE_CHECKING:
    from airflow_cbr.api.secret import Secret

__all__ = ["ProcessCache", "digest"]

_Value = TypeVar("_Value")
_HASH_KEY: Final = os.urandom(32)


@dataclass
class _Making:
    """One thread makes the value, the others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: int = 0
    error: CbrError | None = None


class ProcessCache(Generic[_Value]):
    """Values by key, made by one thread at a time per key.

    Threads that need the same value ask IAM once, also when the answer is an error: ten tasks with a wrong password would otherwise
    lock the user.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[object, ...], _Value] = {}
        self.reset_locks()
        # A child that was forked while another thread held a lock would wait for it for ever.
        os.register_at_fork(after_in_child=self.reset_locks)

    def reset_locks(self) -> None:
        """Make all locks anew."""
        self._guard = threading.Lock()
        self._making: dict[tuple[object, ...], _Making] = {}

    def get(self, key: tuple[object, ...], is_good: Callable[[_Value], bool], make: Callable[[], _Value]) -> _Value:
        """Return a value that is good.

        :param key: tells what it depends on.
        :param is_good: whether a value can still be used.
        :param make: makes one.
        :raises CbrError: it cannot be made; also for those who waited for it.
        """
        value = self._values.get(key)
        if value is not None and is_good(value):
            return value
        with self._guard:
            making = self._making.setdefault(key, _Making())
            failures = making.failures
        with making.lock:
            value = self._values.get(key)
            if value is not None and is_good(value):
                return value
            if making.error is not None and making.failures != failures:
                raise copy.copy(making.error)
            try:
                value = self._values[key] = make()
            except CbrError as error:
                making.failures += 1
                making.error = error
                raise
            return value

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()


def digest(secret: Secret) -> str:
    """Return what tells a secret from others within this process, and nothing of it.

    :param secret: the secret.
    """
    return hmac.new(_HASH_KEY, secret.reveal().encode(), hashlib.sha256).hexdigest()
