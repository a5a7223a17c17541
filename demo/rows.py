"""Meetings as the sandbox's tables have them, and as a create asks for them."""

from datetime import datetime
from typing import Any

VENDORS = {"hiringcenter": "HiringCenter", "builderprime": "Builder Prime"}
_HOUR = 3_600_000
# What the sandbox calls an employee, a kind of meeting, and the first of its opportunities.
_EMPLOYEE, _KIND, _FIRST_OPPORTUNITY, _OPPORTUNITIES = 50, 1012, 102988, 20


def table_row(vendor: str, start: int, text: str, counterpart: int, **changes: Any) -> dict[str, Any]:
    """Return a row.

    Args:
        vendor: Whose table.
        start: When the meeting begins, in Unix milliseconds; on Builder Prime it takes an hour.
        text: Its notes, or its title.
        counterpart: The number of whom it is with.
        changes: Columns that are to be others.
    """
    if vendor == "hiringcenter":
        row = {
            "prospectId": f"{counterpart:032x}",
            "meetingDate": start,
            "timeZone": "America/New_York",
            "meetingType": "virtual",
            "ownerId": f"{1:032x}",
            "location": "Room 1",
            "notes": text,
        }
    else:
        row = {
            "opportunityId": _FIRST_OPPORTUNITY + counterpart % _OPPORTUNITIES,
            "title": text,
            "location": "Yard 1",
            "startDateTime": start,
            "endDateTime": start + _HOUR,
            "employeeId": _EMPLOYEE,
            "meetingTypeId": _KIND,
        }
    return row | changes


def as_sent(vendor: str, row: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    """Return what a create asks for that makes a row."""
    if vendor == "hiringcenter":
        return row | {"meetingDate": start.isoformat()}
    sent = {name: value for name, value in row.items() if name not in {"opportunityId", "employeeId"}}
    whom = {"clientOpportunityId": row["opportunityId"], "employee": {"id": row["employeeId"]}}
    return sent | whom | {"startDateTime": start.isoformat(), "endDateTime": end.isoformat()}
