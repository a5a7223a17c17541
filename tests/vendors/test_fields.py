"""Both vendors' tables of fields, the filters, ids and keys: what is taken, what is refused, and how it is said."""

import enum
import json
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.core.times import check_time_zone
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.fields import KINDS, check_filters, check_id, check_key, reference
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from tests.support.flows import BASE, builderprime, examples, hiringcenter

HC, BP = HiringCenter.fields, BuilderPrime.fields
INTERVIEW = {
    "prospectId": "p1",
    "meetingDate": BASE,
    "timeZone": "America/New_York",
    "meetingType": "virtual",
    "ownerId": "u1",
}
VISIT = {"startDateTime": BASE}


def problems(check, given):
    """Names of the problems that a check reports, in order."""
    with pytest.raises(MeetingsConfigurationError) as caught:
        check(given)
    assert "nothing was sent" in str(caught.value).lower()
    return [line.split(":")[0].removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def said(check, given):
    """The text of the refusal."""
    with pytest.raises(MeetingsConfigurationError) as caught:
        check(given)
    return str(caught.value)


def test_a_whole_interview_is_sent_as_documented():
    """Every field of the page, in the order given, dates as milliseconds."""
    meeting = INTERVIEW | {"userId": "u2", "location": "Zoom", "notes": None, "meetingDate": "2026-11-21T12:00Z"}
    assert HC.for_create(meeting) == INTERVIEW | {"userId": "u2", "location": "Zoom", "notes": None}


def test_a_whole_visit_is_sent_as_documented():
    """The example of the vendor's page, with digits where a template rendered numbers."""
    meeting = {
        "clientOpportunityId": "102988",
        "title": "Created from API 1",
        "location": "5 Spooner St, Providence, RI 02907",
        "startDateTime": "1742403600000",
        "endDateTime": 1742410800000,
        "employee": {"id": "50", "firstName": "Betty", "lastName": "Brown"},
        "meetingTypeId": " 1011 ",
        "meetingResultId": 1001,
        "reminders": [{"unitsBefore": "30", "unitType": "MINUTES"}],
    }
    expected = meeting | {
        "clientOpportunityId": 102988,
        "startDateTime": 1742403600000,
        "employee": {"id": 50, "firstName": "Betty", "lastName": "Brown"},
        "meetingTypeId": 1011,
        "reminders": [{"unitsBefore": 30, "unitType": "MINUTES"}],
    }
    assert expected == BP.for_create(meeting)


def test_a_missing_or_none_required_field_is_named():
    """All required fields at once."""
    assert problems(HC.for_create, {})[:5] == ["prospectId", "meetingDate", "timeZone", "meetingType", "ownerId"]
    assert problems(HC.for_create, INTERVIEW | {"prospectId": None}) == ["prospectId"]
    assert problems(BP.for_create, {"title": "x"}) == ["startDateTime"]
    assert problems(BP.for_create, {"startDateTime": None}) == ["startDateTime"]


def test_all_problems_are_told_at_once_by_field():
    """Nobody should have to send a meeting five times to learn five things."""
    meeting = {
        "prospectId": "None",
        "meetingDate": "soon",
        "timeZone": "Mars",
        "meetingType": "",
        "ownerId": 5.5,
        "notes": [7],
        "colour": "red",
    }
    assert {*meeting} == set(problems(HC.for_create, meeting))
    visit = {"startDateTime": "soon", "title": "", "employee": {}, "reminders": "no", "meetingTypeId": "x", "extra": 1}
    assert {*visit} == set(problems(BP.for_create, visit))


@pytest.mark.parametrize(
    ("check", "given", "hint"),
    [
        (HC.for_create, INTERVIEW | {"meetingdate": 1}, "did you mean meetingDate"),
        (HC.for_update, {"note": "x"}, "did you mean notes"),
        (HC.for_update, {"prospectId": "p2"}, "cannot be changed"),
        (BP.for_create, VISIT | {"clientOpportunityID": 1}, "did you mean clientOpportunityId"),
        (BP.for_update, {"zzz": 1}, "extra_fields"),
        (BP.for_update, {5: 1}, "is not a field"),
    ],
)
def test_an_unknown_field_is_refused_with_a_hint(check, given, hint):
    """Misspelt fields would be ignored by the vendor without a word."""
    assert hint in said(check, given)


@pytest.mark.parametrize("field", ["location", "notes"])
def test_none_clears_what_hiringcenter_lets_be_cleared(field):
    """As null, in an update and in a create; a blank text is the vendor's to keep."""
    assert {field: None} == HC.for_update({field: None})
    assert INTERVIEW | {field: None} == HC.for_create(INTERVIEW | {field: None})
    assert {field: ""} == HC.for_update({field: ""})


@pytest.mark.parametrize("field", ["meetingDate", "timeZone", "meetingType", "ownerId", "userId"])
def test_what_hiringcenter_keeps_cannot_be_cleared(field):
    """Neither with None nor with a blank, and the field is named."""
    assert [field] == problems(HC.for_update, {field: None})
    assert [field] == problems(HC.for_update, {field: " "})


@pytest.mark.parametrize("field", [field.name for field in BP.table if field.name != "startDateTime"])
def test_builder_prime_erases_with_none_and_never_with_a_blank(field):
    """None is sent as null in an update and left out of a create; a blank came out of an empty template."""
    assert {field: None} == BP.for_update({field: None})
    assert BP.for_create(VISIT | {field: None}) == VISIT
    for blank in ("", "  ", "\n"):
        assert "None removes it on purpose" in said(BP.for_update, {field: blank})
        assert [field] == problems(BP.for_create, VISIT | {field: blank})


def test_the_start_of_a_visit_cannot_be_cleared():
    """A meeting without a start is none."""
    assert problems(BP.for_update, {"startDateTime": None}) == ["startDateTime"]


@pytest.mark.parametrize("value", ["None", "none", "null", "NaN", "undefined", " None "])
@pytest.mark.parametrize("field", ["prospectId", "ownerId", "userId"])
def test_an_id_that_came_out_as_nothing_is_refused(field, value):
    """A template over a missing value renders the word None."""
    assert [field] == problems(HC.for_create, INTERVIEW | {field: value})


@pytest.mark.parametrize("value", ["x", "-1", "1.0", 1.5, True, -1, [], {}, "None", "\uff11\uff12", "9" * 5000])
@pytest.mark.parametrize("field", ["clientOpportunityId", "meetingTypeId", "meetingResultId"])
def test_a_number_is_a_whole_number_or_its_digits(field, value):
    """Templates render digits; anything else is refused by name."""
    assert [field] == problems(BP.for_update, {field: value})


@pytest.mark.parametrize("value", [0, 7, "7", " 7 ", "007"])
def test_digits_are_taken_for_numbers(value):
    """They go out as numbers."""
    assert {"meetingTypeId": int(value)} == BP.for_update({"meetingTypeId": value})


@pytest.mark.parametrize("value", [1.5, 5.0, True, [], {}, b"x"])
@pytest.mark.parametrize(
    ("check", "field"), [(HC.for_update, "notes"), (HC.for_update, "meetingType"), (BP.for_update, "title")]
)
def test_text_is_text(check, field, value):
    """What is no text, nor a whole number that a native template made of digits, is a mistake."""
    assert [field] == problems(check, {field: value})


@pytest.mark.parametrize(
    ("check", "field"), [(HC.for_update, "notes"), (BP.for_update, "title"), (HC.for_update, "ownerId")]
)
def test_text_that_cannot_be_encoded_is_refused_by_name(check, field):
    """Half a surrogate pair is no character and has no bytes."""
    assert [field] == problems(check, {field: "a\ud800"})
    assert [field] == problems(check, json.dumps({field: "a\ud800"}))


def test_a_naive_date_is_local_time_of_the_zone_beside_it():
    """Only where that zone is given and right; Builder Prime has no such field."""
    meeting = INTERVIEW | {"meetingDate": "2026-11-21T07:00"}
    assert HC.for_create(meeting)["meetingDate"] == BASE
    assert "a date without a time" in said(HC.for_create, meeting | {"meetingDate": "2026-11-21"})
    assert problems(HC.for_update, {"meetingDate": "2026-11-21T07:00"}) == ["meetingDate"]
    assert {"meetingDate", "timeZone"} == set(problems(HC.for_create, meeting | {"timeZone": "Mars"}))
    assert "01:30:00-04:00 or" in said(HC.for_create, meeting | {"meetingDate": "2026-11-01T01:30"})
    assert problems(BP.for_create, {"startDateTime": "2026-11-21T07:00"}) == ["startDateTime"]


@pytest.mark.parametrize("value", [1_795_262_400, "1795262400", 0, -5])
def test_seconds_are_not_taken_for_milliseconds(value):
    """A meeting in January 1970 is a mistake of unit."""
    assert "before 1973" in said(BP.for_create, {"startDateTime": value})


@pytest.mark.parametrize("end", [BASE, BASE - 1])
def test_a_visit_ends_after_it_starts(end):
    """Where both are in one body."""
    assert problems(BP.for_create, VISIT | {"endDateTime": end}) == ["endDateTime"]
    assert {"endDateTime": end} == BP.for_update({"endDateTime": end})


@pytest.mark.parametrize("given", [{"id": 50}, {"email": "a@b.c"}, {"firstName": "Betty", "lastName": "Brown"}])
def test_an_employee_is_named_in_one_of_three_ways(given):
    """By id, by email, or by both names."""
    assert {"employee": given} == BP.for_update({"employee": given})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"firstName": "Betty"},
        {"id": ""},
        {"id": None},
        {"id": "x"},
        {"id": 50, "email": ""},
        {"email": "None"},
        {"id": 50, "phone": "1"},
        {1: 2},
        "50",
        50,
        [{"id": 50}],
    ],
)
def test_an_employee_that_names_nobody_is_refused(given):
    """Half a name, a blank, an unknown part."""
    assert problems(BP.for_update, {"employee": given}) == ["employee"]


