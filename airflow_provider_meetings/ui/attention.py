"""What somebody should look at: tasks that failed or are in doubt, questions to a person, and sensors that wait."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.orm import Session

from airflow_provider_meetings.observability.outcome_record import FAILURE_KEY
from airflow_provider_meetings.ui.advice import advice_for
from airflow_provider_meetings.ui.records import read_record, whole
from airflow_provider_meetings.ui.runs import OPERATORS, milliseconds

__all__ = ["MAX_LISTED", "arguments_of", "questions", "troubles", "waiting"]

#: So many of each are listed at most; the totals tell of all.
MAX_LISTED = 100
#: How long ago a task may have failed to be listed.
RECENT = timedelta(days=7)

_SENSOR_TRIGGER = "airflow_provider_meetings.triggers.meetings.MeetingsTrigger"
_JOURNAL_KEY = "meetings_journal"
_SENSORS = ("MeetingsSensor",)
_MAX_TEXT = 300

log = logging.getLogger(__name__)

# What all of these tell of a task instance.
_WHICH = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)


def troubles(session: Session, dag_ids: frozenset[str], now: datetime) -> dict[str, Any]:
    """Return the tasks that have failed in the last days, the latest first: ``{"items": [...], "total": int}``."""
    condition = and_(
        TaskInstance.state.in_(("failed", "up_for_retry")),
        TaskInstance.dag_id.in_(dag_ids),
        TaskInstance.operator.in_(OPERATORS),
        TaskInstance.end_date >= now - RECENT,
    )
    failed = session.execute(
        select(
            *_WHICH, TaskInstance.state, TaskInstance.end_date, TaskInstance.try_number, TaskInstance.operator, _FAILURE
        )
        .outerjoin(
            XComModel,
            and_(
                XComModel.dag_id == TaskInstance.dag_id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.run_id == TaskInstance.run_id,
                XComModel.map_index == TaskInstance.map_index,
                XComModel.key == FAILURE_KEY,
            ),
        )
        .where(condition)
        .order_by(TaskInstance.end_date.desc())
        .limit(MAX_LISTED)
    ).all()
    total = len(failed)
    if total == MAX_LISTED:
        total = session.scalar(select(func.count()).select_from(TaskInstance).where(condition)) or 0
    pending = _pending(session, [_key(ti) for ti in failed if ti.operator == "CreateMeetingOperator"])
    return {"items": [_trouble(ti, in_journal=_key(ti) in pending) for ti in failed], "total": total}


_FAILURE = XComModel.value.label("failure")


def _trouble(ti: Any, *, in_journal: bool) -> dict[str, Any]:
    record = read_record(ti.failure) or {}
    error = record.get("error") or {}
    in_doubt = in_journal or record.get("outcome") == "in_doubt"
    retries = ti.state == "up_for_retry"
    return _names(ti) | {
        "outcome": "in_doubt" if in_doubt else "failed",
        "state": ti.state,
        "at": milliseconds(ti.end_date),
        "try_number": ti.try_number,
        "operator": ti.operator,
        "connection": record.get("connection"),
        "meeting": next(iter(record.get("rows", ())), None),
        "error": error.get("message"),
        "advice": advice_for(error.get("type"), in_doubt=in_doubt, retries=retries),
    }


def _pending(session: Session, keys: Collection[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return those in whose journal a create stands that was not answered; none before Airflow 3.3."""
    try:
        from airflow.models.task_state_store import TaskStateStoreModel as Store  # noqa: PLC0415 - 3.3 and newer
    except ImportError:
        return set()
    if not keys:
        return set()
    which = (Store.dag_id, Store.run_id, Store.task_id, Store.map_index)
    # The journal is JSON text; a create that is not pending is null there.
    query = select(*which, Store.value).where(tuple_(*which).in_(keys), Store.key == _JOURNAL_KEY)
    return {tuple(row[:4]) for row in session.execute(query) if '"pending_create": {' in row.value}


