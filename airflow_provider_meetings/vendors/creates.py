"""How a meeting is made once, with and without the vendor's idempotency keys."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Log, Now, Request
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingsRateLimitError,
    MeetingsServerError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors.fields import check_key
from airflow_provider_meetings.vendors.matching import CreatedMeeting, PendingCreate
from airflow_provider_meetings.vendors.responses import Envelope, encode
from airflow_provider_meetings.vendors.vendor import Vendor

__all__ = ["KeyedVendor", "KeylessVendor"]

# While a lost request may still arrive, look this often.
_LOOK_AGAIN = 5.0


class KeyedVendor(Vendor):
    """A vendor with idempotency keys: the same bytes under the same key are carried out once.

    Attributes:
        idempotency_window: Seconds for which the vendor keeps a key.
    """

    __slots__ = ()
    #: The idempotency key tells whether a create has happened.
    needs_presence_check = False
    idempotency_window: float

    def key_for(self, given: str | None) -> str | None:
        """Return the idempotency key of a write: the caller's, or a fresh one."""
        return check_key(given) or str(uuid.uuid4())

    def create_with_response(
        self,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        known: frozenset[str] | None = None,  # noqa: ARG002 - for vendors without keys
    ) -> Flow[CreatedMeeting]:
        """Make a meeting; repeats inside the call share one key, so that they make one meeting."""
        return (yield from self._create(body, idempotency_key, RetryState(self.retry_limits)))

    def _create(self, body: Mapping[str, Any], key: str | None, retry_state: RetryState) -> Flow[CreatedMeeting]:
        request = Request(
            "POST",
            self.collection,
            body=encode(body),
            idempotency_key=self.key_for(key),
            scope="meetings.create",
            creates=True,
        )
        envelope = yield from self.call(request, retry_state, given_key=key)
        meeting = self.record_of(request, envelope)
        self.answered.add(str(meeting["id"]))
        return CreatedMeeting(meeting, envelope.response)

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
        if not self.keeps_key(now - pending_create.first_sent):
            yield Log("The vendor may no longer know the idempotency key; looking for the meeting in its list instead.")
            return (yield from look_for_lost(self, pending_create, retry_state or RetryState(self.retry_limits)))
        resent = RetryState(self.retry_limits, outcome_unknown=True)
        try:
            return (yield from self._create(pending_create.body, pending_create.key, resent)).meeting
        except (MeetingValidationError, MeetingNotFoundError):
            raise
        except MeetingsError as error:
            error.maybe_sent = True
            raise

    def keeps_key(self, age: float) -> bool:
        """Whether a key that was sent so many seconds ago is known still when a request sent now ends at the latest."""
        longest = self.retry_limits.max_wait + self.retry_limits.timeout * self.retry_limits.max_attempts
        return age + longest < self.idempotency_window

    def is_in_progress(self, envelope: Envelope, retry_state: RetryState, given_key: str | None) -> bool:
        """Whether a 409 is worth waiting for.

        "Same key while the first is still processing: 409" is, "same key, different payload: 409" is not. When the same
        bytes were sent before and not answered, it can only be the first.
        """
        if envelope.status != 409:
            return False
        if retry_state.outcome_unknown:
            return True
        words = envelope.error.message.lower() if envelope.error else ""
        final = ("different", "mismatch", "another payload", "does not match")
        return given_key is not None and not any(word in words for word in final)

    def after_unknown(self, error: MeetingsError) -> MeetingsError:
        """Return what a refusal amounts to after an earlier send of the same request that was not answered.

        Only a refusal of the payload itself, or of what it speaks of, says that the earlier send was refused as well.
        """
        if isinstance(error, MeetingConflictError):
            # The very same bytes were sent before: they are still being processed, and a later try may fare better.
            return MeetingsServerError(
                f"{error.message} It is this request's own, sent before and still being processed.",
                **{name: getattr(error, name) for name in ("status", "code", "method", "path")},
            )
        if not isinstance(error, MeetingValidationError | MeetingNotFoundError):
            error.maybe_sent = True
        return error


