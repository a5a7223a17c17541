"""The cells of the matrix: what is asked for, where it is struck, and how."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.rows import VENDORS, as_sent, table_row
from tests.kill.grades import AT_LEAST_ONCE, EXACTLY_ONCE, FAILS_LOUDLY

OPERATIONS = ("create", "update", "delete")
KINDS = {
    "task": "SIGKILL of the task",
    "supervisor": "SIGKILL of its supervisor",
    "raise": "an exception",
    "worker": "SIGKILL of both at once",
}
#: The six points, in the order in which a try passes them.
POINTS = {
    "before-journal": "before the journal is written",
    "before-send": "after the journal, before the send",
    "before-act": "after the send, before the vendor acts",
    "before-answer": "after the vendor acted, before its answer",
    "before-record": "after the answer, before the journal has it",
    "before-success": "after the journal, before the success",
}
#: And a seventh: longer than anybody waits for a lost request.
LATE = "and the vendor acts a minute after the send"
CHANGING, LATE_GROUP = "payload changes with each try", "the vendor acts late"
RUNNING_GROUP = "cleared while it runs"

# How long the sandbox thinks while a request is struck, and when the strike comes.
_THINKING, _STRIKE_AFTER = 4.0, 1.0
_LATE_THINKING = 60.0
# Airflow 2 takes up to half a minute to notice a death.
_LATE_THINKING_2 = 150.0
# Another kind of Builder Prime's meetings than the usual one.
_KIND = 1011
_OLDER_KINDS = {"create": ("supervisor", "raise")}
_START = datetime(2026, 12, 7, 14, tzinfo=UTC)


@dataclass
class Cell:
    """One task instance and what happens to it.

    Attributes:
        group: Which part of the matrix it belongs to.
        vendor: With whom.
        operation: create, update or delete.
        point: Where it is struck.
        kind: How.
        marker: Its name: the run's id, and part of the meeting, so that the journal's rows are known by it.
        strikes: Where its process is struck, by whom and in which try.
        faults: What the sandbox does to its requests; ``match`` is filled in.
        outcomes: What the first success may say that it did.
        journal: Whether its tries have a task state store, as on Airflow 3.3 and newer.
        promise: The worst grade that it may get.
        lives_on: Its task may outlive its supervisor and be done in the first try, as on Airflow 2.
    """

    group: str
    vendor: str
    operation: str
    point: str
    kind: str
    strikes: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)
    journal: bool = True
    promise: str = EXACTLY_ONCE
    lives_on: bool = False
    connection: str = ""
    dag: str = ""
    changing: bool = False
    twin: bool = False
    fails_first: bool = False
    cleared_while_held: bool = False
    same_try: bool = False
    marker: str = ""
    number: int = 0

    @property
    def label(self) -> str:
        """One line for people."""
        where = POINTS.get(self.point, self.point)
        how = KINDS.get(self.kind, self.kind)
        return f"{self.group}: {VENDORS[self.vendor]} {self.operation}, {how} {where}"

    @property
    def moment(self) -> datetime:
        """When its meeting begins; several cells share a moment."""
        return _START + timedelta(minutes=15 * (self.number % 40))

    @property
    def row(self) -> dict[str, Any]:
        """The meeting as the sandbox's table has it when all is well."""
        start, changes = int(self.moment.timestamp() * 1000), {}
        if self.vendor == "hiringcenter":
            if self.operation == "update":
                changes = {"meetingType": "phone", "location": "Room 2"}
            return table_row(self.vendor, start, f"{self.marker} interview", self.number, **changes)
        if self.operation == "update":
            changes = {"location": "Yard 2", "endDateTime": start + 5_400_000}
        return table_row(self.vendor, start, f"{self.marker} visit", self.number, meetingTypeId=_KIND, **changes)

    @property
    def row_before(self) -> dict[str, Any]:
        """The meeting that an update or a delete finds."""
        start = self.moment.timestamp() * 1000
        if self.vendor == "hiringcenter":
            return self.row | {"meetingType": "virtual", "location": "Room 1", "id": f"{0xA0000 + self.number:032x}"}
        return self.row | {"location": "Yard 1", "endDateTime": int(start) + 3_600_000}

    @property
    def meeting(self) -> dict[str, Any]:
        """What a create asks for."""
        return as_sent(self.vendor, self.row, self.moment, self.moment + timedelta(hours=1))

    @property
    def changes(self) -> dict[str, Any]:
        """What an update asks for."""
        names = ("meetingType", "location") if self.vendor == "hiringcenter" else ("location", "endDateTime")
        return {name: self.row[name] for name in names}

    def match(self, meeting_id: Any) -> dict[str, Any]:
        """Which of the sandbox's requests are this cell's writes."""
        if self.operation == "create":
            return {"vendor": self.vendor, "method": "POST", "body_regex": self.marker}
        method = "POST" if self.operation == "update" else "DELETE"
        return {"vendor": self.vendor, "method": method, "path_regex": f"/{meeting_id}$"}


