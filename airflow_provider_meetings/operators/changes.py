"""The operator that lists what has changed since the last run."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_meetings.observability.outcome import MAX_EVENT_IDS, report_outcome
from airflow_provider_meetings.operators.base import MeetingsOperator

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["ListMeetingChangesOperator"]

Event = dict[str, Any]


class ListMeetingChangesOperator(MeetingsOperator):
    """Lists what has happened to the meetings of a window since the last run; returns the events, or writes them.

    Neither vendor can be asked for changes, so the operator keeps what it knew under ``snapshot`` and compares. The
    events have the names and the meaning of those of
    :class:`~airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger`: ``created``, ``changed``, ``moved_in``,
    ``moved_out``, ``gone``. The window may differ from run to run.

    A retry of the run that has used the snapshot last, or a clear of it before the next run, starts where that run has
    started: it returns the same changes, under the same ``event_id``, beside what has changed since. A clear of an
    older run is like any new run. One run at a time may use a snapshot: set ``max_active_runs=1``.

    Args:
        window_start: The first moment; the start of the run's data interval when left out.
        window_end: The first moment that is too late; the end of the run's data interval when left out.
        window_length: In a run of a partition (Airflow 3.2 and newer), the length of the window, which begins at the
            run's ``partition_date``: a ``timedelta``, or seconds. It takes the place of both bounds.
        filters: The vendor's own query parameters.
        snapshot: An object-storage URL (``s3://…``, ``file://…``), used as a folder, for what is known. Each task has
            its own.
        destination: An object-storage URL. The events are written there as JSON Lines, with ``.gz`` behind it
            compressed, and the return value is ``{"path": ..., "count": ...}``. The file appears only once it is
            complete.
        kinds: Which kinds of events are returned; all when left out. What is remembered does not depend on it.
        initial: What the first run returns: ``emit``, each meeting of the window as one that moved in; ``ignore``,
            nothing.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.

    Raises:
        MeetingsConfigurationError: An argument is wrong, or the snapshot cannot be read or belongs to other meetings.
        MeetingsError: A meeting could not be read, or another run has written the snapshot meanwhile. Nothing is
            remembered, so that the next try finds the same changes.
    """

    template_fields: Sequence[str] = (
        "window_start",
        "window_end",
        "window_length",
        "filters",
        "snapshot",
        "destination",
        "kinds",
        "initial",
        "meetings_conn_id",
    )
    _writes = False
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json"}

    def __init__(
        self,
        *,
        snapshot: str,
        window_start: Any = None,
        window_end: Any = None,
        window_length: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        destination: str | None = None,
        kinds: Collection[str] | str | None = None,
        initial: str = "emit",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.filters = filters
        self.snapshot = snapshot
        self.destination = destination
        self.kinds = kinds
        self.initial = initial

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> list[Event] | dict[str, Any]:
        from airflow_provider_meetings.core.times import window_or_data_interval  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.sets.delivery import EventDelivery  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.sets.run_changes import ChangeSearch, check_options  # noqa: PLC0415 - likewise

        start, end = window_or_data_interval(self.window_start, self.window_end, context, self.window_length)
        kinds = check_options(self.kinds, self.initial)
        search = ChangeSearch.parse(
            hook,
            start,
            end,
            self.filters,
            url=self.snapshot,
            run=_run_of(context),
            emit_first=self.initial == "emit",
            kinds=kinds,
            taken_at=round(time.time() * 1000),
        )
        delivery = EventDelivery.parse(self.destination, most=MAX_EVENT_IDS)
        search.find(delivery.take)
        self.log.info("Found %d change(s)", delivery.count)
        meetings = [{"id": event["id"]} for event in delivery.kept]
        report_outcome(self, context, "listed", meetings, hook=lambda: hook, count=delivery.count)
        return delivery.result


def _run_of(context: Any) -> list[Any] | None:
    """Return what a task instance is in every try; None: it is called by hand."""
    ti = context.get("ti")
    if ti is None:
        return None
    run = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1)]
    loop = context.get("loop")  # Airflow 3.4: each iteration is a run of its own
    return run if loop is None else [*run, loop.index]
