"""The statement of the page about changes, run on events: a table follows the vendor."""

import json

import duckdb

from tests.docs.blocks import ROOT
from tests.support.run_changes import HOUR, WINDOW, Calendar, search

BASE = WINDOW[0]


def test_upserts_and_tombstones(tmp_path):
    """Booked, changed, emptied, moved out, moved back and deleted meetings, each file merged twice."""
    merge = (ROOT / "docs" / "changes.md").read_text().split('MERGE = """')[1].split('"""')[0]
    calendar = Calendar()
    changed, emptied, away, gone = (calendar.book(location="Here", notes="No") for _ in range(4))
    table = duckdb.connect()
    table.sql(
        "CREATE TABLE meetings (id VARCHAR PRIMARY KEY, meeting JSON, deleted BOOLEAN, kind VARCHAR, seen_at BIGINT)"
    )

    def follow(run):
        file = tmp_path / f"{run}.jsonl"
        search(calendar, tmp_path, run, destination=f"file://{file}")
        for _ in range(2):
            table.execute(merge, [str(file)])
        rows = table.sql("SELECT id, meeting, deleted FROM meetings ORDER BY id").fetchall()
        assert calendar.within(*WINDOW).keys() == {key for key, _, deleted in rows if not deleted}
        for key, meeting, deleted in rows:
            if not deleted:
                assert _told(calendar.meetings[key]) == _told(json.loads(meeting))
        return {key for key, _, deleted in rows if deleted}

    assert set() == follow("r1")
    calendar.edit(changed, location="Zoom")
    calendar.edit(emptied, location=None)
    calendar.edit(away, date=BASE + 100 * HOUR)
    del calendar.meetings[gone]
    calendar.book()
    assert {away, gone} == follow("r2")
    calendar.edit(away, date=BASE + 2 * HOUR, notes=None)
    assert {gone} == follow("r3")


def _told(meeting):
    return {name: value for name, value in meeting.items() if value is not None and name != "updatedAt"}
