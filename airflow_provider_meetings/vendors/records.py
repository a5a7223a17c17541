"""The common record: one table of columns for the meetings of both vendors.

A vendor's module says which of its fields each column is read from; what a vendor does not say is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_meetings.core.json_text import to_json, whole_text
from airflow_provider_meetings.core.times import to_epoch_ms

__all__ = ["COLUMNS", "ColumnKind", "RecordMapping"]

ColumnKind = Literal["text", "name", "moment", "flag"]

#: The columns of the common record, in order, and what each holds. A ``name`` is a text that may be in several fields.
COLUMNS: Mapping[str, ColumnKind] = {
    "id": "text",
    "vendor": "text",
    "connection": "text",
    "starts_at": "moment",
    "ends_at": "moment",
    "time_zone": "text",
    "title": "text",
    "type": "text",
    "location": "text",
    "notes": "text",
    "counterpart_id": "text",
    "counterpart_name": "name",
    "owner_id": "text",
    "owner_name": "name",
    "cancelled": "flag",
    "created_at": "moment",
    "updated_at": "moment",
    "raw": "text",
}


@dataclass(frozen=True, slots=True)
class RecordMapping:
    """Where a vendor's meetings say what the common record has.

    Attributes:
        vendor: The vendor's name in the record: the connection type.
        sources: The vendor's fields of each column that it has; the first one with a value counts, and a ``name`` is
            all of them, joined by a space.
    """

    vendor: str
    sources: Mapping[str, tuple[str, ...]]

    def common_record(self, meeting: Mapping[str, Any], connection: str) -> dict[str, Any]:
        """Return a meeting as a record that has every column of :data:`COLUMNS`, in that order.

        Args:
            meeting: The meeting as the vendor returned it.
            connection: The id of the connection that it was read over.

        Returns:
            Texts, moments as epoch milliseconds, flags as ``bool``, and None for what the vendor does not say, or says
            in a way that cannot be read; ``raw`` has the meeting as JSON text.
        """
        record: dict[str, Any] = dict.fromkeys(COLUMNS)
        for column, fields in self.sources.items():
            values = [value for field in fields if (value := meeting.get(field)) is not None]
            if values:
                record[column] = _READERS[COLUMNS[column]](values)
        record["vendor"] = self.vendor
        record["connection"] = connection
        record["raw"] = to_json(meeting).decode()
        return record


def _text(values: list[Any]) -> str:
    value = values[0]
    return whole_text(value) if isinstance(value, str) else to_json(value).decode()


def _name(values: list[Any]) -> str | None:
    return " ".join(part for value in values if (part := _text([value]).strip())) or None


def _moment(values: list[Any]) -> int | None:
    try:
        return to_epoch_ms(values[0])
    except ValueError:
        return None


def _flag(values: list[Any]) -> bool | None:
    return values[0] if isinstance(values[0], bool) else None


_READERS: Mapping[ColumnKind, Callable[[list[Any]], Any]] = {
    "text": _text,
    "name": _name,
    "moment": _moment,
    "flag": _flag,
}
