"""Airflow's database as runs leave it, written row by row: DAGs, runs, task instances, records, triggers, assets."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow.models.asset import (
    AssetActive,
    AssetEvent,
    AssetModel,
    DagScheduleAssetReference,
)
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import delete, insert

from airflow_provider_meetings.observability.outcome_record import (
    FAILURE_KEY,
    OUTCOME_KEY,
    MeetingOutcome,
    record_of,
)

try:  # Airflow 3.3 and newer
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:
    AssetStateStoreModel = TaskStateStoreModel = None
try:  # Airflow 3.2 and newer
    from airflow.models.asset import AssetWatcherModel

    WATCHERS = AssetWatcherModel.__table__
except ImportError:
    from airflow.models.asset import asset_trigger_association_table as WATCHERS  # noqa: N812 - it is a constant here

#: Whether this Airflow keeps states between tries and looks.
KEEPS_STATES = AssetStateStoreModel is not None

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: A meeting whose every text would do harm if it were markup.
HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script>'

MODELS = (
    XComModel,
    RenderedTaskInstanceFields,
    TaskStateStoreModel,
    AssetStateStoreModel,
    HITLDetail,
    AssetEvent,
    WATCHERS,
    DagScheduleAssetReference,
    AssetActive,
    AssetModel,
    TaskInstance,
    Trigger,
    DagRun,
    DagModel,
    DagBundleModel,
)


def meeting(number, starts_at, **facts):
    """Make a meeting in the common columns."""
    return {
        "id": str(number),
        "starts_at": starts_at,
        "ends_at": starts_at + HOUR,
        "time_zone": "America/New_York",
        "title": f"Meeting {number} of many",
        "type": "Interview",
        "location": "5 Main Street",
        "counterpart_name": "Ada Lovelace",
        **facts,
    }


def record(outcome, *meetings, connection="hiringcenter_default", vendor="hiringcenter", **facts):
    """Make a task's record; a meeting is a dict, or a MeetingOutcome where it has an outcome of its own."""
    rows = [one if isinstance(one, MeetingOutcome) else MeetingOutcome(outcome, one) for one in meetings]
    return record_of(
        outcome,
        rows,
        columns=lambda one: one,
        url=lambda one: f"https://app.example.com/meetings/{one['id']}",
        vendor=vendor,
        meetings_conn_id=connection,
        **facts,
    )


def _table(model):
    return getattr(model, "__table__", model)


@dataclass
class Database:
    """Writes rows.

    Attributes:
        engine: Where to.
        now: The time that everything is told from.
    """

    engine: object
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def clear(self):
        """Delete whatever a test has written."""
        with self.engine.begin() as connection:
            for model in MODELS:
                if model is not None:
                    connection.execute(delete(_table(model)))

    def write(self, model, *rows):
        """Insert rows, without the columns that this Airflow has not; returns the key of the only one."""
        columns = _table(model).c
        rows = [{name: row[name] for name in row if name in columns} for row in rows]
        with self.engine.begin() as connection:
            if len(rows) == 1:
                return connection.execute(insert(_table(model)).values(**rows[0])).inserted_primary_key[0]
            return connection.execute(insert(_table(model)), rows)

    def dag(self, dag_id):
        """Have Airflow know a DAG."""
        with self.engine.begin() as connection:
            known = connection.execute(DagBundleModel.__table__.select()).first()
        if known is None:
            self.write(DagBundleModel, {"name": "dags", "active": True})
        self.write(DagModel, {"dag_id": dag_id, **dag_defaults()})

    def run(self, dag_id, run_id="run", *, state="success", ago=timedelta(hours=1)):
        """Have a DAG run."""
        then = self.now - ago
        row = {"dag_id": dag_id, "run_id": run_id, "state": state, "run_type": "manual", "run_after": then}
        number = self.write(DagRun, {**row, "start_date": then, **run_defaults()})
        return Run(self, dag_id, run_id, number)

    def trigger(self, classpath, **kwargs):
        """Have a trigger."""
        row = {"classpath": classpath, "kwargs": Trigger.encrypt_kwargs(kwargs), "created_date": self.now}
        return self.write(Trigger, row)

    def asset(self, uri, name=None, *, dags=(), trigger_id=None):
        """Have an asset, maybe watched, and the schedule of DAGs."""
        name = name or uri
        asset_id = self.write(AssetModel, {"name": name, "uri": uri, "group": "asset", "extra": {}, **self._dates()})
        self.write(AssetActive, {"name": name, "uri": uri})
        for dag_id in dags:
            self.write(DagScheduleAssetReference, {"asset_id": asset_id, "dag_id": dag_id, **self._dates()})
        if trigger_id is not None:
            row = {"name": name, "asset_id": asset_id, "trigger_id": trigger_id}
            self.write(WATCHERS, row)
        return asset_id

    def event(self, asset_id, extra, *, ago=timedelta(minutes=5), source_dag_id=None):
        """Have an event of an asset."""
        row = {"asset_id": asset_id, "extra": extra, "timestamp": self.now - ago, "source_dag_id": source_dag_id}
        self.write(AssetEvent, row)

    def looked(self, asset_id, *, ago=timedelta(minutes=2)):
        """Have a watcher that has stored what it knows, where it can."""
        if not KEEPS_STATES:
            return
        row = {"asset_id": asset_id, "key": "meetings/scope", "value": "{}", "updated_at": self.now - ago}
        self.write(AssetStateStoreModel, row)

    def _dates(self):
        return {"created_at": self.now, "updated_at": self.now}


