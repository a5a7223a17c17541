"""A window that is read in spans of about a page each: which spans come next, and what can be handed over in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.density import Density, quantile_cuts, width

__all__ = ["SpanLine"]

# The part of a page that a span should fill at most: more, and too many spans turn out to be too full.
_FILL_MAX = 0.82
# The same for what is cut after an answer that was too full.
_FILL = 0.8
# After an answer that was in order of time: the part of a page that the next span should hold, which is known then.
_FILL_BY_ORDER = 0.96
# After one that was in no order: a full page says that there are so many times as many at least.
_OVERFULL = 1.2
# Nothing is known of how many meetings there are beyond the first full page: cut into so many parts.
_BLIND_PARTS = 4
# How much of the level of one stretch is taken over to the next.
_INHERIT = 0.5
# Pages that a stretch should have. Stretches are read side by side, the spans of each one after another.
_STRETCH = 10


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
        level: How busy it is, beside what the hours of the week usually have.
    """

    segments: deque[_Segment]
    level: float = 1.0

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
    """

    def __init__(self, window: Window, *, page_size: int, longest: int) -> None:
        self._page_size = page_size
        self._longest = longest
        self._density = Density()
        self._stretches: deque[_Stretch] = deque()
        self._rest: Window | None = window if width(window) > 0 else None
        self._trusts_order = True
        self._asked: dict[Window, tuple[_Stretch, _Segment]] = {}

    def next_spans(self, most: int) -> list[Window]:
        """Return the spans to ask for next, at most one of each stretch; none where everything was read."""
        self._asked = {}
        for stretch in self._open_stretches(most):
            self._ask(stretch)
        return list(self._asked)

    def _open_stretches(self, most: int) -> list[_Stretch]:
        unread = [stretch for stretch in self._stretches if not stretch.is_read]
        # What was read is held until all before it was: so there is a bound for how far ahead is read.
        while self._rest is not None and len(unread) < most and len(self._stretches) < 2 * most:
            self._stretches.append(self._next_stretch(self._rest))
            unread.append(self._stretches[-1])
        return unread

    def _next_stretch(self, rest: Window) -> _Stretch:
        start, end = _bounds(rest)
        cut = min(end, start + self._longest)
        level = self._stretches[-1].level ** _INHERIT if self._stretches else 1.0
        if self._density.is_known:
            cut = self._density.cut(start, cut, _STRETCH * _FILL * self._page_size / level)
        self._rest = Window(cut, end) if cut < end else None
        return _Stretch(deque([_Segment(Window(start, cut))]), level)

    def _ask(self, stretch: _Stretch) -> None:
        """Choose the first span of a stretch that was not read."""
        segments = stretch.segments
        place = next(place for place, segment in enumerate(segments) if segment.items is None)
        while len(segments) > place + 1 and segments[place].is_loose and segments[place + 1].is_loose:
            # What is left over of a cut is asked for together with what follows.
            segments[place] = _Segment(Window(segments[place].span.start, segments[place + 1].span.end))
            del segments[place + 1]
        segment = segments[place]
        span = self._first_span(segment, stretch.level)
        if span != segment.span:
            segments.insert(place + 1, _Segment(Window(span.end, segment.span.end)))
        segments[place] = segment = _Segment(span, whole=True, by_order=segment.by_order)
        self._asked[span] = (stretch, segment)

    def _first_span(self, segment: _Segment, level: float) -> Window:
        start, end = _bounds(segment.span)
        furthest = min(end, start + self._longest)
        if segment.whole and furthest == end:
            return segment.span
        if not self._density.is_known:
            return Window(start, furthest)
        # Equal parts: the last one would else be small and cost a request all the same.
        expected = self._density.expected(start, end)
        parts = max(1, math.ceil(expected * level / (_FILL_MAX * self._page_size)))
        return Window(start, self._density.cut(start, furthest, expected / parts) if parts > 1 else furthest)

    def read(self, span: Window, items: list[dict[str, Any]], starts: Sequence[int]) -> None:
        """Take in the complete answer to a span.

        Args:
            span: One that :meth:`next_spans` has returned last.
            items: Its meetings.
            starts: When they begin; empty where they say nothing about the density.
        """
        stretch, segment = self._asked[span]
        segment.items = items
        if starts or not items:
            self._learn(stretch, span, starts)

    def _learn(self, stretch: _Stretch, span: Window, starts: Sequence[int]) -> None:
        stretch.level = self._density.learn(span, starts, stretch.level)

    def cut(self, span: Window, starts: list[int]) -> None:
        """Cut a span whose answer filled a page.

        Args:
            span: One that :meth:`next_spans` has returned last, at least two milliseconds long.
            starts: When the meetings of the answer begin, in the answer's order.
        """
        stretch, segment = self._asked[span]
        low, high = _bounds(span)
        rises, falls = starts == sorted(starts), starts == sorted(starts, reverse=True)
        known = sorted(max(low, min(high - 1, start)) for start in starts)
        if segment.by_order:
            self._trusts_order = False
        if rises != falls and self._trusts_order:
            parts = self._cut_by_order(stretch, span, known, from_start=rises)
        else:
            parts = self._cut_blindly(stretch, span, known)
        place = stretch.segments.index(segment)
        del stretch.segments[place]
        for part in reversed(parts):
            stretch.segments.insert(place, part)

    def _cut_blindly(self, stretch: _Stretch, span: Window, known: list[int]) -> list[_Segment]:
        if not self._density.is_known:
            return [_Segment(window, whole=True) for window in quantile_cuts(span, known, _BLIND_PARTS)]
        expected = self._density.expected(*_bounds(span)) * stretch.level
        count = max(_OVERFULL * self._page_size, expected)
        first, rest = quantile_cuts(span, known, 2, share=_FILL * self._page_size / count)
        stretch.level *= max(1.0, min(2.0, count / max(1.0, expected)))
        return [_Segment(first, whole=True), _Segment(rest)]

    def _cut_by_order(self, stretch: _Stretch, span: Window, known: list[int], *, from_start: bool) -> list[_Segment]:
        low, high = _bounds(span)
        count = max(1, int(len(known) * _FILL_BY_ORDER))
        if from_start:
            instant = known[count]
            cut = instant - 1 if instant - 1 > low else instant
            complete = Window(low, known[-1])
        else:
            instant = known[len(known) - count - 1]
            cut = instant + 2 if instant + 2 < high else instant + 1
            complete = Window(known[0] + 1, high)
        if not low < cut < high:
            return [_Segment(window, whole=True) for window in quantile_cuts(span, known, 2)]
        if width(complete) > 0:
            self._learn(stretch, complete, [start for start in known if start in complete])
        return [
            _Segment(Window(low, cut), whole=from_start, by_order=from_start),
            _Segment(Window(cut, high), whole=not from_start, by_order=not from_start),
        ]

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