def test_reminders_may_be_none_at_all():
    """An empty list is a list."""
    assert BP.for_update({"reminders": []}) == {"reminders": []}


@pytest.mark.parametrize(
    "given",
    [
        {"unitsBefore": 30, "unitType": "MINUTES"},
        [30],
        [{"unitsBefore": 30}],
        [{"unitsBefore": 30, "unitType": "MINUTES", "x": 1}],
        [{"unitsBefore": -1, "unitType": "MINUTES"}],
        [{"unitsBefore": 30, "unitType": ""}],
        [{"unitsBefore": 30, "unitType": 5}],
        "30",
    ],
)
def test_a_reminder_that_is_none_is_refused(given):
    """Exactly the two parts of the page."""
    assert problems(BP.for_update, {"reminders": given}) == ["reminders"]


def test_extra_fields_go_through_unchecked():
    """For fields that the vendor has and the page does not list."""
    assert BP.for_update({"title": "x", "extra_fields": {"colour": None, "n": [1]}}) == {
        "title": "x",
        "colour": None,
        "n": [1],
    }
    assert BP.for_update({"extra_fields": {"colour": ""}}) == {"colour": ""}


@pytest.mark.parametrize(
    "extra", ["x", [], 5, {1: 2}, {"a": {1, 2}}, {"a": float("nan")}, {"title": "y"}, {"a": "\ud800"}, {"a": b"x"}]
)
def test_extra_fields_are_a_dict_of_plain_json_beside_the_rest(extra):
    """What cannot be sent, or says a field twice, is refused before anything is sent."""
    assert problems(BP.for_update, {"title": "x", "extra_fields": extra}) == ["extra_fields"]


