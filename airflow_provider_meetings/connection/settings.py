"""What a connection says, as values: parsed once, refused by name where it is wrong.

Each vendor's connections have a class of their own beside this one, and a module of their own; :mod:`.reader` reads the
parts of an Airflow connection for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from airflow_provider_meetings.connection.web_url import WebUrlTemplate
from airflow_provider_meetings.core import defaults
from airflow_provider_meetings.core.retry import RetryLimits

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ABC):
    """What the connections of every vendor have.

    Attributes:
        conn_id: The connection's id, for messages.
        base_url: Without a trailing slash.
        timeout: Seconds for one whole request.
        max_attempts: Sends of one request.
        max_wait: Seconds that a worker may sleep for the vendor within one call.
        verify: True, or the path of a CA bundle.
        proxies: By scheme, as ``requests`` takes them; empty means the environment's.
        web_url_template: Where a person looks at a meeting; None: the connection has none.
        max_parallel_requests: Requests that one task, or the triggerer, may have under way at once.
        rate_limit_redis_dsn: The Redis in which all workers count their requests together; None: each counts its own.
    """

    #: The connection's type.
    vendor: ClassVar[str]
    #: The header that carries an idempotency key, where the vendor has such keys.
    idempotency_header: ClassVar[str] = "Idempotency-Key"
    #: The attributes that hold keys: all that may change when a key is renewed.
    key_attributes: ClassVar[tuple[str, ...]] = ("api_key",)

    conn_id: str
    base_url: str
    timeout: float = float(defaults.TIMEOUT)
    max_attempts: int = defaults.MAX_ATTEMPTS
    max_wait: float = float(defaults.MAX_WAIT)
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    web_url_template: WebUrlTemplate | None = None
    max_parallel_requests: int = defaults.MAX_PARALLEL_REQUESTS
    rate_limit_redis_dsn: str | None = field(default=None, repr=False)

    @property
    def retry_limits(self) -> RetryLimits:
        """The part that the retry rules look at."""
        return RetryLimits(max_attempts=self.max_attempts, max_wait=self.max_wait, timeout=self.timeout)

    @property
    def rate_limits(self) -> tuple[tuple[int, float], ...]:
        """How many requests the account has within how many seconds, where the vendor says so."""
        return ()

    @classmethod
    @abstractmethod
    def from_connection(cls, conn: Any) -> Self:
        """Read an Airflow connection.

        Raises:
            MeetingsConfigurationError: Something in it is wrong; all problems are named at once.
        """

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
        return replace(self, **{name: getattr(other, name) for name in self.key_attributes})

    def renews(self, other: Self, scope: str) -> bool:
        """Whether these are another's settings with a new key for a scope, and nothing else that is new."""
        same = type(self) is type(other) and other.with_keys_of(self) == self
        return same and self.credentials(scope) != other.credentials(scope)
