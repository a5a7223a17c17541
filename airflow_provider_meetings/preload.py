"""Loads what the tasks of this provider need, for a process that forks them: a Celery worker, say.

A forked task has what its parent had imported, so its start costs a quarter. In Airflow's configuration::

    [celery]
    extra_celery_config = {"imports": ["airflow_provider_meetings.preload"]}
"""

from __future__ import annotations

import importlib

from airflow_provider_meetings.connection.registry import VENDORS

__all__ = ["MODULES"]

#: Airflow's own share of a task's start, and ours.
MODULES = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow_provider_meetings.exactly_once.task_state",
    "airflow_provider_meetings.operators.meetings",
    *(entry.hook_module for entry in VENDORS.values()),
    "airflow_provider_meetings.sensors.meetings",
    "airflow_provider_meetings.triggers.meetings",
)

for _name in MODULES:
    try:
        importlib.import_module(_name)
    except ModuleNotFoundError as error:  # Airflow 2 has other modules for it
        if not str(error.name).startswith("airflow."):
            raise
