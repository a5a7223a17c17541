"""Carrying a plan out: batches of writes that go out together, the journal written once before each batch.

Creates and updates come first, deletes only where all of those went well. Sans-I/O like everything below it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_meetings.core.flow import Flow, Gather, Log, Now
from airflow_provider_meetings.exactly_once.journal import digest
from airflow_provider_meetings.sets.journal import DELETED, UnansweredCreate, UnansweredWrite, size_of
from airflow_provider_meetings.sets.outcome import Applied, Written
from airflow_provider_meetings.sets.plan import Change, Plan
from airflow_provider_meetings.sets.sending import ROOM, save
from airflow_provider_meetings.sets.writing import Writer
from airflow_provider_meetings.vendors.matching import PendingCreate

__all__ = ["apply_plan", "asked_of"]

# Seconds between two lines of progress in the log.
_PROGRESS = 5.0
# From so many seconds on, what is left is told in minutes.
_MINUTES = 120.0

_Entry: TypeAlias = UnansweredCreate | UnansweredWrite


def asked_of(change: Change) -> str:
    """Return what an update or a delete asks for, as the journal has it."""
    return DELETED if change.row is None else digest(change.row.declared)


def apply_plan(writer: Writer, plan: Plan, *, batch_size: int, max_bytes: int) -> Flow[Applied]:
    """Carry a plan out.

    Args:
        writer: Makes the single writes.
        plan: The plan.
        batch_size: How many writes go out under one write of the journal.
        max_bytes: How long the journal may be.

    Returns:
        What came of each write. Nothing is raised for one that did not succeed.
    """
    return (yield from _Application(writer, plan, batch_size, max_bytes).run())


@dataclass(slots=True)
class _Application:
    """One plan being carried out."""

    writer: Writer
    plan: Plan
    batch_size: int
    max_bytes: int

    def run(self) -> Flow[Applied]:
        applied = Applied(len(self.plan.changes))
        if not self.plan.changes:
            return applied
        progress = _Progress(len(self.plan.changes), (yield Now()))
        for stage in (self.plan.of("create", "update"), self.plan.of("delete")):
            waiting = deque(stage)
            while waiting and not applied.is_hopeless:
                if applied.needs_probe:
                    waiting.rotate(1)  # rows that are refused for the same reason stand together
                batch = yield from self._begin(waiting, 1 if applied.needs_probe else self.batch_size)
                results = yield Gather([self.writer.write(change, entry) for change, entry in batch])
                now = yield Now()
                for (_, entry), result in zip(batch, results, strict=True):
                    self._conclude(entry, result, now)
                applied.add(results)
                yield from progress.tell(len(applied.written))
            if waiting or not applied.is_clean:
                break
        yield from self._end(applied)
        return applied

    def _begin(self, waiting: deque[Change], most: int) -> Flow[Sequence[tuple[Change, _Entry]]]:
        """Take the next batch, and write down that it is sent; what came of the last one goes with the same write."""
        now = yield Now()
        journal = self.writer.journal
        journal.forget_old(now)
        until = now + ROOM + self.writer.vendor.retry_limits.in_flight
        batch: list[tuple[Change, _Entry]] = []
        size = journal.size()
        while waiting and len(batch) < most:
            entry = self._entry(waiting[0], now, until)
            size += size_of(entry)
            if batch and size > self.max_bytes:
                break
            change = waiting.popleft()
            batch.append((change, entry))
            if isinstance(entry, UnansweredCreate):
                journal.creates[entry.pending.key] = entry
            else:
                journal.writes[str(change.id)] = entry
        yield from save(journal)
        return batch

    def _entry(self, change: Change, now: float, until: float) -> _Entry:
        writer = self.writer
        if change.action != "create" or change.row is None:
            return UnansweredWrite(asked_of(change), until)
        known = writer.scope.lookalikes(change.row.body) if writer.vendor.needs_presence_check else None
        key = writer.keys.key(change.row, writer.journal.generation)
        pending = PendingCreate(change.row.body, key, now, until, known)
        return UnansweredCreate(pending, writer.matcher.names, change.row.key)

    def _conclude(self, entry: _Entry, result: Written, now: float) -> None:
        """Take a write out of the journal if nothing of it can be on its way any more."""
        journal = self.writer.journal
        if result.maybe_sent and result.verdict != "untried":
            return
        if isinstance(entry, UnansweredCreate) and result.verdict == "done":
            journal.recent[str(result.meeting_id)] = now
        if isinstance(entry, UnansweredCreate):
            for key in [key for key, one in journal.creates.items() if one is entry]:
                del journal.creates[key]
        elif not result.repeated:
            journal.writes.pop(str(result.change.id), None)

    def _end(self, applied: Applied) -> Flow[None]:
        journal = self.writer.journal
        if any(one.verdict == "refused" and one.change.action == "create" for one in applied.written):
            journal.generation += 1  # the vendor may keep its refusal with the key
        journal.forget_old((yield Now()))
        yield from save(journal)
        untouched = len(self.plan.of("delete")) - sum(one.change.action == "delete" for one in applied.written)
        if untouched and not applied.is_clean:
            yield Log(f"{untouched} meeting(s) are not deleted, since not everything before went well.")


@dataclass(slots=True)
class _Progress:
    """Tells now and then how far it is.

    Attributes:
        total: How many writes there are.
        begun: When the first one began, in seconds since the epoch.
        told: When the last line was written; 0: none was.
    """

    total: int
    begun: float
    told: float = 0.0

    def tell(self, done: int) -> Flow[None]:
        now = yield Now()
        if now - (self.told or self.begun) < _PROGRESS or done >= self.total:
            return
        self.told = now
        rate = done / (now - self.begun)
        left = _duration((self.total - done) / rate)
        yield Log(f"{done} of {self.total} writes done, {rate:.1f} a second, about {left} left.")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTES else f"{seconds / 60:.0f} min"
