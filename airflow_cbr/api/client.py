"""The client: one method per call of CBR's API, which the modules of :mod:`airflow_cbr.api.calls` bring.

Names of calls in messages are those of the API reference (CopyCheckpoint, ListBackups ...). What may be sent twice and what may not is
decided in :mod:`airflow_cbr.api.transport`; how an error is classified, in :mod:`airflow_cbr.api.error_lookup`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property

from airflow_cbr.api import responses
from airflow_cbr.api.auth import Credentials, make_authenticator
from airflow_cbr.api.caller import Caller
from airflow_cbr.api.calls.backups import BackupCalls
from airflow_cbr.api.calls.checkpoints import CheckpointCalls
from airflow_cbr.api.calls.operation_logs import OperationLogCalls
from airflow_cbr.api.calls.vaults import VaultCalls
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.api.machine_client import MachineClient
from airflow_cbr.api.transport import Transport

__all__ = ["CbrClient"]


class CbrClient(BackupCalls, CheckpointCalls, OperationLogCalls, VaultCalls):
    """Calls CBR in one region and project. Safe to use from several threads.

    Reads are repeated within ``retry_budget`` after connection errors, timeouts, throttling and errors that pass. The calls that change
    something (the two replicate calls and CreateCheckpoint) are sent again only when they were certainly not processed: the connection
    was never made, the service throttled them, or refused a token that had expired; DeleteBackup only in the last case. Where that is not
    certain they raise
    :class:`~airflow_cbr.exceptions.CbrOutcomeUnknownError`.

    Every method raises :class:`~airflow_cbr.exceptions.CbrParameterError` before anything is sent,
    :class:`~airflow_cbr.exceptions.CbrTransportError` when no usable answer came back, and a subclass of
    :class:`~airflow_cbr.exceptions.CbrApiError` for the service's own errors.

    :param credentials: who asks.
    :param region: region id, for example ``cn-north-4``.
    :param project_id: project to work in. Default: looked up in IAM by the region's name, on first use.
    :param home_region: the region that an endpoint without ``{region}`` belongs to. Default: ``region``.
    :param endpoints: addresses of CBR and IAM. Default: those of ``myhuaweicloud.com``.
    :param verify: True to check certificates, False not to, or the path of a file with authorities. Default: True.
    :param connect_timeout: seconds for making a connection, from the name to TLS. Default: 10.
    :param read_timeout: seconds without a byte of the answer; the whole answer may take five times as long. Default: 60.
    :param retry_budget: seconds within which another attempt may begin; 0 for a single attempt. Default: 180.
    :param sleep: waits between attempts. Default: :func:`time.sleep`.
    :param on_secret: called with each new token before it is used, in the thread of the call, so that logs can be masked. Default: none.
    :param on_throttled: called with the region for each answer that says "too many requests", in the thread of the call. It must not raise.
        Default: none.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        region: str,
        project_id: str | None = None,
        home_region: str | None = None,
        endpoints: Endpoints = Endpoints(),  # noqa: B008 - immutable
        verify: bool | str = True,
        connect_timeout: float = 10,
        read_timeout: float = 60,
        retry_budget: float = 180,
        sleep: Callable[[float], None] = time.sleep,
        on_secret: Callable[[str], None] | None = None,
        on_throttled: Callable[[str], None] = lambda region: None,
    ) -> None:
        self.region = check_region(region)
        home = self.region if home_region is None else check_region(home_region, "home_region")
        base_url = f"{endpoints.url_of('cbr', self.region, home_region=home)}/v3"
        self._transport = Transport(
            verify=verify,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retry_budget=retry_budget,
            sleep=sleep,
            on_throttled=lambda: on_throttled(self.region),
        )
        self._authenticator = make_authenticator(
            credentials,
            self._transport,
            iam_url=lambda: endpoints.url_of("iam", self.region, home_region=home),
            region=self.region,
            project_id=None if project_id is None else check_id(project_id, "project_id"),
            on_secret=on_secret,
            sign_in_iam_url=lambda: endpoints.url_of("iam", home, home_region=home),
            sts_url=lambda: endpoints.url_of("sts", home, home_region=home),
            home_region=home,
            place=f"{endpoints.cloud} {endpoints.cbr or ''} {endpoints.iam or ''}",
            patience=retry_budget,
        )
        self._calls = Caller(self._transport, self._authenticator, base_url)
        self._endpoints, self._home = endpoints, home

    @property
    def project_id(self) -> str:
        """Return the id of the project; asks IAM on first use when it was not given.

        :raises CbrConfigurationError: IAM knows no such project, or several.
        """
        return self._authenticator.project_id()

    @cached_property
    def machines(self) -> MachineClient:
        """Return the client of IMS and ECS in the same region and project, with the same credentials and connections.

        :raises CbrConfigurationError: an endpoint of the two does not serve the region.
        """
        return MachineClient(
            self._transport,
            self._authenticator,
            ims_url=self._endpoints.url_of("ims", self.region, home_region=self._home),
            ecs_url=self._endpoints.url_of("ecs", self.region, home_region=self._home),
        )

    @property
    def server_time(self) -> datetime | None:
        """Return the service's clock: the ``Date`` header of the newest answer as an aware UTC time, or None before the first."""
        return responses.parse_http_date(self._transport.newest_date)

    def close(self) -> None:
        """Close the connections. The client can still be used, it opens new ones."""
        self._transport.close()

    def __enter__(self) -> CbrClient:
        """Return the client."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self.close()
