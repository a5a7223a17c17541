"""The agenda and the week: each meeting once, as its newest record tells it, with the tasks that had to do with it."""

from datetime import timedelta

import pytest

from airflow_provider_meetings.observability.outcome import MeetingOutcome
from airflow_provider_meetings.ui import agenda
from tests.support.ui import DAY, HOUR, meeting, record


@pytest.fixture
def start(database):
    """An hour from now, in Unix milliseconds."""
    database.dag("interviews")
    return round(database.now.timestamp() * 1000) + HOUR


@pytest.fixture
def ask(client, start):
    """Asks for the meetings of the day about the start."""

    def get(begin=None, end=None, **filters):
        window = {"start": start - DAY if begin is None else begin, "end": start + DAY if end is None else end}
        answer = client().get("api/meetings", params=window | filters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


def _ids(told):
    return [one["id"] for one in told["meetings"]]


def test_the_meetings_of_a_window_in_their_order(database, ask, start):
    """Those that begin in it, the end left out, the earliest first."""
    run = database.run("interviews")
    times = {"3": start + 2, "1": start, "2": start + 1, "before": start - 1, "after": start + 3}
    run.task("list", outcome=record("listed", *(meeting(name, time) for name, time in times.items())))
    told = ask(start, start + 3)
    assert (["1", "2", "3"], 3, True) == (_ids(told), told["total"], told["complete"])


def test_a_meeting_is_what_its_newest_record_says(database, ask, start):
    """It was booked for one moment, moved to another and cancelled: it stands where it was last, once."""
    run = database.run("interviews")
    run.task("book", outcome=record("created", meeting(1, start)), ago=timedelta(minutes=30))
    moved = MeetingOutcome("updated", meeting(1, start + HOUR, location="Room 5"), after={"location": "Room 5"})
    run.task("move", outcome=record("updated", moved), ago=timedelta(minutes=20))
    assert [] == _ids(ask(start, start + 1))
    (shown,) = ask()["meetings"]
    assert ("updated", start + HOUR, "Room 5") == (shown["outcome"], shown["starts_at"], shown["location"])
    run.task("cancel", outcome=record("deleted", {"id": "1"}), ago=timedelta(minutes=10))
    (shown,) = ask()["meetings"]
    assert ("deleted", start + HOUR, "Meeting 1 of many") == (shown["outcome"], shown["starts_at"], shown["title"])
    assert ["cancel", "move", "book"] == [told["task_id"] for told in shown["history"]]
    assert {"location": ["Room 5"]} == shown["history"][1]["changes"]


def test_who_only_looks_changes_no_outcome(database, ask, start):
    """A list after a booking brings the newest facts; the meeting is still one that was booked."""
    run = database.run("interviews")
    run.task("book", outcome=record("created", meeting(1, start)), ago=timedelta(minutes=30))
    run.task("list", outcome=record("listed", meeting(1, start, location="Elsewhere")), ago=timedelta(minutes=10))
    (shown,) = ask()["meetings"]
    assert ("created", "book", "Elsewhere") == (shown["outcome"], shown["last"]["task_id"], shown["location"])


def test_one_id_of_two_connections_is_two_meetings(database, ask, start):
    """Ids are the vendor's, and an account's."""
    run = database.run("interviews")
    run.task("one", outcome=record("created", meeting(1, start)))
    run.task("two", outcome=record("created", meeting(1, start), connection="builderprime_default"))
    assert ["1", "1"] == _ids(ask())


def test_filters(database, ask, start):
    """By connection, DAG, outcome and a text in any field, each and together; what they leave out is still counted."""
    database.dag("visits")
    run, other = database.run("interviews"), database.run("visits")
    run.task("book", outcome=record("created", meeting(1, start, counterpart_name="Grace"), meeting(2, start)))
    run.task("cancel", outcome=record("deleted", {"id": "2"}), ago=timedelta(minutes=10))
    other.task("book", outcome=record("created", meeting(3, start), connection="builderprime_default"))
    assert ["1", "2", "3"] == _ids(ask())
    assert ["3"] == _ids(ask(connection="builderprime_default"))
    assert ["1", "2"] == _ids(ask(dag_id="interviews"))
    assert ["2"] == _ids(ask(outcome="deleted"))
    assert ["1"] == _ids(ask(text=" GRACE "))
    assert [] == _ids(ask(text="Grace", outcome="deleted"))
    told = ask(outcome="deleted", text="nobody has this")
    assert 0 == told["total"]
    assert {
        "connections": [{"name": "builderprime_default", "count": 1}, {"name": "hiringcenter_default", "count": 2}],
        "dags": [{"name": "interviews", "count": 2}, {"name": "visits", "count": 1}],
        "outcomes": [{"name": "created", "count": 2}, {"name": "deleted", "count": 1}],
    } == told["facets"]


def test_old_runs_are_left_out(database, ask, start):
    """So are records of another key, and what is no record."""
    database.run("interviews", "old", ago=agenda.LOOK_BACK + timedelta(days=1)).task(
        "a", outcome=record("created", meeting(1, start))
    )
    run = database.run("interviews", "young")
    run.task("b", outcome=record("created", meeting(2, start)))
    run.task("c", state="failed", failure=record("failed", meeting(3, start)))
    run.task("d", outcome={"rows": [meeting(4, start)]})
    run.task("e", outcome=record("created", {"id": "5"}))
    assert ["2"] == _ids(ask())


def test_the_answer_is_bounded(database, ask, start, monkeypatch):
    """The newest records, the first meetings, the last tasks; and that it is a part."""
    monkeypatch.setattr(agenda, "MAX_RECORDS", 2)
    monkeypatch.setattr(agenda, "MAX_SHOWN", 1)
    monkeypatch.setattr(agenda, "_MAX_HISTORY", 1)
    for number in range(4):
        database.run("interviews", f"run {number}").task(
            "book", outcome=record("created", meeting(number, start), meeting("x", start + 1))
        )
    told = ask()
    assert (["2"], 3, 2, False) == (_ids(told), told["total"], told["records"], told["complete"])
    assert 1 == len(ask(start + 1)["meetings"][0]["history"])


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"start": 1},
        {"start": 2, "end": 1},
        {"start": 0, "end": 63 * DAY},
        {"start": -1, "end": 1},
        {"start": "x", "end": 1},
        {"start": 0, "end": 10**20},
    ],
)
def test_a_window_that_is_none(client, database, window):  # noqa: ARG001 - there is a database
    """It is refused, and the reason given."""
    answer = client().get("api/meetings", params=window)
    assert 422 == answer.status_code


def test_a_user_without_dags_gets_an_empty_answer(client, database, start):
    """And no error."""
    database.run("interviews").task("book", outcome=record("created", meeting(1, start)))
    told = client("nobody").get("api/meetings", params={"start": start - DAY, "end": start + DAY}).json()
    assert ([], 0, []) == (told["meetings"], told["total"], told["facets"]["dags"])
