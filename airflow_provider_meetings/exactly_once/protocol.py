"""The protocol of exactly once, without a clock, a socket or Airflow: a task instance owns one meeting.

Each try makes that meeting equal to what the try asks for. What is known of it stands in a journal that outlives tries:

1. What the last try left unknown is settled first.
2. The meeting that is known is read, and changed where it differs from what is asked.
3. Only where there is none, it is made: written down before it is sent, and again when it is there.

Written as a generator like the vendors' calls: a test feeds it answers and stops it between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from airflow_provider_meetings.core.flow import (
    BeforeSend,
    Command,
    Flow,
    Log,
    Now,
    Request,
    Sleep,
    relay,
)
from airflow_provider_meetings.exactly_once.journal import Journal, Record, digest, header_safe
from airflow_provider_meetings.exactly_once.own_meeting import DesiredMeeting, OwnMeeting
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors import CreatedMeeting, Vendor
from airflow_provider_meetings.vendors.matching import PendingCreate, made_since

__all__ = ["BookingResult", "DesiredMeeting", "Outcome", "book"]

T = TypeVar("T")

Outcome: TypeAlias = Literal["created", "adopted", "updated", "unchanged"]

# The request leaves after the journal is written, at most so many seconds later than the moment that stands in it. A
# journal that takes longer is written once more, with more room.
_SLOW_SAVE = 1.0
# No payload's digest, and not that of a meeting which was found as it should be: a change was sent and not answered.
_UNKNOWN = "?"
# Seconds until a meeting that is not there is looked for once more: vendors' copies of their data lag behind.
_SECOND_LOOK = 3.0
# Seconds that a meeting is older than its create, by the vendor's clock, if it is the answer to an earlier one.
_REPLAY_SLACK = 60.0
# How often a meeting may be deleted under our hands before we stop making it again.
_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class BookingResult:
    """What came of a try.

    Attributes:
        meeting: The meeting as the vendor returned it.
        outcome: ``created``; ``adopted``, made by a try that did not live to see the answer, or under another map
            index; ``updated``; or ``unchanged``.
        before: Of an updated one, the fields that were sent and are others now, as they were.
    """

    meeting: dict[str, Any]
    outcome: Outcome
    before: Mapping[str, Any] | None = None


def book(vendor: Vendor, journal: Journal, item: DesiredMeeting) -> Flow[BookingResult]:
    """Make the meeting that a task instance owns equal to what this try asks for.

    Raises:
        MeetingsError: It could not be done. What may have happened stands in the journal for the next try.
    """
    return (yield from _Attempt(vendor, journal, item).book())


class _Attempt(OwnMeeting):
    """One try's work on one item."""

    def book(self) -> Flow[BookingResult]:
        adopted = yield from self._find_previous_record()
        missing: MeetingNotFoundError | None = None
        for _ in range(_MOST_ROUNDS):
            record = self._record
            if record.pending_create is not None:
                adopted = (yield from self._resolve_pending_create(record, record.pending_create)) or adopted
            if record.id is None and (yield from self._search()):
                adopted = True
            if record.id is None:
                meeting = yield from self._create(record)
                if meeting is not None:
                    return BookingResult(meeting, "created")
                adopted = True
            try:
                current = yield from self._read(record.id)
            except MeetingNotFoundError:
                yield Log(f"Meeting {record.id} was deleted by somebody else; creating it again.")
                # A new generation has a new idempotency key: under the old one the vendor would replay its old answer.
                record.id, record.generation, record.fingerprint = None, record.generation + 1, ""
                self._searched = False
                continue
            try:
                return (yield from self._converge(record, current, adopted=adopted))
            except MeetingNotFoundError as error:
                # Deleted just now, or what is not there is something that the change speaks of: the meeting tells.
                missing = error
        if missing is not None:
            raise missing
        raise MeetingConflictError(
            "The meeting was deleted by somebody else several times while this task created it; giving up."
        )

    # -- 1. what the last try left unknown

    def _resolve_pending_create(self, record: Record, pending_create: PendingCreate) -> Flow[bool]:
        """Settle it; tells whether there is a meeting now."""
        yield Log("A previous try sent a create and got no response; checking whether it was applied.")
        meeting = yield from self._outcome_of(pending_create)
        if meeting is None:
            yield Log("The create was never applied and can no longer arrive; discarding it.", event="settled")
            record.pending_create = None
            record.generation += 1
        else:
            yield Log(f"The create was applied: it made meeting {meeting['id']}, which is adopted.", event="settled")
            record.digest, record.sent_fields = digest(pending_create.body), sorted(pending_create.body)
            self._remember(record, meeting)
        yield from self._save()
        return meeting is not None

    # -- 2. the meeting that is known

    def _read(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read it; twice where it is not there, since one that was made just now need not be seen everywhere yet."""
        try:
            return (yield from self._live(meeting_id))
        except MeetingNotFoundError:
            yield Sleep(_SECOND_LOOK, f"meeting {meeting_id} was not found; looking for it once more")
            return (yield from self._live(meeting_id))

    def _converge(self, record: Record, current: dict[str, Any], *, adopted: bool) -> Flow[BookingResult]:
        body = self._item.body
        untouched = (
            self._vendor.matches(body, current, strict=True) or self._vendor.fingerprint(current) == record.fingerprint
        )
        if record.digest in {self._digest, ""} and untouched:
            yield Log(f"Meeting {record.id} already matches; nothing to write.")
            self._remember(record, current)
            record.digest, record.sent_fields = self._digest, sorted(body)
            yield from self._save()
            return BookingResult(current, "adopted" if adopted else "unchanged")
        if self._vendor.counterpart(body) != record.counterpart and not self._vendor.counterpart_is_mutable:
            raise MeetingConflictError(
                f"This task instance has booked meeting {record.id} already, with somebody else, and whom a meeting is "
                "with cannot be changed. Delete that meeting in the CRM and clear the task, or give each meeting an "
                "idempotency_key of its own."
            )
        yield from self._wait_for_update_in_flight(record)
        yield Log(f"Meeting {record.id} differs from what this try asks for; updating it.")
        changes = self._vendor.fields.to_become(body, record.sent_fields)
        # Written ahead, too: a change that is not answered may have left any of these fields there, seen or not.
        record.sent_fields = sorted({*record.sent_fields, *body})
        record.digest, record.pending_update = _UNKNOWN, self._digest

        sends = 0

        def note(_now: float, until: float) -> None:
            record.pending_until = until

        def before() -> Flow[None]:
            nonlocal sends
            sends += 1
            yield from self._write_ahead(note)

        try:
            meeting = yield from _with_write_ahead(self._vendor.update(record.id, changes), before, changes=True)
            if not current.keys() <= meeting.keys():
                # An answer that is only a part of the meeting would not tell later whether somebody has changed it.
                meeting = yield from self._vendor.get(record.id)
        except MeetingsError as error:
            if not error.maybe_sent:
                record.pending_update = ""
                yield from self._save()
            raise
        if sends == 1:  # else an earlier send, which was not answered, may arrive after this one still
            record.pending_update = ""
        record.digest, record.sent_fields = self._digest, sorted(body)
        record.counterpart, record.starts_at = self._vendor.counterpart(body), self._vendor.starts_at(body)
        self._remember(record, meeting)
        yield from self._save()
        replaced = {name: current.get(name) for name in changes if current.get(name) != meeting.get(name)}
        return BookingResult(meeting, "updated", replaced)

    def _wait_for_update_in_flight(self, record: Record) -> Flow[None]:
        """Wait while another change than this try's may still arrive: it would undo this one.

        Raises:
            MeetingsInDoubtError: That is longer than a worker may wait.
        """
        if record.pending_update in {"", self._digest}:
            return
        remaining = record.pending_until - (yield Now())
        if remaining <= 0:
            return
        if remaining > self._vendor.retry_limits.max_wait:
            raise MeetingsInDoubtError(
                f"An earlier change of meeting {record.id} was not answered and may still arrive for another "
                f"{remaining:.0f} s, longer than `max_wait` of the connection allows to wait. It would undo what this "
                "try asks for. Nothing was sent.",
                maybe_sent=False,
                retry_after=remaining,
            )
        yield Sleep(remaining, f"an earlier change of meeting {record.id} was not answered and may still arrive")

    # -- 3. there is none yet

    def _create(self, record: Record) -> Flow[dict[str, Any] | None]:
        """Make it. None: under its key the vendor has replayed what it made long before, which may be gone by now."""
        known = None
        if self._vendor.needs_presence_check:
            found, _ = yield from self._vendor.lookalikes(self._item.body)
            known = frozenset(str(meeting.get("id")) for meeting in found)
        body = self._item.body
        record.counterpart, record.starts_at = self._vendor.counterpart(body), self._vendor.starts_at(body)
        key = self._key if record.generation == 1 else header_safe(f"{self._key}/{record.generation}")
        call = self._vendor.create_with_response(self._item.body, idempotency_key=key, known=known)

        def note(now: float, until: float) -> None:
            first = record.pending_create.first_sent if record.pending_create else now
            record.pending_create = PendingCreate(self._item.body, key, first, until, known)
            self._journal.decision = None  # it was about an earlier create

        try:
            created = yield from _with_write_ahead(call, lambda: self._write_ahead(note))
        except MeetingsError as error:
            if not error.maybe_sent:
                # A definite refusal must not pin its payload onto the next try, nor its key, which the vendor may
                # keep with it. The author's own key is left as it is: other runs may count on it. So is a key that
                # the vendor says is in use: a new one would make a second meeting.
                record.pending_create = None
                refused = isinstance(error, MeetingValidationError | MeetingNotFoundError)
                record.generation += refused and not self._item.own_key
                yield from self._save()
            raise
        sent_at = record.pending_create.first_sent if record.pending_create else 0.0
        meeting = created.meeting
        record.digest, record.sent_fields = self._digest, sorted(self._item.body)
        self._remember(record, meeting)
        yield from self._save()
        if self._is_replay(created, sent_at) or not (yield from self._is_there(meeting)):
            yield Log(f"The vendor has created meeting {record.id} under this key before; reading it.")
            return None
        return meeting

    def _is_replay(self, created: CreatedMeeting, sent_at: float) -> bool:
        """Whether the answer to a create is the vendor's earlier answer: its meeting is older than the create.

        Both moments are told by the vendor's clock: it may be minutes behind ours.
        """
        if created.response is None or self._vendor.needs_presence_check:
            return False
        made = created.meeting.get(self._vendor.created_field)
        return made_since(sent_at - _REPLAY_SLACK, made, created.response) is False

    def _is_there(self, meeting: dict[str, Any]) -> Flow[bool]:
        """Whether what answered a create is a meeting as it is now.

        After a clear, the answer may be a replay of what another map index made a moment ago, which no clock tells.
        """
        if self._item.since is None or self._vendor.needs_presence_check:
            return True
        try:
            current = yield from self._live(meeting["id"])
        except MeetingNotFoundError:
            return False
        return self._vendor.matches(self._item.body, current)

    def _write_ahead(self, note: Callable[[float, float], None]) -> Flow[None]:
        """Write down that something is sent now, and until when it may be on its way."""
        in_flight, slow = self._vendor.retry_limits.in_flight, _SLOW_SAVE
        while True:
            now = yield Now()
            note(now, now + slow + in_flight)
            yield from self._save()
            spent = (yield Now()) - now
            if spent <= slow:
                return
            slow = 2 * spent


def _with_write_ahead(call: Flow[T], write_ahead: Callable[[], Flow[None]], *, changes: bool = False) -> Flow[T]:
    """Run a call of the vendor's; write ahead of each send of a create, or of a change."""

    def before(command: Command) -> Flow[Command | None]:
        announces = isinstance(command, BeforeSend)
        if announces or (changes and isinstance(command, Request)):
            yield from write_ahead()
        return None if announces else command

    return relay(call, before)
