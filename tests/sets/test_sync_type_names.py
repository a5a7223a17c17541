"""SyncMeetingsOperator on Builder Prime with rows that say the type of their meeting by its name."""

import json

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator
from tests.support.operators import CONN, context_of, run
from tests.support.sandbox import BUILDERPRIME, DAY, NOON

BY_TYPE = ["clientOpportunityId", "meetingTypeName"]


@pytest.fixture
def typed(server, connect):
    """Makes a row of an opportunity that the sandbox has, with a type by its name."""
    connect(BUILDERPRIME)
    opportunities = [one["id"] for one in server.reference()["opportunities"]]

    def make(name, number=0, **changes):
        whole = BUILDERPRIME.meeting(clientOpportunityId=opportunities[number], startDateTime=NOON)
        without = {field: value for field, value in whole.items() if field not in {"meetingTypeId", "endDateTime"}}
        return without | {"meetingTypeName": name} | changes

    return make


def sync(rows, **options):
    """Make and execute an operator."""
    window = {"window_start": NOON - DAY, "window_end": NOON + DAY}
    arguments = {"match_on": BY_TYPE, **window, **CONN} | options
    return run(SyncMeetingsOperator(task_id="sync", meetings=rows, **arguments), context_of("sync"))


def last_body(server):
    """What was sent last."""
    return json.loads(server.journal()[-1]["body"])


def test_rows_are_matched_by_the_name_of_their_type(server, typed):
    """An opportunity has an estimate and an installation, each found again by its type; the types are read once."""
    first, second = [one["name"] for one in server.hook(BUILDERPRIME).list_meeting_types()[:2]]
    before = len(server.journal())
    assert sync([typed(first), typed(second)])["created"] == 2
    assert len([entry for entry in server.journal()[before:] if "meeting-types" in entry["path"]]) == 1
    again = sync([typed(first), typed(second, location="Elsewhere")])

    assert [0, 1, 1] == [again[name] for name in ("created", "updated", "unchanged")]
    listed = server.hook(BUILDERPRIME).list_meetings(NOON, NOON + 1)
    assert {first: "5 Main Street", second: "Elsewhere"} == {one["meetingTypeName"]: one["location"] for one in listed}


def test_a_type_is_changed_by_its_name(server, typed):
    """A type that differs by name is an update that sends the id; None erases it."""
    first, second = server.hook(BUILDERPRIME).list_meeting_types()[:2]
    by_opportunity = {"match_on": ["clientOpportunityId"]}
    sync([typed(first["name"])], **by_opportunity)
    planned = sync([typed(second["name"])], mode="plan", **by_opportunity)
    assert {"meetingTypeName": first["name"]} == planned["changes"][0]["before"]
    assert {"meetingTypeName": second["name"]} == planned["changes"][0]["after"]

    assert sync([typed(second["name"])], **by_opportunity)["updated"] == 1
    assert {"meetingTypeId": second["id"]} == last_body(server)
    assert sync([typed(None)], **by_opportunity)["updated"] == 1
    assert {"meetingTypeId": None} == last_body(server)


def test_unknown_types_are_told_before_anything_is_written(server, typed):
    """Each row whose type the account does not know is named, with the nearest names."""
    with pytest.raises(MeetingsConfigurationError, match="nothing was written") as caught:
        sync([typed("Sails Meeting"), typed("Sales Meeting", 1), typed("Nothing", 2)])

    assert "row 0, meetingTypeName: no meeting type is named 'Sails Meeting'; the nearest are" in str(caught.value)
    assert "row 2, meetingTypeName: no meeting type is named 'Nothing'" in str(caught.value)
    assert {"GET"} == {entry["method"] for entry in server.journal()}


def test_a_refused_plan_has_no_names_looked_up(server, typed):
    """What is wrong on our side is told before the first request."""
    with pytest.raises(MeetingsConfigurationError, match="Nothing was sent"):
        sync([typed("Sales Meeting")], plan_destination="/proc/plan.jsonl")
    assert server.journal() == []