def questions(session: Session, dag_ids: frozenset[str]) -> dict[str, Any]:
    """Return the tasks of this provider that wait for a person's answer, those that wait longest first."""
    condition = and_(
        HITLDetail.responded_at.is_(None),
        TaskInstance.state.in_(("awaiting_input", "deferred")),
        TaskInstance.operator.in_(OPERATORS),
        TaskInstance.dag_id.in_(dag_ids),
    )
    join = select(*_WHICH, HITLDetail.subject, HITLDetail.created_at, HITLDetail.options).join(
        TaskInstance, TaskInstance.id == HITLDetail.ti_id
    )
    asked = session.execute(join.where(condition).order_by(HITLDetail.created_at).limit(MAX_LISTED)).all()
    return {
        "items": [
            _names(row)
            | {"subject": whole(row.subject[:_MAX_TEXT]), "since": milliseconds(row.created_at)}
            | {"options": [whole(str(one)[:_MAX_TEXT]) for one in row.options]}
            for row in asked
        ],
        "total": len(asked),
    }


def waiting(session: Session, dag_ids: frozenset[str]) -> dict[str, Any]:
    """Return the sensors that wait, in the triggerer or on workers: for what, since when and until when."""
    own = TaskInstance.dag_id.in_(dag_ids)
    in_triggerer = and_(own, TaskInstance.state == "deferred", Trigger.classpath == _SENSOR_TRIGGER)
    deferred = session.execute(
        select(*_WHICH, TaskInstance.start_date, TaskInstance.trigger_timeout, Trigger)
        .join(Trigger, Trigger.id == TaskInstance.trigger_id)
        .where(in_triggerer)
        .order_by(TaskInstance.start_date)
        .limit(MAX_LISTED)
    ).all()
    total = len(deferred)
    if total == MAX_LISTED:
        count = select(func.count()).select_from(TaskInstance).join(Trigger, Trigger.id == TaskInstance.trigger_id)
        total = session.scalar(count.where(in_triggerer)) or 0
    rendered = RenderedTaskInstanceFields
    poking = session.execute(
        select(*_WHICH, TaskInstance.start_date, rendered.rendered_fields)
        .outerjoin(rendered, and_(*(getattr(rendered, c.key) == c for c in _WHICH)))
        .where(own, TaskInstance.state.in_(("up_for_reschedule", "running")), TaskInstance.operator.in_(_SENSORS))
        .order_by(TaskInstance.start_date)
        .limit(MAX_LISTED)
    ).all()
    items = [_names(row) | _wait(arguments_of(row.Trigger), row, row.trigger_timeout, "triggerer") for row in deferred]
    items += [_names(row) | _wait(row.rendered_fields or {}, row, None, "worker") for row in poking]
    return {"items": items[:MAX_LISTED], "total": total + len(poking)}


def arguments_of(trigger: Trigger) -> dict[str, Any]:
    """Return a trigger's arguments; nothing where they cannot be read, for one because the Fernet key is another."""
    try:
        return trigger.kwargs
    except Exception:
        log.exception("The arguments of trigger %s cannot be read", trigger.id)
        return {}


def _wait(asked: dict[str, Any], ti: Any, timeout: datetime | None, where: str) -> dict[str, Any]:
    deadline = asked.get("deadline")
    until = round(deadline * 1000) if isinstance(deadline, int | float) else milliseconds(timeout)
    return {
        "connection": _text(asked.get("meetings_conn_id")),
        "window": [_bound(asked.get("window_start")), _bound(asked.get("window_end"))],
        "wanted": [
            f"{name}: {value}"
            for part in ("filters", "match")
            if isinstance(found := asked.get(part), dict)
            for name in found
            if (value := _text(found[name])) is not None
        ],
        "min_count": asked.get("min_count") if isinstance(asked.get("min_count"), int) else 1,
        "since": milliseconds(ti.start_date),
        "until": until,
        "where": where,
    }


def _bound(value: Any) -> int | str | None:
    """Return a bound of a window: in Unix milliseconds, or as the author wrote it."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str | None:
    return None if value in (None, "", "None") else whole(str(value)[:_MAX_TEXT])


def _key(ti: Any) -> tuple[Any, ...]:
    return (ti.dag_id, ti.run_id, ti.task_id, ti.map_index)


def _names(ti: Any) -> dict[str, Any]:
    return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
