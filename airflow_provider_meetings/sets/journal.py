"""What of a set outlives a try: the writes that were sent, or are sent next, and whose outcome nobody has seen.

What is done is not kept: the next try lists the meetings anew, and what was done is no difference any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_meetings.exactly_once.journal import check_version
from airflow_provider_meetings.sets.matching import MatchKey
from airflow_provider_meetings.vendors.matching import PendingCreate

__all__ = ["DELETED", "JUST_NOW", "SetJournal", "UnansweredCreate", "UnansweredWrite", "size_of"]

# Of the document.
_VERSION = 1
#: What a delete asks for, in place of the digest of a row.
DELETED = ""
#: Seconds in which clocks, some of which tell whole seconds, cannot say which of two things was first.
JUST_NOW = 3.0


@dataclass(slots=True)
class UnansweredCreate:
    """A create that may have been sent.

    Attributes:
        pending: What is sent, under which idempotency key, and until when it may be on its way.
        match_on: The fields that told which meeting its row is.
        key: The row's key.
    """

    pending: PendingCreate
    match_on: tuple[str, ...]
    key: MatchKey

    @property
    def until(self) -> float:
        """Until when it may be on its way, in seconds since the epoch."""
        return self.pending.in_flight_until

    @until.setter
    def until(self, moment: float) -> None:
        self.pending = replace(self.pending, in_flight_until=moment)


@dataclass(slots=True)
class UnansweredWrite:
    """An update or a delete that may have been sent.

    Attributes:
        asked: The digest of the row that is asked for; ``DELETED`` of a delete.
        until: Until when it may be on its way, in seconds since the epoch.
    """

    asked: str
    until: float


@dataclass(slots=True)
class SetJournal:
    """What is known between two tries.

    Attributes:
        creates: The creates that may have been sent, by their idempotency key.
        writes: The updates and deletes, by the meeting's id.
        generation: Part of each idempotency key. It grows when creates were refused: under the old key the vendor may
            repeat its refusal.
        recent: The ids of meetings that were made a moment before the journal was written, and when. Of older ones the
            vendor's clock tells that they were made before.
    """

    creates: dict[str, UnansweredCreate] = field(default_factory=dict)
    writes: dict[str, UnansweredWrite] = field(default_factory=dict)
    generation: int = 1
    recent: dict[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "version": _VERSION,
            "generation": self.generation,
            "creates": [_plain(create) for create in self.creates.values()],
            "writes": {meeting_id: asdict(write) for meeting_id, write in self.writes.items()},
            "recent": self.recent,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> SetJournal:
        """Read what :meth:`document` returned; None is an empty journal.

        Raises:
            MeetingsConfigurationError: Another version of this provider has written it, in a form of its own.
        """
        if not document:
            return cls()
        check_version(document, _VERSION, "task's set")
        creates = [_create(plain) for plain in document["creates"]]
        return cls(
            {create.pending.key: create for create in creates},
            {meeting_id: UnansweredWrite(**plain) for meeting_id, plain in document["writes"].items()},
            document["generation"],
            document["recent"],
        )

    def forget_old(self, now: float) -> None:
        """Forget the updates and deletes that can no longer be on their way, and what was not made just now."""
        self.writes = {meeting_id: write for meeting_id, write in self.writes.items() if write.until > now}
        self.recent = {meeting_id: made for meeting_id, made in self.recent.items() if made > now - JUST_NOW}

    def size(self) -> int:
        """How many bytes it has as JSON."""
        return len(json.dumps(self.document()))


def size_of(entry: UnansweredCreate | UnansweredWrite) -> int:
    """Estimate, from above, how many bytes an entry adds to the journal."""
    return _MAX_ENTRY + (len(json.dumps(_plain(entry))) if isinstance(entry, UnansweredCreate) else 0)


# A write's entry: an id, a digest, a number. A key may grow by a generation.
_MAX_ENTRY = 200


def _plain(create: UnansweredCreate) -> dict[str, Any]:
    known = create.pending.known
    plain = asdict(create.pending) | {"known": None if known is None else sorted(known)}
    return plain | {"match_on": list(create.match_on), "match_key": list(create.key)}


def _create(plain: Mapping[str, Any]) -> UnansweredCreate:
    fields = dict(plain)
    match_on, key, known = fields.pop("match_on"), fields.pop("match_key"), fields.pop("known")
    pending = PendingCreate(**fields, known=None if known is None else frozenset(known))
    return UnansweredCreate(pending, tuple(match_on), tuple(key))
