"""The referee of sets sees a second meeting, a lost one, a write too many; and the cells cover each batch."""

import json

import pytest

from tests.kill.cells import OPERATIONS, POINTS, VENDORS
from tests.kill.grades import AT_LEAST_ONCE, EXACTLY_ONCE, FAILS_LOUDLY, WRONG
from tests.kill.referee import Evidence
from tests.kill.report import SETS, results
from tests.kill.runner import Case
from tests.kill.set_cells import ALL_KINDS, BATCH, BATCHES, LATE_SETS, WRITES, SetCell, set_older, sets
from tests.kill.set_referee import judge_set


@pytest.fixture(params=VENDORS)
def cell(request):
    """A set of creates, updates and deletes."""
    return SetCell("set", request.param, ALL_KINDS, "", "task", marker="kill-0007", number=7)


@pytest.fixture
def world(cell):
    """What the sandbox has after a set that went well, and the ids of the meetings that were there before."""
    ids, journal, table = {}, [], []
    for number, item in enumerate([*cell.items, cell.keeper]):
        kept = number == WRITES
        if item.operation != "create" or kept:
            ids[item.marker] = f"m{number}"
        if item.operation != "delete":
            table.append(item.row | {"id": f"m{number}"})
        acted = {"create": "created", "update": "updated", "delete": "deleted"}[item.operation]
        path = "/meetings" if item.operation == "create" else f"/meetings/m{number}"
        if not kept:
            method = "DELETE" if item.operation == "delete" else "POST"
            body = json.dumps(item.meeting) if item.operation == "create" else ""
            journal.append(entry(cell, method, path, body, acted=acted, meetingId=f"m{number}"))
    tables = {vendor: [] for vendor in VENDORS} | {cell.vendor: table}
    return Evidence(journal, tables, []), ids


def entry(cell, method, path, body="", **more):
    """A line of the sandbox's journal."""
    return {
        "vendor": cell.vendor,
        "method": method,
        "path": path,
        "body": body,
        "acted": None,
        "meetingId": None,
    } | more


def grade(cell, world, ended="success", try_number=1):
    """What the referee says."""
    evidence, ids = world
    return judge_set(cell, evidence, ended=ended, try_number=try_number, ids=ids).grade


def test_all_went_well(cell, world):
    """A meeting for each row, each written once, is exactly once; if the task failed nevertheless, it failed loudly."""
    assert grade(cell, world) == EXACTLY_ONCE
    assert grade(cell, world, ended="failed") == FAILS_LOUDLY


def test_a_second_meeting(cell, world):
    """A row with two meetings is at least once."""
    evidence, _ = world
    evidence.tables[cell.vendor].append(cell.items[0].row | {"id": "twin"})
    assert grade(cell, world) == AT_LEAST_ONCE


def test_a_second_meeting_that_is_gone_again(cell, world):
    """What was made twice counts, also where one of the two is gone by now."""
    evidence, _ = world
    evidence.journal.append(dict(evidence.journal[0]))
    assert grade(cell, world) == AT_LEAST_ONCE


@pytest.mark.parametrize("index", [0, WRITES // 2, WRITES], ids=["made", "changed", "kept"])
def test_a_lost_meeting(cell, world, index):
    """A meeting that should be there and is not is wrong."""
    evidence, _ = world
    rows = evidence.tables[cell.vendor]
    marker = [*cell.items, cell.keeper][index].marker
    evidence.tables[cell.vendor] = [row for row in rows if marker not in str(row)]
    assert grade(cell, world) == WRONG


def test_a_meeting_that_should_be_gone(cell, world):
    """A meeting that has no row and is there is wrong."""
    evidence, _ = world
    evidence.tables[cell.vendor].append(cell.items[-1].row | {"id": f"m{WRITES - 1}"})
    assert grade(cell, world) == WRONG


def test_a_field_that_is_not_as_declared(cell, world):
    """An update that was lost is wrong."""
    evidence, _ = world
    next(row for row in evidence.tables[cell.vendor] if cell.items[8].marker in str(row))["location"] = "elsewhere"
    assert grade(cell, world) == WRONG


def test_writes_that_were_not_needed(cell, world):
    """A try may send again what one batch has left unanswered, and no more."""
    evidence, ids = world
    again = entry(cell, "POST", f"/meetings/{ids[cell.items[8].marker]}")
    evidence.journal += [again] * BATCH
    assert grade(cell, world, try_number=2) == EXACTLY_ONCE
    evidence.journal.append(again)
    assert grade(cell, world, try_number=2) == WRONG


def test_a_vendor_that_is_late_is_asked_again(cell, world):
    """Its repeats are no writes that were not needed; a set that failed has failed loudly."""
    evidence, _ = world
    evidence.journal.extend(evidence.journal[:1] * 2)
    evidence.journal[-1] = evidence.journal[-2] = evidence.journal[0] | {"acted": None}
    assert grade(cell, world, ended="failed") == WRONG
    cell.group = LATE_SETS
    assert grade(cell, world, ended="failed") == FAILS_LOUDLY


def test_each_batch_is_struck_at_each_point():
    """On both vendors, creates, updates and deletes, by each kind of strike; the end of a try comes once."""
    asked = {(one.vendor, one.operation, one.point, one.kind, one.batch) for one in sets() if "batch" in one.group}
    expected = {
        (vendor, operation, point, kind, batch)
        for vendor in VENDORS
        for operation in OPERATIONS
        for point in POINTS
        for kind in ("task", "supervisor", "raise")
        for batch in BATCHES.values()
        if point != "before-success" or batch == BATCHES["last"]
    }
    assert expected <= asked


@pytest.mark.parametrize("airflow", ["2.11.2", "3.2.2"])
def test_an_older_airflow_has_each_create_of_a_set_struck(airflow):
    """Below 3.3, creates of sets are struck at each point, and updates and deletes, too, without a journal."""
    cells = set_older(airflow)
    assert not [cell for cell in cells if cell.journal]
    asked = {(one.vendor, one.operation, one.point) for one in cells if "batch" in one.group}
    assert asked == {(vendor, operation, point) for vendor in VENDORS for operation in OPERATIONS for point in POINTS}


def test_sets_have_a_table_of_their_own():
    """A run of sets renews the sets' table, and leaves that of single meetings alone."""
    (told,) = results([Case(cell) for cell in set_older("3.2.2")], seconds=60, airflow="3.2.2", seed=1)
    assert told.table == SETS
    assert len(told.rows) == len(VENDORS) * (len(POINTS) + 1)
