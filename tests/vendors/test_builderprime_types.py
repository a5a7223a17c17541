"""Builder Prime's meeting types by name: found, not found, and contradicted; without a server."""

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.builderprime_types import as_named, with_type_id

TYPES = [
    dict(zip(("id", "name"), row, strict=True))
    for row in ((1, "Sales Meeting"), (2, "Site Visit"), (3, "Twin"), (4, "Twin"))
]


@pytest.mark.parametrize("beside", [{}, {"meetingTypeId": None}, {"meetingTypeId": 2}, {"meetingTypeId": "02"}])
def test_a_name_becomes_the_id(beside):
    """Also beside an id that says the same; the other fields stay."""
    given = as_named({"title": "x", "meetingTypeName": " Site Visit ", **beside})
    assert with_type_id(given, TYPES) == {"title": "x", "meetingTypeId": 2}


@pytest.mark.parametrize("given", [{"title": "x"}, '{"title": "x"}', "meetingTypeName", None, 7, [1]])
def test_what_says_no_name_is_left_alone(given):
    """The check of the fields says what is wrong with it."""
    assert as_named(given) is None


def test_json_text_may_say_a_name():
    """A template arrives as text."""
    assert as_named('{"meetingTypeName": "Twin"}') == {"meetingTypeName": "Twin"}


@pytest.mark.parametrize("name", ["", " ", "None", 7, ["x"]])
def test_a_name_that_is_none_is_refused(name):
    """It is nearly always a template that came out empty."""
    with pytest.raises(MeetingsConfigurationError, match=r"nothing was sent(.|\n)*meetingTypeName: must be the name"):
        as_named({"meetingTypeName": name})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"meetingTypeName": "Sight Visit"}, "no meeting type is named 'Sight Visit'; the nearest are 'Site Visit'"),
        ({"meetingTypeName": "qqq"}, "no meeting type is named 'qqq'; the nearest are 'Sales Meeting'"),
        ({"meetingTypeName": "Site Visit", "meetingTypeId": 1}, "which has the id 2, but meetingTypeId is 1"),
        ({"meetingTypeName": "Twin"}, "the name of several types: give meetingTypeId, one of 3, 4"),
    ],
)
def test_a_name_that_tells_no_type_is_refused(given, said):
    """The types have been read by then: nothing was written."""
    with pytest.raises(MeetingsConfigurationError, match="nothing was written") as caught:
        with_type_id(given, TYPES)
    assert said in str(caught.value)


def test_a_name_beside_the_id_of_its_twin_tells_which():
    """Two types may have one name."""
    assert with_type_id({"meetingTypeName": "Twin", "meetingTypeId": 4}, TYPES) == {"meetingTypeId": 4}
