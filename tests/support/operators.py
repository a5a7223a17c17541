"""Operators and triggers executed without an Airflow: the context that they look at, rendering, and the call."""

import datetime as dt
from collections.abc import Sequence
from types import SimpleNamespace

from tests.support.sandbox import NOON
from tests.support.store import StateStore

START = dt.datetime.fromtimestamp(NOON / 1000, dt.UTC)
INTERVAL = {"data_interval_start": START, "data_interval_end": START + dt.timedelta(hours=1)}
CONN = {"meetings_conn_id": "meetings"}


def context_of(task_id="task", *, store=None, map_index=-1, try_number=1, **more):
    """Make what Airflow hands to execute(), as far as the operators look at it."""
    pushed = {}
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        max_tries=3,
        xcom_push=lambda key, value: pushed.update({key: value}),
        pushed=pushed,
    )
    run = SimpleNamespace(run_after=START, start_date=START, queued_at=START, logical_date=START, clear_number=0)
    return {"ti": ti, "dag_run": run, "task_state_store": store or StateStore(), **more}


def run(operator, context=None, **values):
    """Render and execute an operator."""
    context = context or context_of(operator.task_id)
    operator.render_template_fields(context | values)
    return operator.execute(context | values)


async def first_event(trigger):
    """Run a trigger until it fires."""
    events = trigger.run()
    try:
        return await anext(events)
    finally:
        await events.aclose()


class Lazy(Sequence):
    """A mapped task's output as Airflow hands it over: a sequence that is no list and cannot be pickled."""

    def __init__(self, *values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def __getitem__(self, place):
        return self._values[place]

    def __reduce__(self):
        raise TypeError("cannot pickle 'module' object")
