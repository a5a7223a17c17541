"""A person looks at the plan before it is carried out: asked, approved, rejected, drifted, killed."""

import pytest

from airflow_provider_meetings import version_compat
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError, MeetingsRejectedError
from airflow_provider_meetings.operators import asking
from airflow_provider_meetings.sets.approval import APPROVAL_KEY, Approval, ApprovalStore
from airflow_provider_meetings.sets.plan import Change, Plan
from tests.support.sandbox import DAY, HIRINGCENTER, NOON
from tests.support.store import StateStore
from tests.support.task_runner import TaskOnAirflow

WINDOW = {"window_start": str(NOON - DAY), "window_end": str(NOON + DAY)}


@pytest.fixture
def row(server, kind):
    """Make rows."""
    counterparts = server.counterparts(kind)
    return lambda number, **changes: kind.declared(counterparts[number], number, **changes)


@pytest.fixture
def task(connect, kind, row, monkeypatch):
    """Make a task of three rows that asks for approval."""

    def make(*, durable=True, connection=None, **arguments):
        connect(kind, **({"max_parallel_requests": 1} | (connection or {})))
        usual = {"meetings": [row(0), row(1), row(2)], "match_on": [kind.counterpart], "approval": "always"}
        return TaskOnAirflow(
            monkeypatch, durable=durable, **(usual | WINDOW | {"meetings_conn_id": "meetings"} | arguments)
        )

    return make


def test_the_form_shows_the_plan(server, task, kind):
    """Nothing is written, no worker is held, and the form has counts, a table, links and two choices."""
    sync = task(connection={"web_url_template": "https://app.test/m/{id}"})
    (taken,) = server.insert(kind, kind.row(NOON + 5))
    ended = sync.start(delete_missing=True)

    assert ended.state == "awaiting_input"
    assert server.acted() == []
    assert sync.form.options == ["Approve", "Reject"]
    assert sync.form.subject == "Approve: 3 to create, 0 to update, 1 to delete, 0 unchanged"
    assert f"](https://app.test/m/{taken}) |" in sync.form.body
    assert sync.form.body.count("| create |") == 3
    assert sync.form.defaults is None


def test_an_approved_plan_is_carried_out(server, task, kind, capfd):
    """The plan of that digest is applied; who approved it stands in the log and in XCom; nothing is kept of it."""
    sync = task()
    ended = sync.answer(sync.start(), "Approve", by="Ann")

    assert ended.state == "success"
    assert sync.result["created"] == 3
    assert sync.supervisor.xcoms["approval"] == {"digest": sync.result["plan_digest"], "by": "Ann", "anyway": False}
    assert f"Plan {sync.result['plan_digest'][:12]} was approved by Ann." in capfd.readouterr().out
    assert len(server.meetings(kind)) == 3
    assert sync.supervisor.store[APPROVAL_KEY] == {}


def test_a_rejected_plan_is_not(server, task):
    """Nothing is written, no retries are spent, and the error says by whom."""
    sync = task()
    ended = sync.answer(sync.start(), "Reject", by="Bob")

    assert (ended.state, type(ended.error)) == ("failed", MeetingsRejectedError)
    assert str(ended.error).startswith("Bob has rejected plan ")
    assert server.acted() == []
    assert sync.start().state == "failed"  # killed before Airflow knew: nobody is asked again
    sync.clear()
    assert sync.start().state == "awaiting_input"  # after a clear, somebody is


def test_a_plan_that_changed_meanwhile_is_not_carried_out(server, task, kind, row):
    """Somebody books meanwhile: the try ends with what changed; what the first form does not show, another run asks."""
    sync = task()
    parked = sync.start()
    own = (
        {"prospectId": row(1)[kind.counterpart]}
        if kind is HIRINGCENTER
        else {"opportunityId": row(1)[kind.counterpart]}
    )
    (booked,) = server.insert(kind, kind.row(NOON + 7 * 60_000, **own))
    ended = sync.answer(parked, "Approve", by="Ann")

    assert ended.state == "up_for_retry"
    assert type(ended.error) is MeetingsError
    assert "have changed since Ann approved plan" in str(ended.error)
    assert f"no longer: create {kind.counterpart}=" in str(ended.error)
    assert f"new: update meeting {booked}" in str(ended.error)
    assert server.acted() == []

    outdated = sync.start()
    assert (outdated.state, type(outdated.error)) == ("failed", asking.OutdatedFormError)
    assert "first ('Approve: 3 to create, 0 to update, 0 to delete, 0 unchanged')" in str(outdated.error)
    assert "now ('Approve: 2 to create, 1 to update, 0 to delete, 0 unchanged')" in str(outdated.error)
    assert server.acted() == []

    sync.new_run()
    parked = sync.start()
    assert parked.state == "awaiting_input"
    assert sync.form.subject.startswith("Approve: 2 to create, 1 to update")
    assert sync.answer(parked, "Approve").state == "success"
    assert sync.result["updated"] == 1


