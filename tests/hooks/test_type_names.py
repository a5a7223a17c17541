"""Builder Prime: a meeting type by name, and ids in another spelling, against the sandbox."""

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsPermissionError
from tests.support.sandbox import BUILDERPRIME

NAMED = {"meetingTypeName": "Sales Meeting"}


def sent(server):
    """Methods and paths of the requests that came."""
    return [(row["method"], row["path"].rpartition("/api")[2]) for row in server.journal()]


def test_a_type_by_name_is_looked_up_once_per_hook(server):
    """A create and an update send the id."""
    hook = server.hook(BUILDERPRIME)
    meeting = {name: value for name, value in BUILDERPRIME.meeting().items() if name != "meetingTypeId"}
    made = hook.create_meeting({**meeting, **NAMED})
    assert made["meetingTypeName"] == "Sales Meeting"
    assert hook.update_meeting(made["id"], {"meetingTypeName": None})["meetingTypeName"] is None
    assert hook.update_meeting(made["id"], NAMED)["meetingTypeName"] == "Sales Meeting"
    assert hook.check_meeting({**meeting, **NAMED}) == hook.check_meeting({**meeting, "meetingTypeId": 1011})
    assert len([path for _, path in sent(server) if "meeting-types" in path]) == 1


@pytest.mark.parametrize("extra", [{"meetingTypeName": "Sails Meeting"}, {**NAMED, "meetingTypeId": 1}])
def test_a_wrong_name_writes_nothing(server, extra):
    """Only the types are read."""
    hook = server.hook(BUILDERPRIME)
    for call in (
        lambda: hook.create_meeting({**BUILDERPRIME.meeting(), "meetingTypeId": None, **extra}),
        lambda: hook.update_meeting(1, extra),
    ):
        with pytest.raises(MeetingsConfigurationError, match=r"nothing was written(.|\n)*Sales Meeting"):
            call()
    assert {method for method, _ in sent(server)} == {"GET"}


def test_other_problems_are_told_before_the_types_are_read(server):
    """Nothing is sent for a meeting that cannot be right."""
    with pytest.raises(MeetingsConfigurationError, match="startDateTime: is required"):
        server.hook(BUILDERPRIME).create_meeting(NAMED)
    assert sent(server) == []


def test_without_its_scope_the_error_names_it(server):
    """A key that may only write cannot look a name up."""
    hook = server.hook(BUILDERPRIME, read_api_key=server.facts["builderprime"]["create_api_key"])
    with pytest.raises(MeetingsPermissionError, match=r"meetingtypes\.read"):
        hook.create_meeting({**BUILDERPRIME.meeting(), "meetingTypeId": None, **NAMED})
    assert {method for method, _ in sent(server)} == {"GET"}


@pytest.mark.parametrize("spelling", ["00{}", " {} "])
def test_an_id_in_another_spelling_is_the_same(server, spelling):
    """A write is not sent first and refused then, when the answer has the id as the vendor spells it."""
    hook = server.hook(BUILDERPRIME)
    made = hook.create_meeting(BUILDERPRIME.meeting())
    other = spelling.format(made["id"])
    assert hook.update_meeting(other, {"title": "x"})["title"] == "x"
    assert hook.get_meeting(other)["id"] == made["id"]
    assert hook.delete_meeting(other) is True
