"""What has changed in a window between two runs of a task: the rules of the event trigger, with files as memory.

The order of what is written makes every kill harmless: the events first, then what is known now, and the manifest that
names it last. Until then the next try starts from where this one has started, and finds the same changes again, under
the same ids, beside what has changed since.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingNotFoundError, MeetingsConfigurationError
from airflow_provider_meetings.sets.run_snapshot import KnownState, RunSnapshots
from airflow_provider_meetings.watching.changes import (
    KINDS,
    TOLERATED_MISSES,
    Change,
    Event,
    Observation,
    Snapshot,
    diff_missing,
    iter_diff_listed,
    should_be_listed,
)
from airflow_provider_meetings.watching.packed import PackedListing, PackedMeetings

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["MOST_READS", "ChangeSearch", "check_options"]

#: Meetings that one run reads by their ids, to find out what became of them; the others wait for the next run.
MOST_READS = 1_000

_log = logging.getLogger(__name__)


def check_options(kinds: Any, initial: Any) -> list[str] | None:
    """Return the kinds of events that are wanted, in order; None: all.

    Raises:
        MeetingsConfigurationError: There is no such kind, or no such value of ``initial``.
    """
    if initial not in ("emit", "ignore"):
        raise MeetingsConfigurationError(f"initial must be 'emit' or 'ignore', not {initial!r}. Nothing was sent.")
    if kinds is None:
        return None
    if isinstance(kinds, str):
        try:
            kinds = json.loads(kinds)
        except ValueError:
            kinds = [kinds]
    if not isinstance(kinds, Collection) or isinstance(kinds, str | bytes):
        raise MeetingsConfigurationError(f"kinds must be a list of kinds, not {kinds!r}. Nothing was sent.")
    if not kinds:
        raise MeetingsConfigurationError("kinds is empty: every change would be lost. Leave it out for all kinds.")
    if unknown := sorted(str(kind) for kind in kinds if kind not in KINDS):
        raise MeetingsConfigurationError(f"Unknown kinds {unknown}; choose from {', '.join(KINDS)}. Nothing was sent.")
    return [kind for kind in KINDS if kind in kinds]


@dataclass(frozen=True, slots=True)
class ChangeSearch:
    """A look for what has changed since the last run.

    Attributes:
        hook: Reads the meetings.
        window: The window of this run.
        filters: The vendor's own query parameters, as they go into the query.
        url: Where what is known is kept.
        run: Who looks, ``[dag_id, run_id, task_id, map_index]``; None: nobody who could come again.
        emit_first: Whether the first run tells the meetings that are there.
        kinds: Which kinds of events are wanted; None: all.
        taken_at: Now, in Unix milliseconds.
    """

    hook: MeetingsHook[Any, Any]
    window: Window
    filters: Mapping[str, Any]
    url: Any
    run: list[Any] | None
    emit_first: bool
    kinds: Collection[str] | None
    taken_at: int

    @classmethod
    def parse(
        cls, hook: MeetingsHook[Any, Any], window_start: Any, window_end: Any, filters: Any, **known: Any
    ) -> ChangeSearch:
        """Check what a DAG author, or a template, has given.

        Args:
            hook: Reads the meetings.
            window_start: The first moment.
            window_end: The first moment that is too late.
            filters: The vendor's own query parameters.
            known: The other attributes.

        Raises:
            MeetingsConfigurationError: Something is wrong with it.
        """
        try:
            window = Window.parse(window_start, window_end)
        except ValueError as error:
            raise MeetingsConfigurationError(f"The window is invalid, nothing was sent: {error}") from None
        return cls(hook, window, dict(hook.vendor.check_filters(filters)), **known)

    def find(self, deliver: Callable[[Iterator[Event]], None]) -> None:
        """Find what has changed, hand it over, and remember it.

        Args:
            deliver: Takes the events, to the last one, and has them safe when it returns.

        Raises:
            MeetingsError: The meetings could not be read, or the snapshot not be used. Nothing is remembered then.
            Exception: Whatever the file system of the snapshot raises.
        """
        snapshots = RunSnapshots(self.url, self._scope)
        snapshots.check()
        manifest = snapshots.load()
        base = None if manifest is None else manifest.start_for(self.run)
        state = self._begin() if base is None else snapshots.read(base)
        look = self._look(state.snapshot, first=base is None)
        verdicts = self._verdicts(state, look)
        floor = _Floor(state.snapshot.floor)
        events = self._events(state.snapshot, look, verdicts, floor)
        if base is None and not self.emit_first:
            skipped = sum(1 for _ in events)
            _log.info("First run with initial='ignore': %d meeting(s) are known now", skipped)
            events = iter(())
        deliver(events)
        snapshot = state.snapshot
        snapshot.finish(look)
        snapshot.floor = floor.value
        snapshots.store(state, run=self.run, base=base)

    @property
    def _scope(self) -> str:
        return _digest([self.hook.conn_type, self.hook.meetings_conn_id, self.filters])

    def _begin(self) -> KnownState:
        # Made of the run, so that a second try of the first run gives its events the same ids.
        epoch = self.taken_at if self.run is None else int(_digest(self.run)[:12], 16)
        snapshot = Snapshot(self.window, self.taken_at, epoch, settled=False, entries=PackedMeetings())
        return KnownState(snapshot)

    def _look(self, snapshot: Snapshot, *, first: bool) -> Observation:
        # The window of the last run, too: a meeting that has only got too old for this one is still listed so.
        asked = self.window if first else snapshot.window.hull(self.window)
        vendor = self.hook.vendor
        look = Observation.from_meetings(
            self.hook.list_meetings(asked.start, asked.end, filters=dict(self.filters)),
            into=PackedListing(vendor, snapshot.entries),
            vendor=vendor,
            scope=self._scope,
            connection=self.hook.meetings_conn_id,
            window=self.window,
            taken_at=self.taken_at,
        )
        return replace(look, clock_offset=round(self.hook.clock_offset * 1000))  # as the answers have told

    def _verdicts(self, state: KnownState, look: Observation) -> dict[str, dict[str, Any] | None]:
        """Ask for known meetings that were not listed, by their ids, to tell those that are gone from those elsewhere.

        Those that cannot be told yet stay as they are until the next run.
        """
        missing = look.missing(state.snapshot)
        # Those that were asked for before come last, so that nobody waits for ever.
        asked = sorted(missing, key=lambda key: state.missed.get(key, 0))[:MOST_READS]
        if len(missing) > len(asked):
            left = len(missing) - len(asked)
            _log.warning(
                "%d known meetings are not in the list; %d are read by id, %d are left for the next run",
                len(missing),
                len(asked),
                left,
            )
        missed = {key: state.missed[key] for key in missing if key in state.missed}
        verdicts: dict[str, dict[str, Any] | None] = {}
        for key, meeting in self._read_by_id(asked):
            if meeting is None:
                verdicts[key] = None
                continue
            missed[key] = missed.get(key, 0) + 1
            if not should_be_listed(look, meeting, self.filters) or missed[key] > TOLERATED_MISSES:
                verdicts[key] = meeting
            else:
                _log.warning("Meeting %s is in the window but was not listed; it stays known until the next run", key)
        state.missed = {key: times for key, times in missed.items() if key not in verdicts}
        return verdicts

    def _read_by_id(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Read meetings, as many at once as the connection allows; None: there is no such meeting."""

        def read(key: str) -> dict[str, Any] | None:
            try:
                return self.hook.get_meeting(key)
            except MeetingNotFoundError:
                return None

        if len(keys) < 2:  # noqa: PLR2004 - for one there is no need of threads
            yield from ((key, read(key)) for key in keys)
            return
        with ThreadPoolExecutor(self.hook.max_parallel_requests) as pool:
            # Where one fails, those that have not begun yet never do: map cancels them.
            yield from zip(keys, pool.map(read, keys), strict=True)

    def _events(
        self, snapshot: Snapshot, look: Observation, verdicts: Mapping[str, dict[str, Any] | None], floor: _Floor
    ) -> Iterator[Event]:
        """Yield the events, and take each change into the entries of the snapshot."""
        for change in iter_diff_listed(snapshot, look):
            yield from self._taken(snapshot, change, floor)
        for change in diff_missing(snapshot, look, verdicts):
            yield from self._taken(snapshot, change, floor)

    def _taken(self, snapshot: Snapshot, change: Change, floor: _Floor) -> Iterator[Event]:
        if change.entry is not None:
            snapshot.entries[change.key] = change.entry
        elif (old := snapshot.entries.pop(change.key, None)) is not None:
            floor.value = max(floor.value, old.rev)
        if self.kinds is None or change.event["kind"] in self.kinds:
            yield change.event


@dataclass(slots=True)
class _Floor:
    """The floor of the next snapshot; that of this one stays until all changes are told, for it goes into their ids."""

    value: int


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
