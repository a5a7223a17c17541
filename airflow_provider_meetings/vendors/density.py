"""Where in time the meetings lie, learned while a list is read. Pure; only the number of requests depends on it.

Calendars are uneven: nights and weekends are empty, Tuesday at ten is full, and one week is busier than another. What
was read so far tells how many meetings an hour of the week has, and how busy the days around a moment are beside that;
and so where to cut what is still to be read into spans that nearly fill a page. A wrong estimate costs a request, never
a meeting: each answer says by itself whether it is complete.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_provider_meetings.core.times import DAY, Window

__all__ = ["Density", "Level", "quantile_cuts", "width"]

_HOUR = 3_600_000
_DAY_HOURS = 24
_WEEK_HOURS = 168
_MINUTE = 60_000
# Hours' worth of the coarser estimate (weekday and hour of the day by themselves) that a finer one is mixed with.
_PRIOR = 0.3
# Meetings' worth of "as busy as usual" that the level of a moment is mixed with: how far weeks differ from each other.
_LEVEL_PRIOR = 20.0
# The same for the months around it.
_TREND_PRIOR = 60.0
# How far, in milliseconds, what was read says something of the level of another moment, and of the months around it.
_NEAR = 1.25 * 24 * _HOUR
_FAR = 45.0 * 24 * _HOUR
# Days, or parts of them, that are remembered for that.
_RECENT = 128
# A span that is longer, in milliseconds, is remembered as one.
_LONG = 14 * 24 * _HOUR


def width(span: Window) -> int:
    """Return the milliseconds of a span that is bounded on both sides."""
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    return span.end - span.start


class Level(NamedTuple):
    """How busy the days around a moment are, beside what their hours usually have.

    Attributes:
        factor: 1 is as busy as usual.
        variance: How sure that is: the variance of the factor, relative to its square.
    """

    factor: float
    variance: float


@dataclass(slots=True)
class _Bins:
    """Meetings and hours that were seen: by hour of the week, by weekday, by hour of the day, and in all."""

    week: list[float] = field(default_factory=lambda: [0.0] * _WEEK_HOURS)
    weekday: list[float] = field(default_factory=lambda: [0.0] * 7)
    day: list[float] = field(default_factory=lambda: [0.0] * _DAY_HOURS)
    total: float = 0.0

    def add(self, hour: int, amount: float) -> None:
        slot = hour % _WEEK_HOURS
        self.week[slot] += amount
        self.weekday[slot // _DAY_HOURS] += amount
        self.day[slot % _DAY_HOURS] += amount
        self.total += amount


@dataclass(slots=True)
class Density:
    """Meetings an hour, by the hour of the week."""

    _counts: _Bins = field(default_factory=_Bins)
    _hours: _Bins = field(default_factory=_Bins)
    # Of answers that show a part of the meetings only: they tell when meetings are, not how many there are.
    _sampled: _Bins = field(default_factory=_Bins)
    _sampled_hours: _Bins = field(default_factory=_Bins)
    _recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    # Meetings from the start of the week to each of its hours; empty: to be computed.
    _sums: list[float] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether anything was learned yet."""
        return self._hours.total > 0

    @property
    def hours(self) -> float:
        """Of how many hours all is known."""
        return self._hours.total

    def learn(self, span: Window, starts: Sequence[int]) -> None:
        """Take in a span whose meetings are all known.

        Args:
            span: The span, bounded on both sides.
            starts: When its meetings begin, in Unix milliseconds.
        """
        _count(self._counts, self._hours, span, starts)
        self._sums = []
        for start, end, count in _by_days(span, starts):
            if count or self.expected(start, end) > 1:  # a night or a weekend says nothing
                self._recent.append((start, end, count))

    def sample(self, starts: Sequence[int]) -> None:
        """Take in some of the meetings of a span, in no order that has to do with when they begin.

        Args:
            starts: When they begin, sorted.
        """
        _count(self._sampled, self._sampled_hours, Window(starts[0], starts[-1] + 1), starts)
        self._sums = []

    def level(self, at: int) -> Level:
        """Return how busy the days around a moment are."""
        near, expected_near, far, expected_far = 0.0, 0.0, 0.0, 0.0
        for start, end, count in self._recent:
            distance = max(start - at, at - end, 0)
            expected = self.expected(start, end)
            weight = math.exp(-distance / _FAR)
            far, expected_far = far + weight * count, expected_far + weight * expected
            weight = math.exp(-distance / _NEAR)
            near, expected_near = near + weight * count, expected_near + weight * expected
        trend = (far + _TREND_PRIOR) / (expected_far + _TREND_PRIOR)
        sure = _LEVEL_PRIOR + expected_near
        return Level((near + _LEVEL_PRIOR * trend) / sure, 1 / sure)

    def _rates(self) -> Iterator[float]:
        counts, hours = self._counts, self._hours
        overall = counts.total / hours.total
        # Some of the meetings of a time say as much as all of them would in a part of it.
        seen = self._sampled.total / overall / max(1.0, self._sampled_hours.total) if overall else 0.0

        def coarse(bins: str, slot: int) -> float:
            count: float = getattr(counts, bins)[slot] + getattr(self._sampled, bins)[slot] + _PRIOR * overall
            time: float = getattr(hours, bins)[slot] + seen * getattr(self._sampled_hours, bins)[slot] + _PRIOR
            return count / time

        weekdays = [coarse("weekday", slot) for slot in range(7)]
        days = [coarse("day", slot) for slot in range(_DAY_HOURS)]
        for slot in range(_WEEK_HOURS):
            usual = weekdays[slot // _DAY_HOURS] * days[slot % _DAY_HOURS] / overall if overall else 0.0
            yield (counts.week[slot] + _PRIOR * usual) / (hours.week[slot] + _PRIOR)

    def _before(self, at: int) -> float:
        """Return how many meetings there are from the beginning of time to a moment."""
        if not self._sums:
            self._sums = [0.0, *itertools.accumulate(self._rates() if self.is_known else [0.0] * _WEEK_HOURS)]
        weeks, hour = divmod(at // _HOUR, _WEEK_HOURS)
        before = self._sums[hour]
        return weeks * self._sums[-1] + before + (self._sums[hour + 1] - before) * (at % _HOUR) / _HOUR

    def _when(self, count: float) -> int:
        """Return the moment before which there are so many meetings."""
        weeks, rest = divmod(count, self._sums[-1])
        hour = min(_WEEK_HOURS, max(1, bisect_left(self._sums, rest))) - 1
        rate = self._sums[hour + 1] - self._sums[hour]
        within = (rest - self._sums[hour]) / rate if rate else 0.0
        return int((weeks * _WEEK_HOURS + hour + within) * _HOUR)

    def expected(self, start: int, end: int) -> float:
        """Return how many meetings to expect between two moments, at the usual level."""
        return self._before(end) - self._before(start)

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""
        before = self._before(start)
        if self._before(end) - before <= target:
            return end
        return min(end, _beside_minute(start, max(start + 1, self._when(before + target))))

    def cut_before(self, start: int, end: int, target: float) -> int:
        """Return where a span that ends at ``end`` has about ``target`` meetings; at least ``start``."""
        before = self._before(end)
        if before - self._before(start) <= target:
            return start
        return max(start, min(end - 1, _beside_minute(start, self._when(before - target))))


def _count(counts: _Bins, hours: _Bins, span: Window, starts: Iterable[int]) -> None:
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    weeks = width(span) // (_WEEK_HOURS * _HOUR)
    if weeks:
        for slot in range(_WEEK_HOURS):
            hours.add(slot, weeks)
    at = span.start + weeks * _WEEK_HOURS * _HOUR
    while at < span.end:
        hour = at // _HOUR
        following = min(span.end, (hour + 1) * _HOUR)
        hours.add(hour, (following - at) / _HOUR)
        at = following
    for hour, count in Counter([start // _HOUR for start in starts]).items():
        counts.add(hour, count)


def _by_days(span: Window, starts: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield the days of a span, from when to when, with the number of meetings of each; as one, where it is long."""
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    if width(span) > _LONG:
        yield span.start, span.end, len(starts)
        return
    found, at = sorted(starts), span.start
    while at < span.end:
        end = min(span.end, (at // DAY + 1) * DAY)
        yield at, end, bisect_left(found, end) - bisect_left(found, at)
        at = end


def _beside_minute(after: int, cut: int) -> int:
    """Move a cut to just before a minute, where it leaves something after ``after``.

    A bound is asked for a millisecond wider, and meetings begin on whole minutes: what begins just at the bound would
    take places of the page.
    """
    snapped = cut // _MINUTE * _MINUTE - 2
    return snapped if snapped > after else max(cut, after + 1)


def quantile_cuts(span: Window, starts: Sequence[int], share: float) -> tuple[Window, Window]:
    """Cut a span in two, of which the first holds a share of the known starts.

    Args:
        span: At least two milliseconds long.
        starts: Some starts of meetings in it, sorted.
        share: Between 0 and 1.
    """
    assert span.start is not None  # noqa: S101 - the caller's spans are bounded
    assert span.end is not None  # noqa: S101
    instant = starts[min(len(starts) - 1, int(len(starts) * share))]
    # Before the instant, not at it: a bound that is included would bring all that begin there.
    cut = instant - 1 if instant - 1 > span.start else instant
    if not span.start < cut < span.end:  # the first of them begin at the very start
        at_start = bisect_left(starts, starts[0] + 1)
        following = starts[at_start] if at_start < len(starts) else starts[0] + 1
        cut = min(max(span.start + 1, following), span.end - 1)
    return Window(span.start, cut), Window(cut, span.end)
