"""Reads an Airflow connection: its fields and extras, and what is wrong with them, all in one error.

Takes the parts of a connection as plain values, so that it is tested without Airflow. Values may come as strings:
Airflow's connection form and URI connections deliver them so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_meetings.connection.form import VendorInfo
from airflow_provider_meetings.connection.network import ascii_host, check_proxies, is_loopback
from airflow_provider_meetings.connection.web_url import WebUrlTemplate
from airflow_provider_meetings.core.json_text import whole_text
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = [
    "ConnectionReader",
    "read_count",
    "read_flag",
    "read_key",
    "read_not_negative",
    "read_number",
    "read_one_of",
    "read_positive",
]


class ConnectionReader:
    """Reads a connection's fields and collects what is wrong with them, for one error.

    Args:
        conn: The connection: an Airflow one, or what looks like it.
        info: The vendor's, which has the defaults of the extras.
    """

    def __init__(self, conn: Any, info: VendorInfo) -> None:
        self._info = info
        self.conn_id = conn.conn_id or ""
        self.host = (conn.host or "").strip()
        #: What the author most probably means where the host is wrong: set by the vendor's settings; no secret.
        self.meant_host = ""
        self.password = (conn.password or "").strip()
        self._problems: list[str] = []
        self._prefix = f"extra__{getattr(conn, 'conn_type', None)}__"
        self._extra = self._decode(conn.extra)
        for name in ("login", "port", "schema"):
            if getattr(conn, name, None):
                self.problem(name, "is not used by this connection type: the whole address goes into host")
        if any(not 0x21 <= ord(char) <= 0x7E for char in self.password):  # noqa: PLR2004 - what a header can carry
            self.problem("password", "holds characters that no API key has: was it pasted with a line break?")

    def _decode(self, extra: Any) -> dict[str, Any]:
        if not extra:
            return {}
        try:
            decoded = json.loads(extra) if isinstance(extra, str) else extra
        except ValueError:
            decoded = None
        if isinstance(decoded, dict):
            return self._without_prefix(decoded)
        self.problem("extra", "is not a JSON object")
        return {}

    def _without_prefix(self, extra: dict[str, Any]) -> dict[str, Any]:
        """Take the prefix off that older forms, and URIs written for them, put before a field's name."""
        older = {
            name.removeprefix(self._prefix): value for name, value in extra.items() if name.startswith(self._prefix)
        }
        plain = {name: value for name, value in extra.items() if not name.startswith(self._prefix)}
        return plain | {name: value for name, value in older.items() if plain.get(name) in (None, "")}

    def problem(self, name: str, text: str) -> None:
        """Note what is wrong with a field."""
        if name == "host" and self.meant_host:
            text += f"; write {self.meant_host}"
        self._problems.append(f"{name} {text}")

    def take(self, name: str, read: Callable[[Any], Any], empty: Any = None) -> Any:
        """Return an extra; where it is not given the form's default, and where the form has none ``empty``."""
        default = self._info.default(name)
        default = empty if default is None else read(default)
        value = self._extra.pop(name, None)
        if value is None or value == "":
            return default  # the form saves empty fields as null or blank
        try:
            return read(value)
        except (TypeError, ValueError) as error:
            self.problem(f"extra `{name}`", str(error))
            return default

    def common(self) -> dict[str, Any]:
        """Read what the connections of every vendor have."""
        return {
            "conn_id": self.conn_id,
            "timeout": self.take("timeout", read_positive),
            "max_attempts": self.take("max_attempts", read_count),
            "max_wait": self.take("max_wait", read_not_negative),
            "verify": self.take("verify", _verify),
            "proxies": self.take("proxies", _proxies, {}),
            "web_url_template": self.take("web_url_template", WebUrlTemplate.parse),
            "max_parallel_requests": self.take("max_parallel_requests", read_count),
        }

    def url(self, url: str, *, endpoint: str, suffix: str = "", example: str = "") -> str:
        """Return the base URL.

        Args:
            url: As it was given.
            endpoint: The path of the list, below the host: cut off where it was pasted from the vendor's page.
            suffix: What the path must end in.
            example: A URL that does, for the message.
        """
        insecure = self.take("allow_insecure", read_flag)
        try:
            parts = urlsplit(url.strip())
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            self.problem("host", "is not a URL")
            return url
        path = parts.path.rstrip("/")
        if path.endswith(endpoint):
            path = path.removesuffix(endpoint) + endpoint[: endpoint.index("/", 1)]  # pasted from the page
        if parts.scheme not in {"http", "https"} or not host:
            self.problem("host", "must be an https:// URL")
        elif parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            self.problem("host", "must be a bare URL, without user, query or fragment")
        elif any(not 0x21 <= ord(char) <= 0x7E for char in path):  # noqa: PLR2004 - what a request's first line can carry
            self.problem("host", "holds characters in its path that have to be written as %20 and the like")
        elif parts.scheme == "http" and not insecure and not is_loopback(host):
            self.problem("host", "is plain http://, so the key would cross the network in the clear: use https://, "
                         "or set extra `allow_insecure` to true if that network is yours")  # fmt: skip
        elif not path.endswith(suffix):
            self.problem("host", f"must end in {suffix}, such as {example}")
        try:
            netloc = parts.netloc
            if not netloc.isascii():
                netloc = ascii_host(host) + (f":{parts.port}" if parts.port else "")
        except ValueError:
            self.problem("host", "is no name that a host can have")
            return url
        return f"{parts.scheme}://{netloc}{path}"

    def finish(self) -> None:
        """End the reading.

        Raises:
            MeetingsConfigurationError: Something is wrong; every problem is named.
        """
        known = ", ".join(sorted(self._extra))
        if known:
            self.problem("extra", f"has keys that this connection type does not know: {known}")
        if self._problems:
            listed = "".join(f"\n  - {problem}" for problem in self._problems)
            raise MeetingsConfigurationError(whole_text(f"Connection {self.conn_id!r} cannot be used:{listed}"))


