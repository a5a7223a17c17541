"""Changes between two runs, in memory: each is told once, whatever breaks off between the runs and inside them."""

import gzip
import json
import threading
from pathlib import Path

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsServerError, MeetingsTransportError
from airflow_provider_meetings.sets import run_changes
from airflow_provider_meetings.sets.files import FileLocation
from tests.support.flows import BASE
from tests.support.run_changes import HOUR, WINDOW, Breaking, Calendar, Killed, brief, search

VENDORS = pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])


@pytest.fixture
def calendar():
    """HiringCenter's calendar, empty."""
    return Calendar()


def ids(events):
    """Return the ids of events."""
    return [event["event_id"] for event in events]


def files(folder):
    """Return the names of the snapshot's files."""
    return sorted(path.name for path in (folder / "snapshot").iterdir())


# -- what is told


@VENDORS
def test_every_kind(kind, tmp_path):
    """Booked, edited, moved out, moved in and deleted: one event each, with what has changed."""
    calendar = Calendar(kind)
    old, leaving, gone = (calendar.book(location="Here") for _ in range(3))
    far = calendar.book(BASE + 100 * HOUR)
    calendar.now += HOUR
    assert [("moved_in", "initial", key) for key in (old, leaving, gone)] == brief(search(calendar, tmp_path))
    calendar.now += HOUR
    new = calendar.book(BASE + 2 * HOUR)
    calendar.edit(old, location=None)
    calendar.edit(leaving, date=BASE + 50 * HOUR)
    calendar.edit(far, date=BASE + 3 * HOUR)
    del calendar.meetings[gone]
    events = search(calendar, tmp_path, "r2")
    assert [
        ("changed", None, old),
        ("created", None, new),
        ("moved_in", "edit", far),
        ("moved_out", "edit", leaving),
        ("gone", None, gone),
    ] == brief(events)
    assert ({"location": "Here"}, {"location": None}) == (events[0]["before"], events[0]["after"])
    assert events[4]["after"] is None
    assert sorted([gone, leaving]) == calendar.reads
    assert search(calendar, tmp_path, "r3") == []


def test_a_window_that_moves(calendar, tmp_path):
    """What the window leaves behind is told to be so by the list alone, and not asked for."""
    calendar.book(BASE + HOUR)
    calendar.book(BASE + 25 * HOUR)
    calendar.now += HOUR
    assert [("moved_in", "initial", "m001")] == brief(search(calendar, tmp_path))
    later = (BASE + 24 * HOUR, BASE + 48 * HOUR)
    events = search(calendar, tmp_path, "r2", window=later)
    assert [("moved_out", "time", "m001"), ("moved_in", "time", "m002")] == brief(events)
    assert calendar.reads == []


def test_the_first_run_may_tell_nothing(calendar, tmp_path):
    """With initial="ignore" the first run, and a retry of it, learn what is there; the next one tells what is new."""
    calendar.book()
    for _ in range(2):
        assert search(calendar, tmp_path, emit_first=False) == []
    calendar.now += HOUR
    new = calendar.book()
    assert [("created", None, new)] == brief(search(calendar, tmp_path, "r2", emit_first=False))


def test_kinds_choose_what_is_told_not_what_is_known(calendar, tmp_path):
    """An event that is not wanted is not told later, either."""
    gone = calendar.book()
    assert search(calendar, tmp_path, kinds=["gone"]) == []
    calendar.book()
    assert search(calendar, tmp_path, "r2", kinds=["gone"]) == []
    del calendar.meetings[gone]
    assert [("gone", None, gone)] == brief(search(calendar, tmp_path, "r3", kinds=["gone"]))
    assert search(calendar, tmp_path, "r4") == []


# -- tries, clears


