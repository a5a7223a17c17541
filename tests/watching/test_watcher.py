"""The watch in virtual time: what it asks, what it tells, and that no kill makes it lose anything."""

import asyncio
import logging
import random

import pytest

from airflow_provider_meetings.assets import RECEIPTS, with_receipt
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from airflow_provider_meetings.watching import snapshot_store as snapshots
from airflow_provider_meetings.watching import watcher as watching
from tests.support.flows import answer, problem
from tests.support.polling import HOUR, NOON, Vendor, in_virtual_time, run
from tests.support.store import StateStore
from tests.support.watching import INTERVAL, Triggerer, brief, once

DAY = 24 * HOUR


@pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])
@in_virtual_time
async def test_every_kind(kind):
    """Booked, edited, moved out, moved in, deleted: each is told once, at the next look, with what has changed."""
    vendor, store = Vendor(kind), StateStore()
    old, far, gone = vendor.book(), vendor.book(NOON + 2000 * HOUR), vendor.book(NOON + 9 * HOUR)
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(12)
        assert triggerer.database == []
        new = vendor.book(NOON + 5 * HOUR)
        await asyncio.sleep(2 * INTERVAL)
        vendor.edit(old, location="Zoom")
        await asyncio.sleep(2 * INTERVAL)
        vendor.edit(new, **{vendor.date_field: NOON + 3000 * HOUR})
        await asyncio.sleep(2 * INTERVAL)
        vendor.edit(far, **{vendor.date_field: NOON + 7 * HOUR})
        await asyncio.sleep(2 * INTERVAL)
        vendor.delete(gone)
        await asyncio.sleep(2 * INTERVAL)
    events = triggerer.database

    assert [
        ("created", None, new),
        ("changed", None, old),
        ("moved_out", "edit", new),
        ("moved_in", "edit", far),
        ("gone", None, gone),
    ] == brief(events)
    created, changed, moved_out, moved_in, deleted = once(events)
    assert vendor.date_field in created["after"]
    assert ({"location": None}, {"location": "Zoom"}) == (changed["before"], changed["after"])
    assert {vendor.date_field: NOON + 3000 * HOUR} == moved_out["after"]
    assert NOON + 7 * HOUR == moved_in["after"][vendor.date_field]
    assert deleted["after"] is None
    assert NOON + 9 * HOUR == deleted["before"][vendor.date_field]
    assert [str(new), str(gone)] == vendor.reads


@in_virtual_time
async def test_sliding_window():
    """As time goes by meetings come into the window and fall behind it; both are told once, and nobody is asked for."""
    vendor = Vendor()
    vendor.book(NOON + 30_000)
    vendor.book(NOON + HOUR + 30_000)
    triggerer = Triggerer(vendor, [StateStore()], watched={"past": 0.0, "ahead": 3600.0})
    async with triggerer.running():
        await asyncio.sleep(120)
    events, reads = triggerer.database, vendor.reads

    assert {("moved_out", "time", "m1"), ("moved_in", "time", "m2")} == set(brief(events))
    assert reads == []
    assert all(event["after"] == {} for event in events if event["kind"] == "moved_out")


@in_virtual_time
async def test_deleted_at_the_edge():
    """A meeting that is deleted just before it would have fallen behind the window is told to be gone."""
    vendor = Vendor()
    meeting = vendor.book(NOON + 35_000)
    triggerer = Triggerer(vendor, [StateStore()], watched={"past": 0.0, "ahead": 3600.0})
    async with triggerer.running():
        await asyncio.sleep(34)
        vendor.delete(meeting)
        await asyncio.sleep(20)

    assert [("gone", None, "m1")] == brief(triggerer.database)


@pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])
@pytest.mark.parametrize("ahead", [-90.0, 0.0, 90.0], ids=["behind", "right", "ahead"])
@in_virtual_time
async def test_a_vendors_clock_is_compared_with_itself(kind, ahead):
    """What is made since the last look is created, and what was made before it is moved in, whatever its clock says."""
    calendar = Vendor(kind)
    calendar.clock_offset = ahead
    far = calendar.book(NOON + 2000 * HOUR)
    triggerer = Triggerer(calendar, [StateStore()])
    async with triggerer.running():
        await asyncio.sleep(45)
        calendar.edit(far, **{calendar.date_field: NOON + 7 * HOUR})
        new = calendar.book(NOON + 5 * HOUR)
        calendar.edit(new, location="Zoom")
        await asyncio.sleep(2 * INTERVAL)
    events = triggerer.database

    assert {("moved_in", "edit", far), ("created", None, new)} == set(brief(events))


