"""The operators. They are the same for both vendors: the connection's type decides which hook serves them."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_meetings.core.times import window_or_data_interval
from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsInDoubtError,
    MeetingsRateLimitError,
)
from airflow_provider_meetings.observability.link import MeetingLink
from airflow_provider_meetings.observability.outcome import MOST_IDS, report
from airflow_provider_meetings.version_compat import retry_policy, timer

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = [
    "CreateMeetingOperator",
    "DeleteMeetingOperator",
    "GetMeetingOperator",
    "ListMeetingsOperator",
    "UpdateMeetingOperator",
]


class _MeetingsOperator(BaseOperator):
    """What the operators share: the connection, and what to do when the vendor has to be left alone for long."""

    ui_color = "#e8f1e4"
    operator_extra_links = (MeetingLink(),)

    def __init__(self, *, meetings_conn_id: str, **kwargs: Any) -> None:
        if (policy := retry_policy()) is not None:
            kwargs.setdefault("retry_policy", policy)
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id

    def execute(self, context: Any) -> Any:
        """Do the work; where the vendor asks for a wait that is longer than a worker may sleep, free the slot."""
        return self._execute(context, waits=0)

    def execute_after_wait(self, context: Any, event: Any = None, waits: int = 0) -> Any:  # noqa: ARG002 - Airflow's way
        """Go on, in the same try, after a wait without a worker slot."""
        return self._execute(context, waits=waits)

    def _execute(self, context: Any, *, waits: int) -> Any:
        hook = self._hook()
        try:
            return self._work(hook, context)
        except (MeetingsRateLimitError, MeetingsInDoubtError) as error:
            seconds = error.retry_after or 0.0
            long = seconds > hook.max_wait or isinstance(error, MeetingsInDoubtError)
            # What may have been sent is remembered over a wait only where there is a task state store.
            forgotten = error.maybe_sent and context.get("task_state_store") is None
            if not long or forgotten or waits >= _MOST_WAITS:
                raise
            if isinstance(error, MeetingsRateLimitError):
                hook.metrics.rate_limited(seconds)
            self.log.warning("%s The slot is freed; going on in %.0f s.", error, seconds)
            self.defer(
                trigger=timer(seconds),
                method_name="execute_after_wait",
                kwargs={"waits": waits + 1},
            )

    @abstractmethod
    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> Any:
        """Do what the operator is for; the result is the return value."""

    def _hook(self) -> MeetingsHook[Any, Any]:
        from airflow_provider_meetings.hooks.resolve import hook_for  # noqa: PLC0415 - not at parse time

        return hook_for(self.meetings_conn_id)


# Waits of one try without a slot; HiringCenter's longest window is an hour, so that this is about a day.
_MOST_WAITS = 24


class CreateMeetingOperator(_MeetingsOperator):
    """Books a meeting; returns it.

    However often a task instance is tried, killed, cut off or cleared, it makes one meeting, and each try makes that
    meeting equal to what it asks for. What became of it in this try is pushed to XCom under the key ``outcome``:
    ``created``, ``adopted``, ``updated`` or ``unchanged``.

    Args:
        meeting: The vendor's fields, or a template that renders to a JSON object.
        idempotency_key: A business key of your own; what is longer than 512 characters or not printable ASCII is
            hashed. When left out it is made of the dag, the run, the task and, for a mapped task, the meeting.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting", "idempotency_key", "meetings_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"meeting": "json"}

    def __init__(self, *, meeting: Mapping[str, Any] | str, idempotency_key: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meeting = meeting
        self.idempotency_key = idempotency_key

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.task_state import book_once  # noqa: PLC0415 - not at parse time

        booking = book_once(hook, self.meeting, self.idempotency_key, context)
        self.log.info("Meeting %s: %s", booking.meeting["id"], booking.outcome)
        if "ti" in context:
            context["ti"].xcom_push(key="outcome", value=booking.outcome)
        report(self, context, booking.outcome, [booking.meeting], hook=lambda: hook)
        return booking.meeting


class UpdateMeetingOperator(_MeetingsOperator):
    """Changes a meeting; returns it.

    Args:
        meeting_id: The meeting.
        changes: The fields to change; None clears a field, what is left out stays.
        idempotency_key: HiringCenter's ``X-Idempotency-Key``; each execution makes its own when left out.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "changes", "idempotency_key", "meetings_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"changes": "json"}

    def __init__(
        self,
        *,
        meeting_id: Any,
        changes: Mapping[str, Any] | str,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id
        self.changes = changes
        self.idempotency_key = idempotency_key

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.keys import normalize_key  # noqa: PLC0415 - not at parse time

        key = normalize_key(self.idempotency_key)
        meeting = hook.update_meeting(self.meeting_id, self.changes, idempotency_key=key)
        self.log.info("Changed meeting %s", self.meeting_id)
        report(self, context, "updated", [meeting], hook=lambda: hook)
        return meeting


class DeleteMeetingOperator(_MeetingsOperator):
    """Cancels a meeting; returns ``{"id": ..., "deleted": ...}``, ``deleted`` being false where it was gone before.

    Args:
        meeting_id: The meeting.
        missing_ok: A meeting that is not there is no error.
        idempotency_key: HiringCenter's ``X-Idempotency-Key``; each execution makes its own when left out.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "missing_ok", "idempotency_key", "meetings_conn_id")

    def __init__(
        self, *, meeting_id: Any, missing_ok: bool | str = True, idempotency_key: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id
        self.missing_ok = missing_ok
        self.idempotency_key = idempotency_key

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.keys import normalize_key  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.exactly_once.task_state import delete_once  # noqa: PLC0415 - likewise

        missing_ok = _flag("missing_ok", self.missing_ok)
        key = normalize_key(self.idempotency_key)
        deleted = delete_once(hook, self.meeting_id, key, context, missing_ok=missing_ok)
        self.log.info("Meeting %s %s", self.meeting_id, "deleted" if deleted else "was gone before")
        report(self, context, "deleted" if deleted else "gone", [{"id": self.meeting_id}], hook=lambda: hook)
        return {"id": self.meeting_id, "deleted": deleted}


class GetMeetingOperator(_MeetingsOperator):
    """Gets a meeting; returns it.

    Args:
        meeting_id: The meeting.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "meetings_conn_id")

    def __init__(self, *, meeting_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        meeting = hook.get_meeting(self.meeting_id)
        report(self, context, "read", [meeting], hook=lambda: hook)
        return meeting


class ListMeetingsOperator(_MeetingsOperator):
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
            report(self, context, "listed", meetings, hook=lambda: hook)
            return meetings
        destination = str(self.destination)  # an ObjectStoragePath will do
        count, first = self._write(listed, destination)
        self.log.info("Wrote %d meeting(s) to %s", count, destination)
        report(self, context, "listed", first, hook=lambda: hook, count=count)
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
                if count < MOST_IDS:
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


def _flag(name: str, value: Any) -> bool:
    """Read a flag that a template may have turned into text, in which "False" would be true."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise MeetingsConfigurationError(f"{name} must be true or false, not {value!r}. Nothing was sent.")
