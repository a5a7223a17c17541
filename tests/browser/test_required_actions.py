"""People answer what tasks ask them, in a real Airflow: a plan to approve, one that is too large, a create in doubt."""

import time

import pendulum
import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(1500)

SECONDS = 480
HOSTILE = '<img src=x onerror="document.title=1"> | a'


def visit(job, kind, day, hour=9, **fields):
    """A row of the table."""
    starts, ends = (f"2027-04-{day:02}T{hour + later:02}:00:00-04:00" for later in (0, 1))
    row = {"clientOpportunityId": 102988 + job, "meetingTypeName": kind, "startDateTime": starts, "endDateTime": ends}
    return row | {"title": f"{kind}, job {job}"} | fields


TABLE = [visit(job, kind, 5 + job) for job in range(3) for kind in ("Measurement", "Final Walkthrough")]


def control(desk, method, path, **body):
    """Ask the sandbox for something that no vendor would do."""
    answer = requests.request(method, f"{desk.ready['control']}{path}", json=body or None, timeout=30)
    answer.raise_for_status()
    return answer.json()


def stored(desk, day):
    """The visits of the sandbox that begin on a day or later, by their ids."""
    listed = control(desk, "GET", "/calendar/builderprime")
    begin = pendulum.parse(day).timestamp() * 1000
    return {str(meeting["id"]): meeting for meeting in listed if meeting["startDateTime"] >= begin}


@pytest.fixture(scope="module", autouse=True)
def _unpaused(desk):
    """Hand the DAGs over to the scheduler."""
    for dag_id in ("calendar", "doubtful"):
        desk.api.unpause(dag_id)


def wait_for(desk, dag_id, run_id, wanted="awaiting_input"):
    """Return when the task of a run has a state."""
    task = "sync" if dag_id == "calendar" else "book"
    desk.api.wait_for_states(dag_id, run_id, {task: wanted}, seconds=SECONDS)


def ask(desk, rows, **conf):
    """Start a sync of a table; return its run when it waits for a person."""
    run_id = desk.api.trigger("calendar", {"rows": rows} | conf)
    wait_for(desk, "calendar", run_id)
    return run_id


def form(dag_id, run_id):
    """Where a task of a run asks."""
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{'sync' if dag_id == 'calendar' else 'book'}/required_actions"


def answer(page, option):
    """Press a button of the form, and see that it was taken."""
    with page.expect_response(lambda response: response.request.method == "PATCH") as answered:
        page.get_by_test_id(f"hitl-option-{option}").click()
    assert answered.value.ok


def test_a_plan_is_looked_at_rejected_and_approved(desk):
    """The form has counts, a table, and links; rejected nothing is written; approved it is exactly what was shown."""
    run_id = ask(desk, [TABLE[0] | {"title": HOSTILE}, *TABLE[1:]])
    with desk.page(form("calendar", run_id), height=900) as page:
        expect(page.get_by_text("Approve: 6 to create, 0 to update, 0 to delete, 0 unchanged")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="create")).to_have_count(6)
        expect(page.get_by_text("onerror", exact=False)).to_be_visible()
        assert "1" != page.title()
        answer(page, "Reject")
    wait_for(desk, "calendar", run_id, "failed")
    assert stored(desk, "2027-04-01") == {}
    assert "admin has rejected plan" in desk.home.task_log("calendar", run_id, "sync")
    rejected = run_id

    run_id = ask(desk, TABLE, kill="after")
    with desk.page(form("calendar", run_id), height=900) as page:
        answer(page, "Approve")
    assert desk.api.wait_for_run("calendar", run_id, seconds=SECONDS) == "success"
    log = desk.home.task_log("calendar", run_id, "sync")
    assert log.count("Asking a person to approve plan") == 1  # killed after the answer, the next try did not ask
    assert log.count("was approved by admin.") == 2
    assert len(stored(desk, "2027-04-01")) == 6

    # Airflow goes on to show the form of the first plan, so that nobody is asked about another one by it.
    desk.api.clear("calendar", rejected)
    assert desk.api.wait_for_run("calendar", rejected, seconds=SECONDS) == "failed"
    log = desk.home.task_log("calendar", rejected, "sync")
    assert "Airflow keeps the form that a task instance has shown first" in log

    moved = [
        visit(1, "Measurement", 8, 14),
        visit(0, "Final Walkthrough", 5, title="Final Walkthrough with the owner", location="5 Main Street"),
    ]
    run_id = ask(desk, [TABLE[0], moved[1], moved[0], *TABLE[3:5], visit(3, "Measurement", 9)])
    with desk.page(form("calendar", run_id), height=1000) as page:
        expect(page.get_by_text("Approve: 1 to create, 2 to update, 1 to delete, 3 unchanged")).to_be_visible()
        expect(page.get_by_text("A meeting is named by its clientOpportunityId, meetingTypeName.")).to_be_visible()
        for action, count in (("create", 1), ("update", 4), ("delete", 1)):
            expect(page.get_by_role("row").filter(has_text=action)).to_have_count(count)
        links = page.get_by_role("link", name="Measurement")
        expect(links).to_have_count(2)
        assert all(link.get_attribute("href").startswith(desk.ready["url"]) for link in links.all())
        desk.shoot(page, "approval-form")
        answer(page, "Approve")
    assert desk.api.wait_for_run("calendar", run_id, seconds=SECONDS) == "success"
    assert len(stored(desk, "2027-04-01")) == 6