@pytest.mark.parametrize("durable", [True, False], ids=["3.3", "3.1"])
def test_nobody_is_asked_by_the_form_of_another_plan(server, task, row, monkeypatch, durable):
    """Cleared while it waits: the form is right for an equal plan, and not for as many other meetings."""
    if not durable:
        monkeypatch.setattr(version_compat, "_awaiting_input", lambda: None)
    waiting = "awaiting_input" if durable else "deferred"
    sync = task(durable=durable, connection={"timeout": 1})
    assert sync.start().state == waiting
    sync.clear()
    assert sync.start().state == waiting

    sync.clear()
    outdated = sync.start(meetings=[row(4), row(5), row(6)])
    assert (outdated.state, type(outdated.error)) == ("failed", asking.OutdatedFormError)
    assert "Start a new DAG run" in str(outdated.error)
    assert server.acted() == []


@pytest.mark.parametrize(("choice", "state"), [("Approve", "success"), ("Reject", "failed")])
def test_an_answer_that_has_not_reached_the_task_is_not_lost(server, task, choice, state):
    """Killed between the answer and going on: the next try asks nobody, and takes the answer to the form."""
    sync = task()
    sync.start()
    sync.respond(choice, by="Ann")
    looking = sync.start()

    assert looking.message.classpath.endswith(".HITLTrigger")
    assert sync.supervisor.asked == set()
    ended = sync.resume(looking)
    assert ended.state == state
    assert len(server.acted()) == (3 if choice == "Approve" else 0)
    assert state == "success" or str(ended.error).startswith("Ann has rejected plan ")


def test_an_answer_is_taken_once(server, task, kind):
    """What has reached the task, and what was answered before a clear, is asked for anew."""
    sync = task(delete_missing=True)
    parked = sync.start()
    (booked,) = server.insert(kind, kind.row(NOON + 7 * 60_000))
    assert "have changed" in str(sync.answer(parked, "Approve").error)
    server.control("POST", "/meetings", json={"vendor": kind.name, "op": "delete", "id": booked})
    assert sync.start().state == "awaiting_input"  # the plan is the first one again

    sync.respond("Approve")
    sync.clear()
    assert sync.start().state == "awaiting_input"
    assert server.acted() == []


def test_a_form_that_cannot_be_read_is_asked_again(server, task):
    """Airflow tells a failure of its form in place of an answer: nobody has rejected anything."""
    sync = task()
    parked = sync.start()
    sync.supervisor.response = {"error": "no such form", "error_type": "unknown"}
    ended = sync.resume(parked)

    assert (ended.state, type(ended.error)) == ("up_for_retry", MeetingsError)
    assert "Airflow could not read the answer to the form: no such form." in str(ended.error)
    assert sync.start().state == "awaiting_input"
    assert server.acted() == []


def test_a_change_that_has_become_another_one_is_named_once(server, task, kind):
    """Somebody edits a meeting that is to be deleted: the person had another one before their eyes."""
    (booked,) = server.insert(kind, kind.row(NOON))
    sync = task(delete_missing=True)
    parked = sync.start()
    server.edit(kind.name, booked, location="Elsewhere")
    ended = sync.answer(parked, "Approve")

    assert f"other fields than approved: delete meeting {booked}" in str(ended.error)
    assert "no longer:" not in str(ended.error)
    assert server.acted() == []


def test_deletes_only(server, task, kind):
    """With "deletes" nobody is asked about creates and updates, and somebody about each delete."""
    sync = task(approval="deletes")
    assert sync.start(delete_missing=True).state == "success"
    server.insert(kind, kind.row(NOON))
    assert sync.start().state == "awaiting_input"


@pytest.mark.parametrize("changes", [{"mode": "plan"}, {"meetings": []}], ids=["plan", "nothing to do"])
def test_nobody_is_asked_about_nothing(server, task, changes):
    """A dry run and an empty plan never ask."""
    sync = task(**changes)

    assert sync.start().state == "success"
    assert server.acted() == []


def test_killed_while_applying_the_next_try_goes_on(server, task, kind, row):
    """What is left of an approved plan needs no second approval, however the first try ended."""
    sync = task(meetings=[row(number) for number in range(8)])
    server.fault("status", match={"method": "POST"}, status=403, html=False, skip=4, times=None)
    ended = sync.answer(sync.start(), "Approve", by="Ann")
    assert ended.state == "failed"
    assert len(server.meetings(kind)) == 4

    server.control("DELETE", "/faults")
    assert sync.start().state == "success"
    assert sync.result["created"] == 4
    assert sync.supervisor.xcoms["approval"]["by"] == "Ann"


