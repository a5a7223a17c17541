"""What a task leaves in its own XCom for the Meetings pages: a bounded, JSON-ready account of what became of what.

Pure: nothing here knows Airflow. :mod:`.outcome` writes the record, :mod:`airflow_provider_meetings.ui` reads it::

    {
      "version": 1,
      "outcome": "created",                       # of the task; "synced" for a set
      "vendor": "hiringcenter",                   # the connection's type; None: the connection is gone
      "meetings_conn_id": "hiringcenter_default",
      "count": 1,                                 # meetings, also those that are not among the rows
      "counts": {"created": 1},                   # of each outcome
      "rows": [{"outcome": "created", "id": "f4d8", "starts_at": 1717170000000, "time_zone": "America/New_York", ...}],
      "error": {"type": "MeetingsAuthError", "message": "...", "status": 401}    # of a task that failed, else absent
    }

A row has the columns of :data:`COLUMNS` that the vendor tells, moments in Unix milliseconds, and besides them
``outcome``, ``url`` (the meeting in the vendor's web app) and ``changes`` (``{field: [before, after]}`` with the
vendor's own field names, or ``{field: [after]}`` where the value before is not known).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "COLUMNS",
    "FAILURE_KEY",
    "MAX_BYTES",
    "MAX_ROWS",
    "OUTCOME_KEY",
    "VERSION",
    "MeetingOutcome",
    "error_of",
    "record_of",
]

#: The key of the XCom of a task that did its work.
OUTCOME_KEY = "meetings_outcome"
#: The key of the XCom of a try that failed, which the next try takes away.
FAILURE_KEY = "meetings_failure"
VERSION = 1
#: A record, which is a row of Airflow's database, has so many rows, and gets no more when they have so many bytes.
MAX_ROWS = 1000
MAX_BYTES = 400_000
# Characters of one value, and changed fields of one row.
_MAX_TEXT = 200
_MAX_CHANGES = 25
_MAX_ERROR = 2000

#: The columns of a row, named as in ``record_schema="common"``.
COLUMNS = (
    "id",
    "starts_at",
    "ends_at",
    "time_zone",
    "title",
    "type",
    "location",
    "counterpart_id",
    "counterpart_name",
    "owner_id",
    "owner_name",
    "cancelled",
)


@dataclass(frozen=True, slots=True)
class MeetingOutcome:
    """What became of one meeting.

    Attributes:
        outcome: ``created``, ``adopted``, ``updated``, ``unchanged``, ``deleted`` or ``gone``; ``read``, ``listed`` or
            ``found``; ``refused`` where the vendor did not take it.
        meeting: As the vendor returned it; of a deleted one as it was last known, at least its ``id``.
        before: Of an updated one the fields that differ, as they were; None: not known.
        after: The fields that differ, as they are now.
    """

    outcome: str
    meeting: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def record_of(
    outcome: str,
    meetings: Iterable[MeetingOutcome],
    *,
    columns: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    url: Callable[[Mapping[str, Any]], str | None],
    counts: Mapping[str, int] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Make the record of a task.

    Args:
        outcome: Of the task.
        meetings: What became of each; those past the limits are counted and left out.
        columns: Returns the common columns of a meeting.
        url: Returns where the vendor's web app shows a meeting.
        counts: How many meetings had each outcome, where ``meetings`` are not all; counted when left out.
        facts: Further keys of the record: ``vendor``, ``meetings_conn_id``.
    """
    rows: list[dict[str, Any]] = []
    size, seen = 0, Counter[str]()
    for one in meetings:
        seen[one.outcome] += 1
        if len(rows) < MAX_ROWS and size < MAX_BYTES:
            row = _row(one, columns(one.meeting), url(one.meeting))
            size += len(json.dumps(row))
            rows.append(row)
    told = {name: number for name, number in (counts or seen).items() if number}
    return {"version": VERSION, "outcome": outcome, **facts, "count": sum(told.values()), "counts": told, "rows": rows}


def error_of(error: BaseException) -> dict[str, Any]:
    """Return what a record says of an error; those of this provider never have a secret in their text."""
    told: dict[str, Any] = {"type": type(error).__name__, "message": _storable(str(error)[:_MAX_ERROR])}
    status = getattr(error, "status", None)
    return told | ({"status": status} if isinstance(status, int) else {})


def _row(one: MeetingOutcome, columns: Mapping[str, Any], url: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"outcome": one.outcome}
    row |= {name: _plain(columns[name]) for name in COLUMNS if columns.get(name) is not None}
    if url:
        row["url"] = url
    if changes := _changes(one.before, one.after):
        row["changes"] = changes
    return row


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    if before is None:
        return {name: [_plain(value)] for name, value in list((after or {}).items())[:_MAX_CHANGES]}
    names = list(dict.fromkeys((*before, *(after or {}))))[:_MAX_CHANGES]
    return {name: [_plain(before.get(name)), _plain((after or {}).get(name))] for name in names}


def _plain(value: Any) -> Any:
    """Return a value as a short scalar: what is no scalar as JSON text, what is long cut short."""
    if value is None or isinstance(value, bool | int):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
    return _storable(text)


def _storable(text: str) -> str:
    """Replace what PostgreSQL does not store in JSON: a NUL, and half a surrogate pair."""
    return text.replace("\0", "�").encode(errors="replace").decode()
