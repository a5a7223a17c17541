"""From the rows to a plan: what an earlier try left unknown is settled first, then the scope is listed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Gather, Log, Now, Sleep
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exactly_once.journal import digest
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingValidationError,
)
from airflow_provider_meetings.sets.journal import DELETED, SetJournal, UnansweredCreate, UnansweredWrite
from airflow_provider_meetings.sets.matching import Matcher, MatchKey
from airflow_provider_meetings.sets.plan import Plan, make_plan
from airflow_provider_meetings.sets.rows import Row
from airflow_provider_meetings.sets.scope import Scope, in_groups, list_scope
from airflow_provider_meetings.sets.sending import save
from airflow_provider_meetings.vendors import Filters, Vendor
from airflow_provider_meetings.vendors.creates import look_for_lost

__all__ = ["Declaration", "prepare", "settle"]

# So many meetings are read by their id at once.
_GROUP = 100


@dataclass(frozen=True)
class Declaration:
    """What is asked for.

    Attributes:
        matcher: Tells which row is which meeting.
        rows: The checked rows.
        window: The window of the scope.
        filters: The filters of the scope.
        delete_missing: Meetings of the scope that have no row are deleted.
        remembered: The id that each row's meeting had in the last run, by the row's key.
    """

    matcher: Matcher
    rows: Sequence[Row]
    window: Window
    filters: Filters = ()
    delete_missing: bool = False
    remembered: Mapping[MatchKey, str] = field(default_factory=dict)


def prepare(
    vendor: Vendor, asked: Declaration, journal: SetJournal, *, blind_retry: bool = False
) -> Flow[tuple[Scope, Plan]]:
    """List the scope and make the plan.

    Args:
        vendor: The vendor's rules.
        asked: What is asked for.
        journal: What an earlier try has left; its creates are settled already, see :func:`settle`.
        blind_retry: An earlier try may have sent creates that no journal tells of.

    Raises:
        MeetingsInDoubtError: What an earlier try has sent may still arrive, for longer than a worker may wait.
        MeetingsError: The list cannot be read, or no plan can be made. Nothing was written.
    """
    while True:
        scope = yield from list_scope(vendor, asked.window, asked.filters, [row.body for row in asked.rows])
        current = {asked.matcher.key_of_stored(one) for one in scope.listed if not vendor.is_cancelled(one)}
        remembered = yield from _recall(vendor, asked, current)
        plan = make_plan(
            vendor,
            asked.matcher,
            asked.rows,
            scope.listed,
            delete_missing=asked.delete_missing,
            remembered=remembered,
        )
        now = yield Now()
        until = _undone_until(journal, plan)
        if blind_retry and vendor.needs_presence_check and plan.of("create"):
            until = max(until, now + vendor.retry_limits.in_flight)
        if until <= now:
            return scope, plan
        blind_retry = False
        yield from _wait(vendor, until - now)


def settle(
    vendor: Vendor, asked: Declaration, journal: SetJournal
) -> Flow[list[tuple[UnansweredCreate, dict[str, Any]]]]:
    """Find out what became of the creates that an earlier try sent and got no answer to, all at once.

    A create is sent again only where its row is declared still, and the list that follows shows what it makes. Another
    one is looked for where its row is declared, and else only waited for until nothing of it can arrive any more.

    Returns:
        The meetings that they have made, as far as it was seen. The list that follows tells what is there.

    Raises:
        MeetingsInDoubtError: One of them may still arrive, for longer than a worker may wait.
        MeetingsError: It cannot be told now; the journal keeps what is not settled.
    """
    entries = list(journal.creates.items())
    yield Log(f"A previous try sent {len(entries)} create(s) and got no response; checking whether they were applied.")
    declared = {(asked.matcher.names, row.key) for row in asked.rows}
    there: dict[tuple[tuple[str, ...], MatchKey | None], Mapping[str, Any]] = {}
    if not vendor.needs_presence_check and any((entry.match_on, entry.key) in declared for _, entry in entries):
        scope = yield from list_scope(vendor, asked.window, asked.filters)
        there = {(asked.matcher.names, asked.matcher.key_of_stored(meeting)): meeting for meeting in scope.listed}
    results = yield Gather(
        [
            _settle_one(vendor, asked, entry, declared=names_and_key in declared, current=there.get(names_and_key))
            for names_and_key, entry in (((entry.match_on, entry.key), entry) for _, entry in entries)
        ]
    )
    now = yield Now()
    for (key, _), result in zip(entries, results, strict=True):
        if not isinstance(result, MeetingsError):
            del journal.creates[key]
        if isinstance(result, dict):
            journal.recent[str(result["id"])] = now
    yield from save(journal)
    left = [result for result in results if isinstance(result, MeetingsError)]
    if left:
        raise max(left, key=lambda error: getattr(error, "retry_after", None) or 0.0)
    return [(entry, result) for (_, entry), result in zip(entries, results, strict=True) if isinstance(result, dict)]


def _settle_one(
    vendor: Vendor, asked: Declaration, entry: UnansweredCreate, *, declared: bool, current: Mapping[str, Any] | None
) -> Flow[dict[str, Any] | MeetingsError | None]:
    """Settle one create; returns its meeting, or why it cannot be settled now. None: nothing of it can arrive.

    Where its row has a ``current`` meeting, that is what it has made, or what another run has made meanwhile: sent
    again it might make a second one.
    """
    meeting: dict[str, Any] | None = None
    try:
        try:
            in_scope = to_epoch_ms(entry.pending.body[vendor.date_field]) in asked.window
            if current is not None:
                meeting = dict(current) if vendor.matches(entry.pending.body, current) else None
            elif vendor.needs_presence_check or (declared and in_scope):
                meeting = yield from vendor.resolve_create(entry.pending)  # without a key, it is only looked for
            elif declared:
                meeting = yield from look_for_lost(vendor, entry.pending, RetryState(vendor.retry_limits))
        except (MeetingValidationError, MeetingNotFoundError) as refusal:
            yield Log(f"A create was never applied, and the vendor refuses it now: {refusal}")
            return None
        except MeetingConflictError:
            # Several meetings look like it. Which one is whose is told by match_on, once none can arrive any more.
            meeting = None
        if meeting is not None and _is_its_own(vendor, entry, meeting):
            yield Log(f"A create of the previous try has made meeting {meeting['id']}.", event="settled")
            return meeting
        yield from _wait_out(vendor, entry.until)
    except MeetingsError as error:
        return error
    yield Log("A create of the previous try was not seen, and can no longer arrive.", event="settled")
    return None


def _is_its_own(vendor: Vendor, entry: UnansweredCreate, meeting: Mapping[str, Any]) -> bool:
    """Whether a meeting that looks like the one of a lost create is its row's, as far as the meeting tells."""
    if not vendor.needs_presence_check:
        return True  # the idempotency key has told
    matcher = Matcher.parse(vendor, list(entry.match_on), entry.pending.body)
    return not matcher.is_told_by(meeting) or matcher.key_of_stored(meeting) == entry.key


