"""The faults that are in force, and which of them strikes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_cbr.emulator.faults.base import CallFault, CheckpointFault, CopyFault, ImageFault, InjectedFault, ServerFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.emulator.exchange import Call

_Family = TypeVar("_Family", bound=InjectedFault)
_NO_CALL_FAULT: Final = CallFault()
_NO_COPY_FAULT: Final = CopyFault()
_NO_CHECKPOINT_FAULT: Final = CheckpointFault()
_NO_IMAGE_FAULT: Final = ImageFault()
_NO_SERVER_FAULT: Final = ServerFault()


class _Armed:
    def __init__(self, number: int, fault: InjectedFault) -> None:
        self.number = number
        self.fault = fault
        self.met = 0
        self.hits = 0

    def strikes(self, chances: random.Random) -> bool:
        self.met += 1
        spent = self.fault.count is not None and self.hits >= self.fault.count
        if self.met < self.fault.nth or spent or (self.fault.chance < 1 and chances.random() >= self.fault.chance):
            return False
        self.hits += 1
        return True


class FaultsInForce:
    """The faults in force. The first one in their order that strikes is the one; a call or a copy meets at most one.

    What none of them strikes meets a fault that does nothing, whose ``kind`` is empty.

    :param seed: for the chances. Default: None, they differ in every run.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._chances = random.Random(seed)  # noqa: S311 (no secret is made of it)
        self._armed: list[_Armed] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._armed)

    def add(self, fault: InjectedFault) -> int:
        """Put a fault in force.

        :param fault: the fault.
        :return: its number, by which it can be removed.
        """
        self._numbers += 1
        self._armed.append(_Armed(self._numbers, fault))
        return self._numbers

    def remove(self, number: int | None = None) -> int:
        """Remove one fault, or all.

        :param number: from :meth:`add`. Default: None, all.
        :return: how many were removed.
        """
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if number is not None and armed.number != number]
        return before - len(self._armed)

    def on_call(self, call: Call, vault_id: str | None) -> CallFault:
        """Return the fault that strikes a call.

        :param call: the call.
        :param vault_id: the vault that it is about, if any.
        """
        return self._first(CallFault, lambda fault: fault.meets(call, vault_id)) or _NO_CALL_FAULT

    def on_copy(self, vault_id: str, backup_id: str) -> CopyFault:
        """Return the fault that strikes a copy that is about to start.

        :param vault_id: the source vault.
        :param backup_id: the backup.
        """
        return self._first(CopyFault, lambda fault: fault.meets(vault_id, backup_id)) or _NO_COPY_FAULT

    def on_checkpoint(self, vault_id: str) -> CheckpointFault:
        """Return the fault that strikes the backups of a checkpoint that is about to start.

        :param vault_id: the vault that is backed up.
        """
        return self._first(CheckpointFault, lambda fault: fault.meets(vault_id)) or _NO_CHECKPOINT_FAULT

    def on_image(self, vault_id: str, backup_id: str) -> ImageFault:
        """Return the fault that strikes an image that is about to be made.

        :param vault_id: the vault that holds the backup.
        :param backup_id: the backup.
        """
        return self._first(ImageFault, lambda fault: fault.meets(vault_id, backup_id)) or _NO_IMAGE_FAULT

    def on_server(self, vault_id: str, backup_id: str) -> ServerFault:
        """Return the fault that strikes servers that are about to start.

        :param vault_id: the vault that holds the backup of their image; empty when there is none.
        :param backup_id: the backup; empty when there is none.
        """
        return self._first(ServerFault, lambda fault: fault.meets(vault_id, backup_id)) or _NO_SERVER_FAULT

    def _first(self, family: type[_Family], meets: Callable[[_Family], bool]) -> _Family | None:
        for armed in self._armed:
            if isinstance(armed.fault, family) and meets(armed.fault) and armed.strikes(self._chances):
                return armed.fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return the faults in force with how often each was met and has struck."""
        return [
            {"number": armed.number, "met": armed.met, "hits": armed.hits, "fault": armed.fault.model_dump(exclude_none=True)}
            for armed in self._armed
        ]
