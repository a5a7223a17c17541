"""Whose meeting is it: what the journal, another map index or the vendor has of an item before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import AskCaller, Flow, Log, Now, SaveJournal
from airflow_provider_meetings.exactly_once.journal import Journal, Record, digest
from airflow_provider_meetings.exactly_once.siblings import Siblings
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.matching import PendingCreate, ambiguous_match, made_since

__all__ = ["DesiredMeeting", "OwnMeeting"]


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


class OwnMeeting:
    """What is known of the meeting of one item, and the search for one that it has already."""

    def __init__(self, vendor: Vendor, journal: Journal, item: DesiredMeeting) -> None:
        self._vendor = vendor
        self._journal = journal
        self._item = item
        self._key = item.key
        self._digest = digest(item.body)
        self._searched = False
        self._resolved: set[str] = set()

    @property
    def _record(self) -> Record:
        counterpart, starts_at = self._vendor.counterpart(self._item.body), self._vendor.starts_at(self._item.body)
        return self._journal.records.setdefault(self._key, Record(counterpart=counterpart, starts_at=starts_at))

    def _save(self) -> Flow[None]:
        self._journal.last = self._key
        yield SaveJournal(self._journal.document())

    def _remember(self, record: Record, meeting: dict[str, Any]) -> None:
        record.id, record.pending_create = meeting["id"], None
        self._journal.decision = None
        record.fingerprint = self._vendor.fingerprint(meeting)

    # -- what was booked before

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

    # -- what the vendor says

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

    def _live(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read a meeting; one that is cancelled is one that is gone."""
        meeting = yield from self._vendor.get(meeting_id)
        if self._vendor.is_cancelled(meeting):
            raise MeetingNotFoundError(f"Meeting {meeting_id} is cancelled.")
        return meeting
