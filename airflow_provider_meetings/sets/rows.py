"""The declared rows: each is checked before anything is sent, and all problems of all rows are told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sets.matching import Matcher, MatchKey, at_path
from airflow_provider_meetings.sets.names import NamedRow, Resolve, problems_of
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
        declared: What is compared: the body, names in place of ids that the row gives by name, and None for each field
            that is declared to be empty.
        key: Which meeting it is.
        match: The values of the fields in ``match_on``, by name.
        sent_as: What is sent in place of a declared name, by the name's field.
    """

    index: int
    body: dict[str, Any] = field(repr=False)
    declared: dict[str, Any] = field(repr=False)
    key: MatchKey
    match: dict[str, Any]
    sent_as: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> dict[str, Any]:
        """The body for people, with the names that the row gives."""
        ids = {name for one in self.sent_as.values() for name in one}
        names = {name: self.declared[name] for name in self.sent_as if self.declared[name] is not None}
        return {name: value for name, value in self.body.items() if name not in ids or name in self.declared} | names

    def to_send(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return changes of declared fields as the vendor takes them."""
        body: dict[str, Any] = {}
        for name, value in changes.items():
            body |= self.sent_as.get(name, {name: value})
        return body

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

    def add_all(self, index: int, error: MeetingsConfigurationError) -> None:
        for name, problem in problems_of(error).items():
            self.add(index, name, problem)

    def raise_any(self, count: int, *, names_sent: bool = False) -> None:
        if not self.found:
            return
        listed = "".join(self.found[:_MAX_PROBLEMS])
        more = len(self.found) - _MAX_PROBLEMS
        rest = f"\n  - and {more} more" if more > 0 else ""
        if names_sent:
            raise MeetingsConfigurationError(
                f"The names in the {count} row(s) cannot be looked up, nothing was written. Problems by row (from 0) "
                f"and field:{listed}{rest}"
            )
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
    resolve: Resolve = lambda given: given,
) -> tuple[Matcher, list[Row]]:
    """Check the rows of a set; nothing is written, and nothing is sent but to look names up, once all else is right.

    Args:
        vendor: The vendor's rules.
        rows: The meetings as ``CreateMeetingOperator`` takes them.
        match_on: The fields that tell which row is which meeting.
        window: When the rows' meetings may begin.
        filters: What the vendor's ``check_filters`` returned; a row that they would leave out is refused.
        resolve: Returns a row with ids in place of names.

    Raises:
        MeetingsConfigurationError: Something is wrong; all problems are named, by row and field.
    """
    problems = _Problems()
    bodies: dict[int, dict[str, Any]] = {}
    given: dict[int, Mapping[str, Any]] = {}
    named: dict[int, NamedRow] = {}
    for index, meeting in enumerate(rows):
        try:
            named[index] = NamedRow.parse(vendor, meeting)
            bodies[index] = vendor.check_meeting(named[index].checkable)
        except MeetingsConfigurationError as error:
            problems.add_all(index, error)
        else:
            given[index] = _as_mapping(meeting)
    extra = {name for meeting in given.values() for name in meeting.get(EXTRA_FIELDS) or ()}
    matcher = Matcher.parse(vendor, match_on, extra)
    checked: list[Row] = []
    first_of: dict[MatchKey, int] = {}
    for index, body in bodies.items():
        _check_scope(vendor, body, window, filters, lambda name, text, index=index: problems.add(index, name, text))
        by_name = named[index].by_name(body)
        match, key = matcher.values_of_row(by_name), matcher.key_of_row(by_name)
        if key is None:
            for name in matcher.missing(match):
                problems.add(index, name, "is missing, None or empty, and match_on tells rows apart by it")
            continue
        other = first_of.setdefault(key, index)
        if other != index:
            problems.add(index, "match_on", f"equals row {other} in {row_label(match)}")
        checked.append(Row(index, body, _declared(vendor, by_name, given[index]), key, match))
    problems.raise_any(len(rows))
    if any(named[row.index].names for row in checked):
        checked = [_looked_up(vendor, row, named[row.index], resolve, problems) for row in checked]
        problems.raise_any(len(rows), names_sent=True)
    return matcher, checked


def _looked_up(vendor: Vendor, row: Row, named: NamedRow, resolve: Resolve, problems: _Problems) -> Row:
    """Return a row with the ids that its names stand for."""
    if not named.names:
        return row
    try:
        body = named.body(vendor, resolve)
    except MeetingsConfigurationError as error:
        problems.add_all(row.index, error)
        return row
    return replace(row, body=body, sent_as=named.sent_as(vendor, body))


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
