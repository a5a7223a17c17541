"""The meetings of some days, as the records of the last runs tell them: the agenda and the week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_meetings.observability.outcome_record import OUTCOME_KEY
from airflow_provider_meetings.ui.records import WRITES, open_record, read_moment, read_row, read_text, rows_of
from airflow_provider_meetings.ui.runs import milliseconds

__all__ = ["LOOK_BACK", "MAX_RECORDS", "Filters", "agenda_of"]

#: How old a run may be whose records are read, and how many records are read at most, newest first.
LOOK_BACK = timedelta(days=90)
MAX_RECORDS = 10_000
#: So many meetings are sent at most, and of each so many of its outcomes.
MAX_SHOWN = 500
_MAX_HISTORY = 10
_SEARCHED = ("id", "title", "type", "location", "counterpart_name", "counterpart_id", "owner_name", "owner_id")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which meetings to show; None: any.

    Attributes:
        start: They begin at this moment or later, in Unix milliseconds.
        end: They begin before this one.
        connection: The id of their connection.
        dag_id: The DAG that had to do with them.
        outcome: What became of them.
        text: A text that one of their fields has, in whatever case.
    """

    start: int
    end: int
    connection: str | None = None
    dag_id: str | None = None
    outcome: str | None = None
    text: str | None = None


def agenda_of(session: Session, dag_ids: frozenset[str], filters: Filters, now: datetime) -> dict[str, Any]:
    """Return the meetings that begin in the window and pass the filters, in the order in which they begin.

    A meeting is what its newest record says of it, whichever task wrote that; its outcome is that of the last task
    that wrote to the vendor, or of the last one that saw it where none did.

    Args:
        session: Airflow's database.
        dag_ids: The DAGs whose records may be read.
        filters: Which meetings.
        now: The time.

    Returns:
        ``{"meetings": [...], "total": int, "facets": {...}, "records": int, "complete": bool}``.
    """
    stored = _stored(session, dag_ids, now)
    inside = list(_meetings(stored[:MAX_RECORDS], filters.start, filters.end))
    shown = sorted((one for one in inside if _passes(one, filters)), key=lambda one: (one["starts_at"], one["id"]))
    return {
        "meetings": [one | {"history": one["history"][:_MAX_HISTORY]} for one in shown[:MAX_SHOWN]],
        "total": len(shown),
        "facets": {
            "connections": _tally(one["connection"] for one in inside),
            "dags": _tally(dag_id for one in inside for dag_id in {told["dag_id"] for told in one["history"]}),
            "outcomes": _tally(one["outcome"] for one in inside),
        },
        "records": min(len(stored), MAX_RECORDS),
        "complete": len(stored) <= MAX_RECORDS,
    }


def _stored(session: Session, dag_ids: frozenset[str], now: datetime) -> list[Any]:
    """Return the newest records: along the primary key of XComs, whose first column is the run's number."""
    first = select(func.min(DagRun.id)).where(DagRun.run_after >= now - LOOK_BACK).scalar_subquery()
    query = (
        select(
            XComModel.dag_id,
            XComModel.run_id,
            XComModel.task_id,
            XComModel.map_index,
            XComModel.value,
            XComModel.timestamp,
        )
        .where(XComModel.key == OUTCOME_KEY, XComModel.dag_run_id >= first, XComModel.dag_id.in_(dag_ids))
        .order_by(XComModel.dag_run_id.desc())
        .limit(MAX_RECORDS + 1)
    )
    return list(session.execute(query))


def _meetings(stored: list[Any], start: int, end: int) -> Iterator[dict[str, Any]]:
    """Yield each meeting that begins in a window, as all its records together tell it."""
    seen: dict[tuple[str, str], list[tuple[dict[str, Any], Any]]] = {}
    for stored_row in sorted(stored, key=lambda row: row.timestamp, reverse=True):
        record = open_record(stored_row.value)
        connection = record and read_text(record.get("meetings_conn_id"))
        for row in rows_of(record) if record else ():
            meeting_id = read_text(row.get("id"))
            if meeting_id is not None:
                seen.setdefault((connection or "", meeting_id), []).append((row, stored_row))
    # Most of them begin at another time: what is left out is not read any further.
    for (connection, _), told in seen.items():
        starts_at = next((at for row, _ in told if (at := read_moment(row.get("starts_at"))) is not None), None)
        if starts_at is not None and start <= starts_at < end:
            yield _meeting(connection or "", told)


def _meeting(connection: str, told: list[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """Return a meeting from its rows, the newest first: of a deleted one the newest may have the id alone."""
    meeting: dict[str, Any] = {}
    history = []
    for row, stored in told:
        clean = read_row(row)
        history.append(
            {
                "outcome": clean.pop("outcome"),
                "at": milliseconds(stored.timestamp),
                "dag_id": stored.dag_id,
                "run_id": stored.run_id,
                "task_id": stored.task_id,
                "map_index": stored.map_index,
                "changes": clean.pop("changes", None),
            }
        )
        meeting = clean | meeting
    last = next((one for one in history if one["outcome"] in WRITES), history[0])
    return meeting | {"connection": connection, "outcome": last["outcome"], "last": last, "history": history}


def _passes(meeting: dict[str, Any], filters: Filters) -> bool:
    if filters.connection not in {None, meeting["connection"]} or filters.outcome not in {None, meeting["outcome"]}:
        return False
    if filters.dag_id is not None and all(told["dag_id"] != filters.dag_id for told in meeting["history"]):
        return False
    if filters.text is None:
        return True
    sought = filters.text.casefold()
    return any(sought in str(meeting[name]).casefold() for name in _SEARCHED if name in meeting)


def _tally(names: Iterator[str]) -> list[dict[str, Any]]:
    return [{"name": name, "count": count} for name, count in sorted(Counter(names).items())]
