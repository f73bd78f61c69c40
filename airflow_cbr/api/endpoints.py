"""Where requests go: checks of everything that becomes part of a URL, and the URLs of the services.

Dag params and connections fill region, cloud, ids and endpoints. A crafted one must not send a password or a signature to another
host, so each is matched in full before any URL is made from it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from airflow_cbr.api.ids import LABEL, check_given, check_region, shown
from airflow_cbr.exceptions import CbrConfigurationError, CbrParameterError

__all__ = [
    "DEFAULT_CLOUD",
    "SERVICES",
    "Endpoints",
    "Service",
    "check_cloud",
    "check_endpoint",
    "is_loopback",
]

DEFAULT_CLOUD: Final = "myhuaweicloud.com"
Service = Literal["cbr", "iam", "sts", "ims", "ecs"]
SERVICES: Final[tuple[Service, ...]] = get_args(Service)
"""The services that are asked; each has a field of :class:`Endpoints`, and an extra ``<service>_endpoint`` in the connection."""

# Patterns are compiled on first use.
_CLOUD: Final = rf"{LABEL}(?:\.{LABEL})*"
_ENDPOINT: Final = rf"[Hh][Tt][Tt][Pp][Ss]?://(?:{LABEL}(?:\.{LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?(?:/[A-Za-z0-9._~-]+)*/?"
_LONGEST_HOST: Final = 253


def check_cloud(value: object, parameter: str = "cloud") -> str:
    """Check a cloud's domain: dotted labels of a host name, such as ``myhuaweicloud.com``.

    :param value: what the user gave.
    :param parameter: the name to blame. Default: ``cloud``.
    :return: the value.
    :raises CbrParameterError: it is not a domain.
    """
    check_given(value, parameter, "a domain")
    if not isinstance(value, str) or not re.fullmatch(_CLOUD, value) or len(value) > _LONGEST_HOST:
        raise CbrParameterError(parameter, f"{shown(value)} is not a domain such as 'myhuaweicloud.com'.")
    return value


def check_endpoint(value: object, parameter: str) -> str:
    """Check an endpoint that replaces the public one.

    :param value: a URL of http or https with a host, perhaps a port and a path prefix, perhaps ``{region}`` in host or path.
    :param parameter: the name to blame.
    :return: the URL without a trailing slash and without a trailing ``/v3``, which the client adds itself.
    :raises CbrParameterError: it is not such a URL, or has user name, query or fragment.
    """
    example = value.replace("{region}", "region") if isinstance(value, str) else ""
    if not isinstance(value, str) or not re.fullmatch(_ENDPOINT, example) or not _is_sound(example):
        raise CbrParameterError(
            parameter,
            f"{shown(value)} is not an endpoint (http:// or https://, a host, perhaps a port, a path and '{{region}}'; "
            "no user name, query or fragment).",
        )
    return value.rstrip("/").removesuffix("/v3")


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine: ``localhost`` or a loopback address.

    :param url: a URL that :func:`check_endpoint` has accepted.
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Endpoints:
    """The addresses of CBR, IAM, STS, IMS and ECS in every region of one cloud.

    :param cloud: domain of the cloud. Default: ``myhuaweicloud.com``.
    :param cbr: endpoint that replaces ``https://cbr.{region}.{cloud}``; may contain ``{region}``. Default: none.
    :param iam: endpoint that replaces ``https://iam.{region}.{cloud}``; may contain ``{region}``. Default: none.
    :param sts: endpoint that replaces ``https://sts.{region}.{cloud}``; may contain ``{region}``. Default: none.
    :param ims: endpoint that replaces ``https://ims.{region}.{cloud}``; may contain ``{region}``. Default: none.
    :param ecs: endpoint that replaces ``https://ecs.{region}.{cloud}``; may contain ``{region}``. Default: none.
    :raises CbrParameterError: one of them cannot be right; the error names ``cloud``, ``cbr_endpoint``, ``iam_endpoint``,
        ``sts_endpoint``, ``ims_endpoint`` or ``ecs_endpoint``.
    """

    cloud: str = DEFAULT_CLOUD
    cbr: str | None = None
    iam: str | None = None
    sts: str | None = None
    ims: str | None = None
    ecs: str | None = None

    def __post_init__(self) -> None:
        check_cloud(self.cloud)
        for service in SERVICES:
            given = getattr(self, service)
            if given is not None:
                object.__setattr__(self, service, check_endpoint(given, f"{service}_endpoint"))

    def url_of(self, service: Service, region: str, *, home_region: str) -> str:
        """Return the base URL of a service in a region, without a trailing slash.

        :param service: the service, by the first label of its host name.
        :param region: the region to work in.
        :param home_region: the region of the connection, which an endpoint without ``{region}`` belongs to.
        :raises CbrConfigurationError: the endpoint has no ``{region}``, is not on this machine, and another region is asked for.
        """
        check_region(region)
        check_region(home_region, "home_region")
        override: str | None = getattr(self, service)
        if override is None:
            return f"https://{service}.{region}.{self.cloud}"
        if "{region}" not in override and region != home_region and not is_loopback(override):
            raise CbrConfigurationError(
                f"{service}_endpoint {override!r} serves one region ({home_region}), and {region!r} was asked for: "
                "the answer would be about the wrong region.",
                advice=f"Write '{{region}}' into {service}_endpoint where the region id stands, or use a connection of its own "
                f"for {region}.",
            )
        return override.replace("{region}", region)


def _is_sound(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - reading it is the check: urlsplit finds a port above 65535 only here
        if ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return len(host) <= _LONGEST_HOST and not {".", ".."} & set(parts.path.split("/"))
