"""How Builder Prime is read: its lists, its reference data, its envelopes, its errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Gather, Page, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryLimits, RetryState, send_with_retries
from airflow_provider_meetings.core.times import DAY, Window, to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
)
from airflow_provider_meetings.vendors.density import width
from airflow_provider_meetings.vendors.fields import check_filters, check_id
from airflow_provider_meetings.vendors.responses import ErrorFactory, VendorError, decode, is_gone
from airflow_provider_meetings.vendors.spans import SpanLine

__all__ = ["FILTERS", "MEETINGS", "BuilderPrimeReader"]

#: The list's filters. Its window and its pages are this module's business.
FILTERS: Mapping[str, str] = {"opportunity-id": "number", "employee-id": "number"}

#: "limit: … The maximum is 100."
PAGE_SIZE = 100

MEETINGS = "/meetings/v1"

_MOST_READINGS = 5


@dataclass(frozen=True, slots=True)
class BuilderPrimeReader:
    """Reads from Builder Prime.

    Attributes:
        errors: Makes the errors.
        retry_limits: How long a call may try.
        key_fields: In which field of the connection the key for a scope stands, for messages.
        max_window: The longest window that the vendor takes, in milliseconds (public clients slice at 30 days, the
            server refuses more than 31).
        parallel: Requests at once while a list is read.
        page_size: Meetings a page.
    """

    errors: ErrorFactory
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    key_fields: Mapping[str, str] = field(default_factory=dict)
    max_window: int = 31 * DAY
    parallel: int = 4
    page_size: int = PAGE_SIZE

    def get(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Retrieving a Single Meeting Record."""
        return (yield from self._one(MEETINGS, check_id(meeting_id), "meetings.read"))

    def listing(self, window: Window, filters: Any = None) -> PageFlow:
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
        return self._read(window, query, RetryState(self.retry_limits))

    def _read(self, window: Window, query: tuple[tuple[str, str], ...], whole: RetryState) -> PageFlow:
        line = SpanLine(window, page_size=self.page_size, longest=self.max_window - 1)
        while spans := line.next_spans(self.parallel):
            retry_states = [whole.child() for _ in spans]
            calls = [
                self._page(span, query, retry_state=retry_state)
                for span, retry_state in zip(spans, retry_states, strict=True)
            ]
            pages = yield Gather(calls)
            whole.slept = max(retry_state.slept for retry_state in retry_states)
            pages.reverse()
            for span in spans:
                items, _ = pages.pop()
                starts = [self._start(item) for item in items]
                if len(items) < self.page_size:
                    items = [item for item, start in zip(items, starts, strict=True) if start in span]
                    line.read(span, items, [start for start in starts if start in span])
                elif width(span) > 1 and all(_asked(span, start) for start in starts):
                    line.cut(span, starts)
                else:
                    items = yield from self._by_number(span, query, whole)
                    line.read(span, items, ())
            del items
            for ready in line.ready():
                yield Page(ready)

    def _by_number(
        self, span: Window, query: tuple[tuple[str, str], ...], whole: RetryState | None = None
    ) -> Flow[list[dict[str, Any]]]:
        """Turn the pages of a span until two readings agree.

        A meeting can slip through a reading unseen only if another one was seen twice in it, or if one that was seen
        went away, which the next reading shows. So a reading that saw one twice does not count.
        """
        whole = whole or RetryState(self.retry_limits)
        before: dict[str, dict[str, Any]] | None = None
        for _ in range(_MOST_READINGS):
            found: dict[str, dict[str, Any]] = {}
            seen, number = 0, 0
            while True:
                retry_state = whole.child()
                items, _ = yield from self._page(span, query, number, retry_state)
                whole.slept = retry_state.slept
                seen += len(items)
                known = len(found)
                found |= {str(item.get("id")): item for item in items}
                if len(items) < self.page_size:
                    break
                if len(found) == known:
                    raise _inconsistent_list("Builder Prime repeats a full page: its list has no end.")
                number += 1
            if before is not None and before.keys() == found.keys():
                return [item for item in found.values() if self._start(item) in span]
            before = found if seen == len(found) else None
        raise _inconsistent_list(f"Builder Prime's list of {span} was another one each time it was read.")

    def _page(
        self, span: Window, query: tuple[tuple[str, str], ...], number: int = 0, retry_state: RetryState | None = None
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
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
        request = Request("GET", MEETINGS, params=params, scope="meetings.read")
        return (yield from self._many(request, retry_state))

    def _start(self, item: Mapping[str, Any]) -> int:
        try:
            return to_epoch_ms(item.get("startDateTime"))
        except ValueError as error:
            raise _inconsistent_list(
                f"Builder Prime lists a meeting (id {item.get('id')}) whose startDateTime cannot be read: {error}"
            ) from None

    def types(self) -> Flow[list[dict[str, Any]]]:
        """Listing Meeting Types."""
        return (yield from self._all("/meeting-types/v1", "meetingtypes.read"))

    def type(self, type_id: Any) -> Flow[dict[str, Any]]:
        """Retrieving a Single Meeting Type."""
        return (yield from self._one("/meeting-types/v1", check_id(type_id, "meeting_type_id"), "meetingtypes.read"))

    def results(self) -> Flow[list[dict[str, Any]]]:
        """Listing Meeting Results."""
        return (yield from self._all("/meeting-results/v1", "meetingresults.read"))

    def result(self, result_id: Any) -> Flow[dict[str, Any]]:
        """Retrieving a Single Meeting Result."""
        path = "/meeting-results/v1"
        return (yield from self._one(path, check_id(result_id, "meeting_result_id"), "meetingresults.read"))

    def _all(self, path: str, scope: str) -> Flow[list[dict[str, Any]]]:
        found: dict[str, dict[str, Any]] = {}
        number, whole = 0, RetryState(self.retry_limits)
        while True:
            params = (("limit", str(self.page_size)), ("page", str(number)))
            request = Request("GET", path, params=params, scope=scope)
            retry_state = whole.child()
            items, response = yield from self._many(request, retry_state)
            whole.slept = retry_state.slept
            known = len(found)
            found |= {str(item.get("id")): item for item in items}
            if len(items) < self.page_size:
                return list(found.values())
            if len(found) == known:
                if len(items) > self.page_size:
                    return list(found.values())  # neither the limit nor the page has an effect: it was all of them
                raise self.errors.malformed(
                    request, response, "it repeats a full page: what is on the next is not told"
                )
            number += 1

    # -- envelopes

    def _one(self, path: str, record_id: str, scope: str) -> Flow[dict[str, Any]]:
        return (yield from self._expect(Request("GET", f"{path}/{record_id}", scope=scope), record_id))

    def _expect(self, request: Request, record_id: str) -> Flow[dict[str, Any]]:
        """Ask for one record by its id."""
        retry_state = RetryState(self.retry_limits)
        response = yield from send_with_retries(request, retry_state)
        try:
            data = self._content(request, response).get("data")
        except MeetingsError as error:
            error.maybe_sent = error.maybe_sent or retry_state.outcome_unknown
            raise
        if not isinstance(data, dict):
            raise self.errors.malformed(request, response, "there is no record in `data`")
        if str(data.get("id", record_id)) != record_id:
            raise self.errors.malformed(
                request, response, f"it speaks of record {data['id']} where {record_id} was asked for"
            )
        return data

    def _many(
        self, request: Request, retry_state: RetryState | None = None
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        response = yield from send_with_retries(request, retry_state or RetryState(self.retry_limits))
        data = self._content(request, response).get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise self.errors.malformed(request, response, "there is no list in `data`")
        if any(item.get("id") in (None, "") for item in data):
            raise self.errors.malformed(request, response, "a record in it has no id")  # it cannot be told from others
        return data, response

    def _content(self, request: Request, response: Response) -> dict[str, Any]:
        """Open the envelope. A failure can come with a 2xx status: always look at `success`."""
        content = {"success": True} if is_gone(request, response) else decode(response.body)
        fine = 200 <= response.status < 300
        if fine and content is None:
            raise self.errors.malformed(request, response, "it is not a JSON object")
        if fine and content and content.get("success") is True:
            return content
        vendor_error = _parse_error(content)
        if fine and vendor_error is None:
            raise self.errors.malformed(request, response, "`success` is not true in it, and no error explains why")
        status = _meant(vendor_error) if fine else response.status
        field_name = self.key_fields.get(request.scope, "password")
        raise self.errors.error(request, response, vendor_error, key_field=field_name, status=status)

    def check(self, own_keys: Sequence[str] = ()) -> Flow[str]:
        """Make the cheapest read with each key of the connection.

        What a key may write cannot be tried without writing: of those keys it is only told that the vendor knows them.

        Args:
            own_keys: The writing scopes for which the connection has a key of their own.

        Raises:
            MeetingsError: A key is not accepted, or meetings.read is missing.
        """
        day = (("start-date-from", "1740000000000"), ("start-date-to", "1740086400000"))
        first = (("limit", "1"), ("page", "0"))
        yield from self._many(Request("GET", MEETINGS, params=day + first, scope="meetings.read"))
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
                yield from self._many(Request("GET", MEETINGS, params=day + first, scope=scope))
        lacking = f". Missing scopes: {', '.join(missing)}" if missing else ""
        known = f". It knows the keys for {', '.join(own_keys)}; what they may write is not tried" if own_keys else ""
        return f"Builder Prime granted {', '.join(granted)}{lacking}{known}"


def _inconsistent_list(problem: str) -> MeetingsProtocolError:
    """Make the error for pages that are fine each by itself, and no list together."""
    return MeetingsProtocolError(problem, status=200, method="GET", path=MEETINGS)


def _asked(span: Window, start: int) -> bool:
    """Whether a meeting lies in the bounds that were asked for, both included."""
    assert span.start is not None  # noqa: S101 - slices are bounded
    assert span.end is not None  # noqa: S101
    return span.start - 1 <= start <= span.end


def _parse_error(content: Mapping[str, Any] | None) -> VendorError | None:
    """Read ``{"success": false, "errors": [{"code": "...", "message": "..."}]}``."""
    if not content or content.get("success") is not False:
        return None
    errors = content.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    rows = [error if isinstance(error, Mapping) else {"message": error} for error in errors]
    code = rows[0].get("code")
    texts = [" ".join(str(row[name]) for name in ("code", "message") if row.get(name)) for row in rows]
    return VendorError(None if code is None else str(code), "; ".join(text for text in texts if text))


#: Words of error codes and the status that they amount to, where a failure comes with a 2xx status.
_MEANINGS = (
    (("UNAUTHORIZED", "UNAUTHENTICATED", "INVALID_API_KEY", "INVALID_KEY"), 401),
    (("FORBIDDEN", "PERMISSION", "SCOPE"), 403),
    (("NOT_FOUND", "NOTFOUND"), 404),
    (("CONFLICT",), 409),
    (("RATE_LIMIT", "TOO_MANY"), 429),
    (("INTERNAL", "SERVER_ERROR", "UNAVAILABLE", "TIMEOUT"), 500),
)


def _meant(vendor_error: VendorError | None) -> int:
    """The HTTP status that an error code amounts to; 400 where it says nothing else."""
    code = re.sub(r"[^A-Z0-9]+", "_", (vendor_error.code or "").upper()) if vendor_error else ""
    if code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    return next((status for words, status in _MEANINGS if any(word in code for word in words)), 400)
