"""Airflow's side of what others see: the numbers go to its ``Stats``, what a hook touched to its hook lineage."""

from __future__ import annotations

from typing import Any, Literal

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.providers.common.compat.sdk import AirflowException, Stats, get_current_context

from airflow_provider_meetings.assets import meetings_uri
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.observability.metrics import Metrics

__all__ = ["metrics_of", "note_lineage", "note_written_file"]


def metrics_of(settings: Settings) -> Metrics:
    """Return where the numbers of a connection go."""
    return Metrics(Stats, {"vendor": settings.vendor, "conn_id": settings.conn_id})


def note_lineage(hook: Any, side: Literal["input", "output"]) -> None:
    """Take note that a hook has read, or changed, the meetings of its connection, if a task is running."""
    collector = _collector()
    if collector is not None:
        add = collector.add_input_asset if side == "input" else collector.add_output_asset
        add(context=hook, uri=meetings_uri(hook.meetings_conn_id))


def note_written_file(path: Any) -> None:
    """Take note that a task has written a file, given by Airflow's path of it."""
    collector = _collector()
    if collector is not None:
        collector.add_output_asset(context=path, uri=str(path))


def _collector() -> Any:
    """Return what collects lineage in a task; None outside of one.

    No user asks for it there, and to find that out Airflow would load all plugins.
    """
    try:
        get_current_context()
    except (RuntimeError, AirflowException):
        return None
    collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    return collector