def read_key(value: Any) -> str:
    """Read an API key."""
    if not isinstance(value, str) or any(not 0x21 <= ord(char) <= 0x7E for char in value.strip()):  # noqa: PLR2004
        raise ValueError("must be a key of printable characters")
    return value.strip()


# Thirty years, in seconds: what is beyond makes the operating system's clocks overflow.
_LARGEST = 1_000_000_000


def read_number(value: Any) -> float:
    """Read a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("must be a number") from None
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - how NaN shows itself
        raise ValueError("must be a finite number")
    if number > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST:_}")
    return number


def read_positive(value: Any) -> float:
    """Read a number above 0."""
    number = read_number(value)
    if number <= 0:
        raise ValueError("must be above 0")
    return number


def read_not_negative(value: Any) -> float:
    """Read a number of at least 0."""
    number = read_number(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def read_count(value: Any) -> int:
    """Read a whole number of at least 1."""
    number = read_number(value)
    if number < 1 or number != int(number):
        raise ValueError("must be a whole number of at least 1")
    return int(number)


def read_flag(value: Any) -> bool:
    """Read a truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError("must be true or false")


def read_one_of(*choices: str) -> Callable[[Any], str]:
    """Return what reads one of a few words, in upper case."""

    def read(value: Any) -> str:
        if isinstance(value, str) and value.strip().upper() in choices:
            return value.strip().upper()
        raise ValueError(f"must be one of {', '.join(choices)}")

    return read


def read_redis(value: Any) -> str:
    """Read the address of a Redis. The error does not repeat it: it may hold a password."""
    address = value.strip() if isinstance(value, str) else ""
    parts = urlsplit(address)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError("must be the address of a Redis, such as redis://host:6379/1")
    return address


def _verify(value: Any) -> bool | str:
    if value is True or (isinstance(value, str) and value.strip().lower() == "true"):
        return True
    if value is False or (isinstance(value, str) and value.strip().lower() == "false"):
        raise ValueError("cannot be switched off: give the path of the CA bundle that signs for the host")
    if not isinstance(value, str) or not os.path.exists(value):  # noqa: PTH110 - a path as requests takes it
        raise ValueError(f"must be true or the path of a CA bundle; there is no {value!r} on this machine")
    return value


def _proxies(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError('must be a JSON object, such as {"https": "http://proxy:3128"}') from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ValueError('must be a JSON object, such as {"https": "http://proxy:3128"}')
    check_proxies(value)
    return dict(value)
