"""What an Airflow connection of type ``huaweicloud_cbr`` says, read into plain values.

Shared by the hook, which resolves the connection synchronously, and by the triggers, which await it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_cbr.api.endpoints import SERVICES, Endpoints, check_cloud
from airflow_cbr.api.ids import check_id, check_region
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError, CbrParameterError
from airflow_cbr.hooks.sign_in import AUTH_TYPES, WITH_A_LOGIN, SignInFields, credentials_of
from airflow_cbr.hooks.unknown_extras import unknown_extras, warn_of_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.airflow_names import Connection
    from airflow_cbr.api.auth import Credentials
    from airflow_cbr.api.client import CbrClient

__all__ = ["ConnectionFields", "check_connection"]

CONN_TYPES: Final = ("huaweicloud_cbr", "huaweicloud")
"""The package's own type, and the one that other packages for Huawei Cloud share; both keep an access key in login and password."""

_IN_A_URI: Final = "In a URI the type is written huaweicloud-cbr://, with a hyphen: a scheme cannot have an underscore."
_VERIFY: Final = "true, false, or the path of a file or folder with the certificates of authorities"


@dataclass(frozen=True, slots=True)
class ConnectionFields:
    """The fields of a connection, checked.

    :param conn_id: the connection's id, for messages.
    :param auth_type: ``aksk``, ``password``, or the word of a source of keys that nobody has to keep.
    :param login: access key, or IAM user name; empty with the others.
    :param password: secret key, or IAM password; empty with the others.
    :param domain_name: account name; only with ``password``.
    :param region: the connection's own region.
    :param project_id: the connection's own project, if it names one.
    :param security_token: with temporary keys.
    :param endpoints: domain suffix and endpoint overrides.
    :param verify: TLS verification: True, False, or the path of a CA bundle.
    :param sign_in: the extras by which a source of keys, or an agency, is described. Default: none.
    :param console: host name of the console that links lead to. Default: the one of the cloud.
    :param unknown: what is said of keys of the extra that mean nothing. Default: there are none.
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
    sign_in: SignInFields = field(default_factory=SignInFields)
    console: str | None = None
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any] | None = None) -> ConnectionFields:
        """Read a connection.

        :param connection: the Airflow connection.
        :param extra: its parsed extra. Default: ``connection.extra_dejson``, which may talk to Airflow's supervisor.
        :raises CbrConfigurationError: when the type is another, the extra cannot be read, or a field is missing or cannot be right; the
            message names it.
        """
        check_connection(connection)
        conn_id, login, host = connection.conn_id, connection.login, getattr(connection, "host", None)
        password = _secret(conn_id, "password", connection.password)
        is_shared = getattr(connection, "conn_type", CONN_TYPES[0]) != CONN_TYPES[0]
        fields = _blind(_fields(conn_id, connection.extra_dejson if extra is None else extra))
        # What holds them in the clear must not stay in a frame that an error leaves behind.
        del connection, extra

        def text(name: str) -> str | None:
            value = fields.get(name)
            if value is not None and not isinstance(value, str):
                raise CbrConfigurationError(f"Connection {conn_id}: extra {name} must be a string, not {type(value).__name__}.")
            value = value.strip() if value is not None else ""
            if value in ("None", "null"):
                raise CbrConfigurationError(
                    f"Connection {conn_id}: extra {name} is the string {value!r}: whatever filled it in had no value.",
                    advice="Leave it out.",
                )
            return value or None

        def seconds(name: str) -> str | None:
            value = fields.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            return text(name)

        if not isinstance(fields["security_token"], Secret | None):
            text("security_token")
        auth_type = text("auth_type") or "aksk"
        if auth_type not in AUTH_TYPES:
            raise CbrConfigurationError(
                f"Connection {conn_id}: extra auth_type must be one of {', '.join(AUTH_TYPES)}, not {ascii(auth_type)[:40]}."
            )
        if auth_type not in WITH_A_LOGIN:
            # Whoever signs in otherwise sends neither.
            login, password = "", Secret("")
        elif not login or not password:
            names = "login (access key) and password (secret key)" if auth_type == "aksk" else "login (IAM user name) and password"
            raise CbrConfigurationError(f"Connection {conn_id}: {names} are both required.", advice="Set both in the connection.")
        domain_name = text("domain_name")
        _check_characters(conn_id, "login", _secret(conn_id, "login", login))
        _check_characters(conn_id, "password", password)
        if domain_name and not (domain_name.isprintable() and _is_text(domain_name)):
            raise CbrConfigurationError(f"Connection {conn_id}: extra domain_name contains a character that cannot be sent.")
        if auth_type == "password" and not domain_name:
            raise CbrConfigurationError(f"Connection {conn_id}: extra domain_name (account name) is required for auth_type password.")
        region, project_id, cloud = text("region"), text("project_id"), text("cloud") or "myhuaweicloud.com"
        try:
            if region:
                check_region(region)
            if project_id:
                check_id(project_id, "project_id")
            services = {service: text(f"{service}_endpoint") for service in SERVICES}
            endpoints = Endpoints(cloud=check_cloud(cloud), **services)
            settings = {name: seconds(name) if name == "agency_duration" else text(name) for name in SignInFields.names()}
            console = text("console")
            if console:
                check_cloud(console, "console")
            sign_in = SignInFields.checked(settings, auth_type=auth_type, is_temporary=bool(fields["security_token"]))
        except CbrParameterError as error:
            raise CbrConfigurationError(f"Connection {conn_id}: extra {error.message}", advice=error.advice) from error
        if host and endpoints.cbr is None:
            raise _unused_host(conn_id, endpoints)
        # Other packages have keys of their own in a connection that they share.
        unknown = () if is_shared else tuple(unknown_extras(fields))
        warn_of_unknown(conn_id, unknown)
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
            sign_in=sign_in,
            console=console,
            unknown=unknown,
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
        :param on_secret: called with each secret that is derived, so that it can be masked.
        :param options: ``connect_timeout``, ``read_timeout`` and ``retry_budget`` of the client, in seconds, and its ``on_throttled``.
        :raises CbrConfigurationError: when neither the caller nor the connection names a region, or a field cannot be right.
        :raises CbrParameterError: when the caller's region or project cannot be right.
        """
        from airflow_cbr.api.client import CbrClient

        # Empty text is no None: it would go unseen where the connection's own stands in for None.
        if region is not None:
            check_region(region)
        if project_id is not None:
            check_id(project_id, "project_id")
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
            return CbrClient(
                self.credentials,
                region=region,
                project_id=project_id or own_project,
                home_region=home,
                endpoints=self.endpoints,
                verify=self.verify,
                **options,
            )
        except CbrConfigurationError as error:
            raise CbrConfigurationError(f"Connection {self.conn_id}: {error.message}", advice=error.advice) from error

    @property
    def credentials(self) -> Credentials:
        """Return who asks.

        :raises CbrConfigurationError: a key or a user cannot be right.
        """
        return credentials_of(
            self.sign_in,
            auth_type=self.auth_type,
            login=self.login,
            password=self.password,
            domain_name=self.domain_name,
            security_token=self.security_token,
        )

    @property
    def account(self) -> str:
        """Return whose requests the service counts, as far as the fields tell; never a secret."""
        return self.sign_in.account or self.domain_name or self.login or self.auth_type


