"""Which row is which meeting: the fields named in ``match_on``, read from rows and from stored meetings."""

from __future__ import annotations

import difflib
import html
import json
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_meetings.core.plain import plain_integer
from airflow_provider_meetings.core.times import to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.comparing import stored_value
from airflow_provider_meetings.vendors.matching import SHORTEST_CUT, same_moment, same_number

__all__ = ["MatchKey", "Matcher", "at_path"]

#: What the fields of ``match_on`` amount to; equal keys are the same meeting.
MatchKey: TypeAlias = tuple[str, ...]

_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class _MatchField:
    """One field of ``match_on``.

    Attributes:
        name: As it was given.
        path: Where a row has it: its name, and for a part of an object the part's.
        stored_names: Where stored meetings have it.
        normalize: Makes equal values equal texts.
    """

    name: str
    path: tuple[str, ...]
    stored_names: tuple[str, ...]
    normalize: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Tells which row is which meeting."""

    fields: tuple[_MatchField, ...]

    @classmethod
    def parse(cls, vendor: Vendor, match_on: Any, extra_names: Iterable[str] = ()) -> Matcher:
        """Read ``match_on``.

        Args:
            vendor: The vendor; a field may have the name under which it is sent, or under which it comes back.
            match_on: A list of names, a name, or JSON text of a list.
            extra_names: Names in the rows' ``extra_fields``.

        Raises:
            MeetingsConfigurationError: There is no such field, or the vendor does not give it back.
        """
        names = _names(match_on)
        extra = set(extra_names)
        problems = []
        fields = []
        for name in names:
            try:
                fields.append(_resolve(vendor, name, extra))
            except ValueError as error:
                problems.append(f"\n  - {name}: {error}")
        if problems:
            raise MeetingsConfigurationError(f"match_on cannot be used, nothing was sent:{''.join(problems)}")
        return cls(tuple(fields))

    @property
    def names(self) -> tuple[str, ...]:
        """The names as they were given."""
        return tuple(field.name for field in self.fields)

    def values_of_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row's values by name; None where it has none."""
        return {field.name: at_path(row, field.path) for field in self.fields}

    def values_of_stored(self, meeting: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stored meeting's values by name; None where it has none."""
        return {field.name: stored_value(meeting, field.stored_names, None) for field in self.fields}

    def key_of_row(self, row: Mapping[str, Any]) -> MatchKey | None:
        """Return the row's key; None: a value is missing."""
        return self._key(self.values_of_row(row))

    def key_of_stored(self, meeting: Mapping[str, Any]) -> MatchKey | None:
        """Return a stored meeting's key; None: a value is missing, so that no row can be meant."""
        return self._key(self.values_of_stored(meeting))

    def cut(self, key: MatchKey) -> MatchKey:
        """Return a key with its texts cut where vendors may cut what is too long for them."""
        return tuple(
            part[:SHORTEST_CUT] if field.normalize is _text else part
            for field, part in zip(self.fields, key, strict=True)
        )

    def is_told_by(self, meeting: Mapping[str, Any]) -> bool:
        """Whether a meeting as the vendor returned it has all the fields, be they empty."""
        return all(any(name in meeting for name in field.stored_names) for field in self.fields)

    def not_given_back(self, listed: Iterable[Mapping[str, Any]], always: Container[str] = ()) -> list[str]:
        """Return the names of the fields that no listed meeting has, so that no row would find its meeting by them.

        Args:
            listed: Meetings; where there are none, nothing can be told.
            always: Stored names that are left out only where they are empty.
        """
        told = {name for meeting in listed for name in meeting}
        return [
            field.name
            for field in self.fields
            if told and not any(name in told or name in always for name in field.stored_names)
        ]

    def missing(self, values: Mapping[str, Any]) -> list[str]:
        """Return the names that have no value."""
        return [field.name for field in self.fields if not _normal(field, values)]

    def _key(self, values: Mapping[str, Any]) -> MatchKey | None:
        key = tuple(_normal(field, values) for field in self.fields)
        return key if all(key) else None


def _normal(field: _MatchField, values: Mapping[str, Any]) -> str:
    value = values[field.name]
    return "" if value is None else field.normalize(value)


def _names(match_on: Any) -> list[str]:
    given = match_on
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            raise MeetingsConfigurationError(
                f"match_on is {match_on!r}, which is not a JSON list of field names. Nothing was sent."
            ) from None
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise MeetingsConfigurationError(f"match_on must be a list of field names, not {match_on!r}. Nothing was sent.")
    names = list(dict.fromkeys(name.strip() for name in names))
    if not names or not all(names):
        raise MeetingsConfigurationError(
            f"match_on is {match_on!r}: it must name at least one field that tells which row is which meeting. "
            "Nothing was sent."
        )
    return names


def _resolve(vendor: Vendor, name: str, extra: set[str]) -> _MatchField:
    table = vendor.comparable_fields
    path = name if name in table else next((sent for sent, (back, _) in table.items() if name in back), None)
    declared = {field.name: field for field in vendor.fields.table}
    if name in vendor.name_fields:
        return _MatchField(name, (name,), (name,), _text)
    if path is not None:
        kind = declared[path].kind if path in declared else "label"
        return _MatchField(name, tuple(path.split(".")), table[path][0], _normalizer(table[path][1], kind))
    if name in extra:
        return _MatchField(name, (name,), (name,), _text)
    usable = sorted({*table, *vendor.name_fields, *(back for names, _ in table.values() for back in names)})
    if name in declared:
        raise ValueError(f"{vendor.name} does not give it back; it gives back {', '.join(usable)}")
    near = difflib.get_close_matches(name, usable, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; choose from {', '.join(usable)}"
    raise ValueError(f"is not a field of {vendor.name}'s meetings, nor in any row's extra_fields{hint}")


def _normalizer(same: Callable[[Any, Any], bool], kind: str) -> Callable[[Any], str]:
    if same is same_moment:
        return _minute
    if same is same_number:
        return _digits
    return _identifier if kind == "id" else _text


def _minute(value: Any) -> str:
    """Vendors may keep the minute only."""
    try:
        return str(to_epoch_ms(value) // _MINUTE)
    except ValueError:
        return ""


def _digits(value: Any) -> str:
    text = str(plain_integer(value)).strip()
    return str(int(text)) if text.isascii() and text.isdigit() else text


def _identifier(value: Any) -> str:
    return str(value).strip()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return " ".join(unicodedata.normalize("NFC", html.unescape(text)).split()).casefold()


def at_path(row: Mapping[str, Any], path: Iterable[str]) -> Any:
    """Return a field of a row, or a part of one; None where it is not there."""
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
