"""How many requests a connection may make, and when: pure, the caller passes the time.

Two things decide. The limits that the vendor publishes are kept by construction: each is a bucket of tokens that never
lets more through in any span of its length, wherever the span begins. What the vendor says on its answers
(``RateLimit-*``, 429 and 5xx with ``Retry-After``) can only slow that down, never speed it up, so a header that makes
no sense does no harm.

HiringCenter: "per API key, two windows at once: 500 requests a minute and 10,000 an hour".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from airflow_provider_meetings.core.flow import Response
from airflow_provider_meetings.core.retry import bounded_wait, is_transient, reset_in, retry_after

__all__ = ["RateLimiter", "TokenBucket", "WorkerThrottle"]

#: The triggerer's part of each limit; the rest is left to the workers.
SHARE = 0.8
#: The part of a limit that may be used at once, after a time of rest. The remainder flows in evenly.
BURST = 0.2
# Callers that wait for the same instant do not all come back at it.
_SPREAD = 2.0
# Seconds are floats, and a request takes its time to arrive: count a little longer than the vendor does.
_SLACK = 1.01
_ROUNDING = 1e-6


@dataclass(slots=True)
class TokenBucket:
    """Lets at most ``limit`` requests through in any ``seconds``.

    It holds ``burst`` tokens and gets the rest of the limit evenly over the span: so at most
    ``burst + (limit - burst)`` in any of them.

    Attributes:
        limit: Requests.
        seconds: The span.
        burst: Tokens that it holds at most.
        tokens: What it holds.
        at: When that was.
    """

    limit: int
    seconds: float
    burst: int = 0
    tokens: float = 0.0
    at: float = field(default=float("-inf"))

    def __post_init__(self) -> None:
        self.burst = min(self.burst or max(1, int(self.limit * BURST)), self.limit)
        self.tokens = float(self.burst)

    @property
    def rate(self) -> float:
        """Tokens a second."""
        # A limit of one is kept by the one token that comes back when the span is over.
        return max(1, self.limit - self.burst) / (self.seconds * _SLACK)

    def missing(self, now: float) -> float:
        """Seconds until there is a token."""
        if now > self.at:
            gone = now - max(self.at, now - self.seconds * 2)
            self.tokens = min(float(self.burst), self.tokens + gone * self.rate)
            self.at = now
        short = 1.0 - self.tokens
        return short / self.rate if short > _ROUNDING else 0.0

    def take(self) -> None:
        """Take the token that :meth:`missing` has found."""
        self.tokens -= 1.0

    def drain(self, rest: float, until: float) -> None:
        """Throw tokens away until no more than ``rest`` are left; none comes in before ``until``."""
        self.tokens = min(self.tokens, rest)
        self.at = max(self.at, until)


class RateLimiter:
    """The requests of one connection in one process.

    Args:
        limits: What the vendor publishes: requests and seconds of each window.
        share: The part of it that this process may use.
        random: Jitter, between 0 and 1.
    """

    def __init__(
        self,
        limits: Iterable[tuple[int, float]] = (),
        *,
        share: float = SHARE,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._buckets = [TokenBucket(max(1, int(limit * share)), seconds) for limit, seconds in limits]
        self._share = share
        self._random = random
        self._held_until = float("-inf")
        # What the answers say is left of the window that ends at `_window_end`, less what belongs to the workers.
        self._left: float | None = None
        self._window_end = float("-inf")

    def take(self, now: float) -> float:
        """Take a request out of the budget.

        Returns:
            0: it may be sent. Otherwise the seconds after which to try again; nothing was taken.
        """
        wait = self.wait(now)
        if wait > 0:
            return wait
        for bucket in self._buckets:
            bucket.take()
        if self._left is not None:
            self._left -= 1
        return 0.0

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; 0: now."""
        if self._left is not None and now >= self._window_end:
            self._left = None
        waits = [bucket.missing(now) for bucket in self._buckets]
        waits.append(self._held_until - now)
        if self._left is not None and self._left < 1:
            waits.append(self._window_end - now)
        longest = max(waits)
        # Below a millisecond it is rounding.
        return longest if longest > 1e-3 else 0.0

    def observe(self, response: Response, now: float) -> None:
        """Listen to an answer: what is left by its headers, and whether it was one too many."""
        remaining, reset = _count(response.headers.get("ratelimit-remaining")), reset_in(response)
        if remaining is not None and reset is not None:
            limit = _count(response.headers.get("ratelimit-limit")) or remaining
            self._left = remaining - limit * (1 - self._share)
            self._window_end = now + bounded_wait(reset)
        asked = retry_after(response) if is_transient(response.status) else None
        if asked is not None or response.status == 429:
            self.hold(now, 1.0 if asked is None else asked)

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing through for that long, and little at once afterwards."""
        spread = self._random() * _SPREAD
        self._held_until = max(self._held_until, now + bounded_wait(seconds) + spread)
        self.drop_burst(self._held_until)

    def drop_burst(self, now: float) -> None:
        """Begin anew without a burst: after trouble, who comes back comes back slowly."""
        for bucket in self._buckets:
            bucket.drain(1.0, now)


@dataclass(slots=True)
class WorkerThrottle:
    """A worker's manners: when an answer says that nothing is left, the next request waits until the window is over.

    Attributes:
        until: When requests may go on, in seconds since the epoch.
    """

    until: float = 0.0

    def observe(self, response: Response) -> None:
        """Listen to an answer."""
        reset = reset_in(response)
        if _count(response.headers.get("ratelimit-remaining")) == 0 and reset is not None:
            self.until = response.received_at + bounded_wait(reset)
        else:
            self.until = 0.0

    def wait(self, now: float, longest: float) -> float:
        """Seconds to wait before the next request; 0 also where that is longer than ``longest``."""
        wait = self.until - now
        return wait if 0 < wait <= longest else 0.0


def _count(value: str | None) -> int | None:
    """Read a count from a header; the smallest where a gateway has added its own. None: it is none."""
    parts = [part.partition(";")[0].strip() for part in (value or "").split(",")]
    if not all(text.isascii() and text.isdigit() and len(text) <= 15 for text in parts):
        return None
    return min(map(int, parts))
