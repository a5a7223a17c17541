"""Airflow's own task runner around a task, start after start: scheduler, triggerer and people go on with it."""

import asyncio
import datetime as dt
import importlib
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import structlog
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    CreateHITLDetailPayload,
    DeferTask,
    GetTaskRescheduleStartDate,
    GetTaskStateStore,
    HITLDetailRequestResult,
    RescheduleTask,
    SetTaskStateStore,
    SetXCom,
    TaskRescheduleStartDate,
    TaskStateStoreResult,
)
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from tests.support.operators import START, first_event
from tests.support.sandbox import HOUR, NOON

WAYS = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}
STARTS = 400


@dataclass
class Supervisor:
    """What the runner talks to.

    Attributes:
        store: The task state store; None: Airflow is older than 3.3.
        xcoms: What was pushed.
        form: What people see: Airflow keeps the form that a task instance has shown first.
        asked: How many forms this try has shown.
        response: What a person has answered, until the task asks again.
        writes: How often the store was written.
        first_reschedule: When the task was rescheduled first.
    """

    store: dict[str, Any] | None = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    form: CreateHITLDetailPayload | None = None
    asked: set[str] = field(default_factory=set)
    response: dict[str, Any] | None = None
    writes: int = 0
    first_reschedule: dt.datetime | None = None

    def send(self, msg: Any = None, **_: Any) -> Any:
        """Answer a question of the runner, or take note."""
        if isinstance(msg, GetTaskRescheduleStartDate):
            return TaskRescheduleStartDate(start_date=self.first_reschedule)
        if isinstance(msg, SetXCom):
            self.xcoms[msg.key] = msg.value
        elif isinstance(msg, CreateHITLDetailPayload):
            self.form = self.form or msg
            self.asked.add(msg.model_dump_json())
            self.response = None
            return HITLDetailRequestResult.from_api_response(self.form)
        elif isinstance(msg, SetTaskStateStore) and self.store is not None:
            self.store[msg.key] = json.loads(json.dumps(msg.value))
            self.writes += 1
        elif isinstance(msg, GetTaskStateStore) and msg.key in (self.store or ()):
            return TaskStateStoreResult(value=self.store[msg.key])
        return None


@dataclass
class Ended:
    """How a start of a task ended: its state, its error, and the message that went to Airflow."""

    state: str
    error: BaseException | None
    message: Any


def start(
    monkeypatch: Any,
    supervisor: Supervisor,
    operator: Any,
    *,
    following: tuple[str, dict[str, Any]] | None = None,
    try_number: int = 1,
    begun: dt.datetime = START,
    reschedules: int = 0,
) -> Ended:
    """Start a task as a fresh worker process does.

    Args:
        monkeypatch: Pytest's.
        supervisor: What it talks to.
        operator: A fresh operator.
        following: The method to resume with, and its arguments; None: it begins.
        try_number: Of the task.
        begun: When this try began.
        reschedules: How often the try was rescheduled.
    """
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    method, keywords = following or (None, None)
    run = DagRun.model_construct(
        dag_id="dag", run_id="run", logical_date=START, data_interval_start=START,
        data_interval_end=START + dt.timedelta(hours=1), run_after=START, start_date=START, end_date=None,
        run_type=DagRunType.MANUAL, state=DagRunState.RUNNING, conf={}, consumed_asset_events=[], partition_key=None,
    )  # fmt: skip
    context = TIRunContext.model_construct(
        dag_run=run, max_tries=operator.retries, should_retry=True, task_reschedule_count=reschedules,
        next_method=method, next_kwargs=keywords, start_date=begun if method else None,
    )  # fmt: skip
    ti = RuntimeTaskInstance.model_construct(
        id=f"0199a000-0000-7000-8000-{try_number:012d}", task_id=operator.task_id, dag_id="dag", run_id="run",
        try_number=try_number, map_index=-1, max_tries=operator.retries, task=operator, start_date=begun,
        _ti_context_from_server=context,
    )  # fmt: skip
    values = ti.get_template_context()
    if supervisor.store is None:
        values.pop("task_state_store", None)
    state, message, error = task_runner.run(ti, values, structlog.wrap_logger(logging.getLogger("runner")))
    return Ended(str(getattr(state, "value", state)), error, message)