def test_a_retry_tells_the_same_changes_under_the_same_ids(calendar, tmp_path):
    """A run that is tried again, after it has stored what it knew, tells the same, beside what has changed since."""
    calendar.book()
    first = search(calendar, tmp_path)
    calendar.now += HOUR
    late = calendar.book()
    again = search(calendar, tmp_path)
    assert ids(first) == ids(again)[:1]
    assert [late] == [event["id"] for event in again[1:]]
    calendar.book()
    second = search(calendar, tmp_path, "r2")
    assert ids(second) == ids(search(calendar, tmp_path, "r2"))
    assert search(calendar, tmp_path, "r3") == []


def test_a_clear_of_an_older_run_is_like_a_new_run(calendar, tmp_path):
    """It tells what has changed since the last run, whichever that was."""
    calendar.book()
    search(calendar, tmp_path, "r1")
    search(calendar, tmp_path, "r2")
    new = calendar.book()
    assert [new] == [event["id"] for event in search(calendar, tmp_path, "r1")]
    assert [new] == [event["id"] for event in search(calendar, tmp_path, "r1")]
    assert search(calendar, tmp_path, "r2") == []


def test_a_call_by_hand_is_always_a_new_run(calendar, tmp_path):
    """Without a run nothing is told twice."""
    calendar.book()
    assert len(search(calendar, tmp_path, None)) == 1
    assert search(calendar, tmp_path, None) == []


# -- kills


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [0, 1, 2], ids=["events", "snapshot", "manifest"])
@pytest.mark.parametrize("run", ["r1", "r2"], ids=["first-run", "later-run"])
def test_a_kill_at_any_write(tmp_path, monkeypatch, run, number, after):
    """Killed before or after any of the three writes, the next try tells all changes, the old ones under their ids."""
    calendar, breaking = Calendar(), Breaking(monkeypatch)
    calendar.book()
    if run == "r2":
        search(calendar, tmp_path, "r1")
        calendar.edit("m001", location="Zoom")
        calendar.book()
    expected = ids(search(calendar, _copy(tmp_path, "reference"), run))
    destination = f"file://{tmp_path}/events.jsonl"
    breaking.at(number, after=after)
    with pytest.raises(Killed):
        search(calendar, tmp_path, run, destination=destination)
    breaking.stop()
    late = calendar.book()
    assert search(calendar, tmp_path, run, destination=destination)["count"] == len(expected) + 1
    events = [json.loads(line) for line in Path(tmp_path, "events.jsonl").read_text().splitlines()]
    assert set(expected) == {event["event_id"] for event in events if event["id"] != late}
    assert search(calendar, tmp_path, "r3") == []


def _copy(folder, name):
    """Copy what a folder has of a snapshot into a folder of its own."""
    copy = folder / name
    (copy / "snapshot").mkdir(parents=True)
    for path in (folder / "snapshot").glob("*"):
        (copy / "snapshot" / path.name).write_bytes(path.read_bytes())
    return copy


def test_files_that_no_run_needs_are_removed(calendar, tmp_path):
    """There are the manifest and at most two snapshots, however many runs and tries there were."""
    calendar.book()
    for run in ("r1", "r2", "r2", "r3", "r3", "r1"):
        search(calendar, tmp_path, run)
        assert len(files(tmp_path)) <= 3
        assert "manifest.json" in files(tmp_path)


