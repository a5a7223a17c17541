"""HiringCenter's rate limits: two windows at once for each API key.

HiringCenter, "Rate limits": 500 requests a minute and 10,000 an hour; RateLimit-Limit, -Remaining and -Reset on
answers; over the limit 429 with Retry-After and a body with `retryAfter`. A window opens with its first request; a
refused request does not count.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from .api_errors import ApiError
from .responses import ApiResponse
from .settings import Options

MINUTE, HOUR = 60, 3600


@dataclass
class _Window:
    name: str
    seconds: int
    start: float
    used: int = 0


class RateLimiter:
    """Counts requests by key."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def hit(self, key_name: str) -> tuple[dict[str, str], ApiResponse | None]:
        """Count a request; return the headers for its response, and the 429 if it is one too many."""
        now = self._clock()
        windows = [
            (self._window(key_name, "Minute", MINUTE, now), self._options.rate_limit_per_minute),
            (self._window(key_name, "Hour", HOUR, now), self._options.rate_limit_per_hour),
        ]
        # of windows that are both full, the one that stays full longer decides
        full = max(
            (window for window, limit in windows if window.used >= limit),
            key=lambda window: window.start + window.seconds,
            default=None,
        )
        if full is None:
            for window, _ in windows:
                window.used += 1
        # one set of headers for two windows: the one with less left decides
        tightest, limit = min(windows, key=lambda pair: pair[1] - pair[0].used)
        headers = self._headers(full or tightest, limit if full is None else dict(_by_name(windows))[full.name], now)
        return headers, None if full is None else self._refuse(full, now)

    def reset(self) -> None:
        """Open all windows anew."""
        self._windows.clear()

    def _window(self, key_name: str, name: str, seconds: int, now: float) -> _Window:
        window = self._windows.get((key_name, name))
        if window is None or now >= window.start + seconds:
            window = self._windows[key_name, name] = _Window(name, seconds, now)
        return window

    def _headers(self, window: _Window, limit: int, now: float) -> dict[str, str]:
        if not self._options.ratelimit_headers:
            return {}
        end = window.start + window.seconds
        # an older revision says that Reset is a Unix timestamp; the vendor's clock may differ from this machine's
        timestamp = self._options.ratelimit_reset == "timestamp"
        reset = math.ceil(end + self._options.clock_offset if timestamp else end - now)
        return {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, limit - window.used)),
            "RateLimit-Reset": str(reset),
        }

    @staticmethod
    def _refuse(window: _Window, now: float) -> ApiResponse:
        wait = max(1, math.ceil(window.start + window.seconds - now))
        message = f"{window.name} limit exceeded. Please try again later."
        error = ApiError(429, "Too many requests", message, headers={"Retry-After": str(wait)})
        return error.render("hiringcenter", retryAfter=wait)


def _by_name(windows: list[tuple[_Window, int]]) -> list[tuple[str, int]]:
    return [(window.name, limit) for window, limit in windows]
