"""A window that is read in spans of about a page each: which spans come next, and what can be handed over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.density import quantile_cuts, width
from airflow_provider_meetings.vendors.forecast import FILL, Asked, Forecast, Knowledge

__all__ = ["SpanLine"]

# After an answer that was in order of time: the part of a page that the next span should hold, which is known then.
_FILL_BY_ORDER = 0.97
# After one that was in no order: the part of its meetings that the next span may hold at most.
_MOST_OF_OVERFULL = 0.9
# After one that was latest first: spans before what is known that are taken to be as busy.
_BACKWARDS = 2
# Pages that a stretch should have. Stretches are read side by side, the spans of each one after another.
_STRETCH = 15


@dataclass(slots=True)
class _Segment:
    """A part of a stretch.

    Attributes:
        span: From when to when.
        items: Its meetings, once it was read.
        whole: It is to be asked for as it is: where it was cut is known to be good.
        by_order: It was cut by what an ordered answer said.
    """

    span: Window
    items: list[dict[str, Any]] | None = None
    whole: bool = False
    by_order: bool = False

    @property
    def is_loose(self) -> bool:
        """Whether it is still to be cut."""
        return self.items is None and not self.whole


@dataclass(slots=True, eq=False)
class _Stretch:
    """A part of the window whose spans are asked for one after another: each tells how busy this time is.

    Attributes:
        segments: Its parts, in order of time.
        known: What is known of it by itself.
        limit: No span goes beyond that begins where the first unread one does: it was too full.
    """

    segments: deque[_Segment]
    known: Knowledge = field(default_factory=Knowledge)
    limit: Window | None = None

    @property
    def is_read(self) -> bool:
        """Whether all of it was read."""
        return all(segment.items is not None for segment in self.segments)


class SpanLine:
    """The spans of a window that have to be read, and those that were.

    A span whose answer is no full page is complete. One that fills a page is cut where its meetings are: the starts
    that are known say where. If the answer was in order of time, the first (or last) meetings of the span are known
    without a gap, and the cut leaves nearly a page of them; an order that turns out to be none is not used again.

    Args:
        window: What is to be read, bounded on both sides.
        page_size: Meetings a page.
        longest: The longest span that may be asked for, in milliseconds.
        expected: When meetings are likely to begin, as far as the caller knows, in Unix milliseconds and any order.
            They are used once a full answer agrees with them, and only to say where to cut.
    """

    def __init__(self, window: Window, *, page_size: int, longest: int, expected: Sequence[int] = ()) -> None:
        self._page_size = page_size
        self._longest = longest
        self._forecast = Forecast(window, page_size, expected)
        self._density = self._forecast.density
        self._stretches: deque[_Stretch] = deque()
        self._rest: Window | None = window if width(window) > 0 else None
        self._trusts_order = True
        self._asked: dict[Window, tuple[_Stretch, _Segment, Asked]] = {}

    def next_spans(self, most: int) -> list[Window]:
        """Return the spans to ask for next, at most one of each stretch; none where everything was read."""
        self._asked = {}
        for stretch in self._open_stretches(most):
            self._ask(stretch)
        return list(self._asked)

    def _open_stretches(self, most: int) -> list[_Stretch]:
        unread = [stretch for stretch in self._stretches if not stretch.is_read]
        if not self._density.is_known:
            most = 1  # how many meetings there are is found out once, not for each stretch
        # What was read is held until all before it was: so there is a bound for how far ahead is read.
        while self._rest is not None and len(unread) < most and len(self._stretches) < 2 * most:
            self._stretches.append(self._next_stretch(self._rest))
            unread.append(self._stretches[-1])
        return unread

    def _next_stretch(self, rest: Window) -> _Stretch:
        start, end = _bounds(rest)
        cut = min(end, start + self._longest)
        if self._density.is_known:
            level = self._density.level(start).factor
            cut = self._density.cut(start, cut, _STRETCH * FILL * self._page_size / level)
        self._rest = Window(cut, end) if cut < end else None
        return _Stretch(deque([_Segment(Window(start, cut))]))

    def _ask(self, stretch: _Stretch) -> None:
        """Choose the first span of a stretch that was not read."""
        segments = stretch.segments
        place = next(place for place, segment in enumerate(segments) if segment.items is None)
        while len(segments) > place + 1 and segments[place].is_loose and segments[place + 1].is_loose:
            # What is left over of a cut is asked for together with what follows.
            segments[place] = _Segment(Window(segments[place].span.start, segments[place + 1].span.end))
            del segments[place + 1]
        segment = segments[place]
        span = self._first_span(stretch, segment)
        if span != segment.span:
            segments.insert(place + 1, _Segment(Window(span.end, segment.span.end)))
        segments[place] = segment = _Segment(span, whole=True, by_order=segment.by_order)
        self._asked[span] = (stretch, segment, self._forecast.asked(stretch.known, span))

    def _first_span(self, stretch: _Stretch, segment: _Segment) -> Window:
        start, end = _bounds(segment.span)
        furthest = min(end, start + self._longest)
        if segment.whole and furthest == end:
            return segment.span
        if stretch.limit is not None and stretch.limit.start == start:
            furthest = min(furthest, _bounds(stretch.limit)[1])
        return Window(start, min(furthest, self._forecast.cut(stretch.known, start, end)))

    def read(self, span: Window, items: list[dict[str, Any]], starts: Sequence[int]) -> None:
        """Take in the complete answer to a span.

        Args:
            span: One that :meth:`next_spans` has returned last.
            items: Its meetings.
            starts: When they begin; empty where they say nothing about the density.
        """
        stretch, segment, asked = self._asked[span]
        segment.items = items
        if starts or not items:
            self._forecast.read(stretch.known, span, asked, sorted(starts))

    def cut(self, span: Window, starts: list[int]) -> None:
        """Cut a span whose answer filled a page.

        Args:
            span: One that :meth:`next_spans` has returned last, at least two milliseconds long.
            starts: When the meetings of the answer begin, in the answer's order.
        """
        stretch, segment, asked = self._asked[span]
        low, high = _bounds(span)
        rises, falls = starts == sorted(starts), starts == sorted(starts, reverse=True)
        known = sorted(max(low, min(high - 1, start)) for start in starts)
        if segment.by_order:
            self._trusts_order = False
        self._forecast.overflowed(asked, known)
        # Latest first, the order tells nothing of what comes next: what the caller expects tells more.
        if rises != falls and self._trusts_order and (rises or not self._forecast.uses_likely):
            self._forecast.is_ordered = True
            parts = self._cut_by_order(stretch, span, known, from_start=rises)
        else:
            self._forecast.sample(stretch.known, span, known)
            stretch.limit, _ = quantile_cuts(span, known, _MOST_OF_OVERFULL)
            parts = [_Segment(span)]
        place = stretch.segments.index(segment)
        del stretch.segments[place]
        for part in reversed(parts):
            stretch.segments.insert(place, part)

    def _cut_by_order(self, stretch: _Stretch, span: Window, known: list[int], *, from_start: bool) -> list[_Segment]:
        low, high = _bounds(span)
        page = len(known)
        if from_start:
            instant = known[max(1, int(page * _FILL_BY_ORDER))]
            cut = instant - 1 if instant - 1 > low else instant
            complete = Window(low, known[-1])
        else:
            instant = known[page - 1 - max(1, int(page * _FILL_BY_ORDER))]
            cut = instant + 2 if instant + 2 < high else instant + 1
            complete = Window(known[0] + 1, high)
        if not low < cut < high:
            return [_Segment(window, whole=True) for window in quantile_cuts(span, known, 0.5)]
        if width(complete) > 0:
            inside = [start for start in known if start in complete]
            self._forecast.prefix(stretch.known, complete, inside, from_start=from_start)
            before = self._density.expected(low, known[0]) * self._density.level(low).factor
            if not from_start and before < FILL * page:
                # What is left over is to be at the end: there it is asked for together with what follows.
                first, rest = quantile_cuts(span, known, FILL - before / page)
                return [_Segment(first, whole=True), _Segment(rest)]
        if from_start:
            return [_Segment(Window(low, cut), whole=True, by_order=True), _Segment(Window(cut, high))]
        later = [_Segment(Window(cut, high), whole=True, by_order=True)]
        if not self._forecast.is_mature:
            # What lies just after a moment tells of what lies before: asked for, it need not be found out once more.
            length = int((known[page // 2] - known[0]) * FILL / 0.5)
            for _ in range(_BACKWARDS):
                if length > 1 and cut - length > low:
                    later.insert(0, _Segment(Window(cut - length, cut), whole=True))
                    cut -= length
        return [_Segment(Window(low, cut)), *later]

    def ready(self) -> Iterator[list[dict[str, Any]]]:
        """Yield what was read and has nothing unread before it, in order of time."""
        while self._stretches:
            segments = self._stretches[0].segments
            while segments and (items := segments[0].items) is not None:
                segments.popleft()
                yield items
            if segments:
                return
            self._stretches.popleft()


def _bounds(span: Window) -> tuple[int, int]:
    assert span.start is not None  # noqa: S101 - the window is bounded, and so are its parts
    assert span.end is not None  # noqa: S101
    return span.start, span.end
