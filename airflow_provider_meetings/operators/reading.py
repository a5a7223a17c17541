"""The operators that read: one meeting, or a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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
        window_length: In a run of a partition (Airflow 3.2 and newer), the length of the window, which begins at the
            run's ``partition_date``: a ``timedelta``, or seconds. It takes the place of both bounds.
        filters: The vendor's own query parameters.
        destination: An object-storage URL (``s3://…``, ``file://…``). The meetings are written there as they come, and
            the return value is ``{"path": ..., "count": ...}``. The suffix chooses the format: ``.csv``, ``.parquet``
            (with the extra ``parquet``), JSON Lines for all else; with ``.gz`` behind it CSV and JSON Lines are
            compressed. The file appears only once the list is complete, and what was there stays until then.
        record_schema: ``vendor``, the meetings as the vendor returned them (JSON Lines only, and its default), or
            ``common``, the columns that are the same for both vendors.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = (
        "window_start",
        "window_end",
        "window_length",
        "filters",
        "destination",
        "record_schema",
        "meetings_conn_id",
    )
    _writes = False
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json"}

    def __init__(
        self,
        *,
        window_start: Any = None,
        window_end: Any = None,
        window_length: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        destination: str | None = None,
        record_schema: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.filters = filters
        self.destination = destination
        self.record_schema = record_schema

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> list[dict[str, Any]] | dict[str, Any]:
        from airflow_provider_meetings.core.times import window_or_data_interval  # noqa: PLC0415 - not at parse time

        start, end = window_or_data_interval(self.window_start, self.window_end, context, self.window_length)
        listed = hook.list_meetings(start, end, filters=self.filters)
        if self.destination is None:
            if self.record_schema not in (None, "vendor"):
                raise MeetingsConfigurationError("record_schema is that of a file: give a destination, too.")
            meetings = list(listed)
            self.log.info("Listed %d meeting(s)", len(meetings))
            report_outcome(self, context, "listed", meetings, hook=lambda: hook)
            return meetings
        return self._write(hook, listed, context)

    def _write(self, hook: MeetingsHook[Any, Any], listed: Iterator[dict[str, Any]], context: Any) -> dict[str, Any]:
        # Not at parse time.
        from airflow_provider_meetings.sets.files import check_destination, location_text  # noqa: PLC0415
        from airflow_provider_meetings.sets.records import FileFormat  # noqa: PLC0415 - likewise

        destination = location_text(self.destination)
        file_format = FileFormat.parse(destination, self.record_schema)
        location = check_destination(destination)
        first: list[dict[str, Any]] = []

        def keep_first() -> Iterator[dict[str, Any]]:
            for meeting in listed:
                if len(first) < MAX_EVENT_IDS:
                    first.append(meeting)
                yield meeting

        def to_record(meeting: Mapping[str, Any]) -> dict[str, Any]:
            return hook.record_mapping.common_record(meeting, hook.meetings_conn_id)

        with location.write() as file:
            count = file_format.write(keep_first(), file, to_record)
        self.log.info("Wrote %d meeting(s) to %s", count, destination)
        report_outcome(self, context, "listed", first, hook=lambda: hook, count=count)
        return {"path": destination, "count": count}
