"""What has to be written so that the meetings of a scope become the declared ones. Pure: no clock, no socket.

The same rows and the same listed meetings give the same plan, and the same plan the same digest, whatever the order of
the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError
from airflow_provider_meetings.sets.matching import Matcher, MatchKey
from airflow_provider_meetings.sets.rows import Row, row_label
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.comparing import compare

__all__ = ["Action", "Change", "Plan", "make_plan"]

Action: TypeAlias = Literal["create", "update", "delete"]

# What the vendors' pages show in their lists: where it is left out it is empty. The rest is told by some accounts only.
_ALWAYS_TOLD = ("starts_at", "time_zone", "title", "type", "location", "notes", "counterpart_id")
# So many rows with twins are named in an error.
_MAX_NAMED = 20


@dataclass(frozen=True)
class Change:
    """One meeting that has to be written.

    Attributes:
        action: What is done to it.
        match: The values of the fields in ``match_on``, by name.
        id: Its id; None: it is to be made.
        before: An update's fields that differ, a deleted meeting's fields, as they are. None: there is nothing before.
        after: An update's fields that differ, a new meeting's fields, as they are declared. None: nothing is left.
        along: What an update sends besides, since the vendor does not give it back.
        row: The declared row; None: there is none.
        stored: The meeting as it was listed; None: there is none.
    """

    action: Action
    match: dict[str, Any]
    id: Any = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    along: dict[str, Any] = field(default_factory=dict)
    row: Row | None = None
    stored: Mapping[str, Any] | None = None

    @cached_property
    def digest(self) -> str:
        """A fingerprint of what is done to which meeting."""
        return _digest([self.action, self.id, self.match, self.before, self.after, self.along])

    @property
    def label(self) -> str:
        """The meeting in a message."""
        where = row_label(self.match)
        return where if self.id is None else f"meeting {self.id} ({where})"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON: ``action``, ``id``, ``match``, and ``before`` and ``after`` where they are."""
        told = {"action": self.action, "id": self.id, "match": self.match}
        sides = {"before": self.before, "after": self.after}
        return told | {name: side for name, side in sides.items() if side is not None}


@dataclass(frozen=True)
class Plan:
    """All that has to be written, and what is as it should be.

    Attributes:
        changes: Creates and updates in the order of their rows, then deletes in the order of their ids.
        unchanged: The meetings that are as their rows declare them, by row.
    """

    changes: tuple[Change, ...]
    unchanged: tuple[tuple[Row, Mapping[str, Any]], ...] = ()

    def of(self, *actions: Action) -> list[Change]:
        """Return the changes of some kinds."""
        return [change for change in self.changes if change.action in actions]

    @cached_property
    def digest(self) -> str:
        """A fingerprint of all changes, in any order."""
        return _digest(sorted(change.digest for change in self.changes))

    @property
    def counts(self) -> dict[str, int]:
        """How many meetings are to be made, changed and deleted, and how many are as they should be."""
        return {
            "created": len(self.of("create")),
            "updated": len(self.of("update")),
            "deleted": len(self.of("delete")),
            "unchanged": len(self.unchanged),
        }


def make_plan(
    vendor: Vendor,
    matcher: Matcher,
    rows: Sequence[Row],
    listed: Sequence[Mapping[str, Any]],
    *,
    delete_missing: bool = False,
    remembered: Mapping[MatchKey, Mapping[str, Any]] | None = None,
) -> Plan:
    """Compare declared rows with the meetings of their scope.

    Args:
        vendor: The vendor's rules.
        matcher: Tells which row is which meeting.
        rows: What :func:`.check_rows` returned.
        listed: The meetings that begin in the window and pass the filters; cancelled ones do not count.
        delete_missing: Meetings that have no row are deleted.
        remembered: Meetings out of the scope that belong to rows, by key.

    Raises:
        MeetingConflictError: Two stored meetings are equal to one row; all such are named. Nothing was written.
        MeetingsConfigurationError: A field of ``match_on`` does not come back, or only its beginning does, or a field
            differs that cannot be changed. Nothing was written.
    """
    current = [meeting for meeting in listed if not vendor.is_cancelled(meeting)]
    if rows:
        _check_given_back(vendor, matcher, listed)
    stored: dict[MatchKey, list[Mapping[str, Any]]] = defaultdict(list)
    for meeting in current:
        key = matcher.key_of_stored(meeting)
        if key is not None:
            stored[key].append(meeting)
    _check_twins(rows, stored)
    changes: list[Change] = []
    unchanged = []
    claimed = set()
    for row in sorted(rows, key=lambda one: one.index):
        found = stored.get(row.key)
        own = found[0] if found else (remembered or {}).get(row.key)
        if own is None:
            changes.append(Change("create", row.match, after=row.shown, row=row))
            continue
        claimed.add(str(own["id"]))
        change = _update(vendor, row, own)
        if change is None:
            unchanged.append((row, own))
        else:
            changes.append(change)
    _check_fixed(vendor, changes)
    _check_cut(vendor, matcher, changes, [one for one in current if str(one["id"]) not in claimed])
    if delete_missing:
        left = [one for one in current if str(one["id"]) not in claimed]
        changes += [_delete(vendor, matcher, one) for one in sorted(left, key=lambda one: str(one["id"]))]
    return Plan(tuple(changes), tuple(unchanged))