@pytest.mark.parametrize(("initial", "expected"), [(False, set()), (True, {"m1", "m2", "m3"})])
@in_virtual_time
async def test_first_look(initial, expected):
    """What is there at the first look is told where that is wanted, and only then."""
    vendor = Vendor()
    for number in range(3):
        vendor.book(NOON + number * HOUR)
    triggerer = Triggerer(vendor, [StateStore()], tell_first=initial)
    async with triggerer.running():
        await asyncio.sleep(60)
    events = triggerer.database

    assert expected == {event["id"] for event in events}
    assert {("moved_in", "initial")} >= {(event["kind"], event["reason"]) for event in events}


def test_siblings_share_the_requests():
    """Ten watches of one connection ask as much as one, also for a meeting that is missing."""

    async def main(count):
        vendor = Vendor(latency=0.5)
        meeting = vendor.book()
        triggerers = [Triggerer(vendor, [StateStore()]) for _ in range(count)]
        async with triggerers[0].poller() as poller:  # one for all, as in a triggerer
            tasks = [asyncio.create_task(one.run(poller)) for one in triggerers]
            await asyncio.sleep(25)
            vendor.delete(meeting)
            await asyncio.sleep(35)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert all([("gone", None, "m1")] == brief(one.database) for one in triggerers)
        return vendor.lists, len(vendor.reads)

    assert run(main(1)) == run(main(10))


@in_virtual_time
async def test_a_failed_list_is_no_empty_list():
    """While the vendor is down nothing is told to be gone; afterwards it is asked again."""
    vendor = Vendor()
    vendor.book()
    triggerer = Triggerer(vendor, [StateStore()])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.trouble = lambda _: problem(503)
        await asyncio.sleep(300)
        vendor.trouble = lambda _: None
        new = vendor.book()
        await asyncio.sleep(200)
    events = triggerer.database

    assert [("created", None, new)] == brief(events)


@in_virtual_time
async def test_a_missing_meeting_that_cannot_be_read_waits():
    """Where it cannot be told what became of a meeting, nothing is told until it can."""
    vendor = Vendor()
    meeting = vendor.book()
    triggerer = Triggerer(vendor, [StateStore()])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.trouble = lambda request: problem(503) if request.path.endswith(f"/{meeting}") else None
        vendor.delete(meeting)
        await asyncio.sleep(60)
        before = list(triggerer.database)
        vendor.trouble = lambda _: None
        await asyncio.sleep(60)
    after = triggerer.database

    assert before == []
    assert [("gone", None, "m1")] == brief(after)


@in_virtual_time
async def test_a_list_that_missed_a_meeting():
    """A meeting that one list does not have and that is there nevertheless is not told of."""
    vendor = Vendor()
    meeting = vendor.book()
    triggerer = Triggerer(vendor, [StateStore()])
    empty = answer(200, {"success": True, "items": [], "pagination": {}})
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.trouble = lambda request: empty if request.path == "/meetings" else None
        await asyncio.sleep(INTERVAL)
        vendor.trouble = lambda _: None
        await asyncio.sleep(60)
    events, reads = triggerer.database, vendor.reads

    assert events == []
    assert [meeting] == reads


def matching(locations):
    """Return what an event trigger makes of a match."""
    return MeetingsEventTrigger(meetings_conn_id="c", ahead=60, match={"location": locations}).match


