"""What an object says of itself, in an error, a log or a debugger, never has a key in it."""

import json
import pickle
import traceback

import pytest
from airflow.providers.common.compat.sdk import Connection, TaskDeferred

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from tests.security.canaries import HOST_PASSWORD, NOBODY_LISTENS, ODD_KEY, PROXY_PASSWORD
from tests.security.leaks import Search

NARROW = {f"{what}_api_key": f"{what}-key-canary-{ODD_KEY}" for what in ("read", "create", "edit", "delete")}
SECRETS = NARROW | {"ODD_KEY": ODD_KEY, "PROXY_PASSWORD": PROXY_PASSWORD, "HOST_PASSWORD": HOST_PASSWORD}
PROXY = NOBODY_LISTENS.replace("//", f"//clerk:{PROXY_PASSWORD}@")
HOOKS = {"hiringcenter": HiringCenterHook, "builderprime": BuilderPrimeHook}
WINDOW = {"window_start": "2027-01-11T00:00:00Z", "window_end": "2027-01-12T00:00:00Z"}
BODIES = {
    "hiringcenter": {
        "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
        "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
        "meetingDate": "2027-01-11T10:00:00-05:00",
        "timeZone": "America/New_York",
        "meetingType": "virtual",
    },
    "builderprime": {
        "title": "Visit",
        "clientOpportunityId": 102988,
        "startDateTime": "2027-01-11T10:00:00Z",
        "endDateTime": "2027-01-11T11:00:00Z",
        "employee": {"id": 50},
        "meetingTypeId": 1011,
    },
}
CALLS = {
    "list": lambda hook, _: list(hook.list_meetings(*WINDOW.values())),
    "get": lambda hook, _: hook.get_meeting("71"),
    "create": lambda hook, vendor: hook.create_meeting(BODIES[vendor]),
    "update": lambda hook, _: hook.update_meeting("71", {"location": "Zoom"}),
    "delete": lambda hook, _: hook.delete_meeting("71"),
}
WAYS = {
    "nobody listens": {},
    "through a proxy that is down": {"extra": {"proxies": {"http": PROXY}}},
    "a login in the host": {"host": NOBODY_LISTENS.replace("//", f"//clerk:{HOST_PASSWORD}@")},
    "an extra that is wrong": {"extra": {"timeout": ODD_KEY}},
    "a proxy that is none": {"extra": {"proxies": PROXY}},
}


def _connection(vendor, *, host=NOBODY_LISTENS, extra=None):
    extra = {"max_attempts": 1, "timeout": 2} | (NARROW if vendor == "builderprime" else {}) | (extra or {})
    suffix = "/v2" if vendor == "hiringcenter" else "/api"
    fields = {"conn_type": vendor, "host": host + suffix, "password": ODD_KEY, "extra": json.dumps(extra)}
    return Connection(conn_id="meetings", **fields)


def _leaks(*said):
    search = Search(SECRETS)
    return [leak for text in said for leak in search.data("said", text if isinstance(text, bytes) else text.encode())]


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch):
    """A proxy of this machine would answer where nobody listens."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("vendor", HOOKS)
def test_errors_and_logs(vendor, call, way, caplog, capsys):
    """An error's text, arguments, attributes, causes and traceback have no key, and neither has what was logged."""
    hook = HOOKS[vendor]("meetings", connection=_connection(vendor, **WAYS[way]))
    with caplog.at_level("DEBUG"), pytest.raises(MeetingsError) as caught:
        CALLS[call](hook, vendor)
    error = caught.value
    printed = capsys.readouterr()

    assert [] == _leaks(str(error), repr(error), repr(error.args), repr(vars(error)))
    assert [] == _leaks(*traceback.format_exception(error), pickle.dumps(error))
    assert [] == _leaks(caplog.text, printed.out, printed.err)


@pytest.mark.parametrize("vendor", HOOKS)
def test_what_hooks_and_their_parts_say_of_themselves(vendor):
    """A debugger that shows a hook, its settings, its vendor or its session shows no key."""
    hook = HOOKS[vendor]("meetings", connection=_connection(vendor))
    said = [repr(part) for part in (hook, hook._settings, hook._vendor, hook._transport, hook.get_conn())]

    assert ODD_KEY == hook._settings.api_key  # it is there
    assert [] == _leaks(*said, str(hook._settings), f"{hook._settings}")


def test_operators_and_triggers_carry_the_connections_id_alone(monkeypatch):
    """What Airflow stores of a task, rendered or deferred, names the connection and nothing that is in it."""
    connection = _connection("hiringcenter")
    fields = {name: getattr(connection, name) for name in ("conn_type", "host", "password", "extra")}
    monkeypatch.setenv("AIRFLOW_CONN_MEETINGS", json.dumps(fields))
    here = {"meetings_conn_id": "meetings"}
    tasks = [
        CreateMeetingOperator(task_id="create", meeting=BODIES["hiringcenter"], **here),
        UpdateMeetingOperator(task_id="update", meeting_id="71", changes={"location": "Zoom"}, **here),
        DeleteMeetingOperator(task_id="delete", meeting_id="71", **here),
        GetMeetingOperator(task_id="get", meeting_id="71", **here),
        ListMeetingsOperator(task_id="list", **WINDOW, **here),
        MeetingsSensor(task_id="wait", **WINDOW, deferrable=True, **here),
    ]
    for task in tasks:
        with pytest.raises((MeetingsError, TaskDeferred)) as caught:
            task.execute({})
        kept = {name: getattr(task, name) for name in task.template_fields}
        deferral = caught.value.trigger.serialize() if isinstance(caught.value, TaskDeferred) else None

        assert [] == _leaks(repr(task), repr(vars(task)), repr(kept), repr(deferral), repr(caught.value))
