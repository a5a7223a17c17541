"""What a connection says: parsed once, refused by name where it is wrong.

Takes the parts of an Airflow connection as plain values, so that it is tested without Airflow. Values may come as
strings: Airflow's connection form and URI connections deliver them so.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from airflow_provider_meetings.connection.network import ascii_host, check_proxies, is_loopback
from airflow_provider_meetings.connection.web_url import WebUrlTemplate
from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["BuilderPrimeSettings", "HiringCenterSettings", "Settings"]

#: Where HiringCenter is, by its overview page.
HIRINGCENTER_URL = "https://api.hiringcenterpro.com/v2"
#: Where a Builder Prime account is, by its reference page.
BUILDERPRIME_URL = "https://{subdomain}.builderprime.com/api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ABC):
    """What both vendors' connections have.

    Attributes:
        conn_id: The connection's id, for messages.
        base_url: Without a trailing slash.
        timeout: Seconds for one whole request.
        max_attempts: Sends of one request.
        max_wait: Seconds that a worker may sleep for the vendor within one call.
        verify: True, or the path of a CA bundle.
        proxies: By scheme, as ``requests`` takes them; empty means the environment's.
        web_url_template: Where a person looks at a meeting; None: nobody has said.
        max_parallel_requests: Requests that one task, or the triggerer, may have under way at once.
    """

    #: The connection's type.
    vendor: ClassVar[str]

    conn_id: str
    base_url: str
    timeout: float = 30.0
    max_attempts: int = 5
    max_wait: float = 60.0
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    web_url_template: WebUrlTemplate | None = None
    max_parallel_requests: int = 4

    @property
    def retry_limits(self) -> RetryLimits:
        """The part that the retry rules look at."""
        return RetryLimits(max_attempts=self.max_attempts, max_wait=self.max_wait, timeout=self.timeout)

    @abstractmethod
    def credentials(self, scope: str) -> Mapping[str, str]:
        """Return the headers that authenticate a request which needs ``scope``; an empty one takes the main key.

        Raises:
            MeetingsConfigurationError: The connection has no key for it.
        """

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """Every key, for the masker of the logs."""

    def with_keys_of(self, other: Self) -> Self:
        """Return these settings with another's keys."""
        keys = {name: getattr(other, name) for name in ("api_key", "keys") if hasattr(other, name)}
        return replace(self, **keys)

    def renews(self, other: Self, scope: str) -> bool:
        """Whether these are another's settings with a new key for a scope, and nothing else that is new."""
        same = type(self) is type(other) and other.with_keys_of(self) == self
        return same and self.credentials(scope) != other.credentials(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class HiringCenterSettings(Settings):
    """A ``hiringcenter`` connection."""

    vendor: ClassVar[str] = "hiringcenter"

    api_key: str = field(repr=False)
    update_method: str = "POST"
    idempotency_window: float = 86_400.0
    rate_limit_per_minute: int = 500
    rate_limit_per_hour: int = 10_000

    @classmethod
    def from_connection(cls, conn: Any) -> HiringCenterSettings:
        """Read an Airflow connection.

        Raises:
            MeetingsConfigurationError: Something in it is wrong; all problems are named at once.
        """
        form = _ConnectionReader(conn)
        host = form.host or HIRINGCENTER_URL
        if not form.password:
            form.problem("password", "is empty: it holds the API key")
        insecure = form.take("allow_insecure", _flag, default=False)
        values = {
            "base_url": form.url(
                host if "://" in host else f"https://{host}", insecure=insecure, endpoint="/v2/meetings"
            ),
            "api_key": form.password,
            "update_method": form.take("update_method", _one_of("POST", "PUT", "PATCH"), "POST"),
            "idempotency_window": form.take("idempotency_window", _positive, 86_400.0),
            "rate_limit_per_minute": form.take("rate_limit_per_minute", _count, 500),
            "rate_limit_per_hour": form.take("rate_limit_per_hour", _count, 10_000),
            **form.common(),
        }
        form.finish()
        return cls(**values)

    @property
    def rate_limits(self) -> tuple[tuple[int, float], ...]:
        """How many requests the key has within how many seconds."""
        return ((self.rate_limit_per_minute, 60.0), (self.rate_limit_per_hour, 3600.0))

    def credentials(self, scope: str) -> Mapping[str, str]:  # noqa: ARG002 - one key does everything here
        """``Authorization: Bearer <API key>``."""
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The one key."""
        return (self.api_key,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderPrimeSettings(Settings):
    """A ``builderprime`` connection. Its keys can be narrower than the account: one a kind of access."""

    vendor: ClassVar[str] = "builderprime"

    api_key: str = field(default="", repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_window_days: float = 31.0

    #: Which extra holds the key for which scope (the scopes are the reference page's).
    FIELD_OF_SCOPE = {  # noqa: RUF012 - a constant of the class, no field: it has no annotation
        "meetings.read": "read_api_key",
        "meetingtypes.read": "read_api_key",
        "meetingresults.read": "read_api_key",
        "employees.read": "read_api_key",
        "meetings.create": "create_api_key",
        "meetings.edit": "edit_api_key",
        "meetings.delete": "delete_api_key",
    }

    @classmethod
    def from_connection(cls, conn: Any) -> BuilderPrimeSettings:
        """Read an Airflow connection.

        Raises:
            MeetingsConfigurationError: Something in it is wrong; all problems are named at once.
        """
        form = _ConnectionReader(conn)
        insecure = form.take("allow_insecure", _flag, default=False)
        keys = {name: form.take(name, _text, "") for name in sorted(set(cls.FIELD_OF_SCOPE.values()))}
        if not form.password and not any(keys.values()):
            form.problem("password", "is empty, and so are the narrower keys in extra: one of them holds the API key")
        values = {
            "base_url": form.url(cls._address(form), insecure=insecure, suffix="/api", endpoint="/api/meetings/v1"),
            "api_key": form.password,
            "keys": {name: key for name, key in keys.items() if key},
            "max_window_days": form.take("max_window_days", _days, 31.0),
            **form.common(),
        }
        form.finish()
        return cls(**values)

    @staticmethod
    def _address(form: _ConnectionReader) -> str:
        if "://" in form.host:
            return form.host
        if not form.host:
            form.problem("host", "is empty: it holds the account's subdomain, such as acme")
        subdomain = form.host.removesuffix(".builderprime.com")
        plain = all(char.isascii() and (char.isalnum() or char == "-") for char in subdomain)
        if form.host and not (subdomain and plain):
            form.problem("host", "is neither a subdomain, such as acme, nor a URL that ends in /api")
            subdomain = ""
        return BUILDERPRIME_URL.format(subdomain=subdomain or "unknown")

    def field_of(self, scope: str) -> str:
        """Where in the connection the key for a scope stands."""
        name = self.FIELD_OF_SCOPE.get(scope, "")
        return f"extra `{name}`" if name in self.keys else "password"

    def credentials(self, scope: str) -> Mapping[str, str]:
        """``x-api-key``, with the narrowest key that is there for the scope."""
        key = self.keys.get(self.FIELD_OF_SCOPE.get(scope, ""), "") or self.api_key
        if not key and not scope:
            key = next(iter(self.keys.values()))
        if not key:
            raise MeetingsConfigurationError(
                f"Connection {self.conn_id!r} has no key for {scope}: "
                f"fill in the extra `{self.FIELD_OF_SCOPE[scope]}`, or the password with a key that has this scope."
            )
        return {"x-api-key": key}

    @property
    def secrets(self) -> tuple[str, ...]:
        """All keys that are there."""
        return tuple(key for key in (self.api_key, *self.keys.values()) if key)


class _ConnectionReader:
    """Reads a connection's fields and collects what is wrong with them, to be told at once."""

    def __init__(self, conn: Any) -> None:
        self.conn_id = conn.conn_id or ""
        self.host = (conn.host or "").strip()
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
        self._problems.append(f"{name} {text}")

    def take(self, name: str, read: Callable[[Any], Any], default: Any) -> Any:
        value = self._extra.pop(name, None)
        if value is None or value == "":
            return default  # the form saves fields that nobody filled in as null or blank
        try:
            return read(value)
        except (TypeError, ValueError) as error:
            self.problem(f"extra `{name}`", str(error))
            return default

    def common(self) -> dict[str, Any]:
        return {
            "conn_id": self.conn_id,
            "timeout": self.take("timeout", _positive, 30.0),
            "max_attempts": self.take("max_attempts", _count, 5),
            "max_wait": self.take("max_wait", _not_negative, 60.0),
            "verify": self.take("verify", _verify, default=True),
            "proxies": self.take("proxies", _proxies, {}),
            "web_url_template": self.take("web_url_template", WebUrlTemplate.parse, None),
            "max_parallel_requests": self.take("max_parallel_requests", _count, 4),
        }

    def url(self, url: str, *, insecure: bool, endpoint: str, suffix: str = "") -> str:
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
            self.problem("host", f"must end in {suffix}, such as https://acme.builderprime.com/api")
        try:
            netloc = parts.netloc
            if not netloc.isascii():
                netloc = ascii_host(host) + (f":{parts.port}" if parts.port else "")
        except ValueError:
            self.problem("host", "is no name that a host can have")
            return url
        return f"{parts.scheme}://{netloc}{path}"

    def finish(self) -> None:
        known = ", ".join(sorted(self._extra))
        if known:
            self.problem("extra", f"has keys that this connection type does not know: {known}")
        if self._problems:
            listed = "".join(f"\n  - {problem}" for problem in self._problems)
            raise MeetingsConfigurationError(f"Connection {self.conn_id!r} cannot be used:{listed}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or any(not 0x21 <= ord(char) <= 0x7E for char in value.strip()):  # noqa: PLR2004
        raise ValueError("must be a key of printable characters")
    return value.strip()


# Thirty years, in seconds: what is beyond makes the operating system's clocks overflow.
_LARGEST = 1_000_000_000


def _number(value: Any) -> float:
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


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError("must be above 0")
    return number


def _not_negative(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _days(value: Any) -> float:
    number = _number(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _count(value: Any) -> int:
    number = _number(value)
    if number < 1 or number != int(number):
        raise ValueError("must be a whole number of at least 1")
    return int(number)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError("must be true or false")


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value.strip().upper() in choices:
            return value.strip().upper()
        raise ValueError(f"must be one of {', '.join(choices)}")

    return read


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
