"""What a vendor is: the facts that the rest of the package needs to know, and the calls that it takes.

Pure: no clock, no socket, no Airflow. A vendor's module states its facts, opens its envelopes and lists its meetings;
what vendors have in common stands here and in :mod:`.creates`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from airflow_provider_meetings.core.flow import Flow, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryLimits, RetryState, send_with_retries
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingNotFoundError, MeetingsError, MeetingsProtocolError
from airflow_provider_meetings.vendors.fields import FieldTable, check_filters, check_id, check_key
from airflow_provider_meetings.vendors.matching import (
    ComparableFields,
    CreatedMeeting,
    PendingCreate,
    fingerprint,
    matches,
    same_id,
    search_window,
)
from airflow_provider_meetings.vendors.readings import unrepeated, values_of
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.vendors.responses import Envelope, ErrorFactory, encode, is_success

__all__ = ["Filters", "RateLimits", "Vendor"]

#: A list's filters as they go into the query, checked and in order.
Filters: TypeAlias = tuple[tuple[str, str], ...]
#: How many requests a key has within how many seconds.
RateLimits: TypeAlias = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Vendor(ABC):
    """A vendor, over one connection. Bodies are what ``check_meeting`` and ``check_changes`` return.

    Attributes:
        errors: Makes the errors.
        retry_limits: How long a call may try.
        page_size: Meetings a page.
        rate_limits: How many requests the vendor takes; empty: it does not say.
        answered: Ids of the meetings whose creates were answered here: none of them is one that was lost.
    """

    #: Its name, for people.
    name: ClassVar[str]
    #: The fields of a meeting that is sent.
    fields: ClassVar[FieldTable]
    #: The list's filters, and the kind of each (a key of :data:`.fields.KINDS`).
    filters: ClassVar[Mapping[str, str]]
    #: The filters that can be checked on a listed meeting, and the field that tells.
    comparable_filters: ClassVar[Mapping[str, str]]
    #: Where a meeting that is sent has what a filter looks at, if that is not what a listed meeting tells;
    #: ``employee.id``: a part of a field.
    declared_filters: ClassVar[Mapping[str, str]] = {}
    #: Which fields that are sent come back, under which names, and how the two compare.
    comparable_fields: ClassVar[ComparableFields]
    #: Names that a meeting to be written may give in place of an id, as a listed meeting has them, and the id's field.
    name_fields: ClassVar[Mapping[str, str]] = {}
    #: Where a listed meeting says what the common record has.
    record_mapping: ClassVar[RecordMapping]
    #: Where a meeting, sent or listed, says when it begins.
    date_field: ClassVar[str]
    #: Where a meeting that comes back has its id; under another name than ``id`` it is given that one, too.
    id_field: ClassVar[str] = "id"
    #: Where a listed meeting says when it was made.
    created_field: ClassVar[str]
    #: Where a meeting says when somebody touched it last: likely names, since the vendors' pages are vague.
    last_modified_fields: ClassVar[frozenset[str]] = frozenset(
        {"updatedAt", "updatedDate", "modifiedAt", "modifiedDate", "lastModified", "lastModifiedDate"}
    )
    #: Whether a list comes latest first, so that what is later than the last meeting read is all known.
    latest_first: ClassVar[bool] = False
    #: Where a listed meeting says, as a truth, that it is cancelled; None: the vendor has no cancelled meetings.
    cancelled_field: ClassVar[str | None] = None
    #: Where a meeting that is sent says whom it is with: what stays when everything else about it is corrected.
    counterpart_field: ClassVar[str]
    #: Whether an update can say whom a meeting is with.
    counterpart_is_mutable: ClassVar[bool]
    #: Whether what looks alike has to be known before a create, for want of idempotency keys.
    needs_presence_check: ClassVar[bool]
    #: What is wrong with an answer that should be a success and does not say that it is.
    no_success: ClassVar[str] = "`success` is not true in it"
    #: The path of all meetings.
    collection: ClassVar[str]

    errors: ErrorFactory
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    page_size: int = field(kw_only=True)
    rate_limits: RateLimits = field(default=(), kw_only=True)
    answered: set[str] = field(default_factory=set, compare=False, repr=False, kw_only=True)

    # -- what its module says

    @abstractmethod
    def parse(self, request: Request, response: Response) -> Envelope:
        """Open an answer's envelope."""

    @abstractmethod
    def record_in(self, content: Mapping[str, Any]) -> Any:
        """Return the meeting in a successful answer's content; None: there is none."""

    @abstractmethod
    def listing(self, window: Window, filters: Filters = (), expected: Sequence[int] = ()) -> PageFlow:
        """List the meetings of a window.

        Args:
            window: The window.
            filters: What :meth:`check_filters` returned.
            expected: When its meetings are likely to begin, as far as the caller knows, in Unix milliseconds and any
                order. Only the number of requests may depend on it, not what is listed.
        """

    @abstractmethod
    def list_instant(
        self, instant: Window, body: Mapping[str, Any], retry_state: RetryState
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings of a very short window among which one that a body made would be; and the last answer."""

    @abstractmethod
    def create_with_response(
        self, body: Mapping[str, Any], *, idempotency_key: str | None = None, known: frozenset[str] | None = None
    ) -> Flow[CreatedMeeting]:
        """Make a meeting as :meth:`create` does; return the answer that told of it, too."""

    @abstractmethod
    def resolve_create(
        self, pending_create: PendingCreate, retry_state: RetryState | None = None
    ) -> Flow[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened; None: it did not, and cannot any more.

        Raises:
            MeetingsError: It cannot be told. Its ``maybe_sent`` is true.
        """

    @property
    def longest_window(self) -> int | None:
        """The longest window of one request, in milliseconds; None: there is no such limit."""
        return None

    def lists_like(self, other: Vendor) -> bool:
        """Whether what is known of another one's lists is worth something for this one's."""
        return type(self) is type(other) and (self.page_size, self.longest_window) == (
            other.page_size,
            other.longest_window,
        )

    def key_field(self, scope: str) -> str:  # noqa: ARG002 - for who has several keys
        """Where in the connection the key for a scope stands, for messages."""
        return "password"

    def update_request(self, path: str, body: bytes, key: str | None) -> Request:
        """Make the request of an update."""
        return Request("POST", path, body=body, idempotency_key=key, scope="meetings.edit")

    def path_id(self, value: Any, name: str = "meeting_id") -> str:
        """Return an id as the vendor spells it, for a path; see :func:`.fields.check_id`."""
        return check_id(value, name)

    def key_for(self, given: str | None) -> str | None:
        """Return the idempotency key of a write; None: the vendor has none."""
        check_key(given)
        return None

    def is_in_progress(
        self,
        envelope: Envelope,  # noqa: ARG002 - for vendors that have idempotency keys
        retry_state: RetryState,  # noqa: ARG002
        given_key: str | None,  # noqa: ARG002
    ) -> bool:
        """Whether an answer says that an earlier send of the same request is still being processed."""
        return False

    def keeps_key(self, age: float) -> bool:  # noqa: ARG002 - for vendors with keys
        """Whether a key that was sent so many seconds ago is known still when a request sent now ends at the latest."""
        return False

    def after_unknown(self, error: MeetingsError) -> MeetingsError:
        """Return what a refusal amounts to after an earlier send of the same request that was not answered."""
        error.maybe_sent = True
        return error

    # -- what is asked of it

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`.FieldTable.for_create`."""
        return self.fields.for_create(meeting)

    def as_named(self, given: Any) -> dict[str, Any] | None:  # noqa: ARG002 - for vendors that take names
        """Return a meeting as a dict where it gives one of :attr:`name_fields`; None: it gives ids only."""
        return None

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`.FieldTable.for_update`."""
        return self.fields.for_update(changes)

    def check_filters(self, filters: Any) -> Filters:
        """Return a list's filters as they go into the query; see :func:`.fields.check_filters`."""
        return check_filters(self.name, self.filters, filters)

    def date(self, meeting: Mapping[str, Any]) -> int:
        """When a listed meeting begins, in Unix milliseconds.

        Raises:
            MeetingsProtocolError: It does not say so in a way that can be read.
        """
        value = meeting.get(self.date_field)
        if type(value) is int:
            return value  # as documented
        try:
            return to_epoch_ms(value)
        except ValueError as error:
            raise self.inconsistent_list(
                f"{self.name} lists a meeting (id {meeting.get('id')}) whose {self.date_field} cannot be read: {error}"
            ) from None

    def made_at(self, meeting: Mapping[str, Any]) -> int | None:
        """When a listed meeting was made, in Unix milliseconds; None: it does not say."""
        try:
            return to_epoch_ms(meeting.get(self.created_field))
        except ValueError:
            return None

    def is_cancelled(self, meeting: Mapping[str, Any]) -> bool:
        """Whether a meeting is marked as cancelled."""
        return self.cancelled_field is not None and meeting.get(self.cancelled_field) is True

    def starts_at(self, body: Mapping[str, Any]) -> str:
        """When the meeting of a body takes place."""
        return str(body.get(self.date_field, ""))

    def counterpart(self, body: Mapping[str, Any]) -> str:
        """Whom the meeting of a body is with."""
        return str(body.get(self.counterpart_field, ""))

    def matches(self, body: Mapping[str, Any], stored: Mapping[str, Any], *, strict: bool = False) -> bool:
        """Whether a meeting equals a body, in every field that can be compared; see :func:`.matching.matches`."""
        return matches(body, stored, self.comparable_fields, strict=strict)

    def fingerprint(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return fingerprint(stored, self.comparable_fields)

    def estimate_requests(self, count: int, span: int) -> int:
        """Estimate how many requests list a number of meetings in a window of so many milliseconds."""
        windows = 1 if self.longest_window is None else -(-span // self.longest_window)
        return max(1, windows, -(-count // self.page_size))

    # -- calls

    def create(
        self, body: Mapping[str, Any], *, idempotency_key: str | None = None, known: frozenset[str] | None = None
    ) -> Flow[dict[str, Any]]:
        """Make a meeting, once, however often it has to be sent.

        Args:
            body: What :meth:`check_meeting` returned.
            idempotency_key: What it is sent under, where the vendor has such keys; None: one of its own.
            known: Ids of the meetings that looked alike before; None: nobody has looked.
        """
        return (yield from self.create_with_response(body, idempotency_key=idempotency_key, known=known)).meeting

    def get(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read one meeting.

        Raises:
            MeetingNotFoundError: There is no such meeting.
        """
        meeting_id = self.path_id(meeting_id)
        request = Request("GET", f"{self.collection}/{meeting_id}", scope="meetings.read")
        return (yield from self.one_record(request, RetryState(self.retry_limits), record_id=meeting_id))

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Change a meeting; doing it twice changes nothing more."""
        key, meeting_id = self.key_for(idempotency_key), self.path_id(meeting_id)
        request = self.update_request(f"{self.collection}/{meeting_id}", encode(body), key)
        retry_state = RetryState(self.retry_limits)
        return (yield from self.one_record(request, retry_state, record_id=meeting_id, given_key=idempotency_key))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Flow[bool]:
        """Remove a meeting; False: it was gone before.

        Raises:
            MeetingNotFoundError: It was gone before, and ``missing_ok`` is false.
        """
        key, path = self.key_for(idempotency_key), f"{self.collection}/{self.path_id(meeting_id)}"
        retry_state = RetryState(self.retry_limits)
        request = Request("DELETE", path, idempotency_key=key, scope="meetings.delete")
        try:
            yield from self.call(request, retry_state, given_key=idempotency_key)
        except MeetingNotFoundError:
            if retry_state.outcome_unknown:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        return True

    def lookalikes(
        self, body: Mapping[str, Any], retry_state: RetryState | None = None
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings that start with a body's and are equal to it in every field that both shapes have.

        Returns:
            The meetings, and the answer that listed them, which tells the vendor's clock.

        Raises:
            MeetingsPermissionError: The key may not list, without which a lost create cannot be settled.
        """
        instant = search_window(to_epoch_ms(body[self.date_field]))
        found, response = yield from self.list_instant(instant, body, retry_state or RetryState(self.retry_limits))
        # A cancelled one is one that is gone.
        live = [meeting for meeting in unrepeated(found) if not self.is_cancelled(meeting)]
        return [meeting for meeting in live if self.matches(body, meeting)], response

    def call(
        self,
        request: Request,
        retry_state: RetryState,
        *,
        names_record: bool = True,
        given_key: str | None = None,
    ) -> Flow[Envelope]:
        """Send a request and open its answer.

        Args:
            request: The request.
            retry_state: What is left of the call's patience.
            names_record: It speaks of one record, so that a 404 means that there is none.
            given_key: The idempotency key, where the caller has chosen it.

        Raises:
            MeetingsError: The answer is no success. Its ``maybe_sent`` is true where any send of the request may have
                been carried out.
        """

        def parse(response: Response) -> Envelope:
            envelope = self.parse(request, response)
            in_progress = self.is_in_progress(envelope, retry_state, given_key)
            return replace(envelope, in_progress=True) if in_progress else envelope

        envelope = yield from send_with_retries(request, retry_state, parse)
        if envelope.succeeded:
            return envelope
        if envelope.error is None and is_success(envelope.response.status):
            problem = "it is not a JSON object" if envelope.content is None else self.no_success
            raise self.errors.malformed(request, envelope.response, problem)
        error = self.errors.error(request, envelope, key_field=self.key_field(request.scope), names_record=names_record)
        raise self.after_unknown(error) if retry_state.outcome_unknown else error

    def one_record(
        self,
        request: Request,
        retry_state: RetryState,
        *,
        record_id: str,
        given_key: str | None = None,
    ) -> Flow[dict[str, Any]]:
        """Send a request that is answered with one record.

        Args:
            request: The request.
            retry_state: What is left of the call's patience.
            record_id: The record that it is for.
            given_key: The idempotency key, where the caller has chosen it.
        """
        envelope = yield from self.call(request, retry_state, given_key=given_key)
        return self.record_of(request, envelope, record_id)

    def record_of(self, request: Request, envelope: Envelope, record_id: str | None = None) -> dict[str, Any]:
        """Return the record in a successful answer.

        Raises:
            MeetingsProtocolError: There is none in it, or another one than was asked for.
        """
        record = self.record_in(envelope.content or {})
        if self.id_field != "id" and isinstance(record, dict):
            record = self._with_id(record)
        nothing = not record and request.method == "GET"
        if not isinstance(record, dict) or nothing or (record_id is None and record.get("id") in (None, "")):
            raise self.errors.malformed(request, envelope.response, "there is no record with an id in it")
        if record_id is not None and not same_id(record.get("id", record_id), record_id):
            problem = f"it returned record {record['id']}, but {record_id} was requested"
            raise self.errors.malformed(request, envelope.response, problem)
        return record

    def records_of(self, request: Request, envelope: Envelope, records: Any, where: str) -> list[dict[str, Any]]:
        """Return the records of a list's answer, each of which has an id.

        Raises:
            MeetingsProtocolError: It is no such list.
        """
        if not isinstance(records, list) or not set(map(type, records)) <= {dict}:
            raise self.errors.malformed(request, envelope.response, f"there is no list of records in `{where}`")
        found: list[dict[str, Any]] = records if self.id_field == "id" else [self._with_id(one) for one in records]
        ids = values_of(found, "id")
        if None in ids or "" in ids:
            raise self.errors.malformed(request, envelope.response, "a record in it has no id")
        return found

    def _with_id(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "id": record[self.id_field]} if self.id_field in record else record

    def inconsistent_list(self, problem: str) -> MeetingsProtocolError:
        """Make the error for pages that are fine each by itself, and no list together."""
        return MeetingsProtocolError(problem, status=200, method="GET", path=self.collection)
