"""Exactly once, on Airflow: the journal's place, and what identifies a task instance's meeting.

The journal lives in the task state store (Airflow 3.3+), which survives retries, kills, clears and deferrals and goes
with the DAG run. The rules are those of :mod:`.protocol`. Below Airflow 3.3 nothing survives a try: there the meeting
is made under the same key each time (HiringCenter), or looked for among those made since the run began (Builder Prime).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_meetings.core.flow import Flow, Now
from airflow_provider_meetings.exactly_once.journal import Decision, Journal, Record
from airflow_provider_meetings.exactly_once.keys import is_mapped, key_for, normalize_key
from airflow_provider_meetings.exactly_once.protocol import BookingResult, DesiredMeeting, book
from airflow_provider_meetings.exactly_once.siblings import push_bookings, read_siblings
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.matching import PendingCreate
from airflow_provider_meetings.version_compat import never_expire

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["CREATED_KEY", "DELETED_KEY", "book_once", "delete_once"]

#: Where in the task state store the journal of creates lies.
CREATED_KEY = "meetings_journal"
#: Where the id of the meeting lies that a task is deleting.
DELETED_KEY = "meetings_deleting"


def book_once(
    hook: MeetingsHook[Any, Any], meeting: Any, given_key: Any, context: Any, *, decision: Decision | None = None
) -> BookingResult:
    """Make the meeting that the running task instance owns equal to ``meeting``.

    Args:
        hook: That of the connection.
        meeting: What the meeting should be.
        given_key: The DAG author's ``idempotency_key``.
        context: Airflow's.
        decision: What a person has just said of meetings that cannot be told apart; it is written down first, so that
            nobody is asked again after a kill.

    Raises:
        MeetingsError: It could not be done; what may have happened is known to the next try.
    """
    body = hook.check_meeting(meeting)
    ti, store = context.get("ti"), context.get("task_state_store")
    if ti is None:
        # Called by hand, outside a run: there is no task instance that could own the meeting.
        return BookingResult(hook.create_meeting(meeting, idempotency_key=normalize_key(given_key)), "created")
    key, by_digest = key_for(ti, body, given_key, _iteration(context))
    item = DesiredMeeting(key, body, by_digest=by_digest, own_key=given_key is not None, since=_since(context))
    if store is None:
        return hook.drive(lambda vendor: _book_without_a_store(vendor, item, decision))
    journal = Journal.from_json(store.get(CREATED_KEY))
    run = context.get("dag_run")
    if journal.began is None and not getattr(run, "clear_number", 0):
        journal.began = min(_told(run, "queued_at", "start_date"), default=None)
    if item.since is not None:
        # What is older than this run is another run's. When a run was due says nothing of that in a backfill.
        backfill = str(getattr(getattr(run, "run_type", ""), "value", getattr(run, "run_type", ""))) == "backfill"
        unsure = journal.began is None and backfill
        item = replace(item, since=item.since if journal.began is None else journal.began, unsure=unsure)
    tells_siblings = is_mapped(ti) and _iteration(context) is None
    if tells_siblings and item.since is not None:
        item = replace(item, siblings=lambda: read_siblings(ti))
    if tells_siblings and (journal.records or item.since is not None):
        push_bookings(ti, journal.document())  # Airflow has deleted what the last try pushed

    def save(document: dict[str, Any]) -> None:
        store.set(CREATED_KEY, document, retention=never_expire())
        if tells_siblings:
            push_bookings(ti, document)

    if decision is not None:
        journal.decision = decision
        save(journal.document())
    return hook.drive(lambda vendor: book(vendor, journal, item), save=save)


def _book_without_a_store(vendor: Vendor, item: DesiredMeeting, decision: Decision | None) -> Flow[BookingResult]:
    """Book below Airflow 3.3, where no journal outlives a try: with the journal that is the safest to assume.

    HiringCenter's stable key is enough. On Builder Prime an earlier try may have sent a create just before it ended.
    """
    journal = Journal(decision=decision)
    if vendor.needs_presence_check and (item.since is not None or decision is not None):
        begun = item.since if item.since is not None else 0.0
        now = yield Now()
        pending_create = PendingCreate(item.body, item.key, begun, now + vendor.retry_limits.in_flight)
        journal.records[item.key] = Record(vendor.counterpart(item.body), pending_create=pending_create)
    return (yield from book(vendor, journal, replace(item, since=None)))


def delete_once(
    hook: MeetingsHook[Any, Any], meeting_id: Any, given_key: str | None, context: Any, *, missing_ok: bool
) -> bool:
    """Delete a meeting; one that an earlier try of this task instance was deleting counts as deleted by it.

    Returns:
        False: it was gone before.
    """
    store, ti = context.get("task_state_store"), context.get("ti")
    if store is None:
        begun = ti is not None and ti.try_number > 1
        return hook.delete_meeting(meeting_id, idempotency_key=given_key, missing_ok=missing_ok or begun)
    begun = store.get(DELETED_KEY) == str(meeting_id)
    if not begun:
        store.set(DELETED_KEY, str(meeting_id), retention=never_expire())
    try:
        deleted = hook.delete_meeting(meeting_id, idempotency_key=given_key, missing_ok=missing_ok or begun)
    except MeetingsError as error:
        if not (begun or error.maybe_sent):
            _forget_deletion(store)
        raise
    if not (begun or deleted):
        _forget_deletion(store)
    return deleted or begun


def _forget_deletion(store: Any) -> None:
    """A definite no: this task has deleted nothing, and its next try must not take a 404 for its own doing."""
    store.set(DELETED_KEY, "", retention=never_expire())


def _since(context: Any) -> float | None:
    """From when on a meeting may be one that this run has made; None: nothing was cleared or tried before.

    With a journal this matters after a clear only, when another map index may have made it.
    """
    ti, run = context["ti"], context.get("dag_run")
    durable = context.get("task_state_store") is not None
    moved = bool(getattr(run, "clear_number", 0)) and is_mapped(ti)
    if not moved and (durable or ti.try_number <= 1):
        return None
    begun = _told(run, "queued_at", "start_date")
    if getattr(run, "clear_number", 0) or not begun:
        # A clear gives the run a new start; when it was due stays. Its logical date may be of any age.
        begun += _told(run, "run_after") or _told(run, "data_interval_end") or _told(run, "logical_date")
    return min(begun, default=0.0)


def _iteration(context: Any) -> Any:
    """Return the number of a loop's iteration (Airflow 3.4: ``context["loop"].index``); None: there is no loop."""
    return getattr(context.get("loop"), "index", None)


def _told(run: Any, *names: str) -> list[float]:
    return [moment.timestamp() for name in names if (moment := getattr(run, name, None)) is not None]
