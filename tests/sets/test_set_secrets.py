"""No key is in what a set writes down: its plan's file, its state, its form, its store, its XComs, its log."""

import json

import pytest

from tests.security.canaries import PLANTED, secrets
from tests.security.leaks import Search
from tests.support.sandbox import BUILDERPRIME, DAY, NOON
from tests.support.task_runner import TaskOnAirflow

WINDOW = {"window_start": str(NOON - DAY), "window_end": str(NOON + DAY)}
NARROW = ("read_api_key", "create_api_key", "edit_api_key", "delete_api_key")


@pytest.fixture
def left(server, connect, monkeypatch, tmp_path, capfd):
    """What two sets leave behind, by place: one that has made a meeting, and one that asks whether to delete it."""
    facts = server.facts["builderprime"]
    connect(BUILDERPRIME, **{name: facts[name] for name in NARROW if name in facts})
    meeting = BUILDERPRIME.meeting(title=PLANTED)
    usual = {"match_on": ["clientOpportunityId"], "meetings_conn_id": "meetings", **WINDOW}
    files = {"plan_destination": f"file://{tmp_path}/plan.jsonl", "state": f"file://{tmp_path}/state.json"}
    made = TaskOnAirflow(monkeypatch, meetings=[meeting], **usual, **files)
    assert made.start().state == "success"
    asking = TaskOnAirflow(
        monkeypatch, meetings=[], delete_missing=True, max_deletes=9, approval="deletes", **usual, **files
    )
    assert asking.start().state == "awaiting_input"
    kept = [[one.supervisor.store, one.supervisor.xcoms] for one in (made, asking)]
    return {
        "plan": (tmp_path / "plan.jsonl").read_bytes(),
        "state": (tmp_path / "state.json").read_bytes(),
        "form": asking.form.model_dump_json().encode(),
        "kept": json.dumps(kept, default=str).encode(),
        "log": "".join(capfd.readouterr()).encode(),
    }


def test_no_key_is_in_what_a_set_leaves_behind(server, left):
    """Neither the account's key nor a narrower one is anywhere, in any form of writing."""
    search = Search(secrets(server.facts))
    assert [] == [leak for place, data in left.items() for leak in search.data(place, data)]


def test_the_same_search_finds_what_is_there(left):
    """A title that is planted in a row is in the plan, in the form, and in the log."""
    search = Search({"it": PLANTED})
    places = {leak.place for place, data in left.items() for leak in search.data(place, data)}
    assert {"plan", "form", "log"} <= places
