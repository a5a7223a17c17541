"""The operators, executed with a minimal context against the sandbox."""

import contextlib
import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, TaskDeferred

from airflow_provider_meetings.exceptions import (
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsServerError,
)
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from tests.support.operators import CONN, INTERVAL, START, context_of, run
from tests.support.sandbox import BUILDERPRIME, DAY, HIRINGCENTER, HOUR, KINDS, NOON
from tests.support.store import StateStore

# -- what they return


def test_a_meeting_from_its_booking_to_its_end(server, kind, connect):
    """Each operator returns what the interface says."""
    connect(kind)
    made = run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN))
    assert [str(made["id"])] == [str(row["id"]) for row in server.meetings(kind)]
    assert run(GetMeetingOperator(task_id="get", meeting_id=made["id"], **CONN)) == made
    changed = run(UpdateMeetingOperator(task_id="move", meeting_id=made["id"], changes={"location": "There"}, **CONN))
    assert changed["location"] == "There"
    window = {"window_start": NOON, "window_end": NOON + HOUR}
    assert run(ListMeetingsOperator(task_id="list", **window, **CONN)) == [changed]
    delete = {"meeting_id": made["id"], **CONN}
    assert run(DeleteMeetingOperator(task_id="one", **delete)) == {"id": made["id"], "deleted": True}
    assert run(DeleteMeetingOperator(task_id="two", **delete)) == {"id": made["id"], "deleted": False}
    with pytest.raises(MeetingNotFoundError):
        run(DeleteMeetingOperator(task_id="three", missing_ok=False, **delete))


def test_what_they_return_is_plain_json(server, kind, connect):
    """XCom takes it as it is."""
    connect(kind)
    server.insert(kind, kind.row(NOON))
    found = run(ListMeetingsOperator(task_id="list", window_start=NOON, window_end=NOON + 1, **CONN))
    assert json.loads(json.dumps(found)) == found


# -- exactly once, from outside


@pytest.mark.parametrize("fault", [None, {"action": "reset", "when": "after"}, {"action": "reset"}])
def test_tries_of_one_task_make_one_meeting(server, kind, connect, fault):
    """A try whose answer is lost for good, the try after it, and a clear after that: one meeting."""
    connect(kind, timeout=2, max_attempts=1, max_wait=0)
    store = StateStore()
    operator = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN)
    if fault:
        server.fault(match={"vendor": kind.name, "method": "POST"}, **fault)
        # what this try comes to is not the point: it may find its meeting, fail, or defer until the request is lost
        with contextlib.suppress(MeetingsError, TaskDeferred):
            run(operator, context_of("create", store=store))
    connect(kind, timeout=2, max_wait=30)
    first = run(operator, context_of("create", store=store, try_number=2))
    second = run(operator, context_of("create", store=store, try_number=3))
    assert first["id"] == second["id"]
    assert [str(first["id"])] == [str(row["id"]) for row in server.meetings(kind)]


@pytest.mark.parametrize("missing_ok", [True, False])
def test_a_delete_that_found_nothing_is_no_deletion_of_the_next_try_either(kind, connect, server, missing_ok):  # noqa: ARG001
    """A 404 to the first try is definite: after a clear `missing_ok` decides anew, and `deleted` stays false."""
    connect(kind)
    store = StateStore()
    delete = DeleteMeetingOperator(task_id="delete", meeting_id="4711", missing_ok=missing_ok, **CONN)
    for try_number in (1, 2):
        context = context_of("delete", store=store, try_number=try_number)
        if missing_ok:
            assert run(delete, context) == {"id": "4711", "deleted": False}
        else:
            with pytest.raises(MeetingNotFoundError):
                run(delete, context)


def test_a_delete_that_was_not_answered_counts_as_done_by_the_next_try(server, kind, connect):
    """The answer of the first try is lost for good: the 404 to the next one is this task's own doing."""
    connect(kind, timeout=2, max_attempts=1, max_wait=0)
    (meeting_id,) = server.insert(kind, kind.row(NOON))
    store = StateStore()
    delete = DeleteMeetingOperator(task_id="delete", meeting_id=meeting_id, missing_ok=False, **CONN)
    server.fault(match={"vendor": kind.name, "method": "DELETE"}, action="reset", when="after")
    with pytest.raises(MeetingsError):
        run(delete, context_of("delete", store=store))
    for try_number in (2, 3):
        context = context_of("delete", store=store, try_number=try_number)
        assert run(delete, context) == {"id": meeting_id, "deleted": True}


