"""The watch over the meetings of a window: looks again and again, and hands out the events of what has changed.

It reads through the poller that all waiters of the connection share. Watches look at the same moments, multiples of
their interval, so that equal ones need one query, and others overlapping ones.

A window that moves with time is listed together with the one of the last look. So a meeting that the window has merely
moved past is still listed, and differs from one that was deleted or moved, without a request for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingNotFoundError, MeetingsError
from airflow_provider_meetings.polling.criteria import Criteria, is_permanent
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.polling.registry import poller_for
from airflow_provider_meetings.polling.wanted import canonical
from airflow_provider_meetings.watching.changes import (
    TOLERATED_MISSES,
    Change,
    Observation,
    diff_listed,
    diff_missing,
    should_be_listed,
)
from airflow_provider_meetings.watching.snapshot_store import ConcurrentWriterError, SnapshotStore

__all__ = ["WatchSpec", "Watcher"]

Event = dict[str, Any]

#: Changes that are stored, fired and committed together.
BATCH_EVENTS = 50
#: Characters of JSON in these.
BATCH_CHARS = 100_000
#: Seconds after which a look that brought nothing new is stored as well.
CHECKPOINT_INTERVAL = 300.0
#: Seconds after which the last event is fired once more; each further time after twice as long. Airflow gives a run the
#: events up to the moment at which the first of them was queued, and leaves those that came before it made the run
#: lying until there is another one: a repeat is that one, and says of itself that it is a repeat.
NUDGE = 15.0
#: The longest pause between two repeats.
LONGEST_NUDGE = 3600.0
#: Seconds between two looks at what the DAGs have received.
RECEIPT_INTERVAL = 60.0
#: Seconds after which an event is not repeated any more although not every DAG has received it.
NUDGE_FOR = 86_400.0
#: The same where no DAG reports what it has received: nothing shows then when it is enough.
NUDGE_FOR_UNKNOWN = 3600.0
#: There, only events that may have been left lying are repeated: several at once, or one within this many seconds of
#: another; a run that takes long, of a DAG that has one at a time, leaves lying what comes meanwhile.
CLOSE = 3600.0
#: Seconds between tries after a permanent error, which a person has to fix.
LONGEST_WAIT = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSpec:
    """What is watched.

    Attributes:
        connection: The connection's id.
        window_start: Unix milliseconds, or None.
        window_end: Unix milliseconds, or None.
        past: Seconds before now at which a window that moves with time begins; None: it does not move.
        ahead: Seconds after now at which it ends.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, by field.
    """

    connection: str
    window_start: int | None = None
    window_end: int | None = None
    past: float | None = None
    ahead: float | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    match: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """A digest of all of it: equal ones have one, whatever order the lists in ``match`` have."""
        match = {name: canonical(wanted) for name, wanted in self.match.items()}
        parts = [self.connection, self.window_start, self.window_end, self.past, self.ahead, self.filters, match]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def window(self, now: float) -> Window:
        """Return the window at a time."""
        if self.past is None or self.ahead is None:
            return Window(self.window_start, self.window_end)
        return Window(round((now - self.past) * 1000), round((now + self.ahead) * 1000))


@dataclass(slots=True)
class _Reminder:
    """The last event that was fired, until every DAG has it."""

    event: Event
    fired_at: float
    crowded: bool
    due: float
    look_at: float
    pause: float = NUDGE
    received: dict[str, list[str]] | None = None

    @classmethod
    def start(cls, event: Event, now: float, *, crowded: bool) -> _Reminder:
        """Begin with an event that was fired now."""
        return cls(event, now, crowded, due=now + NUDGE, look_at=now + NUDGE)

    def take_in(self, received: dict[str, list[str]], now: float) -> bool:
        """Take note of what the DAGs have received; return whether it is time to repeat, if that is needed.

        It is when a DAG has received something else: only now Airflow would queue that DAG again.
        """
        changed = self.received is not None and received != self.received
        is_due = changed or now >= self.due
        if is_due:
            self.pause = NUDGE if changed else min(LONGEST_NUDGE, 2 * self.pause)
            self.due = now + self.pause
        self.received, self.look_at = received, min(self.due, now + RECEIPT_INTERVAL)
        return is_due


class Watcher:
    """Looks at a window, and yields the events of what has changed.

    Args:
        spec: What to look at.
        store: Where what is known is kept.
        interval: Seconds between two looks.
        tell_first: Whether the meetings that are there at the very first look have events.
        kinds: The kinds of events that are fired; None: all.
        join: Joins the poller of a connection.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        spec: WatchSpec,
        store: SnapshotStore,
        *,
        interval: float,
        tell_first: bool = False,
        kinds: Sequence[str] | None = None,
        join: Callable[[str], AbstractAsyncContextManager[Poller]] = poller_for,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spec = spec
        self._store = store
        self._interval = interval
        self._tell_first = tell_first
        self._kinds = kinds
        self._join = join
        self._clock = clock
        self._offset = crc32(spec.connection.encode()) % 1000 / 1000 * interval
        self._missed: dict[str, int] = {}
        self._troubles = 0
        self._fired_at = -math.inf
        self._reminder: _Reminder | None = None

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """Yield the events step by step, without end; asking for the next step confirms that these are stored.

        No error ends it: what waiting does not mend is logged, and tried again after a while.
        """
        while True:
            try:
                async with aclosing(self._watch()) as batches:
                    async for events in batches:
                        yield events
            except ConcurrentWriterError as error:
                _log.info("Another triggerer has written this snapshot; reloading it: %s", error)
                await asyncio.sleep(self._interval)
            except Exception as error:  # noqa: BLE001 - a watch that ends is one that misses something
                self._troubles += 1
                wait = min(LONGEST_WAIT, self._interval * 2 ** min(self._troubles, 10))
                _log.log(
                    logging.ERROR if isinstance(error, MeetingsError) and is_permanent(error) else logging.WARNING,
                    "The meetings of connection %r cannot be watched, trying again in %.0f s: %s",
                    self._spec.connection,
                    wait,
                    error if isinstance(error, MeetingsError) else repr(error),
                )
                await asyncio.sleep(wait)

    async def _watch(self) -> AsyncGenerator[list[Event], None]:
        store, connection = self._store, self._spec.connection
        await store.load()
        if store.last is not None and self._reminder is None:
            self._reminder = _Reminder.start(store.last, self._clock(), crowded=store.crowded)
        if store.pending:
            async for events in self._fire(self._wanted(store.pending)):
                yield events
            await store.commit()
        if store.snapshot is not None:
            # Users who miss an event look for these two lines: since when is it watched?
            since = _readable(store.snapshot.taken_at)
            _log.info("Watching the meetings of connection %r: changes since %s fire events", connection, since)
        async with self._join(connection) as poller:
            while True:
                now = self._tick(self._clock())
                look = await self._look(poller, now)
                if store.snapshot is None:
                    await store.begin(look.snapshot(empty=self._tell_first))
                    since = _readable(look.taken_at)
                    _log.info("Watching the meetings of connection %r: changes after %s fire events", connection, since)
                async for events in self._tell(poller, look):
                    yield events
                await self._finish(look)
                self._troubles = 0
                async for events in self._idle(self._tick(self._clock()) + self._interval):
                    yield events

    async def _tell(self, poller: Poller, look: Observation) -> AsyncGenerator[list[Event], None]:
        """Store, and yield, what has changed."""
        store = self._store
        async for changes in self._changes(poller, look):
            await store.stage(changes)
            async for events in self._fire(self._wanted(store.pending)):
                yield events
            await store.commit()

    async def _fire(self, events: list[Event]) -> AsyncGenerator[list[Event], None]:
        if events:
            crowded = len(events) > 1 or self._clock() - self._fired_at < CLOSE
            yield events
            now = self._fired_at = self._clock()
            crowded = crowded or (self._reminder is not None and self._reminder.crowded)
            self._reminder = _Reminder.start(events[-1], now, crowded=crowded)
            self._store.last, self._store.crowded = events[-1], crowded

    async def _idle(self, until: float) -> AsyncGenerator[list[Event], None]:
        """Wait for the next look; repeat the last event where a DAG has not received it."""
        while (reminder := self._reminder) is not None and reminder.look_at < until:
            await asyncio.sleep(max(0.0, reminder.look_at - self._clock()))
            if await self._is_missed(reminder):
                yield [reminder.event | {"repeat": True}]
                self._fired_at = self._clock()
        await asyncio.sleep(max(0.0, until - self._clock()))

    async def _is_missed(self, reminder: _Reminder) -> bool:
        """Whether the event may have been left without a run, and it is time to repeat it."""
        received = await self._store.received(since=reminder.fired_at - NUDGE_FOR)
        is_due = reminder.take_in(received, self._clock())
        elapsed = self._clock() - reminder.fired_at
        if received:
            missed = any(reminder.event["event_id"] not in ids for ids in received.values())
            over = not missed or elapsed > NUDGE_FOR
        else:
            missed = reminder.crowded and elapsed <= NUDGE_FOR_UNKNOWN
            # A DAG's first run may take a while before it reports what it has received.
            over = elapsed > NUDGE_FOR if self._store.is_durable else not missed
        if over:
            self._reminder = self._store.last = None
        return missed and is_due and not over

    def _wanted(self, events: list[Event]) -> list[Event]:
        return [event for event in events if self._kinds is None or event["kind"] in self._kinds]

    def _tick(self, now: float) -> float:
        """Return the last instant at which every watch with this interval looks."""
        return (now - self._offset) // self._interval * self._interval + self._offset

    # -- one look

    async def _look(self, poller: Poller, now: float) -> Observation:
        spec, snapshot = self._spec, self._store.snapshot
        window = spec.window(now)
        listed = window if snapshot is None else snapshot.window.hull(window)
        taken_at = round(self._clock() * 1000)
        criteria = Criteria(listed.start, listed.end, spec.filters, spec.match, min_count=0)
        meetings = await poller.answer(criteria, self._interval)
        return await asyncio.to_thread(
            Observation.from_meetings,
            meetings,
            vendor=poller.vendor,
            scope=spec.scope,
            connection=spec.connection,
            window=window,
            taken_at=taken_at,
            clock_offset=round(poller.clock_offset * 1000),
        )

    async def _changes(self, poller: Poller, look: Observation) -> AsyncGenerator[list[Change], None]:
        """Yield what has changed since the last look, a few at a time; each is compared with what then is known."""
        snapshot = self._store.snapshot
        assert snapshot is not None  # noqa: S101 - begun before
        for step in _parts(await asyncio.to_thread(diff_listed, snapshot, look)):
            yield step
        missing = look.missing(snapshot)
        self._missed = {key: self._missed.get(key, 0) + 1 for key in missing}
        for start in range(0, len(missing), BATCH_EVENTS):
            verdicts = await self._look_for(poller, look, missing[start : start + BATCH_EVENTS])
            for step in _parts(diff_missing(snapshot, look, verdicts)):
                yield step

    async def _look_for(self, poller: Poller, look: Observation, keys: list[str]) -> dict[str, dict[str, Any] | None]:
        """Read meetings by their ids, to separate those that are gone from those that were moved.

        Where one cannot be read, it stays as it is known until the next look.
        """
        verdicts: dict[str, dict[str, Any] | None] = {}
        for key in keys:
            try:
                meeting = await poller.read(key)
                if not self._is_listed(look, meeting) or self._missed[key] > TOLERATED_MISSES:
                    verdicts[key] = meeting
            except MeetingNotFoundError:
                verdicts[key] = None
            except (MeetingsError, ValueError) as error:
                if isinstance(error, MeetingsError) and is_permanent(error):
                    raise
                _log.warning("Meeting %s could not be read; the next look checks it again: %s", key, error)
        return verdicts

    def _is_listed(self, look: Observation, meeting: Mapping[str, Any]) -> bool:
        """Whether a list should have contained this meeting, as far as the meeting shows."""
        match = {name: value for name, value in self._spec.match.items() if name in meeting}
        listed = should_be_listed(look, meeting, self._spec.filters)
        return listed and bool(Criteria(match=match).satisfied_by([meeting]))

    async def _finish(self, look: Observation) -> None:
        """Note a look whose events were all fired."""
        snapshot = self._store.snapshot
        assert snapshot is not None  # noqa: S101 - begun before
        first = not snapshot.settled
        snapshot.finish(look)
        if first or self._store.is_stale(CHECKPOINT_INTERVAL):
            await self._store.checkpoint()


def _readable(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _parts(changes: list[Change]) -> Iterator[list[Change]]:
    """Cut into steps of a bounded number and size."""
    part: list[Change] = []
    size = 0
    for change in changes:
        size += len(json.dumps([change.event, change.entry and change.entry.fields]))
        if part and (len(part) >= BATCH_EVENTS or size > BATCH_CHARS):
            yield part
            part, size = [], len(json.dumps(change.event))
        part.append(change)
    if part:
        yield part
