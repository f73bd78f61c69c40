"""What an Airflow connection of type ``huaweicloud_cbr`` says, read into plain values.

Shared by the hook, which resolves the connection synchronously, and by the triggers, which await it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cbr.api.endpoints import Endpoints, check_cloud, check_id, check_region
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError, CbrParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.providers.common.compat.sdk import Connection

    from airflow_cbr.api.client import CbrClient

__all__ = ["ConnectionFields"]


@dataclass(frozen=True, slots=True)
class ConnectionFields:
    """The fields of a connection, checked.

    :param conn_id: the connection's id, for messages.
    :param auth_type: ``aksk`` or ``password``.
    :param login: access key, or IAM user name.
    :param password: secret key, or IAM password.
    :param domain_name: account name; only with ``password``.
    :param region: the connection's own region.
    :param project_id: the connection's own project, if it names one.
    :param security_token: with temporary keys.
    :param endpoints: domain suffix and endpoint overrides.
    :param verify: TLS verification: True, False, or the path of a CA bundle.
    """

    conn_id: str
    auth_type: str
    login: str = field(repr=False)
    password: Secret
    domain_name: str | None
    region: str | None
    project_id: str | None
    security_token: Secret | None
    endpoints: Endpoints
    verify: bool | str

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any] | None = None) -> ConnectionFields:
        """Read a connection.

        :param connection: the Airflow connection.
        :param extra: its parsed extra. Default: ``connection.extra_dejson``, which may talk to Airflow's supervisor.
        :raises CbrConfigurationError: when a field is missing or cannot be right; the message names it.
        """
        conn_id, login, password = connection.conn_id, connection.login, Secret(connection.password or "")
        fields = _blind(connection.extra_dejson if extra is None else extra)
        # What holds them in the clear must not stay in a frame that an error leaves behind.
        del connection, extra

        def text(name: str) -> str | None:
            value = fields.get(name)
            if value is not None and not isinstance(value, str):
                raise CbrConfigurationError(f"Connection {conn_id}: extra {name} must be text, not {type(value).__name__}.")
            return value.strip() or None if value is not None else None

        if not isinstance(fields["security_token"], Secret | None):
            text("security_token")
        auth_type = text("auth_type") or "aksk"
        if auth_type not in ("aksk", "password"):
            raise CbrConfigurationError(f"Connection {conn_id}: extra auth_type must be aksk or password, not {auth_type!r}.")
        if not login or not password:
            names = "login (access key) and password (secret key)" if auth_type == "aksk" else "login (IAM user name) and password"
            raise CbrConfigurationError(f"Connection {conn_id}: {names} are both required.", advice="Fill them in in the connection form.")
        domain_name = text("domain_name")
        if auth_type == "password" and not domain_name:
            raise CbrConfigurationError(f"Connection {conn_id}: extra domain_name (account name) is required for auth_type password.")
        region, project_id, cloud = text("region"), text("project_id"), text("cloud") or "myhuaweicloud.com"
        try:
            if region:
                check_region(region)
            if project_id:
                check_id(project_id, "project_id")
            endpoints = Endpoints(cloud=check_cloud(cloud), cbr=text("cbr_endpoint"), iam=text("iam_endpoint"))
        except CbrParameterError as error:
            raise CbrConfigurationError(f"Connection {conn_id}: extra {error.message}", advice=error.advice) from error
        return cls(
            conn_id=conn_id,
            auth_type=auth_type,
            login=login,
            password=password,
            domain_name=domain_name,
            region=region,
            project_id=project_id,
            security_token=fields["security_token"],
            endpoints=endpoints,
            verify=_verify(conn_id, fields.get("verify")),
        )

    def client(
        self,
        *,
        region: str | None = None,
        project_id: str | None = None,
        on_secret: Callable[[str], None] | None = None,
        **options: Any,
    ) -> CbrClient:
        """Return a client with these credentials.

        :param region: region id. Default: the connection's own.
        :param project_id: project in that region. Default: the connection's own in its own region, else looked up in IAM.
        :param on_secret: told each secret that is derived, so that it can be masked.
        :param options: ``connect_timeout``, ``read_timeout`` and ``retry_budget`` of the client, in seconds.
        :raises CbrConfigurationError: when neither the caller nor the connection names a region, or a field cannot be right.
        """
        from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
        from airflow_cbr.api.client import CbrClient

        home = self.region or region
        if home is None:
            raise CbrConfigurationError(
                f"Connection {self.conn_id} names no region, and neither does the task.",
                advice="Set extra region, for example cn-north-4.",
            )
        region = region or home
        own_project = self.project_id if region == self.region else None
        if on_secret is not None:
            options["on_secret"] = on_secret
        try:
            credentials = (
                AkSkCredentials(self.login, self.password, self.security_token)
                if self.auth_type == "aksk"
                else PasswordCredentials(self.login, self.password, self.domain_name or "")
            )
            return CbrClient(
                credentials,
                region=region,
                project_id=project_id or own_project,
                home_region=home,
                endpoints=self.endpoints,
                verify=self.verify,
                **options,
            )
        except CbrConfigurationError as error:
            raise CbrConfigurationError(f"Connection {self.conn_id}: {error.message}", advice=error.advice) from error


def _blind(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an extra, with the security token as a secret, or None."""
    fields = dict(extra)
    token = fields.pop("security_token", None)
    fields["security_token"] = (Secret(token.strip()) if token.strip() else None) if isinstance(token, str) else token
    return fields


def _verify(conn_id: str, value: Any) -> bool | str:
    """Read extra ``verify``: the form sends text, JSON may hold a boolean."""
    if value is None or value == "":
        return True
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value.strip())
    raise CbrConfigurationError(f"Connection {conn_id}: extra verify must be true, false, or the path of a CA bundle.")
