"""What the sensor defers to. Triggers only read: nothing that writes ever runs in the triggerer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.polling.criteria import TIMED_OUT, Criteria, to_trigger_event
from airflow_provider_meetings.triggers.arrivals import load, turn_to_start
from airflow_provider_meetings.triggers.events import MeetingsEventTrigger

__all__ = ["MeetingsEventTrigger", "MeetingsTrigger"]

_FOREVER = contextlib.nullcontext()


class MeetingsTrigger(BaseTrigger):
    """Waits until a window holds enough meetings; fires once.

    Its event is ``{"status": "success", "meetings": [...]}``, ``{"status": "error", ...}`` for a permanent error, or
    ``{"status": "timed out"}``. After a temporary error the poll is repeated. All triggers of a connection in one
    triggerer share their requests: the poke interval is how old a result may be, not how often requests are sent.

    Args:
        meetings_conn_id: The connection.
        window_start: Unix milliseconds, or None.
        window_end: Unix milliseconds, or None.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, by field.
        min_count: How many meetings are enough.
        include_cancelled: Whether a meeting that the vendor marks as cancelled counts.
        poke_interval: Seconds that an answer may be old.
        deadline: When the wait is over, in seconds since the epoch, also for a triggerer that was restarted; None: the
            deferral's own timeout alone ends it.
        initial_delay: Seconds to wait before the first request, after an error.
        held_until: Until when the vendor wants no requests (``Retry-After``), in seconds since the epoch, or None.
        verify_host: No request of this task has succeeded yet: an answer that is not the vendor's is a wrong address.
    """

    def __init__(
        self,
        *,
        meetings_conn_id: str,
        window_start: int | None = None,
        window_end: int | None = None,
        filters: Mapping[str, Any] | None = None,
        match: Mapping[str, Any] | None = None,
        min_count: int = 1,
        include_cancelled: bool = False,
        poke_interval: float = 60.0,
        deadline: float | None = None,
        initial_delay: float = 0.0,
        held_until: float | None = None,
        verify_host: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.meetings_conn_id = meetings_conn_id
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.initial_delay = initial_delay
        self.held_until = held_until
        self.verify_host = verify_host
        self.criteria = Criteria(
            window_start, window_end, dict(filters or {}), dict(match or {}), min_count, include_cancelled
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments that make it again; no secret is among them."""
        names = ("meetings_conn_id", "poke_interval", "deadline", "initial_delay", "held_until", "verify_host")
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments | self.criteria.as_kwargs()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, with all others on this connection, until there are enough meetings or an error is permanent."""
        event: dict[str, Any]
        await load("airflow_provider_meetings.polling.registry", "poller_for")
        if (turn := turn_to_start()) is not None:
            await turn
        from airflow_provider_meetings.polling.registry import poller_for  # noqa: PLC0415 - loaded before

        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            async with _FOREVER if left is None else asyncio.timeout(left), poller_for(self.meetings_conn_id) as poller:
                if self.held_until is not None:
                    poller.hold(self.held_until - time.time())
                if self.initial_delay:
                    await asyncio.sleep(self.initial_delay)
                found = await poller.answer(self.criteria, self.poke_interval, verify_host=self.verify_host)
        except TimeoutError:
            event = dict(TIMED_OUT)
        except MeetingsError as error:
            event = to_trigger_event(error)
        else:
            event = {"status": "success", "meetings": found}
        yield _event(event)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
