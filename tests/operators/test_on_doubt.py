"""A create whose outcome cannot be told asks a person, where the author wants that."""

from datetime import timedelta

import pytest

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError
from airflow_provider_meetings.operators import asking
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator
from tests.support.sandbox import BUILDERPRIME
from tests.support.task_runner import TaskOnAirflow

BOOKED = {"opportunityId": 102988, "meetingTypeId": 1012, "employeeId": 50}


@pytest.fixture
def create(server, connect, monkeypatch):
    """Make a task whose first try has lost its answer, beside an equal meeting that somebody has booked since."""

    def make(on_doubt="ask", **arguments):
        connect(BUILDERPRIME, max_attempts=1, web_url_template="https://app.test/m/{id}")
        usual = {"meeting": BUILDERPRIME.meeting(), "meetings_conn_id": "meetings", "on_doubt": on_doubt}
        task = TaskOnAirflow(monkeypatch, operator=CreateMeetingOperator, **(usual | arguments))
        server.fault("answer", match={"method": "POST"}, when="after", status=502, body="<html>", times=1)
        server.fault("status", match={"method": "GET"}, status=503, skip=1, times=1)
        assert task.start().state == "up_for_retry"
        same = {name: BUILDERPRIME.meeting()[name] for name in ("title", "location", "startDateTime", "endDateTime")}
        server.insert(BUILDERPRIME, same | BOOKED)
        return task

    return make


def ids(server):
    """The meetings that are there."""
    return sorted(str(meeting["id"]) for meeting in server.meetings(BUILDERPRIME))


def test_it_asks_and_adopts_what_was_chosen(server, create):
    """The form shows the candidates with their links; the try goes on with the one that was chosen."""
    task = create()
    there = ids(server)
    parked = task.start()

    assert "awaiting_input" == parked.state
    assert [*(f"Adopt {meeting_id}" for meeting_id in there), "Book another", "Stop"] == task.form.options
    assert all(f"[{meeting_id}](https://app.test/m/{meeting_id})" in task.form.body for meeting_id in there)
    assert "success" == task.answer(parked, f"Adopt {there[1]}", by="Ann").state
    assert there[1] == str(task.result["id"])
    assert {"adopt": there[1], "by": "Ann"} == task.supervisor.xcoms["decision"]
    assert there == ids(server)


def test_another_one_is_booked_where_that_was_chosen(server, create):
    """One more than there were, and the next try of the task finds it as it should be."""
    task = create()
    there = ids(server)
    parked = task.start()

    assert "success" == task.answer(parked, "Book another").state
    assert str(task.result["id"]) not in there
    assert len(there) + 1 == len(ids(server))
    assert "success" == task.start().state
    assert len(there) + 1 == len(ids(server))


def test_whoever_stops_it_makes_it_fail(server, create):
    """No retry is spent, nothing is written, and the error says by whom."""
    task = create()
    there = ids(server)
    parked = task.start()
    ended = task.answer(parked, "Stop", by="Ann")

    assert "failed" == ended.state
    assert isinstance(ended.error, MeetingConflictError)
    assert "Ann chose to stop" in str(ended.error)
    assert there == ids(server)

    again = task.start()  # killed before Airflow knew: nobody is asked again
    assert ("failed", str(ended.error)) == (again.state, str(again.error))
    task.clear()
    assert "awaiting_input" == task.start().state


def test_an_answer_that_has_not_reached_the_task_is_not_lost(server, create):
    """Killed between the answer and going on: the next try asks nobody, and takes the answer to the form."""
    task = create()
    there = ids(server)
    task.start()
    task.respond(f"Adopt {there[0]}")
    looking = task.start()

    assert "deferred" == looking.state
    assert set() == task.supervisor.asked
    assert "success" == task.resume(looking).state
    assert there[0] == str(task.result["id"])
    assert there == ids(server)


