"""A plan for people: a table in the log, and the same as Markdown for the form that asks for approval."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.core.times import check_time_zone, local_text, to_epoch_ms
from airflow_provider_meetings.sets.plan import Change, Plan
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.matching import same_moment

__all__ = ["PlanTable"]

# So many lines are shown; the rest is counted.
_MAX_LINES = 50
# Characters of a cell; of the one that has all fields of a meeting.
_MAX_CELL = 60
_MAX_SUMMARY = 160

_HEADINGS = ("action", "meeting", "field", "before", "after")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&#!$])")
_LINE_BREAKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Line:
    cells: tuple[str, str, str, str, str]
    url: str | None


@dataclass(frozen=True)
class PlanTable:
    """A plan as a table: one line for each new or deleted meeting, and for each field that is changed.

    Attributes:
        plan: The plan.
        vendor: The vendor's rules; they tell which fields are moments.
        web_url: Returns where the vendor's web app shows a meeting; None: nowhere.
    """

    plan: Plan
    vendor: Vendor
    web_url: Callable[[Mapping[str, Any]], str | None] = lambda _: None

    @property
    def counts(self) -> str:
        """How much there is to do, in one line."""
        counts = self.plan.counts
        return (
            f"{counts['created']} to create, {counts['updated']} to update, {counts['deleted']} to delete, "
            f"{counts['unchanged']} unchanged"
        )

    @property
    def match_on(self) -> tuple[str, ...]:
        """The fields by whose values a meeting is named."""
        return tuple(self.plan.changes[0].match) if self.plan.changes else ()

    def as_text(self) -> str:
        """Return the table with columns of equal width, for the log."""
        lines, more = self._shown(names=True)
        cells = [_HEADINGS, *(line.cells for line in lines)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([*rows, *([f"… and {more} more line(s)"] if more else [])])

    def as_markdown(self) -> str:
        """Return the table as Markdown, with a link to each meeting that has one.

        A form is narrow: a meeting is named by the values of :attr:`match_on` alone.
        """
        lines, more = self._shown(names=False)
        rows = [f"| {' | '.join(_HEADINGS)} |", f"|{' --- |' * len(_HEADINGS)}"]
        for line in lines:
            cells = [_MARKDOWN.sub(r"\\\1", cell) for cell in line.cells]
            if line.url:
                cells[1] = f"[{cells[1]}]({line.url})"
            rows.append(f"| {' | '.join(cells)} |")
        return "\n".join([*rows, *([f"\n… and {more} more line(s)"] if more else [])])

    def _shown(self, *, names: bool) -> tuple[list[_Line], int]:
        shown: list[_Line] = []
        more = 0
        for line in self._lines(names=names):
            if len(shown) < _MAX_LINES:
                shown.append(line)
            else:
                more += 1
        return shown, more

    def _lines(self, *, names: bool) -> Iterator[_Line]:
        for change in self.plan.changes:
            url = None if change.stored is None else self.web_url(change.stored)
            zone = self._zone(change)
            label = self._label(change, zone, names=names)
            if change.action == "update":
                for name, after in (change.after or {}).items():
                    before = (change.before or {}).get(name)
                    cells = (self._show(name, before, zone), self._show(name, after, zone))
                    yield _Line((change.action, label, name, *cells), url)
                continue
            sides = [self._summary(side, change, zone) for side in (change.before, change.after)]
            yield _Line((change.action, label, "", sides[0], sides[1]), url)

    def _zone(self, change: Change) -> str:
        """Return the meeting's own time zone, where the vendor has such a thing."""
        name = self.vendor.fields.zone_field
        row = {} if change.row is None else change.row.declared
        zone = row.get(name, (change.stored or {}).get(name)) if name else None
        try:
            return check_time_zone(zone)
        except ValueError:
            return "UTC"

    def _label(self, change: Change, zone: str, *, names: bool) -> str:
        shown = {name: self._show(name, value, zone) for name, value in change.match.items()}
        where = ", ".join(f"{name}={value}" if names else value for name, value in shown.items())
        return where if change.id is None else f"{change.id} ({where})"

    def _summary(self, side: Mapping[str, Any] | None, change: Change, zone: str) -> str:
        table = self.vendor.comparable_fields
        said = {back for name in change.match if name in table for back in table[name][0]} | set(change.match)
        told = {name: value for name, value in (side or {}).items() if name not in said and value is not None}
        shown = ", ".join(f"{name}={self._show(name, value, zone)}" for name, value in _parts(told))
        return _short(shown, _MAX_SUMMARY)

    def _show(self, name: str, value: Any, zone: str) -> str:
        if value is None:
            return "(empty)"
        if self._is_moment(name):
            try:
                return local_text(to_epoch_ms(value), zone)
            except (ValueError, OverflowError):
                return _short(str(value), _MAX_CELL)
        if isinstance(value, Mapping):
            return _short(", ".join(f"{part}={self._show(part, one, zone)}" for part, one in value.items()), _MAX_CELL)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return _short(text, _MAX_CELL)

    def _is_moment(self, name: str) -> bool:
        table = self.vendor.comparable_fields
        return any(same is same_moment and (name == sent or name in back) for sent, (back, same) in table.items())


def _parts(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields, and the parts of those that are objects under names such as ``employee.id``."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", one) for part, one in value.items())
        else:
            yield name, value


def _short(text: str, longest: int) -> str:
    line = _LINE_BREAKS.sub(" ", text).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
