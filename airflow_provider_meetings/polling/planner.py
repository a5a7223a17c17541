"""The plan of a poll: which requests answer many queries. It learns from the results of earlier polls."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.polling.query import UNBOUNDED, Filters, ListQuery
from airflow_provider_meetings.vendors import Vendor

__all__ = ["KnownSpan", "PlannedQuery", "Planner"]

K = TypeVar("K")
V = TypeVar("V")

#: Results older than this many seconds are not used any more: lists grow and shrink.
MEMORY = 3600.0
# Windows with gaps between them are merged when the whole is at most so much longer than its parts.
_MOST_STRETCH = 4
_SURVEYS = 16  # remembered for each set of filters


@dataclass(slots=True)
class PlannedQuery:
    """One list to read.

    Attributes:
        query: The list.
        serves: The queries that its result answers.
        limit: With more requests than this, a request for each query is cheaper: stop reading. None: read to the end.
        cost: The requests it takes, as far as known.
        same_window: Queries of the same window, which the vendor would reject for the same reason as this one.
    """

    query: ListQuery
    serves: list[ListQuery]
    limit: int | None = None
    cost: int = 1
    same_window: tuple[ListQuery, ...] = ()

    @property
    def worst(self) -> int:
        """The requests that it takes, with those for its queries, where its limit is reached."""
        return self.cost if self.limit is None else self.limit + 1


@dataclass(slots=True)
class KnownSpan:
    """The dates of the meetings in a span, as of the last time it was read."""

    low: int
    high: int
    dates: list[int]
    at: float

    def count(self, low: int, high: int) -> int:
        """How many there are in a part of it."""
        return bisect_left(self.dates, high) - bisect_left(self.dates, low)


@dataclass(slots=True)
class _TooLong:
    """A list that turned out too long."""

    query: ListQuery
    requests: int
    at: float


@dataclass(slots=True)
class Planner:
    """Makes the plan of each poll, and learns from its result.

    Attributes:
        vendor: The vendor that it plans for.
        revision: Goes up with everything learned that may change a plan.
    """

    vendor: Vendor
    revision: int = 0
    _known_spans: dict[Filters, list[KnownSpan]] = field(default_factory=dict)
    _refusals: dict[Filters, list[_TooLong]] = field(default_factory=dict)
    _costs: dict[ListQuery, tuple[int, float]] = field(default_factory=dict)
    _alone: set[ListQuery] = field(default_factory=set)

    # -- learning

    def learn(self, query: ListQuery, requests: int, dates: Iterable[int], now: float) -> None:
        """Remember a list that was read to its end."""
        self.revision += self._costs.get(query, (0,))[0] != requests
        self._costs.pop(query, None)
        self._costs[query] = (requests, now)
        _drop_old(self._costs, now, lambda cost: cost[1])
        self._remember(query.filters, KnownSpan(query.low, query.high, sorted(dates), now))

    def learn_too_long(self, query: ListQuery, requests: int, dates: Sequence[int], now: float) -> None:
        """Remember a list that was not worth reading on.

        Args:
            query: The list.
            requests: How many it took until then.
            dates: Of the meetings read until then.
            now: When.
        """
        self.revision += 1
        known = self._refusals.pop(query.filters, [])
        kept = [old for old in known if now - old.at < MEMORY and not query.covers(old.query)][-_SURVEYS:]
        self._refusals[query.filters] = [*kept, _TooLong(query, requests + 1, now)]
        _drop_old(self._refusals, now, lambda refusals: refusals[-1].at)
        if dates and self.vendor.latest_first:  # what is later than the last one read is all known
            self._remember(query.filters, KnownSpan(min(dates) + 1, query.high, sorted(dates), now))

    def never_merge(self, query: ListQuery) -> None:
        """Never answer this query from a wider one: the listed meetings do not show what the vendor would return."""
        self.revision += 1
        self._alone.add(query)

    def can_answer(self, wide: ListQuery, query: ListQuery) -> bool:
        """Whether a wider list's meetings show what the vendor would return for this query."""
        more = (name for name, value in query.filters if (name, value) not in wide.filters)
        comparable = all(name in self.vendor.comparable_filters for name in more)
        return comparable and wide.covers(query) and query not in self._alone

    def forget(self, query: ListQuery) -> None:
        """Drop what is known of a query that no waiter has any more."""
        self._alone.discard(query)
        self._costs.pop(query, None)
        if query.filters:
            self._known_spans.pop(query.filters, None)

    def _remember(self, filters: Filters, known_span: KnownSpan) -> None:
        known = self._known_spans.pop(filters, [])
        kept = [old for old in known if known_span.low > old.low or old.high > known_span.high]
        self._known_spans[filters] = [known_span, *kept[: _SURVEYS - 1]]
        _drop_old(self._known_spans, known_span.at, lambda known_spans: known_spans[0].at)

    # -- estimating

    def _estimate(self, query: ListQuery, now: float) -> tuple[int, bool]:
        """Return how many requests a list takes at least, and whether that is known to be all."""
        cost, at = self._costs.get(query, (1, float("-inf")))
        if now - at < MEMORY:
            return cost, True
        count, complete = self._count(query, now)
        span = min(query.high - query.low, UNBOUNDED)
        least = self.vendor.estimate_requests(count, span)
        if not complete:
            refused = self._refusals.get(query.filters, ())
            least = max(
                [least, *(old.requests for old in refused if now - old.at < MEMORY and query.covers(old.query))]
            )
        return least, complete

    def _count(self, query: ListQuery, now: float) -> tuple[int, bool]:
        """Count the known meetings of a window; return also whether all of the window was read."""
        known = sorted((old for old in self._known_spans.get(query.filters, ()) if now - old.at < MEMORY), key=_low)
        count, seen, complete = 0, query.low, True
        for known_span in known:
            low, high = max(known_span.low, seen), min(known_span.high, query.high)
            if low < high:
                complete = complete and low == seen
                count += known_span.count(low, high)
                seen = high
        return count, complete and seen >= query.high

    def known_dates(self, query: ListQuery, now: float) -> list[int]:
        """Return when the meetings of a window began, as far as it was read of late."""
        known = sorted((old for old in self._known_spans.get(query.filters, ()) if now - old.at < MEMORY), key=_low)
        found, seen = list[int](), query.low
        for known_span in known:
            low, high = max(known_span.low, seen), min(known_span.high, query.high)
            if low < high:
                found += known_span.dates[bisect_left(known_span.dates, low) : bisect_left(known_span.dates, high)]
                seen = high
        return found

    # -- planning

    def plan(self, queries: Iterable[ListQuery], now: float) -> list[PlannedQuery]:
        """Find few requests that answer all these queries, in the order of the queries."""
        queries = list(dict.fromkeys(queries))
        planned_queries = [PlannedQuery(query, [query], cost=self._estimate(query, now)[0]) for query in queries]
        alone = [planned for planned in planned_queries if planned.query in self._alone]
        planned_queries = (
            [planned for planned in planned_queries if planned.query not in self._alone] if alone else planned_queries
        )
        most = max((len(planned.query.filters) for planned in planned_queries), default=0)
        for kept in range(most, -1, -1):
            planned_queries = self._widen(planned_queries, kept, now)
        order = {query: number for number, query in enumerate(queries)}
        return sorted([*alone, *planned_queries], key=lambda planned: min(order[query] for query in planned.serves))

    def _widen(self, planned_queries: list[PlannedQuery], kept: int, now: float) -> list[PlannedQuery]:
        """Merge planned queries into ones with so many filters, where that saves requests."""
        groups: dict[Filters, list[PlannedQuery]] = defaultdict(list)
        for planned in planned_queries:
            for filters in self._reduced(planned.query.filters, kept):
                groups[filters].append(planned)
        alive = {id(planned): planned for planned in planned_queries}
        for filters, members in sorted(groups.items(), key=lambda group: -len(group[1])):
            here = [planned for planned in members if id(planned) in alive]
            if len(here) < 2:  # noqa: PLR2004 - nothing to merge it with
                continue
            for planned in here:
                del alive[id(planned)]
            merged = self._merge(here, filters, now)
            alive |= {id(planned): planned for planned in merged}
        return list(alive.values())

    def _reduced(self, filters: Filters, kept: int) -> Iterator[Filters]:
        """Yield what is left of filters when only so many are kept; one that cannot be checked here is always kept."""
        if len(filters) == kept:
            yield filters
            return
        fixed = [pair for pair in filters if pair[0] not in self.vendor.comparable_filters]
        free = [pair for pair in filters if pair[0] in self.vendor.comparable_filters]
        if len(filters) < kept or len(fixed) > kept:
            return
        for some in itertools.combinations(free, kept - len(fixed)):
            yield tuple(sorted([*fixed, *some]))

    def _merge(self, planned_queries: list[PlannedQuery], filters: Filters, now: float) -> list[PlannedQuery]:
        # Windows of similar length first: a week is not merged into a year only because both begin in May.
        classes: dict[int, list[PlannedQuery]] = defaultdict(list)
        for planned in planned_queries:
            classes[(min(planned.query.high - planned.query.low, UNBOUNDED) // DAY).bit_length() // 2].append(planned)
        merged: list[PlannedQuery] = []
        for _, members in sorted(classes.items()):
            merged += self._sweep(members, filters, now, try_out=True)
        return self._sweep(merged, filters, now, try_out=False) if len(classes) > 1 else merged

    def _sweep(
        self, planned_queries: list[PlannedQuery], filters: Filters, now: float, *, try_out: bool
    ) -> list[PlannedQuery]:
        """Go through planned queries by their start and merge neighbours."""
        done: list[PlannedQuery] = []
        run = _MergeCandidates()
        for planned in sorted(planned_queries, key=lambda planned: (planned.query.low, -planned.query.high)):
            if run.planned_queries and not self._joins(run, planned, filters, now, try_out=try_out):
                done += self._decide(run, filters, now, try_out=try_out)
                run = _MergeCandidates()
            run.add(planned)
        return done + self._decide(run, filters, now, try_out=try_out)

    def _joins(
        self, run: _MergeCandidates, planned: PlannedQuery, filters: Filters, now: float, *, try_out: bool
    ) -> bool:
        hull = run.hull(filters, planned)
        if hull.low == run.low and hull.high == run.high:
            return True
        least, known = self._estimate(hull, now)
        if known:
            return least <= run.cost + planned.cost
        stretch = (hull.high - hull.low) / max(1, run.covered + planned.query.high - max(planned.query.low, run.high))
        gapless = planned.query.low <= run.high
        return try_out and least <= run.cost + planned.cost and (gapless or stretch <= _MOST_STRETCH)

    def _decide(self, run: _MergeCandidates, filters: Filters, now: float, *, try_out: bool) -> list[PlannedQuery]:
        """Decide between one wide query and one query each."""
        if len(run.planned_queries) < 2:  # noqa: PLR2004 - nothing to decide
            return run.planned_queries
        hull = run.hull(filters)
        least, known = self._estimate(hull, now)
        same = all(planned.query.filters == filters for planned in run.planned_queries)
        serves = [query for planned in run.planned_queries for query in planned.serves]
        worst = sum(planned.worst for planned in run.planned_queries)
        whole = next((planned for planned in run.planned_queries if planned.query.covers(hull)), None)
        if whole is not None:  # one waiter needs all of it anyway
            return [PlannedQuery(hull, serves, None if whole.limit is None else worst - 1, least)]
        if known:
            return [PlannedQuery(hull, serves, None, least)] if least < run.cost else run.planned_queries
        if not try_out or least >= worst:
            return run.planned_queries
        if same:
            # Without gaps, the whole has no more pages than the parts; with gaps, wait until the parts are known.
            return [PlannedQuery(hull, serves, None, least)] if run.gapless else run.planned_queries
        return [PlannedQuery(hull, serves, worst - 1, least)]


def _drop_old(known: dict[K, V], now: float, at: Callable[[V], float]) -> None:
    """Drop old results: a window that moves makes a new query each time, without end."""
    while now - at(known[oldest := next(iter(known))]) >= MEMORY:  # the latest is never old
        del known[oldest]


def _low(known_span: KnownSpan) -> tuple[int, int]:
    return known_span.low, -known_span.high


class _MergeCandidates:
    """Planned queries that may become one."""

    def __init__(self) -> None:
        self.planned_queries: list[PlannedQuery] = []
        self.low = self.high = self.covered = self.cost = 0
        self.gapless = True

    def add(self, planned: PlannedQuery) -> None:
        low, high = planned.query.low, planned.query.high
        if not self.planned_queries:
            self.low, self.high, self.covered = low, high, high - low
        else:
            self.gapless = self.gapless and low <= self.high
            self.covered += max(0, high - max(low, self.high))
            self.high = max(self.high, high)
        self.planned_queries.append(planned)
        self.cost += planned.cost

    def hull(self, filters: Filters, planned: PlannedQuery | None = None) -> ListQuery:
        """Return the query that covers all of them, and one more."""
        low = self.low if planned is None else min(self.low, planned.query.low)
        high = self.high if planned is None else max(self.high, planned.query.high)
        return ListQuery(None if low <= -UNBOUNDED else low, None if high >= UNBOUNDED else high, filters)
