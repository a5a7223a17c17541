"""One account's rate limit for all workers and triggerers together, counted in a Redis that they share.

Processes that use one connection cannot see each other: without this, each of them learns of the limit by 429.
Switched on by the connection's extra ``rate_limit_redis_dsn``. It only holds requests back: where the Redis is away,
requests go on as they do without it, and the vendor's own answers are obeyed as ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.lazy import lazy
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["SharedLimit", "ashared_limit_for", "refusal", "shared_limit_for"]

# Seconds that a request may take to reach the vendor, which counts when it arrives: a window is longer by that here.
_ON_THE_WAY = 2.0
# Seconds that one look into Redis may take, and for how long none is taken after one that failed.
_PATIENCE = 2.0
_AWAY = 30.0
# Told the same instant, those who wait do not all come back at it; in seconds.
_SPREAD = (0.05, 1.0)

_limits: dict[tuple[Any, ...], SharedLimit] = {}


def shared_limit_for(settings: Settings, log: Any) -> SharedLimit | None:
    """Return what this process shares of a connection's limit; None: it shares none.

    Args:
        settings: The connection's.
        log: Where the one warning goes.

    Raises:
        MeetingsConfigurationError: The package that does the counting is not installed.
    """
    if settings.rate_limit_redis_dsn is None or not settings.rate_limits:
        return None
    # The vendors count by API key. It is not written anywhere: its digest names the account.
    secret = "\n".join((settings.base_url, *settings.credentials("").values()))
    account = hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()
    key = (settings.rate_limit_redis_dsn, account, settings.rate_limits)
    if key not in _limits:
        _limits.setdefault(key, SharedLimit(*key, log=log, conn_id=settings.conn_id))
    return _limits[key]


async def ashared_limit_for(settings: Settings, log: Any) -> SharedLimit | None:
    """Do the same without blocking the event loop: what does the counting is imported first."""
    if settings.rate_limit_redis_dsn is None:
        return None
    return await asyncio.to_thread(shared_limit_for, settings, log)


class SharedLimit:
    """Counts requests in Redis, in windows that move: never more than the limit in any span of its length.

    Args:
        url: Where the Redis is.
        account: Whose limit it is.
        rate_limits: Requests, and within how many seconds.
        log: Where the one warning goes.
        conn_id: The connection, for the warning.
        clock: Tells the time in seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        account: str,
        rate_limits: tuple[tuple[int, float], ...],
        *,
        log: Any,
        conn_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._account = account
        self._rate_limits = rate_limits
        self._log = log
        self._conn_id = conn_id
        self._clock = clock
        self._away_until = -math.inf
        self._has_warned = False
        _ = self._limiter  # what is not installed is found out at once

    @lazy
    def _limiter(self) -> Any:
        try:
            from limits import strategies  # noqa: PLC0415 - only where a connection asks for it
            from limits.storage import RedisStorage  # noqa: PLC0415 - likewise
            from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
            from redis.retry import Retry  # noqa: PLC0415 - likewise
        except ImportError:
            raise MeetingsConfigurationError(
                f"Connection {self._conn_id!r} has an extra `rate_limit_redis_dsn`, which takes the packages of "
                "airflow-provider-meetings[redis]; they are not installed. Nothing was sent."
            ) from None
        options: dict[str, Any] = {
            "socket_timeout": _PATIENCE,
            "socket_connect_timeout": _PATIENCE,
            "retry": Retry(NoBackoff(), 0),  # by itself the client tries for seconds to reach one that is away
        }
        return strategies.MovingWindowRateLimiter(RedisStorage(self._url, **options))

    @lazy
    def _windows(self) -> tuple[Any, ...]:
        from limits import RateLimitItemPerSecond  # noqa: PLC0415 - only where a connection asks for it

        return tuple(
            RateLimitItemPerSecond(limit, math.ceil(seconds + _ON_THE_WAY), namespace="meetings")
            for limit, seconds in self._rate_limits
        )

    def take(self) -> float:
        """Take a request out of the budget.

        Returns:
            0: it may be sent, also where the Redis is away. Otherwise the seconds after which to try again.
        """
        if self._clock() < self._away_until:
            return 0.0
        limiter = self._limiter
        try:
            for window in self._windows:
                if not limiter.hit(window, self._account):
                    until: float = limiter.get_window_stats(window, self._account).reset_time
                    return max(0.0, until - self._clock()) + random.uniform(*_SPREAD)  # noqa: S311 - jitter
        except Exception as error:  # noqa: BLE001 - whatever it is, requests do not depend on it
            self._away_until = self._clock() + _AWAY
            if not self._has_warned:
                self._has_warned = True
                # Not the text of the error: it may repeat the address, and that has a password in it.
                self._log.warning(
                    "The Redis of connection %r cannot be used (%s): requests go on without a shared rate limit",
                    self._conn_id,
                    type(error).__name__,
                )
            return 0.0
        self._has_warned = False
        return 0.0


def refusal(request: Request, seconds: float, now: float) -> Response:
    """Return the vendor's answer to a request too many, for one that cannot wait for its turn here: it is not sent.

    HiringCenter: ``{"error": "Too many requests", "message": "...", "retryAfter": 30}``, and ``Retry-After``.
    """
    wait = math.ceil(seconds)
    body = f'{{"error": "Too many requests", "message": "{request.path}: shared rate limit.", "retryAfter": {wait}}}'
    headers = {"content-type": "application/json", "retry-after": str(wait)}
    return Response(429, headers, body.encode(), now, now)
