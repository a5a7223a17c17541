"""The protocol of exactly once, without a clock, a socket or Airflow: a task instance owns one meeting.

Each try makes that meeting equal to what the try asks for. What is known of it stands in a journal that outlives tries:

1. What the last try left unknown is settled first.
2. The meeting that is known is read, and changed where it differs from what is asked.
3. Only where there is none, it is made: written down before it is sent, and again when it is there.

Written as a generator like the vendors' calls: a test feeds it answers and stops it between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from airflow_provider_meetings.core.flow import (
    AskCaller,
    BeforeSend,
    Command,
    Flow,
    Log,
    Now,
    Request,
    SaveJournal,
    Sleep,
    relay,
)
from airflow_provider_meetings.exactly_once.journal import Journal, Record, digest, header_safe
from airflow_provider_meetings.exactly_once.siblings import Siblings
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors import CreatedMeeting, Vendor
from airflow_provider_meetings.vendors.matching import PendingCreate, ambiguous_match, made_since

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
class DesiredMeeting:
    """What a try asks for.

    Attributes:
        key: Which meeting it is, the same for each try of the same item.
        body: What the meeting should be; what the vendor's ``check_meeting`` returned.
        by_digest: The key is made of the body, since a mapped task has nothing else that stays with an item.
        own_key: The key is the DAG author's, who may count on it in other runs too.
        since: When the run began, in seconds since the epoch, if meetings made by it under another map index may have
            to be found again; None: they need not.
        unsure: When the run began is not known for sure: what was made since may be another run's.
        siblings: Reads what the other map indexes have booked in this run; None: nothing tells.
    """

    key: str
    body: dict[str, Any] = field(repr=False)
    by_digest: bool = False
    own_key: bool = False
    since: float | None = None
    unsure: bool = False
    siblings: Callable[[], Siblings] | None = None


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


class _Attempt:
    """One try's work on one item."""

    def __init__(self, vendor: Vendor, journal: Journal, item: DesiredMeeting) -> None:
        self._vendor = vendor
        self._journal = journal
        self._item = item
        self._key = item.key
        self._digest = digest(item.body)
        self._searched = False
        self._resolved: set[str] = set()

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

    @property
    def _record(self) -> Record:
        counterpart, starts_at = self._vendor.counterpart(self._item.body), self._vendor.starts_at(self._item.body)
        return self._journal.records.setdefault(self._key, Record(counterpart=counterpart, starts_at=starts_at))

    def _save(self) -> Flow[None]:
        self._journal.last = self._key
        yield SaveJournal(self._journal.document())

    # -- whose meeting is it

    def _find_previous_record(self) -> Flow[bool]:
        """Find the meeting of an item that this map index has not had before; tells whether one was adopted."""
        item, journal = self._item, self._journal
        own = journal.records.get(item.key)
        if own is not None and (own.id is not None or own.pending_create is not None):
            return False
        if (yield from self._search()):
            return True
        last = journal.records.get(journal.last or "")
        if not item.by_digest or last is None or (last.id is None and last.pending_create is None):
            return False
        if item.since is None or self._is_corrected(last):
            # Nothing was cleared, so that the map index stands for the same item as before; or it is the same one to
            # meet at the same time: the payload has changed.
            self._key = str(journal.last)
        elif self._is_with_the_same(last) and (yield from self._is_booked(last)):
            raise MeetingConflictError(
                f"This map index has booked meeting {last.id or '(its id is not known yet)'} with the same counterpart "
                "at another time, and was cleared since. It cannot be told whether that meeting is to be moved or "
                "belongs to another item of the list now. Nothing was sent. Give each item an idempotency_key of its "
                "own, or delete the meeting in the CRM and clear the task."
            )
        return False

    def _is_corrected(self, last: Record) -> bool:
        """Whether a payload that was never seen corrects the one before, rather than being another item's."""
        counterpart, starts_at = self._vendor.counterpart(self._item.body), self._vendor.starts_at(self._item.body)
        return bool(counterpart) and (last.counterpart, last.starts_at) == (counterpart, starts_at)

    def _is_with_the_same(self, last: Record) -> bool:
        return bool(last.counterpart) and last.counterpart == self._vendor.counterpart(self._item.body)

    def _is_booked(self, last: Record) -> Flow[bool]:
        if last.id is None:
            return True  # a create of it is not settled
        try:
            yield from self._live(last.id)
        except MeetingNotFoundError:
            return False
        return True

    def _search(self) -> Flow[bool]:
        """Look for a meeting that this run made for the item under another map index; tells whether one is adopted."""
        item, journal = self._item, self._journal
        if item.since is None or self._searched:
            return False
        self._searched = True
        own = {str(record.id) for record in journal.records.values() if record.id is not None}
        siblings: Siblings | None = None
        if item.siblings is not None:
            siblings = yield AskCaller(item.siblings)
            booked = yield from self._booked_by(siblings, own)
            if booked is not None:
                return (yield from self._adopt(booked))
        if (yield from self._key_tells(item.since)):
            return False
        found, response = yield from self._vendor.lookalikes(item.body)
        others = [meeting for meeting in found if str(meeting.get("id")) not in own]
        created_field = self._vendor.created_field
        verdicts = [(meeting, made_since(item.since, meeting.get(created_field), response)) for meeting in others]
        recent = [meeting for meeting, new in verdicts if new is not False]
        candidates = recent if siblings is None else siblings.changing(others)
        unsure = siblings is None and (item.unsure or None in {new for _, new in verdicts})
        if len(candidates) > 1 or (candidates and unsure):
            decided = self._decided(ambiguous_match(candidates))
            candidates = [] if decided is None else [decided]
        if not candidates:
            if siblings is not None:
                siblings.check_heard(recent)
            return False
        return (yield from self._adopt(candidates[0]))

    def _adopt(self, meeting: dict[str, Any]) -> Flow[bool]:
        yield Log(f"Meeting {meeting['id']} was created for this item earlier in the run; adopting it.")
        record = self._record
        self._remember(record, meeting)
        record.fingerprint = ""  # as somebody may have left it
        yield from self._save()
        return True

    def _booked_by(self, siblings: Siblings, own: set[str]) -> Flow[dict[str, Any] | None]:
        """Return the meeting that another map index has booked for this very item; None: there is none.

        What became of a create of it that was not answered is found out first.
        """
        alive = []
        for meeting_id in siblings.ids_of(self._digest):
            if meeting_id in own:
                continue
            try:
                alive.append((yield from self._live(meeting_id)))
            except MeetingNotFoundError:
                continue
        if len(alive) > 1:
            return self._decided(ambiguous_match(alive))
        if alive:
            return alive[0]
        for create in siblings.pending_of(self._digest, self._item.body, own):
            if create.key in self._resolved:
                continue  # what it made is gone by now
            self._resolved.add(create.key)
            yield Log("Another map index sent a create for this item and got no response; checking whether it applied.")
            meeting = yield from self._outcome_of(create)
            if meeting is not None:
                return meeting
        return None

    def _key_tells(self, since: float) -> Flow[bool]:
        """Whether the vendor itself will tell what this run made for the item: under one key it makes one meeting.

        What looks alike may be another run's. A key that has been refused was replaced by another one in this journal
        alone; and where this map index has booked something else, it matters before the send what the item is.
        """
        if self._vendor.needs_presence_check:
            return False
        record = self._journal.records.get(self._item.key)
        if record is not None and record.generation > 1:
            return False
        last = self._journal.records.get(self._journal.last or "")
        if not self._item.own_key and last is not None and (last.id is not None or last.pending_create is not None):
            return False
        now = yield Now()
        return self._vendor.keeps_key(now - since)

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

    def _outcome_of(self, pending_create: PendingCreate) -> Flow[dict[str, Any] | None]:
        """Return the meeting that a create has made which was not answered; None: none."""
        try:
            return (yield from self._vendor.resolve_create(pending_create))
        except MeetingConflictError as doubt:
            return self._decided(doubt)
        except (MeetingValidationError, MeetingNotFoundError) as refusal:
            yield Log(f"The create was not applied, and the vendor refuses it now: {refusal}")
            return None

    def _decided(self, doubt: MeetingConflictError) -> dict[str, Any] | None:
        """Return the meeting that a person has chosen out of those in doubt; None: another one is to be made.

        Raises:
            MeetingConflictError: Nobody has decided, or what was chosen is not among them.
        """
        decision = self._journal.decision
        if decision is None or not doubt.candidates:
            raise doubt
        if decision.adopt is None:
            return None
        for meeting in doubt.candidates:
            if str(meeting.get("id")) == decision.adopt:
                return dict(meeting)
        raise doubt

    # -- 2. the meeting that is known

    def _read(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read it; twice where it is not there, since one that was made just now need not be seen everywhere yet."""
        try:
            return (yield from self._live(meeting_id))
        except MeetingNotFoundError:
            yield Sleep(_SECOND_LOOK, f"meeting {meeting_id} was not found; looking for it once more")
            return (yield from self._live(meeting_id))

    def _live(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read a meeting; one that is cancelled is one that is gone."""
        meeting = yield from self._vendor.get(meeting_id)
        if self._vendor.is_cancelled(meeting):
            raise MeetingNotFoundError(f"Meeting {meeting_id} is cancelled.")
        return meeting

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

    def _remember(self, record: Record, meeting: dict[str, Any]) -> None:
        record.id, record.pending_create = meeting["id"], None
        self._journal.decision = None
        record.fingerprint = self._vendor.fingerprint(meeting)


def _with_write_ahead(call: Flow[T], write_ahead: Callable[[], Flow[None]], *, changes: bool = False) -> Flow[T]:
    """Run a call of the vendor's; write ahead of each send of a create, or of a change."""

    def before(command: Command) -> Flow[Command | None]:
        announces = isinstance(command, BeforeSend)
        if announces or (changes and isinstance(command, Request)):
            yield from write_ahead()
        return None if announces else command

    return relay(call, before)