def test_what_was_not_approved_is_not_carried_out(server, task, row):
    """A change that the approved plan did not have is for another form, although the rest of it is going on."""
    sync = task(meetings=[row(number) for number in range(8)])
    server.fault("status", match={"method": "POST"}, status=403, html=False, skip=4, times=None)
    sync.answer(sync.start(), "Approve")
    server.control("DELETE", "/faults")

    outdated = sync.start(meetings=[row(number) for number in range(9)])
    assert (outdated.state, type(outdated.error)) == ("failed", asking.OutdatedFormError)
    assert 4 == server.acted().count("created")


def test_a_long_wait_goes_on_under_the_same_approval(server, task, kind, row):
    """A vendor that wants a long wait in the middle: the try goes on afterwards, and does not ask again."""
    sync = task(meetings=[row(number) for number in range(8)], connection={"max_wait": 1})
    server.fault("ratelimit", match={"method": "POST"}, retry_after=300, skip=4, times=1)
    deferred = sync.answer(sync.start(), "Approve")
    assert deferred.state == "deferred"

    assert sync.go_on(deferred).state == "success"
    assert len(server.meetings(kind)) == 8


def test_before_airflow_3_3_the_answer_is_looked_for_by_a_trigger(server, task, kind, row, monkeypatch):
    """Airflow 3.1 and 3.2 have no state for it, and no store: the question travels with the deferral."""
    monkeypatch.setattr(version_compat, "_awaiting_input", lambda: None)
    sync = task(durable=False, meetings=[row(number) for number in range(8)], connection={"max_wait": 1})
    parked = sync.start()
    assert parked.state == "deferred"
    assert parked.message.classpath.endswith(".HITLTrigger")

    server.fault("ratelimit", match={"method": "POST"}, retry_after=300, skip=4, times=1)
    deferred = sync.answer(parked, "Approve")
    assert deferred.state == "deferred"
    assert sync.go_on(deferred).state == "success"
    assert len(server.meetings(kind)) == 8


def test_before_airflow_3_1_nobody_can_be_asked(server, task, monkeypatch):
    """An approval that cannot be asked for is refused before anything is sent."""
    monkeypatch.setattr(asking, "can_ask", lambda: False)
    ended = task().start()

    assert type(ended.error) is MeetingsConfigurationError
    assert "approval='always' needs Airflow 3.1" in str(ended.error)
    assert server.journal() == []


def test_this_airflow_can_ask():
    """Where the tests run, there are required actions."""
    assert version_compat.can_ask()


def test_an_answer_that_names_nobody():
    """Airflow does not always say who has answered."""
    assert asking.PersonAnswer.of_event({"chosen_options": ["Approve"]}) == asking.PersonAnswer("Approve", "nobody")
    assert asking.PersonAnswer.of_event(None) == asking.PersonAnswer(None, "nobody")


def many(count):
    """A plan of so many changes."""
    return Plan(tuple(Change("create", {"prospectId": f"p{number}"}, after={"n": number}) for number in range(count)))


def test_a_large_plan_is_kept_in_parts():
    """Each value of the store stays below its limit, and the whole is read back."""
    store, plan = StateStore(), many(5000)
    approvals = ApprovalStore(store)
    approvals.save(Approval.of_plan(plan).approved("Ann"))

    assert max(map(len, store.values.values())) <= version_compat.max_stored_bytes()
    assert approvals.load().covers(plan)
    assert not approvals.load().covers(many(4999))
    approvals.forget()
    assert approvals.load() is None


def test_an_approval_that_is_begun_covers_what_is_left_of_it():
    """Part of an approved plan is approved once it is being carried out; anything else is not."""
    approval = Approval.of_plan(many(10)).approved("Ann")
    begun = Approval(approval.digest, approval.changes, "Ann", begun=True)

    assert not approval.covers(many(9))
    assert begun.covers(many(9))
    assert not begun.covers(many(11))
    assert not Approval.of_plan(many(10)).covers(many(10))


def test_a_question_that_was_being_stored_when_the_process_died_is_none():
    """A new question overwrites the parts of an old one first: half of each is no approval."""
    store = StateStore()
    ApprovalStore(store).save(Approval.of_plan(many(3)).approved("Ann"))
    store.set(f"{APPROVAL_KEY}_0", {"digest": "another", "changes": {}})

    assert ApprovalStore(store).load() is None
