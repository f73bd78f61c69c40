"""How a wait in the triggerer gets at the service, without ever blocking the event loop that all triggers share.

Airflow masks the secrets of a connection while it resolves it: it tells its supervisor, and waits for the answer. The answer is read by
the event loop. A call from a coroutine that waits for it in the loop's own thread therefore waits for itself, or raises when another
request to the supervisor is under way. Airflow 3.3.2 and newer can do all of it from a coroutine; on older ones it is done in a thread,
for ``BaseHook.aget_connection`` masks in the loop's thread there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_cbr.airflow_names import AIRFLOW_VERSION, AirflowNotFoundException, BaseHook, mask_secret
from airflow_cbr.exceptions import CbrConfigurationError, CbrError
from airflow_cbr.hooks.connection import ConnectionFields, check_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.airflow_names import Connection
    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.waiting.access import Opened

__all__ = ["ConnectionAccess"]

Result = TypeVar("Result")

#: Whether this Airflow masks secrets from a coroutine everywhere: ``aget_connection``, ``aextra_dejson`` and ``amask_secret``.
MASKS_IN_COROUTINES = AIRFLOW_VERSION >= (3, 3, 2)


async def _resolve(conn_id: str) -> tuple[Connection, dict[str, Any]]:
    """Return a connection, checked, and its parsed extra; the secrets of both are masked."""
    if MASKS_IN_COROUTINES:
        connection = await BaseHook.aget_connection(conn_id)
        check_connection(connection)
        return connection, await connection.aextra_dejson()
    return await _in_a_thread(_resolve_blocking, conn_id)


def _resolve_blocking(conn_id: str) -> tuple[Connection, dict[str, Any]]:
    connection = BaseHook.get_connection(conn_id)
    check_connection(connection)
    return connection, connection.extra_dejson


async def _in_a_thread(function: Callable[[str], Result], argument: str) -> Result:
    from asgiref.sync import sync_to_async

    # asgiref and not asyncio: Airflow 3.1 finds its way from the thread back to the loop by what asgiref leaves there. Not "sensitive",
    # which would be one thread for the whole triggerer, so that one slow secrets backend would hold up every other connection.
    return await sync_to_async(function, thread_sensitive=False)(argument)


_LONGEST_MASK: Final = 40
"""Characters of a secret that a triggerer masks.

Airflow's masker never forgets, and makes one regular expression of all secrets of a process, anew with each further one: after weeks of
renewed keys, whole tokens would stop the event loop for seconds at each renewal.
"""


@dataclass(frozen=True, slots=True)
class ConnectionAccess:
    """Resolves an Airflow connection for a watch.

    :param conn_id: id of the connection.
    :param region: source region id.
    :param project_id: source project id.
    """

    conn_id: str
    region: str
    project_id: str

    async def open(self) -> Opened:
        """Resolve the connection.

        :raises CbrConfigurationError: when there is no such connection, or it cannot be used; not permanent when Airflow or a secrets
            backend caused it.
        """
        from airflow_cbr.waiting.access import Opened

        try:
            connection, extra = await _resolve(self.conn_id)
            fields = ConnectionFields.of(connection, extra)
        except CbrError:
            raise
        except AirflowNotFoundException as error:
            raise CbrConfigurationError(
                f"Connection {self.conn_id!r} is not defined.", advice="Create the connection, or name another one."
            ) from error
        except Exception as error:
            # The text may be a secrets backend's, and quote anything.
            raise CbrConfigurationError(
                f"Connection {self.conn_id!r} could not be resolved ({type(error).__name__}).", permanent=False
            ) from error

        def make_client(on_secret: Callable[[str], None]) -> CbrClient:
            # The watch repeats a failed look itself, with all who wait in mind; a retry inside a look would only hold up a thread.
            return fields.client(region=self.region, project_id=self.project_id, on_secret=on_secret, retry_budget=0.0)

        # The users of a domain share its quota; of an access key, nothing tells whose it is.
        account = (fields.endpoints, fields.account)
        credentials = hash((account, fields.auth_type, fields.login, fields.password, fields.security_token, fields.sign_in))
        # With the endpoints, this is what their addresses are made of.
        endpoint = (fields.endpoints, fields.region, self.region)
        return Opened(account, credentials, (self.region, self.project_id), make_client, endpoint)

    async def hide(self, secret: str) -> None:
        """Mask a secret in the logs of this process and of Airflow's supervisor, which writes the triggers' logs.

        :param secret: the secret. Its end is masked, which a longer one is worthless without.
        """
        secret = secret[-_LONGEST_MASK:]
        if MASKS_IN_COROUTINES:
            from airflow.sdk.log import amask_secret

            await amask_secret(secret)
        else:
            await _in_a_thread(mask_secret, secret)
