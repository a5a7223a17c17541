"""HiringCenter's rules, after its page "Create, list, and manage meetings" and its overview (REST API v2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.core.flow import Call, Clock, Request, Response, Tell
from airflow_provider_meetings.core.retry import Budget
from airflow_provider_meetings.core.times import to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors.fields import Field, Fields, check_id, check_key
from airflow_provider_meetings.vendors.hiringcenter_read import FILTERS, HiringCenterReader, complaint_of
from airflow_provider_meetings.vendors.matching import (
    Intent,
    Likeness,
    agrees,
    around,
    glimpse,
    same_moment,
    same_text,
)
from airflow_provider_meetings.vendors.responses import decode, encode

__all__ = ["FIELDS", "FILTERS", "HiringCenter"]

FIELDS = Fields(
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
    #: Where a meeting says when it was made.
    created_field = "createdAt"
    #: The idempotency key tells whether a create has happened.
    looks_before_create = False
    #: "Update Meeting" takes no prospectId.
    party_can_change = False

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`Fields.for_create`."""
        return FIELDS.for_create(meeting)

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`Fields.for_update`."""
        return FIELDS.for_update(changes)

    # -- writing

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Call[dict[str, Any]]:
        """Create Meeting; repeats inside the call share one key, so that they make one meeting."""
        return (yield from self._create(body, idempotency_key))

    def book(
        self,
        body: Mapping[str, Any],
        key: str,
        known: frozenset[str] | None,  # noqa: ARG002 - for vendors without keys
    ) -> Call[dict[str, Any]]:
        """Make a meeting under a key of the ledger's."""
        return (yield from self._create(body, key))

    def _create(self, body: Mapping[str, Any], key: str | None, *, resent: bool = False) -> Call[dict[str, Any]]:
        budget = Budget(self.patience, unsettled=resent)
        request = Request(
            "POST",
            "/meetings",
            body=encode(body),
            idempotency_key=self._key(key),
            scope="meetings.create",
            creates=True,
        )
        return (yield from self._item(request, budget, again=_in_flight(budget, key)))

    def settle(self, intent: Intent, budget: Budget | None = None) -> Call[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened, and have it happen if it did not.

        The same bytes under the same key: the vendor replays what it did, or does it now. Once the key may have been
        forgotten, which would make a second meeting, it is looked for instead.

        Returns:
            The meeting. None: there is none, and the create did not happen.

        Raises:
            MeetingValidationError, MeetingNotFoundError: It did not happen, and the vendor refuses it now.
            MeetingsError: It cannot be told. Its ``maybe_sent`` is true.
        """
        now = yield Clock()
        longest = self.patience.max_wait + self.patience.timeout * self.patience.max_attempts
        try:
            if now + longest < intent.first_sent + self.idempotency_window:
                return (yield from self._create(intent.body, intent.key, resent=True))
            yield Tell("The vendor may have forgotten the idempotency key by now: looking for the meeting instead.")
            found, response = yield from self.lookalikes(intent.body, budget)
            meeting = intent.choose(found, response, self.created_field)
            remaining = intent.in_flight_until - response.sent_at
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
        budget: Budget | None = None,  # noqa: ARG002 - a list has budgets of its own
    ) -> Call[tuple[list[dict[str, Any]], Response]]:
        """List the meetings at a body's moment that are equal to it in every field."""
        query = (("ownerId", str(body["ownerId"])), ("prospectId", str(body["prospectId"])))
        instant = around(to_epoch_ms(body["meetingDate"]))
        items, token, response = yield from self._page(instant, query)
        if token:
            items = yield from self._instant(instant, query)
        return [item for item in items if self.equal(body, item)], response

    def equal(self, body: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
        """Whether a meeting equals a body, in every field that can be compared."""
        return agrees(body, stored, _LIKENESS)

    def glimpse(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return glimpse(stored, _LIKENESS)

    def moment(self, body: Mapping[str, Any]) -> str:
        """When a meeting takes place."""
        return str(body.get("meetingDate", ""))

    def party(self, body: Mapping[str, Any]) -> str:
        """Whom a meeting is with: what stays when everything else about it is corrected."""
        return str(body.get("prospectId", ""))

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Call[dict[str, Any]]:
        """Update Meeting."""
        meeting_id = check_id(meeting_id)
        path = f"/meetings/{meeting_id}"
        budget = Budget(self.patience)
        request = Request(
            self.update_method,
            path,
            body=encode(body),
            idempotency_key=self._key(idempotency_key),
            scope="meetings.edit",
        )
        again = _in_flight(budget, idempotency_key)
        return (yield from self._item(request, budget, again, meeting_id=meeting_id))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Call[bool]:
        """Delete Meeting; False: it was gone before."""
        path = f"/meetings/{check_id(meeting_id)}"
        budget = Budget(self.patience)
        request = Request("DELETE", path, idempotency_key=self._key(idempotency_key), scope="meetings.delete")
        try:
            yield from self._ask(request, budget, again=_in_flight(budget, idempotency_key))
        except MeetingNotFoundError:
            if budget.unsettled:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        return True

    def _key(self, given: str | None) -> str:
        return check_key(given) or str(uuid.uuid4())


_LIKENESS: Likeness = {
    "prospectId": (("prospectId",), same_text),
    "meetingDate": (("meetingDate",), same_moment),
    "timeZone": (("timeZone",), same_text),
    "meetingType": (("meetingType",), same_text),
    "ownerId": (("ownerId",), same_text),
    "location": (("location",), same_text),
    "notes": (("notes",), same_text),
}


def _in_flight(budget: Budget, given: str | None) -> Callable[[Response], bool]:
    """Make the rule for a 409.

    "Same key while the first is still processing: 409" is worth waiting for, "same key, different payload: 409" is not.
    When the same bytes were sent before and not answered, it can only be the first.
    """

    def again(response: Response) -> bool:
        if response.status != 409:
            return False
        if budget.unsettled:
            return True
        complaint = complaint_of(decode(response.body))
        words = complaint.message.lower() if complaint else ""
        final = ("different", "mismatch", "another payload", "does not match")
        return given is not None and not any(word in words for word in final)

    return again
