"""The event trigger as Airflow handles it: what it is made of, how it is told apart, and when its events are safe."""

import asyncio
import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name

import pytest
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.context import AssetStateStoreAccessors
from airflow.triggers.base import BaseEventTrigger, BaseTrigger
from airflow.triggers.shared_stream import SharedStreamManager

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.triggers import events
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from airflow_provider_meetings.watching.snapshot_store import SnapshotStore
from airflow_provider_meetings.watching.watcher import Watcher, WatchSpec
from tests.support.polling import HOUR, NOON, Vendor, in_virtual_time
from tests.support.store import StateStore
from tests.support.watching import Triggerer, brief

DAY = timedelta(days=1)
GIVEN = [
    {"window_start": "2026-02-02T10:00:00Z", "window_end": datetime(2026, 2, 3, tzinfo=UTC)},
    {"window_start": NOON},
    {"ahead": 14 * DAY},
    {
        "past": 3600,
        "ahead": 0.5,
        "poke_interval": timedelta(minutes=5),
        "initial": "emit",
        "kinds": ("gone", "changed"),
    },
    {"ahead": DAY, "filters": {"ownerId": "o1", "meetingType": "virtual"}, "match": {"location": ("Zoom", "Teams")}},
]


@pytest.mark.parametrize("given", GIVEN, ids=range(len(GIVEN)))
def test_survives_the_database(given):
    """What Airflow stores of a trigger makes the same trigger again, with the same hash as that of the DAG file."""
    trigger = MeetingsEventTrigger(meetings_conn_id="c", **given)
    path, kwargs = trigger.serialize()
    stored = Trigger(classpath=path, kwargs=kwargs).kwargs

    assert resolve_name(path) is MeetingsEventTrigger
    assert (path, kwargs) == MeetingsEventTrigger(**stored).serialize()
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(path, stored)


def test_no_dict_is_handed_over():
    """Airflow 3.2 does not give a dict back as it got it; what is stored has none, and makes the same trigger again."""
    given = {"filters": {"ownerId": "o"}, "match": {"notes": ["a", "b"]}}
    _, kwargs = MeetingsEventTrigger(meetings_conn_id="c", ahead=DAY, **given).serialize()
    again = MeetingsEventTrigger(**kwargs)

    assert [] == [name for name, value in kwargs.items() if isinstance(value, dict)]
    assert given == {"filters": again.filters, "match": again.match}


def test_one_hash_however_it_is_written():
    """A duration or a moment in another form, and filters in another order, are the same trigger."""
    one = MeetingsEventTrigger(meetings_conn_id="c", ahead=DAY, filters={"ownerId": "o", "prospectId": "p"})
    other = MeetingsEventTrigger(
        meetings_conn_id="c", ahead=86_400, past=0, filters={"prospectId": "p", "ownerId": "o"}
    )

    assert repr(one.serialize()) == repr(other.serialize())


WRONG = {
    "no window": ({}, "Give either window_start"),
    "both windows": ({"window_start": NOON, "ahead": DAY}, "Give either window_start"),
    "an empty window": ({"ahead": 0}, "empty window"),
    "a window turned round": ({"window_start": NOON, "window_end": NOON - 1}, "must be after"),
    "a naive moment": ({"window_start": "2026-02-02T10:00:00"}, "no UTC offset"),
    "a negative duration": ({"ahead": -DAY}, "not negative"),
    "a duration that is text": ({"ahead": "14 days"}, "timedelta or seconds"),
    "a hot loop": ({"ahead": DAY, "poke_interval": 0}, "at least a second"),
    "a start that is not known": ({"ahead": DAY, "initial": "all"}, "'ignore' or 'emit'"),
    "a kind that is not known": ({"ahead": DAY, "kinds": ["updated"]}, "updated"),
    "no kind at all": ({"ahead": DAY, "kinds": []}, "kinds is empty"),
    "a match that nothing matches": ({"ahead": DAY, "match": {"id": []}}, "no meeting matches"),
}