def test_a_plan_that_is_too_large_is_decided_on(desk):
    """The form says by how much; the scheduler is killed while it waits, and the task when the answer arrives.

    The answer holds, and is asked for once.
    """
    before = stored(desk, "2027-04-01")
    run_id = ask(desk, TABLE[:1], kill="before")
    desk.processes.kill("scheduler")
    desk.home.start("scheduler")
    with desk.page(form("calendar", run_id), height=900) as page:
        deletes = len(before) - 1
        expect(page.get_by_text(f"The plan has {deletes} deletes, and max_deletes allows 1.")).to_be_visible()
        answer(page, "Apply anyway")
    assert desk.api.wait_for_run("calendar", run_id, seconds=SECONDS) == "success"
    log = desk.home.task_log("calendar", run_id, "sync")
    assert log.count("Asking a person whether to apply plan") == 1
    assert "An earlier try has asked a person for this already" in log
    assert "admin chose to apply it anyway." in log
    left = stored(desk, "2027-04-01")
    assert 1 == len(left)
    control(desk, "POST", "/meetings", vendor="builderprime", op="delete", id=int(*left))


def test_a_create_in_doubt_is_decided_on(desk):
    """Killed while it waits, and after the answer, it takes the visit that a person has chosen, and makes no other."""
    # The answer of a create is lost, and somebody books an equal visit before it can be looked for.
    lost = {"vendor": "builderprime", "method": "POST"}
    control(desk, "POST", "/faults", action="answer", match=lost, when="after", status=502, body="<html>", times=1)
    control(desk, "POST", "/faults", action="status", match=lost | {"method": "GET"}, status=503, skip=1, times=None)
    run_id = desk.api.trigger("doubtful")
    deadline = time.monotonic() + SECONDS
    while not stored(desk, "2027-05-01"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    ((own, made),) = stored(desk, "2027-05-01").items()
    names = ("title", "location", "startDateTime", "endDateTime", "opportunityId", "employeeId", "meetingTypeId")
    equal = {name: made[name] for name in names if name in made} | {"meetingTypeId": 1012, "employeeId": 50}
    (twin,) = control(desk, "POST", "/meetings", vendor="builderprime", op="insert", meetings=[equal])["ids"]
    control(desk, "DELETE", "/faults")
    wait_for(desk, "doubtful", run_id)
    desk.processes.kill("scheduler")
    desk.home.start("scheduler")

    with desk.page(form("doubtful", run_id), height=620) as page:
        expect(page.get_by_text("which meeting did this task create?")).to_be_visible()
        for meeting_id in (own, str(twin)):
            link = page.get_by_role("link", name=meeting_id, exact=True)
            expect(link).to_have_attribute("href", f"{desk.ready['url']}/docs?meeting={meeting_id}")
        desk.shoot(page, "doubt-form")
        answer(page, f"Adopt {own}")
    assert desk.api.wait_for_run("doubtful", run_id, seconds=SECONDS) == "success"
    assert own == str(desk.api.returned("doubtful", run_id, "book")["id"])
    assert {own, str(twin)} == set(stored(desk, "2027-05-01"))
