"""Airflow's side of what others see: the numbers go to its ``Stats``, what a hook touched to its hook lineage."""

from __future__ import annotations

from typing import Any, Literal

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.providers.common.compat.sdk import AirflowException, Stats, get_current_context

from airflow_provider_meetings.assets import meetings_uri
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.observability.metrics import Metrics

__all__ = ["metrics_of", "note_lineage"]


def metrics_of(settings: Settings) -> Metrics:
    """Return where the numbers of a connection go."""
    return Metrics(Stats, {"vendor": settings.vendor, "conn_id": settings.conn_id})


def note_lineage(hook: Any, side: Literal["input", "output"]) -> None:
    """Take note that a hook has read, or changed, the meetings of its connection, if a task is running.

    Outside of tasks nobody asks for it, and to find that out Airflow would load all plugins.
    """
    try:
        get_current_context()
    except (RuntimeError, AirflowException):
        return
    collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    add = collector.add_input_asset if side == "input" else collector.add_output_asset
    add(context=hook, uri=meetings_uri(hook.meetings_conn_id))
