"""What a HiringCenter connection says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from airflow_provider_meetings.connection.hiringcenter_info import INFO, URL
from airflow_provider_meetings.connection.reader import (
    ConnectionReader,
    read_count,
    read_one_of,
    read_positive,
    read_redis,
)
from airflow_provider_meetings.connection.settings import Settings

__all__ = ["HiringCenterSettings"]

# What people paste from the reference page, or write half; and what of that means the API.
_API = re.escape(URL.removeprefix("https://").partition("/")[0])
_PASTED = re.compile(rf"(?:https?:/*)?{_API}(?::\d+)?(?:/[^?#]*)?", re.IGNORECASE)
_KNOWN = re.compile(rf"(?:https?://)?{_API}(?::\d+)?/v2(?:/meetings)?/*", re.IGNORECASE)
_NO_SCHEME = re.compile(r"https?(?::(?!//)|/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HiringCenterSettings(Settings):
    """A ``hiringcenter`` connection."""

    vendor: ClassVar[str] = "hiringcenter"
    idempotency_header: ClassVar[str] = "X-Idempotency-Key"

    api_key: str = field(repr=False)
    update_method: str = INFO.default("update_method")
    idempotency_window: float = float(INFO.default("idempotency_window"))
    rate_limit_per_minute: int = INFO.default("rate_limit_per_minute")
    rate_limit_per_hour: int = INFO.default("rate_limit_per_hour")

    @classmethod
    def from_connection(cls, conn: Any) -> HiringCenterSettings:
        """Read an Airflow connection.

        Raises:
            MeetingsConfigurationError: Something in it is wrong; all problems are named at once.
        """
        form = ConnectionReader(conn, INFO)
        host = form.host or URL
        if _PASTED.fullmatch(host):
            form.meant_host = URL
            if not _KNOWN.fullmatch(host):
                form.problem("host", "is not HiringCenter's base URL")
        elif _NO_SCHEME.match(host):
            form.problem("host", "must be an https:// URL")
            host = URL
        if not form.password:
            form.problem("password", "is empty: it holds the API key")
        values = {
            "base_url": form.url(host if "://" in host else f"https://{host}", endpoint="/v2/meetings"),
            "api_key": form.password,
            "update_method": form.take("update_method", read_one_of("POST", "PUT", "PATCH")),
            "idempotency_window": form.take("idempotency_window", read_positive),
            "rate_limit_per_minute": form.take("rate_limit_per_minute", read_count),
            "rate_limit_per_hour": form.take("rate_limit_per_hour", read_count),
            "rate_limit_redis_dsn": form.take("rate_limit_redis_dsn", read_redis),
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
        """The one key, and the password of the Redis that counts its requests."""
        password = urlsplit(self.rate_limit_redis_dsn or "").password
        return (self.api_key, unquote(password)) if password else (self.api_key,)