@pytest.mark.parametrize("given", [{}, {"extra_fields": {}}, {"extra_fields": None}])
def test_changes_that_change_nothing_are_refused(given):
    """An empty update is a mistake of the DAG."""
    assert problems(BP.for_update, given) == ["changes"]


def test_json_text_is_understood():
    """A template that is not rendered as a native object arrives as text."""
    assert HC.for_create(INTERVIEW) == HC.for_create(json.dumps(INTERVIEW))


@pytest.mark.parametrize("given", ["", "None", "{'title': 'x'}", "[1]", '"x"', "5", None, 5, [], [("title", "x")]])
def test_what_is_no_dict_is_refused(given):
    """Python's own spelling of a dict is no JSON."""
    assert problems(BP.for_update, given) == ["changes"]


def test_nothing_that_was_given_is_changed():
    """The DAG author's dict stays what it was."""
    given = INTERVIEW | {"extra_fields": {"a": 1}}
    before = json.dumps(given)
    HC.for_create(given)
    assert before == json.dumps(given)


TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@examples(100)
@given(TEXT, st.integers(0, 2**53), st.integers(BASE, BASE + 10**10))
def test_what_is_right_goes_through_as_it_is(text, number, moment):
    """Any text, any number, any date; the body is JSON."""
    visit = {"title": text, "meetingTypeId": number, "startDateTime": moment}
    assert visit == json.loads(json.dumps(BP.for_create(visit)))


