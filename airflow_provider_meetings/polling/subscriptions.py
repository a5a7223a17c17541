"""Those who wait on one connection: who needs which list, who has the same question, and when each is due."""

from __future__ import annotations

import asyncio
import copy
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.polling import Ask, Dialect, Errand, Planner, Sheet
from airflow_provider_meetings.polling.criteria import Question

__all__ = ["Crowd", "Entry", "Meetings"]

Meetings: TypeAlias = list[dict[str, Any]]

#: Seconds in which those who come together are gathered into one poll.
GATHER = 0.1
#: Who is due within this part of the poke interval is asked for along with those who are due now.
EARLY = 0.25
#: Seconds of work after which the event loop gets its turn.
SLICE = 0.005
# Waiters that are woken in one turn of the event loop.
_BATCH = 25


@dataclass(slots=True, eq=False)
class _Party:
    """Those who have the same question."""

    question: Question
    waiters: set[asyncio.Future[Meetings]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Entry:
    """One list that is needed, and those who need it.

    Attributes:
        ask: The list.
        due: When it is to be read.
        read_at: When it was read last.
        failures: How often in a row it could not be.
        intervals: How stale the answer may be, and how many say so.
        parties: Those who need it, by their question.
    """

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


class Crowd:
    """Those who wait.

    Args:
        forget: Is told of each ask that nobody asks any more.

    Attributes:
        entries: The lists that are needed.
        wake: Set when somebody joins.
    """

    def __init__(self, forget: Callable[[Ask], None]) -> None:
        self.entries: dict[Ask, Entry] = {}
        self.wake = asyncio.Event()
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._arrivals: deque[_Arrival] = deque()
        self._places: dict[asyncio.Future[Meetings], tuple[Entry, _Party, float]] = {}
        self._firsts: set[asyncio.Future[Meetings]] = set()
        self._breath = 0.0

    def __len__(self) -> int:
        return len(self._places)

    # -- coming and going

    def join(self, question: Question, interval: float, *, first: bool = False) -> asyncio.Future[Meetings]:
        """Come in; the future gets the answer.

        Args:
            question: What is waited for.
            interval: Seconds that an answer may be old.
            first: Nobody has asked this before, anywhere.
        """
        waiter: asyncio.Future[Meetings] = self._loop.create_future()
        if first:
            self._firsts.add(waiter)
        self._arrivals.append(_Arrival(question, max(interval, GATHER), waiter))
        self.wake.set()
        return waiter

    def leave(self, waiter: asyncio.Future[Meetings]) -> None:
        """Go, with an answer or without."""
        self._firsts.discard(waiter)
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

    async def admit(self, dialect: Dialect | None, vendor: Any, soonest: Callable[[float], float]) -> None:
        """Plan in those who have joined; who asks what cannot be asked is told so.

        Args:
            dialect: The vendor's.
            vendor: Its rules.
            soonest: When a list may be read at the earliest for somebody with such an interval.
        """
        assert dialect is not None  # noqa: S101 - looked up before
        now = self._breath = self._clock()
        while self._arrivals:
            arrival = self._arrivals.popleft()
            question = arrival.question
            try:
                ask = dialect.ask(question.window_start, question.window_end, question.filters)
                vendor.listing(ask.window, dict(ask.filters))  # it refuses what it cannot list
            except MeetingsError as error:
                self._fail([arrival.waiter], error)
            else:
                self._enter(arrival, ask, max(now + GATHER, soonest(arrival.interval)))
            await self._breathe()

    def _enter(self, arrival: _Arrival, ask: Ask, soon: float) -> None:
        question = arrival.question
        if arrival.waiter.done():
            return
        entry = self.entries.get(ask)
        if entry is None:
            entry = self.entries[ask] = Entry(ask, soon)
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

    def begin_anew(self) -> None:
        """Send everybody back to the door: what they ask is put another way now."""
        for waiter, (_, party, interval) in self._places.items():
            self._arrivals.append(_Arrival(party.question, interval, waiter))
        self._places.clear()
        self.entries.clear()

    def hurry(self) -> None:
        """Have every list read soon: what was answered so far counts no more."""
        soon = self._clock() + GATHER
        for entry in self.entries.values():
            entry.due, entry.read_at = min(entry.due, soon), -math.inf
        self.wake.set()

    def _drop(self, entry: Entry) -> None:
        if self.entries.get(entry.ask) is entry:
            del self.entries[entry.ask]
            self._forget(entry.ask)

    # -- who is due

    @property
    def soonest(self) -> float:
        """When the next one is due."""
        return min((entry.due for entry in self.entries.values()), default=math.inf)

    def due(self) -> list[Entry]:
        """Return who is due, or nearly so, the longest waiting first."""
        now = self._clock()
        due = [entry for entry in self.entries.values() if entry.due - EARLY * entry.interval <= now]
        due.sort(key=lambda entry: entry.due)
        return due

    # -- answers

    async def serve(
        self, errand: Errand, meetings: Meetings, planner: Planner, *, requests: int, started: float
    ) -> None:
        """Give everybody whose meetings these are their answer.

        Args:
            errand: What was read.
            meetings: The answer.
            planner: Learns from it.
            requests: How many it took.
            started: When the reading began.
        """
        self._breath = self._clock()
        sheet = Sheet(planner.dialect, errand.ask, meetings)
        planner.learn(errand.ask, requests, sheet.dates, started)
        woken = 0
        for entry in self._served(errand, planner):
            entry.failures, entry.read_at, entry.due = 0, started, started + entry.interval
            for key, party in list(entry.parties.items()):
                candidates = sheet.narrow(entry.ask, party.question.match)
                if candidates is None:
                    planner.leave_alone(entry.ask)
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

    def _served(self, errand: Errand, planner: Planner) -> Iterator[Entry]:
        yield from [self.entries[ask] for ask in errand.serves if ask in self.entries]
        if len(errand.serves) > 1:
            # Who was not due gets a fresh answer, too, since it is here.
            served = set(errand.serves)
            others = [ask for ask in self.entries if ask not in served and planner.can_tell(errand.ask, ask)]
            yield from [self.entries[ask] for ask in others]

    async def _breathe(self) -> None:
        """Let the event loop go on when this has taken a while."""
        if self._clock() - self._breath > SLICE:
            await asyncio.sleep(0)
            self._breath = self._clock()

    # -- errors

    def refuse(self, ask: Ask, error: MeetingsError) -> None:
        """Tell those who need a list that it cannot be had."""
        entry = self.entries.get(ask)
        if entry is not None:
            self._drop(entry)
            self._fail([waiter for party in entry.parties.values() for waiter in party.waiters], error)

    def fail_firsts(self, error: MeetingsError) -> None:
        """Tell those for whom nobody has asked before that they ask in vain."""
        self._fail(self._firsts, error)

    def fail_all(self, error: BaseException) -> None:
        """Tell everybody that waiting cannot help."""
        self._fail([*self._places, *(arrival.waiter for arrival in self._arrivals)], error)
        self._arrivals.clear()
        self.entries.clear()

    def _fail(self, waiters: Iterable[asyncio.Future[Meetings]], error: BaseException) -> None:
        for waiter in list(waiters):
            if not waiter.done():
                # One each: whoever raises an error writes its traceback into it.
                waiter.set_exception(copy.copy(error))
