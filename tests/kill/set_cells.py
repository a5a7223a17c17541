"""The cells of sets: a table of rows in one task, struck in its first, middle or last batch of writes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.kill.cells import (
    _LATE_THINKING,
    _LATE_THINKING_2,
    _STRIKE_AFTER,
    _THINKING,
    LATE,
    OPERATIONS,
    POINTS,
    VENDORS,
    Cell,
    _strike,
)
from tests.kill.grades import AT_LEAST_ONCE, FAILS_LOUDLY

BATCHES = {"first": 0, "middle": 1, "last": 2}
#: So many writes go out at once, so many in a batch, and so many in all: the last batch is not a full one.
PARALLEL, BATCH, WRITES = 2, 8, 20
#: The groups whose cells the table in the docs is made of.
MATRIX_GROUPS = tuple(f"set, {name} batch" for name in BATCHES)
AGAIN, SETTLING, FORGETFUL = "set, killed in three tries", "set, kill while settling", "set without a journal"
LATE_SETS = "set, the vendor acts late"
ALL_KINDS = "all"
# The write of a batch that is struck: others of the batch are done, on their way, and not begun.
_STRUCK = 4
_START = datetime(2027, 2, 1, tzinfo=UTC)
_FIRST_ITEM = 100_000


@dataclass
class Item(Cell):
    """One meeting of a set; its marker is the set's with the row's index.

    Attributes:
        begins: When it begins.
    """

    begins: datetime = _START

    @property
    def moment(self) -> datetime:
        """When it begins."""
        return self.begins


@dataclass
class SetCell(Cell):
    """One task instance of a set, and what happens to it.

    Attributes:
        operation: What each of its writes is; ``all``: creates, updates and deletes in turn.
        batch: The batch that is struck, from 0.
    """

    batch: int = 0

    def __post_init__(self) -> None:
        self.dag, self.connection = "kill_set", f"{self.vendor}_set"

    @property
    def items(self) -> list[Item]:
        """The meetings that are written, in the order in which they are."""
        return [self._item(index, self._operation_of(index)) for index in range(WRITES)]

    @property
    def keeper(self) -> Item:
        """A meeting that is as its row declares it, and stays so."""
        return self._item(WRITES, "create")

    @property
    def has_keeper(self) -> bool:
        """Whether there is one: without any row nothing can be deleted."""
        return self.operation in {"delete", ALL_KINDS}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The declared rows."""
        kept = [self.keeper] if self.has_keeper else []
        declared = [item for item in [*self.items, *kept] if item.operation != "delete"]
        return [item.meeting | (item.changes if item.operation == "update" else {}) for item in declared]

    @property
    def arguments(self) -> dict[str, Any]:
        """The operator's."""
        start = _START + timedelta(hours=self.number)
        match_on = ["prospectId"] if self.vendor == "hiringcenter" else ["clientOpportunityId", "title"]
        return {
            "meetings": self.rows,
            "match_on": match_on,
            "window_start": start.isoformat(),
            "window_end": (start + timedelta(hours=1)).isoformat(),
            "delete_missing": self.has_keeper,
        }

    @property
    def label(self) -> str:
        """One line for people."""
        return f"{super().label}, batch {self.batch + 1}"

    def struck_items(self) -> list[int]:
        """The indices of the writes that the vendor holds up where one is struck: all that go out together."""
        first = BATCH * self.batch + _STRUCK - PARALLEL
        return list(range(first, first + PARALLEL))

    def _operation_of(self, index: int) -> str:
        return self.operation if self.operation in OPERATIONS else OPERATIONS[index * len(OPERATIONS) // WRITES]

    def _item(self, index: int, operation: str) -> Item:
        begins = _START + timedelta(hours=self.number, minutes=index)
        marker, number = f"{self.marker}-{index:02d}", _FIRST_ITEM + 100 * self.number + index
        return Item(self.group, self.vendor, operation, "", "", begins=begins, marker=marker, number=number)


def _place(cell: SetCell) -> SetCell:
    """Turn a point, a kind and a batch into what the process and the sandbox do."""
    nth = BATCH * cell.batch + _STRUCK
    match cell.point:
        case "before-journal" if cell.journal:
            cell.strikes = [_strike("save-before", cell.kind, nth=cell.batch + 1)]
        case "before-journal":
            cell.strikes = [_strike("enter", cell.kind)]
        case "before-send":
            cell.strikes = [_strike("send-before", cell.kind, nth=nth)]
        case "before-act" | "before-answer":
            when = "before" if cell.point == "before-act" else "after"
            cell.faults = [{"when": when, "action": "delay", "seconds": _THINKING}] * PARALLEL
            cell.strikes = [_strike("send-during", cell.kind, nth=nth, seconds=_STRIKE_AFTER)]
        case "before-record":
            cell.strikes = [_strike("send-after", cell.kind, nth=nth)]
        case "before-success":
            cell.strikes = [_strike("leave", cell.kind)]
    return cell


def set_matrix(*, journal: bool = True) -> list[Cell]:
    """Vendor x operation x point x kind x batch, and for creates the whole worker."""
    return [
        _place(SetCell(f"set, {name} batch", vendor, operation, point, kind, journal=journal, batch=batch))
        for name, batch in BATCHES.items()
        for kind in ("supervisor", "worker", "task", "raise")
        for point in POINTS
        for operation in OPERATIONS
        for vendor in VENDORS
        if (kind != "worker" or (operation == "create" and name == "middle"))
        and (name == "last" or not (point == "before-success" or (point == "before-journal" and not journal)))
    ]


def set_settling() -> list[Cell]:
    """A kill with creates in flight, and another one while the next try finds out what became of them."""
    cells: list[Cell] = []
    for vendor in VENDORS:
        looking = ("send-before", "send-after") if vendor == "hiringcenter" else ("read-before", "read-after")
        for at in (*looking, "save-before", "save-after"):
            cell = _place(SetCell(SETTLING, vendor, "create", "before-act", "task", batch=1))
            cell.strikes.append(_strike(at, "task", in_try=2))
            cell.point = f"at the {at} of the settling"
            cells.append(cell)
    return cells


def set_again() -> list[Cell]:
    """Creates, updates and deletes in one set, which is struck in each of its first three tries."""
    cells: list[Cell] = []
    for vendor in VENDORS:
        for kind in ("task", "supervisor", "raise"):
            cell = SetCell(AGAIN, vendor, ALL_KINDS, "in its creates, its updates and its deletes", kind)
            cell.strikes = [
                _strike(f"{operation}-after", kind, nth=3, in_try=number)
                for number, operation in enumerate(OPERATIONS, 1)
            ]
            cells.append(cell)
    return cells


def set_late(*, journal: bool = True, airflow: str = "") -> list[Cell]:
    """The vendor acts on creates long after the next try has looked for what became of them."""
    cells: list[Cell] = []
    for vendor, promise in (("hiringcenter", FAILS_LOUDLY), ("builderprime", AT_LEAST_ONCE)):
        cell = SetCell(LATE_SETS, vendor, "create", "before-act", "task", journal=journal, promise=promise, batch=1)
        _place(cell).point = LATE
        seconds = _LATE_THINKING_2 if airflow.startswith("2.") else _LATE_THINKING
        cell.faults = [fault | {"seconds": seconds} for fault in cell.faults]
        cells.append(cell)
    return cells


def set_without_journal() -> list[Cell]:
    """Sets of this Airflow without their task state store, as below Airflow 3.3; `set_older` asks those themselves."""
    cells = [cell for cell in set_matrix(journal=False) if cell.kind == "task" and "last" in cell.group]
    for cell in cells:
        cell.group = FORGETFUL
    return cells


def set_older(airflow: str) -> list[Cell]:
    """What an Airflow below 3.3 is asked of sets."""
    chosen = [
        cell
        for cell in set_matrix(journal=False)
        if cell.kind == "task" and (cell.operation == "create" or "last" in cell.group)
    ]
    return [*set_late(journal=False, airflow=airflow), *chosen]


def sets() -> list[Cell]:
    """All cells of sets on an Airflow with a task state store."""
    return [*set_late(), *set_again(), *set_settling(), *set_matrix(), *set_without_journal()]
