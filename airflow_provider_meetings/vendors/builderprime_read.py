"""How Builder Prime is read: its lists, its reference data, its envelopes, its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Gather, Page, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsPermissionError
from airflow_provider_meetings.vendors.density import width
from airflow_provider_meetings.vendors.fields import check_id
from airflow_provider_meetings.vendors.meanings import is_generic, misses_something_else, status_meant
from airflow_provider_meetings.vendors.readings import read_until_agreed, unrepeated
from airflow_provider_meetings.vendors.responses import Envelope, VendorError, decode, is_gone, is_success
from airflow_provider_meetings.vendors.spans import SpanLine
from airflow_provider_meetings.vendors.vendor import Filters, Vendor

__all__ = ["BuilderPrimeReader"]

MEETINGS = "/meetings/v1"


@dataclass(frozen=True, slots=True)
class BuilderPrimeReader(Vendor):
    """What is read from Builder Prime.

    Attributes:
        key_fields: In which field of the connection the key for a scope stands, for messages.
        max_window: The longest window that the vendor takes, in milliseconds (public clients slice at 30 days, the
            server refuses more than 31).
        parallel: Requests at once while a list is read.
    """

    name = "Builder Prime"
    collection = MEETINGS
    date_field = "startDateTime"

    page_size: int = 100  # "limit: … The maximum is 100."
    key_fields: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_window: int = field(kw_only=True)
    parallel: int = field(kw_only=True)

    @property
    def longest_window(self) -> int | None:
        """The longest window of one request, in milliseconds."""
        return self.max_window

    def estimate_requests(self, count: int, span: int) -> int:
        """Estimate how many requests a list takes: its spans are cut so that each fits on a page."""
        return max(-(-span // self.max_window), -(-count * 4 // (3 * self.page_size)))

    def key_field(self, scope: str) -> str:
        """Where in the connection the key for a scope stands."""
        return self.key_fields.get(scope, "password")

    def listing(self, window: Window, filters: Filters = (), expected: Sequence[int] = ()) -> PageFlow:
        """Listing Multiple Meeting Records, of a window that is bounded on both sides, earliest slice first.

        The vendor has page numbers, no order, no total: while pages are turned, a meeting that goes pulls another one
        across the boundary between two of them, unseen. So pages are not turned. A window that fills a page is cut into
        smaller ones until each fits on one page, and each answer is complete in itself. Pages are turned only where
        that cannot work, inside one millisecond or on a server that does not keep the bounds, and then until two
        readings agree.

        Raises:
            MeetingsConfigurationError: The window is open on a side ("Required: start-date-from, start-date-to").
        """
        if window.start is None or window.end is None:
            raise MeetingsConfigurationError(
                "Builder Prime lists meetings of a window only: give both window_start and window_end."
            )
        return self._read(window, filters, RetryState(self.retry_limits), expected)

    def _read(self, window: Window, query: Filters, whole: RetryState, expected: Sequence[int]) -> PageFlow:
        line = SpanLine(window, page_size=self.page_size, longest=self.max_window - 1, expected=expected)
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
                starts = [self.date(item) for item in items]
                if len(items) < self.page_size:
                    items = unrepeated([item for item, start in zip(items, starts, strict=True) if start in span])
                    line.read(span, items, [start for start in starts if start in span])
                elif width(span) > 1 and all(_asked(span, start) for start in starts):
                    line.cut(span, starts)
                else:
                    items = yield from self._by_number(span, query, whole)
                    line.read(span, items, ())
            del items
            for ready in line.ready():
                yield Page(ready)

    def _by_number(self, span: Window, query: Filters, whole: RetryState) -> Flow[list[dict[str, Any]]]:
        """Turn the pages of a span until two readings agree."""
        disagreement = self.inconsistent_list(f"Builder Prime's list of {span} was another one each time it was read.")
        found = yield from read_until_agreed(lambda: self._read_once(span, query, whole), disagreement)
        return [item for item in found.values() if self.date(item) in span]

    def _read_once(
        self, span: Window, query: Filters, whole: RetryState
    ) -> Flow[tuple[dict[str, dict[str, Any]], int]]:
        """Turn all pages of a span: its meetings by id, and how many the pages had."""
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
                return found, seen
            if len(found) == known:
                raise self.inconsistent_list("Builder Prime repeats a full page: its list has no end.")
            number += 1

    def _page(
        self, span: Window, query: Filters, number: int = 0, retry_state: RetryState | None = None
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

    def list_instant(
        self,
        instant: Window,
        body: Mapping[str, Any],  # noqa: ARG002 - the whole instant is one page as a rule
        retry_state: RetryState,
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings at a moment."""
        looking = retry_state.child()
        items, response = yield from self._page(instant, (), retry_state=looking)
        retry_state.slept = looking.slept
        if len(items) >= self.page_size:
            items = yield from self._by_number(instant, (), retry_state)
        return items, response

    def path_id(self, value: Any, name: str = "meeting_id") -> str:
        """Return an id as Builder Prime returns it: ``007`` is 7, as is ``7.0``, a number that pandas has widened."""
        text = check_id(value, name)
        whole, _, rest = text.partition(".")
        return (whole.lstrip("0") or "0") if whole.isdigit() and not rest.strip("0") else text

    def types(self) -> Flow[list[dict[str, Any]]]:
        """Listing Meeting Types."""
        return (yield from self._all("/meeting-types/v1", "meetingtypes.read"))

    def type(self, type_id: Any) -> Flow[dict[str, Any]]:
        """Retrieving a Single Meeting Type."""
        return (
            yield from self._one("/meeting-types/v1", self.path_id(type_id, "meeting_type_id"), "meetingtypes.read")
        )

    def results(self) -> Flow[list[dict[str, Any]]]:
        """Listing Meeting Results."""
        return (yield from self._all("/meeting-results/v1", "meetingresults.read"))

    def result(self, result_id: Any) -> Flow[dict[str, Any]]:
        """Retrieving a Single Meeting Result."""
        path = "/meeting-results/v1"
        return (yield from self._one(path, self.path_id(result_id, "meeting_result_id"), "meetingresults.read"))

    def employees(self) -> Flow[list[dict[str, Any]]]:
        """List the account's employees."""
        return (yield from self._all("/employees/v1", "employees.read"))

    def employee(self, employee_id: Any) -> Flow[dict[str, Any]]:
        """Retrieve one employee."""
        return (yield from self._one("/employees/v1", self.path_id(employee_id, "employee_id"), "employees.read"))

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

    def parse(self, request: Request, response: Response) -> Envelope:
        """Open the envelope. A failure can come with a 2xx status: always look at `success`."""
        content = {"success": True} if is_gone(request, response) else decode(response.body)
        error = None if content is None else _parse_error(content)
        status = response.status
        if is_success(status) and content is not None and content.get("success") is True:
            return Envelope(response, status, content=content)
        if error is None or (status == 404 and misses_something_else(error)):
            return Envelope(response, status, is_own=False, content=content)
        meant = status_meant(error, names_record=request.path.count("/") > self.collection.count("/"))
        # "A 400 has the same code" as a 401: where it says nothing, the words of the message do.
        if is_success(status) or (status == 400 and (is_generic(error.code) or meant in {401, 404, 429, 503})):
            status = meant
        return Envelope(response, status, content=content, error=error)

    def record_in(self, content: Mapping[str, Any]) -> Any:
        """Return `data`."""
        return content.get("data")

    def _one(self, path: str, record_id: str, scope: str) -> Flow[dict[str, Any]]:
        request = Request("GET", f"{path}/{record_id}", scope=scope)
        return (yield from self.one_record(request, RetryState(self.retry_limits), record_id=record_id))

    def _many(
        self, request: Request, retry_state: RetryState | None = None
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        envelope = yield from self.call(request, retry_state or RetryState(self.retry_limits), names_record=False)
        content = envelope.content or {}
        return self.records_of(request, envelope, content.get("data"), "data"), envelope.response

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
        for path, scope in (
            ("/meeting-types/v1", "meetingtypes.read"),
            ("/meeting-results/v1", "meetingresults.read"),
            ("/employees/v1", "employees.read"),
        ):
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


def _asked(span: Window, start: int) -> bool:
    """Whether a meeting lies in the bounds that were asked for, both included."""
    assert span.start is not None  # noqa: S101 - slices are bounded
    assert span.end is not None  # noqa: S101
    return span.start - 1 <= start <= span.end


def _parse_error(content: Mapping[str, Any]) -> VendorError | None:
    """Read what Builder Prime says of a failure; None: it is none of its envelopes.

    ``{"success": false, "errors": [{"code": "...", "message": "..."}]}``, or, of a resource that is not there,
    ``{"errorCode": "404", "errorMessage": "The requested resource was not found.", "showAsWarning": false}``.
    """
    if content.get("success") is True:
        return None
    if content.get("errorCode") not in (None, ""):
        message = content.get("errorMessage")
        return VendorError(str(content["errorCode"]), "" if message is None else str(message))
    if content.get("success") is not False:
        return None
    errors = content.get("errors")
    if not isinstance(errors, list) or not errors:
        return None
    if {"messages", "result"} <= content.keys():  # a gateway's own, Cloudflare's
        return None
    rows = [error if isinstance(error, Mapping) else {"message": error} for error in errors]
    code = rows[0].get("code")
    texts = [" ".join(str(row[name]) for name in ("code", "message") if row.get(name)) for row in rows]
    text = "; ".join(text for text in texts if text)
    return VendorError(None if code is None else str(code), text) if text else None  # else nothing explains it