@pytest.mark.parametrize(
    ("watched", "changes"),
    [
        ({"filters": {"ownerId": "o0"}}, {"ownerId": "o1"}),
        ({"match": {"location": ["Zoom", "Teams"]}}, {"location": "the office"}),
        ({"match": matching({"Zoom", "Teams"})}, {"location": "the office"}),
        ({"match": matching('["Zoom", "Teams"]')}, {"location": "the office"}),
    ],
)
@in_virtual_time
async def test_out_of_the_filters(watched, changes):
    """A meeting that the filters do not find any more has left, and one that they newly find has come."""
    vendor = Vendor()
    meeting = vendor.book(location="Zoom")
    bounds = {"window_start": NOON, "window_end": NOON + DAY}
    triggerer = Triggerer(vendor, [StateStore()], watched=bounds | watched)
    async with triggerer.running():
        await asyncio.sleep(25)
        before = {name: vendor.meetings[0][name] for name in changes}
        vendor.edit(meeting, **changes)
        await asyncio.sleep(30)
        vendor.edit(meeting, **before)
        await asyncio.sleep(30)
    events = triggerer.database

    assert [("moved_out", "edit", "m1"), ("moved_in", "edit", "m1")] == brief(events)
    assert changes == events[0]["after"]


@in_virtual_time
async def test_out_of_a_filter_that_cannot_be_checked():
    """Where a meeting does not show what the vendor filters by, the lists decide, after some of them."""
    vendor = Vendor("builderprime")
    meeting = vendor.book(employee=50)
    watched = {"window_start": NOON, "window_end": NOON + DAY, "filters": {"employee-id": 50}}
    triggerer = Triggerer(vendor, [StateStore()], watched=watched)
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.edit(meeting, employee=51)
        await asyncio.sleep(80)
    events, reads = triggerer.database, len(vendor.reads)

    assert [("moved_out", "edit", 1)] == brief(events)
    assert reads == 3


@in_virtual_time
async def test_a_wrong_key_is_waited_out(caplog):
    """A key that is refused is an error in the log every few minutes, no hot loop, and no end."""
    caplog.set_level(logging.WARNING)
    vendor = Vendor()
    triggerer = Triggerer(vendor, [StateStore()])
    async with triggerer.running() as task:
        await asyncio.sleep(25)
        asked = vendor.count
        vendor.key = "another"
        await asyncio.sleep(3600)
        wrong = vendor.count - asked
        assert not task.done()
        vendor.conn_key = "another"
        new = vendor.book()
        await asyncio.sleep(600)
    events = triggerer.database

    assert wrong < 60
    assert [("created", None, new)] == brief(events)
    assert any("cannot be watched" in record.message for record in caplog.records if record.levelname == "ERROR")


@in_virtual_time
async def test_only_some_kinds():
    """Kinds that are not wanted are not told, and are known nevertheless."""
    vendor = Vendor()
    meeting = vendor.book()
    triggerer = Triggerer(vendor, [StateStore()], kinds=["gone"])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.edit(meeting, location="Zoom")
        await asyncio.sleep(20)
        vendor.delete(meeting)
        await asyncio.sleep(20)
    (event,) = triggerer.database

    assert event["kind"] == "gone"
    assert event["before"]["location"] == "Zoom"


@in_virtual_time
async def test_a_burst_is_repeated():
    """After several events at once the last is fired again and again, lest a run leaves some; a single one is not."""
    vendor = Vendor()
    triggerer = Triggerer(vendor, [StateStore()])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(60)
        alone = len(triggerer.database)
        for _ in range(3):
            vendor.book()
        await asyncio.sleep(10_000)
    events = triggerer.database

    assert alone == 1
    assert ["m1", "m2", "m3", "m4"] == [event["id"] for event in events[:4]]
    assert not any("repeat" in event for event in events[:4])
    assert [events[3] | {"repeat": True}] * 7 == events[4:]  # for an hour, each pause twice as long as the last


@in_virtual_time
async def test_a_repeat_never_holds_up_the_next_look():
    """After two events the watch looks again when it is time, whatever has to be repeated meanwhile."""
    vendor = Vendor()
    triggerer = Triggerer(vendor, [StateStore()], interval=2, lag=0.5)
    async with triggerer.running():
        await asyncio.sleep(10)
        vendor.book(), vendor.book()
        await asyncio.sleep(5)
        vendor.book()
        await asyncio.sleep(5)
        found = [event["id"] for event in triggerer.database]

    assert ["m1", "m2", "m3"] == found


