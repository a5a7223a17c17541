"""The gate that a poller's requests pass: as the rate budget allows, and counted."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.pacing import RateBudget
from airflow_provider_meetings.wire import Request, Response

__all__ = ["BudgetGate", "Meter", "TooCostly", "meter"]


class TooCostly(MeetingsError):  # noqa: N818 - it never leaves the poller
    """A list has more pages than it is worth."""


@dataclass(slots=True)
class Meter:
    """Counts the requests of one errand.

    Attributes:
        limit: More requests than this are refused; None: there is no limit.
        count: How many there were.
    """

    limit: int | None = None
    count: int = 0


#: The meter of the errand that is being run.
meter: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("meetings_meter", default=None)


class BudgetGate:
    """Lets requests through one after the other, as the budget allows, and counts them.

    Args:
        budget: The connection's.
        clock: Tells the time in seconds.
    """

    def __init__(self, budget: RateBudget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._turn = asyncio.Lock()

    async def enter(self, request: Request) -> None:
        """Return when the request may be sent.

        Raises:
            TooCostly: The errand has had its requests.
        """
        current = meter.get()
        if current is not None and current.limit is not None and current.count >= current.limit:
            raise TooCostly(f"{request.path} has more pages than it is worth")
        if current is not None:
            current.count += 1
        async with self._turn:  # first come, first served
            while wait := self._budget.take(self._clock()):  # noqa: ASYNC110 - time passes by itself
                await asyncio.sleep(wait)

    def observe(self, response: Response) -> None:
        """Listen to an answer."""
        self._budget.observe(response, self._clock())