def test_two_tasks_make_two_meetings(server, kind, connect):
    """Equal meetings of different tasks are different meetings."""
    connect(kind)
    for task_id in ("one", "two"):
        run(CreateMeetingOperator(task_id=task_id, meeting=kind.meeting(), **CONN))
    assert len(server.meetings(kind)) == 2


def test_mapped_items_are_meetings_of_their_own(server, kind, connect):
    """Three items of a mapped task are three meetings."""
    connect(kind)
    for index in range(3):
        meeting = kind.meeting(location=f"Room {index}")
        operator = CreateMeetingOperator(task_id="create", meeting=meeting, **CONN)
        run(operator, context_of("create", map_index=index))
    assert {row["location"] for row in server.meetings(kind)} == {"Room 0", "Room 1", "Room 2"}


def test_a_business_key_goes_out_as_it_is_or_hashed(server, connect):
    """HiringCenter: the author's key is the header; what no header carries is hashed."""
    connect(HIRINGCENTER)
    for key in ("candidate-7", "é" * 600):
        run(CreateMeetingOperator(task_id="create", meeting=HIRINGCENTER.meeting(), idempotency_key=key, **CONN))
    plain, hashed = [row["idempotencyKey"] for row in server.journal(method="POST")]
    assert plain == "candidate-7"
    assert hashed.isascii()
    assert len(hashed) <= 512


@pytest.mark.parametrize("key", [7, 7.0, Decimal(7), " 7 "])
def test_a_business_key_may_be_an_id_of_any_kind(server, connect, key):
    """What a table has in its column of ids is the key, in one spelling."""
    connect(HIRINGCENTER)
    run(CreateMeetingOperator(task_id="create", meeting=HIRINGCENTER.meeting(), idempotency_key=key, **CONN))
    assert ["7"] == [row["idempotencyKey"] for row in server.journal(method="POST")]


def test_a_uuid_is_a_business_key(server, connect):
    """In its usual spelling."""
    connect(HIRINGCENTER)
    key = uuid.UUID(int=7)
    run(CreateMeetingOperator(task_id="create", meeting=HIRINGCENTER.meeting(), idempotency_key=key, **CONN))
    assert [str(key)] == [row["idempotencyKey"] for row in server.journal(method="POST")]


EMPTY_KEYS = [
    "",
    "  ",
    "None",
    "{{ params.nothing }}",
    "nan",
    "NaT",
    "<NA>",
    " null ",
    float("nan"),
    "a\ud83d",
    True,
    b"k",
]


@pytest.mark.parametrize("key", EMPTY_KEYS, ids=repr)
def test_a_key_that_came_out_empty_is_refused(server, kind, connect, key):
    """One empty key must not make one meeting of all."""
    connect(kind)
    operator = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), idempotency_key=key, **CONN)
    with pytest.raises(MeetingsConfigurationError, match="idempotency_key"):
        run(operator, params={"nothing": ""})
    assert server.meetings(kind) == []


# -- templates


def test_templates_reach_into_a_meeting(kind, connect):
    """Nested values, the id, the connection: all are rendered, and digits stand for numbers."""
    connect(kind)
    meeting = kind.meeting(location="Room {{ params.room }}", **{kind.date: "{{ data_interval_start.isoformat() }}"})
    if kind is BUILDERPRIME:
        meeting |= {"meetingTypeId": "{{ params.type }}", "employee": {"id": "{{ params.employee }}"}}
    values = {"params": {"room": 7, "type": 1013, "employee": 51}, **INTERVAL}
    create = CreateMeetingOperator(task_id="create", meeting=meeting, meetings_conn_id="{{ 'meetings' }}")
    made = run(create, **values)
    assert (made["location"], made[kind.date]) == ("Room 7", NOON)
    values["params"] = {"id": made["id"]}
    changes = {"location": "{{ params.id }}!"}
    changed = run(UpdateMeetingOperator(task_id="u", meeting_id="{{ params.id }}", changes=changes, **CONN), **values)
    assert changed["location"] == f"{made['id']}!"
    assert run(GetMeetingOperator(task_id="g", meeting_id="{{ params.id }}", **CONN), **values) == changed


def test_a_meeting_may_be_json_text(server, kind, connect):
    """A template that renders to a JSON object is a meeting, and so are changes."""
    connect(kind)
    made = run(
        CreateMeetingOperator(task_id="create", meeting="{{ params.meeting | tojson }}", **CONN),
        params={"meeting": kind.meeting()},
    )
    update = UpdateMeetingOperator(task_id="u", meeting_id=str(made["id"]), changes='{"location": "There"}', **CONN)
    assert run(update)["location"] == "There"
    assert len(server.meetings(kind)) == 1