class KeylessVendor(Vendor):
    """A vendor without idempotency keys: a create whose answer is lost is looked for before it is sent again."""

    __slots__ = ()
    #: What looks alike has to be known before a create.
    needs_presence_check = True

    def create_with_response(
        self, body: Mapping[str, Any], *, idempotency_key: str | None = None, known: frozenset[str] | None = None
    ) -> Flow[CreatedMeeting]:
        """Make a meeting, settling what is not answered before it is sent again."""
        retry_state = RetryState(self.retry_limits)
        key = check_key(idempotency_key) or ""
        request = Request(
            "POST", self.collection, body=encode(body), scope="meetings.create", repeatable=False, creates=True
        )
        while True:
            try:
                envelope = yield from self.call(request, retry_state)
                meeting = self.record_of(request, envelope)
            except MeetingsError as error:
                if not error.maybe_sent or (known is None and not retry_state.first_sent):
                    raise  # without the time of the send, an older look-alike cannot be told from a new meeting
                unanswered = error
            else:
                self.answered.add(str(meeting["id"]))
                return CreatedMeeting(meeting, envelope.response)
            asked = getattr(unanswered, "retry_after", None)
            if asked:
                pause = retry_state.pause(asked, f"{unanswered.message} Then the meeting is looked for")
                if pause is None:
                    raise unanswered
                yield pause
            in_flight = self.retry_limits.in_flight
            if isinstance(unanswered, MeetingsRateLimitError):
                in_flight = 0.0  # whoever turned it away, and be it a gateway, has not kept it to pass it on later
            until = retry_state.last_sent + in_flight
            pending_create = PendingCreate(body, key, retry_state.first_sent, until, known)
            found = yield from self.resolve_create(pending_create, retry_state)
            what = "was not applied" if found is None else f"has created meeting {found.get('id')}"
            yield Log(f"The create that got no response {what}.", event="settled")
            if found is not None:
                return CreatedMeeting(found)
            retry_state.outcome_unknown = False
            pause = retry_state.next_try(
                f"{unanswered.message} A look at the vendor's list showed that it was not applied", None
            )
            if pause is None:
                unanswered.maybe_sent = False
                raise unanswered
            yield pause

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
        return (yield from look_for_lost(self, pending_create, retry_state or RetryState(self.retry_limits)))


def look_for_lost(
    vendor: Vendor, pending_create: PendingCreate, retry_state: RetryState
) -> Flow[dict[str, Any] | None]:
    """Look for the meeting that a lost create has made, until it can no longer arrive.

    Returns:
        The meeting; None: there is none, and the create is in flight no more.

    Raises:
        MeetingsError: It cannot be told. Its ``maybe_sent`` is true.
    """
    try:
        while True:
            found, response = yield from vendor.lookalikes(pending_create.body, retry_state)
            lost = [meeting for meeting in found if str(meeting.get("id")) not in vendor.answered]
            meeting = pending_create.choose(lost, response, vendor.created_field)
            remaining = pending_create.in_flight_until - response.sent_at  # what arrived after that was not seen
            if meeting is not None or remaining <= 0:
                return meeting
            pause = retry_state.pause(
                min(remaining, _LOOK_AGAIN), "a lost request may still arrive; looking again then"
            )
            if pause is None:
                raise MeetingsInDoubtError(
                    f"{vendor.name} gave no response to a create. The meeting is not there, but the request may still "
                    f"arrive for another {remaining:.0f} s, longer than `max_wait` of connection "
                    f"{vendor.errors.conn_id!r} allows to wait. The next try looks for it before it does anything.",
                    retry_after=remaining,
                )
            yield pause
    except MeetingsError as error:
        error.maybe_sent = True  # whatever kept us from looking, the create is as unknown as it was
        raise
