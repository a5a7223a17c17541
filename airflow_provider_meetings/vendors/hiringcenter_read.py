"""How HiringCenter is read: its lists, its envelopes, its errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Page, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryLimits, RetryState, send_with_retries
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsProtocolError,
    MeetingsServerError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors.fields import check_filters, check_id
from airflow_provider_meetings.vendors.responses import ErrorFactory, VendorError, decode, is_gone

__all__ = ["FILTERS", "HiringCenterReader", "parse_error"]

#: The list's filters. Its windows and pages are this module's business.
FILTERS: Mapping[str, str] = {"prospectId": "id", "ownerId": "id", "meetingType": "label"}

#: "limit integer · max: 200"
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class HiringCenterReader:
    """Reads from HiringCenter.

    Attributes:
        errors: Makes the errors.
        retry_limits: How long a call may try.
        page_size: Meetings a page.
    """

    errors: ErrorFactory
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    page_size: int = PAGE_SIZE

    def get(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Get Meeting by ID."""
        meeting_id = check_id(meeting_id)
        request = Request("GET", f"/meetings/{meeting_id}", scope="meetings.read")
        return (yield from self._item(request, meeting_id=meeting_id))

    def listing(self, window: Window, filters: Any = None) -> PageFlow:
        """List Meetings of a window, latest first.

        The vendor's page tokens may shift when meetings come and go between two pages, so the list goes on by date
        instead: the page says that it is "ordered by meeting date (latest/furthest-out first)", hence everything later
        than the last meeting of a page has been on it, and the next question asks for what is not later. Each page is
        then the first of its own question, and no meeting that was there all along can slip between two of them.
        Tokens are used where that cannot work: inside one millisecond that fills a page, and on a server that does not
        keep the documented order or bounds.
        """
        query = check_filters("HiringCenter", FILTERS, filters)
        return self._by_date(window, query)

    def _by_date(self, window: Window, query: tuple[tuple[str, str], ...]) -> PageFlow:
        span, edge = window, frozenset[str]()  # edge: the ids already listed at the span's last millisecond
        inclusive = False  # whether the server has been seen to include the later bound
        whole = RetryState(self.retry_limits)  # the waits of all pages are those of one call
        while True:
            items, token, _ = yield from self._page(span, query, inclusive=inclusive, whole=whole)
            dates = self._dates(items)
            fresh = _fresh(items, dates, span, edge)
            if not token:
                yield Page(fresh)
                return
            in_order = dates == sorted(dates, reverse=True)
            if not in_order and span is not window:
                raise self._disorder(span)
            if not items or not in_order or not _within(dates, span, inclusive=inclusive):
                listed = edge | _ids(items)
                del items
                yield from self._by_token(span, query, fresh, token, listed, whole=whole)
                return
            last = dates[-1]
            if last == span.end:
                inclusive = True  # nothing but meetings at the bound: now that it is known to be included, move it
                continue
            if window.start is not None and last < window.start:
                yield Page(fresh)
                return
            if edge and dates[0] == last == (span.end or 0) - 1:
                # One millisecond fills a page: only here the tokens have to be trusted, so they are checked.
                instant = Window(last, last + 1)
                items = yield from self._instant(instant, query, whole)
                yield Page(_fresh(items, [last] * len(items), instant, edge))
                span, edge = Window(window.start, last), frozenset()
                if span.start is not None and last <= span.start:
                    return
                continue
            inclusive = inclusive or dates[0] == span.end
            seen = edge if last + 1 == span.end else frozenset()
            edge = seen | {str(item.get("id")) for item in items[dates.index(last) :]}
            del items
            yield Page(fresh)
            span = Window(window.start, last + 1)

    def _by_token(
        self,
        span: Window,
        query: tuple[tuple[str, str], ...],
        fresh: list[dict[str, Any]],
        token: str,
        listed: frozenset[str],
        *,
        whole: RetryState,
    ) -> PageFlow:
        """Follow the tokens from a page on; what comes and goes meanwhile cannot be told from them."""
        turned = _Turned()
        turned.check(token, frozenset())
        yield Page(fresh)
        while token:
            items, token, _ = yield from self._page(span, query, token, whole=whole)
            ids = _ids(items)
            turned.check(token, ids)
            fresh = [item for item in items if self._date(item) in span and str(item.get("id")) not in listed]
            listed = ids
            del items
            yield Page(fresh)

    def _instant(
        self, instant: Window, query: tuple[tuple[str, str], ...], whole: RetryState | None = None
    ) -> Flow[list[dict[str, Any]]]:
        """Read one millisecond by tokens, until two readings agree.

        A meeting can slip through a reading unseen only if another one was seen twice in it, or if one that was seen
        went away, which the next reading shows. So a reading that saw one twice does not count.
        """
        whole = whole or RetryState(self.retry_limits)
        before: dict[str, dict[str, Any]] | None = None
        for _ in range(_MOST_READINGS):
            found: dict[str, dict[str, Any]] = {}
            seen, token, turned = 0, "", _Turned()
            while True:
                items, token, _ = yield from self._page(instant, query, token, whole=whole)
                turned.check(token, _ids(items))
                seen += len(items)
                found |= {str(item.get("id")): item for item in items}
                if not token:
                    break
            if before is not None and before.keys() == found.keys():
                return [item for item in found.values() if self._date(item) in instant]
            before = found if seen == len(found) else None
        raise _inconsistent_list(f"HiringCenter's list of {instant} was another one each time it was read.")

    def _page(
        self,
        span: Window,
        query: tuple[tuple[str, str], ...],
        token: str = "",
        *,
        inclusive: bool = False,
        whole: RetryState | None = None,
    ) -> Flow[tuple[list[dict[str, Any]], str, Response]]:
        """Ask for one page.

        The page does not say whether the bounds are inclusive, so that they are asked for one millisecond wider than
        the span and the rest is left out here.
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
        whole = whole or RetryState(self.retry_limits)
        retry_state = whole.child()
        response, content = yield from self._ask(request, retry_state)
        whole.slept = retry_state.slept
        items = content.get("items")
        if not isinstance(items, list) or not set(map(type, items)) <= {dict}:
            raise self.errors.malformed(request, response, "there is no list of `items` in it")
        if any(item.get("id") in (None, "") for item in items):
            raise self.errors.malformed(request, response, "an item in it has no id")  # it cannot be told from others
        # Older revision of the page: the token stands at the top level.
        pagination = content.get("pagination")
        holder = pagination if isinstance(pagination, dict) and "nextPageToken" in pagination else content
        following = holder.get("nextPageToken")
        return items, "" if following is None else str(following), response

    def _disorder(self, span: Window) -> MeetingsProtocolError:
        return _inconsistent_list(
            f"HiringCenter's list of {span} is not ordered by meetingDate, latest first, as its page says: "
            "it cannot be told whether it is complete."
        )

    def _dates(self, items: list[dict[str, Any]]) -> list[int]:
        dates = [item.get("meetingDate") for item in items]
        if set(map(type, dates)) <= {int}:
            return dates  # type: ignore[return-value] # as documented, and looked at once instead of one by one
        return [self._date(item) for item in items]

    def _date(self, item: Mapping[str, Any]) -> int:
        try:
            return to_epoch_ms(item.get("meetingDate"))
        except ValueError as error:
            raise _inconsistent_list(
                f"HiringCenter lists a meeting (id {item.get('id')}) whose meetingDate cannot be read: {error}"
            ) from None

    # -- envelopes

    def _item(
        self,
        request: Request,
        retry_state: RetryState | None = None,
        again: Callable[[Response], bool] | None = None,
        *,
        meeting_id: str | None = None,
    ) -> Flow[dict[str, Any]]:
        response, content = yield from self._ask(request, retry_state, again=again)
        item = content.get("item")
        if item is None:
            # Older revision of the page: the fields of the item stand beside `success`.
            item = {name: value for name, value in content.items() if name not in {"success", "message"}}
        if not isinstance(item, dict) or item.get("id") in (None, ""):
            raise self.errors.malformed(request, response, "there is no meeting with an id in it")
        if meeting_id is not None and str(item["id"]) != meeting_id:
            problem = f"it speaks of meeting {item['id']} where {meeting_id} was asked for"
            raise self.errors.malformed(request, response, problem)
        return item

    def _ask(
        self,
        request: Request,
        retry_state: RetryState | None = None,
        *,
        again: Callable[[Response], bool] | None = None,
        bare: bool = False,
    ) -> Flow[tuple[Response, dict[str, Any]]]:
        retry_state = retry_state or RetryState(self.retry_limits)
        response = yield from send_with_retries(request, retry_state, again=again)
        content = {"success": True} if is_gone(request, response) else decode(response.body)
        if 200 <= response.status < 300:
            if content is None:
                raise self.errors.malformed(request, response, "it is not a JSON object")
            if content.get("success") is True or (bare and not {"success", "error"} & set(content)):
                return response, content
            if not (vendor_error := parse_error(content)):
                raise self.errors.malformed(request, response, "`success` is not true in it")
            error = self.errors.error(request, response, vendor_error, status=400)
        else:
            error = self.errors.error(request, response, parse_error(content))
        if retry_state.outcome_unknown and isinstance(error, MeetingConflictError):
            # The very same bytes were sent before: they are still being processed, and a later try may fare better.
            raise MeetingsServerError(
                f"{error.message} It is this request's own, sent before and still being processed.",
                **{name: getattr(error, name) for name in ("status", "code", "method", "path")},
            )
        # Refused now, but an earlier send went unanswered; only a refusal of the payload itself, or of what it speaks
        # of, settles that one too.
        if retry_state.outcome_unknown and not isinstance(error, MeetingValidationError | MeetingNotFoundError):
            error.maybe_sent = True
        raise error

    def check(self) -> Flow[str]:
        """``GET /auth``: the key's account, permissions and whether it is active.

        Raises:
            MeetingsError: The key is not accepted, or is not active.
        """
        request = Request("GET", "/auth")
        # The overview names what is in the answer, not whether it comes in an envelope.
        response, content = yield from self._ask(request, bare=True)
        facts = next(
            (content[name] for name in ("item", "data", "key") if isinstance(content.get(name), dict)), content
        )
        account = facts.get("accountId")
        if account is None:
            raise self.errors.malformed(request, response, "there is no accountId in it")
        active = facts.get("active", facts.get("isActive", facts.get("status", True)))
        if str(active).lower() in {"false", "0", "inactive", "revoked", "disabled", "expired"}:
            raise MeetingsAuthError(f"The API key of HiringCenter account {account} is not active.")
        permissions = ", ".join(_granted(facts.get("permissions"))) or "none"
        return f"HiringCenter account {account}, permissions: {permissions}"


#: Readings of one crowded millisecond before giving up.
_MOST_READINGS = 5
#: Empty pages in a row, each with a token, before giving up.
_MOST_EMPTY = 100


class _Turned:
    """The pages that were turned so far, to notice a list that has no end."""

    def __init__(self) -> None:
        self._seen: set[str | int] = set()
        self._empty = 0

    def check(self, token: str, ids: frozenset[str]) -> None:
        """Note a page and the token that came with it.

        Raises:
            MeetingsProtocolError: One of them was there before.
        """
        if not token:
            return
        self._empty = 0 if ids else self._empty + 1
        page = {hash(ids)} if ids else set[int]()
        if self._empty > _MOST_EMPTY or not self._seen.isdisjoint({token} | page):
            raise _inconsistent_list("HiringCenter repeats its pages or their tokens: the list has no end.")
        self._seen |= {token} | page


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


def _ids(items: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(item.get("id")) for item in items)


def _inconsistent_list(problem: str) -> MeetingsProtocolError:
    """Make the error for pages that are fine each by itself, and no list together."""
    return MeetingsProtocolError(problem, status=200, method="GET", path="/meetings")


def parse_error(content: Mapping[str, Any] | None) -> VendorError | None:
    """Read "a JSON body that has `error` and usually `message`"."""
    error = content.get("error") if content else None
    if not error:
        return None
    if isinstance(error, Mapping):
        return VendorError(str(error.get("code") or "") or None, str(error.get("message") or error.get("code") or ""))
    assert content is not None  # noqa: S101 - it has an error
    message = content.get("message")
    return VendorError(str(error), f"{error}: {message}" if message else str(error))


def _within(dates: list[int], span: Window, *, inclusive: bool) -> bool:
    """Whether the server kept the bounds that were asked for."""
    return (span.start is None or dates[-1] >= span.start - 1) and (
        span.end is None or dates[0] <= span.end - inclusive
    )


def _fresh(items: list[dict[str, Any]], dates: list[int], span: Window, edge: frozenset[str]) -> list[dict[str, Any]]:
    """Keep what lies in the span and was not listed with the page before."""
    first = -math.inf if span.start is None else span.start
    end = math.inf if span.end is None else span.end
    return [
        item
        for item, date in zip(items, dates, strict=True)
        if first <= date < end and not (date == end - 1 and str(item.get("id")) in edge)
    ]
