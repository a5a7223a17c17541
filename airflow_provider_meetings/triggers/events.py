"""The trigger that watches an asset: a connection's meetings within a window."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Hashable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.triggers.base import TriggerEvent

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.polling.wanted import canonical
from airflow_provider_meetings.triggers.arrivals import load
from airflow_provider_meetings.version_compat import asset_stores, event_trigger_class
from airflow_provider_meetings.watching.changes import KINDS

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger
    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_provider_meetings.watching.watcher import Watcher
else:
    BaseEventTrigger, _ = event_trigger_class()

__all__ = ["MeetingsEventTrigger"]

_PATH = "airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger"

# Airflow makes the stream of a trigger in a task that it starts from the trigger's own, and hands it nothing but the
# trigger's arguments; what the trigger was given besides, its state store, goes this way.
_subscribing: ContextVar[MeetingsEventTrigger | None] = ContextVar("meetings_subscribing", default=None)


class MeetingsEventTrigger(BaseEventTrigger):
    """Fires for each meeting that is created, changed, moved into or out of a window, or gone.

    For an ``AssetWatcher``; :func:`~airflow_provider_meetings.assets.meetings_asset` makes the asset for it::

        interviews = meetings_asset(
            "hiringcenter_default",
            "interviews",
            trigger=MeetingsEventTrigger(meetings_conn_id="hiringcenter_default", ahead=timedelta(days=14)),
        )

        @dag(schedule=interviews)
        def react(): ...

    The payload of an event is plain JSON, some kilobytes at most:

    ``event_id``
        Tells this event from every other. An event may arrive twice, with the same id and the same payload: after a
        triggerer was killed, and the last one again until each DAG has received it, because Airflow may leave events
        that come after another without a run until there is one more; that one has ``"repeat": true`` besides.
        :func:`~airflow_provider_meetings.assets.meeting_events` drops repeats.
    ``kind``, ``reason``
        - ``created``: it was made since the last look. Where the vendor does not return when a meeting was made, any
          meeting that was not there before.
        - ``changed``: a field of it is another one. ``changed``, ``cancelled`` or ``restored``: it was cancelled, or is
          live again (Builder Prime), whatever else has changed with it.
        - ``moved_in``, ``edit``: a user moved it into the window, or changed a field that the filters compare.
        - ``moved_in``, ``time``: the window has moved on with time and now includes it; it was not changed.
        - ``moved_in``, ``initial``: it was there at the first look, with ``initial="emit"``.
        - ``moved_out``, ``edit``: a user moved it out of the window, or changed a field that the filters compare.
        - ``moved_out``, ``time``: the window has moved on with time and has left it behind.
        - ``gone``: the meeting does not exist any more; a request for it has confirmed that.
    ``id``, ``vendor``, ``connection``
        The meeting, ``HiringCenter`` or ``Builder Prime``, and the connection's id.
    ``before``, ``after``
        Created and moved in: nothing, and the whole meeting. Changed: the fields that differ, as they were and as they
        are. Moved out: the meeting as it was last known in the window, and the fields that differ now. Gone: the
        meeting as it was last known, and nothing. Fields without a value are left out of a whole meeting and are
        ``None`` among differences; ``updatedAt`` and its like are left out, and are no change by themselves; values of
        more than 500 characters are cut short and end in a digest.
    ``window``, ``seen_at``
        The window then, and when it was seen; in Unix milliseconds.

    What happens between two looks is seen as one change. All sensors and event triggers of a connection in one
    triggerer share requests and rate limit. Errors are logged, and the request is tried again; after a permanent error,
    such as a wrong key, every few minutes.

    On Airflow 3.3 what is known is kept in the asset's state store, so that no event is lost by a restart, a kill, or a
    move to another triggerer. On 3.0 to 3.2 there is no such store: what happens while no triggerer runs is missed, and
    the first look after a restart fires no events. On 3.0 and 3.1 run one triggerer: several take the triggers from
    each other every second, and start again. Airflow 2 has no event-driven DAGs.

    Args:
        meetings_conn_id: The connection.
        window_start: The first moment, for a window that stays where it is: in any form that a sensor takes, or None.
        window_end: The first moment that is too late.
        past: How far a window that moves with time reaches back from now: a ``timedelta``, or seconds. It moves in
            steps of ``poke_interval``.
        ahead: How far it reaches ahead.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, ``{field: value or list of values}``, for what the vendor cannot filter.
        poke_interval: Seconds, or a ``timedelta``, between two looks.
        initial: ``"emit"``: the meetings of the very first look have events; ``"ignore"``: they have none.
        kinds: Which kinds of events fire; all when left out.

    Raises:
        MeetingsConfigurationError: An argument cannot be right, or this Airflow has no event-driven DAGs.
    """

    def __init__(
        self,
        *,
        meetings_conn_id: str,
        window_start: Any = None,
        window_end: Any = None,
        past: timedelta | float | None = None,
        ahead: timedelta | float | None = None,
        filters: Mapping[str, Any] | None = None,
        match: Mapping[str, Any] | None = None,
        poke_interval: timedelta | float = 60.0,
        initial: Literal["ignore", "emit"] = "ignore",
        kinds: Collection[str] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not event_trigger_class()[1]:
            raise MeetingsConfigurationError(
                "MeetingsEventTrigger needs Airflow 3.0 or newer: Airflow 2 has no event-driven DAGs. "
                "There, let a DAG with a schedule wait with MeetingsSensor."
            )
        criteria = Criteria.parse(window_start, window_end, filters, match, 1)
        self.meetings_conn_id = meetings_conn_id
        self.window_start, self.window_end = criteria.window_start, criteria.window_end
        self.past, self.ahead = _span("past", past), _span("ahead", ahead)
        self.filters, self.match = _sorted(criteria.filters), _sorted(criteria.match)
        self.match = {name: canonical(wanted) for name, wanted in self.match.items()}
        self.poke_interval = _span("poke_interval", poke_interval) or 0.0
        self.initial = initial
        self.kinds = sorted(set(kinds)) if kinds is not None else None
        self._check()
        #: The number of the last step all of whose events Airflow has taken.
        self.fired = 0

    def _check(self) -> None:
        texts = {"meetings_conn_id": self.meetings_conn_id, "filters": self.filters, "match": self.match}
        if rendered := [name for name, value in texts.items() if "{{" in str(value) or "{%" in str(value)]:
            raise MeetingsConfigurationError(
                f"Airflow renders no templates in a trigger's arguments; give plain values: {', '.join(rendered)}."
            )
        moves = self.past is not None or self.ahead is not None
        fixed = self.window_start is not None or self.window_end is not None
        if moves == fixed:
            raise MeetingsConfigurationError(
                "Give either window_start and window_end, for a window that stays, or past and ahead, for one that "
                "moves with time."
            )
        if moves:
            self.past, self.ahead = self.past or 0.0, self.ahead or 0.0
            if self.past + self.ahead <= 0:
                raise MeetingsConfigurationError("past and ahead are both nothing: that is an empty window.")
        if self.poke_interval < 1:
            raise MeetingsConfigurationError("poke_interval must be at least a second.")
        if self.initial not in {"ignore", "emit"}:
            raise MeetingsConfigurationError(f"initial must be 'ignore' or 'emit', not {self.initial!r}.")
        if self.kinds == []:
            raise MeetingsConfigurationError("kinds is empty: no event would fire. Leave it out for all kinds.")
        if unknown := sorted(set(self.kinds or ()) - set(KINDS)):
            raise MeetingsConfigurationError(f"There are no kinds {unknown}; the kinds are {', '.join(KINDS)}.")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments that make it again: always the same ones, and no secret."""
        names = ("window_start", "window_end", "past", "ahead", "poke_interval", "initial", "kinds")
        # As text: Airflow 3.2 hands a trigger of an asset no dict as it was, but the names of its own encoding's parts.
        texts = {name: json.dumps(getattr(self, name), default=str) for name in ("filters", "match")}
        plain = {name: getattr(self, name) for name in names}
        return _PATH, {"meetings_conn_id": self.meetings_conn_id} | plain | texts

    # -- Airflow 3.3: a stream that is notified when its events are stored

    def shared_stream_key(self) -> Hashable | None:
        """Have a stream of its own; the requests are shared by the poller, whatever the streams are."""
        if not asset_stores(self):
            return None
        _subscribing.set(self)
        return (_PATH, self.trigger_id)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Make the stream that looks, and is notified which of its events are stored."""
        from airflow_provider_meetings.triggers.stream import WatchStream  # noqa: PLC0415 - Airflow 3.3 alone has its base

        trigger = _subscribing.get()
        if trigger is None or trigger.serialize()[1] != kwargs:
            raise RuntimeError("The stream was not started by the trigger that it is for.")
        return WatchStream(trigger.watch, lambda: trigger.fired)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire the events of each step."""
        async for number, events in shared_stream:
            for event in events:
                yield _fire(event)
            self.fired = number  # only here: Airflow takes an event after it was yielded

    # -- before

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, and fire events, without end."""
        watch = await self.watch()
        async for events in watch.batches():
            for event in events:
                yield _fire(event)

    async def watch(self) -> Watcher:
        """Make the watch, with its memory in the asset's state store where there is one."""
        await load("airflow_provider_meetings.watching.watcher", "Watcher")
        from airflow_provider_meetings.watching.snapshot_store import SnapshotStore  # noqa: PLC0415 - loaded before
        from airflow_provider_meetings.watching.watcher import Watcher, WatchSpec  # noqa: PLC0415 - likewise

        spec = WatchSpec(
            self.meetings_conn_id,
            self.window_start,
            self.window_end,
            self.past,
            self.ahead,
            self.filters,
            self.match,
        )
        return Watcher(
            spec,
            SnapshotStore(asset_stores(self), f"meetings/{spec.scope}"),
            interval=self.poke_interval,
            tell_first=self.initial == "emit",
            kinds=self.kinds,
        )


def _span(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise MeetingsConfigurationError(f"{name} must be a timedelta or seconds, and not negative: not {value!r}.")
    return float(seconds)


def _sorted(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in sorted(given)}


def _fire(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
