"""What the sensor defers to. Triggers only read: nothing that writes ever runs in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_meetings.exceptions import MeetingsError, MeetingsRateLimitError
from airflow_provider_meetings.hooks.choice import ahook_for
from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.retry import backoff
from airflow_provider_meetings.waiting import Question, as_event, is_permanent

__all__ = ["MeetingsTrigger"]

# Counted no further: the backoff has reached its cap long before, and 2 ** 1024 is no float after a day's outage.
_MOST_FAILURES = 20


class MeetingsTrigger(BaseTrigger):
    """Waits until a window holds enough meetings; fires once.

    Its event is ``{"status": "success", "meetings": [...]}`` or ``{"status": "error", ...}`` for an error that waiting
    cannot mend. Transient errors are logged and waited out; the deferral's own timeout ends the wait.

    Args:
        meetings_conn_id: The connection.
        window_start: Unix milliseconds, or None.
        window_end: Unix milliseconds, or None.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, by field.
        min_count: How many meetings are enough.
        poke_interval: Seconds between two questions.
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
        poke_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.meetings_conn_id = meetings_conn_id
        self.poke_interval = poke_interval
        self.question = Question(window_start, window_end, dict(filters or {}), dict(match or {}), min_count)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments that make it anew; no secret is among them."""
        arguments = {"meetings_conn_id": self.meetings_conn_id, "poke_interval": self.poke_interval}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments | self.question.as_kwargs()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until the answer is yes."""
        failures = 0
        while True:
            wait = self.poke_interval
            try:
                found = await self._ask(await ahook_for(self.meetings_conn_id))
            except MeetingsError as error:
                if is_permanent(error):
                    yield _event(as_event(error))
                    return
                failures = min(failures + 1, _MOST_FAILURES)
                asked = error.retry_after if isinstance(error, MeetingsRateLimitError) else None
                wait = max(wait, asked or 0.0) + backoff(failures)
                self.log.warning("Not asked for good, asking again in %.0f s: %s", wait, error)
            else:
                failures = 0
                if found is not None:
                    yield _event({"status": "success", "meetings": found})
                    return
                self.log.info("Still waiting for %s; asking again in %.0f s", self.question, wait)
            await asyncio.sleep(wait)

    async def _ask(self, hook: MeetingsHook[Any, Any]) -> list[dict[str, Any]] | None:
        question = self.question
        listed = hook.alist_meetings(question.window_start, question.window_end, filters=dict(question.filters))
        return question.satisfied_by([meeting async for meeting in listed])


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
