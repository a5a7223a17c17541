"""What a Builder Prime connection says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_meetings.connection.builderprime_info import INFO
from airflow_provider_meetings.connection.reader import ConnectionReader, read_key, read_number
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["BuilderPrimeSettings"]

# Where an account is, by the reference page.
_URL = "https://{subdomain}.builderprime.com/api"
# What people paste from the browser or the reference page, or write half: the account's subdomain is in it.
_ACCOUNT = re.compile(
    r"(?:https?:/*)?(?:([A-Z0-9-]+)\.builderprime\.com\.?(?::\d+)?(?:/.*)?|([A-Z0-9-]+)(?:/api(?:/.*)?|/))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderPrimeSettings(Settings):
    """A ``builderprime`` connection. Its keys can be narrower than the account: one a kind of access."""

    vendor: ClassVar[str] = "builderprime"
    key_attributes: ClassVar[tuple[str, ...]] = ("api_key", "keys")

    api_key: str = field(default="", repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_window_days: float = float(INFO.default("max_window_days"))

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
        form = ConnectionReader(conn, INFO)
        if account := _ACCOUNT.fullmatch(form.host):
            form.meant_host = (account[1] or account[2]).lower()
        keys = {name: form.take(name, read_key, "") for name in sorted(set(cls.FIELD_OF_SCOPE.values()))}
        if not form.password and not any(keys.values()):
            form.problem("password", "is empty, and so are the narrower keys in extra: one of them holds the API key")
        values = {
            "base_url": form.url(
                cls._address(form),
                suffix="/api",
                endpoint="/api/meetings/v1",
                example="https://acme.builderprime.com/api",
            ),
            "api_key": form.password,
            "keys": {name: key for name, key in keys.items() if key},
            "max_window_days": form.take("max_window_days", _days),
            **form.common(),
        }
        form.finish()
        return cls(**values)

    @staticmethod
    def _address(form: ConnectionReader) -> str:
        if "://" in form.host:
            return form.host
        if not form.host:
            form.problem("host", "is empty: it holds the account's subdomain, such as acme")
        subdomain = form.host.removesuffix(".builderprime.com")
        plain = all(char.isascii() and (char.isalnum() or char == "-") for char in subdomain)
        if form.host and not (subdomain and plain):
            form.problem("host", "is neither a subdomain, such as acme, nor a URL that ends in /api")
            subdomain = ""
        return _URL.format(subdomain=subdomain or "unknown")

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


def _days(value: Any) -> float:
    days = read_number(value)
    if days < 1:
        raise ValueError("must be at least 1")
    return days