@pytest.mark.parametrize("seconds", [60, 3600])
@in_virtual_time
async def test_an_event_is_repeated_until_each_dag_has_received_it(seconds):
    """A DAG that has one run at a time, however long each takes, gets what was left lying; then it is over."""
    vendor, store = Vendor(), StateStore()
    store.set(RECEIPTS, with_receipt(None, "slow", "1", {"earlier": True}, vendor.now()))
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(seconds)
        before = len(triggerer.database)
        (event_id,) = {event["event_id"] for event in triggerer.database}
        store.set(RECEIPTS, with_receipt(store.get(RECEIPTS), "slow", "2", {event_id: True}, vendor.now()))
        await asyncio.sleep(20_000)
    events = triggerer.database

    assert 2 <= before == len(events)
    assert [events[0] | {"repeat": True}] * (before - 1) == events[1:]


@in_virtual_time
async def test_a_triggerer_that_was_killed_goes_on_repeating():
    """The event that a DAG has not received yet is known to the next triggerer."""
    vendor, store, database = Vendor(), StateStore(), []
    store.set(RECEIPTS, with_receipt(None, "slow", "1", {"earlier": True}, vendor.now()))
    async with Triggerer(vendor, [store], database).running():
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(13)
    async with Triggerer(vendor, [store], database).running():
        await asyncio.sleep(60)
    first, *repeats = database

    assert repeats
    assert all(first | {"repeat": True} == event for event in repeats)


@in_virtual_time
async def test_a_dag_that_is_gone_is_not_waited_for():
    """A DAG that has received nothing for a day does not have the others run for its sake."""
    vendor, store = Vendor(), StateStore()
    store.set(RECEIPTS, with_receipt(None, "gone", "1", {"earlier": True}, vendor.now() - 2 * 86_400))
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(200)

    assert len(triggerer.database) == 1


@pytest.mark.parametrize("crowded", [False, True])
@in_virtual_time
async def test_the_first_run_may_take_its_time(crowded):
    """A DAG that says only after minutes what its first run has received gets what came after that."""
    vendor, store = Vendor(), StateStore()
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.book()
        if crowded:
            vendor.book()
        await asyncio.sleep(600)
        before = len(triggerer.database)
        # Somebody else's event has come first, so that the run has got nothing of the watch's.
        store.set(RECEIPTS, with_receipt(None, "slow", "1", {}, vendor.now()))
        await asyncio.sleep(65)
    events = triggerer.database

    assert before == (7 if crowded else 1)
    assert len(events) > before
    assert events[-1]["repeat"]


@in_virtual_time
async def test_a_run_of_other_events_has_the_last_one_repeated_at_once():
    """However long the pause between two repeats has become: who receives something else is told within a minute."""
    vendor, store = Vendor(), StateStore()
    store.set(RECEIPTS, with_receipt(None, "slow", "1", {"earlier": True}, vendor.now()))
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        vendor.book()
        await asyncio.sleep(3 * 3600)  # the pause is an hour now, and one has just passed
        before = len(triggerer.database)
        store.set(RECEIPTS, with_receipt(store.get(RECEIPTS), "slow", "2", {"another": True}, vendor.now()))
        await asyncio.sleep(65)
        after = len(triggerer.database)

    assert before + 1 == after


@in_virtual_time
async def test_a_single_event_stays_one_after_a_kill():
    """A DAG that never says what it has received is not told again because the triggerer was replaced."""
    vendor, store, database = Vendor(), StateStore(), []
    for _ in range(3):
        async with Triggerer(vendor, [store], database).running():
            await asyncio.sleep(25)
            if not database:
                vendor.book()
            await asyncio.sleep(60)

    assert len(database) == 1


@pytest.mark.parametrize("stores", [[], [StateStore()]], ids=["in memory", "in a store"])
@in_virtual_time
async def test_what_changes_between_two_triggerers(caplog, stores):
    """Without a store it is lost, and nothing old is told; with one it is told. The log says from when on."""
    caplog.set_level(logging.INFO)
    vendor, database = Vendor(), []
    old = vendor.book()
    async with Triggerer(vendor, stores, database).running():
        await asyncio.sleep(60)
    vendor.edit(old, location="Zoom")
    vendor.book()
    async with Triggerer(vendor, stores, database).running():
        await asyncio.sleep(60)
        vendor.edit(old, location="Teams")
        await asyncio.sleep(60)

    told = brief(database)
    said = [record.message for record in caplog.records if "Watching the meetings of connection 'c'" in record.message]

    assert [("changed", None, "m1")] == told[2 if stores else 0 :]
    assert [("changed", None, "m1"), ("created", None, "m2")][: 2 * len(stores)] == told[:-1]
    assert len(said) == 2
    assert "changes after 2026-02-02T" in said[0]
    assert ("changes since" if stores else "changes after") in said[1]


