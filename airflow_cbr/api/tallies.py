"""What this machine knows of refused credentials: one small file for each login, in a private directory, that all processes share.

Nothing here may fail a task. Where the directory cannot be used (it is another user's, it is full, a lock is not given up) the process
counts for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import secrets
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DIRECTORY_VARIABLE", "RefusedCredential", "Tally", "forget", "open_tally"]

DIRECTORY_VARIABLE: Final = "CBR_REFUSALS_DIRECTORY"
"""Environment variable that names another directory. Default: ``airflow-cbr-<user id>`` in the directory for temporary files."""

LOCK_PATIENCE: Final = 2.0
"""Seconds to wait for a lock before going on without it."""

OUT_OF_USE: Final = 60.0
"""Seconds for which a directory that could not be used is left alone."""

_LARGEST: Final = 1 << 18
_OLDEST_KEPT: Final = 100

log = logging.getLogger(__name__)


class RefusedCredential(msgspec.Struct):
    """One refusal of a login.

    :param fingerprint: tells one secret from another, and nothing of either.
    :param scope: what the login was tried for; a project, where a password may be refused for one alone.
    :param at: when, as Unix time of this machine.
    :param message: what the service said.
    :param error_code: its code.
    :param request_id: its request id.
    :param http_status: its HTTP status.
    :param is_forgiven: whether the same secret was good for something else since.
    """

    fingerprint: str
    scope: str
    at: float
    message: str
    error_code: str | None = None
    request_id: str | None = None
    http_status: int | None = None
    is_forgiven: bool = False


class Tally(msgspec.Struct):
    """What is known of one login.

    :param salt: of the fingerprints.
    :param pending: attempts on their way, and until when each of them is counted.
    :param refused: the refusals, the oldest first.
    """

    salt: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    pending: dict[str, float] = {}
    refused: list[RefusedCredential] = []

    def tidy(self, now: float, *, within: float, reserved_for: float) -> None:
        """Forget what is old, or from a time that this machine's clock has not reached.

        :param now: Unix time.
        :param within: seconds after which a refusal is forgotten.
        :param reserved_for: seconds after which an attempt is not counted any more.
        """
        self.refused = [one for one in self.refused if now - within < one.at <= now][-_OLDEST_KEPT:]
        self.pending = {name: until for name, until in self.pending.items() if now < until <= now + reserved_for}


# --- for this process alone -------------------------------------------------------------------------------------------

_own: dict[str, Tally] = {}
_unusable_until = float("-inf")
_own_lock = threading.Lock()


def _new_lock() -> None:
    global _own_lock
    _own_lock = threading.Lock()


# A child that was forked while another thread held the lock would wait for it for ever.
os.register_at_fork(after_in_child=_new_lock)


def forget() -> None:
    """Forget what this process counted for itself, and that the directory could not be used."""
    global _unusable_until
    _own.clear()
    _unusable_until = float("-inf")


@contextlib.contextmanager
def open_tally(name: str) -> Iterator[Tally]:
    """Give what is known of a login, and keep what the block changes.

    :param name: the login's name among the files.
    """
    with contextlib.ExitStack() as held:
        path = None
        if time.monotonic() >= _unusable_until:
            try:
                directory = _private_directory()
                held.enter_context(_locked(directory / f"{name}.lock"))
                path = directory / f"{name}.json"
                tally = _read(path)
            except OSError as error:
                path = None
                _leave_alone(error)
        if path is None:
            held.enter_context(_own_lock)
            yield _own.setdefault(name, Tally())
            return
        before = msgspec.json.encode(tally)
        yield tally
        after = msgspec.json.encode(tally)
        if after != before:
            try:
                _write(path, after)
            except OSError as error:
                _leave_alone(error)
                _own[name] = tally


def _leave_alone(error: OSError) -> None:
    global _unusable_until
    if _unusable_until == float("-inf"):
        log.warning(
            "This process counts refused credentials only for itself, not for the whole machine: the shared directory cannot be used (%s). "
            "Set %s to a directory that belongs to this user alone.",
            error,
            DIRECTORY_VARIABLE,
        )
    _unusable_until = time.monotonic() + OUT_OF_USE


# --- in files ---------------------------------------------------------------------------------------------------------


def _private_directory() -> Path:
    directory = Path(os.environ.get(DIRECTORY_VARIABLE) or Path(tempfile.gettempdir()) / f"airflow-cbr-{os.geteuid()}")
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    # In a directory for everybody, somebody else may have been there first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not a directory that belongs to this user alone")
    return directory


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        give_up_at = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise TimeoutError(f"{path} stays locked") from None
                time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - spreads load, guards nothing
        try:
            yield
        finally:
            # Said outright: a child that was forked meanwhile holds the file open too.
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


#: Made once, and not by the threads that sign in: two at a time would end the process.
_decode: Final = msgspec.json.Decoder(Tally).decode


def _read(path: Path) -> Tally:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Tally()
    with os.fdopen(file, "rb") as opened:
        content = opened.read(_LARGEST)
    try:
        return _decode(content)
    except msgspec.MsgspecError:
        # What cannot be read counts for nothing; it is written anew.
        return Tally()


def _write(path: Path, content: bytes) -> None:
    file, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
