"""Checking the declared rows of a set: every problem of every row, before anything is sent."""

import json

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sets.matching import Matcher
from airflow_provider_meetings.sets.rows import check_rows
from airflow_provider_meetings.vendors.fields import invalid_arguments
from tests.support.flows import BASE, builderprime, hiringcenter
from tests.support.rows import HOUR, WINDOW, interview, visit


def check(vendor, rows, match_on, **options):
    """Check rows of the day."""
    return check_rows(vendor, rows, match_on, window=WINDOW, **options)


def refused(vendor, rows, match_on, **options):
    """Check rows that are not good; return what is said of them, line by line."""
    with pytest.raises(MeetingsConfigurationError, match="othing was sent") as caught:
        check(vendor, rows, match_on, **options)
    return str(caught.value).split("\n  - ")[1:]


def test_a_row_is_a_body_and_a_key():
    """A good row has the body of a create, its place, and the values that tell which meeting it is."""
    _, rows = check(hiringcenter(), [interview("p1"), interview("p2", location=None)], ["prospectId"])

    assert [0, 1] == [row.index for row in rows]
    assert [{"prospectId": "p1"}, {"prospectId": "p2"}] == [row.match for row in rows]
    assert interview("p2", location=None) == rows[1].declared


def test_none_is_declared_where_a_create_leaves_it_out():
    """Builder Prime's create leaves a None out; the row still declares that the field is empty."""
    _, (row,) = check(builderprime(), [visit(location=None)], ["clientOpportunityId"])

    assert "location" not in row.body
    assert row.declared["location"] is None


def test_a_row_may_be_json_text():
    """A row is what CreateMeetingOperator takes, JSON text of an object included."""
    _, (row,) = check(hiringcenter(), [json.dumps(interview())], ["prospectId"])

    assert row.match == {"prospectId": "p1"}


def test_all_problems_of_all_rows_are_told_at_once():
    """A table with several mistakes is corrected in one go: each is named by row and field."""
    rows = [
        interview("p1", ownerId=None),
        5,
        interview("p2", hour=-1),
        interview("p3", color="red", timeZone="New York"),
        interview("p4"),
    ]
    told = refused(hiringcenter(), rows, ["prospectId"])

    assert {"row 0, ownerId", "row 1, meeting", "row 2, meetingDate", "row 3, color", "row 3, timeZone"} == {
        line.partition(":")[0] for line in told
    }


@pytest.mark.parametrize("bad", [5, None, ["x"], "x", "[1]", 1.5])
def test_a_row_that_is_no_meeting_is_refused(bad):
    """What is neither a dict nor JSON text of one is no row."""
    (told,) = refused(hiringcenter(), [bad], ["prospectId"])

    assert told.startswith("row 0, meeting: ")


def test_many_problems_are_cut_short():
    """A table with a wrong column has a problem in each row: some are shown, the rest are counted."""
    told = refused(hiringcenter(), [{"prospectId": "p"}] * 300, ["prospectId"])

    assert len(told) == 201
    assert told[-1].startswith("and 1000 more")


def test_two_rows_of_one_meeting_are_refused():
    """Rows that are equal in match_on cannot be told apart: both are named."""
    (told,) = refused(hiringcenter(), [interview("p1"), interview("p2"), interview("p1", hour=2)], ["prospectId"])

    assert told == "row 2, match_on: equals row 0 in prospectId=p1"


@pytest.mark.parametrize(("first", "second"), [(7, "7"), (7, "007"), (7, 7)], ids=["digits", "zeros", "number"])
def test_equal_numbers_are_equal_however_they_are_written(first, second):
    """An opportunity is the same one as a number and as digits."""
    assert refused(builderprime(), [visit(first), visit(second, hour=2)], ["clientOpportunityId"])


def test_a_key_field_must_be_there():
    """A row without a value in match_on, or with None, is refused by field."""
    rows = [visit(None), {"title": "x", "startDateTime": BASE}, visit(7)]
    told = refused(builderprime(), rows, ["clientOpportunityId"])

    assert ["row 0, clientOpportunityId", "row 1, clientOpportunityId"] == [line.partition(":")[0] for line in told]


