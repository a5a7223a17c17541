"""Hosts and proxies as a connection names them: checked without a socket, and never shown with a password."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Proxy", "ascii_host", "check_proxies", "is_loopback"]

# What `proxies` may be keyed by, as in requests: a scheme, or a scheme and a host.
_PROXY_KEY = re.compile(r"(?:https?|all)(?:://[^/\s]+)?")
_VISIBLE = re.compile(r"[\x21-\x7e\x80-\U0010ffff]+")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: ``localhost`` and below, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or bool(mapped and mapped.is_loopback)


def ascii_host(host: str) -> str:
    """Return a host as it goes over the wire: an internationalized name in punycode.

    Raises:
        ValueError: It is no name that a host can have.
    """
    if host.isascii():
        return host
    from yarl import URL  # noqa: PLC0415 - few hosts need it

    return URL.build(scheme="https", host=host).raw_host or host


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, without and with what authenticates us there.

    Attributes:
        url: ``http://host:port`` or ``https://host:port``; no user in it.
        authorization: The value of the header ``Proxy-Authorization``; None: the address names no user.
        source: Where it is named, for messages.
    """

    url: str
    authorization: str | None = field(default=None, repr=False)
    source: str = field(default="", compare=False)

    @classmethod
    def parse(cls, address: str) -> Proxy:
        """Read a proxy's address, as in ``http://user:password@proxy.example.com:3128``.

        Raises:
            ValueError: It is none. The text does not repeat the address: there may be a password in it.
        """
        address = address.strip()
        if "://" not in address:
            address = f"http://{address}"
        if not _VISIBLE.fullmatch(address):
            raise ValueError("holds blanks or control characters")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(_NO_ADDRESS) from None
        if parts.scheme not in {"http", "https"}:
            raise ValueError("must begin with http:// or https://: other kinds of proxies are not supported")
        if not host or port == 0 or parts.path not in {"", "/"} or any(mark in address for mark in "?#\\"):
            raise ValueError(_NO_ADDRESS)
        try:
            host = ascii_host(host)
        except ValueError:
            raise ValueError(_NO_ADDRESS) from None
        if ":" not in host and not re.fullmatch(r"[A-Za-z0-9._-]+", host):
            raise ValueError(_NO_ADDRESS)
        host = f"[{host}]" if ":" in host else host
        return cls(f"{parts.scheme}://{host}{f':{port}' if port else ''}", _authorization(parts))


_NO_ADDRESS = (
    "is not an address such as http://user:password@proxy.example.com:3128; "
    "in a user or a password, write # as %23, / as %2F, ? as %3F and @ as %40"
)


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None and parts.password is None:
        return None
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(credentials.encode('utf-8', 'replace')).decode()}"


def check_proxies(proxies: Mapping[str, str]) -> None:
    """Check a connection's ``proxies``.

    Raises:
        ValueError: A key is none that requests knows, or an address is none; says which key, never the address.
    """
    for key, address in proxies.items():
        if not _PROXY_KEY.fullmatch(key):
            raise ValueError(f"has the key {key!r}: it must be http, https or all, in lower case and without ://")
        try:
            Proxy.parse(address)
        except ValueError as error:
            raise ValueError(f"has an address for {key} that {error}") from None