class TaskOnAirflow:
    """A task instance, try after try: people answer its forms, and its store outlives the tries.

    Args:
        monkeypatch: Pytest's.
        durable: Whether Airflow has a task state store, as it has from 3.3 on.
        operator: The operator's class.
        arguments: The operator's.
    """

    def __init__(
        self, monkeypatch: Any, *, durable: bool = True, operator: Any = SyncMeetingsOperator, **arguments: Any
    ) -> None:
        self._monkeypatch = monkeypatch
        self._operator = operator
        self.supervisor = Supervisor({} if durable else None)
        self.arguments = arguments
        self.tries = 0
        self._max_tries = 2

    @property
    def form(self) -> CreateHITLDetailPayload:
        """What people see, where this try has asked them."""
        assert len(self.supervisor.asked) == 1
        return self.supervisor.form

    @property
    def result(self) -> Any:
        """What the task returned."""
        return self.supervisor.xcoms.get("return_value")

    def new_run(self) -> None:
        """Have the task run in another DAG run: nothing is known there, and no form was shown."""
        self.supervisor = Supervisor(None if self.supervisor.store is None else {})
        self.tries = 0

    def clear(self) -> None:
        """Clear the task, as a person does in the UI: Airflow gives it as many tries again."""
        self._max_tries = self.tries + 2

    def start(self, **changes: Any) -> Ended:
        """Begin a new try."""
        self.arguments |= changes
        self.tries += 1
        self.supervisor.xcoms.clear()
        self.supervisor.asked.clear()
        return self._run(None)

    def answer(self, parked: Ended, choice: str, by: str = "Ann") -> Ended:
        """Let a person answer the form of this try, and go on."""
        self.respond(choice, by)
        return self.resume(parked)

    def respond(self, choice: str, by: str = "Ann") -> None:
        """Let a person answer the form, and the answer not reach the task."""
        assert choice in self.supervisor.form.options
        self.supervisor.response = {
            "chosen_options": [choice],
            "params_input": {},
            "responded_at": START,
            "responded_by_user": {"id": by.lower(), "name": by},
        }

    def resume(self, parked: Ended) -> Ended:
        """Go on with the answer that is there."""
        assert self.supervisor.response
        event = self.supervisor.response
        return self._run((parked.message.next_method, {**(parked.message.next_kwargs or {}), "event": event}))

    def time_out(self, parked: Ended) -> Ended:
        """Let the time for an answer pass, as Airflow's scheduler notices it: the default holds, if there is one."""
        defaults = self.form.defaults
        event: dict[str, Any] = {"error": "The timeout has passed.", "error_type": "timeout"}
        if defaults is not None:
            answer = {"chosen_options": defaults, "params_input": {}, "responded_at": START}
            event = answer | {"responded_by_user": None, "timedout": True}
        return self._run((parked.message.next_method, {**(parked.message.next_kwargs or {}), "event": event}))

    def go_on(self, deferred: Ended) -> Ended:
        """Go on after a wait without a worker."""
        assert isinstance(deferred.message, DeferTask)
        return self._run((deferred.message.next_method, {**(deferred.message.next_kwargs or {}), "event": None}))

    def _run(self, following: Any) -> Ended:
        with DAG("dag", schedule=None):
            operator = self._operator(task_id="sync", retries=self._max_tries, **self.arguments)
        return start(self._monkeypatch, self.supervisor, operator, following=following, try_number=self.tries)


@dataclass
class Outcome:
    """What has become of a sensor: its state, the XCom value, the error, and how often a worker was started for it."""

    state: str
    value: Any
    error: BaseException | None
    starts: int
    deferrals: list[DeferTask]


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


def in_triggerer(classpath, arguments, seconds):
    """Run a trigger as the triggerer does; return the method to resume with, and its arguments."""
    module, _, name = classpath.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    try:
        event = asyncio.run(asyncio.wait_for(first_event(trigger), seconds))
    except TimeoutError:
        return "__fail__", {"error": "Trigger timeout"}
    except Exception as error:  # noqa: BLE001 - the triggerer catches them all
        return "__fail__", {"error": "Trigger failure", "traceback": [repr(error)]}
    return None, {"event": json.loads(json.dumps(event.payload))}


def live(monkeypatch, mode, *, retry_limits=5.0, has_store=True, supervisor=None, **arguments):
    """Let a sensor live until it ends: each start is a fresh operator, as in a fresh worker process.

    Args:
        monkeypatch: Pytest's.
        mode: The sensor's.
        retry_limits: Seconds that Airflow's own sweep is later than the timeout of a deferral.
        has_store: Whether Airflow keeps the state of tasks, as it does from 3.3 on.
        supervisor: That of an earlier try; None: this is the first one.
        arguments: More of the sensor's.
    """
    supervisor = supervisor or Supervisor({} if has_store else None)
    begun, reschedules, following, deferrals = dt.datetime.now(dt.UTC), 0, None, []
    for number in range(1, STARTS):
        ended = start(
            monkeypatch,
            supervisor,
            sensor_of(mode, **arguments),
            following=following,
            begun=begun,
            reschedules=reschedules,
        )
        message = ended.message
        if isinstance(message, RescheduleTask):
            supervisor.first_reschedule = supervisor.first_reschedule or begun
            reschedules += 1
            time.sleep(max(0.0, (message.reschedule_date - dt.datetime.now(dt.UTC)).total_seconds()))
        elif isinstance(message, DeferTask):
            deferrals.append(message)
            seconds = message.trigger_timeout.total_seconds() + retry_limits
            method, keywords = in_triggerer(message.classpath, message.trigger_kwargs, seconds)
            following = (method or message.next_method, keywords | (message.next_kwargs if not method else {}))
        else:
            return Outcome(ended.state, supervisor.xcoms.get("return_value"), ended.error, number, deferrals)
    raise AssertionError("the task never ended")
