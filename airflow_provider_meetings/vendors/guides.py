"""What tells where the meetings of a span lie: known starts, what lies just before, and the hours of the week. Pure.

Each source says how many meetings it expects and how far off that may be; one that was further off than it said is
believed less from then on. A wrong estimate costs a request, never a meeting.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.density import Density

__all__ = ["DensitySource", "Estimate", "Guide", "Source", "Trend", "Trust"]

# The least variance of a guide that knows all meetings, relative to their number: some come and go meanwhile.
_CHURN = 0.02
# The last meetings that a trend looks at, and the fewest that make one.
_TREND, _FEWEST = 60, 10
# What the level of a time does not tell of the next span: the variance of the busy and the quiet days, relative to it.
_DAYS = 0.005
# A surprise counts for so much at most, and so much of the trust of before is kept.
_SHOCK, _MEMORY = 15.0, 0.6


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many meetings there are in a span.

    Attributes:
        count: The mean.
        noise: The part of the variance that is chance, relative to the mean.
        doubt: The part that comes of a rate that is not well known, relative to the square of the mean.
    """

    count: float
    noise: float
    doubt: float

    def variance(self, count: float) -> float:
        """Return the variance of so many meetings."""
        return self.noise * count + self.doubt * count * count


class Trust:
    """How far off a kind of source was of late.

    Args:
        factor: By what its variances are to be multiplied as long as nothing is known.
    """

    def __init__(self, factor: float) -> None:
        self._surprise = factor

    @property
    def factor(self) -> float:
        """By what the variances of the source are to be multiplied; 1: it was as far off as it said."""
        return max(1.0, self._surprise)

    def learn(self, estimate: Estimate, found: float) -> None:
        """Compare an estimate with what was found."""
        surprise = (found - estimate.count) ** 2 / (estimate.variance(estimate.count) + 1.0)
        self._surprise = _MEMORY * self._surprise + (1 - _MEMORY) * min(_SHOCK, surprise)


class Source(Protocol):
    """Tells how many meetings lie where. Spans are given by their bounds, in Unix milliseconds."""

    def estimate(self, start: int, end: int) -> Estimate:
        """Return how many meetings to expect between two moments."""

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""


class Guide:
    """Some starts in a span: each stands for as many meetings as it turned out to where all of them are known by now.

    Args:
        span: Where the starts tell something.
        starts: The starts, sorted.
        ratio: How many meetings a start stands for, as a first guess.
        weight: How much that guess is worth, in starts.
        skew: How little the starts may be like the others, which are not known: in ids' order they are the oldest.
    """

    def __init__(self, span: Window, starts: Sequence[int], ratio: float, weight: float, *, skew: float = 0.0) -> None:
        self.span = span
        self._starts = starts
        self._skew = skew
        self.guess(ratio, weight)

    def guess(self, ratio: float, weight: float) -> None:
        """Take another first guess."""
        self._found, self._among = ratio * weight, weight

    def share(self, starts: Sequence[int]) -> float:
        """Return which part of some starts is among the guide's."""
        places = (bisect_left(self._starts, start) for start in starts)
        return sum(self._starts[place : place + 1] == [start] for place, start in zip(places, starts, strict=True)) / (
            len(starts) or 1
        )

    def learn(self, span: Window, starts: Sequence[int]) -> None:
        """Take in a span, bounded on both sides, whose meetings are all known (sorted)."""
        start, end = max(self.span.start or 0, span.start or 0), min(self.span.end or 0, span.end or 0)
        if start < end:
            self._among += _between(self._starts, start, end)
            self._found += _between(starts, start, end)

    def estimate(self, start: int, end: int) -> Estimate:
        """Return how many meetings to expect between two moments."""
        ratio = self._found / self._among
        beyond = max(0.0, ratio - 1)  # the meetings that are not known, for each that is
        doubt = (beyond / ratio + self._skew) / self._among
        return Estimate(_between(self._starts, start, end) * ratio, max(_CHURN, beyond), doubt)

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""
        starts = self._starts
        place = bisect_left(starts, start) + max(1, int(target * self._among / self._found))
        if place < len(starts) and starts[place] - 1 <= start:  # a crowd of one moment
            place = bisect_left(starts, starts[place] + 1)
        # Before the meeting, not at it: a bound that is included would bring all that begin there.
        return end if place >= len(starts) else max(start + 1, min(end, starts[place] - 1))


class Trend:
    """What lies just before goes on.

    Args:
        start: From when all is known.
        end: Until when.
        starts: The meetings between the two, sorted.
    """

    def __init__(self, start: int, end: int, starts: Sequence[int]) -> None:
        last = starts[-_TREND:]
        since = start if len(last) == len(starts) else last[0]
        self._rate = (len(last) + 0.5) / max(1, end - since)
        self._end, self._count = end, len(last)

    def tells_of(self, at: int) -> bool:
        """Whether it is worth something at a moment."""
        return self._count >= _FEWEST and at >= self._end

    def estimate(self, start: int, end: int) -> Estimate:
        """Return how many meetings to expect between two moments."""
        return Estimate((end - start) * self._rate, 1.0, 1 / (self._count + 0.5))

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""
        return min(end, start + max(1, int(min(target / self._rate, end - start))))


class DensitySource:
    """How the week goes, as busy as the days around a moment are."""

    def __init__(self, density: Density, at: int) -> None:
        self._density = density
        self._level = density.level(at)

    def estimate(self, start: int, end: int) -> Estimate:
        """Return how many meetings to expect between two moments."""
        return Estimate(self._density.expected(start, end) * self._level.factor, 1.0, self._level.variance + _DAYS)

    def cut(self, start: int, end: int, target: float) -> int:
        """Return where a span that begins at ``start`` has about ``target`` meetings; at most ``end``."""
        return self._density.cut(start, end, target / self._level.factor)


def _between(starts: Sequence[int], start: int, end: int) -> int:
    return bisect_left(starts, end) - bisect_left(starts, start)
