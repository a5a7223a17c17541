"""Example DAGs through a real scheduler: not only green, but with exactly the effect that they promise."""

import json
from collections import Counter

import duckdb
import pendulum
import pytest

from demo.run import UNATTENDED, example_dag_ids
from demo.vendors import meetings
from tests.system.conftest import RUN_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


def _states(system, dag_id, run_id=None):
    tasks = system.api.tasks(dag_id, run_id or system.runs[dag_id])
    return Counter((task["task_id"], task["state"]) for task in tasks)


@pytest.mark.parametrize("dag_id", example_dag_ids())
def test_every_example_succeeds(examples, dag_id):
    """The scheduler runs every example DAG to success."""
    assert examples.state(dag_id) == "success", _states(examples, dag_id)


def test_interviews_are_booked_moved_and_cancelled(examples):
    """Three invitations make three meetings, of which one is moved and the declined one is gone."""
    dag_id = "hiringcenter_interviews"
    week = examples.xcom(dag_id, "next_week")
    booked = {row["id"]: row for row in examples.xcom(dag_id, "wait_for_all")}
    decisions = examples.xcom(dag_id, "sort_out")
    now = meetings(examples.ready, pendulum.parse(week["start"]), pendulum.parse(week["end"]))

    assert len(booked) == 3
    left = {row["id"]: row for row in now.values() if row["id"] in booked}
    assert set(booked) - {decisions["to_cancel"]} == set(left)
    moved = left[decisions["to_move"]]
    assert "15:30" in moved["when"]
    assert moved["notes"] == "First interview, moved to the afternoon"
    assert ("all_come", "skipped") in _states(examples, dag_id)


def test_interviews_are_each_created_once(examples):
    """The journal has one creating request for each interview, under its business key."""
    booked = {row["id"] for row in examples.xcom("hiringcenter_interviews", "wait_for_all")}
    created = [row for row in examples.sandbox.journal() if row["acted"] == "created" and row["meetingId"] in booked]

    assert booked == {row["meetingId"] for row in created}
    assert len({row["idempotencyKey"] for row in created}) == 3
    assert all(row["idempotencyKey"].startswith("interview/") for row in created)


def test_site_visits_are_written_and_the_first_is_moved(examples):
    """The scheduled run writes tomorrow's visits with their types, and the first one starts at 07:30 local time."""
    dag_id = "builderprime_site_visits"
    day = examples.xcom(dag_id, "tomorrow")
    visits = examples.xcom(dag_id, "list_all_visits")
    file = examples.folder / "site-visits" / f"{day['date']}.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    now = meetings(examples.ready, pendulum.parse(day["start"]), pendulum.parse(day["end"]))

    assert examples.runs[dag_id].startswith("scheduled__")
    assert sorted(visit["id"] for visit in visits) == sorted(line["id"] for line in lines)
    assert all(isinstance(line["isSalesMeeting"], bool) for line in lines)
    moved = now[f"Builder Prime {examples.xcom(dag_id, 'first_visit')['id']}"]
    expected = pendulum.parse(day["seven_thirty"]).in_timezone("UTC").format("YYYY-MM-DD HH:mm")
    assert moved["when"].startswith(expected)


def test_the_table_becomes_the_calendar(examples):
    """The sync makes what the plan said: a meeting for each row, of the row's type; nobody was asked."""
    dag_id = "meetings_sync"
    rows = examples.xcom(dag_id, "rows")
    planned, applied = examples.xcom(dag_id, "plan"), examples.xcom(dag_id, "apply")
    week = examples.xcom(dag_id, "week_after_next")
    now = meetings(examples.ready, pendulum.parse(week["start"]), pendulum.parse(week["end"]))

    assert len(rows) == planned["created"] == applied["created"] == len(applied["ids"]["created"]) == 6
    assert planned["plan_digest"] == applied["plan_digest"]
    made = [now[f"Builder Prime {meeting_id}"] for meeting_id in applied["ids"]["created"]]
    assert {(row["meetingTypeName"], row["title"]) for row in rows} == {(one["what"], one["notes"]) for one in made}
    assert len((examples.folder / "files" / "sync" / "plan.jsonl").read_text().splitlines()) == 6
    assert "6 created, 0 updated, 0 deleted, 0 unchanged; nobody was asked." in examples.log(dag_id, "tell")


def test_the_tour_leaves_nothing_behind(examples):
    """On both vendors the tour creates, updates and deletes one and the same meeting."""
    for vendor in ("hiringcenter", "builderprime"):
        meeting_id = str(examples.xcom("meetings_tour", f"{vendor}.create")["id"])
        acts = [row["acted"] for row in examples.sandbox.journal(vendor=vendor) if row["meetingId"] == meeting_id]

        assert [act for act in acts if act] == ["created", "updated", "deleted"]


def test_the_tour_writes_a_file_of_each_format(examples):
    """Each has the columns that both vendors share, and one row: the day's meeting."""
    folder = examples.folder / "files" / "tour"
    names = ("builderprime.csv", "builderprime.parquet", "hiringcenter.csv.gz", "hiringcenter.jsonl")
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    for name in names:
        read = "read_json" if name.endswith("jsonl") else "read_parquet" if name.endswith("parquet") else "read_csv"
        rows = duckdb.sql(f"SELECT vendor, id FROM {read}('{folder / name}')").fetchall()  # noqa: S608
        vendor = name.partition(".")[0]
        assert [(vendor, str(examples.xcom("meetings_tour", f"{vendor}.create")["id"]))] == [
            (found, str(meeting_id)) for found, meeting_id in rows
        ]


def _now(system):
    """The meetings of the next weeks, without their ids, by vendor."""
    window = pendulum.now("UTC").subtract(days=2), pendulum.now("UTC").add(days=20)
    rows = meetings(system.ready, *window).values()
    return {
        vendor: Counter((row["when"], row["what"], row["notes"]) for row in rows if row["vendor"] == vendor)
        for vendor in ("HiringCenter", "Builder Prime")
    }


def test_a_second_run_books_nobody_twice(examples):
    """Run again, the examples succeed and leave the meetings of the first run, no more."""
    before = _now(examples)
    runs = {dag_id: examples.api.trigger(dag_id, UNATTENDED.get(dag_id)) for dag_id in example_dag_ids()}
    for dag_id, run_id in runs.items():
        state = examples.api.wait_for_run(dag_id, run_id, seconds=RUN_SECONDS)

        assert state == "success", _states(examples, dag_id, run_id)
    after = _now(examples)

    assert before["HiringCenter"] == after["HiringCenter"]
    # A run that was asked for by hand looks at another day than the evening's, on which there may be no visit yet.
    booked = _states(examples, "builderprime_site_visits", runs["builderprime_site_visits"])["book_visit", "success"]
    assert before["Builder Prime"].total() + booked == after["Builder Prime"].total()
