"""What came of it: the matrix on the terminal, and the table in the docs."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.tables import table
from tests.kill.cells import CHANGING, KINDS, LATE, OPERATIONS, POINTS, VENDORS
from tests.kill.grades import GRADES
from tests.kill.runner import Case
from tests.kill.set_cells import MATRIX_GROUPS, SetCell

DOCUMENT = Path(__file__).parents[2] / "docs" / "exactly-once.md"
#: The tables in the docs: of single meetings, and of sets.
SINGLES, SETS = "kill matrix", "kill matrix of sets"
_HEAD = ["| vendor | Airflow | struck | create | update | delete |", "| --- | --- | --- | --- | --- | --- |"]


@dataclass(frozen=True)
class Result:
    """What a run says in the docs.

    Attributes:
        airflow: The version that it was run on, in full.
        rows: Vendor, point, and for each operation the worst that it saw there, or expects.
        told: Its figures.
        table: Which table it belongs into.
    """

    airflow: str
    rows: list[list[str]]
    told: str
    table: str = SINGLES

    @property
    def shown(self) -> str:
        """The version as the table names it; no newer one than this has been tried."""
        return ".".join(self.airflow.split(".")[:2])

    def document(self) -> dict[str, object]:
        """Return it as plain JSON."""
        return asdict(self)


def matrix(cases: Sequence[Case]) -> str:
    """The matrix as text: points by kinds, then the other groups."""
    at = {(c.cell.vendor, c.cell.operation, c.cell.point, c.cell.kind): c for c in cases if c.cell.group == "matrix"}
    rows = []
    for vendor, name in VENDORS.items():
        for operation in OPERATIONS:
            for point, words in POINTS.items():
                found = [at.get((vendor, operation, point, kind)) for kind in KINDS]
                if any(found):
                    rows.append((name, operation, words, *map(_mark, found)))
    text = table(("vendor", "operation", "struck", *KINDS.values()), rows)
    others: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        if case.cell.group != "matrix":
            others.setdefault((case.cell.group, VENDORS[case.cell.vendor], case.cell.operation), []).append(case)
    rows = [
        (
            *key,
            f"{sum(case.ok for case in found)} of {len(found)}",
            _grades(found),
            f"{max(c.seconds for c in found):.0f} s",
        )
        for key, found in others.items()
    ]
    return f"{text}\n\n{table(('group', 'vendor', 'operation', 'passed', 'graded', 'longest'), rows)}"


def results(cases: Sequence[Case], *, seconds: float, airflow: str, seed: int) -> list[Result]:
    """Sum a whole run up for the docs: one result for each table that it has cells of."""
    made = []
    for table_name, summed in ((SINGLES, _singles), (SETS, _sets)):
        own = [case for case in cases if isinstance(case.cell, SetCell) == (table_name == SETS)]
        if not own:
            continue
        groups = "; ".join(f"{group}: {count}" for group, count in Counter(case.cell.group for case in own).items())
        passed = sum(case.ok for case in own)
        told = f"{passed} of {len(own)} cells went as they should, in {seconds / 60:.0f} minutes, with seed {seed}. "
        made.append(Result(airflow, summed(own), f"{told}{groups}.", table_name))
    return made


def _singles(cases: Sequence[Case]) -> list[list[str]]:
    rows = []
    for vendor, name in VENDORS.items():
        own = [case for case in cases if case.cell.vendor == vendor]
        rows += _points(name, [case for case in own if case.cell.group == "matrix"])
        rows.append([name, LATE, _worst([case for case in own if case.cell.point == LATE]), "", ""])
        changing = [case for case in own if case.cell.group == CHANGING]
        rows.append([name, f"and the {CHANGING}", _worst(changing), "", ""])
    return rows


def _sets(cases: Sequence[Case]) -> list[list[str]]:
    rows = []
    for vendor, name in VENDORS.items():
        own = [case for case in cases if case.cell.vendor == vendor]
        rows += _points(name, [case for case in own if case.cell.group in MATRIX_GROUPS])
        rows.append([name, LATE, _worst([case for case in own if case.cell.point == LATE]), "", ""])
    return rows


def _points(name: str, cases: Sequence[Case]) -> list[list[str]]:
    """One row for each point, with the worst of each operation there."""
    return [
        [
            name,
            words,
            *(_worst([c for c in cases if (c.cell.point, c.cell.operation) == (point, op)]) for op in OPERATIONS),
        ]
        for point, words in POINTS.items()
    ]


def renew(new: Result, document: Path = DOCUMENT) -> None:
    """Put a run's rows and figures into the docs, in the place of those of an earlier run on the same Airflow."""
    text = document.read_text(encoding="utf-8")
    begin, end = (f"<!-- {new.table}: {where} -->" for where in ("begin", "end"))
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    rows = [
        line for line in re.findall(r"^\| .*\|$", old, re.MULTILINE) if re.fullmatch(r"\d+\.\d+", _version_of(line))
    ]
    told = re.findall(r"^- Airflow \d.*$", old, re.MULTILINE)
    rows = [line for line in rows if _version_of(line) != new.shown]
    told = [line for line in told if not line.startswith(f"- Airflow {new.shown}.")]
    rows += [f"| {vendor} | {new.shown} | {' | '.join(rest)} |" for vendor, *rest in new.rows]
    told += [f"- Airflow {new.airflow}: {new.told}"]
    newest = {"key": lambda line: _numbers(_version_of(line) or line), "reverse": True}
    lines = [*_HEAD, *sorted(rows, **newest), "", *sorted(told, **newest)]
    document.write_text(f"{before}{begin}\n{chr(10).join(lines)}\n{end}{after}", encoding="utf-8")


def _version_of(line: str) -> str:
    """The version in a row of the table; empty for another line."""
    return line.split("|")[2].strip() if line.startswith("|") else ""


def _numbers(text: str) -> tuple[int, ...]:
    """The first version in a text, as numbers."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def _mark(case: Case | None) -> str:
    return "" if case is None else f"{'ok' if case.ok else 'FAILED'} {case.seconds:.0f} s"


def _worst(cases: Sequence[Case]) -> str:
    return max((case.safe_to_say for case in cases), key=GRADES.index) if cases else "not run"


def _grades(cases: Sequence[Case]) -> str:
    counts = Counter(case.grade for case in cases)
    return ", ".join(f"{counts[grade]} {grade}" for grade in GRADES if counts[grade])
