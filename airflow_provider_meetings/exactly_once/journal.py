"""What outlives a try: the journal of the meetings that a task instance has booked, as plain JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.matching import PendingCreate

__all__ = ["Decision", "Journal", "Record", "check_version", "digest", "header_safe"]

# Of the journal's document.
_VERSION = 2
# HiringCenter: "maxLength: 512".
_LONGEST_KEY = 512


def digest(body: Mapping[str, Any]) -> str:
    """Return a fingerprint of what is sent, the same for the same fields in any order."""
    canonical = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def header_safe(key: str) -> str:
    """Return a key as a header can carry it: hashed where it is too long or not printable ASCII."""
    if len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    return "sha256-" + hashlib.sha256(key.encode()).hexdigest()


@dataclass(slots=True)
class Record:
    """What the journal knows of an item's meeting.

    Attributes:
        counterpart: Whom it is with.
        starts_at: When it takes place; with the counterpart it tells a corrected item from another one.
        generation: 1, and one more each time it has to be made again because somebody deleted it.
        digest: Of the payload that was asked for last; ``?`` while it is not known whether it got there.
        sent_fields: The names of the fields that may be there because they were sent.
        fingerprint: Of the meeting as it was then.
        pending_update: The digest of a change that was sent and not answered.
        pending_until: When that change can no longer be on its way, in seconds since the epoch.
        id: Its id, once known.
        pending_create: A create that was sent and not answered; it holds the payload until the id is known.
    """

    counterpart: str = ""
    starts_at: str = ""
    generation: int = 1
    digest: str = ""
    sent_fields: list[str] = field(default_factory=list)
    fingerprint: str = ""
    pending_update: str = ""
    pending_until: float = 0.0
    id: Any = None
    pending_create: PendingCreate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has said about meetings that cannot be told apart.

    Attributes:
        adopt: The id, as text, of the meeting that is this task's own; None: none of them, another one is to be made.
        by: Who has said so.
    """

    adopt: str | None
    by: str


@dataclass(slots=True)
class Journal:
    """What outlives a try: the records of the items that a task instance has had, and which was the last.

    Attributes:
        records: By the items' keys.
        last: The key of the last one.
        decision: What a person has said of the doubt that a try ended with, until it is carried out.
    """

    records: dict[str, Record] = field(default_factory=dict)
    last: str | None = None
    decision: Decision | None = None
    #: When the run began, in seconds since the epoch, as it said before anything was cleared; None: not known.
    began: float | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "version": _VERSION,
            "last": self.last,
            "decision": None if self.decision is None else asdict(self.decision),
            "began": self.began,
            "records": {key: _plain(rec) for key, rec in self.records.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Journal:
        """Read what :meth:`document` returned; None is an empty journal.

        Raises:
            MeetingsConfigurationError: Another version of this provider has written it, in a form of its own.
        """
        if not document:
            return cls()
        check_version(document, _VERSION, "task")
        decision = document.get("decision")
        return cls(
            {key: _record(plain) for key, plain in document["records"].items()},
            document["last"],
            None if decision is None else Decision(**decision),
            document.get("began"),
        )


def _plain(record: Record) -> dict[str, Any]:
    plain = asdict(replace(record, pending_create=None))
    if record.pending_create is not None:
        known = record.pending_create.known
        plain["pending_create"] = asdict(record.pending_create) | {"known": None if known is None else sorted(known)}
    return plain


def _record(plain: Mapping[str, Any]) -> Record:
    pending_create = plain["pending_create"]
    if pending_create is not None:
        known = pending_create["known"]
        pending_create = PendingCreate(**pending_create | {"known": None if known is None else frozenset(known)})
    return Record(**{**plain, "pending_create": pending_create})


def check_version(document: Mapping[str, Any], expected: int, owner: str) -> None:
    """Refuse a journal whose form is another version's.

    Raises:
        MeetingsConfigurationError: Another version of this provider has written it.
    """
    if document.get("version") != expected:
        raise MeetingsConfigurationError(
            f"The journal of this {owner} is of version {document.get('version')!r}, this provider reads version "
            f"{expected}. Have the same version of airflow-provider-meetings on every worker. Nothing was sent."
        )