def test_rows_begin_in_the_window():
    """The window is half-open: its end is outside."""
    told = refused(hiringcenter(), [interview("p1", hour=0), interview("p2", hour=24)], ["prospectId"])

    assert len(told) == 1
    assert told[0].startswith("row 1, meetingDate: the meeting begins outside the window [2026-11-21T12:00:00.000Z, ")


def test_rows_pass_the_filters():
    """A row that the filter leaves out would be made again in each run: it is refused."""
    vendor = hiringcenter()
    told = refused(
        vendor, [interview("p1", ownerId="o2")], ["prospectId"], filters=vendor.check_filters({"ownerId": "o1"})
    )

    assert told == ["row 0, ownerId: is 'o2', which the filter ownerId=o1 leaves out"]


def test_a_filter_for_an_employee_needs_the_id():
    """Whether an employee given by email passes the filter cannot be told."""
    vendor = builderprime()
    rows = [visit(1, employee={"email": "a@b.c"}), visit(2, employee={"id": 50}), visit(3)]
    told = refused(vendor, rows, ["clientOpportunityId"], filters=vendor.check_filters({"employee-id": 50}))

    assert ["row 0, employee.id", "row 2, employee.id"] == [line.partition(":")[0] for line in told]


@pytest.mark.parametrize(
    ("vendor", "match_on", "told"),
    [
        (hiringcenter(), [], "must name at least one field"),
        (hiringcenter(), "", "must name at least one field"),
        (hiringcenter(), [5], "must be a list of field names"),
        (hiringcenter(), None, "must be a list of field names"),
        (hiringcenter(), "[prospectId", "not a JSON list"),
        (hiringcenter(), ["prospectID"], "did you mean prospectId?"),
        (hiringcenter(), ["userId"], "does not give it back"),
        (builderprime(), ["reminders"], "does not give it back"),
        (builderprime(), ["title", "color"], "nor in any row's extra_fields"),
    ],
)
def test_match_on_names_fields_that_come_back(vendor, match_on, told):
    """A field that does not exist, or never comes back, cannot tell which meeting is whose."""
    with pytest.raises(MeetingsConfigurationError, match=told):
        check(vendor, [], match_on)


@pytest.mark.parametrize("match_on", ["prospectId", '["prospectId"]', ("prospectId",), ["prospectId", "prospectId"]])
def test_match_on_in_any_form(match_on):
    """One name, JSON text, a tuple, a name twice: the same."""
    assert Matcher.parse(hiringcenter(), match_on).names == ("prospectId",)


@pytest.mark.parametrize(
    ("name", "row", "stored"),
    [
        ("clientOpportunityId", visit(7), {"opportunityId": "7"}),
        ("opportunityId", visit(7), {"opportunityId": 7}),
        ("employee.id", visit(employee={"id": 50}), {"employeeId": 50}),
        ("employeeId", visit(employee={"id": 50}), {"employeeId": "50"}),
        ("title", visit(title="A  &  B"), {"title": "a &amp; b "}),
        ("startDateTime", visit(), {"startDateTime": BASE + HOUR}),
    ],
)
def test_a_key_is_the_same_on_both_sides(name, row, stored):
    """A field may be named as it is sent or as it comes back, and is compared by what it means."""
    matcher, (checked,) = check(builderprime(), [row], [name])

    assert checked.key == matcher.key_of_stored(stored)


def test_ids_keep_their_capitals():
    """HiringCenter's ids are texts in which capitals count."""
    matcher, rows = check(hiringcenter(), [interview("aB"), interview("Ab", hour=2)], ["prospectId"])

    assert rows[0].key != rows[1].key
    assert rows[0].key == matcher.key_of_stored({"prospectId": "aB"})


def test_an_extra_field_may_tell():
    """A field that the vendor's page does not list tells rows apart where the rows have it."""
    rows = [
        interview("p1", extra_fields={"externalId": "x1"}),
        interview("p1", hour=2, extra_fields={"externalId": "x2"}),
    ]
    matcher, checked = check(hiringcenter(), rows, ["externalId"])

    assert [{"externalId": "x1"}, {"externalId": "x2"}] == [row.match for row in checked]
    assert checked[0].key == matcher.key_of_stored({"externalId": "x1"})


TYPES = {"Estimate": 1, "Installation": 2}


