"""The declared rows: each is checked before anything is sent, and all problems of all rows are told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sets.matching import Matcher, MatchKey, at_path
from airflow_provider_meetings.vendors import Filters, Vendor
from airflow_provider_meetings.vendors.fields import EXTRA_FIELDS

__all__ = ["Row", "check_rows", "row_label"]

# So many problems are told; a table with a wrong column has one in each row.
_MAX_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One declared meeting.

    Attributes:
        index: Its place in the list, from 0.
        body: What a create sends.
        declared: What is compared: the body, and None for each field that is declared to be empty.
        key: Which meeting it is.
        match: The values of the fields in ``match_on``, by name.
    """

    index: int
    body: dict[str, Any] = field(repr=False)
    declared: dict[str, Any] = field(repr=False)
    key: MatchKey
    match: dict[str, Any]

    @property
    def label(self) -> str:
        """The row in a message: its index and its match."""
        return f"row {self.index} ({row_label(self.match)})"


def row_label(match: Mapping[str, Any]) -> str:
    """Return the fields of a match as text."""
    return ", ".join(f"{name}={value}" for name, value in match.items())


class _Problems:
    """The problems that were found, by row and field."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, index: int, name: str, problem: str) -> None:
        self.found.append(f"\n  - row {index}, {name}: {problem}")

    def raise_any(self, count: int) -> None:
        if not self.found:
            return
        listed = "".join(self.found[:_MAX_PROBLEMS])
        more = len(self.found) - _MAX_PROBLEMS
        rest = f"\n  - and {more} more" if more > 0 else ""
        raise MeetingsConfigurationError(
            f"The {count} row(s) cannot become meetings, nothing was sent. Problems by row (from 0) and field:"
            f"{listed}{rest}"
        )


def check_rows(
    vendor: Vendor,
    rows: Sequence[Any],
    match_on: Any,
    *,
    window: Window,
    filters: Filters = (),
) -> tuple[Matcher, list[Row]]:
    """Check the rows of a set; nothing is sent.

    Args:
        vendor: The vendor's rules.
        rows: The meetings as ``CreateMeetingOperator`` takes them.
        match_on: The fields that tell which row is which meeting.
        window: When the rows' meetings may begin.
        filters: What the vendor's ``check_filters`` returned; a row that they would leave out is refused.

    Raises:
        MeetingsConfigurationError: Something is wrong; all problems are named, by row and field.
    """
    problems = _Problems()
    bodies: dict[int, dict[str, Any]] = {}
    given: dict[int, Mapping[str, Any]] = {}
    for index, meeting in enumerate(rows):
        try:
            bodies[index] = vendor.check_meeting(meeting)
        except MeetingsConfigurationError as error:
            for name, problem in error.problems.items():
                problems.add(index, name, problem)
        else:
            given[index] = _as_mapping(meeting)
    extra = {name for meeting in given.values() for name in meeting.get(EXTRA_FIELDS) or ()}
    matcher = Matcher.parse(vendor, match_on, extra)
    checked: list[Row] = []
    first_of: dict[MatchKey, int] = {}
    for index, body in bodies.items():
        _check_scope(vendor, body, window, filters, lambda name, text, index=index: problems.add(index, name, text))
        match, key = matcher.values_of_row(body), matcher.key_of_row(body)
        if key is None:
            for name in matcher.missing(match):
                problems.add(index, name, "is missing, None or empty, and match_on tells rows apart by it")
            continue
        other = first_of.setdefault(key, index)
        if other != index:
            problems.add(index, "match_on", f"equals row {other} in {row_label(match)}")
        checked.append(Row(index, body, _declared(vendor, body, given[index]), key, match))
    problems.raise_any(len(rows))
    return matcher, checked


def _as_mapping(meeting: Any) -> Mapping[str, Any]:
    loaded = json.loads(meeting) if isinstance(meeting, str) else meeting
    assert isinstance(loaded, Mapping)  # noqa: S101 - its check has passed
    return loaded


def _declared(vendor: Vendor, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row says: its body, and None for what it declares empty and a create leaves out."""
    clearable = {one.name for one in vendor.fields.table if one.clearable}
    empty = {name: None for name, value in given.items() if value is None and name in clearable}
    return {**empty, **body}


def _check_scope(vendor: Vendor, body: Mapping[str, Any], window: Window, filters: Filters, add: Any) -> None:
    """Check that the meeting of a row would be listed: what lies outside would be made again each time."""
    starts_at = to_epoch_ms(body[vendor.date_field])
    if starts_at not in window:
        add(vendor.date_field, f"the meeting begins outside the window {window}")
    for name, wanted in filters:
        label = _where_declared(vendor, name)
        value = at_path(body, label.split("."))
        if value is None:
            add(label, f"is needed, since the filter {name}={wanted} looks at it")
        elif str(value) != wanted:
            add(label, f"is {value!r}, which the filter {name}={wanted} leaves out")


def _where_declared(vendor: Vendor, filter_name: str) -> str:
    """Return where a row has what a filter looks at."""
    if filter_name in vendor.declared_filters:
        return vendor.declared_filters[filter_name]
    listed = vendor.comparable_filters[filter_name]
    return next((sent for sent, (back, _) in vendor.comparable_fields.items() if listed in back), listed)
