"""What the sensors wait for: many questions that lie close together, and the one set of meetings that answers each.

Everything is drawn from a seed. The draw is repeated where a meeting would answer somebody else's question, too: so
each sensor has to come back with its own meetings, and with nothing of its neighbours'.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.rows import VENDORS, table_row

__all__ = ["DATE", "IN_VAIN", "STAGES", "VENDORS", "Plan", "Wait", "draw"]

#: When an own meeting is booked, in the order of the play.
STAGES = ("first downtime", "after it", "second downtime", "at last")
#: The field that tells when a meeting begins.
DATE = {"hiringcenter": "meetingDate", "builderprime": "startDateTime"}

IN_VAIN = "waits_in_vain"
# Far from the window that is watched meanwhile.
_FIRST = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=120)
#: Nobody of those who wait asks for what is before this, in Unix milliseconds.
FIRST_MS = int(_FIRST.timestamp() * 1000)
_DAYS = 84
_HOUR = 3_600_000
_LENGTHS = tuple(_HOUR * hours for hours in (1, 3, 24, 72, 168, 336, 672))
_PROSPECTS, _OWNERS, _TOPICS, _OPPORTUNITIES = 12, 5, 9, 20
_TYPES = ("virtual", "phone", "in-person")
_EMPLOYEES = (50, 51)
# The listed field and the table's column are one name, but for who goes: that is a filter only.
_COLUMNS = {"opportunity-id": "opportunityId", "employee-id": "employeeId"}


@dataclass
class Wait:
    """One sensor.

    Attributes:
        vendor: Whom it asks.
        dag: In which DAG it is.
        index: Its map index there.
        start: Of its window, in Unix milliseconds.
        end: Of its window.
        filters: The vendor's own.
        match: Checked by the sensor.
        own: The rows that it waits for, as the sandbox's table has them; none: it waits in vain.
        stage: When they are booked.
        poke_interval: Seconds.
        timeout: Seconds.
        soft_fail: Whether it is skipped when the time is over.
        ids: What its own meetings are called, once they are booked.
    """

    vendor: str
    start: int
    end: int
    filters: dict[str, Any]
    match: dict[str, Any]
    own: list[dict[str, Any]]
    poke_interval: float
    timeout: float = 3600.0
    soft_fail: bool = False
    stage: str = ""
    dag: str = ""
    index: int = 0
    ids: list[Any] = field(default_factory=list)
    booked_at: float = 0.0

    @property
    def arguments(self) -> dict[str, Any]:
        """What the sensor is given."""
        return {
            "meetings_conn_id": f"{self.vendor}_default",
            "window_start": self.start,
            "window_end": self.end,
            "filters": self.filters,
            "match": self.match,
            "min_count": max(1, len(self.own)),
            "poke_interval": self.poke_interval,
            "timeout": self.timeout,
            "soft_fail": self.soft_fail,
        }

    def asks_for(self, row: dict[str, Any]) -> bool:
        """Whether a row of the sandbox's table answers it: the referee's own reading of a question."""
        wanted = {_COLUMNS.get(name, name): value for name, value in (self.filters | self.match).items()}
        return self.start <= row[DATE[self.vendor]] < self.end and all(
            row[name] in (value if isinstance(value, list) else [value]) for name, value in wanted.items()
        )


@dataclass
class Plan:
    """All sensors, and the meetings that answer nobody."""

    waits: list[Wait]
    decoys: dict[str, list[dict[str, Any]]]

    @property
    def in_vain(self) -> list[Wait]:
        """Those whose meeting never comes."""
        return [wait for wait in self.waits if not wait.own]

    @property
    def dags(self) -> dict[str, list[Wait]]:
        """The sensors of each DAG, by map index."""
        found: dict[str, list[Wait]] = {}
        for wait in self.waits:
            found.setdefault(wait.dag, []).append(wait)
        return found


def draw(chance: random.Random, *, sensors: dict[str, int], in_vain: int, retry_limits: tuple[float, ...]) -> Plan:
    """Draw the questions and their answers.

    Args:
        chance: Decides everything.
        sensors: How many of each vendor's are answered.
        in_vain: How many are not.
        retry_limits: The timeouts of those.
    """
    waits: list[Wait] = []
    for vendor, count in sensors.items():
        mine: list[Wait] = []
        while len(mine) < count:
            wait = _wait(chance, vendor)
            apart = not any(
                wait.asks_for(row) or other.asks_for(own) for other in mine for row in other.own for own in wait.own
            )
            if apart:
                wait.stage = STAGES[len(mine) % len(STAGES)]
                wait.dag = f"waits_{vendor}_{len(mine) % 2 + 1}"
                mine.append(wait)
        waits += mine
    for number in range(in_vain):
        wait = _wait(chance, chance.choice(tuple(sensors)))
        wait.own, wait.dag, wait.soft_fail = [], IN_VAIN, number % 2 == 1
        wait.timeout = retry_limits[number // 2 % len(retry_limits)]
        # Nobody books this one, and all else of the question may well be booked for others.
        wait.match |= {"notes" if wait.vendor == "hiringcenter" else "title": "never booked"}
        waits.append(wait)
    plan = Plan(waits, {vendor: _decoys(chance, vendor, waits) for vendor in sensors})
    for some in plan.dags.values():
        for index, wait in enumerate(some):
            wait.index = index
    return plan


def _wait(chance: random.Random, vendor: str) -> Wait:
    length = chance.choice(_LENGTHS)
    start = int((_FIRST + timedelta(minutes=15 * chance.randrange(_DAYS * 96))).timestamp() * 1000)
    count = chance.choices((1, 2, 3), (80, 15, 5))[0]
    own = [_row(chance, vendor, chance.randrange(start, start + length, 60_000))]
    while len(own) < count:  # the same in all that is asked for, at another time
        own.append(own[0] | {DATE[vendor]: chance.randrange(start, start + length, 60_000)})
    row = own[0]
    ways = _WAYS[vendor]
    filtered, matched = chance.choice(ways)
    filters = {name: row[_COLUMNS.get(name, name)] for name in filtered}
    match: dict[str, Any] = {name: row[name] for name in matched}
    if chance.random() < 0.2:
        name = chance.choice(matched)
        match[name] = [match[name], "nobody has this"]
    return Wait(vendor, start, start + length, filters, match, own, chance.choice((15.0, 15.0, 20.0)))


# What of a meeting is asked of the vendor, and what is checked here.
_WAYS = {
    "hiringcenter": (
        ((), ("prospectId", "notes")),
        (("prospectId",), ("notes",)),
        (("ownerId",), ("prospectId", "notes")),
        (("meetingType",), ("prospectId", "notes", "ownerId")),
        (("prospectId", "meetingType"), ("notes",)),
        (("prospectId", "ownerId"), ("notes", "meetingType")),
    ),
    "builderprime": (
        ((), ("opportunityId", "title")),
        (("opportunity-id",), ("title",)),
        (("employee-id",), ("opportunityId", "title")),
        (("opportunity-id", "employee-id"), ("title",)),
    ),
}


def _row(chance: random.Random, vendor: str, moment: int) -> dict[str, Any]:
    topic = f"topic {chance.randrange(_TOPICS)}"
    if vendor == "hiringcenter":
        who, kind = 0xC0 + chance.randrange(_PROSPECTS), chance.choice(_TYPES)
        owner = f"{1 + chance.randrange(_OWNERS):032x}"
        return table_row(vendor, moment, topic, who, meetingType=kind, ownerId=owner)
    who, employee = chance.randrange(_OPPORTUNITIES), chance.choice(_EMPLOYEES)
    return table_row(vendor, moment, topic, who, employeeId=employee, meetingTypeId=1011)


def _decoys(chance: random.Random, vendor: str, waits: list[Wait]) -> list[dict[str, Any]]:
    """Meetings that miss somebody's question by one thing: who, what, or a millisecond."""
    name = DATE[vendor]
    mine = [wait for wait in waits if wait.vendor == vendor]
    found = []
    for wait in mine:
        row = wait.own[0] if wait.own else _row(chance, vendor, wait.start)
        changed = _row(chance, vendor, row[name])
        column = "prospectId" if vendor == "hiringcenter" else "opportunityId"
        topic = "notes" if vendor == "hiringcenter" else "title"
        near = [
            row | {name: wait.end},
            row | {name: wait.start - 1},
            row | {column: changed[column]},
            row | {topic: changed[topic]},
        ]
        found += [miss for miss in near if not any(other.asks_for(miss) for other in mine)]
    return found