@pytest.mark.parametrize(("text", "fails"), [("False", True), ("false", True), ("True", False), (" true ", False)])
def test_a_flag_may_be_text(kind, connect, text, fails):
    """`missing_ok` out of a template: "False" is false."""
    connect(kind)
    delete = DeleteMeetingOperator(task_id="d", meeting_id="4711", missing_ok="{{ params.flag }}", **CONN)
    if not fails:
        assert run(delete, params={"flag": text}) == {"id": "4711", "deleted": False}
        return
    with pytest.raises(MeetingNotFoundError):
        run(delete, params={"flag": text})


@pytest.mark.parametrize("value", ["", "maybe", "None", 1, None])
def test_a_flag_that_is_none_is_refused(server, kind, connect, value):
    """Neither true nor false: it is named, and nothing is deleted."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="missing_ok"):
        run(DeleteMeetingOperator(task_id="d", meeting_id="4711", missing_ok=value, **CONN))
    assert server.journal() == []


@pytest.mark.parametrize("meeting_id", ["", "None", "{{ params.nothing }}", None])
def test_an_id_that_came_out_empty_sends_nothing(server, kind, connect, meeting_id):
    """On Builder Prime an update without an id would book a meeting."""
    connect(kind)
    for operator in (
        GetMeetingOperator(task_id="g", meeting_id=meeting_id, **CONN),
        UpdateMeetingOperator(task_id="u", meeting_id=meeting_id, changes={"location": "x"}, **CONN),
        DeleteMeetingOperator(task_id="d", meeting_id=meeting_id, **CONN),
    ):
        with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
            run(operator, params={"nothing": ""})
    assert server.journal() == []


def test_template_fields():
    """All arguments are templated, the connection's too."""
    fields = {
        operator: set(operator.template_fields)
        for operator in (
            CreateMeetingOperator,
            UpdateMeetingOperator,
            DeleteMeetingOperator,
            GetMeetingOperator,
            ListMeetingsOperator,
        )
    }
    assert fields == {
        CreateMeetingOperator: {
            "meeting",
            "idempotency_key",
            "on_doubt",
            "response_timeout",
            "default_choice",
            "meetings_conn_id",
        },
        UpdateMeetingOperator: {"meeting_id", "changes", "idempotency_key", "meetings_conn_id"},
        DeleteMeetingOperator: {"meeting_id", "missing_ok", "idempotency_key", "meetings_conn_id"},
        GetMeetingOperator: {"meeting_id", "meetings_conn_id"},
        ListMeetingsOperator: {
            "window_start",
            "window_end",
            "filters",
            "destination",
            "record_schema",
            "window_length",
            "meetings_conn_id",
        },
    }


def test_mapping_constructs():
    """`.partial().expand()` takes each operator in a DAG."""
    with DAG("mapped", schedule=None):
        CreateMeetingOperator.partial(task_id="create", **CONN).expand(meeting=[kind.meeting() for kind in KINDS])
        CreateMeetingOperator.partial(task_id="keyed", **CONN).expand_kwargs(
            [{"meeting": HIRINGCENTER.meeting(), "idempotency_key": str(number)} for number in range(2)]
        )
        UpdateMeetingOperator.partial(task_id="update", changes={"location": "x"}, **CONN).expand(meeting_id=[1, 2])
        DeleteMeetingOperator.partial(task_id="delete", **CONN).expand(meeting_id=["1"])
        GetMeetingOperator.partial(task_id="get").expand_kwargs([{"meeting_id": 1, **CONN}])
        mapped = ListMeetingsOperator.partial(task_id="list", **CONN).expand(filters=[{"ownerId": "x"}])
    assert set(mapped.dag.task_ids) == {"create", "keyed", "update", "delete", "get", "list"}


# -- lists


def test_the_window_is_the_runs_interval(server, kind, connect):
    """Each bound that is left out is the data interval's."""
    connect(kind)
    server.insert(kind, *(kind.row(NOON + offset) for offset in (-DAY, -1, 0, HOUR - 1, HOUR, DAY)))
    windows = {
        (0, HOUR - 1): {},
        (-DAY, -1, 0, HOUR - 1): {"window_start": NOON - DAY},
        (0, HOUR - 1, HOUR): {"window_end": "{{ data_interval_end.add(hours=1) if 0 else params.end }}"},
    }
    for offsets, window in windows.items():
        listing = ListMeetingsOperator(task_id="list", **window, **CONN)
        found = run(listing, params={"end": str(NOON + DAY)}, **INTERVAL)
        assert sorted(meeting[kind.date] - NOON for meeting in found) == list(offsets)


