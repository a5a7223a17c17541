"""Which sensors start in the triggerer, and with what, as Airflow's scheduler reads it from the stored DAG."""

import datetime as dt
import json

import pytest
from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import BaseSerialization, DagSerialization

from airflow_provider_meetings import version_compat
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from tests.support.sandbox import HIRINGCENTER, HOUR, NOON
from tests.support.task_runner import in_triggerer

PLAIN = {
    "window_start": "2026-02-02T10:00:00Z",
    "window_end": dt.datetime(2026, 2, 2, 11, tzinfo=dt.UTC),
    "meetings_conn_id": "meetings",
    "deferrable": True,
}


def stored(make=MeetingsSensor, dag_arguments=None, **arguments):
    """Make a sensor in a DAG, store the DAG as Airflow does, and return the task as the scheduler sees it."""
    with DAG("dag", schedule=None, **(dag_arguments or {})) as dag:
        make(task_id="wait", **(PLAIN | arguments))
    encoded = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    return DagSerialization.from_dict(encoded).task_dict["wait"]


def test_plain_arguments_start_in_the_triggerer():
    """The stored task names the trigger by its path, with plain arguments, the timeout and the method to go on with."""
    found = stored(filters={"ownerId": "o"}, match={"notes": ("a", "b")}, min_count="2", timeout=77, poke_interval=5)
    args = found.start_trigger_args
    kwargs = BaseSerialization.deserialize(args.trigger_kwargs)

    assert found.start_from_trigger is True
    assert ("airflow_provider_meetings.triggers.meetings.MeetingsTrigger", "execute_complete") == (
        args.trigger_cls,
        args.next_method,
    )
    assert dt.timedelta(seconds=77) == args.timeout
    assert {
        "meetings_conn_id": "meetings",
        "poke_interval": 5,
        "verify_host": True,
        "window_start": NOON,
        "window_end": NOON + HOUR,
        "filters": {"ownerId": "o"},
        "match": {"notes": ["a", "b"]},
        "min_count": 2,
        "include_cancelled": False,
    } == json.loads(json.dumps(kwargs))


def test_the_stored_arguments_make_the_trigger(server, connect):
    """What the scheduler stores is what the triggerer makes a trigger of, and it finds the meeting."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    args = stored().start_trigger_args
    method, resumed = in_triggerer(args.trigger_cls, BaseSerialization.deserialize(args.trigger_kwargs), 20)

    assert method is None
    assert [NOON] == [meeting["meetingDate"] for meeting in resumed["event"]["meetings"]]


class _Own(MeetingsSensor):
    def poke(self, context):
        return super().poke(context)


@task
def _earlier():
    return "2026-02-02T10:00:00Z"


NEEDS_A_WORKER = {
    "not deferrable": {"deferrable": False},
    "told so": {"start_from_trigger": False},
    "a template": {"window_start": "{{ params.start }}"},
    "a template in a dict": {"filters": {"ownerId": "{{ params.owner }}"}},
    "a template in a list": {"match": {"notes": ["a", "{% raw %}b{% endraw %}"]}},
    "a templated connection": {"meetings_conn_id": "{{ params.conn }}"},
    "the data interval": {"window_start": None},
    "no end": {"window_end": None},
    "a naive bound": {"window_end": "2026-02-02T11:00:00"},
    "an empty window": {"window_end": NOON},
    "a bad count": {"min_count": 0},
    "nothing to match": {"match": {"notes": []}},
    "a whole meeting to match": {"match": {"id": {"id": "7"}}},
    "no moment to match": {"match": {"meetingDate": "2026-02-02T11:00:00"}},
    "bad filters": {"filters": "ownerId=o"},
    "no connection": {"meetings_conn_id": ""},
    "no time": {"timeout": 0},
    "a callback at its start": {"on_execute_callback": print},
    "something to do before": {"pre_execute": print},
    "a question of its own": {"make": _Own},
    "other templates": {"dag_arguments": {"jinja_environment_kwargs": {"variable_start_string": "<<"}}},
    "another task's result": {"make": lambda **arguments: MeetingsSensor(**arguments | {"window_start": _earlier()})},
    "mapped": {
        "make": lambda **arguments: MeetingsSensor.partial(**arguments | {"window_start": NOON}).expand(
            filters=[{"ownerId": "a"}]
        )
    },
}


@pytest.mark.parametrize("arguments", NEEDS_A_WORKER.values(), ids=NEEDS_A_WORKER)
def test_what_needs_a_worker_starts_there(arguments):
    """What has to be rendered, looked up, run or refused first is left to a worker."""
    found = stored(**arguments)

    assert not found.start_from_trigger
    assert found.start_trigger_args is None


def test_a_refusal_comes_from_the_worker():
    """Arguments that do not start in the triggerer because they are wrong are refused when the task runs, by name."""
    with DAG("dag", schedule=None):
        sensor = MeetingsSensor(task_id="wait", **PLAIN | {"min_count": 0})

    with pytest.raises(MeetingsConfigurationError, match="min_count"):
        sensor.execute({})


def test_a_policy_has_its_say():
    """What a cluster policy changes after a task was made counts: its timeout, or that it starts on a worker."""

    def shorter(**arguments):
        sensor = MeetingsSensor(**arguments)
        sensor.timeout = 11

    def on_a_worker(**arguments):
        MeetingsSensor(**arguments).start_from_trigger = False

    assert dt.timedelta(seconds=11) == stored(shorter).start_trigger_args.timeout
    assert not stored(on_a_worker).start_from_trigger


@pytest.mark.parametrize(
    ("version", "can"), [("2.11.2", True), ("3.0.6", False), ("3.1.8", False), ("3.2.2", False), ("3.3.0", True)]
)
def test_only_where_the_scheduler_can(monkeypatch, version, can):
    """Airflow 3.0 to 3.2 do not start tasks in the triggerer: there every sensor starts on a worker."""
    monkeypatch.setattr("airflow.__version__", version)

    assert can == version_compat.scheduler_starts_triggers()
    assert can == stored().start_from_trigger


def test_somebody_else_who_answers_first_is_a_wrong_address(server, connect):
    """Without a worker before, the trigger notices at its first question that the address leads elsewhere."""
    connect(HIRINGCENTER, max_attempts=1)
    server.fault("answer", status=404, body="<html>Not Found</html>", times=None)
    args = stored().start_trigger_args
    kwargs = BaseSerialization.deserialize(args.trigger_kwargs)
    _, resumed = in_triggerer(args.trigger_cls, kwargs, 20)

    assert ("error", "MeetingsProtocolError") == (resumed["event"]["status"], resumed["event"]["type"])
    assert "host of connection" in resumed["event"]["message"]
    assert len(server.journal()) == 1


def test_somebody_else_who_answers_later_is_trouble_on_the_way(server, connect):
    """Once the vendor was reached, a gateway that answers in its place is waited out, also by who starts there."""
    connect(HIRINGCENTER, max_attempts=1)
    server.fault("answer", status=200, body=json.dumps({"success": True, "items": []}), times=1)
    server.fault("answer", status=404, body="<html>Not Found</html>", times=2)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    args = stored(poke_interval=0.1).start_trigger_args
    _, resumed = in_triggerer(args.trigger_cls, BaseSerialization.deserialize(args.trigger_kwargs), 30)

    assert "success" == resumed["event"]["status"]
