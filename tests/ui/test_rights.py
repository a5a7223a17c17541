"""Who sees what: every route asks Airflow who the user is, and shows nothing of a DAG that the user may not read."""

from datetime import timedelta

import pytest

from airflow_provider_meetings.ui.app import create_app
from tests.support import dag_rights
from tests.support.ui import DAY, meeting, record

DATA = ["api/meetings?start=0&end=1", "api/attention", "api/dags/interviews/runs/run"]
FILES = ["", "run?dag_id=interviews&run_id=run", "static/page.js", "static/meetings.css", "static/calendar.svg"]


@pytest.fixture
def world(database):
    """Two DAGs, each with a meeting, a failure, a question, a sensor and an asset of its own."""
    start = round(database.now.timestamp() * 1000)
    for number, dag_id in enumerate(("interviews", "visits")):
        database.dag(dag_id)
        run = database.run(dag_id)
        run.task("book", outcome=record("created", meeting(number, start, title=f"secret of {dag_id}")))
        run.task(
            "failed", state="failed", failure=record("failed", error={"type": "X", "message": f"secret of {dag_id}"})
        )
        run.ask("sync", f"secret of {dag_id}?", "yes", "no")
        trigger = database.trigger(
            "airflow_provider_meetings.triggers.meetings.MeetingsTrigger",
            meetings_conn_id=f"secret of {dag_id}",
            window_start=start,
        )
        run.task("wait", state="deferred", operator="MeetingsSensor", trigger_id=trigger)
        asset = database.asset(f"meetings://{dag_id}/", dags=[dag_id])
        database.event(asset, {"outcome": f"secret of {dag_id}"}, source_dag_id=dag_id, ago=timedelta(minutes=1))
    return f"api/meetings?start={start - DAY}&end={start + DAY}"


def routes(app):
    """The paths of an application, of what was included in it as well."""
    return {route.path for route in app.routes}


@pytest.mark.parametrize("path", DATA + FILES)
def test_nobody_gets_nothing(client, path):
    """Without a login every route answers 401, and says what to do."""
    answer = client(None).get(path)
    assert 401 == answer.status_code
    assert "Reload Airflow's page and log in" in answer.text


@pytest.mark.parametrize("path", DATA + FILES)
def test_a_token_that_airflow_did_not_sign_is_none(client, path):
    """A made-up cookie is refused as well."""
    browser = client(None)
    browser.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9.")
    assert 403 == browser.get(path).status_code


def test_an_expired_token_is_none(client, application, database):  # noqa: ARG001
    """A token is good for as long as Airflow says."""
    from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: PLC0415

    user = SimpleAuthManagerUser(username="admin", role="admin")
    browser = client(None)
    browser.cookies.set("_token", get_auth_manager().generate_jwt(user, expiration_time_in_seconds=-60))
    assert 401 == browser.get("api/attention").status_code


def test_every_route_is_tried():
    """A route that is added is tried above, or this fails."""
    app = create_app.__globals__["_pages"], create_app.__globals__["_api"]
    assert {
        "/",
        "/run",
        "/static/{name}",
        "/api/dags/{dag_id}/runs/{run_id:path}",
        "/api/meetings",
        "/api/attention",
    } == routes(app[0]) | routes(app[1])


@pytest.mark.parametrize("path", DATA)
def test_without_the_right_to_xcoms_there_is_no_data(client, world, path):  # noqa: ARG001
    """A record is the content of an XCom; Airflow's own pages ask for the same right."""
    assert 403 == client("bystander").get(path).status_code


def test_a_user_sees_the_own_dags(client, world):
    """All of it, for who may read everything; of the other DAG nothing, in no place, for who may not."""
    for path in (world, "api/attention"):
        everything = client("admin").get(path).text
        assert "secret of interviews" in everything
        assert "secret of visits" in everything
        own = client("recruiter").get(path).text
        assert "secret of interviews" in own
        assert "visits" not in own
        nothing = client("nobody").get(path)
        assert (200, False) == (nothing.status_code, "secret" in nothing.text)


def test_a_run_of_another_dag_is_forbidden(client, world):  # noqa: ARG001
    """Whatever the path and the query say."""
    browser = client("recruiter")
    assert 200 == browser.get("api/dags/interviews/runs/run").status_code
    for path in (
        "api/dags/visits/runs/run",
        "api/dags/visits/runs/run?dag_id=interviews",
        "api/dags/~/runs/run",
        "api/dags/visits/runs/unknown",
    ):
        answer = browser.get(path)
        assert 403 == answer.status_code, path
        assert "secret" not in answer.text


def test_assets_are_for_who_may_read_them(client, world):  # noqa: ARG001
    """Their section says so, and has nothing in it."""
    assert client("recruiter").get("api/attention").json()["watched"] is None
    assert client("admin").get("api/attention").json()["watched"]["total"] == 2


def test_events_of_other_dags_are_left_out(client, database, monkeypatch):
    """An asset may be read by who may not read the DAG whose task has written it."""
    monkeypatch.setattr(dag_rights, "WITHOUT_ASSETS", set())
    for dag_id in ("interviews", "visits"):
        database.dag(dag_id)
    asset = database.asset("meetings://shared/", dags=["interviews", "visits"])
    database.event(asset, {"outcome": "created", "meeting_ids": ["7"]}, source_dag_id="visits")
    (own,) = client("recruiter").get("api/attention").json()["watched"]["items"]
    assert (None, ["interviews"]) == (own["event"], own["dags"])
    (all_of_it,) = client("admin").get("api/attention").json()["watched"]["items"]
    assert ("7", ["interviews", "visits"]) == (all_of_it["event"]["meeting_id"], all_of_it["dags"])
