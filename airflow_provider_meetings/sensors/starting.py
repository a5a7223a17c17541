"""Whether a sensor may start in the triggerer, without a worker before, and with which arguments.

Airflow's scheduler makes the trigger itself then (``start_from_trigger``). It reads what the trigger needs from the DAG
as it is stored, so nothing may be left to be rendered, looked up or refused on a worker.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

__all__ = ["PerInstance", "start_from_trigger", "start_trigger_args"]

_SENSOR = "airflow_provider_meetings.sensors.meetings"
_TRIGGER = "airflow_provider_meetings.triggers.meetings.MeetingsTrigger"
# What begins an expression, a statement or a comment of Jinja.
_TEMPLATE = ("{{", "{%", "{#")


@dataclass(frozen=True)
class PerInstance:
    """An attribute that is computed when it is read: a policy may change a task after it was made.

    Attributes:
        work_out: Gets the sensor.
        on_class: What the class itself has, and with it a mapped task.
    """

    work_out: Callable[[Any], Any]
    on_class: Any

    def __get__(self, sensor: Any, owner: type) -> Any:
        return self.on_class if sensor is None else self.work_out(sensor)


def start_from_trigger(sensor: Any) -> bool:
    """Whether the scheduler may start it in the triggerer."""
    return _criteria(sensor) is not None


def start_trigger_args(sensor: Any) -> Any:
    """Return what the scheduler makes the trigger of; None: it may not."""
    criteria = _criteria(sensor)
    if criteria is None:
        return None
    from airflow.triggers.base import StartTriggerArgs  # noqa: PLC0415 - Airflow 2.10+

    return StartTriggerArgs(
        trigger_cls=_TRIGGER,
        trigger_kwargs={
            "meetings_conn_id": sensor.meetings_conn_id,
            "poke_interval": sensor.poke_interval,
            "verify_host": True,
            **criteria.as_kwargs(),
        },
        next_method="execute_complete",
        next_kwargs=None,
        timeout=timedelta(seconds=sensor.timeout),
    )


def _criteria(sensor: Any) -> Any:
    """Return what the sensor waits for; None: it takes a worker to find out, or to refuse it."""
    # Airflow reads it while the sensor is being made, too.
    if not getattr(sensor, "may_start_from_trigger", False) or not sensor.deferrable or not sensor.timeout > 0:
        return None
    given = (
        sensor.window_start,
        sensor.window_end,
        sensor.filters,
        sensor.match,
        sensor.min_count,
        sensor.include_cancelled,
    )
    if (
        None in given[:2]
        or sensor.window_length is not None
        or not isinstance(sensor.meetings_conn_id, str)
        or not sensor.meetings_conn_id
    ):
        return None
    if not all(_is_plain(value) for value in (*given, sensor.meetings_conn_id)) or _runs_code_first(sensor):
        return None
    from airflow_provider_meetings.exceptions import MeetingsConfigurationError  # noqa: PLC0415 - only where needed
    from airflow_provider_meetings.polling.criteria import Criteria  # noqa: PLC0415 - likewise
    from airflow_provider_meetings.version_compat import scheduler_starts_triggers  # noqa: PLC0415 - likewise

    if not scheduler_starts_triggers():
        return None
    try:
        return Criteria.parse(*given)
    except MeetingsConfigurationError:
        return None  # the worker refuses it, and says why in the task's log


def _is_plain(value: Any) -> bool:
    """Whether a value is as it will be: no template in it, nothing that another task returns."""
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE)
    if isinstance(value, dict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float | dt.datetime)


def _runs_code_first(sensor: Any) -> bool:
    """Whether the author has code that runs on the worker before the wait, or templates of another look."""
    classes = itertools.takewhile(lambda kind: kind.__module__ != _SENSOR, type(sensor).__mro__)
    own = any(name in vars(kind) for kind in classes for name in ("pre_execute", "execute", "poke"))
    hooks = getattr(sensor, "_pre_execute_hook", None) or sensor.on_execute_callback
    dag = sensor.dag if sensor.has_dag() else None
    return bool(own or hooks or getattr(dag, "jinja_environment_kwargs", None))
