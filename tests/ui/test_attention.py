"""What somebody should look at: failures and doubts with what to do, questions, who waits, and what is watched."""

from datetime import timedelta

import pytest

from airflow_provider_meetings import exceptions
from airflow_provider_meetings.ui import attention
from airflow_provider_meetings.ui.advice import advice_for
from tests.support.ui import DAY, HOUR, KEEPS_STATES, meeting, record

SENSOR_TRIGGER = "airflow_provider_meetings.triggers.meetings.MeetingsTrigger"
EVENT_TRIGGER = "airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger"


@pytest.fixture
def run(database):
    """A run to put tasks into."""
    database.dag("interviews")
    return database.run("interviews", state="failed")


@pytest.fixture
def ask(client):
    """Asks for what needs attention."""

    def get(part):
        answer = client().get("api/attention")
        assert answer.status_code == 200, answer.text
        return answer.json()[part]

    return get


def test_failures_are_listed_with_what_to_do(run, ask):
    """The latest first: what was refused, what is in doubt, what was killed, and what Airflow tries again."""
    error = {"type": "MeetingsAuthError", "message": "The key is not accepted."}
    run.task(
        "refused", state="failed", failure=record("failed", meeting(1, HOUR), error=error), ago=timedelta(minutes=4)
    )
    doubt = {"type": "MeetingsTransportError", "message": "No answer."}
    run.task("doubt", state="failed", failure=record("in_doubt", error=doubt), ago=timedelta(minutes=3))
    run.task("again", state="up_for_retry", failure=record("in_doubt", error=doubt), ago=timedelta(minutes=2))
    run.task("killed", state="failed", ago=timedelta(minutes=1))
    told = ask("troubles")
    assert 4 == told["total"]
    killed, again, in_doubt, refused = told["items"]
    assert ("refused", "failed", "The key is not accepted.", "1") == (
        refused["task_id"],
        refused["outcome"],
        refused["error"],
        refused["meeting"]["id"],
    )
    assert "Put a valid API key into the connection" in refused["advice"]
    assert ("in_doubt", True) == (in_doubt["outcome"], "Clear the task" in in_doubt["advice"])
    assert ("in_doubt", True) == (again["outcome"], again["advice"].startswith("Airflow tries again by itself."))
    assert ("failed", None) == (killed["outcome"], killed["error"])


def test_a_create_that_was_not_answered_is_in_doubt(run, ask):
    """A worker that was killed leaves no record, but its journal says that a create was sent."""
    run.task("sent", state="failed", ago=timedelta(minutes=2))
    run.journal("sent", {"version": 2, "records": {"key": {"id": None, "pending_create": {"body": {}}}}})
    run.task("answered", state="failed", ago=timedelta(minutes=1))
    run.journal("answered", {"version": 2, "records": {"key": {"id": "7", "pending_create": None}}})
    doubt = "in_doubt" if KEEPS_STATES else "failed"
    assert ["failed", doubt] == [one["outcome"] for one in ask("troubles")["items"]]


def test_what_is_not_a_trouble_is_not_listed(run, ask):
    """A success, another provider's failure, and one of last month."""
    run.task("well")
    run.task("other", state="failed", operator="PythonOperator")
    run.task("old", state="failed", ago=attention.RECENT + timedelta(hours=1))
    assert {"items": [], "total": 0} == ask("troubles")


def test_every_error_has_its_advice():
    """In words of its own, not those for what nobody knows."""
    unknown = advice_for(None, in_doubt=False, retries=False)
    names = set(exceptions.__all__) - {"MeetingsError", "MeetingsInDoubtError"}
    assert [] == [name for name in sorted(names) if advice_for(name, in_doubt=False, retries=False) == unknown]


def test_questions_are_listed(run, ask):
    """With their subject, and what may be answered; not those that were answered, nor other providers'."""
    run.ask("sync", "Apply the plan?", "Approve", "Reject")
    (asked,) = ask("questions")["items"]
    assert ("sync", "Apply the plan?", ["Approve", "Reject"]) == (asked["task_id"], asked["subject"], asked["options"])


