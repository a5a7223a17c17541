"""Seed data: generated, plausible, and the same for the same seed and the same day."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from faker import Faker

from .store import Store

# The ids of the page's own examples come first, so that its requests work here as they are printed.
TYPES = (
    (1011, "Sales Meeting", 1, 1),
    (1012, "Site Visit", 0, 0),
    (1013, "Measurement", 0, 0),
    (1014, "Final Walkthrough", 0, 0),
)
RESULTS = ((1001, "Sale", 1), (1002, "No Sale", 1), (1003, "Rescheduled", 0), (1004, "No Show", 0))
EMPLOYEES = ((50, "Betty", "Brown", "betty.brown@example.com"), (51, "Nora", "Newell", "newemployee@example.com"))
FIRST_OPPORTUNITY = 102988
OPPORTUNITIES = 1000  # enough for a set of meetings with one for each
FIRST_MEETING = 2176

_FORMER_EMPLOYEE = 57
_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")


def seed(store: Store, number: int, meetings: int, now: datetime, days: int = 14) -> None:
    """Fill an empty file; one that was seeded before stays as it is.

    Args:
        store: The file.
        number: The seed.
        meetings: How many meetings each vendor gets; 0 leaves only the reference data.
        now: The anchor: meetings begin on the Monday of its week or later.
        days: How many days from that Monday have meetings.
    """
    if store.fact("seed") is not None:
        return
    fake = _Invented(number)
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    with store.transaction():
        employees = _reference(store, fake.fake)
        # few enough that each has several meetings
        people = employees, range(FIRST_OPPORTUNITY, FIRST_OPPORTUNITY + min(OPPORTUNITIES, max(20, meetings // 20)))
        for _ in range(meetings):
            store.insert("hiringcenter_meetings", _interview(fake, chance, monday, days))
        for index in range(meetings):
            start = _start(chance, monday, days, "America/New_York")
            row = _visit(fake, chance, start, monday, people)
            store.insert("builderprime_meetings", {"id": FIRST_MEETING + index, **row})
        store.remember("seed", json.dumps({"seed": number, "meetings": meetings, "monday": monday.isoformat()}))


class _Invented:
    """Names, jobs and addresses; a large seed uses each more than once, for inventing one is slow."""

    _POOL = 300

    def __init__(self, number: int) -> None:
        self.fake = Faker("en_US")
        self.fake.seed_instance(number)
        self._chance = random.Random(number)  # noqa: S311 - repeatable on purpose
        self._pools: dict[str, list[str]] = {}

    def text(self, kind: Literal["name", "job", "address"]) -> str:
        """Return a text of one line."""
        pool = self._pools.setdefault(kind, [])
        if len(pool) == self._POOL:
            return self._chance.choice(pool)
        pool.append(str(getattr(self.fake, kind)()).replace("\n", ", "))
        return pool[-1]

    def id(self) -> str:
        """Return an id of 32 hexadecimal digits, as HiringCenter's look."""
        return f"{self._chance.getrandbits(128):032x}"


def _reference(store: Store, fake: Faker) -> list[int]:
    """Add the reference data and return the ids of the employees."""
    for type_id, name, default, sales in TYPES:
        row = {"id": type_id, "name": name, "isDefaultMeetingType": default, "isSalesMeeting": sales}
        store.insert("builderprime_types", row)
    for result_id, name, sales in RESULTS:
        store.insert("builderprime_results", {"id": result_id, "name": name, "isSalesMeeting": sales})
    generated = [(52 + index, fake.unique.first_name(), fake.unique.last_name()) for index in range(6)]
    employees = [
        *EMPLOYEES,
        *((number, first, last, f"{first}.{last}@example.com".lower()) for number, first, last in generated),
    ]
    for employee_id, first, last, email in employees:
        store.insert("builderprime_employees", _employee(employee_id, first, last, email))
    for index in range(OPPORTUNITIES):
        row = {"id": FIRST_OPPORTUNITY + index, "clientId": 7001 + index}
        row |= {"clientFirstName": fake.first_name(), "clientLastName": fake.last_name()}
        store.insert("builderprime_opportunities", row)
    return [employee[0] for employee in employees]


def _employee(employee_id: int, first: str, last: str, email: str) -> dict[str, Any]:
    # the last one has left, as some do in every account
    current = int(employee_id != _FORMER_EMPLOYEE)
    return {
        "id": employee_id,
        "firstName": first,
        "lastName": last,
        "email": email,
        "isProjectManager": int(employee_id % 3 == 0),
        "isSalesPerson": int(employee_id % 3 != 0),
        "isCurrentEmployee": current,
        "isActiveUser": current,
        "showInSalesCalendarByDefault": int(employee_id % 2 == 0),
        # the vendor writes it with a space, which is no IANA name
        "timezone": ("America/New York", "America/Chicago")[employee_id % 2],
    }


def _start(chance: random.Random, monday: datetime, days: int, zone: str) -> datetime:
    """Pick a quarter of an hour in a working day, in local time."""
    day = (monday + timedelta(days=chance.randrange(days))).date()
    return datetime(
        day.year, day.month, day.day, chance.randrange(8, 18), chance.choice((0, 15, 30, 45)), tzinfo=ZoneInfo(zone)
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _interview(fake: _Invented, chance: random.Random, monday: datetime, days: int) -> dict[str, Any]:
    zone = chance.choice(_ZONES)
    kind = chance.choice(("virtual", "phone", "in-person"))
    place = {"virtual": "Zoom", "phone": None, "in-person": fake.text("address")}[kind]
    owner = f"{chance.choice((1, 2, 3)):032x}"
    created = _ms(monday - timedelta(hours=chance.randrange(1, 300)))
    return {
        "id": fake.id(),
        "prospectId": fake.id(),
        "meetingDate": _ms(_start(chance, monday, days, zone)),
        "timeZone": zone,
        "meetingType": kind,
        "ownerId": owner,
        "location": place,
        "notes": chance.choice((None, f"Interview with {fake.text('name')} for {fake.text('job')}.")),
        "createdBy": owner,
        "createdByApi": 0,
        "createdByApiKeyId": None,
        "createdByApiKeyName": None,
        "createdAt": created,
        "updatedAt": created,
    }


def _visit(
    fake: _Invented, chance: random.Random, start: datetime, monday: datetime, people: tuple[list[int], range]
) -> dict[str, Any]:
    employees, opportunities = people
    type_id, kind, *_ = chance.choice(TYPES)
    created = _ms(monday - timedelta(hours=chance.randrange(1, 300)))
    return {
        "title": f"{kind} with {fake.text('name')}",
        "location": fake.text("address"),
        "startDateTime": _ms(start),
        "endDateTime": _ms(start + timedelta(minutes=chance.choice((60, 90, 120)))),
        "opportunityId": chance.choice(opportunities),
        "employeeId": chance.choice(employees),
        "meetingTypeId": type_id,
        "meetingResultId": None,
        "reminders": json.dumps([{"unitsBefore": 30, "unitType": "MINUTES"}]),
        "isMeetingCancelled": 0,
        "createdDate": created,
        "lastModifiedDate": created,
    }
