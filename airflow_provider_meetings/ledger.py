"""Exactly once, on Airflow: the journal's place, and what identifies a task instance's meeting.

The journal lives in the task state store (Airflow 3.3+), which survives retries, kills, clears and deferrals and goes
with the DAG run. The protocol is :mod:`.booking`'s. Below Airflow 3.3 nothing survives a try: there the meeting is made
under the same key each time (HiringCenter), or looked for among those made since the run began (Builder Prime).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_meetings.booking import Booking, Item, Journal, book
from airflow_provider_meetings.identity import is_mapped, key_of, sendable
from airflow_provider_meetings.version_compat import never_expire

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["CREATED_KEY", "DELETED_KEY", "book_once", "delete_once"]

#: Where in the task state store the journal of creates lies.
CREATED_KEY = "meetings_journal"
#: Where the id of the meeting lies that a task is deleting.
DELETED_KEY = "meetings_deleting"


def book_once(hook: MeetingsHook[Any, Any], meeting: Any, given_key: Any, context: Any) -> Booking:
    """Make the meeting that the running task instance owns equal to ``meeting``.

    Raises:
        MeetingsError: It could not be done; what may have happened is known to the next try.
    """
    body = hook.check_meeting(meeting)
    ti, store = context.get("ti"), context.get("task_state_store")
    if ti is None:
        # Called by hand, outside a run: there is no task instance that could own the meeting.
        return Booking(hook.create_meeting(meeting, idempotency_key=sendable(given_key)), "created")
    key, by_digest = key_of(ti, body, given_key)
    item = Item(key, body, by_digest=by_digest, since=_since(context, durable=store is not None))
    if store is None:
        return hook.drive(lambda vendor: book(vendor, Journal(), item))
    journal = Journal.of(store.get(CREATED_KEY))
    return hook.drive(
        lambda vendor: book(vendor, journal, item),
        save=lambda document: store.set(CREATED_KEY, document, retention=never_expire()),
    )


def delete_once(
    hook: MeetingsHook[Any, Any], meeting_id: Any, given_key: str | None, context: Any, *, missing_ok: bool
) -> bool:
    """Delete a meeting; one that an earlier try of this task instance was deleting counts as deleted by it.

    Returns:
        False: it was gone before.
    """
    store, ti = context.get("task_state_store"), context.get("ti")
    if store is not None:
        begun = store.get(DELETED_KEY) == str(meeting_id)
        if not begun:
            store.set(DELETED_KEY, str(meeting_id), retention=never_expire())
    else:
        begun = ti is not None and ti.try_number > 1
    deleted = hook.delete_meeting(meeting_id, idempotency_key=given_key, missing_ok=missing_ok or begun)
    return deleted or (begun and store is not None)


def _since(context: Any, *, durable: bool) -> float | None:
    """From when on a meeting that this run made may have to be found again; None: it need not.

    With a journal only a mapped task's meeting can be out of its sight, and only after a clear: then another map index
    may have made it. Without one, any earlier try may have.
    """
    ti, run = context["ti"], context.get("dag_run")
    cleared = bool(getattr(run, "clear_number", 0)) or ti.try_number > 1
    if not cleared or (durable and not is_mapped(ti)):
        return None
    # A clear gives the run a new start; when it was due stays.
    moments = [getattr(run, name, None) for name in ("run_after", "queued_at", "start_date", "logical_date")]
    begun = [moment.timestamp() for moment in moments if moment is not None]
    return min(begun, default=0.0)
