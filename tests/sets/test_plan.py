"""The plan of a set: what has to be written so that stored meetings become the declared ones."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError
from airflow_provider_meetings.sets.plan import make_plan
from airflow_provider_meetings.sets.rows import check_rows
from tests.support.flows import BASE, builderprime, examples, hiringcenter
from tests.support.rows import HOUR, WINDOW, interview, visit


def stored_interview(meeting_id, prospect="p1", hour=1, **fields):
    """A meeting as HiringCenter lists it."""
    return {"id": meeting_id, "location": None, "notes": None, "createdAt": BASE} | interview(prospect, hour) | fields


def stored_visit(meeting_id, opportunity=7, hour=1, **fields):
    """A meeting as Builder Prime lists it."""
    listed = {"id": meeting_id, "opportunityId": opportunity, "title": "Visit", "startDateTime": BASE + hour * HOUR}
    return listed | {"location": None, "employeeFirstName": None, "employeeLastName": None} | fields


def plan(vendor, rows, listed, match_on, **options):
    """Make the plan of some rows."""
    matcher, checked = check_rows(vendor, rows, match_on, window=WINDOW)
    return make_plan(vendor, matcher, checked, listed, **options)


def hc_plan(rows, listed, match_on=("prospectId",), **options):
    """The same for HiringCenter."""
    return plan(hiringcenter(), rows, listed, match_on, **options)


def bp_plan(rows, listed, match_on=("clientOpportunityId",), **options):
    """The same for Builder Prime."""
    return plan(builderprime(), rows, listed, match_on, **options)


def told(changes):
    """The changes as they are told."""
    return [change.as_json() for change in changes]


def test_each_row_has_its_change():
    """A row without a meeting is made, one that differs is changed in what differs, one that is equal is left alone."""
    rows = [interview("p1"), interview("p2", notes="new"), interview("p3")]
    listed = [stored_interview("m2", "p2", notes="old"), stored_interview("m3", "p3"), stored_interview("m4", "p4")]
    made = hc_plan(rows, listed)

    assert told(made.changes) == [
        {"action": "create", "id": None, "match": {"prospectId": "p1"}, "after": interview("p1")},
        {
            "action": "update",
            "id": "m2",
            "match": {"prospectId": "p2"},
            "before": {"notes": "old"},
            "after": {"notes": "new"},
        },
    ]
    assert made.counts == {"created": 1, "updated": 1, "deleted": 0, "unchanged": 1}


def test_meetings_without_a_row_are_deleted_where_that_is_wanted():
    """With delete_missing, a meeting of the scope that no row asks for goes; what it was stands in the plan."""
    listed = [stored_interview("m1", "p1"), stored_interview("m2", "p2", notes="bye")]
    made = hc_plan([interview("p1")], listed, delete_missing=True)

    assert told(made.changes) == [
        {
            "action": "delete",
            "id": "m2",
            "match": {"prospectId": "p2"},
            "before": interview("p2") | {"notes": "bye"},
        }
    ]


def test_deletes_come_last():
    """Creates and updates stand before deletes, whatever the order of the list."""
    listed = [stored_interview("m2", "p2"), stored_interview("m1", "p1", notes="x")]
    made = hc_plan([interview("p3"), interview("p1", notes="y")], listed, delete_missing=True)

    assert ["create", "update", "delete"] == [change.action for change in made.changes]


def test_a_field_that_a_row_leaves_out_is_not_compared():
    """What the row does not speak of is somebody else's business."""
    assert hc_plan([interview("p1")], [stored_interview("m1", notes="by hand")]).changes == ()


def test_none_means_empty():
    """None in a row clears what is stored, and is no difference where nothing is."""
    assert hc_plan([interview("p1", notes=None)], [stored_interview("m1", notes="")]).changes == ()
    (change,) = hc_plan([interview("p1", notes=None)], [stored_interview("m1", notes="x")]).changes
    assert (change.before, change.after) == ({"notes": "x"}, {"notes": None})


def test_none_means_empty_on_builder_prime_too():
    """Builder Prime's creates leave a None out, its updates clear by one."""
    (change,) = bp_plan([visit(location=None)], [stored_visit(1, location="here")]).changes

    assert change.after == {"location": None}


def test_what_does_not_come_back_is_no_difference():
    """Reminders and an employee's email are not listed: they change nothing alone, and go along with another change."""
    quiet = visit(reminders=[{"unitsBefore": 30, "unitType": "MINUTES"}], employee={"email": "b@b.bb"})
    assert bp_plan([quiet], [stored_visit(1)]).changes == ()

    (change,) = bp_plan([quiet | {"title": "Other"}], [stored_visit(1)]).changes
    assert change.after == {"title": "Other"}
    assert change.along == {"reminders": quiet["reminders"], "employee": {"email": "b@b.bb"}}


