"""Builder Prime's meetings in SQLite: reading them in the listed shape, and turning a body into a row."""

import json
from typing import Any

from .api_errors import NotFoundError, invalid
from .builderprime_models import Employee, ListMeetings, MeetingBody
from .settings import Options
from .store import Store

TABLE = "builderprime_meetings"

_SELECT = """
SELECT m.*, e.firstName AS employeeFirstName, e.lastName AS employeeLastName, o.clientFirstName, o.clientLastName,
       o.clientId, t.name AS meetingTypeName, r.name AS meetingResultName
FROM builderprime_meetings m
LEFT JOIN builderprime_employees e ON e.id = m.employeeId
LEFT JOIN builderprime_opportunities o ON o.id = m.opportunityId
LEFT JOIN builderprime_types t ON t.id = m.meetingTypeId
LEFT JOIN builderprime_results r ON r.id = m.meetingResultId
"""

# Page, "Successful Response (Excerpt)", and what public clients of the list read: not the shape that create takes.
_BARE = (
    "id",
    "title",
    "location",
    "startDateTime",
    "createdDate",
    "employeeFirstName",
    "employeeLastName",
    "clientFirstName",
    "clientLastName",
    "clientId",
    "opportunityId",
    "meetingTypeName",
)
_SHAPES: dict[str, tuple[str, ...]] = {
    "bare": _BARE,
    # seen by public clients in the real list
    "minimal": (*_BARE, "endDateTime", "employeeId", "isMeetingCancelled"),
    "rich": (
        *_BARE,
        "endDateTime",
        "employeeId",
        "isMeetingCancelled",
        "meetingTypeId",
        "meetingResultId",
        "meetingResultName",
        "reminders",
        "lastModifiedDate",
    ),
}

_ORDERS = {
    "start": "m.startDateTime, m.id",
    "start-desc": "m.startDateTime DESC, m.id DESC",
    "id": "m.id",
    "unstable": "m.startDateTime, random()",
    "random": "random()",
}

# where a body's simple fields are stored
_COLUMNS = {
    "clientOpportunityId": "opportunityId",
    "title": "title",
    "location": "location",
    "startDateTime": "startDateTime",
    "endDateTime": "endDateTime",
    "meetingTypeId": "meetingTypeId",
    "meetingResultId": "meetingResultId",
}
_DROP_DOWNS = {
    "opportunityId": ("builderprime_opportunities", "clientOpportunityId"),
    "meetingTypeId": ("builderprime_types", "meetingTypeId"),
    "meetingResultId": ("builderprime_results", "meetingResultId"),
}


class BuilderPrimeTable:
    """Reads and writes meetings by the vendor's rules."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    def find(self, meeting_id: int) -> dict[str, Any]:
        """Return one meeting as the vendor shows it.

        Raises:
            NotFoundError: There is none.
        """
        row = self._store.row(f"{_SELECT} WHERE m.id = ?", [meeting_id])
        if row is None:
            raise NotFoundError
        return self._present(row)

    def page(self, query: ListMeetings) -> list[dict[str, Any]]:
        """Return one page of a window."""
        after = ">" if self._options.bounds == "exclusive" else ">="
        before = "<=" if self._options.bounds == "inclusive" else "<"
        where = f"m.startDateTime {after} ? AND m.startDateTime {before} ?"
        values = [query.start_date_from, query.start_date_to]
        if query.opportunity_id is not None:
            where += " AND m.opportunityId = ?"
            values.append(query.opportunity_id)
        if query.employee_id is not None:
            where += " AND m.employeeId = ?"
            values.append(query.employee_id)
        order = _ORDERS[self._options.builderprime_order]
        sql = f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
        return [self._present(row) for row in self._store.rows(sql, [*values, query.limit, query.limit * query.page])]

    def create(self, body: MeetingBody, now: int) -> dict[str, Any]:
        """Add a meeting."""
        row = self._row(body)
        if row.get("startDateTime") is None:
            raise invalid("startDateTime is required.")
        if row.get("meetingTypeId") is None:
            # the page's isDefaultMeetingType says which one a meeting gets that names none
            default = self._store.row("SELECT id FROM builderprime_types WHERE isDefaultMeetingType")
            row["meetingTypeId"] = default["id"] if default else None
        _check_order(row)
        return self.find(self._store.insert(TABLE, row | {"createdDate": now, "lastModifiedDate": now}))

    def update(self, meeting_id: int, body: MeetingBody, now: int) -> dict[str, Any]:
        """Change what the body sends; what it omits stays."""
        stored = self._store.row(f"SELECT * FROM {TABLE} WHERE id = ?", [meeting_id])  # noqa: S608
        if stored is None:
            raise NotFoundError
        row = self._row(body)
        # a meeting without a start could never be listed again, so this one property cannot be removed
        if "startDateTime" in row and row["startDateTime"] is None:
            raise invalid("startDateTime cannot be removed.")
        _check_order(stored | row)
        self._store.update(TABLE, meeting_id, row | {"lastModifiedDate": now})
        return self.find(meeting_id)

    def _present(self, row: dict[str, Any]) -> dict[str, Any]:
        return _present(row, self._options.listed)

    def calendar(self) -> list[dict[str, Any]]:
        """Return every meeting with all fields that the vendor may show, by start."""
        rows = self._store.rows(f"{_SELECT} ORDER BY m.startDateTime, m.id")
        return [_present(row, "rich") for row in rows]

    def _row(self, body: MeetingBody) -> dict[str, Any]:
        """Turn what was sent into columns. Page: "Values selected from drop-down lists ... must match exactly"."""
        sent = body.model_dump(by_alias=True, exclude_unset=True)
        row = {_COLUMNS[name]: value for name, value in sent.items() if name in _COLUMNS}
        if "reminders" in sent:
            row["reminders"] = json.dumps(sent["reminders"] or [])
        problems = [
            f"{field} {row[column]} does not exist."
            for column, (table, field) in _DROP_DOWNS.items()
            if row.get(column) is not None
            and self._store.row(f"SELECT id FROM {table} WHERE id = ?", [row[column]]) is None  # noqa: S608
        ]
        if "employee" in sent:
            employee_id = self._employee(body.employee)
            if employee_id == 0:
                problems.append("employee does not match an employee exactly.")
            row["employeeId"] = employee_id
        if problems:
            raise invalid(*problems)
        return row

    def _employee(self, employee: Employee | None) -> int | None:
        """Return the one employee that all given parts describe, 0 if there is not exactly one, None for none."""
        if employee is None:
            return None
        parts = employee.model_dump(by_alias=True, exclude_none=True)
        where = " AND ".join(f"{name} = ?" for name in parts)
        found = self._store.rows(f"SELECT id FROM builderprime_employees WHERE {where}", parts.values())  # noqa: S608
        return int(found[0]["id"]) if len(found) == 1 else 0


def _present(row: dict[str, Any], listed: str) -> dict[str, Any]:
    row["isMeetingCancelled"] = bool(row["isMeetingCancelled"])
    if listed == "rich":
        row["reminders"] = json.loads(row["reminders"])
    return {name: row[name] for name in _SHAPES[listed]}


def _check_order(row: dict[str, Any]) -> None:
    end = row.get("endDateTime")
    if end is not None and end < row["startDateTime"]:
        raise invalid("endDateTime must not be before startDateTime.")