def _recall(
    vendor: Vendor, asked: Declaration, current: set[MatchKey | None]
) -> Flow[dict[MatchKey, Mapping[str, Any]]]:
    """Read the meetings that rows had in the last run and that are not in the scope any more."""
    away = [row for row in asked.rows if row.key not in current and row.key in asked.remembered]
    found: dict[MatchKey, Mapping[str, Any]] = {}
    for group in in_groups(away, _GROUP):
        meetings = yield Gather([_get(vendor, asked.remembered[row.key]) for row in group])
        for row, meeting in zip(group, meetings, strict=True):
            if meeting is None or vendor.is_cancelled(meeting) or asked.matcher.key_of_stored(meeting) != row.key:
                continue
            found[row.key] = meeting
    return found


def _get(vendor: Vendor, meeting_id: str) -> Flow[dict[str, Any] | None]:
    try:
        return (yield from vendor.get(meeting_id))
    except MeetingNotFoundError:
        return None


def _undone_until(journal: SetJournal, plan: Plan) -> float:
    """Return until when an update or a delete of an earlier try may arrive that would undo what the plan asks for."""
    asked: dict[str, set[str]] = {}
    for change in plan.changes:
        if change.row is not None and change.id is not None:
            asked[str(change.id)] = {digest(change.row.declared)}
        elif change.action == "delete":
            asked[str(change.id)] = {DELETED, *_asked_before(journal, str(change.id))}
    for row, meeting in plan.unchanged:
        asked[str(meeting["id"])] = {digest(row.declared)}
    return max(
        (
            write.until
            for meeting_id, write in journal.writes.items()
            if write.asked not in asked.get(meeting_id, {DELETED})
        ),
        default=0.0,
    )


def _asked_before(journal: SetJournal, meeting_id: str) -> set[str]:
    """Whatever was asked of a meeting that is deleted now: it does no harm, wherever it arrives."""
    write: UnansweredWrite | None = journal.writes.get(meeting_id)
    return set() if write is None else {write.asked}


def _wait_out(vendor: Vendor, until: float) -> Flow[None]:
    """Wait until a moment.

    Raises:
        MeetingsInDoubtError: That is longer than a worker may wait.
    """
    remaining = until - (yield Now())
    if remaining > 0:
        yield from _wait(vendor, remaining)


def _wait(vendor: Vendor, seconds: float) -> Flow[None]:
    reason = "a write of the previous try may still arrive"
    if seconds <= vendor.retry_limits.max_wait:
        yield Sleep(seconds, f"{reason}; then the meetings are listed again")
        return
    raise MeetingsInDoubtError(
        f"A write of the previous try got no response and may still arrive for another {seconds:.0f} s, longer than "
        f"`max_wait` of connection {vendor.errors.conn_id!r} allows to wait. Nothing was sent.",
        maybe_sent=False,
        retry_after=seconds,
    )
