"""The sensor in its three modes, and its trigger: the same questions, the same values, the same failures."""

import asyncio
import datetime as dt
import importlib.util
import itertools
import json
import time
from types import SimpleNamespace

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseHook,
    TaskDeferred,
)

from airflow_provider_meetings.exceptions import (
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
    MeetingValidationError,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from airflow_provider_meetings.triggers.meetings import MeetingsTrigger
from tests.support.operators import INTERVAL, START, Lazy, first_event
from tests.support.sandbox import BUILDERPRIME, HIRINGCENTER, HOUR, NOON, WRONG_KEY, Tiny

MODES = pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
POLLS = 200
#: What Airflow hands to a task whose time in the triggerer is over; Airflow 2 has other words for it.
TIMED_OUT = "Trigger timeout" if importlib.util.find_spec("airflow.sdk") else "Trigger/execution timeout"


def sensor_of(mode, **arguments):
    """Make a sensor in one of its modes."""
    ways = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}
    usual = {"task_id": "wait", "meetings_conn_id": "meetings", "poke_interval": 0.05, "timeout": 20}
    return MeetingsSensor(**(usual | {"deferrable": False} | ways[mode] | arguments))


def context_of(**more):
    """Make what Airflow hands to execute()."""
    ti = SimpleNamespace(
        dag_id="dag", run_id="run", task_id="wait", map_index=-1, try_number=1, max_tries=0,
        first=None, get_first_reschedule_date=lambda _: ti.first,
    )  # fmt: skip
    return {"ti": ti, **INTERVAL, **more}


def wait(sensor, context=None, **more):
    """Let a sensor wait as Airflow does in its mode: executed again, or resumed with its trigger's event."""
    context = context or context_of(**more)
    sensor.render_template_fields(context)
    for _ in range(POLLS):
        try:
            return sensor.execute(context)
        except AirflowRescheduleException:
            context["ti"].first = context["ti"].first or dt.datetime.now(dt.UTC)
            time.sleep(sensor.poke_interval)
        except TaskDeferred as deferred:
            path, arguments = deferred.trigger.serialize()
            assert path == "airflow_provider_meetings.triggers.meetings.MeetingsTrigger"
            trigger = MeetingsTrigger(**json.loads(json.dumps(arguments)))
            try:
                event = asyncio.run(asyncio.wait_for(first_event(trigger), deferred.timeout.total_seconds()))
            except TimeoutError:
                return sensor.resume_execution("__fail__", {"error": TIMED_OUT}, context)
            payload = json.loads(json.dumps(event.payload))
            return sensor.resume_execution(deferred.method_name, {"event": payload}, context)
    raise AssertionError("the sensor never ended")


def airflow_says(monkeypatch, answers):
    """Have Airflow's own look-up of a connection go as told, in workers and triggers: None is as it should."""
    right = BaseHook.get_connection
    left = iter(answers)

    def look_up(conn_id):
        if (error := next(left, None)) is not None:
            raise error
        return right(conn_id)

    async def alook_up(conn_id):
        return look_up(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(look_up))
    monkeypatch.setattr(BaseHook, "aget_connection", staticmethod(alook_up), raising=False)


# -- parity


@MODES
def test_airflow_that_cannot_look_the_connection_up_is_waited_for(server, connect, monkeypatch, mode):
    """The API server is away when the connection is looked up: no mode fails the try for it."""
    connect(HIRINGCENTER)
    (made,) = server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    airflow_says(monkeypatch, [OSError("the API server is away")] * 3)
    assert [made] == [meeting["id"] for meeting in wait(sensor_of(mode))]


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_connection_that_is_not_found_for_a_moment_is_waited_for(server, connect, monkeypatch, mode):
    """Airflow says so, too, while it cannot ask where the connection is: it was there before."""
    connect(HIRINGCENTER)
    server.fault("answer", status=200, body=json.dumps({"success": True, "items": []}))
    (made,) = server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    airflow_says(monkeypatch, [None, *[AirflowNotFoundException("The conn_id isn't defined")] * 3])
    assert [made] == [meeting["id"] for meeting in wait(sensor_of(mode))]


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_connection_that_is_not_found_for_long_fails(server, connect, monkeypatch, mode):
    """A connection that was deleted fails the task in the end, without a retry."""
    connect(HIRINGCENTER)
    server.fault("answer", status=200, body=json.dumps({"success": True, "items": []}), times=None)
    monkeypatch.setattr("airflow_provider_meetings.polling.criteria.CONNECTION_GRACE", 0.5)
    monkeypatch.setattr("airflow_provider_meetings.polling.live_connection.FIRST_LOOKS", 0.5)
    airflow_says(monkeypatch, [None, *[AirflowNotFoundException("The conn_id isn't defined")] * 100])
    with pytest.raises(MeetingsConfigurationError, match="no connection 'meetings'"):
        wait(sensor_of(mode))


