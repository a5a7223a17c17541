"""What a task leaves behind for others to see when its work is done: its link, a number, and its asset events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from airflow_provider_meetings.observability.link import store_link
from airflow_provider_meetings.observability.metrics import METRICS, Metrics

__all__ = ["MAX_EVENT_IDS", "ReportingHook", "report_outcome"]

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

    def web_url(self, meeting: Mapping[str, Any]) -> str | None:
        """Return where the vendor's web app shows a meeting."""


def report_outcome(
    operator: Any,
    context: Any,
    outcome: str,
    meetings: Sequence[Mapping[str, Any]],
    *,
    hook: Callable[[], ReportingHook],
    count: int | None = None,
) -> None:
    """Tell what has become of which meetings.

    Args:
        operator: The operator, or the sensor, that is running.
        context: Its context.
        outcome: ``created``, ``adopted``, ``updated``, ``unchanged``, ``deleted``, ``gone``; or ``read``, ``listed``,
            ``found``.
        meetings: Which; of a deleted one the ``id`` alone.
        hook: Returns that of its connection, which may be gone by now.
        count: How many they are, where ``meetings`` is only the first of them.
    """
    count = len(meetings) if count is None else count
    try:
        found = hook()
        if count == 1:
            store_link(operator, context, found.web_url(meetings[0]))
        if f"meetings.{outcome}" in METRICS:
            found.metrics.event(outcome)
        vendor = found.conn_type
    except Exception as error:  # noqa: BLE001 - a connection that is gone by now, say, which a deferred task does not need
        operator.log.debug("No link to the meeting: %s", error)
        vendor = None
    extra = {
        "outcome": outcome,
        "meeting_ids": [meeting.get("id") for meeting in islice(meetings, MAX_EVENT_IDS)],
        "count": count,
        "vendor": vendor,
        "meetings_conn_id": operator.meetings_conn_id,
    }
    _tell_outlets(operator, context, extra)


def _tell_outlets(operator: Any, context: Any, extra: dict[str, Any]) -> None:
    if not operator.outlets or "outlet_events" not in context:
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias  # noqa: PLC0415 - not at parse time

    from airflow_provider_meetings.assets import meetings_asset  # noqa: PLC0415 - likewise

    for outlet in operator.outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(extra)
        elif isinstance(outlet, AssetAlias) and extra["outcome"] not in _NO_NEWS:
            context["outlet_events"][outlet].add(meetings_asset(operator.meetings_conn_id), extra=extra)