@dataclass
class Run:
    """A DAG run, and what belongs to it."""

    database: Database
    dag_id: str
    run_id: str
    number: int

    def task(
        self,
        task_id,
        *,
        map_index=-1,
        state="success",
        operator="CreateMeetingOperator",
        outcome=None,
        failure=None,
        ago=timedelta(minutes=30),
        **facts,
    ):
        """Have a task instance, and what it has left; returns its id."""
        then = self.database.now - ago
        names = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id, "map_index": map_index}
        ti_id = new_id()
        row = {"id": ti_id, **names, "state": state, "operator": operator, "start_date": then, "end_date": then}
        self.database.write(TaskInstance, row | task_defaults() | facts)
        for key, value in ((OUTCOME_KEY, outcome), (FAILURE_KEY, failure)):
            if value is not None:
                stored = {**names, "dag_run_id": self.number, "key": key, "value": value, "timestamp": then}
                self.database.write(XComModel, stored)
        return ti_id

    def ask(self, task_id, subject, *options):
        """Have a task that waits for a person's answer."""
        ti_id = self.task(task_id, state="awaiting_input", operator="SyncMeetingsOperator")
        row = {"ti_id": ti_id, "options": list(options), "subject": subject, "params": {}, "params_input": {}}
        self.database.write(HITLDetail, {**row, "created_at": self.database.now})

    def journal(self, task_id, document):
        """Have the journal of a task, where Airflow keeps one."""
        if not KEEPS_STATES:
            return
        names = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id, "map_index": -1}
        row = {**names, "dag_run_id": self.number, "key": "meetings_journal", "value": json.dumps(document)}
        self.database.write(TaskStateStoreModel, {**row, "updated_at": self.database.now})


def new_id():
    """Return an id for a task instance, as this Airflow stores it: 3.1 as text."""
    made = uuid.uuid4()
    return str(made) if TaskInstance.__table__.c.id.type.python_type is str else made


def dag_defaults():
    """What every DAG has."""
    return {
        "is_paused": False,
        "is_stale": False,
        "bundle_name": "dags",
        "max_active_tasks": 16,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
        "timetable_type": "",
    }


def run_defaults():
    """What every run has."""
    return {"clear_number": 0, "span_status": "not_started"}


def task_defaults():
    """What every task instance has."""
    return {
        "try_number": 1,
        "max_tries": 0,
        "pool": "default_pool",
        "pool_slots": 1,
        "span_status": "not_started",
        "executor_config": {},
    }