@in_virtual_time
async def test_many_meetings_fit_the_store():
    """Thousands of meetings are kept in values that the store's limit allows, and are known after a restart."""
    vendor, store = Vendor(), StateStore()
    dice = random.Random(7)  # noqa: S311 - texts that cannot be packed well
    for number in range(1500):
        vendor.book(NOON + number * 60_000, notes=f"{dice.getrandbits(600):x}")
    first = Triggerer(vendor, [store])
    async with first.running():
        await asyncio.sleep(60)
    vendor.edit("m1234", notes="other")
    writes = store.writes
    second = Triggerer(vendor, [store])
    async with second.running():
        await asyncio.sleep(60)
    events, writes = first.database + second.database, store.writes - writes

    assert [("changed", None, "m1234")] == brief(events)
    assert store.largest < 65_535
    assert store.manifest["shards"] > 1
    assert writes == 3  # what is going to be told, the leaf of the meeting, and that it was told


@in_virtual_time
async def test_a_store_that_cannot_be_reached(caplog):
    """A store that fails is waited for: nothing is told twice or lost, and nothing is taken for a first look."""
    vendor, store = Vendor(), StateStore()
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        values, store.values = store.values, {}

        async def fails(*_):
            raise RuntimeError("not now")

        store.aset = fails
        new = vendor.book()
        await asyncio.sleep(60)
        store.values = values
        del store.aset
        await asyncio.sleep(700)
    events = triggerer.database

    assert [("created", None, new)] == brief(events)
    assert any("not now" in record.message for record in caplog.records)


async def _story(vendor):
    """A history in which everything happens to some meetings, back and forth, and mostly while nobody looks."""
    a, b, c = (vendor.book(NOON + number * HOUR) for number in (1, 2, 3))
    yield
    vendor.edit(a, location="Zoom")
    vendor.delete(b)
    yield
    vendor.edit(a, location="Teams")
    d = vendor.book(NOON + 4 * HOUR)
    vendor.edit(c, meetingDate=NOON + 5000 * HOUR)
    yield
    vendor.edit(a, location="Zoom")
    vendor.edit(c, meetingDate=NOON + 5 * HOUR)
    yield
    vendor.edit(a, location="Teams")
    vendor.delete(d)
    yield


async def _play(kill, *, assets=1):
    """Play the story; in each part a triggerer is killed as told, twice, and a third one ends it in peace."""
    vendor, database, stores = Vendor(), [], [StateStore() for _ in range(assets)]
    killed = 0

    async def live(kill):
        nonlocal killed
        store = stores[-1]
        store.kill_before = kill.get("before") and store.writes + kill["before"]
        store.kill_after = kill.get("after") and store.writes + kill["after"]
        kill_at = len(database) + kill["taken"] if "taken" in kill else None
        async with Triggerer(vendor, stores, database, kill_at=kill_at).running() as task:
            await asyncio.sleep(45)
            killed += task.done()

    parts = _story(vendor)
    async for _ in parts:
        for how in (kill, kill, {}):
            await live(how)
    return database, killed, stores


TOLD = [
    ("changed", None, "m1", {"location": None}, "Zoom"),
    ("gone", None, "m2"),
    ("changed", None, "m1", {"location": "Zoom"}, "Teams"),
    ("created", None, "m4"),
    ("moved_out", "edit", "m3"),
    ("changed", None, "m1", {"location": "Teams"}, "Zoom"),
    ("moved_in", "edit", "m3"),
    ("changed", None, "m1", {"location": "Zoom"}, "Teams"),
    ("gone", None, "m4"),
]