def test_nobody_is_asked_by_the_form_of_other_candidates(server, create):
    """Cleared while it waits, and one more is equal by now, which the form does not show: the error names them all."""
    task = create()
    assert "awaiting_input" == task.start().state
    same = {name: BUILDERPRIME.meeting()[name] for name in ("title", "location", "startDateTime", "endDateTime")}
    server.insert(BUILDERPRIME, same | BOOKED)
    there = ids(server)
    task.clear()
    ended = task.start()

    assert ("failed", MeetingConflictError) == (ended.state, type(ended.error))
    assert there == sorted(str(meeting["id"]) for meeting in ended.error.candidates)
    assert "Nobody was asked: Airflow keeps the form" in str(ended.error)
    assert there == ids(server)


def test_it_fails_where_nobody_is_to_be_asked(server, create):
    """The default: the error names the candidates."""
    task = create(on_doubt="fail")
    ended = task.start()

    assert "failed" == ended.state
    assert ids(server) == sorted(str(meeting["id"]) for meeting in ended.error.candidates)


def test_what_it_cannot_be_is_refused_before_anything_is_sent(server, connect, monkeypatch):
    """Another word than the two, or an Airflow that has no required actions."""
    connect(BUILDERPRIME)
    usual = {"meeting": BUILDERPRIME.meeting(), "meetings_conn_id": "meetings"}
    wrong = TaskOnAirflow(monkeypatch, operator=CreateMeetingOperator, on_doubt="perhaps", **usual).start()
    monkeypatch.setattr(asking, "can_ask", lambda: False)
    old = TaskOnAirflow(monkeypatch, operator=CreateMeetingOperator, on_doubt="ask", **usual).start()

    assert all(isinstance(ended.error, MeetingsConfigurationError) for ended in (wrong, old))
    assert "must be 'fail' or 'ask'" in str(wrong.error)
    assert "Airflow 3.1" in str(old.error)
    assert [] == ids(server)


def test_a_question_has_an_end(server, create):
    """Where nobody answers in time the task fails, and says so; nothing is written."""
    task = create(response_timeout=timedelta(hours=1))
    there = ids(server)
    parked = task.start()
    assert timedelta(hours=1) == parked.message.timeout
    ended = task.time_out(parked)

    assert "failed" == ended.state
    assert "nobody has answered in time" in str(ended.error)
    assert there == ids(server)


@pytest.mark.parametrize(("choice", "state", "more"), [("another", "success", 1), ("stop", "failed", 0)])
def test_a_default_choice_holds_then(server, create, choice, state, more):
    """The choice is the default's, and it says so."""
    task = create(response_timeout="3600", default_choice=choice)
    there = ids(server)
    parked = task.start()
    assert [{"another": "Book another", "stop": "Stop"}[choice]] == task.form.defaults
    ended = task.time_out(parked)

    assert state == ended.state
    assert len(there) + more == len(ids(server))
    decided = task.supervisor.xcoms.get("decision", {"by": str(ended.error)})
    assert "the default choice" in decided["by"]


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"response_timeout": 0}, "response_timeout must be a timedelta or seconds"),
        ({"response_timeout": "soon"}, "response_timeout must be a timedelta or seconds"),
        ({"response_timeout": True}, "response_timeout must be a timedelta or seconds"),
        ({"response_timeout": 60, "default_choice": "adopt"}, "default_choice must be one of another, stop"),
        ({"default_choice": "stop"}, "give both"),
    ],
)
def test_terms_that_cannot_be_are_refused_before_anything_is_sent(server, connect, monkeypatch, terms, told):
    """How long a question stands, and what holds then, is checked first."""
    connect(BUILDERPRIME)
    usual = {"meeting": BUILDERPRIME.meeting(), "meetings_conn_id": "meetings", "on_doubt": "ask"}
    ended = TaskOnAirflow(monkeypatch, operator=CreateMeetingOperator, **usual, **terms).start()

    assert isinstance(ended.error, MeetingsConfigurationError)
    assert told in str(ended.error)
    assert [] == server.journal()
