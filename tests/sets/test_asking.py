"""A plan that is larger than it may be: a person says whether it is applied anyway."""

from datetime import timedelta

import pytest

from airflow_provider_meetings import version_compat
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsRejectedError
from airflow_provider_meetings.operators import asking
from tests.support.sandbox import DAY, NOON
from tests.support.task_runner import TaskOnAirflow

WINDOW = {"window_start": str(NOON - DAY), "window_end": str(NOON + DAY)}


@pytest.fixture
def task(server, connect, kind, monkeypatch):
    """Make a task of one row that would delete three meetings, of which it may delete two."""

    def make(*, durable=True, **arguments):
        connect(kind, max_parallel_requests=1, max_attempts=1, web_url_template="https://app.test/m/{id}")
        server.insert(kind, *(kind.row(NOON + number * 60_000) for number in range(3)))
        wanted = {"meetings": [kind.declared(server.counterparts(kind)[0], 720)], "match_on": [kind.counterpart]}
        usual = {"delete_missing": True, "max_deletes": 2, "on_doubt": "ask", "meetings_conn_id": "meetings"}
        return TaskOnAirflow(monkeypatch, durable=durable, **(wanted | usual | WINDOW | arguments))

    return make


def test_the_form_says_what_is_too_much(server, task):
    """Nothing is written, and the form has the guard that is exceeded, the table with its links, and two choices."""
    sync = task()
    parked = sync.start()

    assert "awaiting_input" == parked.state
    assert ["Apply anyway", "Stop"] == sync.form.options
    assert "Apply anyway? 1 to create, 0 to update, 3 to delete, 0 unchanged" == sync.form.subject
    assert sync.form.body.startswith("**The plan has 3 deletes, and max_deletes allows 2.**")
    assert 3 == sync.form.body.count("](https://app.test/m/")
    assert [] == server.acted()


def test_it_is_applied_anyway(server, task, capfd):
    """Exactly that plan is carried out; who chose so stands in the log and in XCom."""
    sync = task()

    assert "success" == sync.answer(sync.start(), "Apply anyway", by="Ann").state
    assert {"digest": sync.result["plan_digest"], "by": "Ann", "anyway": True} == sync.supervisor.xcoms["approval"]
    assert ["created", "deleted", "deleted", "deleted"] == server.acted()
    assert "max_deletes allows 2. Ann chose to apply it anyway." in capfd.readouterr().out


def test_it_is_stopped(server, task):
    """Nothing is written, no retries are spent, and nobody is asked again before a clear."""
    sync = task()
    ended = sync.answer(sync.start(), "Stop", by="Bob")

    assert ("failed", MeetingsRejectedError) == (ended.state, type(ended.error))
    assert str(ended.error).startswith("Bob has rejected plan ")
    assert ("failed", str(ended.error)) == ((again := sync.start()).state, str(again.error))
    assert [] == server.acted()
    sync.clear()
    assert "awaiting_input" == sync.start().state


def test_killed_after_the_answer_nobody_is_asked_again(server, task):
    """The answer is written down first: whether a try ends before the first write or after it, the next one goes on."""
    sync = task(max_deletes=0)
    parked = sync.start()
    server.fault("status", match={"method": "GET"}, status=503, times=1)
    assert "up_for_retry" == sync.answer(parked, "Apply anyway", by="Ann").state
    assert [] == server.acted()
    server.fault("status", match={"method": "DELETE"}, status=503, skip=1, times=1)
    assert "up_for_retry" == sync.start().state
    assert ["created", "deleted"] == server.acted()[:2]

    assert "success" == sync.start().state
    assert "Ann" == sync.supervisor.xcoms["approval"]["by"]
    assert 1 == server.acted().count("created")


def test_a_plan_within_its_guards_is_not_asked_about(server, task):
    """Only what is too large is in doubt."""
    assert "success" == task(max_deletes=3).start().state
    assert 3 == server.acted().count("deleted")


def test_an_approval_of_a_plan_within_its_guards_is_none_of_one_beyond(server, task):
    """Approved, killed, and cleared with a lower limit: nobody has said that it is to be applied anyway."""
    sync = task(max_deletes=3, approval="always")
    parked = sync.start()
    assert ["Approve", "Reject"] == sync.form.options
    server.fault("status", match={"method": "GET"}, status=503, times=1)
    assert "up_for_retry" == sync.answer(parked, "Approve").state

    outdated = sync.start(max_deletes=2)
    assert ("failed", asking.OutdatedFormError) == (outdated.state, type(outdated.error))
    sync.new_run()
    assert "awaiting_input" == sync.start().state
    assert ["Apply anyway", "Stop"] == sync.form.options


def test_plan_mode_fails_where_it_is_too_large(task):
    """A dry run asks nobody."""
    ended = task(mode="plan").start()

    assert ("failed", MeetingsConfigurationError) == (ended.state, type(ended.error))
    assert "The plan has 3 deletes, and max_deletes allows 2." in str(ended.error)


def test_a_question_has_an_end(server, task):
    """Where nobody answers in time nothing is written, and the task fails."""
    sync = task(response_timeout=timedelta(hours=1))
    parked = sync.start()
    assert timedelta(hours=1) == parked.message.timeout
    assert sync.form.defaults is None
    ended = sync.time_out(parked)

    assert "failed" == ended.state
    assert str(ended.error).startswith("Nobody has answered in time what is to become of plan ")
    assert [] == server.acted()


@pytest.mark.parametrize(
    ("choice", "arguments", "option", "state"),
    [
        ("apply", {}, "Apply anyway", "success"),
        ("stop", {}, "Stop", "failed"),
        ("apply", {"max_deletes": None, "approval": "always"}, "Approve", "success"),
        ("stop", {"max_deletes": None, "approval": "always"}, "Reject", "failed"),
    ],
)
def test_a_default_choice_holds_then(task, choice, arguments, option, state):
    """Of either form; who has chosen is the default choice."""
    sync = task(response_timeout=60, default_choice=choice, **arguments)
    parked = sync.start()
    assert [option] == sync.form.defaults
    ended = sync.time_out(parked)

    assert state == ended.state
    by = sync.supervisor.xcoms["approval"]["by"] if state == "success" else str(ended.error)
    assert "the default choice" in by


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"on_doubt": "perhaps"}, "on_doubt: must be one of fail, ask"),
        ({"response_timeout": -1}, "response_timeout must be a timedelta or seconds"),
        ({"response_timeout": 60, "default_choice": "adopt"}, "default_choice must be one of apply, stop"),
        ({"default_choice": "stop"}, "give both"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(server, task, arguments, told):
    """How and how long people are asked is checked first."""
    ended = task(**arguments).start()

    assert told in str(ended.error)
    assert [] == server.journal()


def test_before_airflow_3_3_a_trigger_looks_for_the_answer(server, task, monkeypatch):
    """The question travels with the deferral, and so do its end and its default."""
    monkeypatch.setattr(version_compat, "_awaiting_input", lambda: None)
    sync = task(durable=False, response_timeout=60, default_choice="apply")
    parked = sync.start()
    assert parked.message.classpath.endswith(".HITLTrigger")
    assert ["Apply anyway"] == sync.form.defaults

    assert "success" == sync.time_out(parked).state
    assert 3 == server.acted().count("deleted")


def test_before_airflow_3_1_nobody_can_be_asked(server, task, monkeypatch):
    """The author is told before anything is sent."""
    monkeypatch.setattr(asking, "can_ask", lambda: False)
    ended = task().start()

    assert "on_doubt='ask' needs Airflow 3.1" in str(ended.error)
    assert [] == server.journal()
