"""Which proxy a request goes through: the connection's, else the environment's; the same for both transports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_meetings.connection.network import Proxy, is_loopback
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["proxy_for"]


def proxy_for(url: str, proxies: Mapping[str, str], conn_id: str) -> Proxy | None:
    """Choose the proxy for an address; None: the request goes there directly.

    What the environment says (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, in either case) has no say
    where the connection names a proxy, nor for this machine itself: the key would leave it in clear.

    Args:
        url: Where the request goes.
        proxies: The connection's ``proxies``, by scheme.
        conn_id: The connection, for the error.

    Raises:
        MeetingsConfigurationError: The proxy's address is wrong. The text does not repeat it.
    """
    address = select_proxy(url, dict(proxies))
    source = f"the `proxies` of connection {conn_id!r}"
    if not proxies:
        parts = urlsplit(url)
        if is_loopback(parts.hostname or ""):
            return None
        address = select_proxy(url, get_environ_proxies(url))
        source = f"the environment's {_variable(parts.scheme)}"
    if not address:
        return None
    try:
        return replace(Proxy.parse(address), source=source)
    except ValueError as error:
        raise MeetingsConfigurationError(
            f"Connection {conn_id!r} cannot be used: the address of the proxy in {source} {error}. Nothing was sent."
        ) from None


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", "all_proxy")
    found = (name for lower in names for name in (lower, lower.upper()) if os.environ.get(name))
    return next(found, names[0].upper())
