"""How HiringCenter is read: its lists, its envelopes, its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsAuthError
from airflow_provider_meetings.vendors.hiringcenter_list import Answer, DateList
from airflow_provider_meetings.vendors.meanings import misses_something_else, status_meant
from airflow_provider_meetings.vendors.readings import values_of
from airflow_provider_meetings.vendors.responses import Envelope, VendorError, decode, is_gone, is_success
from airflow_provider_meetings.vendors.vendor import Filters, Vendor

__all__ = ["HiringCenterReader"]


@dataclass(frozen=True, slots=True)
class HiringCenterReader(Vendor):
    """What is read from HiringCenter.

    Attributes:
        parallel: Requests at once while a list is read.
        slow_from: Seconds that a page must take for that.
    """

    name = "HiringCenter"
    collection = "/meetings"
    date_field = "meetingDate"
    latest_first = True

    page_size: int = 200  # "limit integer · max: 200"
    parallel: int = field(default=1, kw_only=True)
    slow_from: float = field(default=0.02, kw_only=True)

    def estimate_requests(self, count: int, span: int) -> int:  # noqa: ARG002 - a window may be of any length
        """Estimate how many requests a list takes: each page repeats the last meeting of the one before."""
        return max(1, -(-count // (self.page_size - 1)))

    def listing(
        self,
        window: Window,
        filters: Filters = (),
        expected: Sequence[int] = (),  # noqa: ARG002 - a page that is full is no request too many here
    ) -> PageFlow:
        """List Meetings of a window, latest first; see :class:`.DateList`."""
        return self.date_list(window, filters, RetryState(self.retry_limits)).read()

    def date_list(self, window: Window, query: Filters, whole: RetryState) -> DateList:
        """Return what reads a list."""
        return DateList(
            self,
            window,
            query,
            whole=whole,
            page_size=self.page_size,
            parallel=self.parallel,
            slow_from=self.slow_from,
        )

    def page(
        self, span: Window, query: Filters, token: str = "", *, inclusive: bool = False, retry_state: RetryState
    ) -> Flow[Answer]:
        """Ask for one page of a list.

        The page does not say whether the bounds are inclusive, so that they are asked for one millisecond wider than
        the span, and the rest is left out by the caller.
        """
        params = list(query)
        if span.start is not None:
            params.append(("meetingDateAfter", str(span.start - 1)))
        if span.end is not None:
            params.append(("meetingDateBefore", str(span.end - inclusive)))
        params.append(("limit", str(self.page_size)))
        if token:
            params.append(("pageToken", token))
        request = Request("GET", "/meetings", params=tuple(params), scope="meetings.read")
        envelope = yield from self.call(request, retry_state, names_record=False)
        content = envelope.content or {}
        items = self.records_of(request, envelope, content.get("items"), "items")
        # Older revision of the page: the token stands at the top level.
        pagination = content.get("pagination")
        holder = pagination if isinstance(pagination, dict) and "nextPageToken" in pagination else content
        following = holder.get("nextPageToken")
        total = pagination.get("totalCount") if isinstance(pagination, dict) else None
        return Answer(
            items,
            self._dates(items),
            "" if following is None else str(following),
            total if type(total) is int else None,
            envelope.response,
            "nextPageToken" in holder,
        )

    def _dates(self, items: list[dict[str, Any]]) -> list[int]:
        dates = values_of(items, self.date_field)
        if set(map(type, dates)) <= {int}:
            return dates  # as documented, and looked at once instead of one by one
        return [self.date(item) for item in items]

    def list_instant(
        self, instant: Window, body: Mapping[str, Any], retry_state: RetryState
    ) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings at a moment that have a body's owner and prospect."""
        query = (("ownerId", str(body["ownerId"])), ("prospectId", str(body["prospectId"])))
        asking = retry_state.child()
        answer = yield from self.page(instant, query, retry_state=asking)
        retry_state.slept = asking.slept
        items = answer.items
        if answer.token:
            items = yield from self.date_list(instant, query, retry_state).instant(instant, retry_state)
        return items, answer.response

    # -- envelopes

    def parse(self, request: Request, response: Response) -> Envelope:
        """Open ``{"success": true, …}``, or "a JSON body that has `error` and usually `message`"."""
        content = {"success": True} if is_gone(request, response) else decode(response.body)
        error = None if content is None else _parse_error(content)
        if not is_success(response.status):
            is_own = error is not None and not (response.status == 404 and misses_something_else(error))
            return Envelope(response, response.status, is_own=is_own, content=content, error=error if is_own else None)
        # The overview names what is in the answer of /auth, not whether it comes in an envelope.
        bare = request.path == "/auth" and content is not None and not {"success", "error"} & content.keys()
        if content is not None and (content.get("success") is True or bare):
            return Envelope(response, response.status, content=content)
        if error is None:
            return Envelope(response, response.status, is_own=False, content=content)
        meant = status_meant(error, names_record=request.path != self.collection)
        return Envelope(response, meant, content=content, error=error)

    def record_in(self, content: Mapping[str, Any]) -> Any:
        """Return `item`; in an older revision of the page its fields stand beside `success`."""
        item = content.get("item")
        if item is None:
            item = {name: value for name, value in content.items() if name not in {"success", "message"}}
        return item if isinstance(item, dict) and item.get("id") not in (None, "") else None

    def check(self) -> Flow[str]:
        """``GET /auth``: the key's account, permissions and whether it is active.

        Raises:
            MeetingsError: The key is not accepted, or is not active.
        """
        request = Request("GET", "/auth")
        envelope = yield from self.call(request, RetryState(self.retry_limits), names_record=False)
        content = envelope.content or {}
        facts = next(
            (content[name] for name in ("item", "data", "key") if isinstance(content.get(name), dict)), content
        )
        account = facts.get("accountId")
        if account is None:
            raise self.errors.malformed(request, envelope.response, "there is no accountId in it")
        active = facts.get("active", facts.get("isActive", facts.get("status", True)))
        if str(active).strip().lower() in _NOT_ACTIVE:
            raise MeetingsAuthError(f"The API key of HiringCenter account {account} is not active.")
        permissions = ", ".join(_granted(facts.get("permissions"))) or "none"
        return f"HiringCenter account {account}, permissions: {permissions}"


_NOT_ACTIVE = {
    *("false", "0", "no", "inactive", "revoked", "disabled", "expired"),
    *("suspended", "blocked", "deactivated", "deleted", "cancelled"),
}


def _granted(permissions: Any) -> list[str]:
    """Name what is granted, be it a list, a text, or truths by name, maybe of each resource."""
    if isinstance(permissions, Mapping):
        return [
            name if granted is True else f"{name}:{part}"
            for name, granted in permissions.items()
            for part in ([""] if granted is True else _granted(granted))
        ]
    if isinstance(permissions, list):
        return [str(permission) for permission in permissions]
    return [str(permissions)] if permissions else []


def _parse_error(content: Mapping[str, Any]) -> VendorError | None:
    """Read "a JSON body that has `error` and usually `message`"."""
    error = content.get("error")
    if not error or not isinstance(error, str | Mapping):
        return None  # a truth, or a number, beside a message is a gateway's
    if {"timestamp", "status", "path"} <= content.keys():  # a web server's own, Spring's
        return None
    if isinstance(error, Mapping) and {"code", "status"} <= error.keys():  # a gateway's own, Google's
        return None
    if isinstance(error, Mapping):
        return VendorError(str(error.get("code") or "") or None, str(error.get("message") or error.get("code") or ""))
    message = content.get("message")
    return VendorError(str(error), f"{error}: {message}" if message else str(error))
