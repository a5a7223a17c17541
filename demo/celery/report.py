"""The tables at the end: what was measured, what was asked of the vendors, and what holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from demo.celery import referee
from demo.celery.plan import Item
from demo.celery.referee import Check, Evidence
from demo.rows import VENDORS
from demo.tables import table

_MAPPED = ("book", "wait")
_KILLS = 2


@dataclass
class Phase:
    """One run of the DAG.

    Attributes:
        name: One line for people.
        items: The meetings that it books and waits for.
        run_id: Airflow's name of it.
        tasks: Its task instances, as Airflow's API has them in the end.
        values: What its last task returned.
        busy: How busy the machine's cores were meanwhile, between 0 and 1.
    """

    name: str
    items: list[Item]
    run_id: str = ""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    busy: float = 0.0

    @property
    def mapped(self) -> list[dict[str, Any]]:
        """Its creates and sensors."""
        return [task for task in self.tasks if task["task_id"] in _MAPPED]

    @property
    def tried_again(self) -> int:
        """How many of them took more than one try."""
        return sum(task["try_number"] > 1 for task in self.mapped)

    @property
    def seconds(self) -> float:
        """From when the first of them began to when the last one ended."""
        moments = [_moment(task[name]) for task in self.mapped for name in ("start_date", "end_date") if task[name]]
        return max(moments) - min(moments) if moments else 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table."""
        done = sum(task["state"] == "success" for task in self.mapped)
        rate = f"{done / self.seconds * 60:.0f}" if self.seconds else "-"
        return (self.name, str(done), str(self.tried_again), f"{self.seconds:.0f} s", rate, f"{self.busy:.0%}")


def report(phases: Sequence[Phase], kills: Sequence[Check], evidence: Evidence) -> list[str]:
    """Prints everything; returns what does not hold. The last phase is the one with the kills."""
    heads = ("run", "tasks done", "tried again", "took", "tasks a minute", "cores busy")
    print(f"\n{table(heads, [phase.cells for phase in phases])}\n")
    print(f"{table(('vendor', 'creates', 'lists', 'other', 'meetings made'), _requests(evidence))}\n")
    outcomes = Counter(phases[-1].values.get("outcomes", ()))
    print(f"What the creates of the run with the kills say they did: {_counted(outcomes)}\n")
    checks = _checks(phases, kills, evidence)
    print(f"{table(('check', 'expected', 'found', ''), [check.cells for check in checks])}\n")
    return [f"{check.what}: {check.found}, expected {check.expected}" for check in checks if not check.ok]


def _checks(phases: Sequence[Phase], kills: Sequence[Check], evidence: Evidence) -> list[Check]:
    *measured, main = phases
    everything = [item for phase in phases for item in phase.items]
    checks = [Check.equal("kills in the last run", _KILLS, len(kills)), *kills]
    checks.append(Check.at_least("tasks that were cut off and tried again", 1, main.tried_again))
    checks += referee.tasks(main.tasks, len(main.items))
    checks += referee.meetings(main.items, evidence)
    checks += referee.returned(main.items, main.values, evidence)
    for phase in measured:
        there = referee.right(phase.items, evidence)
        checks.append(Check.equal(f"{phase.name}: meetings there once, as asked for", len(phase.items), there))
    checks.append(referee.strangers(everything, evidence))
    return checks + referee.rates(evidence.journal)


def _requests(evidence: Evidence) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for vendor, name in VENDORS.items():
        mine = [row for row in evidence.journal if row["vendor"] == vendor]
        methods = Counter(row["method"] for row in mine)
        made = sum(row["acted"] == "created" for row in mine)
        other = len(mine) - methods["POST"] - methods["GET"]
        rows.append((name, str(methods["POST"]), str(methods["GET"]), str(other), str(made)))
    return rows


def _counted(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in outcomes.most_common()) or "nothing"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