@pytest.mark.parametrize(
    "case",
    [
        ({}, {}, "window_start and window_end must be given"),
        ({"window_end": NOON}, {}, "window_start must be given"),
        ({"window_start": NOON}, {"data_interval_start": None, "data_interval_end": None}, "window_end must be given"),
        ({}, {"data_interval_start": START, "data_interval_end": START}, "interval is empty"),
    ],
)
def test_a_run_without_an_interval_is_told_what_to_pass(server, kind, connect, case):
    """A manual or asset-triggered run has none: the error says what to write, and nothing is sent."""
    window, interval, named = case
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=named) as caught:
        run(ListMeetingsOperator(task_id="list", **window, **CONN), **interval)
    assert "params" in str(caught.value)
    assert server.journal() == []


def test_filters(server, connect):
    """A dict with templates in it, or JSON text."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON, ownerId=f"o{number}") for number in range(3)))
    for filters in ({"ownerId": "{{ params.owner }}"}, '{"ownerId": "{{ params.owner }}"}'):
        listing = ListMeetingsOperator(task_id="list", filters=filters, **CONN)
        assert [meeting["ownerId"] for meeting in run(listing, params={"owner": "o1"}, **INTERVAL)] == ["o1"]


def test_a_destination_gets_json_lines(server, kind, connect, tmp_path):
    """One meeting a line, folders made, names kept as they are written."""
    connect(kind)
    server.insert(kind, *(kind.row(NOON + number, location="Café\u2028\n") for number in range(3)))
    path = f"file://{tmp_path}/{{{{ params.folder }}}}/meetings.jsonl"
    listing = ListMeetingsOperator(task_id="list", destination=path, **CONN)
    result = run(listing, params={"folder": "2026/02"}, **INTERVAL)
    file = tmp_path / "2026" / "02" / "meetings.jsonl"
    assert result == {"path": f"file://{file}", "count": 3}
    lines = file.read_text("utf-8").rstrip("\n").split("\n")
    expected = run(ListMeetingsOperator(task_id="list", **CONN), **INTERVAL)
    assert [json.loads(line) for line in lines] == expected
    assert "Café" in lines[0]


def test_an_empty_list_is_an_empty_file(kind, connect, tmp_path):
    """Nothing found is a file with nothing in it."""
    connect(kind)
    listing = ListMeetingsOperator(task_id="list", destination=f"file://{tmp_path}/none.jsonl", **CONN)
    assert run(listing, **INTERVAL)["count"] == 0
    assert (tmp_path / "none.jsonl").read_bytes() == b""


def test_a_list_that_breaks_off_writes_nothing(server, kind, connect, tmp_path):
    """The first pages come, a later one does not: no file, and one that was there is untouched."""
    connect(kind, max_attempts=1, max_parallel_requests=1) if kind is BUILDERPRIME else connect(kind, max_attempts=1)
    server.insert(kind, *(kind.row(NOON + number * 1000) for number in range(450)))
    server.fault("status", match={"vendor": kind.name}, skip=2, times=None)
    old = tmp_path / "old.jsonl"
    old.write_text("yesterday\n")
    for name in ("new.jsonl", "old.jsonl"):
        listing = ListMeetingsOperator(task_id="list", destination=f"file://{tmp_path}/{name}", **CONN)
        with pytest.raises(MeetingsServerError):
            run(listing, **INTERVAL)
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
    assert old.read_text() == "yesterday\n"


def test_a_destination_may_be_a_path_of_airflows(server, kind, connect, tmp_path):
    """An ObjectStoragePath is as good as its URL, and what is returned is plain text for XCom."""
    connect(kind)
    server.insert(kind, kind.row(NOON))
    path = ObjectStoragePath(f"file://{tmp_path}/meetings.jsonl")
    result = run(ListMeetingsOperator(task_id="list", destination=path, **CONN), **INTERVAL)
    assert result == {"path": f"file://{tmp_path}/meetings.jsonl", "count": 1}
    assert len((tmp_path / "meetings.jsonl").read_text().splitlines()) == 1


def test_a_destination_of_an_unknown_kind_is_refused(server, kind, connect):
    """An error of ours that names it, before anything is asked."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=r"destination cannot be written to.*ss3"):
        run(ListMeetingsOperator(task_id="list", destination="ss3://bucket/meetings.jsonl", **CONN), **INTERVAL)
    assert server.journal() == []


