"""Airflow's own task runner around a sensor, start after start, as its scheduler and triggerer go on with a task."""

import asyncio
import datetime as dt
import importlib
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import structlog
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DeferTask,
    GetTaskRescheduleStartDate,
    GetTaskStateStore,
    RescheduleTask,
    SetTaskStateStore,
    SetXCom,
    TaskRescheduleStartDate,
    TaskStateStoreResult,
)
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from tests.support.sandbox import HOUR, NOON

START = dt.datetime.fromtimestamp(NOON / 1000, dt.UTC)
WAYS = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}
STARTS = 400


@dataclass
class Outcome:
    """What has become of a task: its state, the XCom value, the error, and how often a worker was started for it."""

    state: str
    value: Any
    error: BaseException | None
    starts: int
    deferrals: list[DeferTask]


class Supervisor:
    """What the runner talks to."""

    def __init__(self, *, has_store=True):
        self.first_reschedule = None
        self.value = None
        self.store = {} if has_store else None

    def send(self, msg=None, **_):
        """Answer a question of the runner, or take note."""
        if isinstance(msg, GetTaskRescheduleStartDate):
            return TaskRescheduleStartDate(start_date=self.first_reschedule)
        if isinstance(msg, SetXCom) and msg.key == "return_value":
            self.value = msg.value
        if isinstance(msg, SetTaskStateStore) and self.store is not None:
            self.store[msg.key] = msg.value
        if isinstance(msg, GetTaskStateStore) and msg.key in (self.store or ()):
            return TaskStateStoreResult(value=self.store[msg.key])
        return None


def sensor_of(mode, **arguments):
    """Make a sensor in one of its modes, in a DAG of its own."""
    usual = {
        "task_id": "wait",
        "meetings_conn_id": "meetings",
        "poke_interval": 0.05,
        "timeout": 20,
        "retries": 1,
        "deferrable": False,
        "window_start": NOON,
        "window_end": NOON + HOUR,
    }
    with DAG("dag", schedule=None):
        return MeetingsSensor(**(usual | WAYS[mode] | arguments))


def _instance(sensor, server_context, started):
    return RuntimeTaskInstance.model_construct(
        id="0199a000-0000-7000-8000-000000000000",
        task_id="wait",
        dag_id="dag",
        run_id="run",
        try_number=1,
        map_index=-1,
        max_tries=1,
        task=sensor,
        start_date=server_context.start_date or started,
        _ti_context_from_server=server_context,
    )


def _server_context(started, reschedules, following):
    run = DagRun.model_construct(
        dag_id="dag", run_id="run", logical_date=START, data_interval_start=START,
        data_interval_end=START + dt.timedelta(hours=1), run_after=START, start_date=START, end_date=None,
        run_type=DagRunType.MANUAL, state=DagRunState.RUNNING, conf={}, consumed_asset_events=[], partition_key=None,
    )  # fmt: skip
    method, keywords = following or (None, None)
    return TIRunContext.model_construct(
        dag_run=run,
        max_tries=1,
        should_retry=True,
        task_reschedule_count=reschedules,
        next_method=method,
        next_kwargs=keywords,
        start_date=started if method else None,
    )


async def _first(trigger):
    events = trigger.run()
    try:
        return await anext(events)
    finally:
        await events.aclose()


def in_triggerer(classpath, arguments, seconds):
    """Run a trigger as the triggerer does; return the method to resume with, and its arguments."""
    module, _, name = classpath.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    try:
        event = asyncio.run(asyncio.wait_for(_first(trigger), seconds))
    except TimeoutError:
        return "__fail__", {"error": "Trigger timeout"}
    except Exception as error:  # noqa: BLE001 - the triggerer catches them all
        return "__fail__", {"error": "Trigger failure", "traceback": [repr(error)]}
    return None, {"event": json.loads(json.dumps(event.payload))}


def live(monkeypatch, mode, *, retry_limits=5.0, has_store=True, **arguments):
    """Let a task live until it ends: each start is a fresh operator, as in a fresh worker process.

    Args:
        monkeypatch: Pytest's.
        mode: The sensor's.
        has_store: Whether Airflow keeps the state of tasks, as it does from 3.3 on.
        retry_limits: Seconds that Airflow's own sweep is later than the timeout of a deferral.
        arguments: More of the sensor's.
    """
    supervisor = Supervisor(has_store=has_store)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    log = structlog.wrap_logger(logging.getLogger("runner"))
    started, reschedules, following, deferrals = dt.datetime.now(dt.UTC), 0, None, []
    for start in range(1, STARTS):
        context = _server_context(started, reschedules, following)
        ti = _instance(sensor_of(mode, **arguments), context, started)
        state, message, error = task_runner.run(ti, ti.get_template_context(), log)
        if isinstance(message, RescheduleTask):
            supervisor.first_reschedule = supervisor.first_reschedule or started
            reschedules += 1
            time.sleep(max(0.0, (message.reschedule_date - dt.datetime.now(dt.UTC)).total_seconds()))
        elif isinstance(message, DeferTask):
            deferrals.append(message)
            seconds = message.trigger_timeout.total_seconds() + retry_limits
            method, keywords = in_triggerer(message.classpath, message.trigger_kwargs, seconds)
            following = (method or message.next_method, keywords | (message.next_kwargs if not method else {}))
        else:
            return Outcome(str(getattr(state, "value", state)), supervisor.value, error, start, deferrals)
    raise AssertionError("the task never ended")
