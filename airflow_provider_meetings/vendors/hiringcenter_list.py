"""How a list of HiringCenter's is read by date: page after page, or several parts of the window at once."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from airflow_provider_meetings.core.flow import Flow, Gather, Page, PageFlow, Response
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsProtocolError
from airflow_provider_meetings.vendors.density import Density
from airflow_provider_meetings.vendors.readings import read_until_agreed, unrepeated

__all__ = ["Answer", "DateList", "PageReader", "Query"]

Query: TypeAlias = tuple[tuple[str, str], ...]

#: Empty pages in a row, each with a token, before giving up.
_MOST_EMPTY = 100
# The part of a page that a part of the window should fill.
_FILL = 0.85
# How far back a part may reach, in milliseconds: further back, too little is known of how many meetings there are.
_LONGEST_PART = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of a list.

    Attributes:
        items: The meetings.
        dates: When each of them takes place, in Unix milliseconds.
        token: Leads to the next page; blank: there is none.
        total: How many meetings there are in all, as far as the vendor says.
        response: The HTTP response.
        has_token_field: It says in so many words whether there is a next page.
    """

    items: list[dict[str, Any]]
    dates: list[int]
    token: str
    total: int | None
    response: Response
    has_token_field: bool = True


class PageReader(Protocol):
    """What asks the vendor for a page."""

    def page(
        self, span: Window, query: Query, token: str = "", *, inclusive: bool = False, retry_state: RetryState
    ) -> Flow[Answer]:
        """Ask for one page of a span."""

    def inconsistent_list(self, problem: str) -> MeetingsProtocolError:
        """Make the error for pages that are fine each by itself, and no list together."""


@dataclass(slots=True, eq=False)
class _Part:
    """A part of the window, which is read from its end to its start.

    Attributes:
        span: What of it is still to be read.
        edge: The ids of the meetings at the span's last millisecond that were listed already.
        pages: What was read and was not handed over yet.
        is_read: Nothing of it is left.
        by_token: It has to be read by tokens from this answer on.
        was_asked: Whether any page of it was read.
    """

    span: Window
    edge: frozenset[str] = frozenset()
    pages: deque[list[dict[str, Any]]] = field(default_factory=deque)
    is_read: bool = False
    by_token: tuple[str, frozenset[str]] | None = None
    was_asked: bool = False


