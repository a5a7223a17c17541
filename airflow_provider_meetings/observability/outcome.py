"""What a task leaves behind when its work is done: its link, its numbers, its asset events, and a record for the pages.

Everything here is for people who look. None of it can fail a task, whose meeting is booked by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from airflow_provider_meetings.exceptions import MeetingsError, MeetingsInDoubtError
from airflow_provider_meetings.observability.link import store_link
from airflow_provider_meetings.observability.metrics import METRICS, Metrics
from airflow_provider_meetings.observability.outcome_record import (
    FAILURE_KEY,
    OUTCOME_KEY,
    MeetingOutcome,
    error_of,
    record_of,
)
from airflow_provider_meetings.version_compat import push_to_database, shows_pages

__all__ = ["MAX_EVENT_IDS", "MeetingOutcome", "ReportingHook", "report_failure", "report_outcome"]

#: So many ids of meetings stand in an event at most: it goes into a row of Airflow's database.
MAX_EVENT_IDS = 100
# No news: Airflow tells of the assets of every task that succeeds, but what an alias stands for is ours to tell.
_NO_NEWS = frozenset({"unchanged", "gone", "read", "listed"})


class ReportingHook(Protocol):
    """What is needed of a hook."""

    conn_type: str

    @property
    def metrics(self) -> Metrics:
        """Where the numbers of its connection go."""

    def common_record(self, meeting: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a meeting with the columns that both vendors have."""

    def web_url(self, meeting: Mapping[str, Any]) -> str | None:
        """Return where the vendor's web app shows a meeting."""


def report_outcome(
    operator: Any,
    context: Any,
    outcome: str,
    meetings: Sequence[Mapping[str, Any] | MeetingOutcome],
    *,
    hook: Callable[[], ReportingHook],
    count: int | None = None,
    counts: Mapping[str, int] | None = None,
) -> None:
    """Tell what has become of which meetings.

    One meeting, or many of one outcome::

        report_outcome(self, context, "created", [meeting], hook=lambda: hook)
        report_outcome(self, context, "listed", first_hundred, hook=lambda: hook, count=4711)

    A set, in which each meeting has an outcome of its own. The task's is ``synced``, or ``unchanged`` where nothing was
    written; meetings that were left as they are need not be listed, ``counts`` tells how many they are::

        report_outcome(
            self,
            context,
            "synced",
            [
                MeetingOutcome("created", meeting),
                MeetingOutcome("updated", meeting, before={"location": None}, after={"location": "Zoom"}),
                MeetingOutcome("deleted", meeting_as_it_was_listed),
            ],
            hook=lambda: hook,
            counts={"created": 1, "updated": 1, "deleted": 1, "unchanged": 40},
        )

    On Airflow 3.1 and newer the first thousand of them, in the order given, go into the XCom ``meetings_outcome``, from
    which the Meetings pages are drawn (see :mod:`.outcome_record`): put what was written before what was not.

    Args:
        operator: The operator, or the sensor, that is running.
        context: Its context.
        outcome: ``created``, ``adopted``, ``updated``, ``unchanged``, ``deleted``, ``gone``, ``synced``; or ``read``,
            ``listed``, ``found``.
        meetings: Which, as the vendor returned them; of a deleted one at least the ``id``.
        hook: Returns that of its connection, which may be gone by now.
        count: How many they are, where ``meetings`` is only the first of them.
        counts: How many have each outcome, where they differ.
    """
    rows = [one if isinstance(one, MeetingOutcome) else MeetingOutcome(outcome, one) for one in meetings]
    counts = counts or {outcome: len(rows) if count is None else count}
    total = sum(counts.values())
    found: ReportingHook | None = None
    try:
        found = hook()
        if total == 1 and rows:
            store_link(operator, context, found.web_url(rows[0].meeting))
        for name, number in counts.items():
            if f"meetings.{name}" in METRICS and number:
                found.metrics.event(name, number)
    except Exception as error:  # noqa: BLE001 - a connection that is gone by now, say, which a deferred task does not need
        operator.log.debug("No link to the meeting: %s", error)
    extra = {
        "outcome": outcome,
        "meeting_ids": [one.meeting.get("id") for one in islice(rows, MAX_EVENT_IDS)],
        "count": total,
        "vendor": found and found.conn_type,
        "meetings_conn_id": operator.meetings_conn_id,
    }
    _tell_outlets(operator, context, extra)
    _record(operator, context, found, outcome, rows, counts=counts)


def report_failure(
    operator: Any,
    context: Any,
    error: MeetingsError,
    *,
    hook: ReportingHook | None = None,
    meeting: Mapping[str, Any] | None = None,
    writes: bool = True,
) -> None:
    """Leave the reason why a try failed for the Meetings pages; the next try takes it away.

    Args:
        operator: The operator, or the sensor, that is running.
        context: Its context.
        error: Why.
        hook: That of its connection, where there is one.
        meeting: The meeting that was asked for, where it is known.
        writes: Whether the task changes meetings: then, an error that leaves open whether the vendor has acted makes
            the outcome ``in_doubt`` rather than ``failed``.
    """
    in_doubt = isinstance(error, MeetingsInDoubtError) or (writes and error.maybe_sent)
    outcome = "in_doubt" if in_doubt else "failed"
    rows = [] if meeting is None else [MeetingOutcome(outcome, meeting)]
    _record(operator, context, hook, outcome, rows, key=FAILURE_KEY, error=error_of(error))


def _record(
    operator: Any,
    context: Any,
    hook: ReportingHook | None,
    outcome: str,
    rows: Sequence[MeetingOutcome],
    *,
    counts: Mapping[str, int] | None = None,
    key: str = OUTCOME_KEY,
    **facts: Any,
) -> None:
    if "ti" not in context or not operator.do_xcom_push or not shows_pages():
        return
    try:
        record = record_of(
            outcome,
            rows,
            columns=hook.common_record if hook else lambda meeting: {"id": meeting.get("id")},
            url=hook.web_url if hook else lambda _: None,
            counts=counts,
            vendor=hook and hook.conn_type,
            meetings_conn_id=str(operator.meetings_conn_id),
            **facts,
        )
        push_to_database(context["ti"], key, record)
    except Exception as error:  # noqa: BLE001 - the meeting is booked: the task must not fail for its picture
        operator.log.warning("The Meetings pages will not show this task: %s", error)


def _tell_outlets(operator: Any, context: Any, extra: dict[str, Any]) -> None:
    if not operator.outlets or "outlet_events" not in context:
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias  # noqa: PLC0415 - not at parse time

    from airflow_provider_meetings.assets import meetings_asset  # noqa: PLC0415 - likewise

    for outlet in operator.outlets:
        if isinstance(outlet, Asset):
            event = context["outlet_events"][outlet]
            event.extra.update(extra)
            key = context.get("partition_key")
            if key and hasattr(event, "add_partitions"):  # Airflow 3.3
                event.add_partitions([key])
        elif isinstance(outlet, AssetAlias) and extra["outcome"] not in _NO_NEWS:
            context["outlet_events"][outlet].add(meetings_asset(operator.meetings_conn_id), extra=extra)
