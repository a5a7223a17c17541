"""Until when the vendor wants no requests (``Retry-After``): a sensor remembers it, and sends nothing before."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

__all__ = ["VendorWait"]

# Many sensors get the same moment; they do not all come back at it.
_SPREAD = 1.0
# In the task state store: a sensor that is rescheduled, or tried again, goes on in another process.
_KEY = "meetings/held_until"


class VendorWait:
    """Until when the vendor wants no requests, as far as this task knows.

    Attributes:
        until: In seconds since the epoch; 0: it has not demanded a wait.
        outlives: Whether the next process of this task will know. Airflow keeps it from 3.3 on.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self.outlives = False
        self._read = False

    def left(self, context: Any) -> float:
        """Return the seconds that are left of it; 0: requests may be sent."""
        if not self._read:
            self._read = True
            self._load(context)
        return max(0.0, self.until - time.time())

    def observe(self, error: BaseException, context: Any) -> None:
        """Take note of an error that says how long to wait."""
        seconds = getattr(error, "retry_after", None)
        if not seconds or seconds <= 0:
            return
        from airflow_provider_meetings.core.retry import bounded_wait  # noqa: PLC0415 - not at parse time

        self.until = time.time() + bounded_wait(seconds) + random.random() * _SPREAD  # noqa: S311 - jitter is no secret
        self.outlives = False
        with contextlib.suppress(Exception):  # a store that is away is no reason to fail: then it is not remembered
            if (store := context.get("task_state_store")) is not None:
                store.set(_KEY, self.until)
                self.outlives = store.get(_KEY) == self.until

    def _load(self, context: Any) -> None:
        with contextlib.suppress(Exception):
            if (store := context.get("task_state_store")) is not None:
                self.until = float(store.get(_KEY) or 0.0)
                self.outlives = True
