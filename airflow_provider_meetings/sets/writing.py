"""One write of a set, from its first send to a verdict. Nothing is raised for one that does not succeed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Log
from airflow_provider_meetings.core.retry import server_time
from airflow_provider_meetings.core.times import to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsError,
    MeetingsServerError,
)
from airflow_provider_meetings.sets.journal import JUST_NOW, SetJournal, UnansweredCreate, UnansweredWrite
from airflow_provider_meetings.sets.keys import RowKeys
from airflow_provider_meetings.sets.matching import Matcher
from airflow_provider_meetings.sets.outcome import Written, verdict_on
from airflow_provider_meetings.sets.plan import Change
from airflow_provider_meetings.sets.rows import Row
from airflow_provider_meetings.sets.scope import Scope
from airflow_provider_meetings.sets.sending import GuardedSend
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.comparing import compare

__all__ = ["Writer"]

# How often a create may be answered with a meeting that is gone by now.
_MAX_GENERATIONS = 5
# Seconds by which a meeting may seem older than the list without being so. What is made within them, and a little more,
# before the journal is written is kept there by its id.
_CLOCK_GRAIN = JUST_NOW - 1.0


@dataclass(slots=True)
class Halt:
    """Tells the writes of a batch that none of them would succeed any more.

    Attributes:
        error: Why; None: they may go on.
    """

    error: MeetingsError | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes the writes of one plan.

    Attributes:
        vendor: The vendor's rules.
        matcher: Tells which row is which meeting.
        keys: Makes the idempotency keys.
        journal: What outlives the try.
        scope: The meetings that were listed for the plan.
        made_before: The ids of meetings that an earlier try made so shortly before this one that no clock tells.
        one_of_many: A write that goes well is worth no line of its own in the log.
        halt: Tells when none of the writes would succeed any more.
    """

    vendor: Vendor
    matcher: Matcher
    keys: RowKeys
    journal: SetJournal
    scope: Scope
    made_before: frozenset[str] = frozenset()
    one_of_many: bool = False
    halt: Halt = field(default_factory=Halt)

    def write(self, change: Change, entry: UnansweredCreate | UnansweredWrite) -> Flow[Written]:
        """Make one write, whose entry is in the journal."""
        if self.halt.error is not None:
            return Written(change, "untried", error=self.halt.error)
        guard = GuardedSend(self.journal, entry, self.vendor.retry_limits.in_flight, self.one_of_many)
        try:
            if isinstance(entry, UnansweredCreate):
                meeting = yield from self._create(change, entry, guard)
            elif change.action == "update":
                meeting = yield from self._update(change, guard)
            else:
                meeting = yield from self._delete(change, guard)
        except MeetingsError as error:
            verdict = verdict_on(change, error)
            if verdict == "stopped":
                self.halt.error = error
            return Written(change, verdict, error=error, repeated=guard.sends > 1)
        return Written(change, "done", meeting, repeated=guard.sends > 1)

    # -- creates

    def _create(self, change: Change, entry: UnansweredCreate, guard: GuardedSend) -> Flow[dict[str, Any]]:
        row = _row_of(change)
        for generation in range(self.journal.generation, self.journal.generation + _MAX_GENERATIONS):
            if generation > self.journal.generation:
                entry.pending = replace(entry.pending, key=self.keys.key(row, generation))
                entry.until = 0.0  # the new key is written down before it is sent
            meeting = yield from guard.run(self._send_create(entry))
            self._check_identity(row, meeting)
            if not self._is_replay(meeting, guard):
                yield from self._note_altered(row, meeting)
                return meeting
            current = yield from self._still_there(row, meeting)
            if current is not None:
                return current
            yield Log(f"{change.label} was made under this key before and is gone: it is made again.")
        raise MeetingConflictError(
            f"{self.vendor.name} answers with meetings that are gone by now, again and again: given up."
        )

    def _send_create(self, entry: UnansweredCreate) -> Flow[dict[str, Any]]:
        pending = entry.pending
        try:
            return (
                yield from self.vendor.create(pending.body, idempotency_key=pending.key or None, known=pending.known)
            )
        except MeetingConflictError as error:
            if self.vendor.needs_presence_check or not self.keys.with_body or error.maybe_sent:
                raise
            # The payload is part of the key: whoever has used it has sent these very bytes, and is not answered yet.
            busy = MeetingsServerError(
                f"{error.message} It is this row's own, sent before and still being processed.",
                **{name: getattr(error, name) for name in ("status", "code", "method", "path")},
            )
            raise busy from error

    def _check_identity(self, row: Row, meeting: Mapping[str, Any]) -> None:
        """Check that a meeting, where it tells, is the row's: else the next list would not find it."""
        if not self.matcher.is_told_by(meeting) or self.matcher.key_of_stored(meeting) == row.key:
            return
        told = self.matcher.values_of_stored(meeting)
        if str(meeting["id"]) in self.vendor.answered:
            raise MeetingConflictError(
                f"{self.vendor.name} has made meeting {meeting['id']}, and keeps {told} where {row.match} was sent. "
                "No row would find it again, and the next run would make another one. Use fields in match_on that the "
                "vendor keeps as they are, and delete that meeting."
            )
        # Looked for after a lost create, and it is another row's.
        error = MeetingsServerError(
            f"The create was not answered, and what looks like it is another row's: meeting {meeting['id']}."
        )
        error.maybe_sent = True
        raise error

    def _is_replay(self, meeting: Mapping[str, Any], guard: GuardedSend) -> bool:
        """Whether an answer is older than the list, which did not have it: the vendor repeats what it once said."""
        if self.vendor.needs_presence_check or guard.response is None:
            return False
        if str(meeting["id"]) in self.made_before:
            return True
        try:
            made = to_epoch_ms(meeting.get(self.vendor.created_field)) / 1000
        except ValueError:
            return False
        _, vendor_now = server_time(guard.response)
        listed_at = vendor_now - (guard.response.received_at - self.scope.listed_at)
        return made < listed_at - _CLOCK_GRAIN

    def _still_there(self, row: Row, meeting: Mapping[str, Any]) -> Flow[dict[str, Any] | None]:
        """Return a meeting that was made before, if it is in the scope: then the list was behind. None: it is not."""
        try:
            current = yield from self.vendor.get(meeting["id"])
        except MeetingNotFoundError:
            return None
        starts_at = to_epoch_ms(current.get(self.vendor.date_field))
        is_ours = starts_at in self.scope.window and self.matcher.key_of_stored(current) == row.key
        return current if is_ours else None

    # -- updates and deletes

    def _update(self, change: Change, guard: GuardedSend) -> Flow[dict[str, Any]]:
        body = _row_of(change).to_send({**(change.after or {}), **change.along})
        meeting = yield from guard.run(self.vendor.update(change.id, body))
        yield from self._note_altered(_row_of(change), meeting)
        return meeting

    def _delete(self, change: Change, guard: GuardedSend) -> Flow[dict[str, Any]]:
        deleted = yield from guard.run(self.vendor.delete(change.id, missing_ok=True))
        if not deleted:
            yield Log(f"Meeting {change.id} was gone before it was deleted.")
        return dict(change.stored or {"id": change.id})

    def _note_altered(self, row: Row, meeting: Mapping[str, Any]) -> Flow[None]:
        """Tell of fields that the vendor keeps otherwise than they were sent: each run would change them again."""
        altered = compare(row.declared, meeting, self.vendor.comparable_fields).after
        if altered:
            yield Log(
                f"{self.vendor.name} keeps {', '.join(altered)} of {row.label} otherwise than sent: the next run will "
                "take it for a difference."
            )


def _row_of(change: Change) -> Row:
    assert change.row is not None  # noqa: S101 - creates and updates have one
    return change.row
