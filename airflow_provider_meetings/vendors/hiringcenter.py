"""HiringCenter's rules, after its page "Create, list, and manage meetings" and its overview (REST API v2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Log, Now, Request, Response
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.core.times import to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors.fields import Field, FieldTable, check_id, check_key
from airflow_provider_meetings.vendors.hiringcenter_read import FILTERS, HiringCenterReader, parse_error
from airflow_provider_meetings.vendors.matching import (
    ComparableFields,
    PendingCreate,
    fingerprint,
    matches,
    same_moment,
    same_text,
    search_window,
)
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.vendors.responses import decode, encode

__all__ = ["FIELDS", "FILTERS", "RECORD_MAPPING", "HiringCenter"]

FIELDS = FieldTable(
    vendor="HiringCenter",
    zone_field="timeZone",
    table=(
        Field("prospectId", "id", "Prospect the meeting is associated with.", required=True, updatable=False),
        Field("meetingDate", "moment", "When the meeting takes place.", required=True),
        Field("timeZone", "time zone", "IANA time zone name for the meeting.", required=True),
        Field("meetingType", "label", "Meeting type label: phone, virtual, in-person, …", required=True),
        Field("ownerId", "id", "User who owns the meeting.", required=True),
        Field("userId", "id", "User creating the meeting; in an update, the acting user."),
        Field("location", "text", "Meeting location.", clearable=True, nullable=True),
        Field("notes", "text", "Internal notes.", clearable=True, nullable=True),
    ),
)

#: The page names no end, no title, no name of a prospect or an owner, and no cancelled meetings.
RECORD_MAPPING = RecordMapping(
    vendor="hiringcenter",
    sources={
        "id": "id",
        "starts_at": "meetingDate",
        "time_zone": "timeZone",
        "type": "meetingType",
        "location": "location",
        "notes": "notes",
        "counterpart_id": "prospectId",
        "owner_id": "ownerId",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
)


@dataclass(frozen=True, slots=True)
class HiringCenter(HiringCenterReader):
    """Calls to HiringCenter: arguments in, requests out, answers back, meetings out.

    Beside its own, it has the attributes and calls of :class:`HiringCenterReader`.

    Attributes:
        update_method: The verb of an update; the page does not say it, the overview hints at POST.
        idempotency_window: Seconds for which the vendor keeps a key; its page does not say.
    """

    update_method: str = "POST"
    idempotency_window: float = 86_400.0

    fields = FIELDS
    record_mapping = RECORD_MAPPING
    #: Where a meeting says when it was made.
    created_field = "createdAt"
    #: The idempotency key tells whether a create has happened.
    needs_presence_check = False
    #: "Update Meeting" takes no prospectId.
    counterpart_is_mutable = False

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`Fields.for_create`."""
        return FIELDS.for_create(meeting)

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`Fields.for_update`."""
        return FIELDS.for_update(changes)

    # -- writing

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Flow[dict[str, Any]]:
        """Create Meeting; repeats inside the call share one key, so that they make one meeting."""
        return (yield from self._create(body, idempotency_key))

    def book(
        self,
        body: Mapping[str, Any],
        key: str,
        known: frozenset[str] | None,  # noqa: ARG002 - for vendors without keys
    ) -> Flow[dict[str, Any]]:
        """Make a meeting under a key of the journal's."""
        return (yield from self._create(body, key))

    def _create(self, body: Mapping[str, Any], key: str | None, *, resent: bool = False) -> Flow[dict[str, Any]]:
        retry_state = RetryState(self.retry_limits, outcome_unknown=resent)
        request = Request(
            "POST",
            "/meetings",
            body=encode(body),
            idempotency_key=self._key(key),
            scope="meetings.create",
            creates=True,
        )
        return (yield from self._item(request, retry_state, again=_in_flight(retry_state, key)))

    def resolve_create(
        self, pending_create: PendingCreate, retry_state: RetryState | None = None
    ) -> Flow[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened, and have it happen if it did not.

        The same bytes under the same key: the vendor replays what it did, or does it now. Once the key may have been
        forgotten, which would make a second meeting, it is looked for instead.

        Returns:
            The meeting. None: there is none, and the create did not happen.

        Raises:
            MeetingValidationError, MeetingNotFoundError: It did not happen, and the vendor refuses it now.
            MeetingsError: It cannot be told. Its ``maybe_sent`` is true.
        """
        now = yield Now()
        longest = self.retry_limits.max_wait + self.retry_limits.timeout * self.retry_limits.max_attempts
        try:
            if now + longest < pending_create.first_sent + self.idempotency_window:
                return (yield from self._create(pending_create.body, pending_create.key, resent=True))
            yield Log("The vendor may have forgotten the idempotency key by now: looking for the meeting instead.")
            found, response = yield from self.lookalikes(pending_create.body, retry_state)
            meeting = pending_create.choose(found, response, self.created_field)
            remaining = pending_create.in_flight_until - response.sent_at
            if meeting is not None or remaining <= 0:
                return meeting
            raise MeetingsInDoubtError(
                "HiringCenter did not answer a create. The meeting is not there, but the request may still arrive for "
                f"another {remaining:.0f} s. The next try looks for it before it does anything.",
                retry_after=remaining,
            )
        except (MeetingValidationError, MeetingNotFoundError):
            raise
        except MeetingsError as error:
            error.maybe_sent = True
            raise

    def lookalikes(
        self,
        body: Mapping[str, Any],
        retry_state: RetryState | None = None,  # noqa: ARG002 - a list has budgets of its own
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings at a body's moment that are equal to it in every field."""
        query = (("ownerId", str(body["ownerId"])), ("prospectId", str(body["prospectId"])))
        instant = search_window(to_epoch_ms(body["meetingDate"]))
        whole = RetryState(self.retry_limits)
        answer = yield from self.page(instant, query, retry_state=whole.child())
        items = answer.items
        if answer.token:
            items = yield from self.date_list(instant, query, whole).instant(instant, whole)
        return [item for item in items if self.matches(body, item)], answer.response

    def matches(self, body: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
        """Whether a meeting equals a body, in every field that can be compared."""
        return matches(body, stored, _COMPARABLE)

    def fingerprint(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return fingerprint(stored, _COMPARABLE)

    def starts_at(self, body: Mapping[str, Any]) -> str:
        """When a meeting takes place."""
        return str(body.get("meetingDate", ""))

    def counterpart(self, body: Mapping[str, Any]) -> str:
        """Whom a meeting is with: what stays when everything else about it is corrected."""
        return str(body.get("prospectId", ""))

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Update Meeting."""
        meeting_id = check_id(meeting_id)
        path = f"/meetings/{meeting_id}"
        retry_state = RetryState(self.retry_limits)
        request = Request(
            self.update_method,
            path,
            body=encode(body),
            idempotency_key=self._key(idempotency_key),
            scope="meetings.edit",
        )
        again = _in_flight(retry_state, idempotency_key)
        return (yield from self._item(request, retry_state, again, meeting_id=meeting_id))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Flow[bool]:
        """Delete Meeting; False: it was gone before."""
        path = f"/meetings/{check_id(meeting_id)}"
        retry_state = RetryState(self.retry_limits)
        request = Request("DELETE", path, idempotency_key=self._key(idempotency_key), scope="meetings.delete")
        try:
            yield from self._ask(request, retry_state, again=_in_flight(retry_state, idempotency_key))
        except MeetingNotFoundError:
            if retry_state.outcome_unknown:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        return True

    def _key(self, given: str | None) -> str:
        return check_key(given) or str(uuid.uuid4())


_COMPARABLE: ComparableFields = {
    "prospectId": (("prospectId",), same_text),
    "meetingDate": (("meetingDate",), same_moment),
    "timeZone": (("timeZone",), same_text),
    "meetingType": (("meetingType",), same_text),
    "ownerId": (("ownerId",), same_text),
    "location": (("location",), same_text),
    "notes": (("notes",), same_text),
}


def _in_flight(retry_state: RetryState, given: str | None) -> Callable[[Response], bool]:
    """Make the rule for a 409.

    "Same key while the first is still processing: 409" is worth waiting for, "same key, different payload: 409" is not.
    When the same bytes were sent before and not answered, it can only be the first.
    """

    def again(response: Response) -> bool:
        if response.status != 409:
            return False
        if retry_state.outcome_unknown:
            return True
        vendor_error = parse_error(decode(response.body))
        words = vendor_error.message.lower() if vendor_error else ""
        final = ("different", "mismatch", "another payload", "does not match")
        return given is not None and not any(word in words for word in final)

    return again