def check_connection(connection: Connection) -> None:
    """Check that a connection is meant for CBR and that its extra can be read, before any of its secrets goes anywhere.

    Airflow reads an extra that is no JSON as if there were none, and hands on one that is no object.

    :param connection: the Airflow connection.
    :raises CbrConfigurationError: when it is of another type, or its extra is no JSON object; nothing of it is quoted.
    """
    conn_id, conn_type = connection.conn_id, getattr(connection, "conn_type", CONN_TYPES[0])
    wrong = _wrong_with_text(conn_id, getattr(connection, "extra", None))
    del connection
    if not conn_type:
        raise CbrConfigurationError(
            f"Connection {conn_id} has no readable connection type.", advice=f"{_IN_A_URI} Elsewhere it is {CONN_TYPES[0]}."
        )
    if conn_type not in CONN_TYPES:
        raise CbrConfigurationError(
            f"Connection {conn_id} is of type {str(conn_type)[:40]!r}, so its login is not sent to Huawei Cloud.",
            advice=f"Name a connection of type {' or '.join(CONN_TYPES)}. {_IN_A_URI}",
        )
    if wrong is not None:
        raise wrong


def _wrong_with_text(conn_id: str, extra: Any) -> CbrConfigurationError | None:
    """Return what is wrong with an extra as it is stored; the error is not raised here, where its frame would hold the text."""
    if not isinstance(extra, str) or not extra:
        return None
    try:
        content = json.loads(extra)
    except (ValueError, RecursionError):
        return CbrConfigurationError(
            f"Connection {conn_id}: extra is not JSON.",
            advice='Write an object with its keys in double quotes: {"region": "cn-north-4"}.',
        )
    return None if isinstance(content, Mapping) else _no_object(conn_id, content)


