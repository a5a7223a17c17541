"""One poller for all who wait on a connection in one triggerer: it asks the vendor, they wait for its answer.

A trigger joins with its question and leaves with the answer. The poller is there from the first who joins until the
last has left; it looks the connection up, keeps one session, one rate budget and one plan (:mod:`..polling`), and never
ends because of an error that waiting can mend.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import logging
import math
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from airflow_provider_meetings.aiotransport import AsyncTransport, Gate
from airflow_provider_meetings.exceptions import (
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
)
from airflow_provider_meetings.hooks.choice import ahook_for
from airflow_provider_meetings.pacing import RateBudget
from airflow_provider_meetings.polling import Ask, Dialect, Errand, Planner, Sheet, dialect_of
from airflow_provider_meetings.retry import backoff
from airflow_provider_meetings.settings import HiringCenterSettings, Settings
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.waiting import Question, is_permanent
from airflow_provider_meetings.wire import Listing, Request, Response

__all__ = ["Line", "Poller", "poller_for"]

Meetings: TypeAlias = list[dict[str, Any]]
#: A connection that was looked up: its settings, the vendor's rules, and the sockets that it may open.
Line: TypeAlias = tuple[Settings, Vendor, int]

#: Seconds in which those who come together are gathered into one poll.
GATHER = 0.1
#: Who is due within this part of the poke interval is asked for along with those who are due now.
EARLY = 0.25
#: Seconds after which the connection is looked up anew, in case that somebody has changed it.
RENEW = 300.0
#: A round does not take longer than this before those who came meanwhile are planned in.
ROUND = 15.0
#: Lists that are read at once.
PARALLEL = 4
#: Seconds of work after which the event loop gets its turn.
SLICE = 0.005
# What is wrong with the connection, whatever was asked.
_CONNECTION = (MeetingsAuthError, MeetingsPermissionError, MeetingsConfigurationError)
# Failures in a row after which it is not the question but the vendor.
_OUTAGE = 2
# Waiters that are woken in one turn of the event loop.
_BATCH = 25
# So many questions are sorted in a few milliseconds.
_FEW = 100

_log = logging.getLogger(__name__)


class _TooCostly(MeetingsError):  # noqa: N818 - it never leaves this module
    """A list has more pages than it is worth."""


@dataclass(slots=True)
class _Meter:
    """Counts the requests of one errand."""

    limit: int | None = None
    count: int = 0


_meter: contextvars.ContextVar[_Meter | None] = contextvars.ContextVar("meetings_meter", default=None)


class _Gate:
    """Lets requests through one after the other, as the budget allows, and counts them."""

    def __init__(self, budget: RateBudget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._turn = asyncio.Lock()

    async def enter(self, request: Request) -> None:
        meter = _meter.get()
        if meter is not None and meter.limit is not None and meter.count >= meter.limit:
            raise _TooCostly(f"{request.path} has more pages than it is worth")
        if meter is not None:
            meter.count += 1
        async with self._turn:  # first come, first served
            while wait := self._budget.take(self._clock()):  # noqa: ASYNC110 - time passes by itself
                await asyncio.sleep(wait)

    def observe(self, response: Response) -> None:
        self._budget.observe(response, self._clock())


@dataclass(slots=True, eq=False)
class _Party:
    """Those who have the same question."""

    question: Question
    waiters: set[asyncio.Future[Meetings]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Entry:
    """One list that is needed, and those who need it."""

    ask: Ask
    due: float
    read_at: float = -math.inf
    failures: int = 0
    intervals: Counter[float] = field(default_factory=Counter)
    parties: dict[str, _Party] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        """How stale the most demanding of them may be."""
        return min(self.intervals, default=60.0)


@dataclass(slots=True, eq=False)
class _Arrival:
    """Somebody who has joined and is not planned in yet."""

    question: Question
    interval: float
    waiter: asyncio.Future[Meetings]


@dataclass(slots=True, eq=False)
class _Round:
    """One poll while it goes on."""

    todo: deque[Errand]
    until: float
    problems: list[MeetingsError] = field(default_factory=list)
    requests: int = 0
    streak: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """A plan, and what it was made from."""

    planner: Planner
    lessons: int
    asks: tuple[Ask, ...]
    errands: list[Errand]
    at: float

    def fails(self, planner: Planner, asks: tuple[Ask, ...], now: float) -> bool:
        """Whether another plan is needed."""
        same = self.planner is planner and self.lessons == planner.lessons and self.asks == asks
        return not same or now - self.at > RENEW


class Poller:
    """Asks for all who wait on one connection, within one event loop.

    Args:
        meetings_conn_id: The connection.
        budget: Returns the rate budget for the connection's settings; it outlives the poller.
        look_up: Looks the connection up.
        transport: Makes the transport.
        random: Jitter, between 0 and 1.
    """

    def __init__(
        self,
        meetings_conn_id: str,
        budget: Callable[[Settings], RateBudget],
        *,
        look_up: Callable[[str], Awaitable[Line]],
        transport: Callable[..., Any] = AsyncTransport,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.meetings_conn_id = meetings_conn_id
        self.members = 0
        self._budget = budget
        self._look_up = look_up
        self._make_transport = transport
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._arrivals: deque[_Arrival] = deque()
        self._entries: dict[Ask, _Entry] = {}
        self._places: dict[asyncio.Future[Meetings], tuple[_Entry, _Party, float]] = {}
        self._wake = asyncio.Event()
        # What the connection says, once it is looked up.
        self._settings: Settings | None = None
        self._vendor: Any = None
        self._rate = RateBudget()
        self._transport: Any = None
        self._retired: list[Any] = []  # somebody may still be reading over them
        self._dialect: Dialect | None = None
        self._planner: Planner | None = None
        self._looked_up = -math.inf
        self._lost_lookups = 0
        self._generation = 0
        self._doubted = -1  # the generation whose key was refused
        self._renewing = asyncio.Lock()
        self._planned: _Planned | None = None
        # How it goes.
        self._failures = 0
        self._not_before = -math.inf
        self._last_poll = -math.inf
        self._last_cost = 0
        self._breath = 0.0
        # In a context of its own: its log lines are about all who wait, not about the one who came first.
        self._task = self._loop.create_task(
            self._run(), name=f"meetings-poller-{meetings_conn_id}", context=contextvars.Context()
        )

    # -- for those who wait

    async def answer(self, question: Question, interval: float) -> Meetings:
        """Wait until the question is answered with yes; return the meetings found.

        Args:
            question: What is waited for.
            interval: Seconds that an answer may be old.

        Raises:
            MeetingsError: Waiting cannot help.
        """
        waiter: asyncio.Future[Meetings] = self._loop.create_future()
        if self.ended:
            raise RuntimeError("the poller has ended") from _why(self._task)
        self._arrivals.append(_Arrival(question, max(interval, GATHER), waiter))
        self._wake.set()
        try:
            return await waiter
        finally:
            self._leave(waiter)

    @property
    def ended(self) -> bool:
        """Whether it polls no more."""
        return self._task.done()

    async def close(self) -> None:
        """End the polling and close the session."""
        self._task.cancel()
        await asyncio.wait({self._task})

    # -- coming and going

    async def _admit(self) -> None:
        """Plan in those who have joined."""
        assert self._dialect is not None  # noqa: S101 - looked up before
        now = self._breath = self._clock()
        while self._arrivals:
            arrival = self._arrivals.popleft()
            question = arrival.question
            try:
                ask = self._dialect.ask(question.window_start, question.window_end, question.filters)
                self._vendor.listing(ask.window, dict(ask.filters))  # it refuses what it cannot list
            except MeetingsError as error:
                self._fail([arrival.waiter], error)
            else:
                self._enter(arrival, ask, now)
            await self._breathe()

    def _enter(self, arrival: _Arrival, ask: Ask, now: float) -> None:
        question = arrival.question
        if arrival.waiter.done():
            return
        # A poll that has just been costs nothing for who came too late; a costly one is not repeated for everybody.
        patience = min(arrival.interval / 2, 1.0 * self._last_cost)
        soon = max(now + GATHER, self._last_poll + patience)
        entry = self._entries.get(ask)
        if entry is None:
            entry = self._entries[ask] = _Entry(ask, soon)
        key = repr((sorted(question.match.items(), key=str), question.min_count))
        party = entry.parties.get(key)
        if party is not None:
            # This very question was answered with no, and is so for as long as that answer may be old.
            soon = max(soon, entry.read_at + arrival.interval)
        else:
            party = entry.parties[key] = _Party(question)
        entry.due = min(entry.due, soon)
        entry.intervals[arrival.interval] += 1
        party.waiters.add(arrival.waiter)
        self._places[arrival.waiter] = (entry, party, arrival.interval)

    def _leave(self, waiter: asyncio.Future[Meetings]) -> None:
        place = self._places.pop(waiter, None)
        if place is None:
            waiter.cancel()
            return
        entry, party, interval = place
        party.waiters.discard(waiter)
        entry.intervals[interval] -= 1
        if not entry.intervals[interval]:
            del entry.intervals[interval]
        if not party.waiters:
            entry.parties = {key: some for key, some in entry.parties.items() if some.waiters}
        if not entry.parties:
            self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        if self._entries.get(entry.ask) is entry:
            del self._entries[entry.ask]
            if self._planner is not None:
                self._planner.forget(entry.ask)

    def _fail(self, waiters: Iterable[asyncio.Future[Meetings]], error: BaseException) -> None:
        for waiter in list(waiters):
            if not waiter.done():
                # One each: whoever raises an error writes its traceback into it.
                waiter.set_exception(copy.copy(error))

    def _fail_all(self, error: BaseException) -> None:
        self._fail([*self._places, *(arrival.waiter for arrival in self._arrivals)], error)
        self._arrivals.clear()
        self._entries.clear()

    # -- the work

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                if not await self._open():
                    continue
                await self._admit()
                wait = self._soonest() - self._clock()
                if wait > 0:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), wait if wait < math.inf else None)
                    continue
                await self._poll()
        except BaseException as error:
            # Nobody is left waiting for a poller that is no more.
            self._fail_all(error if isinstance(error, Exception) else RuntimeError("the poller was stopped"))
            raise
        finally:
            for transport in (*self._retired, self._transport):
                if transport is not None:
                    await transport.__aexit__(None, None, None)

    def _soonest(self) -> float:
        due = min((entry.due for entry in self._entries.values()), default=math.inf)
        return max(due, self._not_before)

    async def _breathe(self) -> None:
        """Let the event loop go on when this has taken a while."""
        if self._clock() - self._breath > SLICE:
            await asyncio.sleep(0)
            self._breath = self._clock()

    # -- the connection

    async def _open(self) -> bool:
        """Look the connection up when that is due; False: it is not there, and it was waited a while."""
        if self._clock() - self._looked_up < RENEW:
            return True
        try:
            await self._renew()
        except MeetingsError as error:
            if self._settings is None or is_permanent(error):
                self._fail_all(error)
                await self._wake.wait()
                return False
        except Exception as error:  # noqa: BLE001 - whatever Airflow's own services may raise
            self._lost_lookups += 1
            wait = 1.0 + backoff(self._lost_lookups, self._random)
            _log.warning("Connection %r cannot be looked up, trying again: %s", self.meetings_conn_id, error)
            if self._settings is None:
                await asyncio.sleep(wait)
                return False
            self._looked_up = self._clock() - RENEW + wait
        return True

    async def _renew(self) -> None:
        """Look the connection up, and begin anew where it has changed."""
        settings, vendor, sockets = await self._look_up(self.meetings_conn_id)
        self._looked_up = self._clock()
        self._lost_lookups = 0
        self._generation += 1
        if settings == self._settings:
            return
        # A poll has patience of its own: it is repeated anyway.
        patience = replace(vendor.patience, max_attempts=min(2, settings.max_attempts), max_wait=5.0)
        self._rate = self._budget(settings)
        gate: Gate = _Gate(self._rate, self._clock)
        transport = self._make_transport(settings, _log, sockets=max(PARALLEL, sockets), gate=gate)
        await transport.__aenter__()
        if self._transport is not None:
            self._retired.append(self._transport)
        self._transport = transport
        rules: Any = vendor
        self._settings, self._vendor = settings, replace(rules, patience=patience)
        dialect = dialect_of(self._vendor)
        if dialect != self._dialect:
            self._dialect, self._planner = dialect, Planner(dialect)
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Send everybody back to the door: what they ask is put another way now."""
        for waiter, (_, party, interval) in self._places.items():
            self._arrivals.append(_Arrival(party.question, interval, waiter))
        self._places.clear()
        self._entries.clear()

    # -- a poll

    async def _poll(self) -> None:
        assert self._planner is not None  # noqa: S101 - looked up before
        now = self._breath = self._clock()
        due = [entry for entry in self._entries.values() if entry.due - EARLY * entry.interval <= now]
        due.sort(key=lambda entry: entry.due)
        todo = deque(await self._plan(tuple([entry.ask for entry in due])))
        shortest = min(entry.interval for entry in due)
        rnd = _Round(todo, now + ROUND)
        self._last_poll = now
        if self._failures and todo:
            await self._errand(rnd, todo.popleft())  # one alone finds out whether the trouble is over
        if len(rnd.todo) == 1:
            await self._work(rnd)
        elif rnd.todo and not rnd.over:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARALLEL, len(rnd.todo))):
                    group.create_task(self._work(rnd))
        self._last_cost = rnd.requests
        while self._retired:
            await self._retired.pop().__aexit__(None, None, None)
        if rnd.over:
            self._failures += 1
            wait = shortest + backoff(self._failures, self._random)
            self._not_before = self._clock() + wait
            self._looked_up = min(self._looked_up, self._clock() - RENEW)  # it may have been given another host
            _log.warning(
                "%d waiting on connection %r were not answered, asking again in %.0f s: %s",
                len(self._places),
                self.meetings_conn_id,
                wait,
                rnd.problems[-1],
            )
        elif rnd.problems:
            _log.warning(
                "%d question(s) to connection %r were not answered, asking again later: %s",
                len(rnd.problems),
                self.meetings_conn_id,
                rnd.problems[-1],
            )

    async def _plan(self, asks: tuple[Ask, ...]) -> list[Errand]:
        """Plan a poll, or take the last plan again when nothing has changed since."""
        planner, now = self._planner, self._clock()
        assert planner is not None  # noqa: S101 - looked up before
        if self._planned is None or self._planned.fails(planner, asks, now):
            lessons = planner.lessons
            # Some hundred questions take a while to sort: not on the event loop.
            few = len(asks) <= _FEW
            errands = planner.plan(asks, now) if few else await asyncio.to_thread(planner.plan, asks, now)
            self._planned = _Planned(planner, lessons, asks, errands, now)
        return self._planned.errands

    async def _work(self, rnd: _Round) -> None:
        while rnd.todo and not rnd.over and self._clock() < rnd.until:
            await self._errand(rnd, rnd.todo.popleft())

    async def _errand(self, rnd: _Round, errand: Errand) -> None:
        """Read one list, and answer those who are waiting for it."""
        assert self._planner is not None  # noqa: S101 - looked up before
        if not any(ask in self._entries for ask in errand.serves):
            return
        meter, generation = _Meter(errand.limit), self._generation
        started, meetings = self._clock(), list[dict[str, Any]]()
        token = _meter.set(meter)
        try:
            listing: Listing = self._vendor.listing(errand.ask.window, dict(errand.ask.filters))
            async for page in self._transport.pages(listing):
                meetings += page.items
        except _TooCostly:
            dates = [self._planner.dialect.date(meeting) for meeting in meetings]
            self._planner.give_up(errand.ask, meter.count, dates, self._clock())
            rnd.todo.extendleft(reversed(self._planner.plan(errand.serves, self._clock())))
        except MeetingsError as error:
            await self._trouble(rnd, errand, error, generation)
        else:
            if self._failures:
                self._rate.calm(self._clock())  # the vendor has just come back: no crowd at its door
            rnd.streak = self._failures = 0
            self._doubted = -1
            await self._serve(errand, meetings, meter.count, started)
        finally:
            _meter.reset(token)
            rnd.requests += meter.count
        if errand.speaks_for:
            # Not refused, then: those who are still there ask for themselves.
            rnd.todo.extend(Errand(ask, [ask]) for ask in errand.speaks_for if ask in self._entries)

    async def _trouble(self, rnd: _Round, errand: Errand, error: MeetingsError, generation: int) -> None:
        """Tell an error that waiting can mend from one that it cannot, and whom it concerns."""
        if isinstance(error, MeetingsAuthError):
            async with self._renewing:
                if await self._new_key(generation):
                    rnd.todo.appendleft(errand)
                    return
        if isinstance(error, _CONNECTION):
            rnd.todo.clear()
            self._fail_all(error)
            return
        if is_permanent(error):
            self._refused(rnd, errand, error)
            return
        now = self._clock()
        entries = [self._entries[ask] for ask in errand.serves if ask in self._entries]
        for entry in entries:
            entry.failures += 1
        wait = max((backoff(entry.failures, self._random) for entry in entries[:1]), default=0.0)
        for entry in entries:
            entry.due = now + entry.interval + wait
        rnd.problems.append(error)
        rnd.streak += 1
        # One list that fails is its own trouble; several in a row, or the only one, are the vendor's.
        rnd.over = rnd.streak >= _OUTAGE or self._failures > 0 or error.status == 429 or not rnd.todo  # noqa: PLR2004

    async def _new_key(self, generation: int) -> bool:
        """Look for a new key, or address, after one was refused; False: this is the one that was found then."""
        if generation < self._generation:
            return True
        if self._doubted == generation:
            return False
        before = self._settings
        with contextlib.suppress(Exception):
            await self._renew()
        self._doubted = self._generation
        return self._settings != before

    def _refused(self, rnd: _Round, errand: Errand, error: MeetingsError) -> None:
        if errand.serves == [errand.ask]:
            for ask in (errand.ask, *errand.speaks_for):
                entry = self._entries.get(ask)
                if entry is not None:
                    self._drop(entry)
                    self._fail([waiter for party in entry.parties.values() for waiter in party.waiters], error)
            return
        # It was our own question: nobody is to blame for it. But where one of them is refused as well, with the same
        # window, it is the window, and nobody else with it has to ask.
        assert self._planner is not None  # noqa: S101 - looked up before
        self._planner.give_up(errand.ask, len(errand.serves) + 1_000_000, (), self._clock())
        same = [ask for ask in errand.serves if ask.window == errand.ask.window]
        rest = [ask for ask in errand.serves if ask.window != errand.ask.window]
        if same:
            rnd.todo.appendleft(Errand(same[0], [same[0]], speaks_for=tuple(same[1:])))
        rnd.todo.extend(Errand(ask, [ask]) for ask in rest)

    async def _serve(self, errand: Errand, meetings: Meetings, requests: int, started: float) -> None:
        """Give everybody whose meetings these are their answer."""
        assert self._planner is not None  # noqa: S101 - looked up before
        self._breath = self._clock()
        sheet = Sheet(self._planner.dialect, errand.ask, meetings)
        self._planner.learn(errand.ask, requests, sheet.dates, started)
        woken = 0
        for entry in self._served(errand):
            entry.failures, entry.read_at, entry.due = 0, started, started + entry.interval
            for key, party in list(entry.parties.items()):
                candidates = sheet.narrow(entry.ask, party.question.match)
                if candidates is None:
                    self._planner.leave_alone(entry.ask)
                    entry.due = started
                    break
                found = party.question.satisfied_by(candidates)
                if found is not None:
                    del entry.parties[key]
                    for waiter in list(party.waiters):
                        if not waiter.done():
                            waiter.set_result(found)
                        woken += 1
                        if not woken % _BATCH:
                            await asyncio.sleep(0)
                await self._breathe()
            if not entry.parties:
                self._drop(entry)

    def _served(self, errand: Errand) -> Iterator[_Entry]:
        yield from [self._entries[ask] for ask in errand.serves if ask in self._entries]
        if len(errand.serves) > 1:
            # Who was not due gets a fresh answer, too, since it is here.
            served = set(errand.serves)
            yield from [e for ask, e in self._entries.items() if ask not in served and errand.ask.covers(ask)]


