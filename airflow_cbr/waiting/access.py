"""How a watch gets at the service, without knowing where credentials are kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient

__all__ = ["Opened", "WatchAccess"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a connection says, resolved.

    :param account: the account that the service counts requests for; all users with the same login share it.
    :param credentials: differs with any part of the credentials, and reveals none of them.
    :param project: region and project, for which the credentials may be refused.
    :param make_client: makes a client out of plain credentials, in the thread that looks; is given what takes derived secrets.
    :param endpoint: where the client asks; looks at one endpoint do not wait for those at another. Default: one for the account.
    """

    account: Hashable
    credentials: Hashable
    project: Hashable
    make_client: Callable[[Callable[[str], None]], CbrClient]
    endpoint: Hashable = None


class WatchAccess(Protocol):
    """How a watch gets at the service. Awaited on the event loop: the thread that looks knows nothing of where credentials are kept."""

    async def open(self) -> Opened:
        """Resolve the connection; called at the start, and again after an authentication error."""

    async def hide(self, secret: str) -> None:
        """Mask a secret that was derived, before any waiter gets a result."""
