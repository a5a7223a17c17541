"""What a set leaves behind: events with so many ids, numbers, a link to the only meeting, rows for the pages."""

from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_meetings.exceptions import MeetingValidationError
from airflow_provider_meetings.observability import airflow_stats as telemetry
from airflow_provider_meetings.observability import outcome as outcomes
from airflow_provider_meetings.observability.outcome import MAX_EVENT_IDS
from airflow_provider_meetings.observability.outcome_record import OUTCOME_KEY
from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from tests.support.operators import CONN, context_of, run
from tests.support.sandbox import DAY, HIRINGCENTER, NOON
from tests.support.stats import Book

WINDOW = {"window_start": NOON - DAY, "window_end": NOON + DAY}
PAGE = "https://app.example.com/meetings/{id}"


class Events:
    """Airflow's outlet events: one an asset, by its name, and what is added to an alias."""

    def __init__(self):
        self.by_name = {}

    def __getitem__(self, outlet):
        """Return the event of an outlet; not every Airflow's assets can be the keys of a dict."""
        added = []
        event = SimpleNamespace(extra={}, added=added, add=lambda asset, extra: added.append((asset.uri, dict(extra))))
        return self.by_name.setdefault(outlet.name, event)


@pytest.fixture
def table(server, kind):
    """Make so many rows, each with a title or a note of its own."""
    parties = server.counterparts(kind)
    own = "notes" if kind is HIRINGCENTER else "title"

    def make(count):
        return [kind.declared(parties[n % len(parties)], n, **{own: f"n {n}"}) for n in range(count)]

    make.match_on = [kind.counterpart, own]
    return make


def sync(table, rows, *, context=None, **options):
    """Make and run a set; returns its result, its events, and its operator."""
    events = Events()
    arguments = {"match_on": table.match_on, **WINDOW, **CONN} | options
    operator = SyncMeetingsOperator(task_id="sync", meetings=rows, **arguments)
    result = run(operator, (context or context_of("sync")) | {"outlet_events": events})
    return result, events, operator


def test_an_event_has_so_many_ids(connect, kind, table):
    """Of 120 new meetings the event has a hundred ids and the count; so has the result."""
    connect(kind)
    asset = Asset(name="meetings", uri="meetings://meetings/")
    result, events, _ = sync(table, table(120), outlets=[asset])
    extra = events[asset].extra
    assert (MAX_EVENT_IDS, 120, "synced") == (len(extra["meeting_ids"]), extra["count"], extra["outcome"])
    assert result["ids"]["created"] == extra["meeting_ids"]
    assert result["created"] == 120


def test_an_alias_has_news_only_where_something_was_written(connect, kind, table):
    """A second run with nothing to do starts nobody who waits for changes."""
    connect(kind)
    alias = AssetAlias("news")
    _, first, _ = sync(table, table(2), outlets=[alias])
    _, second, _ = sync(table, table(2), outlets=[alias])
    ((uri, extra),) = first[alias].added
    assert ("meetings://meetings/", "synced", 2) == (uri, extra["outcome"], extra["count"])
    assert second.by_name == {}


def test_a_set_is_counted_by_what_was_done(connect, kind, table, monkeypatch):
    """Two created, one updated, one deleted: the numbers that single meetings have."""
    connect(kind)
    book = Book()
    monkeypatch.setattr(telemetry, "Stats", book)
    rows = table(3)
    sync(table, rows[:2])
    sync(table, [rows[0] | {"location": "There"}, rows[2]], delete_missing=True)
    done = {name: book.count(f"meetings.{name}") for name in ("created", "updated", "deleted")}
    assert done == {"created": 3, "updated": 1, "deleted": 1}


def test_a_set_of_one_meeting_has_its_link(connect, kind, table):
    """The button *Meeting* leads to the only meeting, and nowhere where there are several."""
    connect(kind, web_url_template=PAGE)
    result, _, operator = sync(table, table(1))
    assert operator.meeting_url == PAGE.format(id=result["ids"]["created"][0])
    _, _, operator = sync(table, table(3))
    assert getattr(operator, "meeting_url", None) is None


def test_the_pages_have_each_meeting(connect, kind, table, monkeypatch):
    """What was written has a row with its outcome and its changes; what was left alone is counted."""
    monkeypatch.setattr(outcomes, "shows_pages", lambda: True)
    connect(kind)
    rows = table(3)
    sync(table, rows)
    context = context_of("sync")
    sync(table, [rows[0] | {"location": "There"}, rows[1]], context=context, delete_missing=True)
    left = context["ti"].pushed[OUTCOME_KEY]
    assert ("synced", 3) == (left["outcome"], left["count"])
    assert {"updated": 1, "deleted": 1, "unchanged": 1} == {name: n for name, n in left["counts"].items() if n}
    changed, deleted = left["rows"]
    assert ("updated", ["location"]) == (changed["outcome"], list(changed["changes"]))
    assert deleted["outcome"] == "deleted"


def test_a_refused_row_is_on_the_pages_and_in_no_event(server, connect, kind, table, monkeypatch):
    """The task fails, so that Airflow tells nobody of its assets; the pages name the row that was refused."""
    monkeypatch.setattr(outcomes, "shows_pages", lambda: True)
    connect(kind, max_parallel_requests=1)
    server.fault(when="before", action="status", status=400, html=False, message="no", match={"method": "POST"})
    context = context_of("sync")
    with pytest.raises(MeetingValidationError):
        sync(table, table(2), context=context)
    left = context["ti"].pushed[OUTCOME_KEY]
    assert {"created": 1, "refused": 1} == {name: n for name, n in left["counts"].items() if n}
    assert {"created", "refused"} == {row["outcome"] for row in left["rows"]}
