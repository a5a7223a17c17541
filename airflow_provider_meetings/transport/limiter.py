"""The gate that requests pass in an event loop: as the rate limit of the connection's account allows, and counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.transport.shared_limit import SharedLimit

__all__ = ["ConnectionReplaced", "PageLimitReached", "RateLimitedGate", "RequestCounter", "limiter_for"]


class PageLimitReached(MeetingsError):  # noqa: N818 - it never leaves the poller
    """A list has more pages than it is worth."""


class ConnectionReplaced(MeetingsError):  # noqa: N818 - likewise
    """The connection has changed: this is no longer the way."""


@dataclass(slots=True)
class RequestCounter:
    """Counts the requests of one list.

    Attributes:
        limit: More requests than this are refused; None: there is no limit.
        count: How many there were.
    """

    limit: int | None = None
    count: int = 0

    def add(self, request: Request) -> None:
        """Count one more.

        Raises:
            PageLimitReached: The list has had its requests.
        """
        if self.limit is not None and self.count >= self.limit:
            raise PageLimitReached(f"{request.path} has more pages than it is worth")
        self.count += 1


# Of each event loop, the rate limiters of the accounts that are called there.
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, RateLimiter]] = WeakKeyDictionary()


def limiter_for(settings: Settings, rate_limits: tuple[tuple[int, float], ...]) -> RateLimiter:
    """Return the budget of a connection's account in the running event loop: the vendors count by API key.

    It is kept when its last user has left: the vendor goes on counting, too.

    Args:
        settings: The connection's.
        rate_limits: What the vendor allows: requests, and within how many seconds.
    """
    budgets = _limiters.setdefault(asyncio.get_running_loop(), {})
    account = (settings.base_url, hash(settings.secrets), rate_limits)
    return budgets.setdefault(account, RateLimiter(rate_limits))


class RateLimitedGate:
    """Lets requests through one after the other, as the budget allows.

    Args:
        limiter: The connection's.
        clock: Tells the time in seconds.
        shared: What other processes have a part in; None: nothing.
    """

    def __init__(self, limiter: RateLimiter, clock: Callable[[], float], shared: SharedLimit | None = None) -> None:
        self._limiter = limiter
        self._shared = shared
        self._clock = clock
        self._turn = asyncio.Lock()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let nothing through any more; requests that wait fail at once."""
        self._closed.set()

    async def enter(self, request: Request) -> float:
        """Return when the request may be sent: for how many seconds the budget has held it back, not those before it.

        Raises:
            ConnectionReplaced: The gate was closed.
        """
        held = 0.0
        async with self._turn:  # first come, first served
            while not self._closed.is_set() and (wait := await self._take()):
                held += wait
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), wait)
            if self._closed.is_set():
                raise ConnectionReplaced(f"the connection changed before {request.path} was requested")
        return held

    async def _take(self) -> float:
        wait = self._limiter.take(self._clock())
        return wait if wait or self._shared is None else await asyncio.to_thread(self._shared.take)

    def observe(self, response: Response) -> None:
        """Listen to an answer."""
        self._limiter.observe(response, self._clock())
