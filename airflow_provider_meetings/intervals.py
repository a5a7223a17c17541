"""The window of a run: what the DAG author gave, else the run's data interval."""

from __future__ import annotations

from typing import Any

from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["window_or_interval"]


def window_or_interval(window_start: Any, window_end: Any, context: Any) -> tuple[Any, Any]:
    """Return both bounds; each one that was not given is the run's data interval's.

    Raises:
        MeetingsConfigurationError: A bound was not given and the run has no data interval (in Airflow 3 a run that was
            started by hand or by an asset has none), or an empty one.
    """
    given = {"window_start": window_start, "window_end": window_end}
    missing = [name for name, value in given.items() if value is None]
    if not missing:
        return window_start, window_end
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        reason = "This run has no data interval (a run started by hand or by an asset has none)"
    elif start >= end:
        reason = (
            "This run's data interval is empty (Airflow 3 gives a plain cron schedule such as @daily an empty one; "
            'CronTriggerTimetable("@daily", timezone="UTC", interval=timedelta(days=1)) gives a day)'
        )
    else:
        return (start if window_start is None else window_start), (end if window_end is None else window_end)
    raise MeetingsConfigurationError(
        f"{reason}, so {' and '.join(missing)} must be given, for example "
        "window_start='{{ params.window_start }}', or a moment that an earlier task returns. Nothing was sent."
    )