def test_who_waits_in_the_triggerer(database, run, ask):
    """For what, since when and until when, as the trigger's arguments say."""
    now = round(database.now.timestamp() * 1000)
    trigger = database.trigger(
        SENSOR_TRIGGER,
        meetings_conn_id="hiringcenter_default",
        window_start=now,
        window_end=now + DAY,
        filters={"prospectId": "9d2f"},
        match={"meetingType": ["virtual", "phone"]},
        min_count=2,
        deadline=now / 1000 + 60,
    )
    run.task("wait", state="deferred", operator="MeetingsSensor", trigger_id=trigger)
    other = database.trigger("airflow.providers.standard.triggers.temporal.DateTimeTrigger", moment="x")
    run.task("sleep", state="deferred", operator="TimeSensor", trigger_id=other)
    told = ask("waiting")
    assert 1 == told["total"]
    (one,) = told["items"]
    assert {
        "task_id": "wait",
        "connection": "hiringcenter_default",
        "window": [now, now + DAY],
        "wanted": ["prospectId: 9d2f", "meetingType: ['virtual', 'phone']"],
        "min_count": 2,
        "since": now - 30 * 60_000,
        "until": now + 60_000,
        "where": "triggerer",
    }.items() <= one.items()


def test_who_waits_on_a_worker(database, run, ask):
    """A sensor that reschedules itself has no trigger: its rendered arguments tell."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: PLC0415

    run.task("wait", state="up_for_reschedule", operator="MeetingsSensor")
    names = {"dag_id": "interviews", "run_id": "run", "task_id": "wait", "map_index": -1}
    fields = {"window_start": "2026-02-02T10:00:00Z", "window_end": None, "filters": None, "match": {"id": "7"}}
    database.write(RenderedTaskInstanceFields, {**names, "rendered_fields": fields})
    (one,) = ask("waiting")["items"]
    assert {
        "window": ["2026-02-02T10:00:00Z", None],
        "wanted": ["id: 7"],
        "until": None,
        "where": "worker",
    }.items() <= one.items()


def test_arguments_that_cannot_be_read_are_left_out(database, run, ask):
    """Airflow's Fernet key is another one since: the sensor is listed all the same."""
    from airflow.models.trigger import Trigger  # noqa: PLC0415

    row = {"classpath": SENSOR_TRIGGER, "kwargs": "gAAAAABmZm9v", "created_date": database.now}
    run.task("wait", state="deferred", operator="MeetingsSensor", trigger_id=database.write(Trigger, row))
    (one,) = ask("waiting")["items"]
    assert ("wait", None, [None, None]) == (one["task_id"], one["connection"], one["window"])


def test_what_is_watched(database, run, ask):  # noqa: ARG001 - there is a DAG
    """The assets, what starts with them, when a watcher stored last what it knows, and the last event of each."""
    trigger = database.trigger(EVENT_TRIGGER, meetings_conn_id="crm", past=0, ahead=1209600.0, poke_interval=60.0)
    watched = database.asset("meetings://crm/interviews", dags=["interviews"], trigger_id=trigger)
    database.looked(watched)
    for minutes, number in ((9, 1), (5, 2)):
        payload = {"event_id": str(number), "kind": "changed", "reason": "edit", "id": str(number)}
        database.event(watched, {"from_trigger": True, "payload": payload}, ago=timedelta(minutes=minutes))
    written = database.asset("meetings://crm/", name="booked")
    database.event(written, {"outcome": "created", "meeting_ids": ["7"]}, source_dag_id="interviews")
    database.asset("s3://bucket/meetings://crm/")
    told = ask("watched")
    assert ["meetings://crm/", "meetings://crm/interviews"] == [one["uri"] for one in told["items"]]
    booked, seen = told["items"]
    assert ("booked", "crm", False, None, "created", "7") == (
        booked["name"],
        booked["connection"],
        booked["watched"],
        booked["looked_at"],
        booked["event"]["kind"],
        booked["event"]["meeting_id"],
    )
    now = round(database.now.timestamp() * 1000)
    looked = now - 120_000 if KEEPS_STATES else None
    assert (True, ["interviews"], looked) == (seen["watched"], seen["dags"], seen["looked_at"])
    assert ("changed", "edit", "2", now - 300_000) == tuple(
        seen["event"][name] for name in ("kind", "reason", "meeting_id", "at")
    )
    assert {"past": 0, "ahead": 1209600.0, "poke_interval": 60.0} == seen["window"]


def test_the_lists_are_bounded(database, run, ask, monkeypatch):
    """The first of many, and how many there are."""
    monkeypatch.setattr(attention, "MAX_LISTED", 2)
    for number in range(5):
        run.task(f"failed{number}", state="failed")
        trigger = database.trigger(SENSOR_TRIGGER, meetings_conn_id="crm")
        run.task(f"wait{number}", state="deferred", operator="MeetingsSensor", trigger_id=trigger)
    for part in ("troubles", "waiting"):
        told = ask(part)
        assert (2, 5) == (len(told["items"]), told["total"])