def test_an_employee_is_compared_by_what_comes_back():
    """A name or an id that is listed tells whether it is the same employee; an id beside listed names cannot."""
    listed = [stored_visit(1, employeeFirstName="Betty", employeeLastName="Brown")]
    assert bp_plan([visit(employee={"firstName": "Betty", "lastName": "Brown"})], listed).changes == ()
    assert bp_plan([visit(employee={"firstName": "BETTY", "lastName": "brown"})], listed).changes == ()
    mail = stored_visit(1, employeeEmail="betty.brown@example.com")
    assert bp_plan([visit(employee={"email": "Betty.Brown@example.com"})], [mail]).changes == ()
    assert bp_plan([visit(employee={"id": 51})], listed).changes == ()
    (change,) = bp_plan([visit(employee={"firstName": "Carl", "lastName": "Cole"})], listed).changes
    assert change.before == {"employee": {"firstName": "Betty", "lastName": "Brown"}}
    assert change.after == {"employee": {"firstName": "Carl", "lastName": "Cole"}}
    (change,) = bp_plan([visit(employee={"id": 51})], [stored_visit(1, employeeId=50)]).changes
    assert change.before == {"employee": {"id": 50}}
    (change,) = bp_plan([visit(employee=None)], listed).changes
    assert change.after == {"employee": None}


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("Main St. 5", " Main St. 5 "),
        ("Tom & Jerry", "Tom &amp; Jerry"),
        ("a\nb", "a\r\nb"),
        ("é", "e\u0301"),
        ("", None),
    ],
)
def test_what_vendors_do_to_texts_is_no_difference(declared, stored):
    """A cut at both ends, escapes, line ends and composed letters are the vendor's, not somebody's edit."""
    assert hc_plan([interview(notes=declared)], [stored_interview("m1", notes=stored)]).changes == ()


@pytest.mark.parametrize(
    ("declared", "stored"), [("Zoom", "zoom"), ("x" * 60 + " and more", "x" * 60), ("a b", "a  b"), ("a", None)]
)
def test_what_somebody_may_want_to_see_is_a_difference(declared, stored):
    """Capitals, an added end and inner spaces are told apart, although a lost create would be recognised by less."""
    assert len(hc_plan([interview(notes=declared)], [stored_interview("m1", notes=stored)]).changes) == 1


def test_moments_are_equal_to_the_minute_that_is_kept():
    """A vendor that keeps the minute only has the row's meeting all the same."""
    row = visit(startDateTime=BASE + HOUR + 1_317)

    assert bp_plan([row], [stored_visit(1)]).changes == ()


def test_extra_fields_are_compared_where_they_come_back():
    """A field that the page does not list is compared if the vendor gives it back, and not if it does not."""
    row = interview("p1", extra_fields={"color": "red", "hidden": 1})
    (change,) = hc_plan([row], [stored_interview("m1", color="blue")]).changes

    assert change.after == {"color": "red"}
    assert change.along == {"hidden": 1}


def test_twins_of_a_row_are_a_conflict_that_names_both():
    """Two stored meetings that are equal to one row: nobody can tell which one to change."""
    listed = [
        stored_interview("m1"),
        stored_interview("m2"),
        stored_interview("m3", "p2"),
        stored_interview("m4", "p2"),
    ]
    with pytest.raises(MeetingConflictError, match=r"row 0 \(prospectId=p1\): meetings m1, m2(.|\n)*m3, m4"):
        hc_plan([interview("p1"), interview("p2")], listed)


def test_twins_that_no_row_asks_for_are_like_others():
    """They are left alone, or deleted with the rest."""
    listed = [stored_interview("m1"), stored_interview("m2")]

    assert hc_plan([], listed).changes == ()
    assert ["m1", "m2"] == [change.id for change in hc_plan([], listed, delete_missing=True).changes]


def test_cancelled_meetings_are_not_there():
    """A cancelled meeting is neither changed nor deleted, and its row gets a new one."""
    listed = [stored_visit(1, isMeetingCancelled=True)]

    assert ["create"] == [change.action for change in bp_plan([visit()], listed, delete_missing=True).changes]


def test_a_remembered_meeting_is_put_back():
    """A meeting that was moved out of the scope is changed, not made a second time."""
    vendor = hiringcenter()
    matcher, rows = check_rows(vendor, [interview("p1")], ["prospectId"], window=WINDOW)
    away = stored_interview("m1", "p1", hour=100)
    made = make_plan(vendor, matcher, rows, [], remembered={rows[0].key: away}, delete_missing=True)

    assert told(made.changes) == [
        {
            "action": "update",
            "id": "m1",
            "match": {"prospectId": "p1"},
            "before": {"meetingDate": BASE + 100 * HOUR},
            "after": {"meetingDate": BASE + HOUR},
        }
    ]


