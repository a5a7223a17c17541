"""The referee of sets: for each row one meeting, made once; and no write that was not needed."""

from collections import Counter
from typing import Any

from tests.kill.grades import AT_LEAST_ONCE, EXACTLY_ONCE, FAILS_LOUDLY, WRONG
from tests.kill.referee import _MARKED, Evidence, Verdict, _differences
from tests.kill.set_cells import BATCH, LATE_SETS, WRITES, Item, SetCell


def judge_set(
    cell: SetCell, evidence: Evidence, *, ended: str, try_number: int, ids: dict[str, Any] | None = None
) -> Verdict:
    """Say whether there are exactly the meetings that the rows declare.

    Args:
        cell: The set.
        evidence: The sandbox's journal and tables.
        ended: The task's state.
        try_number: The last of its tries.
        ids: The ids of the meetings that were there before, by their marker.
    """
    ids = ids or {}
    marked = _MARKED[cell.vendor]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in evidence.tables[cell.vendor]:
        if cell.marker in (row[marked] or ""):
            found.setdefault(row[marked].split()[0], []).append(row)
    own = [row for row in evidence.journal if row["vendor"] == cell.vendor and _is_write_of(cell, row, ids)]
    made = Counter(_marker_in(cell, row) for row in own if row["acted"] == "created")
    deleted = Counter(row["meetingId"] for row in own if row["acted"] == "deleted")
    problems = [] if ended == "success" else [f"the task ended in {ended}"]

    twice = [marker for marker, rows in found.items() if len(rows) > 1] + [one for one in made if made[one] > 1]
    if twice:
        return Verdict(AT_LEAST_ONCE, [*problems, f"more than one meeting of {', '.join(sorted(set(twice)))}"])
    wrong = _wrong(cell, found, made, deleted, ids, whole=ended == "success")
    spare = len(own) - WRITES - BATCH * (try_number - 1)
    # A vendor that is still at work on a create is asked about it again, in the same try too.
    if spare > 0 and cell.group != LATE_SETS:
        wrong.append(f"{len(own)} writes were sent in {try_number} tries: {spare} more than were left unanswered")
    if wrong:
        return Verdict(WRONG, [*problems, *wrong])
    return Verdict(FAILS_LOUDLY if problems else EXACTLY_ONCE, problems)


def writes_of(cell: SetCell, evidence: Evidence, ids: dict[str, Any]) -> int:
    """How many writes of a set were sent."""
    return sum(row["vendor"] == cell.vendor and _is_write_of(cell, row, ids) for row in evidence.journal)


def _wrong(
    cell: SetCell,
    found: dict[str, list[dict[str, Any]]],
    made: "Counter[str]",
    deleted: "Counter[str]",
    ids: dict[str, Any],
    *,
    whole: bool,
) -> list[str]:
    """Name what is not as it was asked for; of a set that has failed, what it must not have done."""
    wrong = []
    for item in cell.items:
        (row,) = found.get(item.marker, [None])
        before = ids.get(item.marker)
        if item.operation == "delete":
            wrong += _wrong_delete(item, row, deleted[str(before)], whole=whole)
        else:
            wrong += _wrong_write(item, row, made[item.marker], before, whole=whole)
    if cell.has_keeper:
        kept = found.get(cell.keeper.marker, [])
        if [row["id"] for row in kept] != [ids[cell.keeper.marker]] or _differences(kept[0], cell.keeper.row):
            wrong.append("the meeting that was as it should be was touched")
    expected = {item.marker for item in [*cell.items, cell.keeper]}
    return [*wrong, *(f"nobody asked for {marker}" for marker in found if marker not in expected)]


def _wrong_delete(item: Item, row: dict[str, Any] | None, deletes: int, *, whole: bool) -> list[str]:
    if row is not None:
        return [f"{item.marker} is not deleted"] if whole else []
    return [] if deletes == 1 else [f"{item.marker} was deleted {deletes} times"]


def _wrong_write(item: Item, row: dict[str, Any] | None, made: int, before: Any, *, whole: bool) -> list[str]:
    if row is None:
        return [f"{item.marker} is lost"] if whole or made or item.operation == "update" else []
    if made != (item.operation == "create"):
        return [f"{item.marker} was made {made} times"]
    if item.operation == "update" and row["id"] != before:
        return [f"{item.marker} is another meeting"]
    return [f"{item.marker}: {difference}" for difference in _differences(row, item.row)] if whole else []


def _is_write_of(cell: SetCell, row: dict[str, Any], ids: dict[str, Any]) -> bool:
    if row["method"] == "GET":
        return False
    return cell.marker in row["body"] or row["path"].rpartition("/")[2] in {str(one) for one in ids.values()}


def _marker_in(cell: SetCell, row: dict[str, Any]) -> str:
    _, _, rest = row["body"].partition(f"{cell.marker}-")
    return f"{cell.marker}-{rest[:2]}"
