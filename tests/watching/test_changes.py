"""What is told between two looks, as properties: of any two states of a vendor's meetings, in any order."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory
from airflow_provider_meetings.watching.changes import (
    KINDS,
    KnownMeeting,
    Observation,
    diff_listed,
    diff_missing,
    fields_of,
)

VENDOR = HiringCenter(
    ErrorFactory("HiringCenter", "hc", "https://hc.test/v2"), update_method="POST", idempotency_window=86_400.0
)
#: Between two looks pass ten seconds, and all that happens before the first is well before it.
EARLY, FIRST, SECOND = 1_000_000, 2_000_000, 2_010_000
START, END = 5_000_000, 6_000_000

dates = st.integers(START - 100, END + 100)
texts = st.none() | st.sampled_from(["", "a", "b", "x" * 600, "y" * 600]) | st.integers(0, 3)
meetings = st.builds(
    lambda date, made, notes, place: {
        "meetingDate": date,
        "createdAt": made,
        "updatedAt": made,
        "notes": notes,
        "location": place,
    },
    dates,
    st.integers(EARLY, EARLY + 9),
    texts,
    texts,
)
worlds = st.dictionaries(st.sampled_from("abcdefgh"), meetings, max_size=8)
windows = st.tuples(st.integers(-50, 50), st.integers(-50, 50)).map(
    lambda shift: Window(START + shift[0], END + shift[1])
)


def look(world, window, *, taken_at, wider=None, **known):
    """Look at a world as the watch does: through the window, and through that of the last look."""
    seen = [
        meeting | {"id": key}
        for key, meeting in world.items()
        if meeting["meetingDate"] in window or (wider is not None and meeting["meetingDate"] in wider)
    ]
    return Observation.from_meetings(
        seen, **{"vendor": VENDOR, "scope": "scope", "connection": "c", "window": window, "taken_at": taken_at} | known
    )


def compare(snapshot, world, window, *, taken_at=SECOND):
    """Compare a snapshot with a world: everything that is told, the missing ones looked up by their ids."""
    now = look(world, window, taken_at=taken_at, wider=snapshot.window)
    verdicts = {key: world[key] | {"id": key} if key in world else None for key in now.missing(snapshot)}
    return [*diff_listed(snapshot, now), *diff_missing(snapshot, now, verdicts)]


def first(world, window):
    """Take the first snapshot of a world."""
    return look(world, window, taken_at=FIRST).snapshot()


def advance(snapshot, changes, window, taken_at):
    """Take the changes into a copy of the snapshot, as the watch does at the end of a look."""
    after = copy.deepcopy(snapshot)
    after.apply(changes)
    after.window, after.taken_at = window, taken_at
    return after


def replay(fields, events):
    """Apply events, as a consumer would who keeps the meetings of the window."""
    kept = dict(fields)
    for event in events:
        key = str(event["id"])
        if event["kind"] in {"moved_out", "gone"}:
            del kept[key]
        elif event["kind"] == "changed":
            merged = kept[key] | event["after"]
            kept[key] = {name: value for name, value in merged.items() if value is not None}
        else:
            assert key not in kept
            kept[key] = event["after"]
    return kept


def told(changes):
    """The events of changes."""
    return [change.event for change in changes]


def fields(snapshot):
    """What a snapshot knows of each meeting."""
    return {key: entry.fields for key, entry in snapshot.entries.items()}


@given(worlds, worlds, windows, windows)
@settings(max_examples=300, deadline=None)
def test_replay(before, after, old_window, new_window):
    """Who replays the events over what was in the window has exactly what is in it now."""
    snapshot = first(before, old_window)
    changes = compare(snapshot, after, new_window)
    now = {key: fields_of(m | {"id": key}, VENDOR) for key, m in after.items() if m["meetingDate"] in new_window}

    assert now == replay(fields(snapshot), told(changes))
    assert now == fields(advance(snapshot, changes, new_window, SECOND))


@given(worlds, windows)
@settings(max_examples=100, deadline=None)
def test_no_change_no_event(world, window):
    """A look that finds what the last one has found tells nothing."""
    touched = {key: meeting | {"updatedAt": SECOND} for key, meeting in world.items()}

    assert compare(first(world, window), world, window) == []
    assert compare(first(world, window), touched, window) == []


@given(worlds, worlds, windows, windows)
@settings(max_examples=300, deadline=None)
def test_one_event_each(before, after, old_window, new_window):
    """Each meeting is told of once at most, and only where it differs or has entered or left the window."""
    snapshot = first(before, old_window)
    events = told(compare(snapshot, after, new_window))
    ids = [event["id"] for event in events]
    now = {key: fields_of(m | {"id": key}, VENDOR) for key, m in after.items() if m["meetingDate"] in new_window}
    differing = {key for key in {*now, *snapshot.entries} if now.get(key) != fields(snapshot).get(key)}

    assert len(ids) == len(set(ids))
    assert differing == set(ids)


@given(worlds, worlds, windows, windows)
@settings(max_examples=300, deadline=None)
def test_kinds(before, after, old_window, new_window):
    """The kind and the reason follow from where a meeting was and is, and who has moved."""
    for event in told(compare(first(before, old_window), after, new_window)):
        key, was, now = event["id"], before.get(event["id"]), after.get(event["id"])
        was_in = was is not None and was["meetingDate"] in old_window
        is_in = now is not None and now["meetingDate"] in new_window
        kind, reason = event["kind"], event["reason"]

        assert kind in KINDS
        assert (kind == "changed") == (was_in and is_in), key
        assert (kind == "gone") == (was_in and now is None), key
        if kind == "moved_out":
            assert reason == ("time" if was["meetingDate"] == now["meetingDate"] else "edit")
        if kind == "moved_in" and now["meetingDate"] not in old_window:
            assert reason == "time"


@given(worlds, worlds, windows, windows)
@settings(max_examples=200, deadline=None)
def test_ids_are_stable(before, after, old_window, new_window):
    """The same change told again, by somebody else and a while later, has the same id; no two have one."""
    snapshot = first(before, old_window)
    events = told(compare(snapshot, after, new_window))
    again = told(compare(copy.deepcopy(snapshot), dict(reversed(after.items())), new_window, taken_at=SECOND + 5))

    assert [event["event_id"] for event in events] == [event["event_id"] for event in again]
    assert len(events) == len({event["event_id"] for event in events})


@given(st.lists(st.tuples(worlds, windows), min_size=2, max_size=8))
@settings(max_examples=200, deadline=None)
def test_ids_never_come_back(history):
    """However the meetings go back and forth, out and in, no id is ever used twice."""
    (world, window), *rest = history
    snapshot, seen = first(world, window), []
    for number, (world, window) in enumerate(rest):
        changes = compare(snapshot, world, window, taken_at=SECOND + number)
        seen += [event["event_id"] for event in told(changes)]
        snapshot = advance(snapshot, changes, window, SECOND + number)

    assert len(seen) == len(set(seen))


def test_back_and_forth():
    """A meeting that is changed, changed back, and changed again is three changes with three ids."""
    window = Window(START, END)
    one = {"a": {"meetingDate": START, "notes": "A"}}
    other = {"a": {"meetingDate": START, "notes": "B"}}
    snapshot, events = first(one, window), []
    for world in (other, one, other):
        changes = compare(snapshot, world, window)
        events += told(changes)
        snapshot = advance(snapshot, changes, window, SECOND)

    assert [{"notes": "B"}, {"notes": "A"}, {"notes": "B"}] == [event["after"] for event in events]
    assert len({event["event_id"] for event in events}) == 3


def test_another_life():
    """A snapshot that was begun anew gives the same change another id: it is not a repeat."""
    window = Window(START, END)
    world, other = {"a": {"meetingDate": START}}, {"a": {"meetingDate": START, "notes": "B"}}
    earlier = look(world, window, taken_at=FIRST).snapshot()
    later = look(world, window, taken_at=FIRST + 1).snapshot()

    (old,), (new,) = told(compare(earlier, other, window)), told(compare(later, other, window))

    assert old["event_id"] != new["event_id"]


MADE = {
    "made since the last look": ({"createdAt": FIRST + 500, "updatedAt": FIRST + 500}, "created"),
    "made and edited since": ({"createdAt": FIRST + 500, "updatedAt": FIRST + 900}, "created"),
    "made before, by a clock that is behind, and not touched": ({"createdAt": 7, "updatedAt": 7}, "created"),
    "made long before and moved": ({"createdAt": EARLY, "updatedAt": FIRST + 500}, "moved_in"),
    "not said when": ({}, "created"),
    "only the minute, or the day, is said": ({"createdAt": 1_980_000}, "created"),
}


@pytest.mark.parametrize(("moments", "kind"), MADE.values(), ids=MADE)
def test_created_or_moved_in(moments, kind):
    """A meeting that newly is in the window was made since the last look, or moved there, as the vendor tells."""
    window = Window(START, END)
    (event,) = told(compare(first({}, window), {"a": {"meetingDate": START} | moments}, window))

    assert kind == event["kind"]
    assert event["reason"] == (None if kind == "created" else "edit")
    assert event["before"] is None
    assert {"id": "a", "meetingDate": START} | {k: v for k, v in moments.items() if k != "updatedAt"} == event["after"]


def test_first_look_told():
    """What was there at the first look is told, where that is wanted, with its own reason."""
    window = Window(START, END)
    snapshot = look({}, window, taken_at=FIRST).snapshot(empty=True)
    world = {"a": {"meetingDate": START, "createdAt": EARLY}, "b": {"meetingDate": END}}

    assert [("moved_in", "initial", "a")] == [
        (event["kind"], event["reason"], event["id"]) for event in told(compare(snapshot, world, window))
    ]


def test_other_shape_by_id():
    """A meeting that was read by itself, and has fewer or more fields there, is not told to have changed in these."""
    window = Window(START, END)
    snapshot = first({"a": {"meetingDate": START, "ownerName": "B. Brown", "notes": "A"}}, window)
    now = look({}, window, taken_at=SECOND)
    (change,) = diff_missing(snapshot, now, {"a": {"id": "a", "meetingDate": END, "notes": "A", "ownerId": "b2"}})

    assert ("moved_out", "edit") == (change.event["kind"], change.event["reason"])
    assert {"meetingDate": END} == change.event["after"]
    assert {"id": "a", "meetingDate": START, "ownerName": "B. Brown", "notes": "A"} == change.event["before"]


def test_vendor_ids_stay_numbers():
    """An id that is a number at the vendor is one in the events."""
    window = Window(START, END)
    snapshot = Observation.from_meetings(
        [{"id": 7, "meetingDate": START}],
        vendor=VENDOR,
        scope="s",
        connection="c",
        window=window,
        taken_at=FIRST,
    ).snapshot()

    assert {"7": KnownMeeting(1, {"id": 7, "meetingDate": START})} == snapshot.entries
    assert [7] == [event["id"] for event in told(compare(snapshot, {}, window))]


def test_events_are_bounded():
    """However long a meeting's texts and however many its fields are, an event of it has some kilobytes."""
    huge = {f"field{number}": "ä" * 5_000 for number in range(60)} | {"list": list(range(10_000))}
    kept = fields_of(huge, VENDOR)

    assert sum(len(str(value)) for value in kept.values()) < 10_000
    assert kept != fields_of(huge | {"field7": "ä" * 4_999 + "b"}, VENDOR)
    assert kept == fields_of(dict(reversed(huge.items())), VENDOR)


