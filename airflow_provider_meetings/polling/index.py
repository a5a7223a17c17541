"""The result of a list, in which many queries are looked up."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_meetings.polling.query import ListQuery
from airflow_provider_meetings.polling.wanted import text_as_bool, text_as_moment
from airflow_provider_meetings.vendors import Vendor

__all__ = ["ListingIndex"]

# Below this many meetings an index is not worth building.
_FEW = 16


class ListingIndex:
    """A list that was read, in which many queries are looked up without scanning it for each of them.

    Args:
        vendor: Whose list it is.
        query: The query of the list.
        meetings: Its result, in the vendor's order.
    """

    def __init__(self, vendor: Vendor, query: ListQuery, meetings: list[dict[str, Any]]) -> None:
        self._vendor = vendor
        self._query = query
        self.meetings = meetings
        self.dates = [vendor.date(meeting) for meeting in meetings]
        self._by_date: list[int] | None = None
        self._sorted_dates: list[int] = []
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], list[int]] | None] = {}
        self._spellings: dict[str, dict[str, set[str]]] = {}
        self._values: dict[str, dict[str, list[int]]] = {}

    def select(self, query: ListQuery) -> list[dict[str, Any]] | None:
        """Return what the vendor would return for a narrower query; None: the list does not show it."""
        places = self._places(query)
        return None if places is None else [self.meetings[place] for place in places]

    def candidates(self, query: ListQuery, match: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Return those of :meth:`select` that may match; the caller still has to compare each of them."""
        places = self._places(query, match)
        return None if places is None else [self.meetings[place] for place in places]

    def _places(self, query: ListQuery, match: Mapping[str, Any] | None = None) -> Sequence[int] | None:
        extra = [pair for pair in query.filters if pair not in self._query.filters]
        places: Sequence[int] = range(len(self.meetings))
        if extra:
            found = self._group(extra)
            if found is None:
                return None
            places = found
        for name, wanted in (match or {}).items():
            keys = _keys_wanted(wanted)
            if len(places) <= _FEW:
                break
            if keys is not None:
                values = self._values_of(name)
                likely = {place for key in keys for place in values.get(key, ())}
                whole = len(places) == len(self.meetings)
                places = sorted(likely) if whole else [place for place in places if place in likely]
        if query.low <= self._query.low and query.high >= self._query.high:
            return places
        if len(places) < len(self.meetings):
            return [place for place in places if query.low <= self.dates[place] < query.high]
        if self._by_date is None:
            self._by_date = sorted(places, key=self.dates.__getitem__)
            self._sorted_dates = [self.dates[place] for place in self._by_date]
        first, last = bisect_left(self._sorted_dates, query.low), bisect_left(self._sorted_dates, query.high)
        return sorted(self._by_date[first:last])

    def _group(self, pairs: list[tuple[str, str]]) -> list[int] | None:
        names = tuple(name for name, _ in pairs)
        if names not in self._groups:
            self._groups[names] = self._index(names)
        groups = self._groups[names]
        if groups is None or any(self._other_spelling(name, value) for name, value in pairs):
            return None
        return groups.get(tuple(value for _, value in pairs), [])

    def _index(self, names: tuple[str, ...]) -> dict[tuple[str, ...], list[int]] | None:
        fields = [self._vendor.comparable_filters[name] for name in names]
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, meeting in enumerate(self.meetings):
            if any(name not in meeting for name in fields):
                return None
            groups[tuple([_text(meeting[name]) for name in fields])].append(place)
        return groups

    def _other_spelling(self, name: str, value: str) -> bool:
        """Whether the list has the value in other letters: whether the vendor's filter minds is not known."""
        if name not in self._spellings:
            spellings: dict[str, set[str]] = defaultdict(set)
            for text in {_text(meeting.get(self._vendor.comparable_filters[name])) for meeting in self.meetings}:
                spellings[text.strip().casefold()].add(text)
            self._spellings[name] = spellings
        return bool(self._spellings[name].get(value.strip().casefold(), set()) - {value})

    def _values_of(self, name: str) -> dict[str, list[int]]:
        if name not in self._values:
            values: dict[str, list[int]] = defaultdict(list)
            for place, meeting in enumerate(self.meetings):
                if name in meeting:
                    for key in _keys(meeting[name]):
                        values[key].append(place)
            self._values[name] = values
        return self._values[name]


def _text(value: Any) -> str:
    if value is None:
        return "\0"  # no filter finds what is not there
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _keys(value: Any) -> set[str]:
    """Return the names under which a stored value is found; equal values have one in common."""
    if value is None or isinstance(value, bool):
        return {f"\0{value}"}
    return {str(value), _text(value)}


def _keys_wanted(wanted: Any) -> set[str] | None:
    """Return the names of what matches; None: look at all."""
    keys: set[str] = set()
    for value in wanted if isinstance(wanted, list) else [wanted]:
        if not (value is None or isinstance(value, str | int | float)):
            return None
        keys |= _keys(value)
        if isinstance(value, str):
            keys |= {f"\0{truth}" for truth in [text_as_bool(value)] if truth is not None}
            keys |= {str(moment) for moment in [text_as_moment(value)] if moment is not None}
    return keys