def test_what_cannot_be_changed_is_told_before_anything_is_written():
    """HiringCenter changes no prospect: a row that asks for another one in the same meeting is refused."""
    with pytest.raises(MeetingsConfigurationError, match=r"row 0 \(ownerId=o1\), prospectId: of meeting m1, 'p1'"):
        hc_plan([interview("p2")], [stored_interview("m1", "p1")], ["ownerId"])


def test_a_key_that_never_comes_back_is_told():
    """Meetings that are listed without the field would never be found again: a new one would be made in each run."""
    with pytest.raises(MeetingsConfigurationError, match="meetingResultId, which Builder Prime does not give back"):
        bp_plan([visit(meetingResultId=5)], [stored_visit(1)], ["meetingResultId"])


def test_a_key_that_is_left_out_where_it_is_empty_is_no_such_case():
    """A meeting without an opportunity need not say so."""
    listed = stored_visit(1)
    del listed["opportunityId"]

    assert ["create"] == [change.action for change in bp_plan([visit()], [listed]).changes]


def test_a_key_that_the_vendor_has_cut_is_told():
    """A title is kept without its end: its row would get another meeting with each run."""
    title = "Installation of solar panels on the roof of 5 Main Street, first day"
    listed = [stored_visit(21, title=title[:60])]
    with pytest.raises(MeetingsConfigurationError, match=r"has cut texts (.|\n)* row 0 \(title=.*meeting 21$"):
        bp_plan([visit(title=title)], listed, ("title",))

    assert ["create"] == [one.action for one in bp_plan([visit(title=title, hour=2)], listed, ("title",)).changes]
    both = bp_plan([visit(title=title), visit(title=title[:60])], listed, ("title",))
    assert ["create"] == [one.action for one in both.changes]


def test_a_key_by_two_fields():
    """One opportunity has several meetings, told apart by a second field."""
    rows = [visit(title="Estimate"), visit(title="Install", hour=5)]
    listed = [stored_visit(1, title="Install", hour=4), stored_visit(2, title="Estimate")]
    (change,) = bp_plan(rows, listed, ["clientOpportunityId", "title"]).changes

    assert (change.id, change.after) == (1, {"startDateTime": BASE + 5 * HOUR})


def test_the_digest_tells_plans_apart():
    """Another value, another meeting, another action: another digest; what is not listed counts, too."""
    digests = {
        hc_plan([interview("p1")], []).digest,
        hc_plan([interview("p2")], []).digest,
        hc_plan([interview("p1", notes="x")], []).digest,
        hc_plan([interview("p1", notes="x")], [stored_interview("m1")]).digest,
        hc_plan([interview("p1", notes="x")], [stored_interview("m2")]).digest,
        hc_plan([interview("p1", notes="x")], [stored_interview("m1", notes="y")]).digest,
        hc_plan([], [stored_interview("m1")], delete_missing=True).digest,
        hc_plan([], [stored_interview("m1", notes="y")], delete_missing=True).digest,
        hc_plan([], []).digest,
        bp_plan([visit(title="x")], [stored_visit(1)]).digest,
        bp_plan([visit(title="x", reminders=[])], [stored_visit(1)]).digest,
    }

    assert len(digests) == 11


PROSPECTS = st.sampled_from(["p1", "p2", "p3", "p4", "p5"])
NOTES = st.sampled_from([None, "a", "b"])
TABLES = st.dictionaries(PROSPECTS, st.tuples(st.integers(0, 3), NOTES))


@examples(200)
@given(TABLES, TABLES, st.booleans(), st.integers(0, 1000))
def test_what_a_plan_says_makes_the_meetings_equal(declared, stored, delete, seed):
    """Carrying any plan out leaves nothing to do, touches nothing else, and its digest knows no order."""
    rows = [interview(prospect, hour, notes=notes) for prospect, (hour, notes) in declared.items()]
    calendar = {
        f"m{prospect}": stored_interview(f"m{prospect}", prospect, hour, notes=notes)
        for prospect, (hour, notes) in stored.items()
    }
    made = hc_plan(rows, list(calendar.values()), delete_missing=delete)
    shuffled, listed = rows[:], list(calendar.values())
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a test's dice
    random.Random(seed).shuffle(listed)  # noqa: S311 - likewise
    assert made.digest == hc_plan(shuffled, listed, delete_missing=delete).digest

    for change in made.changes:
        if change.action == "delete":
            del calendar[change.id]
        elif change.action == "create":
            calendar[f"n{change.match['prospectId']}"] = (
                stored_interview("") | change.after | {"id": f"n{change.match['prospectId']}"}
            )
        else:
            assert all(change.before[name] != change.after[name] for name in change.after)
            calendar[change.id] |= change.after
    again = hc_plan(rows, list(calendar.values()), delete_missing=delete)
    assert again.changes == ()
    assert len(again.unchanged) == len(rows)
    there = {meeting["prospectId"] for meeting in calendar.values()}
    assert there == set(declared) | (set() if delete else set(stored))
