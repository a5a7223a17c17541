"""Where in time the meetings lie, learned while a list is read. Pure; only the number of requests depends on it.

Calendars are uneven: nights and weekends are empty, Tuesday at ten is full. What was read so far tells how many
meetings an hour of the week has, and so where to cut what is still to be read into spans that nearly fill a page.
A wrong estimate costs a request, never a meeting: each answer says by itself whether it is complete.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_meetings.core.times import Window

__all__ = ["Density", "quantile_cuts", "width"]

_HOUR = 3_600_000
_WEEK_HOURS = 168
_MINUTE = 60_000
# Hours' worth of the coarser estimate (the same hour on other days, then any hour) that a finer one is mixed with.
_PRIOR = 0.25
# How much one answer says of the level, and how far the level may go: a week may be busier than those before.
_LEVEL_STEP = 0.6
_LEVEL_RANGE = (0.2, 5.0)
# Meetings that are added to both sides of a comparison, so that a few more or less say little.
_SOFTEN = 8.0


def width(span: Window) -> int:
    """Return the milliseconds of a span that is bounded on both sides."""
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    return span.end - span.start


@dataclass(slots=True)
class _Bins:
    """Meetings and hours seen, by a slot of the week or the day."""

    counts: list[float]
    hours: list[float]

    @classmethod
    def empty(cls, slots: int) -> _Bins:
        return cls([0.0] * slots, [0.0] * slots)

    def rate(self, slot: int, prior: float) -> float:
        return (self.counts[slot] + _PRIOR * prior) / (self.hours[slot] + _PRIOR)


@dataclass(slots=True)
class Density:
    """Meetings an hour, by the hour of the week."""

    _week: _Bins = field(default_factory=lambda: _Bins.empty(_WEEK_HOURS))
    _day: _Bins = field(default_factory=lambda: _Bins.empty(24))
    _all: _Bins = field(default_factory=lambda: _Bins.empty(1))

    @property
    def is_known(self) -> bool:
        """Whether anything was learned yet."""
        return self._all.hours[0] > 0

    def learn(self, span: Window, starts: Sequence[int], level: float = 1.0) -> float:
        """Take in a span whose meetings are all known.

        Args:
            span: The span, bounded on both sides.
            starts: When its meetings begin, in Unix milliseconds.
            level: How busy the time around it was taken to be, beside what its hours usually have.

        Returns:
            The level as it appears now.
        """
        assert span.start is not None  # noqa: S101 - the caller's spans are bounded
        assert span.end is not None  # noqa: S101
        if self.is_known:
            ratio = (len(starts) + _SOFTEN) / (self.expected(span.start, span.end) * level + _SOFTEN)
            low, high = _LEVEL_RANGE
            level = min(high, max(low, level * ratio**_LEVEL_STEP))
        at = span.start
        while at < span.end:
            hour = at // _HOUR
            following = min(span.end, (hour + 1) * _HOUR)
            self._add(hour, hours=(following - at) / _HOUR)
            at = following
        for hour, count in Counter([start // _HOUR for start in starts]).items():
            self._add(hour, count=float(count))
        return level

    def _add(self, hour: int, *, count: float = 0.0, hours: float = 0.0) -> None:
        for bins, slot in ((self._week, hour % _WEEK_HOURS), (self._day, hour % 24), (self._all, 0)):
            bins.counts[slot] += count
            bins.hours[slot] += hours

    def _rate(self, hour: int) -> float:
        overall = self._all.counts[0] / self._all.hours[0] if self._all.hours[0] else 0.0
        return self._week.rate(hour % _WEEK_HOURS, self._day.rate(hour % 24, overall))

    def expected(self, start: int, end: int) -> float:
        """Return how many meetings to expect between two moments."""
        total, at = 0.0, start
        while at < end:
            hour = at // _HOUR
            following = min(end, (hour + 1) * _HOUR)
            total += self._rate(hour) * (following - at) / _HOUR
            at = following
        return total

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""
        total, at = 0.0, start
        while at < end:
            hour = at // _HOUR
            following = min(end, (hour + 1) * _HOUR)
            part = self._rate(hour) * (following - at) / _HOUR
            if total + part > target:
                return min(end, _beside_minute(start, at + max(1, int((following - at) * (target - total) / part))))
            total, at = total + part, following
        return end

    def cut_before(self, start: int, end: int, target: float) -> int:
        """Return where a span that ends at ``end`` has about ``target`` meetings; at least ``start``."""
        total, at = 0.0, end
        while at > start:
            hour = (at - 1) // _HOUR
            previous = max(start, hour * _HOUR)
            part = self._rate(hour) * (at - previous) / _HOUR
            if total + part > target:
                cut = at - max(1, int((at - previous) * (target - total) / part))
                return max(start, min(end - 1, _beside_minute(start, cut)))
            total, at = total + part, previous
        return start


def _beside_minute(after: int, cut: int) -> int:
    """Move a cut to just before a minute, where it leaves something after ``after``.

    A bound is asked for a millisecond wider, and meetings begin on whole minutes: what begins just at the bound would
    take places of the page.
    """
    snapped = cut // _MINUTE * _MINUTE - 2
    return snapped if snapped > after else max(cut, after + 1)


def quantile_cuts(span: Window, starts: Sequence[int], parts: int, *, share: float | None = None) -> list[Window]:
    """Cut a span into parts that hold about equally many of the known starts; at least two, all shorter than the span.

    Args:
        span: At least two milliseconds long.
        starts: Some starts of meetings in it, sorted.
        parts: How many are wanted; there may be fewer, where many meetings begin at one instant.
        share: The part of the starts that the first of two parts is to hold; None: equal parts.
    """
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    bounds = [span.start]
    for part in range(1, parts):
        instant = starts[min(len(starts) - 1, int(len(starts) * (share or part / parts)))]
        # Before the instant, not at it: a bound that is included would bring all that begin there.
        cut = instant - 1 if instant - 1 > bounds[-1] else instant
        if bounds[-1] < cut < span.end:
            bounds.append(cut)
    if len(bounds) == 1:  # all of them begin at the very start
        crowd = bisect_left(starts, starts[0] + 1)
        following = starts[crowd] if crowd < len(starts) else starts[0] + 1
        bounds.append(min(max(span.start + 1, following), span.end - 1))
    bounds.append(span.end)
    return [Window(low, high) for low, high in itertools.pairwise(bounds)]
