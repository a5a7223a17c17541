"""The common record: one table of columns for the meetings of both vendors.

A vendor's module says which of its fields each column is read from; what a vendor does not say is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_meetings.core.json_text import to_json, whole_text
from airflow_provider_meetings.core.times import to_epoch_ms

__all__ = ["COLUMNS", "ColumnKind", "RecordMapping"]

ColumnKind = Literal["text", "moment", "flag"]

#: The columns of the common record, in order, and what each holds.
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
    "counterpart_name": "text",
    "owner_id": "text",
    "owner_name": "text",
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
        sources: The vendor's field of each column that it has, or several whose texts are joined by a space.
    """

    vendor: str
    sources: Mapping[str, str | tuple[str, ...]]
    _readers: tuple[tuple[str, str | tuple[str, ...], Callable[[Any], Any]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        readers = tuple((column, source, _READERS[COLUMNS[column]]) for column, source in self.sources.items())
        object.__setattr__(self, "_readers", readers)

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
        for column, source, read in self._readers:
            if isinstance(source, str):
                value = meeting.get(source)
            else:
                value = " ".join(part for name in source if (part := (_text(meeting.get(name)) or "").strip())) or None
            if value is not None:
                record[column] = read(value)
        record["vendor"] = self.vendor
        record["connection"] = connection
        record["raw"] = to_json(meeting).decode()
        return record


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return whole_text(value)
    return None if value is None else to_json(value).decode()


def _moment(value: Any) -> int | None:
    try:
        return to_epoch_ms(value)
    except ValueError:
        return None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_READERS: Mapping[ColumnKind, Callable[[Any], Any]] = {"text": _text, "moment": _moment, "flag": _flag}