def looked_up(given):
    """What the hook makes of a row, with some types that it knows."""
    fields = json.loads(given) if isinstance(given, str) else given
    name = fields["meetingTypeName"]
    if name is not None and name.strip() not in TYPES:
        raise invalid_arguments("nothing was written", {"meetingTypeName": f"no meeting type is named {name!r}"})
    type_id = None if name is None else TYPES[name.strip()]
    return {"meetingTypeId": type_id} | {field: value for field, value in fields.items() if field != "meetingTypeName"}


BY_TYPE = ["clientOpportunityId", "meetingTypeName"]


def test_a_name_in_place_of_an_id_is_compared_and_the_id_is_sent():
    """A row with a type's name is matched and compared by the name, which comes back; the body has the id."""
    rows = [visit(meetingTypeName=" Estimate "), json.dumps(visit(meetingTypeName="Installation"))]
    matcher, checked = check(builderprime(), rows, BY_TYPE, resolve=looked_up)

    assert [("7", "estimate"), ("7", "installation")] == [row.key for row in checked]
    assert visit(meetingTypeId=1) == checked[0].body
    assert visit(meetingTypeName="Estimate") == checked[0].declared == checked[0].shown
    assert {"title": "x", "meetingTypeId": 2} == checked[1].to_send({"title": "x", "meetingTypeName": "Installation"})
    assert matcher.key_of_stored({"opportunityId": 7, "meetingTypeName": "Estimate"}) == checked[0].key


def test_a_name_and_its_id_are_both_declared():
    """Who gives both has both compared, where they come back."""
    _, (row,) = check(builderprime(), [visit(meetingTypeName="Estimate", meetingTypeId=1)], BY_TYPE, resolve=looked_up)

    assert visit(meetingTypeName="Estimate", meetingTypeId=1) == row.declared == row.shown
    assert visit(meetingTypeId=1) == row.body


def test_a_name_that_is_none_means_that_there_is_no_type():
    """None in place of a name erases the type."""
    _, (row,) = check(builderprime(), [visit(meetingTypeName=None)], ["clientOpportunityId"], resolve=looked_up)

    assert row.declared["meetingTypeName"] is None
    assert visit() == row.shown
    assert {"meetingTypeId": None} == row.to_send({"meetingTypeName": None})


def test_unknown_names_are_told_all_at_once_by_row_and_field():
    """What only the vendor can tell is told for all rows together, and that nothing was written."""
    rows = [visit(1, meetingTypeName="Estimat"), visit(2, meetingTypeName="Estimate"), visit(3, meetingTypeName="x")]
    with pytest.raises(MeetingsConfigurationError, match="nothing was written") as caught:
        check(builderprime(), rows, BY_TYPE, resolve=looked_up)

    assert [
        "row 0, meetingTypeName: no meeting type is named 'Estimat'",
        "row 2, meetingTypeName: no meeting type is named 'x'",
    ] == str(caught.value).split("\n  - ")[1:]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"meetingTypeName": ""}, "row 1, meetingTypeName: must be the name of a meeting type"),
        ({"meetingTypeName": None}, "row 1, meetingTypeName: is missing, None or empty"),
        ({"meetingTypeName": "x", "colour": "red"}, "row 1, colour: is not a field"),
        ({"meetingTypeName": "estimate "}, "row 1, match_on: equals row 0"),
        ({"meetingTypeId": 1}, "row 1, meetingTypeName: is missing, None or empty"),
    ],
)
def test_what_can_be_told_without_the_names_is_told_before_they_are_looked_up(changes, told):
    """Nothing is sent where a row is wrong already."""
    (problem,) = refused(
        builderprime(), [visit(meetingTypeName="Estimate"), visit(**changes)], BY_TYPE, resolve=pytest.fail
    )

    assert problem.startswith(told)


def test_what_is_wrong_with_the_connection_is_no_rows_problem():
    """An error that names no field goes on as it is."""

    def resolve(_):
        raise MeetingsConfigurationError("There is no such connection.")

    with pytest.raises(MeetingsConfigurationError, match="There is no such connection"):
        check(builderprime(), [visit(meetingTypeName="Estimate")], BY_TYPE, resolve=resolve)