def _why(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


# -- who shares which poller


@dataclass(slots=True)
class _Shelf:
    """What one event loop has."""

    pollers: dict[str, Poller] = field(default_factory=dict)
    budgets: dict[tuple[str, tuple[tuple[int, float], ...]], RateBudget] = field(default_factory=dict)

    def budget(self, conn_id: str, settings: Settings) -> RateBudget:
        """Return the connection's budget. It stays when the poller goes: the vendor does not forget either."""
        limits: tuple[tuple[int, float], ...] = ()
        if isinstance(settings, HiringCenterSettings):
            limits = ((settings.rate_limit_per_minute, 60.0), (settings.rate_limit_per_hour, 3600.0))
        return self.budgets.setdefault((conn_id, limits), RateBudget(limits))


_shelves: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shelf] = WeakKeyDictionary()


async def _look_up(conn_id: str) -> Line:
    hook = await ahook_for(conn_id)
    line: Line = await hook.aparts()
    return line


@contextlib.asynccontextmanager
async def poller_for(meetings_conn_id: str) -> AsyncIterator[Poller]:
    """Join those who wait on a connection in this event loop; the last to leave ends the polling."""
    shelf = _shelves.setdefault(asyncio.get_running_loop(), _Shelf())
    poller = shelf.pollers.get(meetings_conn_id)
    if poller is None or poller.ended:
        budget = functools.partial(shelf.budget, meetings_conn_id)
        poller = shelf.pollers[meetings_conn_id] = Poller(meetings_conn_id, budget, look_up=_look_up)
    poller.members += 1
    try:
        yield poller
    finally:
        poller.members -= 1
        if not poller.members:
            if shelf.pollers.get(meetings_conn_id) is poller:
                del shelf.pollers[meetings_conn_id]
            await poller.close()
