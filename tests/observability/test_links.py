"""The link from a task to its meeting: which meeting, when there is none, and what it costs."""

import asyncio
import importlib.util
import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_meetings.connection.provider_info import describe
from airflow_provider_meetings.exceptions import MeetingNotFoundError
from airflow_provider_meetings.observability import link as links
from airflow_provider_meetings.observability import outcome as traces
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from airflow_provider_meetings.triggers.meetings import MeetingsTrigger
from tests.support.operators import CONN, INTERVAL, context_of, run
from tests.support.sandbox import HIRINGCENTER, HOUR, NOON

PAGE = "https://app.example.com/meetings/{id}"
OPERATORS = (
    CreateMeetingOperator,
    UpdateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    MeetingsSensor,
)
WINDOW = {"window_start": NOON, "window_end": NOON + HOUR}


@pytest.fixture(autouse=True)
def _xcom(monkeypatch):
    """Let Airflow 2 read in XCom what the test's tasks have pushed there; there is no database."""
    if links.stores_links():
        return
    instances, store_link = {}, links.store_link

    def remember(operator, context, url):
        instances[id(operator)] = context["ti"]
        store_link(operator, context, url)

    def read(ti_key, key):
        return instances[ti_key.operator].pushed.get(key) if ti_key.operator in instances else None

    monkeypatch.setattr(traces, "store_link", remember)
    monkeypatch.setattr(links, "xcom_of", read)


def link_of(operator):
    """The link as Airflow 3 asks for it, when the task has ended; Airflow 2 has no more than what was stored of it."""
    (link,) = operator.operator_extra_links
    key = SimpleNamespace(task_id=operator.task_id, operator=id(operator))
    return link.get_link(operator if links.stores_links() else SimpleNamespace(task_id=operator.task_id), ti_key=key)


def every_operator(meeting):
    """One of each, about a meeting that is there; in an order in which it stays there to the last."""
    about = {"meeting_id": meeting["id"], **CONN}
    return [
        GetMeetingOperator(task_id="get", **about),
        UpdateMeetingOperator(task_id="update", changes={"location": "There"}, **about),
        ListMeetingsOperator(task_id="list", **WINDOW, **CONN),
        MeetingsSensor(task_id="wait", deferrable=False, **WINDOW, **CONN),
        DeleteMeetingOperator(task_id="delete", **about),
    ]


def test_every_operator_links_to_its_meeting(server, kind, connect):
    """Whatever a task did with one meeting, its link leads to it."""
    connect(kind, web_url_template=PAGE)
    create = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN)
    made = run(create)
    url = f"https://app.example.com/meetings/{made['id']}"
    assert url == link_of(create)
    for operator in every_operator(made):
        run(operator)
        assert url == link_of(operator), operator.task_id
    assert server.meetings(kind) == []


def test_without_a_template_there_is_no_link(kind, connect):
    """No link is an empty one: Airflow would show None as a link to "None"."""
    connect(kind)
    create = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN)
    made = run(create)
    assert link_of(create) == ""
    for operator in every_operator(made):
        run(operator)
        assert link_of(operator) == "", operator.task_id


def test_several_meetings_have_no_link(server, kind, connect):
    """A list, or a sensor, links only where it found exactly one meeting."""
    connect(kind, web_url_template=PAGE)
    ids = server.insert(kind, kind.row(NOON), kind.row(NOON + 1))
    for window, url in (
        (WINDOW, ""),
        ({**WINDOW, "window_start": NOON + 1}, f"https://app.example.com/meetings/{ids[1]}"),
    ):
        for operator in (
            ListMeetingsOperator(task_id="list", **window, **CONN),
            MeetingsSensor(task_id="wait", deferrable=False, **window, **CONN),
        ):
            run(operator)
            assert url == link_of(operator), (operator.task_id, window)
    nobody = ListMeetingsOperator(task_id="list", window_start=NOON + HOUR, window_end=NOON + 2 * HOUR, **CONN)
    run(nobody)
    assert link_of(nobody) == ""


def test_other_fields_of_the_meeting_may_stand_in_it(connect):
    """A template may name any field; a deleted meeting, of which only the id is known, has no such link."""
    connect(HIRINGCENTER, web_url_template="https://app.example.com/{ownerId}/{id}")
    create = CreateMeetingOperator(task_id="create", meeting=HIRINGCENTER.meeting(), **CONN)
    made = run(create)
    assert link_of(create) == f"https://app.example.com/{made['ownerId']}/{made['id']}"
    delete = DeleteMeetingOperator(task_id="delete", meeting_id=made["id"], **CONN)
    run(delete)
    assert link_of(delete) == ""


