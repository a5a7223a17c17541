"""Changes between runs, through any history of edits, tries that break off, and clears."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import MeetingsServerError
from tests.support.flows import BASE, examples
from tests.support.run_changes import HOUR, WINDOW, Breaking, Calendar, Killed, merge, search

EDITS = st.lists(
    st.tuples(st.sampled_from(["book", "book", "touch", "in", "out", "delete"]), st.integers(0, 7)), max_size=6
)
TRIES = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.integers(0, 4)),
        st.tuples(st.just("read"), st.just(0)),
        st.tuples(st.just("before"), st.integers(0, 2)),
        st.tuples(st.just("after"), st.integers(0, 2)),
    ),
    max_size=3,
)


@pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])
@examples(60)
@given(rounds=st.lists(st.tuples(EDITS, TRIES, EDITS, st.booleans()), min_size=1, max_size=5))
def test_any_history(kind, tmp_path_factory, rounds):
    """Edits between tries, tries that break off anywhere, clears: each change is told once, and a table follows."""
    folder = tmp_path_factory.mktemp("history")
    calendar, table, told = Calendar(kind), {}, set()
    destination = f"file://{folder}/events.jsonl"
    with pytest.MonkeyPatch.context() as monkeypatch:
        breaking = Breaking(monkeypatch)
        for number, (edits, tries, later, cleared) in enumerate(rounds):
            known = {key: _kept(one) for key, one in table.items()}
            _edit(calendar, edits)
            for where, at in tries:
                _fail(calendar, folder, f"r{number}", breaking, (where, at), destination)
            _edit(calendar, later)
            events = _read(search(calendar, folder, f"r{number}", destination=destination))
            truth = {key: _kept(one) for key, one in calendar.within(*WINDOW).items()}
            changed = {key for key in {*known, *truth} if known.get(key) != truth.get(key)}
            assert sorted(changed) == sorted(event["id"] for event in events)
            ids = {event["event_id"] for event in events}
            assert not told & ids
            told |= ids
            if cleared:
                again = _read(search(calendar, folder, f"r{number}", destination=destination))
                assert ids == {event["event_id"] for event in again}
            assert {key: _kept(one) for key, one in merge(table, events).items()} == truth


def _fail(calendar, folder, run, breaking, fault, destination):  # noqa: PLR0917 - a step of the history
    where, at = fault
    calendar.list_fails_after = at if where == "list" else None
    calendar.reads_fail = where == "read"
    if where in {"before", "after"}:
        breaking.at(at, after=where == "after")
    with contextlib.suppress(Killed, MeetingsServerError):
        search(calendar, folder, run, destination=destination)
    calendar.list_fails_after, calendar.reads_fail = None, False
    breaking.stop()


def _edit(calendar, edits):
    for what, which in edits:
        calendar.now += 10_000
        if what == "book":
            calendar.book(BASE + which * HOUR)
        elif calendar.meetings:
            key = sorted(calendar.meetings)[which % len(calendar.meetings)]
            if what == "delete":
                del calendar.meetings[key]
            elif what == "touch":
                calendar.edit(key, location=f"Room {calendar.now}")
            else:
                calendar.edit(key, date=BASE + which * HOUR + (100 * HOUR if what == "out" else 0))


def _kept(meeting):
    return {name: value for name, value in meeting.items() if name != "updatedAt" and value is not None}


def _read(result):
    return [json.loads(line) for line in Path(result["path"].removeprefix("file://")).read_text().splitlines()]
