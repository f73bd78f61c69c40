"""How a wait in the triggerer gets at the service: everything of Airflow is awaited on the event loop, nothing in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException, mask_secret

from airflow_cbr.exceptions import CbrConfigurationError, CbrError
from airflow_cbr.hooks.connection import ConnectionFields

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.api.client import CbrClient
    from airflow_cbr.replication.watch import Opened

__all__ = ["ConnectionAccess"]


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

        :raises CbrConfigurationError: when there is no such connection, or it cannot be used; not a permanent one when the reason is
            Airflow's or a secrets backend's.
        """
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        from airflow_cbr.replication.watch import Opened

        try:
            connection = await get_async_connection(self.conn_id)
            fields = ConnectionFields.of(connection, await get_async_extra_dejson(connection))
        except CbrError:
            raise
        except AirflowNotFoundException as error:
            raise CbrConfigurationError(f"There is no connection {self.conn_id!r}.") from error
        except Exception as error:
            # The text may be a secrets backend's, and quote anything.
            raise CbrConfigurationError(
                f"Connection {self.conn_id!r} cannot be resolved just now ({type(error).__name__}).", permanent=False
            ) from error

        def make_client(on_secret: Callable[[str], None]) -> CbrClient:
            # The watch repeats a failed look itself, with all who wait in mind; a retry inside a look would only hold up a thread.
            return fields.client(region=self.region, project_id=self.project_id, on_secret=on_secret, retry_budget=0.0)

        # The users of a domain share its quota; of an access key, nothing tells whose it is.
        account = (fields.endpoints, fields.domain_name or fields.login)
        credentials = hash((account, fields.login, fields.password, fields.security_token))
        # With the endpoints, this is what their addresses are made of.
        endpoint = (fields.endpoints, fields.region, self.region)
        return Opened(account, credentials, (self.region, self.project_id), make_client, endpoint)

    async def hide(self, secret: str) -> None:
        """Mask a secret in the logs.

        Airflow's supervisor, which writes the triggers' logs, is told from a coroutine since 3.3; before that only this process is.

        :param secret: the secret.
        """
        from airflow.sdk import log

        if hasattr(log, "amask_secret"):
            await log.amask_secret(secret)
        else:
            mask_secret(secret)