@pytest.mark.parametrize(("given", "complaint"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(given, complaint):
    """What cannot be right is refused where the DAG file is read, and the text says what it is."""
    with pytest.raises(MeetingsConfigurationError, match=complaint):
        MeetingsEventTrigger(meetings_conn_id="c", **given)


def test_airflow_2(monkeypatch):
    """Where Airflow has no event-driven DAGs, the trigger says so, and the module can still be imported."""
    monkeypatch.setattr(events, "event_trigger_class", lambda: (BaseTrigger, False))

    with pytest.raises(MeetingsConfigurationError, match=r"needs Airflow 3\.0"):
        MeetingsEventTrigger(meetings_conn_id="c", ahead=DAY)


def test_alone_without_a_store():
    """Without a state store there is no stream to be told what is safe: the trigger runs by itself."""
    assert MeetingsEventTrigger(meetings_conn_id="c", ahead=DAY).shared_stream_key() is None


class _Watching(MeetingsEventTrigger):
    """The trigger in the world of these tests."""

    vendor: Vendor
    poller = None

    async def watch(self):
        """Make the watch with the world's clock and poller."""

        @contextlib.asynccontextmanager
        async def join(_):
            yield self.poller

        watched = WatchSpec("c", NOON, NOON + 1000 * HOUR)
        journal = SnapshotStore(self.asset_state_store, f"meetings/{watched.scope}")
        return Watcher(watched, journal, interval=10.0, join=join, clock=self.vendor.now)


class _Airflow:
    """What the triggerer does with an event trigger; its database answers when it is told to."""

    def __init__(self, vendor, store, poller):
        self.trigger = _Watching(meetings_conn_id="c", ahead=DAY)
        self.trigger.vendor, self.trigger.poller = vendor, poller
        self.trigger.trigger_id = 7
        self.trigger.asset_state_store = [store]
        self.manager = SharedStreamManager(ack_timeout=60, _now=asyncio.get_running_loop().time)
        self.taken, self.unconfirmed = [], []

    async def run(self):
        """Take its events."""
        key = self.trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=7, trigger=self.trigger, key=key)
        try:
            async for event in self.trigger.filter_shared_stream(stream):
                await asyncio.sleep(0)
                self.unconfirmed.append(self.manager.bind_pending_event(trigger_id=7, key=key))
                self.taken.append(event.payload)
        finally:
            await self.manager.unsubscribe(7, key)

    def store(self):
        """Say that all events taken are in the database."""
        self.manager.confirm_persisted(self.unconfirmed)
        self.unconfirmed = []


@contextlib.asynccontextmanager
async def _airflow(vendor, store, monkeypatch):
    monkeypatch.setattr(events, "asset_stores", lambda trigger: trigger.asset_state_store)
    async with Triggerer(vendor).poller() as poller:
        airflow = _Airflow(vendor, store, poller)
        task = asyncio.create_task(airflow.run())
        try:
            yield airflow
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@in_virtual_time
async def test_pending_until_stored(monkeypatch):
    """Events count as told when Airflow says that they are in its database, and not before."""
    vendor, store = Vendor(), StateStore()
    async with _airflow(vendor, store, monkeypatch) as airflow:
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(20)
        before = store.manifest["pending"], brief(airflow.taken)
        airflow.store()
        await asyncio.sleep(20)
        (pending, taken), afterwards, at_last = before, store.manifest["pending"], brief(airflow.taken)

    assert pending
    assert [("created", None, "m1")] == taken
    assert afterwards == ""
    assert taken == at_last


@in_virtual_time
async def test_repeated_when_not_stored(monkeypatch):
    """Events that Airflow has not stored when it dies are fired by the next triggerer, with the same ids."""
    vendor, store = Vendor(), StateStore()
    async with _airflow(vendor, store, monkeypatch) as airflow:
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(20)
        first = airflow.taken
    vendor.edit("m1", location="Zoom")
    async with _airflow(vendor, store, monkeypatch) as airflow:
        await asyncio.sleep(5)
        airflow.store()
        await asyncio.sleep(20)
        second = airflow.taken

    assert first == second[:1]
    assert ["created", "changed"] == [event["kind"] for event in second]


@in_virtual_time
async def test_cancelled_on_the_way(monkeypatch):
    """A trigger that is cancelled between handing out an event and Airflow's taking it does not count it as told."""
    vendor, store = Vendor(), StateStore()
    async with _airflow(vendor, store, monkeypatch) as airflow:
        monkeypatch.setattr(airflow.manager, "bind_pending_event", None)  # it breaks off just before
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(20)
        assert airflow.taken == []

    assert store.manifest["pending"]


@in_virtual_time
async def test_never_stored_starts_anew(monkeypatch):
    """Where Airflow never says that an event is stored, the trigger ends, so that Airflow starts it again."""
    vendor, store = Vendor(), StateStore()
    async with _airflow(vendor, store, monkeypatch) as airflow:
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(120)
        groups, pending = airflow.manager._groups, store.manifest["pending"]

    assert groups == {}
    assert pending


def test_every_watched_asset_has_the_state():
    """A trigger that watches several assets keeps its state with each of them, in an order that stays."""
    from airflow.sdk import Asset  # noqa: PLC0415 - as Airflow does it

    from airflow_provider_meetings.version_compat import asset_stores  # noqa: PLC0415 - likewise

    trigger = MeetingsEventTrigger(meetings_conn_id="c", ahead=DAY)
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset(name="b"), Asset(name="a")])

    assert ["a", "b"] == [store._name for store in asset_stores(trigger)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meetings_conn_id", "{{ var.value.conn }}"),
        ("filters", {"ownerId": "{{ params.owner }}"}),
        ("match", {"location": ["Zoom", "{% if true %}x{% endif %}"]}),
    ],
)
def test_a_template_is_refused_by_name(name, value):
    """Airflow never renders a trigger's arguments, so that one would wait for a text with braces for ever."""
    arguments = {"meetings_conn_id": "crm", "ahead": 3600, name: value}
    with pytest.raises(MeetingsConfigurationError, match=name):
        MeetingsEventTrigger(**arguments)


_SCOPE = """
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from airflow_provider_meetings.watching.watcher import WatchSpec
trigger = MeetingsEventTrigger(meetings_conn_id="c", ahead=60, match={"location": %s})
print(trigger.serialize(), WatchSpec("c", match=trigger.match).scope)
"""
_ROOMS = ("{*'abcdefg'}", "frozenset('gfedcba')", "[*'gfedabc']", "dict.fromkeys('bacdefg').keys()")


def test_a_set_is_the_same_watch_after_a_restart():
    """A set's order differs in each process; the arguments and the scope do not, nor for a reordered list."""
    said = set()
    for seed in range(2):
        command = [sys.executable, "-c", "".join(_SCOPE % rooms for rooms in _ROOMS)]
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        said.update(done.stdout.splitlines()[-len(_ROOMS) :])

    assert len(said) == 1
