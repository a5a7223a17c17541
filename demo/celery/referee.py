"""Says whether all went well, by what the sandbox recorded and what the tasks returned: pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from demo.celery.plan import Item
from demo.rows import VENDORS

#: HiringCenter's limits: requests, and the seconds of any span in which no more may arrive.
LIMITS = ((500, 60), (10_000, 3600))

_TOO_MANY = 429
_MARKER = re.compile(r"scale-\d{5}")
_MARKED = {"hiringcenter": "notes", "builderprime": "title"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One thing that has to hold."""

    what: str
    expected: str
    found: str
    ok: bool

    @classmethod
    def equal(cls, what: str, expected: int, found: int) -> "Check":
        """A number that has to be this one."""
        return cls(what, str(expected), str(found), expected == found)

    @classmethod
    def at_least(cls, what: str, expected: int, found: int) -> "Check":
        """A number that must not be lower."""
        return cls(what, f"at least {expected}", str(found), found >= expected)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """A row of a table."""
        return self.what, self.expected, self.found, "ok" if self.ok else "WRONG"


@dataclass(frozen=True)
class Evidence:
    """What the sandbox has at the end: its tables by vendor, and its journal."""

    tables: dict[str, list[Row]]
    journal: list[Row]


def tasks(instances: Iterable[Row], count: int) -> list[Check]:
    """Whether every create and every sensor succeeded."""
    done = Counter(row["task_id"] for row in instances if row["state"] == "success")
    return [
        Check.equal("creates that succeeded", count, done["book"]),
        Check.equal("deferrable sensors that succeeded", count, done["wait"]),
    ]


def meetings(items: Sequence[Item], evidence: Evidence) -> list[Check]:
    """Whether each meeting was made once, and is there once, as it was asked for."""
    checks = []
    for vendor, name in VENDORS.items():
        mine = [item for item in items if item.vendor == vendor]
        found = _found(evidence, vendor)
        creates = [row for row in evidence.journal if row["vendor"] == vendor and row["acted"] == "created"]
        made = Counter(_marker(row["body"]) for row in creates)
        checks += [
            Check.equal(f"{name}: meetings made", len(mine), sum(made[item.marker] for item in mine)),
            Check.equal(f"{name}: there once, as asked for", len(mine), right(mine, evidence)),
            Check.equal(f"{name}: there twice", 0, sum(len(found.get(item.marker, ())) > 1 for item in mine)),
            Check.equal(f"{name}: missing", 0, sum(item.marker not in found for item in mine)),
        ]
    return checks


def right(items: Sequence[Item], evidence: Evidence) -> int:
    """How many of the meetings are there once, with every field as it was asked for."""
    found = {vendor: _found(evidence, vendor) for vendor in VENDORS}
    return sum(_is_as_asked(item, found[item.vendor].get(item.marker, ())) for item in items)


def strangers(items: Sequence[Item], evidence: Evidence) -> Check:
    """Whether there is a meeting of this kind that nobody asked for."""
    asked = {item.marker for item in items}
    found = {marker for vendor in VENDORS for marker in _found(evidence, vendor)}
    return Check.equal("meetings that nobody asked for", 0, len(found - asked))


def returned(items: Sequence[Item], values: dict[str, list[Any]], evidence: Evidence) -> list[Check]:
    """Whether each create returned the meeting that it booked, and each sensor that one and no other."""
    found = {vendor: _found(evidence, vendor) for vendor in VENDORS}
    ids = [[row["id"] for row in found[item.vendor].get(item.marker, ())] for item in items]
    booked = [[one] for one in values.get("booked", ())]
    return [
        Check.equal("creates that returned their own", len(items), _same(ids, booked)),
        Check.equal("sensors that returned their own and no other", len(items), _same(ids, values.get("waited", ()))),
    ]


def rates(journal: Sequence[Row]) -> list[Check]:
    """Whether HiringCenter's limits were kept in every span, wherever it begins."""
    arrivals = [row["at"] for row in journal if row["vendor"] == "hiringcenter"]
    checks = []
    for limit, seconds in LIMITS:
        most = busiest(arrivals, seconds * 1000)
        what = f"HiringCenter: requests in the busiest {seconds} s"
        checks.append(Check(what, f"at most {limit}", str(most), most <= limit))
    refused = sum(row["status"] == _TOO_MANY for row in journal)
    return [*checks, Check.equal("answers of 429, too many requests", 0, refused)]


def busiest(moments: Sequence[int], span: int) -> int:
    """The most moments that lie in any half-open span of this length."""
    most, first, ordered = 0, 0, sorted(moments)
    for index, moment in enumerate(ordered):
        while moment - ordered[first] >= span:
            first += 1
        most = max(most, index - first + 1)
    return most


def _found(evidence: Evidence, vendor: str) -> dict[str, list[Row]]:
    """The meetings of this kind, by their marker."""
    found: dict[str, list[Row]] = {}
    for row in evidence.tables[vendor]:
        if marker := _marker(row[_MARKED[vendor]] or ""):
            found.setdefault(marker, []).append(row)
    return found


def _marker(text: str) -> str:
    found = _MARKER.search(text)
    return found.group() if found else ""


def _is_as_asked(item: Item, rows: Sequence[Row]) -> bool:
    return len(rows) == 1 and all(rows[0][name] == value for name, value in item.row.items())


def _same(expected: Sequence[Any], found: Sequence[Any]) -> int:
    return sum(one == other for one, other in zip(expected, found, strict=False))