def test_a_file_that_cannot_be_removed_is_no_error(calendar, tmp_path, monkeypatch, caplog):
    """It is logged, and the run is done."""
    calendar.book()
    search(calendar, tmp_path, "r1")
    search(calendar, tmp_path, "r2")
    fs = FileLocation.parse(f"file://{tmp_path}/x").fs
    monkeypatch.setattr(type(fs), "rm_file", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    assert search(calendar, tmp_path, "r3") == []
    assert "could not be deleted" in caplog.text


# -- outages


@VENDORS
@pytest.mark.parametrize("fails_after", [0, 1, 3])
def test_a_list_that_breaks_off_tells_nothing(kind, tmp_path, fails_after):
    """A page that fails fails the try; nothing is told to be gone, and nothing stored."""
    calendar = Calendar(kind)
    for _ in range(3):
        calendar.book()
    search(calendar, tmp_path)
    before = files(tmp_path)
    calendar.list_fails_after = fails_after
    with pytest.raises(MeetingsServerError):
        search(calendar, tmp_path, "r2")
    assert files(tmp_path) == before
    assert calendar.reads == []
    calendar.list_fails_after = None
    assert search(calendar, tmp_path, "r2") == []


@VENDORS
def test_a_missing_meeting_that_cannot_be_read_fails_the_try(kind, tmp_path):
    """It is told to be gone only when the vendor says so."""
    calendar = Calendar(kind)
    gone = calendar.book()
    search(calendar, tmp_path)
    del calendar.meetings[gone]
    calendar.reads_fail = True
    with pytest.raises(MeetingsServerError):
        search(calendar, tmp_path, "r2")
    calendar.reads_fail = False
    assert [("gone", None, gone)] == brief(search(calendar, tmp_path, "r2"))


def test_a_list_that_missed_a_meeting(calendar, tmp_path):
    """A meeting that should have been listed stays known for two runs; then it counts as out of the filters' reach."""
    meeting = calendar.book()
    search(calendar, tmp_path)
    calendar.hidden.add(meeting)
    for run in ("r2", "r2", "r3"):
        assert search(calendar, tmp_path, run) == []
    calendar.hidden.clear()
    assert search(calendar, tmp_path, "r4") == []
    calendar.hidden.add(meeting)
    for run in ("r5", "r6"):
        assert search(calendar, tmp_path, run) == []
    assert [("moved_out", "edit", meeting)] == brief(search(calendar, tmp_path, "r7"))


def test_the_reads_by_id_are_bounded(tmp_path, monkeypatch, caplog):
    """Those that are left stay known, and are asked for by the next runs."""
    monkeypatch.setattr(run_changes, "MOST_READS", 4)
    calendar = Calendar()
    for _ in range(10):
        calendar.book()
    search(calendar, tmp_path)
    calendar.meetings.clear()
    counts = [len(search(calendar, tmp_path, run)) for run in ("r2", "r3", "r4", "r5")]
    assert counts == [4, 4, 2, 0]
    assert "6 are left for the next run" in caplog.text
    assert len(calendar.reads) == len(set(calendar.reads)) == 10


def test_meetings_are_read_by_id_side_by_side(calendar, tmp_path):
    """As many at once as the connection allows, and no more: a thousand that are gone take no hour."""
    for _ in range(12):
        calendar.book()
    search(calendar, tmp_path)
    calendar.meetings.clear()
    together = threading.Barrier(calendar.max_parallel_requests)
    read, under_way, most = calendar.get_meeting, [], []

    def get_meeting(meeting_id):
        under_way.append(meeting_id)
        together.wait(20)
        most.append(len(under_way))
        together.wait(20)
        under_way.remove(meeting_id)
        return read(meeting_id)

    calendar.get_meeting = get_meeting
    assert 12 == len(search(calendar, tmp_path, "r2"))
    assert 4 == max(most)


# -- snapshots that are not what they should be


def _manifest(folder):
    return folder / "snapshot" / "manifest.json"


def _half_a_manifest(folder):
    _manifest(folder).write_bytes(_manifest(folder).read_bytes()[:40])


def _a_manifest_of_later(folder):
    _manifest(folder).write_text(json.dumps(json.loads(_manifest(folder).read_text()) | {"format": 99}))


def _a_manifest_that_names_another_folder(folder):
    document = json.loads(_manifest(folder).read_text())
    _manifest(folder).write_text(json.dumps(document | {"current": "../snap-1.jsonl.gz"}))


def _no_snapshot(folder):
    _current(folder).unlink()


def _half_a_snapshot(folder):
    _current(folder).write_bytes(_current(folder).read_bytes()[:-12])


def _an_empty_snapshot(folder):
    _current(folder).write_bytes(b"")


def _other_bytes(folder):
    _current(folder).write_bytes(b"no gzip at all")


def _a_line_too_few(folder):
    lines = gzip.decompress(_current(folder).read_bytes()).splitlines(keepends=True)
    _current(folder).write_bytes(gzip.compress(b"".join(lines[:-1])))


def _current(folder):
    return folder / "snapshot" / json.loads(_manifest(folder).read_text())["current"]


@pytest.mark.parametrize(
    "damage",
    [
        _half_a_manifest,
        _a_manifest_of_later,
        _a_manifest_that_names_another_folder,
        _no_snapshot,
        _half_a_snapshot,
        _an_empty_snapshot,
        _other_bytes,
        _a_line_too_few,
    ],
)
def test_a_snapshot_that_cannot_be_read_is_refused(calendar, tmp_path, damage):
    """The error names the URL and what to do; nothing is asked, nothing written."""
    calendar.book()
    search(calendar, tmp_path)
    damage(tmp_path)
    before = files(tmp_path)
    with pytest.raises(MeetingsConfigurationError, match=rf"{tmp_path}/snapshot.*cannot be read.*delete.*start over"):
        search(calendar, tmp_path, "r2")
    assert files(tmp_path) == before
    assert calendar.lists == 1
    _manifest(tmp_path).unlink()
    assert [("moved_in", "initial", "m001")] == brief(search(calendar, tmp_path, "r2"))


def test_a_snapshot_of_other_meetings_is_refused(tmp_path):
    """Another vendor's, another connection's."""
    search(Calendar(), tmp_path)
    with pytest.raises(MeetingsConfigurationError, match="another connection or to other filters"):
        search(Calendar("builderprime"), tmp_path, "r2")


def test_a_store_that_cannot_be_read_is_no_empty_snapshot(calendar, tmp_path, monkeypatch):
    """An error of the file system is raised as it is."""
    calendar.book()
    search(calendar, tmp_path)
    fs = FileLocation.parse(f"file://{tmp_path}/x").fs
    monkeypatch.setattr(type(fs), "open", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        search(calendar, tmp_path, "r2")
    assert calendar.lists == 1


@pytest.mark.parametrize("url", ["", "  ", "None"])
def test_a_snapshot_that_came_out_empty_is_refused(url):
    """It is named."""
    with pytest.raises(MeetingsConfigurationError, match="snapshot is empty"):
        run_changes.RunSnapshots(url, "scope")


def test_a_second_writer_is_noticed(calendar, tmp_path):
    """A run that finds another one's manifest stores nothing; its next try starts from there."""
    calendar.book()
    original = calendar.list_meetings

    def overtaken(start, end, *, filters):
        yield from original(start, end, filters=filters)
        calendar.list_meetings = original
        search(calendar, tmp_path, "r2")

    calendar.list_meetings = overtaken
    with pytest.raises(MeetingsTransportError, match="Another run has written the snapshot"):
        search(calendar, tmp_path, "r1")
    assert search(calendar, tmp_path, "r1") == []
    assert len(files(tmp_path)) <= 3


@pytest.mark.parametrize("ahead", [-90.0, 0.0, 90.0], ids=["behind", "right", "ahead"])
@pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])
def test_a_vendors_clock_is_compared_with_itself(tmp_path, kind, ahead):
    """What is made since the last run is created, and what was made before it is moved in, whatever its clock says."""
    calendar = Calendar(kind)
    calendar.clock_offset = ahead
    far = calendar.book(WINDOW[1] + 1)
    calendar.now += 60_000
    search(calendar, tmp_path, "r1")
    calendar.now += 10_000
    new = calendar.book()
    calendar.edit(new, location="Zoom")
    calendar.edit(far, date=WINDOW[0] + 1)

    assert {("moved_in", "edit", far), ("created", None, new)} == set(brief(search(calendar, tmp_path, "r2")))
