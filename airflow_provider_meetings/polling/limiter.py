"""The gate that a poller's requests pass: as the rate budget allows, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.exceptions import MeetingsError

__all__ = ["ConnectionReplaced", "PageLimitReached", "RateLimitedGate", "RequestCounter", "meter"]


class PageLimitReached(MeetingsError):  # noqa: N818 - it never leaves the poller
    """A list has more pages than it is worth."""


class ConnectionReplaced(MeetingsError):  # noqa: N818 - likewise
    """The connection has changed: this is no longer the way."""


@dataclass(slots=True)
class RequestCounter:
    """Counts the requests of one errand.

    Attributes:
        limit: More requests than this are refused; None: there is no limit.
        count: How many there were.
    """

    limit: int | None = None
    count: int = 0


#: The meter of the errand that is being run.
meter: contextvars.ContextVar[RequestCounter | None] = contextvars.ContextVar("meetings_meter", default=None)


class RateLimitedGate:
    """Lets requests through one after the other, as the budget allows, and counts them.

    Args:
        limiter: The connection's.
        clock: Tells the time in seconds.
    """

    def __init__(self, limiter: RateLimiter, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._clock = clock
        self._turn = asyncio.Lock()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let nothing through any more; who waits is told so at once."""
        self._closed.set()

    async def enter(self, request: Request) -> float:
        """Return when the request may be sent: for how many seconds the budget has held it back, not those before it.

        Raises:
            PageLimitReached: The errand has had its requests.
            ConnectionReplaced: The gate was closed.
        """
        current = meter.get()
        if current is not None and current.limit is not None and current.count >= current.limit:
            raise PageLimitReached(f"{request.path} has more pages than it is worth")
        if current is not None:
            current.count += 1
        held = 0.0
        async with self._turn:  # first come, first served
            while not self._closed.is_set() and (wait := self._limiter.take(self._clock())):
                held += wait
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), wait)
            if self._closed.is_set():
                raise ConnectionReplaced(f"{request.path} was to be asked over a connection that has changed")
        return held

    def observe(self, response: Response) -> None:
        """Listen to an answer."""
        self._limiter.observe(response, self._clock())
