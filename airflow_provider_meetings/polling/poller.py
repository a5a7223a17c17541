"""The poller: in rounds it reads the lists that the waiters of a connection need.

A trigger joins with its criteria and leaves with the meetings. The poller never ends because of a temporary error.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.core.retry import backoff
from airflow_provider_meetings.exceptions import (
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
)
from airflow_provider_meetings.polling import PlannedQuery, Planner
from airflow_provider_meetings.polling.criteria import Criteria, is_permanent, is_wrong_host
from airflow_provider_meetings.polling.current_plan import CurrentPlan
from airflow_provider_meetings.polling.live_connection import PARALLEL, ConnectionInfo, LiveConnection, OpenConnection
from airflow_provider_meetings.polling.subscriptions import Meetings, Subscriptions
from airflow_provider_meetings.transport.aio import AsyncTransport
from airflow_provider_meetings.transport.limiter import ConnectionReplaced, PageLimitReached, RequestCounter
from airflow_provider_meetings.vendors import RateLimits, Vendor

__all__ = ["Poller"]

#: Seconds after which a round ends, so that new waiters are planned in.
ROUND = 15.0
# Errors of the connection, whatever the query.
_CONNECTION = (MeetingsAuthError, MeetingsPermissionError, MeetingsConfigurationError)
# Failures in a row after which the vendor has an outage: it is not one query.
_OUTAGE = 2

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Round:
    """One poll while it runs."""

    planner: Planner
    todo: deque[PlannedQuery]
    until: float
    problems: list[MeetingsError] = field(default_factory=list)
    requests: int = 0
    streak: int = 0
    over: bool = False


class Poller:
    """Polls for all waiters of one connection, within one event loop.

    Args:
        meetings_conn_id: The connection.
        limiter: Returns the rate budget for the connection's settings and its vendor's limits; it outlives the poller.
        look_up: Looks the connection up.
        transport: Makes the transport.
        random: Jitter, between 0 and 1.

    Attributes:
        members: How many use it; the registry counts them.
    """

    def __init__(
        self,
        meetings_conn_id: str,
        limiter: Callable[[Settings, RateLimits], RateLimiter],
        *,
        look_up: Callable[[str], Awaitable[ConnectionInfo]],
        transport: Callable[..., Any] = AsyncTransport,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.meetings_conn_id = meetings_conn_id
        self.members = 0
        self._random = random
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._connection = LiveConnection(
            meetings_conn_id, limiter, look_up=look_up, transport=transport, clock=self._clock, random=random
        )
        self._plan = CurrentPlan()
        self._subscriptions = Subscriptions(self._plan.forget)
        self._readings: dict[str, asyncio.Future[dict[str, Any]]] = {}
        # How it goes.
        self._failures = 0
        self._not_before = -math.inf
        self._last_poll = -math.inf
        self._last_cost = 0
        # In a context of its own: its log lines are about all waiters, not about the first one.
        self._task = loop.create_task(
            self._run(), name=f"meetings-poller-{meetings_conn_id}", context=contextvars.Context()
        )

    # -- for waiters

    async def answer(self, criteria: Criteria, interval: float, *, verify_host: bool = False) -> Meetings:
        """Wait until the criteria are met; return the meetings found.

        Args:
            criteria: What is waited for.
            interval: Seconds that an answer may be old.
            verify_host: No request with this host has succeeded before, on a worker for example: an answer that is not
                the vendor's means a wrong address then, not a temporary error.

        Raises:
            MeetingsError: A permanent error.
        """
        if self.ended:
            raise RuntimeError("the poller has ended") from _why(self._task)
        waiter = self._subscriptions.join(criteria, interval, verify_host=verify_host)
        try:
            return await waiter
        finally:
            self._subscriptions.leave(waiter)

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds, as the vendor has demanded of a worker."""
        self._connection.hold(seconds)

    async def read(self, meeting_id: Any) -> dict[str, Any]:
        """Read one meeting within the same rate limit; simultaneous calls for the same meeting share the request.

        Only after :meth:`answer` has returned once: the connection is looked up by then.

        Args:
            meeting_id: The meeting.

        Raises:
            MeetingNotFoundError: There is no such meeting.
            MeetingsError: The meeting could not be read.
        """
        reading = self._readings.get(str(meeting_id))
        if reading is None:
            opened = self._opened
            call = opened.transport.drive(opened.vendor.get(meeting_id))
            reading = self._readings[str(meeting_id)] = asyncio.ensure_future(call)
            reading.add_done_callback(functools.partial(self._has_read, str(meeting_id)))
        return dict(await asyncio.shield(reading))

    def _has_read(self, key: str, reading: asyncio.Future[dict[str, Any]]) -> None:
        del self._readings[key]
        if not reading.cancelled():
            reading.exception()  # those that await it get the error

    @property
    def clock_offset(self) -> float:
        """How far the vendor's clock is ahead of ours, in seconds, by its last answer."""
        offset: float = self._opened.transport.clock_offset
        return offset

    @property
    def vendor(self) -> Vendor:
        """The vendor's rules, as of the last look-up."""
        return self._opened.vendor

    @property
    def _opened(self) -> OpenConnection:
        if self._connection.opened is None:
            raise RuntimeError(f"connection {self.meetings_conn_id!r} was not looked up yet")
        return self._connection.opened

    @property
    def ended(self) -> bool:
        """Whether it polls no more."""
        return self._task.done()

    async def close(self) -> None:
        """End the polling and close the session."""
        for reading in self._readings.values():
            reading.cancel()
        self._task.cancel()
        ending: set[asyncio.Future[Any]] = {self._task, *self._readings.values()}
        await asyncio.wait(ending)

    # -- the work

    async def _run(self) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            while True:
                await self._step()
        except BaseException as error:
            # No waiter is left behind when the poller ends.
            self._subscriptions.stop(error if isinstance(error, Exception) else RuntimeError("the poller was stopped"))
            raise
        finally:
            watch.cancel()
            try:
                await asyncio.wait({watch})
            finally:
                await self._connection.close()

    async def _step(self) -> None:
        """Poll if a list is due, else wait until one is."""
        wake = self._subscriptions.wake
        wake.clear()
        pause = await self._open()
        opened = self._connection.opened
        if pause == math.inf:
            await wake.wait()
            return
        if opened is None:
            await asyncio.sleep(pause)
            return
        await self._subscriptions.admit(opened.vendor, self._soonest_for)
        now = self._clock()
        # While the rate limit allows no request, wait here, where new waiters can join, and not at the gate.
        wait = max(self._subscriptions.soonest - now, self._not_before - now, opened.rate.wait(now))
        if wait > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), wait if wait < math.inf else None)
        else:
            await self._poll(opened)

    def _soonest_for(self, interval: float) -> float:
        # A cheap poll is repeated for a waiter that came just after it; a costly one is not repeated for each.
        return self._last_poll + min(interval / 2, 1.0 * self._last_cost)

    # -- the connection

    async def _watch(self) -> None:
        """Notice a changed connection also while nothing is sent: between polls, in an outage, after a Retry-After."""
        while True:
            await asyncio.sleep(max(1.0, self._connection.fresh_for))
            if len(self._subscriptions):
                await self._open()

    async def _open(self) -> float:
        """Look the connection up when that is due.

        Returns:
            0: it is there. Otherwise the seconds after which to look again; infinite: no waiter is left.
        """
        if self._connection.fresh_for > 0:
            return 0.0
        try:
            changed = await self._connection.renew()
        except MeetingsError as error:
            await self._subscriptions.fail_all(error)
            return math.inf
        if changed:
            self._on_connection_changed()
        return 0.0 if self._connection.opened is not None else max(0.0, self._connection.fresh_for)

    def _on_connection_changed(self) -> None:
        """Start again with a connection that has changed."""
        vendor = self._opened.vendor
        known = self._plan.planner
        if known is not None:
            _log.info("Connection %r has changed; polling with its new settings", self.meetings_conn_id)
        if self._plan.planner_for(vendor) is not known:
            self._subscriptions.requeue_all()
        self._failures = 0
        self._not_before = -math.inf
        self._subscriptions.refresh_soon()

    # -- a poll

    async def _poll(self, opened: OpenConnection) -> None:
        planner, now = self._plan.planner_for(opened.vendor), self._clock()
        due = self._subscriptions.due()
        shortest = min(subscription.interval for subscription in due)
        self._last_poll = now
        queries = tuple([subscription.query for subscription in due])
        todo = deque(await self._plan.make(planner, queries, now))
        rnd = _Round(planner, todo, now + ROUND)
        if self._failures and todo:
            await self._fetch(rnd, todo.popleft())  # one request alone finds out whether the outage is over
        if len(rnd.todo) == 1:
            await self._work(rnd)
        elif rnd.todo and not rnd.over:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARALLEL, len(rnd.todo))):
                    group.create_task(self._work(rnd))
        self._last_cost = rnd.requests
        await self._connection.close_retired()
        if rnd.over and self._connection.opened is opened:  # else it failed over a connection that is replaced now
            self._failures += 1
            wait = shortest + backoff(self._failures, self._random)
            self._not_before = self._clock() + wait
            self._connection.expire()  # it may have been given another host
            _log.warning(
                "Poll for %d waiters on connection %r failed; next poll in %.0f s: %s",
                len(self._subscriptions),
                self.meetings_conn_id,
                wait,
                rnd.problems[-1],
            )
        elif rnd.problems:
            _log.warning(
                "%d list(s) of connection %r could not be read; they will be read again later: %s",
                len(rnd.problems),
                self.meetings_conn_id,
                rnd.problems[-1],
            )

    async def _work(self, rnd: _Round) -> None:
        while rnd.todo and not rnd.over and self._clock() < rnd.until:
            await self._fetch(rnd, rnd.todo.popleft())

    async def _fetch(self, rnd: _Round, planned: PlannedQuery) -> None:
        """Read one list, and answer its waiters."""
        planner, opened, generation = rnd.planner, self._opened, self._connection.generation
        if planner is not self._plan.planner or not any(
            query in self._subscriptions.by_query for query in planned.serves
        ):
            return
        count, started, meetings = RequestCounter(planned.limit), self._clock(), list[dict[str, Any]]()
        problem: MeetingsError | None = None
        try:
            known = planner.known_dates(planned.query, self._clock())
            listing = opened.vendor.listing(planned.query.window, planned.query.filters, known)
            async for page in opened.transport.pages(listing, count):
                meetings += page.items
        except MeetingsError as error:
            problem = error
        finally:
            rnd.requests += count.count
        if isinstance(problem, ConnectionReplaced) or self._connection.opened is not opened:
            rnd.todo.appendleft(planned)
            return
        if isinstance(problem, PageLimitReached):
            dates = [planner.vendor.date(meeting) for meeting in meetings]
            planner.learn_too_long(planned.query, count.count, dates, self._clock())
            rnd.todo.extendleft(reversed(planner.plan(planned.serves, self._clock())))
        elif problem is not None:
            await self._handle_error(rnd, planned, problem, generation)
        else:
            if self._failures:
                opened.rate.drop_burst(self._clock())  # the vendor has just recovered: send no burst
            rnd.streak = self._failures = 0
            self._connection.confirm()
            await self._subscriptions.serve(planned, meetings, planner, requests=count.count, started=started)
        if planned.same_window:
            # It was not rejected: those that still wait are read one by one.
            rnd.todo.extend(
                PlannedQuery(query, [query]) for query in planned.same_window if query in self._subscriptions.by_query
            )

    async def _handle_error(self, rnd: _Round, planned: PlannedQuery, error: MeetingsError, generation: int) -> None:
        """Decide whether an error is temporary or permanent, and which waiters it concerns."""
        if isinstance(error, MeetingsAuthError) and await self._connection.new_key(generation):
            self._on_connection_changed()
            rnd.todo.appendleft(planned)
            return
        if isinstance(error, _CONNECTION):
            rnd.todo.clear()
            await self._subscriptions.fail_all(error)
            return
        if is_permanent(error):
            await self._refused(rnd, planned, error)
            return
        if is_wrong_host(error) and not self._connection.host_confirmed:
            await self._subscriptions.fail_unverified(error)
        now = self._clock()
        self._connection.hold(getattr(error, "retry_after", None) or 0.0)  # also where only the body contains it
        subscriptions = [
            self._subscriptions.by_query[query] for query in planned.serves if query in self._subscriptions.by_query
        ]
        for subscription in subscriptions:
            subscription.failures += 1
        wait = max((backoff(subscription.failures, self._random) for subscription in subscriptions[:1]), default=0.0)
        for subscription in subscriptions:
            subscription.due = now + subscription.interval + wait
        rnd.problems.append(error)
        rnd.streak += 1
        # One list that fails is an error of that list; several in a row, or the only one, are an outage.
        rnd.over = rnd.streak >= _OUTAGE or self._failures > 0 or error.status == 429 or not rnd.todo  # noqa: PLR2004

    async def _refused(self, rnd: _Round, planned: PlannedQuery, error: MeetingsError) -> None:
        if planned.serves == [planned.query]:
            for query in (planned.query, *planned.same_window):
                await self._subscriptions.fail_query(query, error)
            return
        # The merged query was rejected, which no waiter has asked for. Where one of its queries with the same window is
        # rejected as well, the window is the reason, and the others with that window need no request.
        rnd.planner.learn_too_long(planned.query, len(planned.serves) + 1_000_000, (), self._clock())
        same = [query for query in planned.serves if query.window == planned.query.window]
        rest = [query for query in planned.serves if query.window != planned.query.window]
        if same:
            rnd.todo.appendleft(PlannedQuery(same[0], [same[0]], same_window=tuple(same[1:])))
        rnd.todo.extend(PlannedQuery(query, [query]) for query in rest)


def _why(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
