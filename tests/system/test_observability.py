"""What others see of a run: links, asset events and numbers, from the worker and from the triggerer."""

import pytest

from tests.system.conftest import RUN_SECONDS
from tests.system.test_waiting import book_as_somebody_else

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

DAG = "observed"
NOTES = "booked while somebody looks"


@pytest.fixture(scope="module")
def observed(system):
    """The system after a run in which a meeting was waited for in the triggerer; and the marks in its numbers."""
    system.api.unpause(DAG)
    run_id = system.api.trigger(DAG, conf={"notes": NOTES})
    system.api.wait_for_states(DAG, run_id, {"wait": "deferred"}, seconds=RUN_SECONDS)
    system.wait_until_left(DAG, run_id, "wait")
    system.marks["deferred"] = system.statsd.mark()
    system.marks["found"] = book_as_somebody_else(system, NOTES)
    assert system.api.wait_for_run(DAG, run_id, seconds=RUN_SECONDS) == "success"
    system.runs[DAG] = run_id
    return system


def _link(system, task_id, map_index=-1):
    path = f"/dags/{DAG}/dagRuns/{system.runs[DAG]}/taskInstances/{task_id}/links"
    return system.api._call("GET", path, params={"map_index": map_index})["extra_links"]


def _events(system, name):
    answer = system.api._call("GET", "/assets/events", params={"source_dag_id": DAG, "order_by": "timestamp"})
    return [event["extra"] for event in answer["asset_events"] if event["name"] == name]


def _xcom(system, task_id, map_index=-1):
    path = f"/dags/{DAG}/dagRuns/{system.runs[DAG]}/taskInstances/{task_id}/xcomEntries/return_value"
    return system.api._call("GET", path, params={"deserialize": "true", "map_index": map_index})["value"]


def test_links_lead_to_the_meetings(observed):
    """Of a plain task, of each mapped one, and of one that was deferred; and none without a template."""
    assert _link(observed, "book") == {"Meeting": f"https://app.example.com/meetings/{_xcom(observed, 'book')['id']}"}
    assert _link(observed, "wait") == {"Meeting": f"https://app.example.com/meetings/{observed.marks['found']}"}
    for index in range(2):
        meeting = _xcom(observed, "book_many", index)
        assert meeting["location"] == f"Room {index + 1}"
        assert _link(observed, "book_many", index) == {"Meeting": f"https://app.example.com/meetings/{meeting['id']}"}
    assert _link(observed, "cancel") == {"Meeting": None}


def test_asset_events_say_what_became_of_which_meeting(observed):
    """Each event of an outlet has the outcome, the id, the vendor and the connection."""
    made = _xcom(observed, "book")["id"]

    def event(outcome, meeting_id, conn_id):
        return {
            "outcome": outcome,
            "meeting_ids": [meeting_id],
            "count": 1,
            "vendor": "hiringcenter",
            "meetings_conn_id": conn_id,
        }

    booked = event("created", made, "hiringcenter_linked")
    assert _events(observed, "observed_booked") == [booked, event("deleted", made, "hiringcenter_default")]
    assert _events(observed, "meetings://hiringcenter_linked/") == [booked]  # what the alias stands for
    assert _events(observed, "observed_found") == [event("found", observed.marks["found"], "hiringcenter_watched")]


def test_numbers_come_from_the_worker(observed):
    """What the tasks made is counted by connection, each request too."""
    tags = {"vendor": "hiringcenter", "conn_id": "hiringcenter_linked"}
    assert observed.statsd.total("meetings.created", **tags) == 3
    assert observed.statsd.total("meetings.requests", method="POST", status="2xx", **tags) == 3
    assert observed.statsd.total("meetings.deleted", conn_id="hiringcenter_default") >= 1


def test_numbers_come_from_the_triggerer(observed):
    """Once the sensor was deferred, only the triggerer asks for it."""
    after = observed.marks["deferred"]
    tags = {"vendor": "hiringcenter", "conn_id": "hiringcenter_watched"}
    assert observed.statsd.total("meetings.requests", after, method="GET", status="2xx", **tags) >= 1