def _no_object(conn_id: str, extra: Any) -> CbrConfigurationError:
    kind = {str: "a string", list: "a list", type(None): "null", bool: "a boolean"}.get(type(extra), f"a {type(extra).__name__}")
    encoded = isinstance(extra, str) and extra.lstrip().startswith("{")
    return CbrConfigurationError(
        f"Connection {conn_id}: extra must be a JSON object, but is {kind}{' that contains JSON' if encoded else ''}.",
        advice="Encode it only once: the extra is the object itself, not a string that contains it."
        if encoded
        else "Write it as an object with one key for each field.",
    )


def _fields(conn_id: str, extra: Any) -> dict[str, Any]:
    """Return the fields of an extra that was read."""
    if isinstance(extra, Mapping):
        return dict(extra)
    error = _no_object(conn_id, extra)
    del extra
    raise error


def _unused_host(conn_id: str, endpoints: Endpoints) -> CbrConfigurationError:
    """Return the refusal of an address that would not be used, before the login goes to the public one instead."""
    return CbrConfigurationError(
        f"Connection {conn_id} has a host, which is not used: requests would go to {endpoints.cloud}.",
        advice="If they should, leave host empty. If not, write the address into extra cbr_endpoint, and IAM's into iam_endpoint, each "
        "with http:// or https://.",
    )


def _secret(conn_id: str, name: str, value: Any) -> Secret:
    if isinstance(value, str | None):
        return Secret(value or "")
    kind = type(value).__name__
    del value
    raise CbrConfigurationError(
        f"Connection {conn_id}: {name} must be a string, not {kind}.", advice="Put it in quotes where the connection is defined."
    )


def _check_characters(conn_id: str, name: str, value: Secret) -> None:
    """Refuse a login or password that no service would take: such a one is a try that counts for the lock, or cannot be sent at all."""
    if not value.reveal().isascii() or not value.reveal().isprintable():
        has_line_end = "\n" in value.reveal() or "\r" in value.reveal()
        reason = "a line end" if has_line_end else "a control character" if value.reveal().isascii() else "a character outside ASCII"
        raise CbrConfigurationError(
            f"Connection {conn_id}: {name} contains {reason}, which is not allowed in a key or a password.",
            advice="Enter it again; a value read from a file often ends with a line end.",
        )


def _is_text(value: str) -> bool:
    """Return whether it can be encoded: JSON can hold half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _blind(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an extra, with the security token as a secret, or None."""
    fields = dict(extra)
    token = fields.pop("security_token", None)
    fields["security_token"] = (Secret(token.strip()) if token.strip() else None) if isinstance(token, str) else token
    return fields


def _verify(conn_id: str, value: Any) -> bool | str:
    """Read extra ``verify``: the form sends text, JSON may hold a boolean. Nothing but an explicit false is one."""
    if value is None or isinstance(value, bool):
        return value is not False
    if isinstance(value, str):
        word = value.strip()
        if word.lower() in ("", "true", "false"):
            return word.lower() != "false"
        try:
            if os.path.exists(word):
                return word
        except ValueError:
            pass
        word = ascii(word if len(word) <= 80 else f"{word[:77]}...")
        raise CbrConfigurationError(f"Connection {conn_id}: extra verify must be {_VERIFY}; {word} does not exist.")
    raise CbrConfigurationError(f"Connection {conn_id}: extra verify must be {_VERIFY}, not {type(value).__name__}.")