@pytest.mark.parametrize("assets", [1, 2])
@pytest.mark.parametrize(
    "kill",
    [{how: number} for how in ("before", "after") for number in range(1, 8)] + [{"taken": n} for n in range(3)],
    ids=str,
)
def test_no_kill_loses_anything(kill, assets):
    """Killed before or after any write, or with any part of a step taken, the story is told whole, in its order."""
    database, killed, stores = run(_play(kill, assets=assets))
    told = [
        (event["kind"], event["reason"], event["id"])
        + ((event["before"], event["after"]["location"]) if event["kind"] == "changed" else ())
        for event in once(database)
    ]

    assert TOLD == told
    assert killed > 0
    assert all(store.values == stores[0].values for store in stores)


@in_virtual_time
async def test_two_triggerers_at_once():
    """Two triggerers that both think they have the trigger lose nothing, and what both tell has one id."""
    vendor, store, database = Vendor(), StateStore(), []
    one, other = (Triggerer(vendor, [store], database) for _ in range(2))
    async with one.running():
        await asyncio.sleep(27)
        async with other.running():
            await asyncio.sleep(25)
            meeting = vendor.book()
            await asyncio.sleep(50)
            vendor.edit(meeting, location="Zoom")
            await asyncio.sleep(50)
    events = database

    assert {("created", None, "m1"), ("changed", None, "m1")} == set(brief(events))
    assert len({event["event_id"] for event in events}) == 2


@in_virtual_time
async def test_a_cleared_store_begins_anew():
    """Who clears the state in Airflow begins anew: nothing old is told, and the next change is."""
    vendor, store = Vendor(), StateStore()
    meeting = vendor.book()
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        store.values.clear()
        vendor.edit(meeting, location="Zoom")
        await asyncio.sleep(30)
        before = list(triggerer.database)
        vendor.edit(meeting, location="Teams")
        await asyncio.sleep(30)
    events = triggerer.database

    assert before == []
    assert [{"location": "Teams"}] == [event["after"] for event in events]


@in_virtual_time
async def test_without_a_store():
    """Before Airflow 3.3 what is known is in memory: changes are told, and a restart begins anew."""
    vendor = Vendor()
    meeting = vendor.book()
    first, second = Triggerer(vendor), Triggerer(vendor)
    async with first.running():
        await asyncio.sleep(25)
        vendor.edit(meeting, location="Zoom")
        await asyncio.sleep(25)
    vendor.edit(meeting, location="Teams")
    async with second.running():
        await asyncio.sleep(25)
    first, second = first.database, second.database

    assert [("changed", None, "m1")] == brief(first)
    assert second == []


@in_virtual_time
async def test_bulk_is_told_in_steps(monkeypatch):
    """Hundreds of changes at once are stored and told a few at a time, each a step of its own."""
    monkeypatch.setattr(watching, "BATCH_EVENTS", 7)
    vendor, store = Vendor(), StateStore()
    for number in range(40):
        vendor.book(NOON + number * HOUR)
    triggerer = Triggerer(vendor, [store], tell_first=True)
    async with triggerer.running():
        await asyncio.sleep(100)
        for number in range(40):
            vendor.delete(f"m{number + 1}")
        await asyncio.sleep(200)

    events = once(triggerer.database)

    assert [*["moved_in"] * 40, *["gone"] * 40] == [event["kind"] for event in events]


@in_virtual_time
async def test_what_is_stored_says_how_far(monkeypatch):
    """The head says when the last look was, and nothing is pending when nothing is being told."""
    monkeypatch.setattr(snapshots, "MAX_VALUE_CHARS", 300)
    vendor, store = Vendor(), StateStore()
    for number in range(30):
        vendor.book(NOON + number * HOUR, notes=f"{number * 7919**3:x}")
    triggerer = Triggerer(vendor, [store])
    async with triggerer.running():
        await asyncio.sleep(25)
        for number in range(10):
            vendor.book(NOON + number * HOUR, notes=f"{number * 7919**4:x}" * 9)
        await asyncio.sleep(60)

    assert store.manifest["pending"] == ""
    assert store.manifest["shards"] >= 8
    assert len(store.values) == store.manifest["shards"] + 2  # the head, and what was written to see that one can