@MODES
def test_the_same_value(server, kind, connect, mode):
    """All matching meetings of the window are returned, the same in each mode."""
    connect(kind)
    ids = server.insert(kind, *(kind.row(NOON + number, location=f"Room {number}") for number in range(4)))
    server.insert(kind, kind.row(NOON - 1), kind.row(NOON + HOUR))
    found = wait(sensor_of(mode, min_count=2, match={"location": ["Room 1", "Room 3"]}))
    assert sorted(str(meeting["id"]) for meeting in found) == sorted([str(ids[1]), str(ids[3])])
    assert found == json.loads(json.dumps(found))


@MODES
@pytest.mark.parametrize(("include_cancelled", "count"), [(False, 1), (True, 2), ("True", 2)])
def test_a_cancelled_meeting_does_not_satisfy_it(server, connect, mode, include_cancelled, count):
    """Unless it is asked for; the vendor leaves cancelled meetings in its list."""
    connect(BUILDERPRIME)
    server.insert(BUILDERPRIME, BUILDERPRIME.row(NOON) | {"isMeetingCancelled": True}, BUILDERPRIME.row(NOON + 1))
    assert len(wait(sensor_of(mode, include_cancelled=include_cancelled))) == count


@MODES
def test_it_waits_for_what_comes(server, kind, connect, mode):
    """Two empty answers, then an outage, then the meeting."""
    connect(kind, max_attempts=1)
    empty = json.dumps({"success": True, "items": [], "data": []})
    server.fault("answer", match={"vendor": kind.name}, status=200, body=empty, times=2)
    server.fault("status", match={"vendor": kind.name}, status=503, times=2)
    (made,) = server.insert(kind, kind.row(NOON))
    found = wait(sensor_of(mode))
    assert [str(meeting["id"]) for meeting in found] == [str(made)]
    assert len(server.journal()) >= 5


TRANSIENT = {
    "503": {"action": "status", "status": 503},
    "reset": {"action": "reset"},
    "truncated": {"action": "truncate", "when": "after"},
    "429": {"action": "ratelimit", "retry_after": 0},
    "not JSON": {"action": "answer", "status": 200, "body": "<html>"},
    "bare success: false": {"action": "success_false", "explained": False},
}
ELSEWHERE = {
    "redirect": {"action": "answer", "status": 302, "headers": {"location": "/elsewhere"}},
    "page not found": {"action": "answer", "status": 404, "body": "<html>Not Found</html>"},
}


