"""The vendors' clock: this machine's, or one that is behind or ahead of it."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from .settings import Options


class VendorClock:
    """What the vendors take for the present; the option ``clock_offset`` moves it while the server runs."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def now(self) -> float:
        """Return the vendors' time as Unix seconds."""
        return time.time() + self._options.clock_offset

    def milliseconds(self) -> int:
        """Return the vendors' time as Unix milliseconds."""
        return int(self.now() * 1000)

    def moment(self, seconds_from_now: float = 0) -> datetime:
        """Return the vendors' time, or one that is so many seconds away from it."""
        return datetime.fromtimestamp(self.now(), UTC) + timedelta(seconds=seconds_from_now)

    def http_date(self, seconds_from_now: float = 0) -> str:
        """Return the same as an HTTP date (RFC 9110, section 5.6.7), for ``Date`` and ``Retry-After``."""
        return format_datetime(self.moment(seconds_from_now), usegmt=True)