def _strike(at: str, kind: str, *, in_try: int = 1, **more: Any) -> dict[str, Any]:
    return {"at": at, "kind": kind, "try": in_try, **more}


def _kill(when: str, kind: str) -> dict[str, Any]:
    return {"when": when, "action": "kill", "peer": kind != "supervisor", "parent": kind != "task"}


def _place(cell: Cell) -> Cell:
    """Turn a point and a kind into what the process and the sandbox do."""
    journal = cell.operation != "update" and cell.journal
    during = _strike("send-during", cell.kind, seconds=_STRIKE_AFTER)
    match cell.point:
        case "before-journal":
            cell.strikes = [_strike("save-before" if journal else "enter", cell.kind)]
            cell.outcomes = {"created"}
        case "before-send":
            cell.strikes = [_strike("send-before", cell.kind)]
            cell.outcomes = {"created", "adopted"}
        case "before-act":
            # The strike hits while the vendor is still thinking; what it does, it does after that.
            cell.faults = [{"when": "before", "action": "delay", "seconds": _THINKING}]
            cell.strikes = [during]
            cell.outcomes = {"created", "adopted"}
        case "before-answer" if cell.kind == "raise":
            cell.faults = [{"when": "after", "action": "delay", "seconds": _THINKING}]
            cell.strikes = [during]
            cell.outcomes = {"adopted"}
        case "before-answer":
            cell.faults = [_kill("after", cell.kind)]
            cell.outcomes = {"adopted"}
        case "before-record":
            cell.strikes = [_strike("send-after", cell.kind)]
            cell.outcomes = {"adopted"}
        case "before-success":
            cell.strikes = [_strike("leave", cell.kind)]
            cell.outcomes = {"unchanged"}
    return cell


def matrix(*, journal: bool = True) -> list[Cell]:
    """Vendor x operation x point x kind, and for creates the whole worker."""
    return [
        _place(Cell("matrix", vendor, operation, point, kind, journal=journal))
        for kind in ("supervisor", "worker", "task", "raise")
        for point in POINTS
        for operation in OPERATIONS
        for vendor in VENDORS
        if kind != "worker" or operation == "create"
    ]


def late(*, journal: bool = True) -> list[Cell]:
    """The vendor acts long after the next try has looked for what became of the last one's create."""
    cells = []
    for vendor, promise in (("hiringcenter", FAILS_LOUDLY), ("builderprime", AT_LEAST_ONCE)):
        cell = Cell(LATE_GROUP, vendor, "create", LATE, "task", journal=journal, promise=promise)
        cell.faults = [{"when": "before", "action": "delay", "seconds": _LATE_THINKING}]
        cell.strikes = [_strike("send-during", "task", seconds=_STRIKE_AFTER)]
        cell.outcomes = {"created", "adopted"}
        cells.append(cell)
    return cells


