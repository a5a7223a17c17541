"""Records are read as text from strangers: whatever an XCom of that name holds, the pages get the documented shape."""

import json

import pytest

from airflow_provider_meetings.observability.outcome_record import MAX_ROWS
from airflow_provider_meetings.ui.records import read_record
from tests.support.ui import HOUR, meeting, record

NOON = 1_770_026_400_000


def test_a_record_comes_back_as_it_was_left():
    """What a task writes is what the pages read, as an object or as its JSON text."""
    left = record("created", meeting(1, NOON, cancelled=True))
    row = meeting(1, NOON) | {"outcome": "created", "cancelled": True, "url": "https://app.example.com/meetings/1"}
    expected = {
        "outcome": "created",
        "vendor": "hiringcenter",
        "connection": "hiringcenter_default",
        "count": 1,
        "counts": {"created": 1},
        "rows": [row],
        "error": None,
    }
    assert expected == read_record(left) == read_record(json.dumps(left))


@pytest.mark.parametrize("value", [None, 1, "text", [], {}, {"outcome": None}, {"outcome": {}}, {"rows": [1]}])
def test_what_is_no_record_is_none(value):
    """Another author's XCom, or a broken one, is left out."""
    assert read_record(value) is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"rows": 5, "counts": 5, "count": -1, "error": 5}, {"rows": [], "counts": {}, "count": 0, "error": None}),
        ({"rows": [5, None, "x"]}, {"rows": []}),
        ({"counts": {"a": 1, "b": "2", "c": None, "d": True, "e": -3}}, {"counts": {"a": 1}}),
        ({"count": True}, {"count": 0}),
        ({"error": {"type": 5, "message": None}}, {"error": {"type": "5", "message": ""}}),
        ({"vendor": ["x"], "meetings_conn_id": {}}, {"vendor": None, "connection": None}),
    ],
)
def test_parts_of_another_shape_are_left_out(given, read):
    """Each on its own: the rest of the record stays."""
    assert read.items() <= read_record({"outcome": "created", **given}).items()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"id": 7, "title": 1.5, "type": True}, {"id": "7", "title": "1.5", "type": "true"}),
        ({"id": "7", "title": ["x"], "location": {}}, {"id": "7"}),
        ({"starts_at": "noon", "ends_at": 1e30}, {}),
        ({"starts_at": 10**18, "ends_at": -1}, {}),
        ({"starts_at": NOON, "ends_at": NOON + HOUR}, {"starts_at": NOON, "ends_at": NOON + HOUR}),
        ({"cancelled": "yes"}, {"cancelled": False}),
        ({"title": "x" * 5000}, {"title": "x" * 300}),
        ({"title": "half \ud83d"}, {"title": "half ?"}),
        ({"secret": "x", "notes": "y"}, {}),
        ({"url": "javascript:alert(1)"}, {}),
        ({"url": "HTTPS://example.com"}, {}),
        ({"url": "https://example.com/" + "x" * 3000}, {}),
        ({"url": "http://example.com/7"}, {"url": "http://example.com/7"}),
        (
            {"changes": {"a": [1], "b": [None, "x"], "c": [], "d": [1, 2, 3], "e": "x"}},
            {"changes": {"a": ["1"], "b": [None, "x"]}},
        ),
    ],
)
def test_a_row_has_known_columns_only(given, read):
    """Texts, moments that a browser can write, and addresses of the web."""
    (row,) = read_record({"outcome": "created", "rows": [given]})["rows"]
    assert read | {"outcome": "unknown"} == row


def test_rows_are_bounded():
    """A record that somebody else has made has no more rows than ours."""
    assert MAX_ROWS == len(read_record({"outcome": "created", "rows": [{"id": 1}] * (MAX_ROWS + 5)})["rows"])
