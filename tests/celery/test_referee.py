"""The run on Celery is only as good as its referee: it must see a meeting too many, too few, or another one."""

import pytest

from airflow_provider_meetings.hooks.resolve import hook_for
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from airflow_provider_meetings.testing import run_sandbox
from demo.celery import referee
from demo.celery.plan import items
from demo.celery.referee import Evidence, busiest
from demo.celery.report import Phase, report
from demo.rows import VENDORS

ITEMS = items(0, 6)


@pytest.fixture(scope="module")
def server():
    """One sandbox for all of them, with both connections set."""
    with run_sandbox() as made, made.connected():
        yield made


@pytest.fixture
def sandbox(server):
    """The sandbox, in which the plan's six meetings were booked by the provider and nothing else is."""
    server.reset()
    for item in ITEMS:
        arguments = item.booking
        hook_for(arguments["meetings_conn_id"]).create_meeting(arguments["meeting"])
    return server


def seen(sandbox):
    """What the referee is told."""
    return Evidence({vendor: sandbox.meetings(vendor) for vendor in VENDORS}, sandbox.journal())


def wrong(checks):
    """What does not hold, with the number that was found."""
    return {check.what: check.found for check in checks if not check.ok}


def test_it_finds_nothing_wrong_with_what_was_booked_as_planned(sandbox):
    """The rows that the referee expects are those that the plan's arguments make, for either vendor."""
    evidence = seen(sandbox)
    assert {} == wrong(referee.meetings(ITEMS, evidence))
    assert len(ITEMS) == referee.right(ITEMS, evidence)
    assert {} == wrong([referee.strangers(ITEMS, evidence), *referee.rates(evidence.journal)])


def test_the_sensor_of_an_item_finds_its_meeting_and_no_other(sandbox):
    """A wait of the plan is answered with the meeting that its booking made."""
    found = {}
    for item in ITEMS:
        sensor = MeetingsSensor(task_id="wait", **item.wait)
        found[item.marker] = [meeting["id"] for meeting in sensor.poke({}).xcom_value]
    booked = [found[item.marker][0] for item in ITEMS]
    values = {"booked": booked, "waited": [found[item.marker] for item in ITEMS]}
    assert {} == wrong(referee.returned(ITEMS, values, seen(sandbox)))
    assert CreateMeetingOperator(task_id="book", **ITEMS[0].booking).meeting == ITEMS[0].booking["meeting"]


def test_it_sees_a_meeting_that_is_there_twice(sandbox):
    """A second one that equals the first is no longer once."""
    first = next(row for row in sandbox.meetings("hiringcenter") if row["notes"] == ITEMS[0].row["notes"])
    sandbox.insert("hiringcenter", {name: value for name, value in first.items() if name != "id"})
    expected = {"HiringCenter: there once, as asked for": "2", "HiringCenter: there twice": "1"}
    assert expected == wrong(referee.meetings(ITEMS, seen(sandbox)))


def test_it_sees_that_two_were_made_where_one_is_left(sandbox):
    """What was made counts by the journal, also where somebody has tidied up since."""
    arguments = ITEMS[1].booking
    again = hook_for(arguments["meetings_conn_id"]).create_meeting(arguments["meeting"])
    sandbox.remove("builderprime", again["id"])
    assert {"Builder Prime: meetings made": "4"} == wrong(referee.meetings(ITEMS, seen(sandbox)))


def test_it_sees_a_meeting_that_is_missing(sandbox):
    """One that was made and is gone is missing."""
    sandbox.remove("builderprime", sandbox.meetings("builderprime")[0]["id"])
    expected = {"Builder Prime: there once, as asked for": "2", "Builder Prime: missing": "1"}
    assert expected == wrong(referee.meetings(ITEMS, seen(sandbox)))


def test_it_sees_a_meeting_that_is_not_as_it_was_asked_for(sandbox):
    """One field that differs is enough."""
    sandbox.edit("hiringcenter", sandbox.meetings("hiringcenter")[0]["id"], location="Room 2")
    assert {"HiringCenter: there once, as asked for": "2"} == wrong(referee.meetings(ITEMS, seen(sandbox)))


def test_it_sees_a_meeting_that_nobody_asked_for(sandbox):
    """A meeting of this kind with a number that no run had is a stranger."""
    assert {"meetings that nobody asked for": "1"} == wrong([referee.strangers(ITEMS[:-1], seen(sandbox))])


def test_it_sees_tasks_that_return_somebody_elses_meeting(sandbox):
    """Two creates that return each other's meeting, and a sensor that returns two, are three wrong ones."""
    evidence = seen(sandbox)
    marked = {"hiringcenter": "notes", "builderprime": "title"}
    ids = [
        next(
            row["id"]
            for row in evidence.tables[item.vendor]
            if row[marked[item.vendor]] == item.row[marked[item.vendor]]
        )
        for item in ITEMS
    ]
    values = {"booked": [ids[2], ids[1], ids[0], *ids[3:]], "waited": [[ids[0], ids[2]], *([one] for one in ids[1:])]}
    expected = {"creates that returned their own": "4", "sensors that returned their own and no other": "5"}
    assert expected == wrong(referee.returned(ITEMS, values, evidence))


def test_it_counts_in_every_span_wherever_it_begins():
    """Half of the requests at the end of one minute and half at the start of the next are still of one minute."""
    assert 0 == busiest([], 60)
    assert 2 == busiest([0, 59, 60, 119], 60)
    assert 4 == busiest([59, 60, 118, 58], 61)


def test_it_sees_one_request_too_many_and_a_refusal():
    """501 requests to HiringCenter within a minute are one too many, and so is a 429."""
    row = {"vendor": "hiringcenter", "status": 200}
    journal = [row | {"at": 100 * number} for number in range(501)]
    journal.append({"vendor": "builderprime", "status": 429, "at": 0})
    expected = {"HiringCenter: requests in the busiest 60 s": "501", "answers of 429, too many requests": "1"}
    assert expected == wrong(referee.rates(journal))
    assert {} == wrong(referee.rates(journal[1:-1]))


def test_a_run_without_its_kills_does_not_hold(sandbox, capsys):
    """Everything may be right: if nobody was killed, it has shown nothing."""
    ended = {"state": "success", "try_number": 1, "start_date": "2026-01-01T00:00:00Z"}
    tasks = [
        ended | {"task_id": name, "map_index": number, "end_date": "2026-01-01T00:01:00Z"}
        for name in ("book", "wait")
        for number in range(len(ITEMS))
    ]
    evidence = seen(sandbox)
    ids = {row["notes"]: row["id"] for row in evidence.tables["hiringcenter"]}
    ids |= {row["title"]: row["id"] for row in evidence.tables["builderprime"]}
    own = [ids[item.row.get("notes") or item.row["title"]] for item in ITEMS]
    tasks[0]["try_number"] = 2
    phase = Phase("with kills", ITEMS, tasks=tasks, values={"booked": own, "waited": [[one] for one in own]})
    assert ["kills in the last run: 0, expected 2"] == report([phase], [], evidence)
    printed = capsys.readouterr().out
    assert ["kills in the last run"] == [line[:21] for line in printed.splitlines() if "WRONG" in line]
    assert [] == report([phase], [referee.Check.equal("a kill", 1, 1)] * 2, evidence)