def test_listed_twice():
    """A meeting that was moved while the list was read, and is there at both places, is at the later one."""
    old = {"id": "a", "meetingDate": START, "updatedAt": 1}
    new = {"id": "a", "meetingDate": START + 9, "updatedAt": 2}
    known = {"vendor": VENDOR, "scope": "s", "connection": "c", "window": Window(START, END), "taken_at": FIRST}

    assert START + 9 == Observation.from_meetings([new, old], **known).listed["a"].date
    assert START + 9 == Observation.from_meetings([old, new], **known).listed["a"].date


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [(False, True, "cancelled"), (True, False, "restored"), (None, True, "cancelled"), (True, True, None)],
)
def test_a_meeting_that_is_cancelled_or_live_again_says_so(before, after, reason):
    """Also where other fields have changed with it."""
    vendor = BuilderPrime(ErrorFactory("Builder Prime", "bp", "https://bp.test/api"), max_window=1, parallel=1)
    known = {"vendor": vendor, "scope": "s", "connection": "c", "window": Window(START, END)}
    meeting = {"id": 1, "startDateTime": START}
    first = Observation.from_meetings([meeting | {"isMeetingCancelled": before}], **known, taken_at=FIRST)
    now = meeting | {"isMeetingCancelled": after, "title": "x"}
    second = Observation.from_meetings([now], **known, taken_at=SECOND)

    (change,) = diff_listed(first.snapshot(), second)

    assert ("changed", reason) == (change.event["kind"], change.event["reason"])
