"""The table in the docs is composed of runs on several Airflows: each may say what it saw, and nothing else."""

import pytest

from tests.kill.cells import KINDS, LATE, POINTS, VENDORS, Cell, late, older
from tests.kill.grades import AT_LEAST_ONCE, EXACTLY_ONCE, FAILS_LOUDLY
from tests.kill.referee import Verdict
from tests.kill.report import Result, renew, results
from tests.kill.runner import Case


def said(airflow, grade, told="all of them"):
    """What a run of one row says."""
    return Result(airflow, [["Builder Prime", "at a point", grade, grade, grade]], told)


@pytest.fixture
def document(tmp_path):
    """A page with an empty table."""
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- kill matrix: begin -->\n<!-- kill matrix: end -->\nafter\n", encoding="utf-8")
    return path


def table_of(document):
    """The version and the first grade of each row, and the figures."""
    lines = document.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| Builder Prime")]
    return [(row[1], row[3]) for row in rows], [line for line in lines if line.startswith("- Airflow")]


def test_a_run_renews_its_own_version_only(document):
    """A run's rows and figures take the place of those of the same minor version, newest first, and no others."""
    for run in (said("3.2.1", "wrong"), said("2.11.2", FAILS_LOUDLY), said("3.3.2", EXACTLY_ONCE)):
        renew(run, document)
    renew(said("3.2.2", AT_LEAST_ONCE, "again"), document)

    rows, told = table_of(document)
    assert [("3.3", EXACTLY_ONCE), ("3.2", AT_LEAST_ONCE), ("2.11", FAILS_LOUDLY)] == rows
    assert ["- Airflow 3.3.2: all of them", "- Airflow 3.2.2: again", "- Airflow 2.11.2: all of them"] == told


def test_what_stands_around_the_table_stays(document):
    """A run writes between the marks, and nowhere else."""
    renew(said("3.3.2", EXACTLY_ONCE), document)

    lines = document.read_text(encoding="utf-8").splitlines()
    assert ["before", "<!-- kill matrix: begin -->"] == lines[:2]
    assert ["<!-- kill matrix: end -->", "after"] == lines[-2:]


def test_the_worst_of_all_kinds_is_told():
    """One kind of strike that makes a second meeting, seen only at the very end, is what the table says of a point."""
    cases = [Case(Cell("matrix", "builderprime", "create", "before-act", kind)) for kind in KINDS]
    for case in cases:
        case.first = case.last = case.final = Verdict(EXACTLY_ONCE)
    cases[1].final = Verdict(AT_LEAST_ONCE)

    (told,) = results(cases, seconds=60, airflow="3.3.2", seed=1)
    (row,) = [row for row in told.rows if row[:2] == ["Builder Prime", POINTS["before-act"]]]
    assert [AT_LEAST_ONCE, "not run", "not run"] == row[2:]


def test_luck_is_not_told():
    """What went better than is promised, because the machine was slow that day, is not what the table says."""
    lucky = Case(late()[1], first=Verdict(EXACTLY_ONCE))

    (told,) = results([lucky], seconds=60, airflow="3.3.2", seed=1)
    assert [["Builder Prime", LATE, AT_LEAST_ONCE, "", ""]] == [row for row in told.rows if AT_LEAST_ONCE in row]


@pytest.mark.parametrize("airflow", ["2.11.2", "3.2.2"])
def test_an_older_airflow_has_each_create_struck(airflow):
    """Below 3.3, a create of each vendor is struck at each point, by each death and by an exception."""
    asked = {(c.vendor, c.point, c.kind) for c in older(airflow) if c.group == "matrix" and c.operation == "create"}
    expected = {(v, point, kind) for v in VENDORS for point in POINTS for kind in ("task", "supervisor", "raise")}
    assert expected == asked
    assert not [cell for cell in older(airflow) if cell.journal]