NO_IDS = ["", " ", None, "None", "null", "a/b", "a?b", "a#b", "..", ".", "a b", "a\tb", "a\x00", "é", "%2e", "a\\b"]


@pytest.mark.parametrize("value", [*NO_IDS, "a;b", "1\n2", True, 1.5, [], {}, b"1"])
def test_an_id_is_one_path_segment(value):
    """Whatever is empty or would change the path is refused before a byte is sent."""
    with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
        check_id(value)


@pytest.mark.parametrize(("value", "expected"), [(7, "7"), ("7", "7"), (" 7 ", "7"), ("f4d8-a_b.c~1", "f4d8-a_b.c~1")])
def test_an_id_may_be_a_number_or_text(value, expected):
    """White space that a template left around it is taken off."""
    assert expected == check_id(value)


@pytest.mark.parametrize("key", ["a", "x" * 512, "a b", "~!@#", None])
def test_a_key_is_taken_as_it_is(key):
    """1 to 512 printable ASCII characters."""
    assert key == check_key(key)


@pytest.mark.parametrize("key", ["", " ", " a", "a ", "x" * 513, "a\nb", "a\r\nX: 1", "é", "a\x7f", 5, b"a", True])
def test_a_key_that_no_header_carries_is_refused(key):
    """Too long, broken lines, other alphabets; hashing is the operators' business."""
    with pytest.raises(MeetingsConfigurationError, match="idempotency_key"):
        check_key(key)


def test_filters_are_the_vendors_own_parameters():
    """In a stable order, as text; none at all is fine."""
    kinds = BuilderPrime.filters
    assert check_filters("X", kinds, {"opportunity-id": "7", "employee-id": 50}) == (
        ("employee-id", "50"),
        ("opportunity-id", "7"),
    )
    assert check_filters("X", HiringCenter.filters, '{"ownerId": "u"}') == (("ownerId", "u"),)
    assert () == check_filters("X", kinds, None) == check_filters("X", kinds, {})


@pytest.mark.parametrize(
    "filters",
    [{"employee-id": ""}, {"employee-id": None}, {"employee-id": "x"}, {"employeeId": 5}, {"page": 3}, "x", 5, ["a"]],
)
def test_a_wrong_filter_is_refused(filters):
    """A filter that came out empty would list everybody's meetings."""
    with pytest.raises(MeetingsConfigurationError, match=r"nothing was sent|must be a dict"):
        check_filters("X", BuilderPrime.filters, filters)


@pytest.mark.parametrize("fields", [HC, BP], ids=["hiringcenter", "builderprime"])
def test_the_tables_speak_of_kinds_that_exist(fields):
    """And every field has its line in the reference."""
    assert {field.kind for field in fields.table} <= {*KINDS, *fields.own_kinds, "moment"}
    assert [field.name for field in fields.table] == [row["field"] for row in reference(fields.table)]
    assert len(fields.table) == len({field.name for field in fields.table})


