"""Rows of sets and what they become, for the pure parts of a set."""

from airflow_provider_meetings.core.times import Window
from tests.support.flows import BASE

HOUR = 3_600_000
#: The scope in which the rows lie.
WINDOW = Window(BASE, BASE + 24 * HOUR)


def interview(prospect="p1", hour=1, **fields):
    """A row for HiringCenter."""
    whole = {"prospectId": prospect, "meetingDate": BASE + hour * HOUR, "timeZone": "America/New_York"}
    return whole | {"meetingType": "virtual", "ownerId": "o1"} | fields


def visit(opportunity=7, hour=1, **fields):
    """A row for Builder Prime."""
    return {"clientOpportunityId": opportunity, "title": "Visit", "startDateTime": BASE + hour * HOUR} | fields
