"""The plan of a poll: which requests answer many asks. It learns from what came of the polls before."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.polling.query import FOREVER, Ask, Dialect, Filters

__all__ = ["Errand", "Planner", "Survey"]

K = TypeVar("K")
V = TypeVar("V")

#: Knowledge older than this many seconds is worth nothing: lists grow and shrink.
MEMORY = 3600.0
# Windows with gaps between them are merged when the whole is at most so much longer than its parts.
_MOST_STRETCH = 4
_SURVEYS = 16  # remembered for each set of filters


@dataclass(slots=True)
class Errand:
    """One list to read.

    Attributes:
        ask: What to ask the vendor.
        serves: Which asks its answer holds.
        limit: More requests than this and it does not pay: stop reading and ask each. None: read to the end.
        cost: The requests it takes, as far as known.
        speaks_for: Asks of the same window that would be refused for the same reason as this one.
    """

    ask: Ask
    serves: list[Ask]
    limit: int | None = None
    cost: int = 1
    speaks_for: tuple[Ask, ...] = ()

    @property
    def worst(self) -> int:
        """The requests that its asks take where it does not pay."""
        return self.cost if self.limit is None else self.limit + 1


@dataclass(slots=True)
class Survey:
    """When the meetings of a span are, as of the last time it was read."""

    low: int
    high: int
    dates: list[int]
    at: float

    def count(self, low: int, high: int) -> int:
        """How many there are in a part of it."""
        return bisect_left(self.dates, high) - bisect_left(self.dates, low)


@dataclass(slots=True)
class _Refusal:
    """A list that turned out too long."""

    ask: Ask
    requests: int
    at: float


@dataclass(slots=True)
class Planner:
    """Makes the plan of each poll, and learns from what came of it.

    Attributes:
        dialect: What it knows of the vendor.
        lessons: Goes up with everything learned that may change a plan.
    """

    dialect: Dialect
    lessons: int = 0
    _surveys: dict[Filters, list[Survey]] = field(default_factory=dict)
    _refusals: dict[Filters, list[_Refusal]] = field(default_factory=dict)
    _costs: dict[Ask, tuple[int, float]] = field(default_factory=dict)
    _alone: set[Ask] = field(default_factory=set)

    # -- learning

    def learn(self, ask: Ask, requests: int, dates: Iterable[int], now: float) -> None:
        """Remember a list that was read to its end."""
        self.lessons += self._costs.get(ask, (0,))[0] != requests
        self._costs.pop(ask, None)
        self._costs[ask] = (requests, now)
        _drop_old(self._costs, now, lambda cost: cost[1])
        self._remember(ask.filters, Survey(ask.low, ask.high, sorted(dates), now))

    def give_up(self, ask: Ask, requests: int, dates: Sequence[int], now: float) -> None:
        """Remember a list that was not worth reading on.

        Args:
            ask: The list.
            requests: How many it took until then.
            dates: Of the meetings read until then.
            now: When.
        """
        self.lessons += 1
        known = self._refusals.pop(ask.filters, [])
        kept = [old for old in known if now - old.at < MEMORY and not ask.covers(old.ask)][-_SURVEYS:]
        self._refusals[ask.filters] = [*kept, _Refusal(ask, requests + 1, now)]
        _drop_old(self._refusals, now, lambda refusals: refusals[-1].at)
        if dates and self.dialect.longest is None:  # latest first: what is later than the last one read is all known
            self._remember(ask.filters, Survey(min(dates) + 1, ask.high, sorted(dates), now))

    def leave_alone(self, ask: Ask) -> None:
        """Never answer this ask out of a wider one: what the vendor would say cannot be told from its meetings."""
        self.lessons += 1
        self._alone.add(ask)

    def can_tell(self, wide: Ask, ask: Ask) -> bool:
        """Whether a wider list's meetings tell what the vendor would answer to this ask."""
        more = (name for name, value in ask.filters if (name, value) not in wide.filters)
        return wide.covers(ask) and ask not in self._alone and all(name in self.dialect.comparable for name in more)

    def forget(self, ask: Ask) -> None:
        """Drop what is known of an ask that nobody asks any more."""
        self._alone.discard(ask)
        self._costs.pop(ask, None)
        if ask.filters:
            self._surveys.pop(ask.filters, None)

    def _remember(self, filters: Filters, survey: Survey) -> None:
        known = self._surveys.pop(filters, [])
        kept = [old for old in known if survey.low > old.low or old.high > survey.high]
        self._surveys[filters] = [survey, *kept[: _SURVEYS - 1]]
        _drop_old(self._surveys, survey.at, lambda surveys: surveys[0].at)

    # -- estimating

    def _estimate(self, ask: Ask, now: float) -> tuple[int, bool]:
        """Return how many requests a list takes at least, and whether that is known to be all."""
        cost, at = self._costs.get(ask, (1, float("-inf")))
        if now - at < MEMORY:
            return cost, True
        count, complete = self._count(ask, now)
        span = min(ask.high - ask.low, FOREVER)
        least = self.dialect.requests(count, span)
        if not complete:
            refused = self._refusals.get(ask.filters, ())
            least = max([least, *(old.requests for old in refused if now - old.at < MEMORY and ask.covers(old.ask))])
        return least, complete

    def _count(self, ask: Ask, now: float) -> tuple[int, bool]:
        """Count the meetings known in a window, and tell whether all of it was seen."""
        known = sorted((old for old in self._surveys.get(ask.filters, ()) if now - old.at < MEMORY), key=_low)
        count, seen, complete = 0, ask.low, True
        for survey in known:
            low, high = max(survey.low, seen), min(survey.high, ask.high)
            if low < high:
                complete = complete and low == seen
                count += survey.count(low, high)
                seen = high
        return count, complete and seen >= ask.high

    # -- planning

    def plan(self, asks: Iterable[Ask], now: float) -> list[Errand]:
        """Find few requests that answer all these asks; who comes first is served first."""
        asks = list(dict.fromkeys(asks))
        errands = [Errand(ask, [ask], cost=self._estimate(ask, now)[0]) for ask in asks]
        alone = [errand for errand in errands if errand.ask in self._alone]
        errands = [errand for errand in errands if errand.ask not in self._alone] if alone else errands
        most = max((len(errand.ask.filters) for errand in errands), default=0)
        for kept in range(most, -1, -1):
            errands = self._widen(errands, kept, now)
        order = {ask: number for number, ask in enumerate(asks)}
        return sorted([*alone, *errands], key=lambda errand: min(order[ask] for ask in errand.serves))

    def _widen(self, errands: list[Errand], kept: int, now: float) -> list[Errand]:
        """Merge errands into ones with so many filters, where that pays."""
        groups: dict[Filters, list[Errand]] = defaultdict(list)
        for errand in errands:
            for filters in self._reduced(errand.ask.filters, kept):
                groups[filters].append(errand)
        alive = {id(errand): errand for errand in errands}
        for filters, members in sorted(groups.items(), key=lambda group: -len(group[1])):
            here = [errand for errand in members if id(errand) in alive]
            if len(here) < 2:  # noqa: PLR2004 - one has nobody to be merged with
                continue
            for errand in here:
                del alive[id(errand)]
            merged = self._merge(here, filters, now)
            alive |= {id(errand): errand for errand in merged}
        return list(alive.values())

    def _reduced(self, filters: Filters, kept: int) -> Iterator[Filters]:
        """Yield what is left of filters when only so many are kept; one that cannot be checked here is always kept."""
        if len(filters) == kept:
            yield filters
            return
        fixed = [pair for pair in filters if pair[0] not in self.dialect.comparable]
        free = [pair for pair in filters if pair[0] in self.dialect.comparable]
        if len(filters) < kept or len(fixed) > kept:
            return
        for some in itertools.combinations(free, kept - len(fixed)):
            yield tuple(sorted([*fixed, *some]))

    def _merge(self, errands: list[Errand], filters: Filters, now: float) -> list[Errand]:
        # Windows of one length first: a week is not merged into somebody's year only because both begin in May.
        classes: dict[int, list[Errand]] = defaultdict(list)
        for errand in errands:
            classes[(min(errand.ask.high - errand.ask.low, FOREVER) // DAY).bit_length() // 2].append(errand)
        merged: list[Errand] = []
        for _, members in sorted(classes.items()):
            merged += self._sweep(members, filters, now, try_out=True)
        return self._sweep(merged, filters, now, try_out=False) if len(classes) > 1 else merged

    def _sweep(self, errands: list[Errand], filters: Filters, now: float, *, try_out: bool) -> list[Errand]:
        """Go through errands by their start and merge neighbours."""
        done: list[Errand] = []
        run = _Run()
        for errand in sorted(errands, key=lambda errand: (errand.ask.low, -errand.ask.high)):
            if run.errands and not self._joins(run, errand, filters, now, try_out=try_out):
                done += self._settle(run, filters, now, try_out=try_out)
                run = _Run()
            run.add(errand)
        return done + self._settle(run, filters, now, try_out=try_out)

    def _joins(self, run: _Run, errand: Errand, filters: Filters, now: float, *, try_out: bool) -> bool:
        hull = run.hull(filters, errand)
        if hull.low == run.low and hull.high == run.high:
            return True
        least, known = self._estimate(hull, now)
        if known:
            return least <= run.cost + errand.cost
        stretch = (hull.high - hull.low) / max(1, run.covered + errand.ask.high - max(errand.ask.low, run.high))
        gapless = errand.ask.low <= run.high
        return try_out and least <= run.cost + errand.cost and (gapless or stretch <= _MOST_STRETCH)

    def _settle(self, run: _Run, filters: Filters, now: float, *, try_out: bool) -> list[Errand]:
        """Decide between one wide question and each."""
        if len(run.errands) < 2:  # noqa: PLR2004 - nothing to decide
            return run.errands
        hull = run.hull(filters)
        least, known = self._estimate(hull, now)
        same = all(errand.ask.filters == filters for errand in run.errands)
        serves = [ask for errand in run.errands for ask in errand.serves]
        worst = sum(errand.worst for errand in run.errands)
        whole = next((errand for errand in run.errands if errand.ask.covers(hull)), None)
        if whole is not None:  # somebody needs all of it anyway
            return [Errand(hull, serves, None if whole.limit is None else worst - 1, least)]
        if known:
            return [Errand(hull, serves, None, least)] if least < run.cost else run.errands
        if not try_out or least >= worst:
            return run.errands
        if same:
            # Without gaps, the whole has no more pages than the parts; with gaps, wait until the parts are known.
            return [Errand(hull, serves, None, least)] if run.gapless else run.errands
        return [Errand(hull, serves, worst - 1, least)]


def _drop_old(known: dict[K, V], now: float, at: Callable[[V], float]) -> None:
    """Forget what is worth nothing any more: a window that moves asks another question each time, for ever."""
    while now - at(known[oldest := next(iter(known))]) >= MEMORY:  # the latest is never old
        del known[oldest]


def _low(survey: Survey) -> tuple[int, int]:
    return survey.low, -survey.high


class _Run:
    """Errands that may become one."""

    def __init__(self) -> None:
        self.errands: list[Errand] = []
        self.low = self.high = self.covered = self.cost = 0
        self.gapless = True

    def add(self, errand: Errand) -> None:
        low, high = errand.ask.low, errand.ask.high
        if not self.errands:
            self.low, self.high, self.covered = low, high, high - low
        else:
            self.gapless = self.gapless and low <= self.high
            self.covered += max(0, high - max(low, self.high))
            self.high = max(self.high, high)
        self.errands.append(errand)
        self.cost += errand.cost

    def hull(self, filters: Filters, errand: Errand | None = None) -> Ask:
        """Return the question that holds all of them, and one more."""
        low = self.low if errand is None else min(self.low, errand.ask.low)
        high = self.high if errand is None else max(self.high, errand.ask.high)
        return Ask(None if low <= -FOREVER else low, None if high >= FOREVER else high, filters)