def _update(vendor: Vendor, row: Row, meeting: Mapping[str, Any]) -> Change | None:
    difference = compare(row.declared, meeting, vendor.comparable_fields)
    if not difference.after:
        return None
    fixed = {one.name for one in vendor.fields.table if not one.updatable}
    along = {
        name: row.declared[name] for name in difference.unknown if name not in fixed and row.declared[name] is not None
    }
    return Change(
        "update", row.match, meeting["id"], difference.before, difference.after, along, row=row, stored=meeting
    )


def _delete(vendor: Vendor, matcher: Matcher, meeting: Mapping[str, Any]) -> Change:
    before = {}
    for names in [*(names for names, _ in vendor.comparable_fields.values()), *((one,) for one in vendor.name_fields)]:
        name = next((one for one in names if one in meeting), None)
        if name is not None and meeting[name] is not None:
            before[name] = meeting[name]
    return Change("delete", matcher.values_of_stored(meeting), meeting["id"], before=before, stored=meeting)


def _check_given_back(vendor: Vendor, matcher: Matcher, listed: Sequence[Mapping[str, Any]]) -> None:
    sources = vendor.record_mapping.sources
    told = [sources.get(column, ()) for column in _ALWAYS_TOLD]
    always = {name for names in told for name in ((names,) if isinstance(names, str) else names)}
    missing = matcher.not_given_back(listed, always)
    if missing:
        raise MeetingsConfigurationError(
            f"match_on names {', '.join(missing)}, which {vendor.name} does not give back: none of the {len(listed)} "
            "listed meetings has it, so that no row would ever find its meeting. Nothing was written."
        )


def _check_twins(rows: Iterable[Row], stored: Mapping[MatchKey, Sequence[Mapping[str, Any]]]) -> None:
    twins = [
        f"\n  - {row.label}: meetings {', '.join(str(meeting['id']) for meeting in stored[row.key])}"
        for row in rows
        if len(stored.get(row.key, ())) > 1
    ]
    if twins:
        rest = f"\n  - and {len(twins) - _MAX_NAMED} more" if len(twins) > _MAX_NAMED else ""
        raise MeetingConflictError(
            "It cannot be told which meeting is whose: several stored meetings are equal to one row in match_on. "
            "Delete what is too many in the CRM, or add a field to match_on. Nothing was written."
            f"{''.join(twins[:_MAX_NAMED])}{rest}"
        )


def _check_fixed(vendor: Vendor, changes: Iterable[Change]) -> None:
    """Refuse differences that no update can remove."""
    fixed = {one.name for one in vendor.fields.table if not one.updatable}
    needed = {one.name for one in vendor.fields.table if not one.clearable}
    problems = []
    for change in changes:
        if change.action != "update" or change.row is None:
            continue
        for name, value in (change.after or {}).items():
            if name in fixed or (value is None and name in needed):
                problem = f"{(change.before or {}).get(name)!r} cannot become {value!r} in {vendor.name}"
                problems.append(f"\n  - {change.row.label}, {name}: of meeting {change.id}, {problem}")
    if problems:
        rest = f"\n  - and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise MeetingsConfigurationError(
            "Some fields differ that cannot be changed once a meeting is made. Add them to match_on, so that a new "
            f"meeting is made, or correct the rows. Nothing was written.{''.join(problems[:_MAX_NAMED])}{rest}"
        )


def _check_cut(
    vendor: Vendor, matcher: Matcher, changes: Iterable[Change], unclaimed: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse to make what is there already, with a text of its key cut by the vendor: each run would make another."""
    beginnings: dict[MatchKey, list[Mapping[str, Any]]] = defaultdict(list)
    for meeting in unclaimed:
        key = matcher.key_of_stored(meeting)
        if key is not None:
            beginnings[matcher.cut(key)].append(meeting)
    problems = []
    for row in (change.row for change in changes if change.action == "create" and change.row is not None):
        for meeting in beginnings.get(matcher.cut(row.key), ()):
            if vendor.matches(row.body, meeting):
                problems.append(f"\n  - {row.label}: meeting {meeting['id']}")
                break
    if problems:
        rest = f"\n  - and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise MeetingsConfigurationError(
            f"{vendor.name} has cut texts that match_on tells rows by: these meetings equal a row but for the end of "
            "such a text, and each run would make another one. Name fields in match_on that the vendor keeps whole, "
            f"or shorten the texts. Nothing was written.{''.join(problems[:_MAX_NAMED])}{rest}"
        )


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()
