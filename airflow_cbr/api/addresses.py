"""Addresses that a process is given, and that hand out keys: followed to this machine, or to where TLS says who answers.

What stands in an environment variable or a connection must not lead a token elsewhere. Plain http is good enough where no name is resolved
and no router passes anything on: on loopback and link-local addresses.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from airflow_cbr.exceptions import CbrParameterError

__all__ = ["check_address", "is_link_local", "is_on_this_link"]

_ADDRESS: Final = (
    r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?(?:\?[A-Za-z0-9._~=&/-]*)?"
)


def check_address(value: str, parameter: str, *, secure: bool = False) -> str:
    """Check an address that hands out keys.

    :param value: the address.
    :param parameter: the name to blame.
    :param secure: whether https leads anywhere; otherwise the address must be loopback or link-local. Default: False.
    :return: the address.
    :raises CbrParameterError: it leads elsewhere, or is no address.
    """
    if re.fullmatch(_ADDRESS, value) and _has_port(value) and ((secure and value.startswith("https://")) or is_on_this_link(value)):
        return value
    places = "loopback, link-local (169.254.0.0/16, fe80::/10)" + (" or of https" if secure else "")
    shown = re.sub("//.*@", "//***@", ascii(value))[:80]
    raise CbrParameterError(
        parameter,
        f"{shown} is not followed: the address must be {places}, so that no token and no key goes elsewhere.",
        advice="Correct it. It is one that the platform gives, and seldom needs to be set by hand.",
    )


def is_on_this_link(url: str) -> bool:
    """Return whether a URL's host is a loopback or link-local address, or ``localhost``.

    :param url: a URL.
    """
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local


def is_link_local(url: str) -> bool:
    """Return whether a URL's host is a link-local address.

    :param url: a URL.
    """
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_link_local
    except ValueError:
        return False


def _has_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - reading it is the check
    except ValueError:
        return False
    return True
