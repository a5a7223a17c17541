"""Builder Prime's rules, after its page "Working with meetings through the API"."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.exceptions import (
    MeetingNotFoundError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingsPermissionError,
    MeetingsProtocolError,
)
from airflow_provider_meetings.moments import DAY, Window, to_epoch_ms
from airflow_provider_meetings.retry import Budget, Patience, attempt
from airflow_provider_meetings.vendors.answers import Complaint, Helpdesk, decode, encode
from airflow_provider_meetings.vendors.fields import Field, Fields, check_filters, check_id, check_key
from airflow_provider_meetings.vendors.lookalikes import (
    Intent,
    Likeness,
    agrees,
    glimpse,
    same_moment,
    same_number,
    same_text,
)
from airflow_provider_meetings.wire import Call, Listing, Page, Parallel, Request, Response

__all__ = ["FIELDS", "FILTERS", "BuilderPrime"]

FIELDS = Fields(
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

#: The list's filters. Its window and its pages are this module's business.
FILTERS: Mapping[str, str] = {"opportunity-id": "number", "employee-id": "number"}

#: "limit: … The maximum is 100."
PAGE_SIZE = 100

_MEETINGS = "/meetings/v1"

# A full page tells at least how dense the meetings lie: ask next for spans that should fill this much of a page.
_GOOD_FILL = 0.7
_MOST_PARTS = 64
_MOST_READINGS = 5


@dataclass(frozen=True, slots=True)
class BuilderPrime:
    """Calls to Builder Prime: arguments in, requests out, answers back, meetings out.

    Attributes:
        helpdesk: Makes the errors.
        patience: How long a call may try.
        key_fields: In which field of the connection the key for a scope stands, for messages.
        max_window: The longest window that the vendor takes, in milliseconds (public clients slice at 30 days, the
            server refuses more than 31).
        parallel: Requests at once while a list is read.
        page_size: Meetings a page.
        answered: Ids of the meetings whose creates were answered here: none of them is one that was lost.
    """

    helpdesk: Helpdesk
    patience: Patience = field(default_factory=Patience)
    key_fields: Mapping[str, str] = field(default_factory=dict)
    max_window: int = 31 * DAY
    parallel: int = 4
    page_size: int = PAGE_SIZE
    answered: set[str] = field(default_factory=set, compare=False, repr=False)

    fields = FIELDS
    #: Where a listed meeting says when it was made.
    created_field = "createdDate"
    #: Without idempotency keys, what looks alike has to be known before a create.
    looks_before_create = True
    party_can_change = True

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`Fields.for_create`."""
        return FIELDS.for_create(meeting)

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`Fields.for_update`."""
        return FIELDS.for_update(changes)

    # -- reading

    def get(self, meeting_id: Any) -> Call[dict[str, Any]]:
        """Retrieving a Single Meeting Record."""
        return (yield from self._one(_MEETINGS, check_id(meeting_id), "meetings.read"))

    def listing(self, window: Window, filters: Any = None) -> Listing:
        """Listing Multiple Meeting Records, of a window that is bounded on both sides, earliest slice first.

        The vendor has page numbers, no order, no total: while pages are turned, a meeting that goes pulls another one
        across the boundary between two of them, unseen. So pages are not turned. A window that fills a page is cut into
        smaller ones until each fits on one page, and each answer is complete in itself. Pages are turned only where
        that cannot work, inside one millisecond or on a server that does not keep the bounds, and then until two
        readings agree.

        Raises:
            MeetingsConfigurationError: The window is open on a side ("Required: start-date-from, start-date-to").
        """
        query = check_filters("Builder Prime", FILTERS, filters)
        if window.start is None or window.end is None:
            raise MeetingsConfigurationError(
                "Builder Prime lists meetings of a window only: give both window_start and window_end."
            )
        # What is asked is a millisecond wider than the slice and must not be longer than allowed.
        return self._read(window.split(self.max_window - 1), query)

    def _read(self, spans: Iterator[Window], query: tuple[tuple[str, str], ...]) -> Listing:
        while batch := [span for _, span in zip(range(self.parallel), spans, strict=False)]:
            pages = yield Parallel([self._page(span, query) for span in batch])
            pages.reverse()
            for span in batch:
                items, _ = pages.pop()
                starts = [self._start(item) for item in items]
                if len(items) < self.page_size:
                    items = [item for item, start in zip(items, starts, strict=True) if start in span]
                    yield Page(items)
                elif _width(span) > 1 and all(_asked(span, start) for start in starts):
                    parts = self._parts(span, starts)
                    del items
                    yield from self._read(span.split(-(-_width(span) // parts)), query)
                else:
                    items = yield from self._by_number(span, query)
                    yield Page(items)

    def _parts(self, span: Window, starts: list[int]) -> int:
        """Guess into how many parts to cut a span that fills a page; only the number of requests hangs on it."""
        spread = max(1, max(starts) - min(starts))
        expected = self.page_size * _width(span) / spread
        return max(2, min(_MOST_PARTS, round(expected / (_GOOD_FILL * self.page_size))))

    def _by_number(self, span: Window, query: tuple[tuple[str, str], ...]) -> Call[list[dict[str, Any]]]:
        """Turn the pages of a span until two readings agree.

        A meeting can slip through a reading unseen only if another one was seen twice in it, or if one that was seen
        went away, which the next reading shows. So a reading that saw one twice does not count.
        """
        before: dict[str, dict[str, Any]] | None = None
        for _ in range(_MOST_READINGS):
            found: dict[str, dict[str, Any]] = {}
            seen, number = 0, 0
            while True:
                items, _ = yield from self._page(span, query, number)
                seen += len(items)
                known = len(found)
                found |= {str(item.get("id")): item for item in items}
                if len(items) < self.page_size:
                    break
                if len(found) == known:
                    raise _distrust("Builder Prime repeats a full page: its list has no end.")
                number += 1
            if before is not None and before.keys() == found.keys():
                return [item for item in found.values() if self._start(item) in span]
            before = found if seen == len(found) else None
        raise _distrust(f"Builder Prime's list of {span} was another one each time it was read.")

    def _page(
        self, span: Window, query: tuple[tuple[str, str], ...], number: int = 0, budget: Budget | None = None
    ) -> Call[tuple[list[dict[str, Any]], Response]]:
        """Ask for a page of a span.

        Whether the vendor's bounds are inclusive is not known: the span is asked for with a millisecond more before it,
        and what is not in it is left out by the caller.
        """
        assert span.start is not None  # noqa: S101 - slices are bounded
        params = (
            *query,
            ("start-date-from", str(span.start - 1)),
            ("start-date-to", str(span.end)),
            ("limit", str(self.page_size)),
            ("page", str(number)),
        )
        request = Request("GET", _MEETINGS, params=params, scope="meetings.read")
        return (yield from self._many(request, budget))

    def _start(self, item: Mapping[str, Any]) -> int:
        try:
            return to_epoch_ms(item.get("startDateTime"))
        except ValueError as error:
            raise _distrust(
                f"Builder Prime lists a meeting (id {item.get('id')}) whose startDateTime cannot be read: {error}"
            ) from None

    def types(self) -> Call[list[dict[str, Any]]]:
        """Listing Meeting Types."""
        return (yield from self._all("/meeting-types/v1", "meetingtypes.read"))

    def type(self, type_id: Any) -> Call[dict[str, Any]]:
        """Retrieving a Single Meeting Type."""
        return (yield from self._one("/meeting-types/v1", check_id(type_id, "meeting_type_id"), "meetingtypes.read"))

    def results(self) -> Call[list[dict[str, Any]]]:
        """Listing Meeting Results."""
        return (yield from self._all("/meeting-results/v1", "meetingresults.read"))

    def result(self, result_id: Any) -> Call[dict[str, Any]]:
        """Retrieving a Single Meeting Result."""
        path = "/meeting-results/v1"
        return (yield from self._one(path, check_id(result_id, "meeting_result_id"), "meetingresults.read"))

    def _all(self, path: str, scope: str) -> Call[list[dict[str, Any]]]:
        found: dict[str, dict[str, Any]] = {}
        number = 0
        while True:
            params = (("limit", str(self.page_size)), ("page", str(number)))
            items, _ = yield from self._many(Request("GET", path, params=params, scope=scope))
            known = len(found)
            found |= {str(item.get("id")): item for item in items}
            if len(items) < self.page_size or len(found) == known:
                return list(found.values())
            number += 1

    # -- writing

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Call[dict[str, Any]]:
        """Creating a New Meeting Record, once.

        The vendor has no idempotency keys, so a create whose answer is lost is looked for before it is sent again.

        Args:
            body: What :meth:`check_meeting` returned.
            idempotency_key: Checked, and of no use to this vendor.
        """
        return (yield from self.book(body, check_key(idempotency_key) or "", known=None))

    def book(self, body: Mapping[str, Any], key: str, known: frozenset[str] | None) -> Call[dict[str, Any]]:
        """Make a meeting, settling what is not answered before it is sent again.

        Args:
            body: What :meth:`check_meeting` returned.
            key: Of no use to this vendor.
            known: Ids of the meetings that looked alike before; None: nobody has looked.
        """
        budget = Budget(self.patience)
        request = Request("POST", _MEETINGS, body=encode(body), scope="meetings.create", repeatable=False, creates=True)
        while True:
            try:
                return (yield from self._created(request, budget))
            except MeetingsError as error:
                if not error.maybe_sent or (known is None and not budget.first_sent):
                    raise  # without the time of the send, an older look-alike cannot be told from a new meeting
                unanswered = error
            intent = Intent(body, key, budget.first_sent, budget.last_sent + self.patience.in_flight, known)
            found = yield from self.settle(intent, budget)
            if found is not None:
                return found
            budget.unsettled = False
            pause = budget.next_try(f"{unanswered.message} It was looked for and did not happen", None)
            if pause is None:
                unanswered.maybe_sent = False
                raise unanswered
            yield pause

    def _created(self, request: Request, budget: Budget) -> Call[dict[str, Any]]:
        response = yield from attempt(request, budget)
        data = self._content(request, response).get("data")
        if not isinstance(data, dict) or data.get("id") in (None, ""):
            raise self.helpdesk.broken(request, response, "there is no meeting with an id in it")
        self.answered.add(str(data["id"]))
        return data

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Call[dict[str, Any]]:
        """Modifying an Existing Meeting Record; saying it twice changes nothing more."""
        check_key(idempotency_key)
        meeting_id = check_id(meeting_id)
        path = f"{_MEETINGS}/{meeting_id}"
        request = Request("POST", path, body=encode(body), scope="meetings.edit")
        return (yield from self._expect(request, meeting_id))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Call[bool]:
        """Deleting a Single Meeting Record; False: it was gone before."""
        check_key(idempotency_key)
        budget = Budget(self.patience)
        request = Request("DELETE", f"{_MEETINGS}/{check_id(meeting_id)}", scope="meetings.delete")
        response = yield from attempt(request, budget)
        try:
            self._content(request, response)
        except MeetingNotFoundError:
            if budget.unsettled:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        return True

    def settle(self, intent: Intent, budget: Budget | None = None) -> Call[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened.

        Returns:
            The meeting that it made. None: it made none, and can no longer, being in flight no more.

        Raises:
            MeetingsError: It cannot be told: several candidates, no permission to look, or no time left to wait. Its
                ``maybe_sent`` is true.
        """
        budget = budget or Budget(self.patience)
        try:
            while True:
                found, response = yield from self.lookalikes(intent.body, budget)
                lost = [meeting for meeting in found if str(meeting.get("id")) not in self.answered]
                meeting = intent.choose(lost, response, self.created_field)
                remaining = intent.in_flight_until - response.sent_at  # what arrived after that was not seen
                if meeting is not None or remaining <= 0:
                    return meeting
                pause = budget.pause(min(remaining, _LOOK_AGAIN), "a lost request may still arrive; then a look again")
                if pause is None:
                    raise MeetingsInDoubtError(
                        "Builder Prime did not answer a create. The meeting is not there, but the request may still "
                        f"arrive for another {remaining:.0f} s, longer than `max_wait` of connection "
                        f"{self.helpdesk.conn_id!r} allows to wait. The next try looks for it before it does anything.",
                        retry_after=remaining,
                    )
                yield pause
        except MeetingsError as error:
            error.maybe_sent = True  # whatever kept us from looking, the create is as unknown as it was
            raise

    def lookalikes(
        self, body: Mapping[str, Any], budget: Budget | None = None
    ) -> Call[tuple[list[dict[str, Any]], Response]]:
        """List the meetings that start with a body's and are equal to it in every field that both shapes have.

        Raises:
            MeetingsPermissionError: The key lacks meetings.read, without which a lost create cannot be settled.
        """
        start = to_epoch_ms(body["startDateTime"])
        instant = Window(start, start + 1)
        looking = (budget or Budget(self.patience)).aside()
        items, response = yield from self._page(instant, (), budget=looking)
        if budget is not None:
            budget.slept = looking.slept
        if len(items) >= self.page_size:
            items = yield from self._by_number(instant, ())
        return [item for item in items if self.equal(body, item)], response

    def equal(self, body: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
        """Whether a meeting equals a body, in every field that can be compared."""
        return agrees(body, stored, _LIKENESS) and agrees(body.get("employee") or {}, stored, _EMPLOYEE_LIKENESS)

    def glimpse(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return glimpse(stored, _LIKENESS, _EMPLOYEE_LIKENESS)

    def moment(self, body: Mapping[str, Any]) -> str:
        """When a meeting takes place."""
        return str(body.get("startDateTime", ""))

    def party(self, body: Mapping[str, Any]) -> str:
        """Whom a meeting is with: what stays when everything else about it is corrected."""
        return str(body.get("clientOpportunityId", ""))

    # -- envelopes

    def _one(self, path: str, record_id: str, scope: str) -> Call[dict[str, Any]]:
        return (yield from self._expect(Request("GET", f"{path}/{record_id}", scope=scope), record_id))

    def _expect(self, request: Request, record_id: str) -> Call[dict[str, Any]]:
        """Ask for one record by its id."""
        response = yield from attempt(request, Budget(self.patience))
        data = self._content(request, response).get("data")
        if not isinstance(data, dict):
            raise self.helpdesk.broken(request, response, "there is no record in `data`")
        if str(data.get("id", record_id)) != record_id:
            raise self.helpdesk.broken(
                request, response, f"it speaks of record {data['id']} where {record_id} was asked for"
            )
        return data

    def _many(self, request: Request, budget: Budget | None = None) -> Call[tuple[list[dict[str, Any]], Response]]:
        response = yield from attempt(request, budget or Budget(self.patience))
        data = self._content(request, response).get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise self.helpdesk.broken(request, response, "there is no list in `data`")
        return data, response

    def _content(self, request: Request, response: Response) -> dict[str, Any]:
        """Open the envelope. A failure can come with a 2xx status: always look at `success`."""
        content = decode(response.body)
        fine = 200 <= response.status < 300
        if fine and content is None:
            raise self.helpdesk.broken(request, response, "it is not a JSON object")
        if fine and content and content.get("success") is True:
            return content
        complaint = _complaint(content)
        if fine and complaint is None:
            raise self.helpdesk.broken(request, response, "`success` is not true in it, and no error explains why")
        status = _meant(complaint) if fine else response.status
        field_name = self.key_fields.get(request.scope, "password")
        raise self.helpdesk.error(request, response, complaint, key_field=field_name, status=status)

    def check(self, own_keys: Sequence[str] = ()) -> Call[str]:
        """Make the cheapest read with each key of the connection.

        What a key may write cannot be tried without writing: of those keys it is only told that the vendor knows them.

        Args:
            own_keys: The writing scopes for which the connection has a key of their own.

        Raises:
            MeetingsError: A key is not accepted, or meetings.read is missing.
        """
        day = (("start-date-from", "1740000000000"), ("start-date-to", "1740086400000"))
        first = (("limit", "1"), ("page", "0"))
        yield from self._many(Request("GET", _MEETINGS, params=day + first, scope="meetings.read"))
        granted, missing = ["meetings.read"], []
        for path, scope in (("/meeting-types/v1", "meetingtypes.read"), ("/meeting-results/v1", "meetingresults.read")):
            try:
                yield from self._many(Request("GET", path, params=first, scope=scope))
                granted.append(scope)
            except MeetingsPermissionError:
                missing.append(scope)
        for scope in own_keys:
            # A refusal for want of a scope is fine here: the vendor knows the key, it is not meant for reading.
            with contextlib.suppress(MeetingsPermissionError):
                yield from self._many(Request("GET", _MEETINGS, params=day + first, scope=scope))
            granted.append(f"{scope} (the key is known; what it may write is not tried)")
        lacking = f". Missing scopes: {', '.join(missing)}" if missing else ""
        return f"Builder Prime granted {', '.join(granted)}{lacking}"


# While a lost request may still arrive, look this often.
_LOOK_AGAIN = 5.0

#: The shape that create takes and the shapes that come back differ; what is not here cannot be compared.
_LIKENESS: Likeness = {
    "clientOpportunityId": (("opportunityId", "clientOpportunityId"), same_number),
    "title": (("title",), same_text),
    "location": (("location",), same_text),
    "startDateTime": (("startDateTime",), same_moment),
    "endDateTime": (("endDateTime",), same_moment),
    "meetingTypeId": (("meetingTypeId",), same_number),
    "meetingResultId": (("meetingResultId",), same_number),
}
_EMPLOYEE_LIKENESS: Likeness = {
    "id": (("employeeId",), same_number),
    "email": (("employeeEmail",), same_text),
    "firstName": (("employeeFirstName",), same_text),
    "lastName": (("employeeLastName",), same_text),
}


def _distrust(problem: str) -> MeetingsProtocolError:
    """Make the error for pages that are fine each by itself, and no list together."""
    return MeetingsProtocolError(problem, status=200, method="GET", path=_MEETINGS)


def _width(span: Window) -> int:
    assert span.start is not None  # noqa: S101 - slices are bounded
    assert span.end is not None  # noqa: S101
    return span.end - span.start


def _asked(span: Window, start: int) -> bool:
    """Whether a meeting lies in the bounds that were asked for, both included."""
    assert span.start is not None  # noqa: S101 - slices are bounded
    assert span.end is not None  # noqa: S101
    return span.start - 1 <= start <= span.end


def _complaint(content: Mapping[str, Any] | None) -> Complaint | None:
    """Read ``{"success": false, "errors": [{"code": "...", "message": "..."}]}``."""
    if not content or content.get("success") is not False:
        return None
    errors = content.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    rows = [error if isinstance(error, Mapping) else {"message": error} for error in errors]
    code = rows[0].get("code")
    texts = [" ".join(str(row[name]) for name in ("code", "message") if row.get(name)) for row in rows]
    return Complaint(None if code is None else str(code), "; ".join(text for text in texts if text))


#: Words of error codes and the status that they amount to, where a failure comes with a 2xx status.
_MEANINGS = (
    (("UNAUTHORIZED", "UNAUTHENTICATED", "INVALID_API_KEY", "INVALID_KEY"), 401),
    (("FORBIDDEN", "PERMISSION", "SCOPE"), 403),
    (("NOT_FOUND", "NOTFOUND"), 404),
    (("CONFLICT",), 409),
    (("RATE_LIMIT", "TOO_MANY"), 429),
    (("INTERNAL", "SERVER_ERROR", "UNAVAILABLE", "TIMEOUT"), 500),
)


def _meant(complaint: Complaint | None) -> int:
    """The HTTP status that an error code amounts to; 400 where it says nothing else."""
    code = (complaint.code or "").upper().replace(" ", "_").replace("-", "_") if complaint else ""
    if code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    return next((status for words, status in _MEANINGS if any(word in code for word in words)), 400)
