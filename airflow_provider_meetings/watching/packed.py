"""Snapshots and lists of many meetings in little memory: each meeting is kept as JSON bytes, and read when needed.

A meeting that was listed as it was known takes its bytes once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from airflow_provider_meetings.core.json_text import from_json, to_json
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.watching.changes import KnownMeeting, ObservedMeeting

__all__ = ["PackedListing", "PackedMeetings"]


class PackedMeetings(MutableMapping[str, KnownMeeting]):
    """What is known of meetings, by their ids as text; for :attr:`.Snapshot.entries`."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, bytes]] = {}

    def __getitem__(self, key: str) -> KnownMeeting:
        rev, packed = self._rows[key]
        return KnownMeeting(rev, from_json(packed))

    def __setitem__(self, key: str, entry: KnownMeeting) -> None:
        self._rows[key] = (entry.rev, to_json(entry.fields))

    def __delitem__(self, key: str) -> None:
        del self._rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def shared(self, key: str, packed: bytes) -> bytes:
        """Return the bytes that are kept of a meeting already where they are these ones, and these ones otherwise."""
        known = self._rows.get(key)
        return known[1] if known is not None and known[1] == packed else packed


class PackedListing(MutableMapping[str, ObservedMeeting]):
    """The meetings of a list, by their ids as text; for :attr:`.Observation.listed`.

    Args:
        vendor: Whose meetings they are.
        known: What was known before.
    """

    def __init__(self, vendor: Vendor, known: Mapping[str, KnownMeeting]) -> None:
        self._vendor = vendor
        self._known = known
        self._rows: dict[str, bytes] = {}
        # Whether it was modified matters only for a new meeting.
        self._untouched: set[str] = set()

    def __getitem__(self, key: str) -> ObservedMeeting:
        fields: dict[str, Any] = from_json(self._rows[key])
        vendor = self._vendor
        return ObservedMeeting(vendor.date(fields), fields, vendor.made_at(fields), key in self._untouched)

    def __setitem__(self, key: str, listed: ObservedMeeting) -> None:
        packed = to_json(listed.fields)
        known = self._known
        self._rows[key] = known.shared(key, packed) if isinstance(known, PackedMeetings) else packed
        self._untouched.discard(key)
        if listed.untouched and key not in known:
            self._untouched.add(key)

    def __delitem__(self, key: str) -> None:
        del self._rows[key]
        self._untouched.discard(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows
