"""What came of it: the matrix on the terminal, and the table in the docs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from demo.tables import table
from tests.kill.cells import KINDS, OPERATIONS, POINTS, VENDORS, WITH_LEDGER, WITHOUT_LEDGER
from tests.kill.referee import GRADES
from tests.kill.runner import Case

DOCUMENT = Path(__file__).parents[2] / "docs" / "exactly-once.md"
_BEGIN, _END = "<!-- kill matrix: begin -->", "<!-- kill matrix: end -->"


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
    others = {}
    for case in cases:
        if case.cell.group != "matrix":
            key = (case.cell.group, VENDORS[case.cell.vendor], case.cell.operation, case.cell.airflow)
            others.setdefault(key, []).append(case)
    rows = [
        (
            *key,
            f"{sum(case.ok for case in found)} of {len(found)}",
            _grades(found),
            f"{max(c.seconds for c in found):.0f} s",
        )
        for key, found in others.items()
    ]
    return f"{text}\n\n{table(('group', 'vendor', 'operation', 'Airflow', 'passed', 'graded', 'longest'), rows)}"


def write_table(cases: Sequence[Case], *, seconds: float, airflow: str, seed: int) -> None:
    """Renew the table in the docs."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = ["| vendor | Airflow | struck | create | update | delete |", "| --- | --- | --- | --- | --- | --- |"]
    for version in (WITH_LEDGER, WITHOUT_LEDGER):
        groups = {"matrix"} if version == WITH_LEDGER else {"without a ledger"}
        for vendor, name in VENDORS.items():
            for point, words in POINTS.items():
                grades = [
                    _worst(
                        [
                            case
                            for case in cases
                            if case.cell.group in groups
                            and (case.cell.vendor, case.cell.operation, case.cell.point) == (vendor, operation, point)
                        ]
                    )
                    for operation in OPERATIONS
                ]
                shown = "3.3 and newer" if version == WITH_LEDGER else f"{version} ¹"
                lines.append(f"| {name} | {shown} | {words} | {' | '.join(grades)} |")
            changing = [
                case
                for case in cases
                if case.cell.changing and (case.cell.vendor, case.cell.airflow) == (vendor, version)
            ]
            lines.append(f"| {name} | {shown} | and the payload changes with each try | {_worst(changing)} | | |")
    groups = Counter(case.cell.group for case in cases)
    counted = "; ".join(f"{group}: {count}" for group, count in groups.items())
    passed = sum(case.ok for case in cases)
    told = f"Of {len(cases)} cells, {passed} went as they should, on Airflow {airflow}, in {seconds / 60:.0f} minutes, "
    lines += ["", f"{told}with seed {seed}. {counted}."]
    DOCUMENT.write_text(f"{before}{_BEGIN}\n{chr(10).join(lines)}\n{_END}{after}")


def _mark(case: Case | None) -> str:
    return "" if case is None else f"{'ok' if case.ok else 'FAILED'} {case.seconds:.0f} s"


def _worst(cases: Sequence[Case]) -> str:
    return max((case.grade for case in cases), key=GRADES.index) if cases else "not run"


def _grades(cases: Sequence[Case]) -> str:
    counts = Counter(case.grade for case in cases)
    return ", ".join(f"{counts[grade]} {grade}" for grade in GRADES if counts[grade])