def lost(*, journal: bool = True) -> list[Cell]:
    """The request is lost with the task: the vendor never acts on it."""
    cells = []
    for vendor in VENDORS:
        for operation in OPERATIONS:
            cell = Cell(
                "lost request", vendor, operation, "after the send, which never arrives", "task", journal=journal
            )
            cell.faults, cell.outcomes = [_kill("before", "task")], {"created", "adopted"}
            cells.append(cell)
    return cells


def settling() -> list[Cell]:
    """A kill, and another one while the next try finds out what the first one left."""
    cells = []
    for vendor in VENDORS:
        looking = ("send-before", "send-after") if vendor == "hiringcenter" else ("read-before", "read-after")
        for kind in ("task", "supervisor", "raise"):
            for at in (*looking, "save-before", "save-after"):
                cell = Cell("kill while settling", vendor, "create", f"at the {at} of the settling", kind)
                cell.faults = [_kill("after", "task")]
                cell.strikes = [_strike(at, kind, in_try=2)]
                cell.outcomes = {"adopted", "unchanged"}
                cells.append(cell)
        cell = Cell("kill while settling", vendor, "create", "in three tries, one after the other", "task")
        cell.faults = [_kill("before", "task")]
        cell.strikes = [_strike("save-before", "task", in_try=2), _strike("send-after", "task", in_try=3)]
        if vendor == "builderprime":  # its settling finds nothing, so the third try is a create of its own
            cell.strikes[0]["at"] = "read-after"
        cell.outcomes = {"created", "adopted", "unchanged"}
        cells.append(cell)
    return cells


def special(*, journal: bool = True) -> list[Cell]:
    """Payloads that change with each try, twins, and clears of running and failed tasks."""
    cells = []
    # Without a journal nothing tells what the last try asked for.
    forgotten = {"hiringcenter": FAILS_LOUDLY, "builderprime": AT_LEAST_ONCE}
    for vendor in VENDORS:
        for point in ("before-act", "before-answer", "before-record", "before-success"):
            cell = _place(Cell(CHANGING, vendor, "create", point, "task", changing=True))
            cell.outcomes = {"updated"}
            cell.promise = EXACTLY_ONCE if journal else forgotten[vendor]
            cells.append(cell)
        cells += [
            _place(Cell("an equal meeting was there before", vendor, "create", point, "task", twin=True))
            for point in ("before-send", "before-answer")
        ]
        for at in ("send-before", "send-after"):
            cell = Cell(RUNNING_GROUP, vendor, "create", f"at {at}", "hold", cleared_while_held=True)
            cell.strikes, cell.outcomes = [_strike(at, "hold")], {"created", "adopted"}
            cells.append(cell)
        cell = Cell("cleared after it failed", vendor, "create", "before-record", "raise", fails_first=True)
        cell.strikes = [_strike("send-after", "raise"), *(_strike("leave", "raise", in_try=n) for n in (2, 3, 4))]
        cell.outcomes = {"unchanged"}
        cells.append(cell)
    for cell in cells:
        cell.journal = journal
    return cells


def orphans() -> list[Cell]:
    """The supervisor is killed, and its task lives on, wakes up while or after the next try runs, and goes on.

    Not asked of Builder Prime's create: asleep between the journal and the send for longer than a request may take. The
    vendor has no keys, and nothing on our side can call back what another process is about to send.
    """
    cells = []
    for vendor in VENDORS:
        for operation in OPERATIONS:
            journal = ("save-before", "save-after") if operation == "create" else ()
            for at in ("enter", *journal, "send-before", "send-after", "leave"):
                if (vendor, operation) == ("builderprime", "create") and at in {"save-after", "send-before"}:
                    continue
                cell = Cell("orphan that lives on", vendor, operation, f"at {at}", "orphan")
                cell.strikes, cell.outcomes = [_strike(at, "orphan")], {"created", "adopted", "unchanged"}
                cells.append(cell)
    return cells


