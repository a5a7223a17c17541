"""Reads the records that tasks have left, as text from strangers: any DAG may push an XCom under the same key.

What comes out has the documented shape, whatever went in: scalars, bounded in length, and web addresses only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_meetings.observability.outcome_record import COLUMNS, MAX_ROWS

__all__ = ["WRITES", "open_record", "read_moment", "read_record", "read_row", "read_text", "rows_of", "whole"]

#: Outcomes of a task that has changed something at the vendor.
WRITES = frozenset({"created", "adopted", "updated", "deleted", "gone"})

_MOMENTS = frozenset({"starts_at", "ends_at"})
_MAX_TEXT = 300
_MAX_URL = 2000
_MAX_ERROR = 2000
# Past the year 9999 no browser can write a date.
_LAST_MOMENT = 253_402_300_800_000


def read_record(value: Any) -> dict[str, Any] | None:
    """Return a record with every documented key, ``meetings_conn_id`` as ``connection``; None: it is no record."""
    value = open_record(value)
    if value is None:
        return None
    counts = value.get("counts")
    return {
        "outcome": read_text(value["outcome"]),
        "vendor": read_text(value.get("vendor")),
        "connection": read_text(value.get("meetings_conn_id")),
        "count": _number(value.get("count")) or 0,
        "counts": dict(_counts(counts)) if isinstance(counts, Mapping) else {},
        "rows": [read_row(row) for row in rows_of(value)],
        "error": _error(value.get("error")),
    }


def open_record(value: Any) -> dict[str, Any] | None:
    """Return a record as it is stored; None: it is no record. What is in it is not checked yet."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) and read_text(value.get("outcome")) else None


def rows_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a record as they are stored."""
    rows = record.get("rows")
    return [row for row in rows[:MAX_ROWS] if isinstance(row, dict)] if isinstance(rows, list) else []


def read_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with those of the documented columns that it has."""
    clean: dict[str, Any] = {"outcome": read_text(row.get("outcome")) or "unknown"}
    for name in COLUMNS:
        value = row.get(name)
        if value is None:
            continue
        read: Any
        if name in _MOMENTS:
            read = read_moment(value)
        elif name == "cancelled":
            read = value is True
        else:
            read = read_text(value)
        if read is not None:
            clean[name] = read
    if url := _url(row.get("url")):
        clean["url"] = url
    if isinstance(changes := row.get("changes"), Mapping) and (changed := dict(_changed(changes))):
        clean["changes"] = changed
    return clean


def _changed(changes: Mapping[Any, Any]) -> Iterator[tuple[str, list[str | None]]]:
    for field, values in changes.items():
        if (name := read_text(field)) and isinstance(values, list) and len(values) in {1, 2}:
            yield name, [read_text(value) for value in values]


def _counts(counts: Mapping[Any, Any]) -> Iterator[tuple[str, int]]:
    for outcome, count in counts.items():
        if (name := read_text(outcome)) and (number := _number(count)):
            yield name, number


def _error(error: Any) -> dict[str, str] | None:
    if not isinstance(error, Mapping):
        return None
    return {"type": read_text(error.get("type")) or "", "message": whole(str(error.get("message") or "")[:_MAX_ERROR])}


def read_text(value: Any) -> str | None:
    """Return a scalar as a text of bounded length."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return whole(str(value)[:_MAX_TEXT])
    return None


def whole(text: str) -> str:
    """Return a text that can be sent: half a surrogate pair has no bytes."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_moment(value: Any) -> int | None:
    """Return Unix milliseconds that a browser can write as a date."""
    number = _number(value)
    return number if number is not None and number < _LAST_MOMENT else None


def _url(value: Any) -> str | None:
    if isinstance(value, str) and len(value) <= _MAX_URL and value.startswith(("https://", "http://")):
        return value
    return None
