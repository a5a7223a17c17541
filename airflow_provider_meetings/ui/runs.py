"""What one DAG run has done to which meetings: the tab's content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from airflow_provider_meetings.observability.outcome_record import COLUMNS, FAILURE_KEY, OUTCOME_KEY
from airflow_provider_meetings.ui.records import read_record

__all__ = ["MAX_INSTANCES", "OPERATORS", "milliseconds", "run_of"]

#: The classes of this provider, as Airflow stores them with a task instance.
OPERATORS = (
    "CreateMeetingOperator",
    "UpdateMeetingOperator",
    "DeleteMeetingOperator",
    "GetMeetingOperator",
    "ListMeetingsOperator",
    "ListMeetingChangesOperator",
    "SyncMeetingsOperator",
    "MeetingsSensor",
)
#: So many task instances of a run are shown at most, and so many meetings.
MAX_INSTANCES = 2000
MAX_MEETINGS = 10_000


def run_of(session: Session, dag_id: str, run_id: str) -> dict[str, Any] | None:
    """Return a run with the tasks that had to do with meetings, in the order in which they started.

    Returns:
        ``{"run": ..., "tasks": [{"task_id", "mapped", "count", "counts", "states", "instances": [...]}],
        "complete": bool}``; None: there is no such run.
    """
    run = session.execute(
        select(DagRun.id, DagRun.state, DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).one_or_none()
    if run is None:
        return None
    stored = session.execute(
        select(XComModel.task_id, XComModel.map_index, XComModel.value, XComModel.timestamp)
        .where(XComModel.dag_run_id == run.id, XComModel.key.in_((OUTCOME_KEY, FAILURE_KEY)))
        .order_by(XComModel.task_id, XComModel.map_index)
        .limit(MAX_INSTANCES + 1)
    ).all()
    records = {
        (row.task_id, row.map_index): (record, row.timestamp) for row in stored if (record := read_record(row.value))
    }
    instances = session.execute(
        select(
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            TaskInstance.try_number,
            TaskInstance.start_date,
            TaskInstance.operator,
            TaskInstance._rendered_map_index.label("label"),  # noqa: SLF001 - the column; the property renders
        )
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .where(or_(TaskInstance.operator.in_(OPERATORS), TaskInstance.task_id.in_({task for task, _ in records})))
        .order_by(TaskInstance.start_date.is_(None), TaskInstance.start_date, TaskInstance.map_index)
        .limit(MAX_INSTANCES + 1)
    ).all()
    complete = len(stored) <= MAX_INSTANCES and len(instances) <= MAX_INSTANCES
    _complete(record for record, _ in records.values())
    shown = [_instance(ti, records.get((ti.task_id, ti.map_index))) for ti in instances[:MAX_INSTANCES]]
    return {
        "run": {"dag_id": dag_id, "run_id": run_id, "state": run.state, "run_after": milliseconds(run.run_after)},
        "tasks": _by_task(_bounded(shown)),
        "complete": complete,
    }


def milliseconds(moment: datetime | None) -> int | None:
    """Return a moment in Unix milliseconds."""
    return None if moment is None else round(moment.timestamp() * 1000)


def _instance(ti: Any, stored: tuple[dict[str, Any], datetime] | None) -> dict[str, Any]:
    record, at = stored or ({}, None)
    return {
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "label": ti.label,
        "operator": ti.operator,
        "state": ti.state,
        "try_number": ti.try_number,
        "started_at": milliseconds(ti.start_date),
        "at": milliseconds(at),
        "outcome": record.get("outcome"),
        "vendor": record.get("vendor"),
        "connection": record.get("connection"),
        "count": record.get("count", 0),
        "counts": record.get("counts", {}),
        "error": record.get("error"),
        "rows": record.get("rows", []),
    }


def _complete(records: Iterable[dict[str, Any]]) -> None:
    """Let a row say what another one of the run knows of its meeting: of a deleted one that may be the id alone."""
    known: dict[tuple[Any, Any], dict[str, Any]] = {}
    bare = []
    for record in records:
        for row in record["rows"]:
            if "id" not in row:
                continue
            key = (record["connection"], row["id"])
            if "starts_at" in row:
                known.setdefault(key, row)
            else:
                bare.append((key, row))
    for key, row in bare:
        for name in COLUMNS:
            if name in known.get(key, {}):
                row.setdefault(name, known[key][name])


def _bounded(instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first meetings of the run; the counts still tell of all."""
    room = MAX_MEETINGS
    for one in instances:
        one["rows"] = one["rows"][:room]
        room -= len(one["rows"])
    return instances


def _by_task(instances: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    tasks: dict[str, dict[str, Any]] = {}
    for one in instances:
        empty = {"task_id": one["task_id"], "operator": one["operator"], "instances": []}
        tasks.setdefault(one["task_id"], empty)["instances"].append(one)
    for task in tasks.values():
        own = task["instances"]
        own.sort(key=lambda one: one["map_index"])
        counts = Counter[str]()
        for one in own:
            counts.update(one["counts"])
        task["mapped"] = any(one["map_index"] >= 0 for one in own)
        task["count"] = sum(one["count"] for one in own)
        task["counts"] = dict(counts)
        task["states"] = dict(Counter(one["state"] or "none" for one in own))
    return list(tasks.values())
