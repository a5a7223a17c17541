"""What happened to the meetings of a window between two looks at it: pure, no clock, no socket.

A snapshot is what was known after the last look: for each meeting in the window its fields and a revision that goes up
with every change. Comparing it with a new look gives changes; applying these to the snapshot gives the next one. A
change carries its event.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_meetings.core.times import DAY, Window
from airflow_provider_meetings.vendors import Vendor

__all__ = [
    "KINDS",
    "TOLERATED_MISSES",
    "Change",
    "KnownMeeting",
    "Observation",
    "ObservedMeeting",
    "Snapshot",
    "diff_listed",
    "diff_missing",
    "fields_of",
    "iter_diff_listed",
    "should_be_listed",
]

KINDS = ("created", "changed", "moved_in", "moved_out", "gone")

Event: TypeAlias = dict[str, Any]

#: Looks at which a meeting is missing, although it should be there, before it counts as out of the filters' reach.
TOLERATED_MISSES = 2

# Of longer values, the beginning and a digest are kept and compared, so that an event fits into a row.
_LONG = 500
_PREVIEW = 120
# Where a meeting has so many fields that they are more than this, each is kept shorter.
_LARGE = 8_000
_SHORT = 60
# How exactly the vendor's clock is known.
_SLACK = 5_000
# Where only the day of the creation is known, in an unknown time zone.
_MINUTE = 60_000
_BLUR = DAY + DAY // 2


@dataclass(frozen=True, slots=True)
class KnownMeeting:
    """What is kept of a meeting: its fields, bounded, and the revision that they are of."""

    rev: int
    fields: dict[str, Any]


@dataclass(slots=True)
class Snapshot:
    """What was known after the last look.

    Attributes:
        window: What was looked at.
        taken_at: When that was, in Unix milliseconds.
        clock_offset: How far the vendor's clock was ahead of ours then, in milliseconds.
        epoch: When the first look was; it keeps the ids of events apart from those of an earlier life.
        floor: The highest revision that any meeting had that has left.
        settled: Whether the events of the first look were fired, or need not be.
        entries: The meetings in the window, by their ids as text.
    """

    window: Window
    taken_at: int
    epoch: int
    floor: int = 0
    settled: bool = True
    clock_offset: int = 0
    entries: MutableMapping[str, KnownMeeting] = field(default_factory=dict)

    def finish(self, look: Observation) -> None:
        """Take note of a look all of whose changes were taken in."""
        self.window, self.taken_at, self.clock_offset = look.window, look.taken_at, look.clock_offset
        self.settled = True

    def apply(self, changes: Iterable[Change]) -> None:
        """Take changes in."""
        for change in changes:
            if change.entry is not None:
                self.entries[change.key] = change.entry
            elif (old := self.entries.pop(change.key, None)) is not None:
                self.floor = max(self.floor, old.rev)


@dataclass(frozen=True, slots=True)
class ObservedMeeting:
    """A meeting as it was listed."""

    date: int
    fields: dict[str, Any]
    made_at: int | None
    untouched: bool

    @classmethod
    def from_meeting(cls, meeting: Mapping[str, Any], vendor: Vendor) -> ObservedMeeting:
        """Take what is needed of a meeting."""
        made = meeting.get(vendor.created_field)
        touched = [meeting[name] for name in vendor.last_modified_fields if meeting.get(name) is not None]
        untouched = made is not None and bool(touched) and all(moment == made for moment in touched)
        return cls(vendor.date(meeting), fields_of(meeting, vendor), vendor.made_at(meeting), untouched)


@dataclass(frozen=True, slots=True)
class Observation:
    """A look at a window.

    Attributes:
        vendor: Whose meetings they are.
        scope: What is watched, as a digest; it goes into the ids of events.
        connection: The connection, for the events.
        window: Which dates count.
        taken_at: When it was, in Unix milliseconds.
        clock_offset: How far the vendor's clock was ahead of ours, in milliseconds.
        listed: Every meeting that is in this window or in that of the last look, by its id as text.
    """

    vendor: Vendor
    scope: str
    connection: str
    window: Window
    taken_at: int
    listed: Mapping[str, ObservedMeeting]
    clock_offset: int = 0

    @classmethod
    def from_meetings(
        cls,
        meetings: Iterable[Mapping[str, Any]],
        *,
        into: MutableMapping[str, ObservedMeeting] | None = None,
        **known: Any,
    ) -> Observation:
        """Take what was listed; a meeting that was moved during the list may be there twice: its last place counts.

        Args:
            meetings: What was listed.
            into: Where it is kept; a dict when left out.
            known: The other attributes.
        """
        vendor: Vendor = known["vendor"]
        listed: MutableMapping[str, ObservedMeeting] = {} if into is None else into
        latest: dict[str, str] = {}
        for meeting in meetings:
            if meeting.get("id") in (None, ""):
                continue  # without it, two like it could not be told apart
            key = str(meeting["id"])
            touched = max(
                (str(meeting[name]) for name in vendor.last_modified_fields if meeting.get(name) is not None),
                default="",
            )
            if key not in listed or touched >= latest[key]:
                listed[key], latest[key] = ObservedMeeting.from_meeting(meeting, vendor), touched
        return cls(**known, listed=listed)

    def snapshot(self, *, empty: bool = False) -> Snapshot:
        """Make the first snapshot of it; an empty one makes every meeting an event."""
        inside = (
            {}
            if empty
            else {k: KnownMeeting(1, one.fields) for k, one in self.listed.items() if one.date in self.window}
        )
        return Snapshot(
            self.window,
            self.taken_at,
            self.taken_at,
            settled=not empty,
            clock_offset=self.clock_offset,
            entries=inside,
        )

    def missing(self, snapshot: Snapshot) -> list[str]:
        """Return the ids of those that are known and were not listed."""
        return sorted(key for key in snapshot.entries if key not in self.listed)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a meeting.

    Attributes:
        key: The meeting's id as text.
        entry: What is known of it now; None: it is in the window no more.
        event: Its event.
    """

    key: str
    entry: KnownMeeting | None
    event: Event


