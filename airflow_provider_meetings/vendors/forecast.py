"""How many meetings the next span of a window will have, of all that tells something of it. Pure."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_provider_meetings.core.times import DAY, Window
from airflow_provider_meetings.vendors.density import Density
from airflow_provider_meetings.vendors.guides import DensitySource, Estimate, Guide, Source, Trend, Trust

__all__ = ["FILL", "Asked", "Forecast", "Knowledge"]

# The part of a page that spans fill on average, and the parts that are considered for the next one.
FILL = 0.83
_FILLS = (0.98, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55)
# Requests that a span which turns out to be too full costs on top, where answers are in order and where they are not.
_COST_IN_ORDER = 1.2
_COST = 1.3
# A full page says that there are so many times as many at least.
_OVERFULL = 1.1
# How many meetings each of a full page stands for, where nothing is known; and where it was a part of another one.
_BLIND, _BLIND_AGAIN = 5.8, 1.4
# What that guess is worth, in meetings, and what one is worth that has a reason, or comes of the caller.
_GUESS, _REASON, _CALLERS = 3.0, 60.0, 20.0
# How little a sample may be like the meetings that are not known.
_SKEW = 0.5
# The same for meetings of which all are known.
_CERTAIN = 1000.0
# A caller's expectation is used where so much of the first full page agrees with it.
_AGREES = 0.5
# Hours of which all has to be known until the week's hours are believed more than anything else.
_MATURE = 336.0
# Before that: how far off they, and what lies just before, are taken to be, and from where on they are of no use.
_NEW_DENSITY, _NEW_TREND, _USELESS = 4.0, 2.0, 8.0
# Midnights after which the days may be busier, or quieter: each day's level is looked at by itself.
_MIDNIGHTS = 3


@dataclass(slots=True)
class Knowledge:
    """What is known of a part of the window by itself.

    Attributes:
        guides: What answers that were too full tell of parts of it, the latest last.
        trend: What was read last tells of what follows.
    """

    guides: list[Guide] = field(default_factory=list)
    trend: Trend | None = None


class _Believed(NamedTuple):
    """A part of a span, and what tells the most of it."""

    start: int
    end: int
    source: Source
    estimate: Estimate
    factor: float


#: What was expected of a span that was asked for, by each kind of source.
Asked = list[tuple[Trust, Estimate]]


class Forecast:
    """Chooses how long the next span is to be.

    Args:
        window: The whole window, bounded on both sides.
        page_size: Meetings a page.
        expected: When meetings are likely to begin, as far as the caller knows.
    """

    def __init__(self, window: Window, page_size: int, expected: Sequence[int] = ()) -> None:
        self.density = Density()
        self.is_ordered = False
        self._page_size = page_size
        likely = sorted(expected)
        within = likely[bisect_left(likely, window.start or 0) : bisect_left(likely, window.end or 0)]
        self._likely = Guide(window, within, 1.0, _CALLERS)
        self._uses_likely: bool | None = None if expected else False
        self._density_trust, self._trend_trust = Trust(_NEW_DENSITY), Trust(_NEW_TREND)
        self._guide_trust, self._likely_trust = Trust(1.0), Trust(1.0)

    @property
    def uses_likely(self) -> bool:
        """Whether the meetings are where the caller expects them, as far as was seen."""
        return bool(self._uses_likely) and self._likely_trust.factor < _USELESS

    @property
    def is_mature(self) -> bool:
        """Whether the hours of the week are known well enough to be believed more than anything else."""
        return self.density.hours >= _MATURE

    # -- what to ask for

    def cut(self, known: Knowledge, start: int, end: int) -> int:
        """Return where the next span is to end that begins at ``start``, so that all until ``end`` costs the least."""
        pieces = list(self._pieces(known, start, end))
        total = sum(piece.estimate.count for piece in pieces)
        parts = self._cheapest(total, pieces) if total else 1
        if parts > 1:
            target = total / parts
            for piece in pieces:
                if piece.estimate.count > target:
                    return piece.source.cut(piece.start, piece.end, target)
                target -= piece.estimate.count
        return end

    def _pieces(self, known: Knowledge, start: int, end: int) -> Iterator[_Believed]:
        """Yield the parts of a span with what is believed of each; none where nothing is known."""
        midnight = start - start % DAY
        bounds = {start, end, *(midnight + days * DAY for days in range(1, 1 + _MIDNIGHTS))}
        bounds.update(bound or 0 for guide in known.guides for bound in (guide.span.start, guide.span.end))
        for low, high in itertools.pairwise(sorted(bound for bound in bounds if start <= bound <= end)):
            sources = [
                _Believed(low, high, source, source.estimate(low, high), trust.factor)
                for source, trust in self._sources(known, low)
            ]
            if sources:
                page = FILL * self._page_size
                yield min(sources, key=lambda one: one.estimate.variance(page) * one.factor)

    def _sources(self, known: Knowledge, at: int) -> Iterator[tuple[Source, Trust]]:
        if self.uses_likely:
            yield self._likely, self._likely_trust
        guide = next((guide for guide in reversed(known.guides) if at in guide.span), None)
        if guide is not None:
            yield guide, self._guide_trust
        if self.is_mature:
            yield DensitySource(self.density, at), Trust(1.0)
            return
        if known.trend is not None and known.trend.tells_of(at):
            yield known.trend, self._trend_trust
        if self.density.is_known and self._density_trust.factor < _USELESS:
            yield DensitySource(self.density, at), self._density_trust

    def _cheapest(self, total: float, pieces: Sequence[_Believed]) -> int:
        """Return in how many parts so many meetings cost the fewest requests.

        Parts are of one size: the last one would else be small and cost a request all the same.
        """
        cost_of_too_full = _COST_IN_ORDER if self.is_ordered else _COST

        def cost(parts: int) -> float:
            mean = total / parts
            deviation = math.sqrt(_variance(pieces, mean) + 1e-9)
            too_full = 0.5 * math.erfc((self._page_size - 0.5 - mean) / deviation / math.sqrt(2))
            return parts * (1 + too_full * cost_of_too_full)

        return min((max(1, math.ceil(total / fill / self._page_size)) for fill in _FILLS), key=cost)

    def asked(self, known: Knowledge, span: Window) -> Asked:
        """Return what to expect of a span, to be compared with its answer."""
        start, end = span.start or 0, span.end or 0
        return [
            (trust, source.estimate(start, end))
            for source, trust in self._sources(known, start)
            if not isinstance(source, Guide) or end <= (source.span.end or 0)
        ]

    # -- what the answers say

    def read(self, known: Knowledge, span: Window, asked: Asked, starts: Sequence[int]) -> None:
        """Take in a span whose meetings are all known (sorted)."""
        for trust, estimate in asked:
            trust.learn(estimate, len(starts))
        self.density.learn(span, starts)
        for guide in (*known.guides, self._likely):
            guide.learn(span, starts)
        known.trend = Trend(span.start or 0, span.end or 0, starts)

    def overflowed(self, asked: Asked, starts: Sequence[int]) -> None:
        """Take note of a span that filled a page, with these meetings of it."""
        for trust, estimate in asked:
            trust.learn(estimate, max(_OVERFULL * self._page_size, estimate.count))
        if self._uses_likely is None:
            share = self._likely.share(starts)
            self._uses_likely = share >= _AGREES
            if self._uses_likely:
                self._likely.guess(1 / share, _CALLERS)

    def prefix(self, known: Knowledge, span: Window, starts: Sequence[int], *, from_start: bool) -> None:
        """Take in a span whose meetings are all known (sorted) if the answer's order is to be believed."""
        self.density.learn(span, starts)
        known.guides.append(Guide(span, starts, 1.0, _CERTAIN))
        if from_start:
            known.trend = Trend(span.start or 0, span.end or 0, starts)

    def sample(self, known: Knowledge, span: Window, starts: Sequence[int]) -> None:
        """Take in some of the meetings of a span (sorted), in no order that has to do with when they begin."""
        self.density.sample(starts)
        ratio, weight = (_BLIND_AGAIN if known.guides else _BLIND), _GUESS
        if self.density.is_known:
            level = self.density.level(span.start or 0).factor
            expected = self.density.expected(span.start or 0, span.end or 0) * level
            ratio, weight = max(_OVERFULL, expected / self._page_size), _REASON
        known.guides.append(Guide(span, starts, ratio, weight, skew=_SKEW))


def _variance(pieces: Sequence[_Believed], mean: float) -> float:
    """Return the variance of the first so many meetings."""
    noise = doubt = seen = 0.0
    for piece in pieces:
        count = min(piece.estimate.count, mean - seen)
        noise += count * piece.estimate.noise * piece.factor
        doubt += count * math.sqrt(piece.estimate.doubt * piece.factor)
        seen += count
        if seen >= mean:
            break
    return noise + doubt * doubt
