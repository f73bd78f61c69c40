"""The specification of a checkpoint task, and the mark by which it recognises its own checkpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from airflow_cbr.exceptions import CbrParameterError
from airflow_cbr.once.marks import mark_of

__all__ = ["CheckpointSpec", "OnSkipped", "check_prefix", "mark_of"]

OnSkipped = Literal["fail", "warn"]

# The service takes 64 characters; the mark and its separator need 17 of them.
_PREFIX: Final = re.compile(r"[\u4e00-\u9fa5\uf900-\ufa2da-zA-Z0-9_-]{1,47}")


def check_prefix(value: Any, parameter: str = "checkpoint_name") -> str:
    """Return the part of a checkpoint's name that a Dag author chooses.

    :param value: the rendered parameter.
    :param parameter: its name, for the message.
    :raises CbrParameterError: when the service would not take it.
    """
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise CbrParameterError(parameter, "must be 1 to 47 Chinese characters, letters, digits, '_' or '-'.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSpec:
    """What the Dag author asked for. Times are seconds.

    :param vault_id: the vault.
    :param mark: from :func:`mark_of`.
    :param prefix: first part of the checkpoint's name; the mark is the second.
    :param resource_ids: what to back up. Default: all that is bound to the vault.
    :param description: the checkpoint's description. Default: none.
    :param incremental: incremental or full. Default: the service decides.
    :param auto_trigger: mark the checkpoint as made by a schedule.
    :param on_skipped: whether a resource that the service left out fails the task.
    :param wait_for_completion: whether to wait until the checkpoint is available.
    :param timeout: seconds for the whole task, over all attempts since the last clear.
    :param poll_interval: shortest gap between two looks.
    :param max_poll_interval: longest gap between two looks.
    :param settle_time: the delay within which the service shows a checkpoint that it accepted.
    """

    vault_id: str
    mark: str
    prefix: str = "airflow"
    resource_ids: tuple[str, ...] | None = None
    description: str | None = None
    incremental: bool | None = None
    auto_trigger: bool = False
    on_skipped: OnSkipped = "fail"
    wait_for_completion: bool = True
    timeout: float = 86400.0
    poll_interval: float = 30.0
    max_poll_interval: float = 600.0
    settle_time: float = 120.0

    @property
    def name(self) -> str:
        """Return the checkpoint's name."""
        return f"{self.prefix}_{self.mark}"
