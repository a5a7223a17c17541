"""The record that a task leaves in XCom for the Meetings pages: its rows, its limits, and what it must not break."""

import json

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_meetings import version_compat
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.observability import outcome as outcomes
from airflow_provider_meetings.observability.outcome import MeetingOutcome, report_outcome
from airflow_provider_meetings.observability.outcome_record import (
    COLUMNS,
    FAILURE_KEY,
    MAX_BYTES,
    MAX_ROWS,
    OUTCOME_KEY,
    record_of,
)
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from airflow_provider_meetings.vendors.records import COLUMNS as COMMON_COLUMNS
from tests.support.operators import CONN, context_of, run
from tests.support.sandbox import HIRINGCENTER, HOUR, NOON
from tests.support.store import StateStore

WINDOW = {"window_start": NOON, "window_end": NOON + HOUR}
PAGE = "https://app.example.com/meetings/{id}"


@pytest.fixture(autouse=True)
def _shown(monkeypatch):
    """Let this Airflow be one that shows the pages, whichever it is."""
    monkeypatch.setattr(outcomes, "shows_pages", lambda: True)


def record(operator, context=None):
    """Run a task; returns the record that it leaves."""
    context = context or context_of(operator.task_id)
    run(operator, context)
    return json.loads(json.dumps(context["ti"].pushed[OUTCOME_KEY]))


def test_the_columns_are_those_of_the_common_record():
    """One name for one thing: a row of the pages and a row of a file call it the same."""
    assert set(COMMON_COLUMNS) >= set(COLUMNS)


def test_every_operator_leaves_its_outcome(kind, connect):
    """What became of which meeting, when, where, and its address, whoever the vendor is."""
    connect(kind, web_url_template=PAGE)
    create = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN)
    left = record(create)
    (row,) = left["rows"]
    meeting_id = row["id"]
    assert {
        "version": 1,
        "outcome": "created",
        "vendor": kind.name,
        "meetings_conn_id": "meetings",
        "count": 1,
        "counts": {"created": 1},
        "rows": [row],
    } == left
    assert ("created", NOON, f"https://app.example.com/meetings/{meeting_id}") == (
        row["outcome"],
        row["starts_at"],
        row["url"],
    )
    assert kind.meeting()["location"] == row["location"]
    about = {"meeting_id": meeting_id, **CONN}
    for operator, outcome in (
        (GetMeetingOperator(task_id="get", **about), "read"),
        (ListMeetingsOperator(task_id="list", **WINDOW, **CONN), "listed"),
        (MeetingsSensor(task_id="wait", deferrable=False, **WINDOW, **CONN), "found"),
        (UpdateMeetingOperator(task_id="update", changes={"location": "There"}, **about), "updated"),
        (DeleteMeetingOperator(task_id="delete", **about), "deleted"),
        (DeleteMeetingOperator(task_id="again", **about), "gone"),
    ):
        left = record(operator)
        assert (outcome, {outcome: 1}) == (left["outcome"], left["counts"])
        assert [(outcome, meeting_id)] == [(row["outcome"], row["id"]) for row in left["rows"]]


def test_changes_are_told_field_by_field(kind, connect):
    """Before and after where both are known; an update alone knows what it sent."""
    connect(kind)
    store = StateStore()
    made = run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN), context_of(store=store))
    moved = CreateMeetingOperator(task_id="create", meeting=kind.meeting(**{kind.date: NOON + 1000}), **CONN)
    (row,) = record(moved, context_of(store=store))["rows"]
    assert {kind.date: [NOON, NOON + 1000]} == row["changes"]
    update = UpdateMeetingOperator(
        task_id="update", meeting_id=made["id"], changes=json.dumps({"location": "There"}), **CONN
    )
    (row,) = record(update)["rows"]
    assert {"location": ["There"]} == row["changes"]


def test_a_set_tells_each_meetings_outcome(server, connect):
    """One task, several outcomes: counted as a whole, and each row says its own."""
    connect(HIRINGCENTER)
    operator = ListMeetingsOperator(task_id="sync", **WINDOW, **CONN)
    context = context_of("sync")
    report_outcome(
        operator,
        context,
        "synced",
        [
            MeetingOutcome("created", {"id": "1", "meetingDate": NOON}),
            MeetingOutcome("updated", {"id": "2"}, before={"location": None}, after={"location": "Zoom"}),
            MeetingOutcome("deleted", {"id": "3"}),
        ],
        hook=lambda: server.hook(HIRINGCENTER),
        counts={"created": 1, "updated": 1, "deleted": 1, "unchanged": 40, "adopted": 0},
    )
    left = context["ti"].pushed[OUTCOME_KEY]
    assert ("synced", 43) == (left["outcome"], left["count"])
    assert {"created": 1, "updated": 1, "deleted": 1, "unchanged": 40} == left["counts"]
    assert [("created", "1", None), ("updated", "2", {"location": [None, "Zoom"]}), ("deleted", "3", None)] == [
        (row["outcome"], row["id"], row.get("changes")) for row in left["rows"]
    ]