class _NumpyInteger:
    """An integer that is no int, as numpy and pandas have them."""

    def __index__(self):
        return 7


@pytest.mark.parametrize("value", [7, "7", 7.0, Decimal(7), Decimal("7.00"), _NumpyInteger()])
def test_whole_numbers_of_any_kind_are_numbers_and_ids(value):
    """What data engineers have in hand."""
    assert check_id(value) == KINDS["id"](value) == "7"
    assert KINDS["number"](value) == 7
    assert dict(check_filters("X", HiringCenter.filters, {"prospectId": value})) == {"prospectId": "7"}
    if not isinstance(value, float):
        assert KINDS["text"](value) == "7"


@pytest.mark.parametrize("value", [float(BASE), Decimal(BASE)])
def test_whole_numbers_of_any_kind_are_moments(value):
    """Epoch milliseconds that a table has widened."""
    assert HC.for_update({"meetingDate": value}) == {"meetingDate": BASE}
    assert BP.for_update({"startDateTime": value}) == {"startDateTime": BASE}


@pytest.mark.parametrize("value", ["20261121", 20261121, "202611211200", "20261121120000"])
@pytest.mark.parametrize(("check", "field"), [(HC.for_update, "meetingDate"), (BP.for_update, "startDateTime")])
def test_a_date_in_digits_is_no_moment(check, field, value):
    """As milliseconds it would be a moment of 1970, 1976 or 2612."""
    assert "2026-11-21T" in said(check, {field: value})


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("7.5"), Decimal("1E+999999")])
def test_a_decimal_that_is_no_whole_number_is_no_id(value):
    """Nor is one written out that would fill the memory."""
    with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
        check_id(value)
    assert problems(BP.for_update, {"meetingTypeId": value}) == ["meetingTypeId"]


def test_a_decimal_keeps_its_digits_as_text():
    """A float does not, and stays refused."""
    assert KINDS["text"](Decimal("5.50")) == "5.50"
    assert HC.for_update({"notes": Decimal(5)}) == {"notes": "5"}


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (HC.for_update, {"a\ud83d": 1}),
        (BP.for_update, {"a\ud83d": 1}),
        (BP.for_update, {"employee": {"a\ud83d": 1}}),
        (BP.for_update, {"reminders": [{"unitsBefore": 1, "unitType": "a\ud83d"}]}),
    ],
)
def test_an_error_about_half_an_emoji_can_be_logged(check, given):
    """Nothing of it is a text that has no bytes."""
    assert said(check, given).encode()


def test_an_error_about_half_an_emoji_in_a_filter_can_be_logged():
    """Likewise."""
    with pytest.raises(MeetingsConfigurationError) as caught:
        check_filters("X", HiringCenter.filters, {"a\ud83d": 1})
    assert str(caught.value).encode()


def test_a_uuid_is_an_id():
    """In its usual spelling."""
    value = uuid.UUID(int=7)
    assert check_id(value) == KINDS["id"](value) == "00000000-0000-0000-0000-000000000007"


def test_an_empty_cell_of_a_data_frame_is_no_text():
    """Pandas has nan where a table has nothing."""
    assert "an empty cell of a data frame" in said(HC.for_update, {"notes": float("nan")})


