"""A task that may ask people, as Airflow runs it, try after try: forms are answered, and a store outlives the tries."""

import datetime as dt
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import structlog
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    CreateHITLDetailPayload,
    DeferTask,
    GetTaskStateStore,
    SetTaskStateStore,
    SetXCom,
    TaskStateStoreResult,
)
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from tests.support.sandbox import NOON

START = dt.datetime.fromtimestamp(NOON / 1000, dt.UTC)


@dataclass
class Supervisor:
    """What the runner talks to.

    Attributes:
        store: The task state store; None: Airflow is older than 3.3.
        xcoms: What was pushed in this try.
        forms: What people were asked in this try.
        writes: How often the store was written.
    """

    store: dict[str, Any] | None = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    forms: list[CreateHITLDetailPayload] = field(default_factory=list)
    writes: int = 0

    def send(self, msg: Any = None, **_: Any) -> Any:
        """Answer a question of the runner, or take note."""
        if isinstance(msg, SetXCom):
            self.xcoms[msg.key] = msg.value
        elif isinstance(msg, CreateHITLDetailPayload):
            self.forms.append(msg)
        elif isinstance(msg, SetTaskStateStore) and self.store is not None:
            self.store[msg.key] = json.loads(json.dumps(msg.value))
            self.writes += 1
        elif isinstance(msg, GetTaskStateStore) and msg.key in (self.store or ()):
            return TaskStateStoreResult(value=self.store[msg.key])
        return None


@dataclass
class Ended:
    """How a start of the task ended: its state, its error, and the message that went to Airflow."""

    state: str
    error: BaseException | None
    message: Any


class SetOnAirflow:
    """A task instance of a set, or of another operator.

    Args:
        monkeypatch: Pytest's.
        durable: Whether Airflow has a task state store, as it has from 3.3 on.
        operator: The operator's class.
        arguments: The operator's.
    """

    def __init__(
        self, monkeypatch: Any, *, durable: bool = True, operator: Any = SyncMeetingsOperator, **arguments: Any
    ) -> None:
        self._operator = operator
        self.supervisor = Supervisor({} if durable else None)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self.supervisor, raising=False)
        self.arguments = arguments
        self.tries = 0
        self.log: list[str] = []

    @property
    def form(self) -> CreateHITLDetailPayload:
        """The form of this try."""
        (form,) = self.supervisor.forms
        return form

    @property
    def result(self) -> Any:
        """What the task returned."""
        return self.supervisor.xcoms.get("return_value")

    def start(self, **changes: Any) -> Ended:
        """Begin a new try."""
        self.arguments |= changes
        self.tries += 1
        self.supervisor.xcoms.clear()
        self.supervisor.forms.clear()
        return self._run(None)

    def answer(self, parked: Ended, choice: str, by: str = "Ann") -> Ended:
        """Let a person answer the form of this try, and go on."""
        event = {
            "chosen_options": [choice],
            "params_input": {},
            "responded_at": START,
            "responded_by_user": {"id": by.lower(), "name": by},
        }
        return self._run((parked.message.next_method, {**(parked.message.next_kwargs or {}), "event": event}))

    def go_on(self, deferred: Ended) -> Ended:
        """Go on after a wait without a worker."""
        assert isinstance(deferred.message, DeferTask)
        return self._run((deferred.message.next_method, {**(deferred.message.next_kwargs or {}), "event": None}))

    def _run(self, following: Any) -> Ended:
        with DAG("dag", schedule=None):
            operator = self._operator(task_id="sync", retries=2, **self.arguments)
        method, keywords = following or (None, None)
        run = DagRun.model_construct(
            dag_id="dag", run_id="run", logical_date=START, data_interval_start=START,
            data_interval_end=START + dt.timedelta(hours=1), run_after=START, start_date=START, end_date=None,
            run_type=DagRunType.MANUAL, state=DagRunState.RUNNING, conf={}, consumed_asset_events=[],
            partition_key=None,
        )  # fmt: skip
        context = TIRunContext.model_construct(
            dag_run=run, max_tries=2, should_retry=True, task_reschedule_count=0, next_method=method,
            next_kwargs=keywords, start_date=START,
        )  # fmt: skip
        ti = RuntimeTaskInstance.model_construct(
            id=f"0199a000-0000-7000-8000-{self.tries:012d}", task_id="sync", dag_id="dag", run_id="run",
            try_number=self.tries, map_index=-1, max_tries=2, task=operator, start_date=START,
            _ti_context_from_server=context,
        )  # fmt: skip
        values = ti.get_template_context()
        if self.supervisor.store is None:
            values.pop("task_state_store", None)
        log = structlog.wrap_logger(logging.getLogger("runner"))
        state, message, error = task_runner.run(ti, values, log)
        return Ended(str(getattr(state, "value", state)), error, message)