def diff_listed(snapshot: Snapshot, look: Observation) -> list[Change]:
    """Compare the meetings that were listed with the snapshot; earliest meeting first."""
    return list(iter_diff_listed(snapshot, look))


def iter_diff_listed(snapshot: Snapshot, look: Observation) -> Iterator[Change]:
    """Compare as :func:`diff_listed` does, one change after the other, where memory must not hold all of them.

    A change may be taken into the entries before the next one is asked for; the rest of the snapshot has to stay.
    """
    differing: list[tuple[int, str]] = []
    for key, listed in look.listed.items():
        old, inside = snapshot.entries.get(key), listed.date in look.window
        if inside if old is None else not inside or old.fields != listed.fields:
            differing.append((listed.date, key))
    differing.sort()
    for date, key in differing:
        old, listed = snapshot.entries.get(key), look.listed[key]
        if old is None:
            yield _entered(snapshot, look, key, listed)
            continue
        before, after = _differences(old.fields, listed.fields)
        if date not in look.window:
            yield _left(snapshot, look, key, after, date)
        else:
            entry = KnownMeeting(old.rev + 1, listed.fields)
            reason = _cancellation(look.vendor, old.fields, listed.fields)
            event = _event(
                snapshot, look, key, kind="changed", reason=reason, before=before, after=after, rev=entry.rev
            )
            yield Change(key, entry, event)


def diff_missing(
    snapshot: Snapshot, look: Observation, verdicts: Mapping[str, Mapping[str, Any] | None]
) -> list[Change]:
    """Tell of meetings that were not listed any more.

    Args:
        snapshot: What was known.
        look: What was listed.
        verdicts: What became of each: the meeting as it is now, elsewhere; or None, there is no such meeting.
    """
    return [_departure(snapshot, look, key, meeting) for key, meeting in sorted(verdicts.items())]