@pytest.mark.parametrize("value", ["NaT", "<NA>", "nan", 7.5, Decimal("7.5"), Decimal("NaN")])
def test_what_pandas_has_for_nothing_is_refused(value):
    """A missing value is no id."""
    with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
        check_id(value)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Z", "UTC"),
        ("PST", "America/Los_Angeles"),
        ("edt", "America/New_York"),
        ("ET", "America/New_York"),
        ("JST", "Asia/Tokyo"),
        ("AEST", "Australia/Sydney"),
        ("AKDT", "America/Anchorage"),
        ("MSK", "Europe/Moscow"),
        ("Pacific", "America/Los_Angeles"),
        ("Eastern Time", "America/New_York"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("Central Time (US & Canada)", "America/Chicago"),
        ("New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_an_abbreviation_gets_the_zone_that_it_stands_for(name, zone):
    """The nearest spelling would be hours away."""
    with pytest.raises(ValueError, match=rf"did you mean {zone}\?"):
        check_time_zone(name)


@pytest.mark.parametrize(
    "name", ["IST", "ADT", "XYZ", "UTC+1", "GMT+1", "GMT-5", "+01:00", "UTC/GMT+1", "Central Europe"]
)
def test_what_could_be_hours_away_gets_no_hint(name):
    """An abbreviation of several zones, one that nobody knows, and an offset, whose sign is turned in Etc/GMT+1."""
    with pytest.raises(ValueError, match="such as America/New_York"):
        check_time_zone(name)


def test_keys_inside_extra_fields_are_text():
    """JSON has no others, and would turn them into text without a word."""
    with pytest.raises(MeetingsConfigurationError, match="not text"):
        HC.for_update({"extra_fields": {"a": [{1: 2}]}})


@pytest.mark.parametrize(("table", "field"), [(HC, "location"), (HC, "notes"), (BP, "location"), (BP, "title")])
def test_digits_that_a_native_template_made_a_number(table, field):
    """A whole number in a text field is its digits; what may have been another text is refused by what made it so."""
    assert {field: "15551234567"} == table.for_update({field: 15551234567})
    for value in (1.5, 2.0, True, [1], {"a": 1}):
        with pytest.raises(MeetingsConfigurationError, match="render_template_as_native_obj"):
            table.for_update({field: value})


class Kind(enum.StrEnum):
    """What a DAG author may have for the types of a meeting."""

    VIRTUAL = "virtual"


class Mixed(str, enum.Enum):  # noqa: UP042 - the older spelling, whose str() is not its value
    """The same as people wrote it before Python 3.11."""

    VIRTUAL = "virtual"


class Plain(enum.Enum):
    """One that is no text by itself."""

    VIRTUAL = "virtual"
    BETTY = 50


@pytest.mark.parametrize("kind", [Kind, Mixed, Plain])
def test_a_member_of_an_enum_is_sent_as_its_value(kind):
    """In a field and in a filter, and inside of a dict; a member's name goes nowhere."""
    assert HC.for_create(INTERVIEW) == HC.for_create({**INTERVIEW, "meetingType": kind.VIRTUAL})
    assert (("meetingType", "virtual"),) == check_filters("X", HiringCenter.filters, {"meetingType": kind.VIRTUAL})
    assert check_id(kind.VIRTUAL) == "virtual"
    employee = BP.for_create({**VISIT, "employee": {"id": Plain.BETTY}})["employee"]
    assert (employee, type(employee["id"])) == ({"id": 50}, int)
    assert (("employee-id", "50"),) == check_filters("X", BuilderPrime.filters, {"employee-id": Plain.BETTY})


def _endless(kind):
    """A value that no JSON can hold: it holds itself, or has five thousand lists in each other."""
    value = []
    if kind == "itself":
        value.append(value)
    for _ in range(0 if kind == "itself" else 5_000):
        value = [value]
    return value


@pytest.mark.parametrize("kind", ["itself", "deep"])
@pytest.mark.parametrize("vendor", [hiringcenter, builderprime], ids=["hiringcenter", "builderprime"])
def test_what_is_nested_without_end_is_refused_by_name(vendor, kind):
    """In every field, in extra fields, in filters and as an id: a list of what is wrong, and no RecursionError."""
    rules, value = vendor(), _endless(kind)
    for name in (*(field.name for field in rules.fields.table), "extra_fields"):
        given = {"x": value} if name == "extra_fields" else value
        with pytest.raises(MeetingsConfigurationError, match=rf"\n  - {name}: "):
            rules.check_meeting({name: given})
    for name in rules.filters:
        with pytest.raises(MeetingsConfigurationError, match=rf"\n  - {name}: "):
            rules.check_filters({name: value})
    with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
        rules.path_id(value, "meeting_id")