@MODES
@pytest.mark.parametrize("rule", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_errors_are_waited_out(server, kind, connect, mode, rule):
    """An error that may pass is no empty list and no failure."""
    connect(kind, max_attempts=1)
    server.insert(kind, kind.row(NOON))
    server.fault(match={"vendor": kind.name}, times=2, **rule)
    assert len(wait(sensor_of(mode))) == 1


@MODES
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("rule", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_a_wrong_address_fails_at_once(server, kind, connect, mode, soft, rule):  # noqa: PLR0917 - fixtures
    """Somebody else answers the first question: the task fails, also under soft_fail, and says where to look."""
    connect(kind, max_attempts=1)
    server.fault(match={"vendor": kind.name}, times=None, **rule)
    with pytest.raises(MeetingsProtocolError, match="host of connection"):
        wait(sensor_of(mode, soft_fail=soft))
    assert len(server.journal()) == 1


@MODES
@pytest.mark.parametrize("rule", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_trouble_on_the_way_is_waited_out(server, kind, connect, mode, rule):
    """Somebody else answers later on, as a gateway does while it is renewed: that passes."""
    connect(kind, max_attempts=1)
    empty = json.dumps({"success": True, "items": [], "data": []})
    server.fault("answer", match={"vendor": kind.name}, status=200, body=empty, times=1)
    server.fault(match={"vendor": kind.name}, times=2, **rule)
    server.insert(kind, kind.row(NOON))
    assert len(wait(sensor_of(mode))) == 1


@MODES
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        ({"password": WRONG_KEY}, {}, MeetingsAuthError),
        ({"nonsense": 1}, {}, MeetingsConfigurationError),
        ({}, {"filters": {"nonsense": "x"}}, MeetingsConfigurationError),
        ({}, {"min_count": 0}, MeetingsConfigurationError),
        ({}, {"match": {"location": []}}, MeetingsConfigurationError),
        ({}, {"window_start": "2026-02-02T10:00:00"}, MeetingsConfigurationError),
        ({}, {"window_end": NOON}, MeetingsConfigurationError),
        ({}, {"meetings_conn_id": "nowhere"}, MeetingsConfigurationError),
    ],
)
def test_permanent_errors_fail_at_once(server, kind, connect, mode, soft, case):  # noqa: PLR0917 - fixtures
    """What waiting cannot mend fails the task, also under soft_fail, with at most one request."""
    connection, arguments, error = case
    connect(kind, **connection)
    with pytest.raises(error) as caught:
        wait(sensor_of(mode, soft_fail=soft, **arguments))
    assert isinstance(caught.value, AirflowFailException)
    assert WRONG_KEY not in str(caught.value)
    assert len(server.journal()) <= 1


@MODES
@pytest.mark.parametrize("soft", [False, True])
def test_a_permanent_error_that_comes_later_fails_as_well(server, connect, mode, soft):
    """Builder Prime: the key loses its scope while the sensor waits; deferred or not, the same error, by type."""
    connect(BUILDERPRIME)
    body = json.dumps({"success": False, "errors": [{"code": "FORBIDDEN", "message": "no scope"}]})
    server.fault("answer", status=403, body=body, skip=1, times=None)
    with pytest.raises(MeetingsPermissionError, match=r"meetings\.read") as caught:
        wait(sensor_of(mode, soft_fail=soft))
    assert (caught.value.status, caught.value.method, caught.value.path) == (403, "GET", "/meetings/v1")
    assert len(server.journal()) == 2


@MODES
@pytest.mark.parametrize(("soft", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_the_timeout_ends_the_wait(server, kind, connect, mode, soft, error):  # noqa: PLR0917 - fixtures
    """Nothing comes, or nothing but errors: the wait ends as Airflow's sensors do, skipped under soft_fail."""
    connect(kind, max_attempts=1)
    server.fault("status", match={"vendor": kind.name}, status=502, skip=2, times=None)
    with pytest.raises(error):
        wait(sensor_of(mode, timeout=0.5, soft_fail=soft))


@MODES
def test_a_run_without_an_interval_is_told_what_to_pass(server, kind, connect, mode):
    """The bounds to give are named, and nothing is sent."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="window_start and window_end must be given"):
        wait(sensor_of(mode), data_interval_start=None, data_interval_end=None)
    assert server.journal() == []


@MODES
def test_templates(server, connect, mode):
    """Windows, filters, values to match, the count and the connection may be templates, numbers as text."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON, ownerId=f"o{number}", notes="7") for number in range(2)))
    sensor = sensor_of(
        mode,
        window_start="{{ data_interval_start }}",
        window_end="{{ params.end }}",
        filters={"ownerId": "{{ params.owner }}"},
        match={"notes": "{{ params.notes }}"},
        min_count="{{ params.count }}",
        meetings_conn_id="{{ 'meetings' }}",
    )
    values = {"end": NOON + HOUR, "owner": "o1", "notes": 7, "count": 1}
    assert [meeting["ownerId"] for meeting in wait(sensor, params=values)] == ["o1"]


def test_template_fields():
    """All arguments that the interface names are templated."""
    fields = {"window_start", "window_end", "window_length", "filters", "match", "min_count", "include_cancelled"}
    assert set(MeetingsSensor.template_fields) == fields | {"meetings_conn_id"}


# -- deferring and resuming


def test_a_meeting_that_is_there_needs_no_trigger(server, kind, connect):
    """The first question is asked by the worker."""
    connect(kind)
    server.insert(kind, kind.row(NOON))
    assert len(sensor_of("deferrable").execute(context_of())) == 1


def deferred_of(**arguments):
    """Let a sensor defer; returns the deferral."""
    with pytest.raises(TaskDeferred) as caught:
        sensor_of("deferrable", **arguments).execute(context_of())
    return caught.value


def test_the_deferral_carries_the_timeout(kind, connect):
    """Airflow does not apply a sensor's timeout to its trigger by itself."""
    connect(kind)
    assert deferred_of(timeout=77).timeout == dt.timedelta(seconds=77)


def test_the_trigger_can_be_stored(server, kind, connect):
    """Its serialization is plain JSON, makes an equal trigger, and holds no secret."""
    connect(kind)
    filters = {"ownerId": "o"} if kind is HIRINGCENTER else {"employee-id": "50"}
    trigger = deferred_of(filters=filters, match={"location": ("a", "b")}, min_count="3").trigger
    _, arguments = trigger.serialize()
    text = json.dumps(arguments)
    assert MeetingsTrigger(**json.loads(text)).serialize() == trigger.serialize()
    assert server.facts[kind.name]["api_key"] not in text + repr(vars(trigger))
    assert arguments["window_start"] == NOON
    assert arguments["window_end"] == NOON + HOUR


EVENTS = [
    None,
    "success",
    [],
    {},
    {"status": "success"},
    {"status": "success", "meetings": None},
    {"status": "success", "meetings": "none"},
    {"status": "error"},
    {"status": "error", "type": "ValueError", "message": "x"},
    {"status": "error", "type": "AirflowException", "message": "x"},
    {"status": "error", "type": "__all__"},
    {"status": "timeout", "meetings": []},
]


@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_an_event_that_is_not_ours_is_an_error(event):
    """Resuming with something else fails, it does not find an empty list."""
    with pytest.raises(MeetingsProtocolError, match="not understood"):
        sensor_of("deferrable").resume_execution("execute_complete", {"event": event}, context_of())


def test_a_trigger_that_was_lost_is_no_timeout():
    """Airflow's word for a trigger that failed is an error of its own, not the end of the wait."""
    with pytest.raises(AirflowException, match=r"^Trigger failure$"):
        sensor_of("deferrable").resume_execution("__fail__", {"error": "Trigger failure"}, context_of())


# -- the trigger


def trigger_of(**changes):
    """Make a trigger for the tests' window."""
    usual = {"meetings_conn_id": "meetings", "window_start": NOON, "window_end": NOON + HOUR, "poke_interval": 60}
    return MeetingsTrigger(**(usual | changes))


async def questions_of(server, kind, seconds, **changes):
    """Let a trigger wait for so long after it first asked; return when it asked, in seconds."""
    waiting = asyncio.create_task(first_event(trigger_of(**changes)))
    while not await asyncio.to_thread(server.journal, vendor=kind.name):  # noqa: ASYNC110 - another process's
        await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, seconds)
    return [row["at"] / 1000 for row in server.journal(vendor=kind.name)]


@pytest.mark.parametrize("rule", [None, *TRANSIENT.values()], ids=["nothing found", *TRANSIENT.keys()])
async def test_the_trigger_sleeps_between_questions(server, kind, connect, rule):
    """After an empty list and after any error it waits its interval at least."""
    connect(kind, max_attempts=1, timeout=1)
    if rule:
        server.fault(match={"vendor": kind.name}, times=None, **rule)
    times = await questions_of(server, kind, 1.0, poke_interval=0.4)
    assert 1 <= len(times) <= 3
    assert all(later - earlier >= 0.36 for earlier, later in itertools.pairwise(times))


async def test_the_trigger_waits_as_long_as_the_vendor_asks(server, kind, connect):
    """A Retry-After beyond the interval is kept to."""
    connect(kind)
    server.fault("ratelimit", match={"vendor": kind.name}, retry_after=3600, times=None)
    assert len(await questions_of(server, kind, 1.0, poke_interval=0.2)) == 1


async def cancelled_once(has_asked, pause=0.0):
    """Let a trigger wait until it has asked, and cancel it a little later: it ends so, and soon."""
    task = asyncio.create_task(first_event(trigger_of()))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(has_asked):  # noqa: ASYNC110 - the server is a thread, or a process
            await asyncio.sleep(0.01)
    await asyncio.sleep(pause)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task


async def test_the_trigger_can_be_cancelled_while_it_asks(kind, monkeypatch):
    """A cancellation in the middle of a request goes through, at once and unchanged."""
    with Tiny(lambda *_: None) as tiny:
        host = tiny.url + ("/v2" if kind is HIRINGCENTER else "/api")
        monkeypatch.setenv("AIRFLOW_CONN_MEETINGS", json.dumps({"conn_type": kind.name, "host": host, "password": "k"}))
        await cancelled_once(lambda: tiny.accepted)


async def test_the_trigger_can_be_cancelled_while_it_sleeps(server, kind, connect):
    """A cancellation between two questions goes through."""
    connect(kind)
    await cancelled_once(server.journal, pause=0.1)


async def test_the_event_loop_stays_free(server, kind, connect):
    """While the trigger asks a slow server, others on the loop go on."""
    connect(kind)
    server.options(latency=0.5)
    server.insert(kind, kind.row(NOON))
    task = asyncio.create_task(first_event(trigger_of()))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert (await task).payload["status"] == "success"
    # 0.5 s hold some 50 turns; a blocked loop would have a handful
    assert turns >= 10


async def test_a_permanent_error_is_an_event(server, kind, connect):
    """It names its type and where it happened, and no key; the sensor raises it again."""
    connect(kind, password=WRONG_KEY)
    event = await first_event(trigger_of())
    assert event.payload["status"] == "error"
    assert event.payload["type"] == "MeetingsAuthError"
    assert WRONG_KEY not in json.dumps(event.payload)
    assert len(server.journal()) == 1


async def test_a_refusal_inside_a_success_ends_the_wait(server, kind, connect):
    """An explained `success: false` is the vendor's refusal, and no empty list."""
    connect(kind)
    server.fault("success_false", match={"vendor": kind.name}, times=None)
    event = await first_event(trigger_of())
    assert event.payload["type"] == "MeetingValidationError"
    with pytest.raises(MeetingValidationError):
        sensor_of("deferrable").execute_complete(context_of(), event.payload)


async def test_many_triggers_share_a_loop(server, kind, connect):
    """Twenty waiters in one loop all get their meetings."""
    connect(kind)
    server.insert(kind, kind.row(NOON))
    events = await asyncio.gather(*(first_event(trigger_of()) for _ in range(20)))
    assert [len(event.payload["meetings"]) for event in events] == [1] * 20


def test_what_is_permanent_is_an_error_of_ours():
    """Every error that ends a wait is one that the event can carry."""
    assert issubclass(MeetingsAuthError, MeetingsError)


MATCHES = {
    "a lazy sequence": lambda: Lazy("Room 1", "Room 3"),
    "a generator": lambda: (f"Room {number}" for number in (1, 3)),
    "a frozenset": lambda: frozenset({"Room 1", "Room 3"}),
    "keys": {"Room 1": 0, "Room 3": 0}.keys,
    "the text of a list": lambda: '["Room 1", "Room 3"]',
}


@MODES
@pytest.mark.parametrize("make", MATCHES.values(), ids=MATCHES)
def test_a_list_of_any_kind_matches(server, kind, connect, mode, make):
    """Also one that can be read only once, and at a later look than the first."""
    connect(kind)
    rule = {"match": {"vendor": kind.name}, "status": 503, "times": 1}
    server.fault("status", **rule)
    server.insert(kind, *(kind.row(NOON + number, location=f"Room {number}") for number in range(4)))
    found = wait(sensor_of(mode, min_count=2, match={"location": make()}))
    assert {"Room 1", "Room 3"} == {meeting["location"] for meeting in found}


@MODES
@pytest.mark.parametrize("form", [lambda moment: moment, dt.datetime.isoformat], ids=["datetime", "text"])
def test_a_date_matches_as_a_moment(server, kind, connect, mode, form):
    """In any form in which a window's bound may be given."""
    connect(kind)
    field = "meetingDate" if kind is HIRINGCENTER else "startDateTime"
    server.insert(kind, *(kind.row(NOON + number * 60_000) for number in range(3)))
    found = wait(sensor_of(mode, match={field: form(START + dt.timedelta(minutes=1))}))
    assert [NOON + 60_000] == [meeting[field] for meeting in found]


@MODES
def test_a_whole_meeting_to_match_is_refused(kind, connect, mode):
    """No field equals it, so that the sensor would wait for ever."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=r"match\.id"):
        wait(sensor_of(mode, match={"id": {"id": "7"}}))
