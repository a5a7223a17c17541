"""The operators that read: one meeting, or a list."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_meetings.core.times import window_or_data_interval
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.observability.outcome import MAX_EVENT_IDS, report_outcome
from airflow_provider_meetings.operators.base import MeetingsOperator

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["GetMeetingOperator", "ListMeetingsOperator"]


class GetMeetingOperator(MeetingsOperator):
    """Gets a meeting; returns it.

    Args:
        meeting_id: The meeting.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "meetings_conn_id")
    _writes = False

    def __init__(self, *, meeting_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        meeting = hook.get_meeting(self.meeting_id)
        report_outcome(self, context, "read", [meeting], hook=lambda: hook)
        return meeting

    def _asked_for(self) -> Mapping[str, Any] | None:
        return {"id": self.meeting_id}


class ListMeetingsOperator(MeetingsOperator):
    """Lists the meetings that begin in a window; returns them, or writes them to a file.

    Args:
        window_start: The first moment; the start of the run's data interval when left out.
        window_end: The first moment that is too late; the end of the run's data interval when left out.
        filters: The vendor's own query parameters.
        destination: An object-storage URL (``s3://…``, ``file://…``). The meetings are written there as JSON Lines, one
            a line, and the return value is ``{"path": ..., "count": ...}``. The file appears only once the list is
            complete.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("window_start", "window_end", "filters", "destination", "meetings_conn_id")
    _writes = False
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json"}

    def __init__(
        self,
        *,
        window_start: Any = None,
        window_end: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        destination: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_start = window_start
        self.window_end = window_end
        self.filters = filters
        self.destination = destination

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> list[dict[str, Any]] | dict[str, Any]:
        start, end = window_or_data_interval(self.window_start, self.window_end, context)
        listed = hook.list_meetings(start, end, filters=self.filters)
        if self.destination is None:
            meetings = list(listed)
            self.log.info("Listed %d meeting(s)", len(meetings))
            report_outcome(self, context, "listed", meetings, hook=lambda: hook)
            return meetings
        destination = str(self.destination)  # an ObjectStoragePath will do
        count, first = self._write(listed, destination)
        self.log.info("Wrote %d meeting(s) to %s", count, destination)
        report_outcome(self, context, "listed", first, hook=lambda: hook, count=count)
        return {"path": destination, "count": count}

    def _write(self, meetings: Iterable[dict[str, Any]], destination: str) -> tuple[int, list[dict[str, Any]]]:
        """Write them; return how many, and the first of them."""
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - not at parse time

        if destination.strip() in {"", "None"}:
            raise MeetingsConfigurationError("destination is empty: did a template come out empty?")
        try:
            target = ObjectStoragePath(destination)
            _ = target.fs  # older Airflows look for it only when it is used
        except ValueError as error:
            raise MeetingsConfigurationError(f"destination cannot be written to: {error}. Nothing was sent.") from None
        # A list that breaks off in the middle must not look like a file that is done: collect it first.
        with tempfile.TemporaryFile("w+b") as collected:
            count, first = 0, list[dict[str, Any]]()
            for meeting in meetings:
                if count < MAX_EVENT_IDS:
                    first.append(meeting)
                collected.write(json.dumps(meeting, ensure_ascii=False).encode() + b"\n")
                count += 1
            collected.seek(0)
            # Object stores have no folders to make.
            with contextlib.suppress(NotImplementedError):
                target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:  # type: ignore[no-untyped-call]
                shutil.copyfileobj(collected, file)
        return count, first