@pytest.mark.parametrize("destination", ["", "  ", "None"])
def test_a_destination_that_came_out_empty_is_refused(kind, connect, destination):
    """It is named rather than written to the working folder."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="destination is empty"):
        run(ListMeetingsOperator(task_id="list", destination=destination, **CONN), **INTERVAL)


@pytest.mark.parametrize("destination", [5, True, ["a.jsonl"], {"a": 1}])
def test_a_destination_that_is_no_path_is_refused(kind, connect, destination):
    """A native template made something else of it; no file of that name is written."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="destination must be a URL or a path"):
        run(ListMeetingsOperator(task_id="list", destination=destination, **CONN), **INTERVAL)


# -- errors


def test_a_wrong_key_fails_the_task_for_good(server, kind, connect):
    """The error tells Airflow not to retry."""
    from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - only here

    connect(kind, password="wrong-key-canary")
    with pytest.raises(MeetingsAuthError) as caught:
        run(GetMeetingOperator(task_id="get", meeting_id="1", **CONN))
    assert isinstance(caught.value, AirflowFailException)
    assert len(server.journal()) == 1


def test_a_long_wait_frees_the_slot(server, kind, connect):
    """A rate limit of an hour defers the task with a timer, and the same try goes on afterwards."""
    connect(kind)
    server.insert(kind, kind.row(NOON))
    server.fault("ratelimit", match={"vendor": kind.name}, retry_after=3600)
    listing = ListMeetingsOperator(task_id="list", **CONN)
    with pytest.raises(TaskDeferred) as caught:
        run(listing, **INTERVAL)
    resumed = getattr(listing, caught.value.method_name)
    found = resumed(context_of("list", **INTERVAL), event=None, **caught.value.kwargs)
    assert [meeting[kind.date] for meeting in found] == [NOON]


@pytest.mark.parametrize("asked", [30_000, 2_000_000_000_000, 10**20])
def test_no_wait_without_a_slot_is_longer_than_an_hour(server, kind, connect, asked):
    """A rate limit until the end of the century defers the task for an hour, and the log says why."""
    connect(kind)
    server.fault("ratelimit", match={"vendor": kind.name}, retry_after=asked)
    listing = ListMeetingsOperator(task_id="list", **CONN)
    begun = dt.datetime.now(dt.UTC)
    with pytest.raises(TaskDeferred) as caught:
        run(listing, **INTERVAL)
    waits = caught.value.trigger.moment - begun
    assert dt.timedelta(minutes=59) < waits < dt.timedelta(minutes=61)


def test_an_unknown_connection_is_named(monkeypatch):
    """The error says which connection is missing."""
    monkeypatch.delenv("AIRFLOW_CONN_NOWHERE", raising=False)
    with pytest.raises(MeetingsConfigurationError, match="'nowhere'"):
        run(GetMeetingOperator(task_id="get", meeting_id="1", meetings_conn_id="nowhere"))


def test_a_window_in_seconds_is_refused(server, kind, connect):
    """The same question as a field in seconds gets."""
    connect(kind)
    window = {"window_start": NOON, "window_end": "1800000000"}
    with pytest.raises(MeetingsConfigurationError, match=r"window_end: .*are these seconds"):
        run(ListMeetingsOperator(task_id="list", **window, **CONN))
    assert server.journal() == []


def test_a_type_by_name_makes_one_meeting_however_often_it_is_tried(server, connect):
    """The next try, and one that says the id instead, own the same meeting: the name is no part of its identity."""
    connect(BUILDERPRIME)
    store = StateStore()
    meeting = {name: value for name, value in BUILDERPRIME.meeting().items() if name != "meetingTypeId"}
    made = [
        run(
            CreateMeetingOperator(task_id="create", meeting={**meeting, **kind}, **CONN),
            context_of("create", store=store),
        )
        for kind in (
            {"meetingTypeName": "Sales Meeting"},
            {"meetingTypeName": "Sales Meeting"},
            {"meetingTypeId": 1011},
        )
    ]
    assert {one["id"] for one in made} == {row["id"] for row in server.meetings(BUILDERPRIME)}
    assert len(server.meetings(BUILDERPRIME)) == 1
    changes = {"meetingTypeName": "Sales Meeting"}
    assert (
        run(UpdateMeetingOperator(task_id="u", meeting_id=made[0]["id"], changes=changes, **CONN))["id"]
        == made[0]["id"]
    )
