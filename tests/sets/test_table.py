"""A plan as people see it, in the log and in the form that asks for approval."""

from airflow_provider_meetings.sets.plan import make_plan
from airflow_provider_meetings.sets.rows import check_rows
from airflow_provider_meetings.sets.table import PlanTable
from tests.support.flows import BASE, builderprime, hiringcenter
from tests.support.rows import HOUR, WINDOW, interview


def table(rows, listed, vendor=None, match_on=("prospectId",), **options):
    """The table of a plan that deletes what is missing."""
    vendor = vendor or hiringcenter()
    matcher, checked = check_rows(vendor, rows, match_on, window=WINDOW)
    return PlanTable(make_plan(vendor, matcher, checked, listed, delete_missing=True), vendor, **options)


def test_the_log_has_a_line_for_each_field():
    """Each new or deleted meeting has one line, each changed field one; moments are in the meeting's own zone."""
    rows = [interview("p1"), interview("p2", 2, notes="new\nlines", timeZone="Europe/Berlin")]
    listed = [
        interview("p2", 1, notes=None, timeZone="Europe/Berlin") | {"id": "m2"},
        interview("p3", 3) | {"id": "m3"},
    ]
    shown = table(rows, listed)

    assert shown.counts == "1 to create, 1 to update, 1 to delete, 0 unchanged"
    assert [line.split("  ", 1)[0].strip() for line in shown.as_text().split("\n")] == [
        "action",
        "create",
        "update",
        "update",
        "delete",
    ]
    lines = [" ".join(line.split()) for line in shown.as_text().split("\n")]
    assert "meetingDate=2026-11-21 08:00 America/New_York" in lines[1]
    assert lines[2] == (
        "update m2 (prospectId=p2) meetingDate 2026-11-21 14:00 Europe/Berlin 2026-11-21 15:00 Europe/Berlin"
    )
    assert lines[3] == "update m2 (prospectId=p2) notes (empty) new lines"
    assert lines[4].startswith("delete m3 (prospectId=p3) meetingDate=2026-11-21 10:00 America/New_York")


def test_builder_prime_has_no_zones():
    """Where meetings have no time zone, moments are in UTC, also in the fields that tell rows apart."""
    row = {"clientOpportunityId": 7, "startDateTime": BASE + HOUR}
    shown = table([row], [], builderprime(), ["clientOpportunityId", "startDateTime"])

    assert "clientOpportunityId=7, startDateTime=2026-11-21 13:00 UTC" in shown.as_text()


def test_fifty_lines_are_shown():
    """What is beyond fifty lines is counted."""
    shown = table([interview(f"p{number}") for number in range(60)], [])

    assert len(shown.as_text().split("\n")) == 52
    assert shown.as_text().endswith("… and 10 more line(s)")
    assert shown.as_markdown().endswith("… and 10 more line(s)")


def test_markdown_links_to_meetings_and_is_no_markup():
    """A meeting has its link where there is one; what stands in a meeting stays text."""
    rows = [interview("p1", notes="a | b <img src=x> [x](javascript:y) **z**")]
    listed = [interview("p1", notes="x") | {"id": "m1"}]
    assert ("prospectId",) == table(rows, listed).match_on
    shown = table(rows, listed, web_url=lambda meeting: f"https://app.test/{meeting['id']}").as_markdown()

    assert "| [m1 (p1)](https://app.test/m1) | notes | x |" in shown
    assert r"a \| b \<img src=x\> \[x\](javascript:y) \*\*z\*\* |" in shown


def test_long_values_are_cut():
    """A long text does not fill the log."""
    shown = table([interview("p1", notes="y" * 5000)], [interview("p1", notes="x" * 5000) | {"id": "m1"}])

    assert max(map(len, shown.as_text().split("\n"))) < 200


def test_a_part_of_a_field_is_named():
    """An employee is shown by what is said of it, not as JSON."""
    rows = [{"clientOpportunityId": 7, "startDateTime": BASE + HOUR, "employee": {"id": 50}}]
    listed = [{"id": 1, "opportunityId": 7, "startDateTime": BASE + HOUR, "employeeId": 51}]

    created = table(rows, [], builderprime(), ["clientOpportunityId"]).as_text()
    updated = table(rows, listed, builderprime(), ["clientOpportunityId"]).as_text().split("\n")
    assert "employee.id=50" in created
    assert ["update 1 (clientOpportunityId=7) employee id=51 id=50"] == [" ".join(line.split()) for line in updated[1:]]