class DateList:
    """One list, latest first.

    The vendor's page tokens may shift when meetings come and go between two pages, so the list goes on by date instead:
    the page says that it is "ordered by meeting date (latest/furthest-out first)", hence everything later than the last
    meeting of a page has been on it, and the next request is for what is not later. Each page is then the first of its
    own request, and no meeting that was there all along can slip between two of them. Tokens are used where that cannot
    work: inside one millisecond that fills a page, and on a server that does not keep the documented order or bounds.

    So parts of the window can be read at once. Where they are cut follows from what was read of the window so far.

    Args:
        reader: Asks for a page.
        window: Which meetings.
        query: The filters.
        whole: The retries of the list: the waits of all pages are those of one call.
        page_size: Meetings a page.
        parallel: Requests at once.
        slow_from: Seconds that the first page must have taken for parts to be read at once: one after another is as
            quick with a server that is near.
    """

    def __init__(
        self,
        reader: PageReader,
        window: Window,
        query: Query,
        *,
        whole: RetryState,
        page_size: int,
        parallel: int = 1,
        slow_from: float = 0.0,
    ) -> None:
        self._reader = reader
        self._window = window
        self._query = query
        self._whole = whole
        self._page_size = page_size
        self._parallel = parallel
        self._slow_from = slow_from
        self._inclusive = False  # whether the server has been seen to include the later bound
        self._density = Density()
        self._total: int | None = None  # meetings in all, as far as the vendor says
        self._count = 0  # meetings that were read
        self._parts: deque[_Part] = deque([_Part(window)])

    def read(self) -> PageFlow:
        """Read the list, page by page."""
        at_once = 1
        while self._parts:
            first = self._parts[0]
            if first.by_token is not None:
                token, listed = first.by_token
                yield from self._read_by_token(first.span, token, listed)
                first.is_read = True
            else:
                parts = self._next_parts(at_once)
                retry_states = [self._whole.child() for _ in parts]
                turns = [self._turn(part, state) for part, state in zip(parts, retry_states, strict=True)]
                if len(turns) == 1:
                    answers = [(yield from turns[0])]
                else:
                    answers = yield Gather(turns)
                self._whole.slept = max(state.slept for state in retry_states)
                if at_once == 1 and self._is_far(answers[0]):
                    at_once = self._parallel
            while self._parts:
                first = self._parts[0]
                while first.pages:
                    yield Page(first.pages.popleft())
                if not first.is_read:
                    break
                self._parts.popleft()

    def _is_far(self, response: Response) -> bool:
        return self._parallel > 1 and response.received_at - response.sent_at >= self._slow_from

    # -- which parts are read at once

    def _next_parts(self, most: int) -> list[_Part]:
        """Return the parts to go on with; a new one is cut off the last where there are less than ``most``."""
        parts = [part for part in self._parts if not part.is_read and part.by_token is None]
        # What was read is held until all that is later was: so there is a bound for how far ahead is read.
        while len(parts) < most and len(self._parts) < 2 * most and self._cut_off():
            parts.insert(-1, self._parts[-2])
        return parts[:most]

    def _cut_off(self) -> bool:
        """Cut a part that should fill a page off the end of the last part, which keeps the rest."""
        rest = self._parts[-1]
        if rest.is_read or rest.by_token is not None or rest.span.end is None or not self._density.is_known:
            return False
        target = _FILL * self._page_size
        if self._total is not None:
            ahead = sum(not part.is_read for part in self._parts) - 1
            if self._total - self._count - ahead * target <= self._page_size:
                return False  # what is left fits on one page
        earliest = rest.span.end - _LONGEST_PART
        start = earliest if rest.span.start is None else max(earliest, rest.span.start)
        level = self._density.level(rest.span.end).factor
        cut = self._density.cut_before(start, rest.span.end, target / level)
        if not start < cut < rest.span.end:
            return False
        self._parts.insert(len(self._parts) - 1, _Part(Window(cut, rest.span.end), rest.edge))
        rest.span, rest.edge = Window(rest.span.start, cut), frozenset()
        return True

    def _learn(self, span: Window, dates: list[int], response: Response) -> None:
        start, end = span.start, span.end
        # From a server that is near, pages are read one after the other: nothing is cut.
        if start is not None and end is not None and start < end and self._is_far(response):
            self._density.learn(span, [date for date in dates if start <= date < end])

    # -- one page

    def _turn(self, part: _Part, retry_state: RetryState) -> Flow[Response]:
        """Read the next page of a part; say in it how it goes on."""
        while True:
            span, inclusive = part.span, self._inclusive
            answer = yield from self._reader.page(span, self._query, inclusive=inclusive, retry_state=retry_state)
            items, dates, response = answer.items, answer.dates, answer.response
            fresh = _fresh(items, dates, span, part.edge)
            is_first, part.was_asked = not part.was_asked, True
            self._count += len(fresh)
            if span is self._window:
                self._total = answer.total
            if not answer.token and not self._may_go_on(answer):
                self._learn(span, dates, response)
                part.pages.append(fresh)
                part.is_read = True
                return response
            in_order = dates == sorted(dates, reverse=True)
            if not in_order and not (is_first and span is self._window):
                raise self._disorder(span)
            if not answer.token and not (in_order and _within(dates, span, inclusive=inclusive)):
                part.pages.append(fresh)
                part.is_read = True
                return response
            if not items or not in_order or not _within(dates, span, inclusive=inclusive):
                part.pages.append(fresh)
                part.by_token = (answer.token, part.edge | _ids(items))
                return response
            last = dates[-1]
            if last == span.end:
                self._inclusive = True  # nothing but meetings at the bound: it is included, so it has to be moved
                continue
            if span.start is not None and last < span.start:
                part.pages.append(fresh)
                part.is_read = True
                return response
            if part.edge and dates[0] == last == (span.end or 0) - 1:
                yield from self._read_instant(part, last, retry_state)
                return response
            self._inclusive = self._inclusive or dates[0] == span.end
            known = Window(last + 1, dates[0] + 1 if span.end is None else span.end)
            self._learn(known, dates, response)
            seen = part.edge if last + 1 == span.end else frozenset[str]()
            part.edge = seen | {str(item.get("id")) for item in items[dates.index(last) :]}
            part.pages.append(fresh)
            part.span = Window(span.start, last + 1)
            return response

    def _may_go_on(self, answer: Answer) -> bool:
        """Whether there may be more although no token says so: on a page that is full, and not said to be the last."""
        count = len(answer.items)
        if count < self._page_size:
            return False
        return not answer.has_token_field if answer.total is None else answer.total > count

    def _disorder(self, span: Window) -> MeetingsProtocolError:
        return self._reader.inconsistent_list(
            f"HiringCenter's list of {span} is not ordered by meetingDate, latest first, as its page says: "
            "it cannot be told whether it is complete."
        )

    def _read_instant(self, part: _Part, last: int, retry_state: RetryState) -> Flow[None]:
        """Read one millisecond that fills a page: only here the tokens have to be trusted, so they are checked."""
        instant = Window(last, last + 1)
        items = yield from self.instant(instant, retry_state)
        part.pages.append(_fresh(items, [last] * len(items), instant, part.edge))
        part.span, part.edge = Window(part.span.start, last), frozenset()
        part.is_read = part.span.start is not None and last <= part.span.start

    # -- by tokens

    def _read_by_token(self, span: Window, token: str, listed: frozenset[str]) -> PageFlow:
        """Follow the tokens from a page on; what comes and goes meanwhile cannot be told from them."""
        turned = _Turned(self._reader)
        turned.check(token, frozenset())
        while token:
            retry_state = self._whole.child()
            answer = yield from self._reader.page(span, self._query, token, retry_state=retry_state)
            self._whole.slept = retry_state.slept
            token, ids = answer.token, _ids(answer.items)
            turned.check(token, ids)
            fresh = unrepeated(
                [
                    item
                    for item, date in zip(answer.items, answer.dates, strict=True)
                    if date in span and str(item.get("id")) not in listed
                ]
            )
            listed = ids
            del answer
            yield Page(fresh)

    def instant(self, instant: Window, retry_state: RetryState) -> Flow[list[dict[str, Any]]]:
        """Read one millisecond by tokens, until two readings agree."""
        disagreement = self._reader.inconsistent_list(
            f"HiringCenter's list of {instant} was another one each time it was read."
        )
        found = yield from read_until_agreed(lambda: self._read_once(instant, retry_state), disagreement)
        return [item for item, date in found.values() if date in instant]

    def _read_once(
        self, instant: Window, retry_state: RetryState
    ) -> Flow[tuple[dict[str, tuple[dict[str, Any], int]], int]]:
        """Turn all pages of a millisecond: its meetings with their dates, by id, and how many the pages had."""
        found: dict[str, tuple[dict[str, Any], int]] = {}
        seen, token, turned = 0, "", _Turned(self._reader)
        while True:
            page_state = retry_state.child()
            answer = yield from self._reader.page(instant, self._query, token, retry_state=page_state)
            retry_state.slept = page_state.slept
            token = answer.token
            turned.check(token, _ids(answer.items))
            seen += len(answer.items)
            for item, date in zip(answer.items, answer.dates, strict=True):
                found.setdefault(str(item.get("id")), (item, date))
            if not token:
                return found, seen