def waits(seconds: int) -> list[Cell]:
    """Waits that are longer than a worker may sleep: the slot is freed, and the same try goes on."""
    cells = []
    for vendor in VENDORS:
        cell = Cell("long wait", vendor, "create", f"a 429 that asks for {seconds} s", "wait")
        cell.connection, cell.same_try = f"{vendor}_impatient", True
        cell.faults = [{"when": "before", "action": "ratelimit", "retry_after": seconds}]
        cell.outcomes = {"created"}
        cells.append(cell)
    cell = Cell("long wait", "builderprime", "create", "for a lost request that may still arrive", "task")
    cell.connection, cell.faults = "builderprime_impatient", [_kill("before", "task")]
    cell.outcomes = {"created", "adopted"}
    cells.append(cell)
    return cells


def without_journal() -> list[Cell]:
    """Tasks of this Airflow without their task state store, as below Airflow 3.3; `older` asks those themselves."""
    placed = [cell for cell in matrix(journal=False) if cell.kind == "task"]
    changing = [cell for cell in special(journal=False) if cell.changing and cell.point == "before-answer"]
    for cell in (*placed, *changing):
        cell.group = "without a journal" + (f", {cell.group}" if cell.changing else "")
    return [*placed, *changing]


def older(airflow: str) -> list[Cell]:
    """What an Airflow below 3.3 is asked, which has no task state store: of the matrix, what takes little time."""
    chosen = [cell for cell in matrix(journal=False) if cell.kind in ("task", *_OLDER_KINDS.get(cell.operation, ()))]
    gone = [cell for cell in lost(journal=False) if cell.operation == "create"]
    cells = [*late(journal=False), *chosen, *gone, *special(journal=False)]
    if airflow.startswith("2."):
        # What Airflow 2 makes of a task that is cleared while it runs is another story, which is not told here.
        cells = [cell for cell in cells if cell.group != RUNNING_GROUP]
        for cell in cells:
            # There a task writes to Airflow's database by itself, and ends as if nothing had been.
            cell.lives_on = cell.kind == "supervisor"
            if cell.point == LATE:
                cell.faults[0]["seconds"] = _LATE_THINKING_2
    return cells


def outage(how: str) -> list[Cell]:
    """The API server goes away in the middle of a create."""
    cells = []
    for vendor in VENDORS:
        for at in ("save-before", "send-after"):
            cell = Cell("API server lost", vendor, "create", f"{how} at {at}", "hold", dag="kill_outage")
            cell.strikes, cell.outcomes = [_strike(at, "hold")], {"created", "adopted", "unchanged"}
            cells.append(cell)
    return cells


def mapped(count: int, kills: int, chance: random.Random) -> list[Cell]:
    """Items of one mapped task; some of them are struck somewhere."""
    cells = [
        Cell("mapped", vendor, "create", "", "") for _, vendor in zip(range(count), list(VENDORS) * count, strict=False)
    ]
    for cell in chance.sample(cells, kills):
        strike_mapped(cell, chance)
    return cells


def strike_mapped(cell: Cell, chance: random.Random, in_try: int = 1) -> None:
    """Choose where a mapped item is struck."""
    at = chance.choice(("enter", "save-before", "save-after", "send-before", "send-after", "leave"))
    cell.kind = chance.choice(("task", "task", "supervisor", "raise", "worker"))
    cell.point = at
    cell.strikes.append(_strike(at, cell.kind, in_try=in_try))


def numbered(cells: list[Cell], start: int) -> list[Cell]:
    """Give each cell its number and its name."""
    for number, cell in enumerate(cells, start):
        cell.number, cell.marker = number, f"kill-{number:04d}"
        cell.dag = cell.dag or f"kill_{cell.operation}"
        cell.connection = cell.connection or f"{cell.vendor}_default"
    return cells
