"""The common record: the same columns for the meetings of both vendors."""

import json

import pytest

from airflow_provider_meetings.core.json_text import to_json, whole_text
from airflow_provider_meetings.hooks.resolve import record_mapping_of
from airflow_provider_meetings.vendors.records import COLUMNS

# The example of "Create, list, and manage meetings".
HIRINGCENTER = {
    "id": "f4d8a2c17b9e4f3aa6c01d5e7b2f9c44",
    "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
    "meetingDate": 1717170000000,
    "timeZone": "America/New_York",
    "meetingType": "virtual",
    "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    "location": "Zoom",
    "notes": "Review benefits package and next interview steps.",
    "createdBy": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    "createdByApi": False,
    "createdByApiKeyId": None,
    "createdByApiKeyName": None,
    "createdAt": 1717014400000,
    "updatedAt": 1717014400000,
    "review": None,
}
# A listed meeting: the excerpts of "Working with meetings through the API", and what public clients read.
BUILDERPRIME = {
    "id": 2176,
    "title": "Estimate for Johnny Cash",
    "location": "200 Caudill Dr, Hendersonville, TN 37075",
    "startDateTime": 1740875400000,
    "endDateTime": 1740882600000,
    "createdDate": 1740000000000,
    "employeeId": 50,
    "employeeFirstName": "Hermoine",
    "employeeLastName": "Granger",
    "clientFirstName": "Johnny",
    "clientLastName": "Cash",
    "clientId": 9,
    "opportunityId": 102988,
    "meetingTypeName": "Sales Meeting",
    "isMeetingCancelled": False,
    "lastModifiedDate": 1740000060000,
}


def record(vendor, meeting):
    """Make the common record of a meeting."""
    return record_mapping_of(vendor).common_record(meeting, "crm")


#: What each column has: of HiringCenter's example, and of Builder Prime's.
EXPECTED = {
    "id": ("f4d8a2c17b9e4f3aa6c01d5e7b2f9c44", "2176"),
    "vendor": ("hiringcenter", "builderprime"),
    "connection": ("crm", "crm"),
    "starts_at": (1717170000000, 1740875400000),
    "ends_at": (None, 1740882600000),
    "time_zone": ("America/New_York", None),
    "title": (None, "Estimate for Johnny Cash"),
    "type": ("virtual", "Sales Meeting"),
    "location": ("Zoom", "200 Caudill Dr, Hendersonville, TN 37075"),
    "notes": ("Review benefits package and next interview steps.", None),
    "counterpart_id": ("c1a7e9d34b8f4c2aa6d15e0f7b3c9d42", "102988"),
    "counterpart_name": (None, "Johnny Cash"),
    "owner_id": ("b2e7a1d94c3f4a8eb6d05c1f9a7e2d45", "50"),
    "owner_name": (None, "Hermoine Granger"),
    "cancelled": (None, False),
    "created_at": (1717014400000, 1740000000000),
    "updated_at": (1717014400000, 1740000060000),
}


@pytest.mark.parametrize(("number", "meeting"), enumerate([HIRINGCENTER, BUILDERPRIME]), ids=EXPECTED["vendor"])
def test_every_column_that_the_vendor_has_a_field_for(number, meeting):
    """None in the others; ids become text, and first and last names become one."""
    made = record(EXPECTED["vendor"][number], meeting)
    assert meeting == json.loads(made.pop("raw"))
    assert [(column, values[number]) for column, values in EXPECTED.items()] == list(made.items())


@pytest.mark.parametrize("vendor", ["hiringcenter", "builderprime"])
def test_what_a_meeting_does_not_say_is_none(vendor):
    """A meeting with nothing but an id has every column."""
    made = record(vendor, {"id": "1"})
    assert list(COLUMNS) == list(made)
    assert {"id": "1", "vendor": vendor, "connection": "crm", "raw": '{"id":"1"}'} == {
        name: value for name, value in made.items() if value is not None
    }


@pytest.mark.parametrize(
    ("given", "column", "expected"),
    [
        ({"clientFirstName": None, "clientLastName": "Cash"}, "counterpart_name", "Cash"),
        ({"clientFirstName": "Johnny", "clientLastName": " "}, "counterpart_name", "Johnny"),
        ({"clientFirstName": "", "clientLastName": None}, "counterpart_name", None),
        ({"isMeetingCancelled": True}, "cancelled", True),
        ({"isMeetingCancelled": "no idea"}, "cancelled", None),
        ({"endDateTime": "2027-01-11T15:00:00Z"}, "ends_at", 1799679600000),
        ({"endDateTime": "soon"}, "ends_at", None),
        ({"endDateTime": 10**18}, "ends_at", None),
        ({"title": "Lunch \ud83d"}, "title", "Lunch \ufffd"),
        ({"title": "Lunch \ud83c\udf55"}, "title", "Lunch 🍕"),
        ({"location": {"room": "5"}}, "location", '{"room":"5"}'),
    ],
)
def test_values_that_are_unusual(given, column, expected):
    """What can be read is read, what cannot is None, and no text is without a UTF-8 form."""
    assert expected == record("builderprime", {"id": 1} | given)[column]


def test_another_connection_type_has_no_mapping():
    """A type that is not of this provider is None, not an error."""
    assert record_mapping_of("http") is None


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "é", "b": [1, None, True, 0.5]}, '{"a":"é","b":[1,null,true,0.5]}'),
        ({"a": float("inf"), "b": [float("-inf"), float("nan")]}, '{"a":null,"b":[null,null]}'),
        (
            {"a\ud83d": ["\ud83d", {"b": "\udc00x"}], "c": float("inf")},
            '{"a\ufffd":["\ufffd",{"b":"\ufffdx"}],"c":null}',
        ),
        ({"line": "one\ntwo\u2028three"}, '{"line":"one\\ntwo\u2028three"}'),
        ({"large": 2**70}, '{"large":1180591620717411303424}'),
    ],
)
def test_json_that_every_reader_takes(monkeypatch, fast, value, expected):
    """Both encoders give the same bytes, and never what JSON does not have."""
    if not fast:
        monkeypatch.setattr("airflow_provider_meetings.core.json_text._fast", None)
    assert expected == to_json(value).decode()


def test_whole_text_keeps_what_is_whole():
    """Only halves of pairs are replaced."""
    assert ["plain", "é🍕", "\ufffdx\ufffd"] == [whole_text(text) for text in ("plain", "é🍕", "\udc00x\ud83c")]