class _Turned:
    """The pages that were turned so far, to notice a list that has no end."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
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
            raise self._reader.inconsistent_list("HiringCenter repeats its pages or their tokens: the list has no end.")
        self._seen |= {token} | page


def _ids(items: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(item.get("id")) for item in items)


def _within(dates: list[int], span: Window, *, inclusive: bool) -> bool:
    """Whether the server kept the bounds that were asked for."""
    return (span.start is None or dates[-1] >= span.start - 1) and (
        span.end is None or dates[0] <= span.end - inclusive
    )


def _fresh(items: list[dict[str, Any]], dates: list[int], span: Window, edge: frozenset[str]) -> list[dict[str, Any]]:
    """Keep what lies in the span and was not listed with the page before."""
    first = -math.inf if span.start is None else span.start
    end = math.inf if span.end is None else span.end
    head = next((place for place, date in enumerate(dates) if date < end - 1), len(dates))
    if head < len(dates) and not (min(dates[head:]) >= first and max(dates[head:]) < end - 1):
        head = len(dates)  # else they need no look at each: all of a page's meetings lie in the span, as a rule
    bound = [
        item
        for item, date in zip(items[:head], dates, strict=False)
        if first <= date < end and not (date == end - 1 and str(item.get("id")) in edge)
    ]
    return unrepeated(bound + items[head:])
