"""The tab on a DAG run: one row a meeting and task, whatever the tasks were."""

from datetime import timedelta

from airflow_provider_meetings.observability.outcome import MeetingOutcome
from airflow_provider_meetings.ui import runs
from tests.support.ui import HOSTILE, MINUTE, meeting, record


def test_each_meeting_and_task_is_a_row(client, database):
    """Single tasks, mapped ones and sets; what else the run has done is not of interest."""
    database.dag("interviews")
    run = database.run("interviews", "manual__2026-02-02T10:00:00+00:00")
    start = round(database.now.timestamp() * 1000)
    for number in range(3):
        one = meeting(number, start + number * MINUTE)
        run.task(
            "book",
            map_index=number,
            outcome=record("created", one),
            ago=timedelta(minutes=30),
            rendered_map_index=f"item {number}",
        )
    rows = [
        MeetingOutcome("updated", meeting(7, start), before={"location": "here"}, after={"location": "there"}),
        MeetingOutcome("deleted", {"id": "8"}),
    ]
    counts = {"updated": 1, "deleted": 1, "unchanged": 40}
    run.task(
        "sync",
        operator="SyncMeetingsOperator",
        outcome=record("synced", *rows, counts=counts),
        ago=timedelta(minutes=20),
    )
    run.task("other", operator="PythonOperator")
    run.task(
        "own", operator="MyOwnCreateOperator", outcome=record("created", meeting(9, start)), ago=timedelta(minutes=10)
    )
    run.task("wait", state="deferred", operator="MeetingsSensor", ago=timedelta(minutes=5))
    database.run("interviews", "another").task("book", outcome=record("created", meeting(77, start)))

    told = client().get("api/dags/interviews/runs/manual__2026-02-02T10:00:00+00:00").json()

    assert {"dag_id": "interviews", "run_id": run.run_id, "state": "success"}.items() <= told["run"].items()
    assert told["complete"]
    assert ["book", "sync", "own", "wait"] == [task["task_id"] for task in told["tasks"]]
    book, sync, own, wait = told["tasks"]
    assert (True, 3, {"created": 3}, {"success": 3}) == (book["mapped"], book["count"], book["counts"], book["states"])
    assert [(0, "item 0", "0"), (1, "item 1", "1"), (2, "item 2", "2")] == [
        (one["map_index"], one["label"], row["id"]) for one in book["instances"] for row in one["rows"]
    ]
    assert (False, 42, counts) == (sync["mapped"], sync["count"], sync["counts"])
    assert [{"location": ["here", "there"]}, None] == [row.get("changes") for row in sync["instances"][0]["rows"]]
    assert ["9"] == [row["id"] for row in own["instances"][0]["rows"]]
    assert ({"deferred": 1}, None) == (wait["states"], wait["instances"][0]["outcome"])


def test_a_deleted_meeting_is_told_by_the_others_of_its_run(client, database):
    """A task that deletes knows the id alone; one of another connection is another meeting."""
    database.dag("interviews")
    run = database.run("interviews")
    run.task("book", outcome=record("created", meeting(1, 1000)), ago=timedelta(minutes=9))
    run.task("cancel", outcome=record("deleted", {"id": "1"}), ago=timedelta(minutes=8))
    run.task("other", outcome=record("deleted", {"id": "1"}, connection="another"), ago=timedelta(minutes=7))
    tasks = client().get("api/dags/interviews/runs/run").json()["tasks"]
    book, cancel, other = (task["instances"][0]["rows"][0] for task in tasks)
    assert {**book, "outcome": "deleted"} == {**cancel, "url": book["url"]}
    assert {"outcome", "id", "url"} == set(other)


def test_a_failure_says_why(client, database):
    """The error, and the meeting that it was about; of a task that was killed there is only its state."""
    database.dag("interviews")
    run = database.run("interviews", state="failed")
    error = {"type": "MeetingsAuthError", "message": "HiringCenter does not accept the key."}
    run.task("book", state="failed", failure=record("failed", meeting(1, 0), error=error))
    run.task("killed", state="failed")
    book, killed = client().get("api/dags/interviews/runs/run").json()["tasks"]
    assert ("failed", error) == (book["instances"][0]["outcome"], book["instances"][0]["error"])
    assert (None, None, "failed") == tuple(killed["instances"][0][name] for name in ("outcome", "error", "state"))


def test_a_run_that_is_not_there_is_said_so(client, database):
    """It may have been deleted; and a run without meetings is no error."""
    database.dag("interviews")
    answer = client().get("api/dags/interviews/runs/unknown", headers={"accept": "application/json"})
    assert (404, {"detail": "There is no such DAG run; it may have been deleted."}) == (
        answer.status_code,
        answer.json(),
    )
    database.run("interviews")
    assert [] == client().get("api/dags/interviews/runs/run").json()["tasks"]


def test_the_answer_is_bounded(client, database, monkeypatch):
    """Of a run that is larger than anybody looks through, the first part is shown, and that it is a part."""
    monkeypatch.setattr(runs, "MAX_INSTANCES", 3)
    monkeypatch.setattr(runs, "MAX_MEETINGS", 2)
    database.dag("interviews")
    run = database.run("interviews")
    for number in range(5):
        run.task("book", map_index=number, outcome=record("created", meeting(number, 0)))
    told = client().get("api/dags/interviews/runs/run").json()
    assert not told["complete"]
    assert [1, 1, 0] == [len(one["rows"]) for one in told["tasks"][0]["instances"]]


def test_markup_is_text(client, database):
    """The answer is JSON, and is never taken for a page; the pages themselves have nothing of a meeting in them."""
    database.dag("interviews")
    database.run("interviews").task("book", outcome=record("created", meeting(1, 0, title=HOSTILE)))
    answer = client().get("api/dags/interviews/runs/run")
    assert HOSTILE == answer.json()["tasks"][0]["instances"][0]["rows"][0]["title"]
    assert ("application/json", "nosniff") == (answer.headers["content-type"], answer.headers["x-content-type-options"])
    page = client().get(f"run?dag_id={HOSTILE}&run_id={HOSTILE}")
    assert "onerror" not in page.text


def test_every_answer_has_the_policy(client, database):  # noqa: ARG001 - there is a database
    """Pages, files, data and refusals: no script but ours, no other host, no frame but Airflow's."""
    for path, status in (
        ("", 200),
        ("run", 200),
        ("static/page.js", 200),
        ("static/none.js", 404),
        ("api/attention", 200),
        ("api/meetings", 422),
    ):
        answer = client().get(path)
        assert status == answer.status_code, path
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'self'", "base-uri 'none'"} <= set(
            policy.split("; ")
        )
        assert "unsafe" not in policy
        assert ("no-store", "no-referrer") == (answer.headers["cache-control"], answer.headers["referrer-policy"])


def test_no_file_but_ours_is_served(client, database):  # noqa: ARG001 - there is a database
    """Neither by a path, nor by a name that leads elsewhere."""
    for name in ("..%2fapp.py", "%2e%2e/app.py", "page.html", "run.html", "../app.py", "app.py", "..%5capp.py"):
        assert client().get(f"static/{name}").status_code in {401, 404}, name