def should_be_listed(look: Observation, meeting: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """Whether a list should have contained a meeting that was read by its id, as far as the meeting shows.

    Args:
        look: What was listed.
        meeting: The meeting as it is now.
        filters: The filters of the list.
    """
    fields = look.vendor.comparable_filters
    return look.vendor.date(meeting) in look.window and all(
        name not in fields or str(meeting.get(fields[name])) == str(value) for name, value in filters.items()
    )


def _cancellation(vendor: Vendor, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Why a meeting has changed, where it was cancelled or is live again; None: neither."""
    was, is_now = vendor.is_cancelled(before), vendor.is_cancelled(after)
    return None if was == is_now else "cancelled" if is_now else "restored"


def _departure(snapshot: Snapshot, look: Observation, key: str, meeting: Mapping[str, Any] | None) -> Change:
    old = snapshot.entries[key]
    if meeting is not None:
        # One that was read by itself may have other fields than one that was listed: what both have is compared.
        now = fields_of(meeting, look.vendor)
        _, after = _differences(*({n: f[n] for n in old.fields if n in now} for f in (old.fields, now)))
        return _left(snapshot, look, key, after, look.vendor.date(meeting))
    return Change(key, None, _event(snapshot, look, key, kind="gone", before=old.fields, rev=old.rev))


def _entered(snapshot: Snapshot, look: Observation, key: str, listed: ObservedMeeting) -> Change:
    seen_before = listed.date in snapshot.window  # had it been there, the last look would have shown it
    kind = "moved_in"
    reason: str | None = "edit" if seen_before else "time"
    if not snapshot.settled:
        reason = "initial"
    elif _is_new(listed, snapshot, seen_before=seen_before):
        kind, reason = "created", None
    entry = KnownMeeting(snapshot.floor + 1, listed.fields)
    event = _event(snapshot, look, key, kind=kind, reason=reason, after=listed.fields, rev=entry.rev)
    return Change(key, entry, event)


def _is_new(listed: ObservedMeeting, snapshot: Snapshot, *, seen_before: bool) -> bool:
    """Whether a meeting was made since the last look."""
    if seen_before and listed.untouched:
        return True  # it was not moved, so it would have been listed
    if listed.made_at is None:
        return seen_before
    looked_at = snapshot.taken_at + snapshot.clock_offset  # by the clock that the vendor has stamped the meeting with
    return listed.made_at >= looked_at - (_BLUR if listed.made_at % _MINUTE == 0 else _SLACK)  # a day, or a moment


def _left(snapshot: Snapshot, look: Observation, key: str, after: dict[str, Any], date: int) -> Change:
    old = snapshot.entries[key]
    edited = look.vendor.date_field in after or date in look.window  # in the window: it is the filters that it left
    reason = "edit" if edited else "time"
    event = _event(snapshot, look, key, kind="moved_out", reason=reason, before=old.fields, after=after, rev=old.rev)
    return Change(key, None, event)


def _event(
    snapshot: Snapshot,
    look: Observation,
    key: str,
    *,
    kind: str,
    rev: int,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Event:
    identity = json.dumps([look.scope, snapshot.epoch, key, kind, rev, before, after], sort_keys=True)
    known = snapshot.entries.get(key)
    fields = known.fields if known else after or {}
    return {
        "event_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "kind": kind,
        "reason": reason,
        "id": fields.get("id", key),
        "vendor": look.vendor.name,
        "connection": look.connection,
        "before": before if before is None else dict(before),
        "after": after if after is None else dict(after),
        "window": [look.window.start, look.window.end],
        "seen_at": look.taken_at,
    }


def fields_of(meeting: Mapping[str, Any], vendor: Vendor) -> dict[str, Any]:
    """Return what is kept of a meeting: no nulls, not when it was touched last, and long values cut short.

    A new modification date alone is no change; changed fields are.
    """
    touched = vendor.last_modified_fields
    kept = {name: value for name, value in meeting.items() if value is not None and name not in touched}
    fields = {name: _bounded(kept[name], _LONG, _PREVIEW) for name in sorted(kept)}
    if sum(map(len, _texts(fields))) > _LARGE:
        return {name: _bounded(kept[name], _SHORT, _SHORT // 2) for name in fields}
    return fields


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        yield name
        yield value if isinstance(value, str) else json.dumps(value)


def _bounded(value: Any, most: int, preview: int) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if len(text) <= most:
        return value
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:preview]}… ({len(text)} characters, sha256 {digest}…)"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs, as it was and as it is; None: there is no such field."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}
