"""The referee: reads what happened from the sandbox's journal and tables, and from nothing else."""

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.testing import MeetingsSandbox
from tests.kill.cells import Cell
from tests.kill.grades import AT_LEAST_ONCE, EXACTLY_ONCE, FAILS_LOUDLY, WRONG

_MARKED = {"hiringcenter": "notes", "builderprime": "title"}


class Vendors(MeetingsSandbox):
    """The sandbox's control API, and what it shows."""

    def evidence(self) -> "Evidence":
        """Read the whole journal and both tables."""
        return Evidence(self.journal(), self.control("GET", "/meetings"), self.control("GET", "/faults"))


@dataclass
class Evidence:
    """What there is at one moment."""

    journal: list[dict[str, Any]]
    tables: dict[str, list[dict[str, Any]]]
    faults: list[dict[str, Any]]

    def hits(self, rule: int) -> int:
        """How often a fault hit; a kill that found nobody is none."""
        hits = [hit for fault in self.faults if fault["id"] == rule for hit in fault["hits"]]
        return sum(hit["action"] != "kill" or bool(hit.get("killed")) for hit in hits)


@dataclass
class Verdict:
    """What the referee says of a cell."""

    grade: str
    problems: list[str] = field(default_factory=list)
    meeting_id: Any = None


def judge(  # noqa: PLR0911 - one for each way to end
    cell: Cell, evidence: Evidence, *, ended: str, try_number: int, meeting_id: Any = None, twin: Any = None
) -> Verdict:
    """Say whether there is exactly the meeting that was asked for."""
    rows = [row for row in evidence.tables[cell.vendor] if cell.marker in (row[_MARKED[cell.vendor]] or "")]
    acts = [row for row in evidence.journal if row["vendor"] == cell.vendor and row["acted"]]
    problems = [] if ended == "success" else [f"the task ended in {ended}"]
    made = [row["meetingId"] for row in acts if row["acted"] == "created" and cell.marker in row["body"]]
    own = [row for row in rows if row["id"] != twin]
    asked = cell.row | ({"location": f"Room {try_number}"} if cell.changing else {})

    if cell.operation == "delete":
        deleted = [row for row in acts if row["acted"] == "deleted" and row["meetingId"] == str(meeting_id)]
        if own or made or (ended == "success" and len(deleted) != 1):
            return Verdict(WRONG, [*problems, f"{len(own)} left, {len(deleted)} deletes, {len(made)} made"], meeting_id)
        return Verdict(FAILS_LOUDLY if problems else EXACTLY_ONCE, problems, meeting_id)

    allowed = 1 if cell.operation == "create" else 0
    if len(made) > allowed or len(own) > 1:
        ids = ", ".join(str(row["id"]) for row in own)
        return Verdict(AT_LEAST_ONCE, [*problems, f"{len(made)} were made, there are {ids}"], own[-1]["id"])
    if twin is not None and not any(row["id"] == twin and _differences(row, cell.row) == [] for row in rows):
        return Verdict(WRONG, [*problems, "the meeting that was there before was touched"])
    if ended != "success":
        return Verdict(FAILS_LOUDLY, problems, own[0]["id"] if own else None)
    if len(own) != 1 or len(made) != allowed:
        return Verdict(WRONG, [f"{len(made)} were made and {len(own)} are there"])
    if wrong := _differences(own[0], asked):
        return Verdict(WRONG, wrong, own[0]["id"])
    return Verdict(EXACTLY_ONCE, [], own[0]["id"])


def _differences(row: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    return [f"{name} is {row[name]!r}, not {value!r}" for name, value in asked.items() if row[name] != value]