def test_a_mapped_item_links_to_its_own_meeting(kind, connect):
    """Each map index has the link of its item."""
    connect(kind, web_url_template=PAGE)
    found = {}
    for index in range(3):
        operator = CreateMeetingOperator(task_id="create", meeting=kind.meeting(location=f"Room {index}"), **CONN)
        made = run(operator, context_of("create", map_index=index))
        found[link_of(operator)] = f"https://app.example.com/meetings/{made['id']}"
    assert len(found) == 3
    assert list(found) == list(found.values())


def test_a_task_that_failed_has_no_link(kind, connect):
    """There is no meeting to look at."""
    connect(kind, web_url_template=PAGE)
    get = GetMeetingOperator(task_id="get", meeting_id="4711", **CONN)
    with pytest.raises(MeetingNotFoundError):
        run(get)
    assert link_of(get) == ""


def deferred_and_fired(server, kind):
    """Let a sensor wait in the triggerer; returns the event that ends that, and the id of the meeting in it."""
    first = MeetingsSensor(task_id="wait", deferrable=True, poke_interval=0.05, **WINDOW, **CONN)
    with pytest.raises(TaskDeferred) as deferred:
        run(first)
    assert link_of(first) == ""
    (meeting_id,) = server.insert(kind, kind.row(NOON))

    async def fired():
        return await anext(MeetingsTrigger(**deferred.value.trigger.serialize()[1]).run())

    return json.loads(json.dumps(asyncio.run(fired()).payload)), meeting_id


def test_a_deferred_sensor_links_to_what_it_found(server, kind, connect):
    """It is another process that goes on, with nothing but the event."""
    connect(kind, web_url_template=PAGE)
    event, meeting_id = deferred_and_fired(server, kind)
    sensor = MeetingsSensor(task_id="wait", deferrable=True, **WINDOW, **CONN)
    sensor.execute_complete(context_of("wait"), event)
    assert link_of(sensor) == f"https://app.example.com/meetings/{meeting_id}"


def test_no_connection_is_no_link(server, kind, connect, monkeypatch, caplog):
    """The connection is gone when a deferred sensor goes on: it succeeds without a link, and nobody is warned."""
    connect(kind, web_url_template=PAGE)
    event, meeting_id = deferred_and_fired(server, kind)
    caplog.clear()
    monkeypatch.delenv("AIRFLOW_CONN_MEETINGS")
    sensor = MeetingsSensor(task_id="wait", deferrable=True, **WINDOW, **CONN)
    assert [meeting_id] == [one["id"] for one in sensor.execute_complete(context_of("wait"), event)]
    assert link_of(sensor) == ""
    # Airflow 2 itself complains of the tests' database, which has no tables.
    ours = [record for record in caplog.records if "airflow_provider_meetings" in record.name]
    assert [record for record in ours if record.levelname in {"WARNING", "ERROR"}] == []


def test_airflow_2_reads_the_link_from_xcom(kind, connect, monkeypatch):
    """Its webserver has neither the operator nor the connection: the task leaves the link in XCom."""
    monkeypatch.setattr(links, "stores_links", lambda: False)
    connect(kind, web_url_template=PAGE)
    context = context_of("create")
    made = run(CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN), context)
    pushed = context["ti"].pushed
    assert pushed["_link_MeetingLink"] == f"https://app.example.com/meetings/{made['id']}"
    monkeypatch.setattr(links, "xcom_of", lambda ti_key, key: pushed.get(key) if ti_key == "ti" else None)
    link, shown = links.MeetingLink(), SimpleNamespace(task_id="create")  # what was stored of the operator
    assert link.get_link(shown, ti_key="ti") == pushed["_link_MeetingLink"]
    assert link.get_link(shown, ti_key="another") == ""


def test_airflow_3_stores_it_under_the_same_name():
    """One name, whichever Airflow has stored it; Airflow 2 stores none by itself."""
    is_airflow_3 = importlib.util.find_spec("airflow.sdk") is not None
    assert links.stores_links() == is_airflow_3
    assert links.stores_links() == hasattr(links.MeetingLink(), "xcom_key")
    assert getattr(links.MeetingLink(), "xcom_key", "_link_MeetingLink") == links._XCOM_KEY


@pytest.mark.parametrize("operator", OPERATORS)
def test_airflow_knows_the_link(operator):
    """What Airflow 2 may load for its webserver stands in the provider's description."""
    (link,) = operator.operator_extra_links
    assert f"{type(link).__module__}.{type(link).__qualname__}" in describe("1")["extra-links"]


def test_a_link_asks_nothing(server, connect):
    """It is made of what is known: the vendor is asked nothing for it."""
    for extra in ({}, {"web_url_template": PAGE}):
        connect(HIRINGCENTER, **extra)
        server.control("DELETE", "/journal")
        create = CreateMeetingOperator(task_id="create", meeting=HIRINGCENTER.meeting(), **CONN)
        run(create, **INTERVAL)
        link_of(create)
        assert [row["method"] for row in server.journal()] == ["POST"]
