"""What the sensor defers to. Triggers only read: nothing that writes ever runs in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.triggers.events import MeetingsEventTrigger
from airflow_provider_meetings.triggers.pollers import poller_for
from airflow_provider_meetings.waiting import Question, as_event

__all__ = ["MeetingsEventTrigger", "MeetingsTrigger"]


class MeetingsTrigger(BaseTrigger):
    """Waits until a window holds enough meetings; fires once.

    Its event is ``{"status": "success", "meetings": [...]}`` or ``{"status": "error", ...}`` for an error that waiting
    cannot mend. Transient errors are waited out; the deferral's own timeout ends the wait. All triggers of a connection
    in one triggerer share their requests: the poke interval is how stale an answer may be, not how often is asked.

    Args:
        meetings_conn_id: The connection.
        window_start: Unix milliseconds, or None.
        window_end: Unix milliseconds, or None.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, by field.
        min_count: How many meetings are enough.
        poke_interval: Seconds that an answer may be old.
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
        """Wait with all others who wait on this connection, until the answer is yes or waiting cannot help."""
        try:
            async with poller_for(self.meetings_conn_id) as poller:
                found = await poller.answer(self.question, self.poke_interval)
        except MeetingsError as error:
            event = as_event(error)
        else:
            event = {"status": "success", "meetings": found}
        yield _event(event)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
