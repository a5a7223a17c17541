"""The waiters of one connection: which list each needs, which have the same criteria, and when each is due."""

from __future__ import annotations

import asyncio
import copy
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.polling import ListingIndex, ListQuery, PlannedQuery, Planner
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.vendors import Vendor

__all__ = ["Meetings", "Subscription", "Subscriptions"]

Meetings: TypeAlias = list[dict[str, Any]]

#: Seconds in which waiters that join are gathered into one poll.
GATHER = 0.1
#: Lists that are due within this part of the poke interval are read along with those that are due now.
EARLY = 0.25
#: Seconds of work after which the event loop gets its turn.
SLICE = 0.005
# Waiters that are woken in one turn of the event loop.
_BATCH = 25


@dataclass(slots=True, eq=False)
class _WaiterGroup:
    """Waiters with the same criteria."""

    criteria: Criteria
    waiters: set[asyncio.Future[Meetings]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Subscription:
    """One list that is needed, and its waiters.

    Attributes:
        query: The list.
        due: When it is to be read.
        read_at: When it was read last.
        failures: How often in a row it failed.
        intervals: How old the result may be, and for how many waiters.
        groups: Its waiters, by their criteria.
    """

    query: ListQuery
    due: float
    read_at: float = -math.inf
    failures: int = 0
    intervals: Counter[float] = field(default_factory=Counter)
    groups: dict[str, _WaiterGroup] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        """Seconds that the result may be old for the most demanding waiter."""
        return min(self.intervals, default=60.0)


@dataclass(slots=True, eq=False)
class _NewWaiter:
    """A waiter that has joined and is not planned in yet."""

    criteria: Criteria
    interval: float
    waiter: asyncio.Future[Meetings]


class Subscriptions:
    """The waiters.

    Args:
        forget: Called with each query that no waiter has any more.

    Attributes:
        by_query: The lists that are needed.
        wake: Set when a waiter joins.
    """

    def __init__(self, forget: Callable[[ListQuery], None]) -> None:
        self.by_query: dict[ListQuery, Subscription] = {}
        self.wake = asyncio.Event()
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._new_waiters: deque[_NewWaiter] = deque()
        self._places: dict[asyncio.Future[Meetings], tuple[Subscription, _WaiterGroup, float]] = {}
        self._unverified: set[asyncio.Future[Meetings]] = set()
        self._last_yield = 0.0

    def __len__(self) -> int:
        return len(self._places)

    # -- joining and leaving

    def join(self, criteria: Criteria, interval: float, *, verify_host: bool = False) -> asyncio.Future[Meetings]:
        """Join; the future gets the meetings.

        Args:
            criteria: What is waited for.
            interval: Seconds that an answer may be old.
            verify_host: No request with this host has succeeded before.
        """
        waiter: asyncio.Future[Meetings] = self._loop.create_future()
        if verify_host:
            self._unverified.add(waiter)
        self._new_waiters.append(_NewWaiter(criteria, max(interval, GATHER), waiter))
        self.wake.set()
        return waiter

    def leave(self, waiter: asyncio.Future[Meetings]) -> None:
        """Leave, with a result or without."""
        self._unverified.discard(waiter)
        place = self._places.pop(waiter, None)
        if place is None:
            waiter.cancel()
            return
        subscription, group, interval = place
        group.waiters.discard(waiter)
        subscription.intervals[interval] -= 1
        if not subscription.intervals[interval]:
            del subscription.intervals[interval]
        if not group.waiters:
            subscription.groups = {key: some for key, some in subscription.groups.items() if some.waiters}
        if not subscription.groups:
            self._drop(subscription)

    async def admit(self, vendor: Vendor, soonest: Callable[[float], float]) -> None:
        """Plan in the waiters that have joined; those with an invalid query get the error.

        Args:
            vendor: The vendor.
            soonest: When a list may be read at the earliest for a waiter with such an interval.
        """
        now = self._last_yield = self._clock()
        while self._new_waiters:
            new_waiter = self._new_waiters.popleft()
            criteria = new_waiter.criteria
            try:
                filters = vendor.check_filters(criteria.filters)
                query = ListQuery(criteria.window_start, criteria.window_end, filters)
                vendor.listing(query.window, query.filters)  # it rejects what it cannot list
            except MeetingsError as error:
                await self._fail([new_waiter.waiter], error)
            else:
                self._enter(new_waiter, query, max(now + GATHER, soonest(new_waiter.interval)))
            await self._yield_to_loop()

    def _enter(self, new_waiter: _NewWaiter, query: ListQuery, soon: float) -> None:
        criteria = new_waiter.criteria
        if new_waiter.waiter.done():
            return
        subscription = self.by_query.get(query)
        if subscription is None:
            subscription = self.by_query[query] = Subscription(query, soon)
        key = repr((sorted(criteria.match.items(), key=str), criteria.min_count, criteria.include_cancelled))
        group = subscription.groups.get(key)
        if group is not None:
            # These criteria were not met by the last result, which is valid for as long as it may be old.
            soon = max(soon, subscription.read_at + new_waiter.interval)
        else:
            group = subscription.groups[key] = _WaiterGroup(criteria)
        subscription.due = min(subscription.due, soon)
        subscription.intervals[new_waiter.interval] += 1
        group.waiters.add(new_waiter.waiter)
        self._places[new_waiter.waiter] = (subscription, group, new_waiter.interval)

    def requeue_all(self) -> None:
        """Plan in all waiters again: the vendor expects other queries now."""
        for waiter, (_, group, interval) in self._places.items():
            self._new_waiters.append(_NewWaiter(group.criteria, interval, waiter))
        self._places.clear()
        self.by_query.clear()

    def refresh_soon(self) -> None:
        """Have every list read soon: earlier results are not valid any more."""
        soon = self._clock() + GATHER
        for subscription in self.by_query.values():
            subscription.due, subscription.read_at = min(subscription.due, soon), -math.inf
        self.wake.set()

    def _drop(self, subscription: Subscription) -> None:
        if self.by_query.get(subscription.query) is subscription:
            del self.by_query[subscription.query]
            self._forget(subscription.query)

    # -- what is due

    @property
    def soonest(self) -> float:
        """When the next one is due."""
        return min((subscription.due for subscription in self.by_query.values()), default=math.inf)

    def due(self) -> list[Subscription]:
        """Return the lists that are due, or nearly so, the longest overdue first."""
        now = self._clock()
        due = [
            subscription
            for subscription in self.by_query.values()
            if subscription.due - EARLY * subscription.interval <= now
        ]
        due.sort(key=lambda subscription: subscription.due)
        return due

    # -- answers

    async def serve(
        self, planned: PlannedQuery, meetings: Meetings, planner: Planner, *, requests: int, started: float
    ) -> None:
        """Answer all waiters that the meetings of a list are for.

        Args:
            planned: What was read.
            meetings: Its meetings.
            planner: Learns from them.
            requests: How many it took.
            started: When the reading began.
        """
        self._last_yield = self._clock()
        index = ListingIndex(planner.vendor, planned.query, meetings)
        planner.learn(planned.query, requests, index.dates, started)
        woken = 0
        for subscription in self._served(planned, planner):
            subscription.failures, subscription.read_at, subscription.due = 0, started, started + subscription.interval
            for key, group in list(subscription.groups.items()):
                candidates = index.candidates(subscription.query, group.criteria.match)
                if candidates is None:
                    planner.never_merge(subscription.query)
                    subscription.due = started
                    break
                found = group.criteria.satisfied_by(group.criteria.live(candidates, planner.vendor.cancelled_field))
                if found is not None:
                    del subscription.groups[key]
                    for waiter in list(group.waiters):
                        if not waiter.done():
                            waiter.set_result(found)
                        woken += 1
                        if not woken % _BATCH:
                            await asyncio.sleep(0)
                await self._yield_to_loop()
            if not subscription.groups:
                self._drop(subscription)

    def _served(self, planned: PlannedQuery, planner: Planner) -> Iterator[Subscription]:
        yield from [self.by_query[query] for query in planned.serves if query in self.by_query]
        if len(planned.serves) > 1:
            # Lists that were not due are answered as well, since the result covers them.
            served = set(planned.serves)
            others = [
                query for query in self.by_query if query not in served and planner.can_answer(planned.query, query)
            ]
            yield from [self.by_query[query] for query in others]

    async def _yield_to_loop(self) -> None:
        """Give the event loop its turn when this has taken a while."""
        if self._clock() - self._last_yield > SLICE:
            await asyncio.sleep(0)
            self._last_yield = self._clock()

    # -- errors

    async def fail_query(self, query: ListQuery, error: MeetingsError) -> None:
        """Fail the waiters of a list."""
        subscription = self.by_query.get(query)
        if subscription is not None:
            self._drop(subscription)
            await self._fail([waiter for group in subscription.groups.values() for waiter in group.waiters], error)

    async def fail_unverified(self, error: MeetingsError) -> None:
        """Fail the waiters whose host has never answered before."""
        await self._fail(self._unverified, error)

    async def fail_all(self, error: BaseException) -> None:
        """Fail all waiters: the error is permanent."""
        await self._fail(self._take_all(), error)

    def stop(self, error: BaseException) -> None:
        """Fail all waiters at once: the poller has ended."""
        for waiter in self._take_all():
            _fail(waiter, error)

    def _take_all(self) -> list[asyncio.Future[Meetings]]:
        waiters = [*self._places, *(new_waiter.waiter for new_waiter in self._new_waiters)]
        self._new_waiters.clear()
        self.by_query.clear()
        return waiters

    async def _fail(self, waiters: Iterable[asyncio.Future[Meetings]], error: BaseException) -> None:
        for number, waiter in enumerate(list(waiters), 1):
            _fail(waiter, error)
            if not number % _BATCH:
                await asyncio.sleep(0)


def _fail(waiter: asyncio.Future[Meetings], error: BaseException) -> None:
    if not waiter.done():
        # A copy each: raising an error writes its traceback into it.
        waiter.set_exception(copy.copy(error))
