"""Builder Prime's rules, after its page "Working with meetings through the API"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Log, Request, Response
from airflow_provider_meetings.core.retry import RetryState, send_with_retries
from airflow_provider_meetings.core.times import to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
)
from airflow_provider_meetings.vendors.builderprime_read import FILTERS, MEETINGS, BuilderPrimeReader
from airflow_provider_meetings.vendors.fields import Field, FieldTable, check_id, check_key
from airflow_provider_meetings.vendors.matching import (
    ComparableFields,
    PendingCreate,
    fingerprint,
    matches,
    same_moment,
    same_number,
    same_text,
    search_window,
)
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.vendors.responses import encode

__all__ = ["FIELDS", "FILTERS", "RECORD_MAPPING", "BuilderPrime"]

FIELDS = FieldTable(
    vendor="Builder Prime",
    blank_erases=True,  # "Providing a null or blank value … will remove any data currently stored"
    table=(
        Field("clientOpportunityId", "number", "The opportunity that the meeting is for.", clearable=True),
        Field("title", "text", "Title.", clearable=True),
        Field("location", "text", "Where it takes place.", clearable=True),
        Field("startDateTime", "moment", "When it begins.", required=True),
        Field("endDateTime", "moment", "When it ends.", clearable=True),
        Field("employee", "employee", "Who goes: by id, by email, or by firstName and lastName.", clearable=True),
        Field("meetingTypeId", "number", "One of the account's meeting types.", clearable=True),
        Field("meetingResultId", "number", "One of the account's meeting results.", clearable=True),
        Field("reminders", "reminders", "Reminders, in units before the start.", clearable=True),
    ),
)

#: The fields of a listed meeting, which is not the shape that create takes. It has neither a time zone nor notes.
RECORD_MAPPING = RecordMapping(
    vendor="builderprime",
    sources={
        "id": "id",
        "starts_at": "startDateTime",
        "ends_at": "endDateTime",
        "title": "title",
        "type": "meetingTypeName",
        "location": "location",
        "counterpart_id": "opportunityId",
        "counterpart_name": ("clientFirstName", "clientLastName"),
        "owner_id": "employeeId",
        "owner_name": ("employeeFirstName", "employeeLastName"),
        "cancelled": "isMeetingCancelled",
        "created_at": "createdDate",
        "updated_at": "lastModifiedDate",
    },
)


@dataclass(frozen=True, slots=True)
class BuilderPrime(BuilderPrimeReader):
    """Calls to Builder Prime: arguments in, requests out, answers back, meetings out.

    Beside its own, it has the attributes and calls of :class:`BuilderPrimeReader`.

    Attributes:
        answered: Ids of the meetings whose creates were answered here: none of them is one that was lost.
    """

    answered: set[str] = field(default_factory=set, compare=False, repr=False)

    fields = FIELDS
    record_mapping = RECORD_MAPPING
    #: Where a listed meeting says when it was made.
    created_field = "createdDate"
    #: Without idempotency keys, what looks alike has to be known before a create.
    needs_presence_check = True
    counterpart_is_mutable = True

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`Fields.for_create`."""
        return FIELDS.for_create(meeting)

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`Fields.for_update`."""
        return FIELDS.for_update(changes)

    # -- writing

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Flow[dict[str, Any]]:
        """Creating a New Meeting Record, once.

        The vendor has no idempotency keys, so a create whose answer is lost is looked for before it is sent again.

        Args:
            body: What :meth:`check_meeting` returned.
            idempotency_key: Checked, and of no use to this vendor.
        """
        return (yield from self.book(body, check_key(idempotency_key) or "", known=None))

    def book(self, body: Mapping[str, Any], key: str, known: frozenset[str] | None) -> Flow[dict[str, Any]]:
        """Make a meeting, settling what is not answered before it is sent again.

        Args:
            body: What :meth:`check_meeting` returned.
            key: Of no use to this vendor.
            known: Ids of the meetings that looked alike before; None: nobody has looked.
        """
        retry_state = RetryState(self.retry_limits)
        request = Request("POST", MEETINGS, body=encode(body), scope="meetings.create", repeatable=False, creates=True)
        while True:
            try:
                return (yield from self._created(request, retry_state))
            except MeetingsError as error:
                if not error.maybe_sent or (known is None and not retry_state.first_sent):
                    raise  # without the time of the send, an older look-alike cannot be told from a new meeting
                unanswered = error
            pending_create = PendingCreate(
                body, key, retry_state.first_sent, retry_state.last_sent + self.retry_limits.in_flight, known
            )
            found = yield from self.resolve_create(pending_create, retry_state)
            told = "did not happen" if found is None else f"made meeting {found.get('id')}"
            yield Log(f"The create that was not answered {told}.", event="settled")
            if found is not None:
                return found
            retry_state.outcome_unknown = False
            pause = retry_state.next_try(f"{unanswered.message} It was looked for and did not happen", None)
            if pause is None:
                unanswered.maybe_sent = False
                raise unanswered
            yield pause

    def _created(self, request: Request, retry_state: RetryState) -> Flow[dict[str, Any]]:
        response = yield from send_with_retries(request, retry_state)
        data = self._content(request, response).get("data")
        if not isinstance(data, dict) or data.get("id") in (None, ""):
            raise self.errors.malformed(request, response, "there is no meeting with an id in it")
        self.answered.add(str(data["id"]))
        return data

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Modifying an Existing Meeting Record; saying it twice changes nothing more."""
        check_key(idempotency_key)
        meeting_id = check_id(meeting_id)
        path = f"{MEETINGS}/{meeting_id}"
        request = Request("POST", path, body=encode(body), scope="meetings.edit")
        return (yield from self._expect(request, meeting_id))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Flow[bool]:
        """Deleting a Single Meeting Record; False: it was gone before."""
        check_key(idempotency_key)
        retry_state = RetryState(self.retry_limits)
        request = Request("DELETE", f"{MEETINGS}/{check_id(meeting_id)}", scope="meetings.delete")
        response = yield from send_with_retries(request, retry_state)
        try:
            self._content(request, response)
        except MeetingNotFoundError:
            if retry_state.outcome_unknown:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        except MeetingsError as error:
            error.maybe_sent = error.maybe_sent or retry_state.outcome_unknown
            raise
        return True

    def resolve_create(
        self, pending_create: PendingCreate, retry_state: RetryState | None = None
    ) -> Flow[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened.

        Returns:
            The meeting that it made. None: it made none, and can no longer, being in flight no more.

        Raises:
            MeetingsError: It cannot be told: several candidates, no permission to look, or no time left to wait. Its
                ``maybe_sent`` is true.
        """
        retry_state = retry_state or RetryState(self.retry_limits)
        try:
            while True:
                found, response = yield from self.lookalikes(pending_create.body, retry_state)
                lost = [meeting for meeting in found if str(meeting.get("id")) not in self.answered]
                meeting = pending_create.choose(lost, response, self.created_field)
                remaining = pending_create.in_flight_until - response.sent_at  # what arrived after that was not seen
                if meeting is not None or remaining <= 0:
                    return meeting
                pause = retry_state.pause(
                    min(remaining, _LOOK_AGAIN), "a lost request may still arrive; then a look again"
                )
                if pause is None:
                    raise MeetingsInDoubtError(
                        "Builder Prime did not answer a create. The meeting is not there, but the request may still "
                        f"arrive for another {remaining:.0f} s, longer than `max_wait` of connection "
                        f"{self.errors.conn_id!r} allows to wait. The next try looks for it before it does anything.",
                        retry_after=remaining,
                    )
                yield pause
        except MeetingsError as error:
            error.maybe_sent = True  # whatever kept us from looking, the create is as unknown as it was
            raise

    def lookalikes(
        self, body: Mapping[str, Any], retry_state: RetryState | None = None
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings that start with a body's and are equal to it in every field that both shapes have.

        Raises:
            MeetingsPermissionError: The key lacks meetings.read, without which a lost create cannot be settled.
        """
        instant = search_window(to_epoch_ms(body["startDateTime"]))
        looking = (retry_state or RetryState(self.retry_limits)).child()
        items, response = yield from self._page(instant, (), retry_state=looking)
        if retry_state is not None:
            retry_state.slept = looking.slept
        if len(items) >= self.page_size:
            items = yield from self._by_number(instant, ())
        return [item for item in items if self.matches(body, item)], response

    def matches(self, body: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
        """Whether a meeting equals a body, in every field that can be compared."""
        return matches(body, stored, _COMPARABLE) and matches(body.get("employee") or {}, stored, _COMPARABLE_EMPLOYEE)

    def fingerprint(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return fingerprint(stored, _COMPARABLE, _COMPARABLE_EMPLOYEE)

    def starts_at(self, body: Mapping[str, Any]) -> str:
        """When a meeting takes place."""
        return str(body.get("startDateTime", ""))

    def counterpart(self, body: Mapping[str, Any]) -> str:
        """Whom a meeting is with: what stays when everything else about it is corrected."""
        return str(body.get("clientOpportunityId", ""))


# While a lost request may still arrive, look this often.
_LOOK_AGAIN = 5.0

#: The shape that create takes and the shapes that come back differ; what is not here cannot be compared.
_COMPARABLE: ComparableFields = {
    "clientOpportunityId": (("opportunityId", "clientOpportunityId"), same_number),
    "title": (("title",), same_text),
    "location": (("location",), same_text),
    "startDateTime": (("startDateTime",), same_moment),
    "endDateTime": (("endDateTime",), same_moment),
    "meetingTypeId": (("meetingTypeId",), same_number),
    "meetingResultId": (("meetingResultId",), same_number),
}
_COMPARABLE_EMPLOYEE: ComparableFields = {
    "id": (("employeeId",), same_number),
    "email": (("employeeEmail",), same_text),
    "firstName": (("employeeFirstName",), same_text),
    "lastName": (("employeeLastName",), same_text),
}
