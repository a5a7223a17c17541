"""Lets the scheduler import once what every task would import anew: its LocalExecutor forks the tasks' processes."""

import contextlib
import importlib
import sys

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

#: Where the versions of Airflow have what runs a task; each has some of them.
AIRFLOWS = (
    "airflow.cli.commands.task_command",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.jobs.local_task_job_runner",
    "airflow.models.dagbag",
    "airflow.sdk.execution_time.task_runner",
)
OURS = (
    "airflow_provider_meetings.hooks.builderprime",
    "airflow_provider_meetings.hooks.hiringcenter",
    "airflow_provider_meetings.exactly_once.task_state",
    "airflow_provider_meetings.operators.meetings",
    "airflow_provider_meetings.operators.set_people",
    "airflow_provider_meetings.sets.run",
    "airflow_provider_meetings.sensors.meetings",
    "airflow_provider_meetings.triggers.meetings",
)


@hookimpl
def on_starting(component):
    """Import what a task needs before there is one."""
    if type(component).__name__ != "Job" or "scheduler" not in sys.argv:
        return
    for name in AIRFLOWS:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    for name in OURS:
        importlib.import_module(name)


class Preload(AirflowPlugin):
    """Brings the listener in."""

    name = "preload"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow's way