def _record(meetings, **facts):
    return record_of(
        "listed", [MeetingOutcome("listed", one) for one in meetings], columns=dict, url=lambda _: None, **facts
    )


def test_a_record_is_bounded():
    """It is a row of Airflow's database: so many rows, so many bytes, so many characters a value; all are counted."""
    many = _record({"id": str(number)} for number in range(MAX_ROWS + 20))
    assert (MAX_ROWS, MAX_ROWS + 20) == (len(many["rows"]), many["count"])
    long = _record({"id": str(number), "title": "x" * 10_000, "location": "y" * 10_000} for number in range(5000))
    assert len(json.dumps(long)) < MAX_BYTES + 2000
    assert all(len(row["title"]) == 200 and row["title"].endswith("…") for row in long["rows"])
    wide = MeetingOutcome("updated", {"id": "1"}, after={f"field{number}": number for number in range(500)})
    (row,) = record_of("updated", [wide], columns=dict, url=lambda _: None)["rows"]
    assert len(row["changes"]) == 25


def test_a_record_is_json_that_every_database_stores():
    """PostgreSQL refuses a NUL and half a surrogate pair; what is no scalar becomes text."""
    (row,) = _record([{"id": "1", "title": "a\0b", "location": "\ud83d", "type": {"name": ["é"]}}])["rows"]
    assert ("a\ufffdb", "?", '{"name": ["é"]}') == (row["title"], row["location"], row["type"])
    json.dumps(row, ensure_ascii=False).encode()


def test_a_failure_is_left_too(server, kind, connect):
    """Which meeting, and why, in the words of the error; a key that the next try's record does not mix with."""
    connect(kind, timeout=2, max_attempts=1, max_wait=0)
    server.fault("status", match={"method": "POST"}, status=401, html=False)
    context = context_of("create")
    with pytest.raises(MeetingsError) as raised:
        run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN), context)
    left = context["ti"].pushed[FAILURE_KEY]
    assert OUTCOME_KEY not in context["ti"].pushed
    assert ("failed", str(raised.value), kind.name) == (left["outcome"], left["error"]["message"], left["vendor"])
    assert (type(raised.value).__name__, 401) == (left["error"]["type"], left["error"]["status"])
    assert [kind.meeting()["location"]] == [row["location"] for row in left["rows"]]


def test_doubt_is_not_failure(server, kind, connect):
    """Where the vendor may have acted, that is said; a list that was not answered has done nothing."""
    connect(kind, timeout=2, max_attempts=1, max_wait=0)
    server.fault("reset", when="after", times=None)
    for operator, outcome in (
        (UpdateMeetingOperator(task_id="update", meeting_id="1", changes={"location": "There"}, **CONN), "in_doubt"),
        (ListMeetingsOperator(task_id="list", **WINDOW, **CONN), "failed"),
    ):
        context = context_of(operator.task_id)
        with pytest.raises((MeetingsError, TaskDeferred)):
            run(operator, context)
        assert outcome == context["ti"].pushed[FAILURE_KEY]["outcome"]


def test_a_record_never_fails_its_task(server, kind, connect):
    """The meeting is booked by then, whether Airflow takes the record or not."""
    connect(kind)
    context = context_of("create")

    def refuse(key, **_):
        if key == OUTCOME_KEY:
            raise RuntimeError("no room")

    context["ti"].xcom_push = refuse
    made = run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN), context)
    assert [str(made["id"])] == [str(row["id"]) for row in server.meetings(kind)]


def test_no_record_where_no_page_shows_it(kind, connect, monkeypatch):
    """Switched off, or on an older Airflow, nothing is written."""
    connect(kind)
    monkeypatch.setattr(outcomes, "shows_pages", lambda: False)
    context = context_of("create")
    run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN), context)
    assert ["outcome"] == list(context["ti"].pushed)


def test_who_wants_no_xcom_gets_no_record(kind, connect):
    """An author who keeps a task's meeting out of Airflow's database keeps all of it out."""
    connect(kind)
    context = context_of("create")
    run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), do_xcom_push=False, **CONN), context)
    assert OUTCOME_KEY not in context["ti"].pushed


@pytest.mark.parametrize(("version", "shown"), [("2.11.2", False), ("3.0.6", False), ("3.1.0", True), ("3.10.1", True)])
def test_the_pages_are_for_newer_airflows(monkeypatch, version, shown):
    """From 3.1 on, unless the setting says otherwise."""
    monkeypatch.setattr("airflow.__version__", version)
    assert version_compat.shows_pages() == shown
    monkeypatch.setenv("AIRFLOW__MEETINGS__UI", "False")
    assert not version_compat.shows_pages()
