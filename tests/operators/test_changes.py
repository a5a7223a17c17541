"""The operator that lists changes, executed with a minimal context against the sandbox."""

import gzip
import json

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsServerError
from airflow_provider_meetings.operators.meetings import ListMeetingChangesOperator
from tests.support.operators import CONN, INTERVAL, context_of, run
from tests.support.sandbox import DAY, HIRINGCENTER, HOUR, NOON

CREATED = {"hiringcenter": "createdAt", "builderprime": "createdDate"}
LONG_AGO = NOON - 30 * DAY


def task(folder, **arguments):
    """Make the operator; its snapshot lies in a folder."""
    return ListMeetingChangesOperator(task_id="changes", snapshot=f"file://{folder}/snapshot", **CONN, **arguments)


def of_run(run_id):
    """Make the context of a run."""
    context = context_of("changes", **INTERVAL)
    context["ti"].run_id = run_id
    return context


def brief(events):
    """Say in short what events tell."""
    return [(event["kind"], event["reason"], event["id"]) for event in events]


def test_every_kind(server, kind, connect, tmp_path):
    """What a user of the vendor's app does between two runs: one event each, and none in the run after that."""
    connect(kind)
    old = {CREATED[kind.name]: LONG_AGO, "location": "Here"}
    changed, leaving, gone, far = server.insert(
        kind, *(kind.row(date, **old) for date in (NOON + 1, NOON + 2, NOON + 3, NOON + 5 * DAY))
    )
    first = run(task(tmp_path), of_run("r1"))
    assert [("moved_in", "initial", one) for one in (changed, leaving, gone)] == brief(first)
    (new,) = server.insert(kind, kind.row(NOON + 4))
    server.edit(kind.name, changed, location="Zoom")
    server.edit(kind.name, leaving, **{kind.date: NOON + 2 * DAY})
    server.edit(kind.name, far, **{kind.date: NOON + 5})
    server.remove(kind, gone)
    events = run(task(tmp_path), of_run("r2"))
    assert {
        ("changed", None, changed),
        ("moved_out", "edit", leaving),
        ("moved_in", "edit", far),
        ("created", None, new),
        ("gone", None, gone),
    } == set(brief(events))
    assert len(events) == 5
    assert json.loads(json.dumps(events)) == events
    again = run(task(tmp_path), of_run("r2"))
    assert [event | {"seen_at": 0} for event in events] == [event | {"seen_at": 0} for event in again]
    assert run(task(tmp_path), of_run("r3")) == []


def test_many_pages_that_have_not_changed(server, kind, connect, tmp_path):
    """Meetings that are as they were are told of no more, and none is read by its id."""
    connect(kind)
    server.insert(kind, *(kind.row(NOON + number * 1000, location=f"Room {number} é") for number in range(450)))
    assert len(run(task(tmp_path), of_run("r1"))) == 450
    since = len(server.journal())
    assert run(task(tmp_path), of_run("r2")) == []
    assert all("?" in row["path"] or row["path"].endswith(kind.collection) for row in server.journal()[since:])


def test_a_page_that_fails_makes_nothing_gone(server, kind, connect, tmp_path):
    """An outage in the middle of the list fails the task, and the next run has nothing to tell."""
    connect(kind, max_attempts=1, max_parallel_requests=1)
    server.insert(kind, *(kind.row(NOON + number * 1000) for number in range(450)))
    run(task(tmp_path), of_run("r1"))
    server.fault("status", match={"vendor": kind.name}, skip=2, times=None)
    with pytest.raises(MeetingsServerError):
        run(task(tmp_path), of_run("r2"))
    server.control("DELETE", "/faults")
    assert run(task(tmp_path), of_run("r2")) == []


def test_a_destination_gets_json_lines(server, kind, connect, tmp_path):
    """Events as JSON Lines, compressed where the name says so, and the count."""
    connect(kind)
    server.insert(kind, kind.row(NOON), kind.row(NOON + 1))
    url = f"file://{tmp_path}/events.jsonl.gz"
    listing = task(tmp_path, destination=ObjectStoragePath(url))
    assert run(listing, of_run("r1")) == {"path": url, "count": 2}
    lines = gzip.decompress((tmp_path / "events.jsonl.gz").read_bytes()).splitlines()
    assert ["moved_in", "moved_in"] == [json.loads(line)["kind"] for line in lines]
    assert run(listing, of_run("r2")) == {"path": url, "count": 0}
    assert gzip.decompress((tmp_path / "events.jsonl.gz").read_bytes()) == b""


def test_everything_is_templated(server, connect, tmp_path):
    """A snapshot for each team, kinds from a parameter, filters from another."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON, ownerId=f"o{number}") for number in range(2)))
    listing = ListMeetingChangesOperator(
        task_id="changes",
        window_start="{{ params.start }}",
        window_end=NOON + HOUR,
        filters={"ownerId": "{{ params.owner }}"},
        snapshot=f"file://{tmp_path}/{{{{ params.owner }}}}/",
        kinds=["{{ params.wanted }}"],
        initial="{{ params.initial }}",
        **CONN,
    )
    values = {"start": NOON, "owner": "o1", "wanted": "moved_in", "initial": "emit"}
    assert ["o1"] == [event["after"]["ownerId"] for event in run(listing, params=values)]
    assert (tmp_path / "o1" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"kinds": ["gone", "moved"]}, r"Unknown kinds \['moved'\]; choose from created"),
        ({"kinds": 7}, "kinds must be a list"),
        ({"kinds": []}, "kinds is empty"),
        ({"initial": "all"}, "initial must be 'emit' or 'ignore', not 'all'"),
        ({"filters": {"owner": "1"}}, "owner"),
        ({"destination": "file:///tmp/events.csv"}, "JSON Lines"),
        ({"destination": "ss3://bucket/events.jsonl"}, "destination cannot be written to"),
        ({"window_start": NOON, "window_end": NOON}, "window_end must be after window_start"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(  # noqa: PLR0917 - fixtures
    server, kind, connect, tmp_path, arguments, named
):
    """The error names it, and no snapshot is begun."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=named):
        run(task(tmp_path, **arguments), of_run("r1"))
    assert server.journal() == []
    assert not (tmp_path / "snapshot").exists()


def test_a_snapshot_that_cannot_be_written_is_refused(server, kind, connect, tmp_path):
    """Before anything is sent."""
    connect(kind)
    (tmp_path / "snapshot").write_text("a file is in the way")
    with pytest.raises(MeetingsConfigurationError, match="snapshot cannot be written to"):
        run(task(tmp_path), of_run("r1"))
    assert server.journal() == []


def test_other_filters_need_another_snapshot(server, connect, tmp_path):
    """What passes one filter says nothing of what passes another."""
    connect(HIRINGCENTER)
    run(task(tmp_path), of_run("r1"))
    with pytest.raises(MeetingsConfigurationError, match="other filters"):
        run(task(tmp_path, filters={"ownerId": "o1"}), of_run("r2"))
    assert len(server.journal()) == 1
