"""What a vendor's answers may hold: texts that are broken, numbers that are too large, bytes that are none."""

import json

import pytest

from airflow_provider_meetings.exceptions import MeetingsProtocolError
from airflow_provider_meetings.operators.meetings import ListMeetingsOperator
from tests.support.operators import INTERVAL, run
from tests.support.sandbox import HIRINGCENTER, NOON, WAYS, WINDOW, Tiny, answering, hook_to, read_request, reply


def vendor_with(kind, value):
    """Serve one meeting whose location is this JSON text, listed, read and booked."""
    meeting = b'{"id": "7", "%s": %d, "location": %s}' % (kind.date.encode(), NOON, value)
    if kind is HIRINGCENTER:
        one, many = b'{"success": true, "item": %s}' % meeting, b'{"success": true, "items": [%s]}' % meeting
    else:
        one, many = b'{"success": true, "data": %s}' % meeting, b'{"success": true, "data": [%s]}' % meeting

    def serve(sock, _number):
        while (request := read_request(sock)) is not None:
            single = request.startswith(b"POST") or b"/7 " in request
            sock.sendall(reply("200 OK", one if single else many, "Content-Type: application/json"))

    return serve


@WAYS
def test_a_meeting_that_comes_twice_in_an_answer_is_one(kind, listed):
    """A join in the vendor's database repeats a meeting with two guests."""
    rows = [{"id": 7, kind.date: NOON}, {"id": 8, kind.date: NOON}, {"id": "7", kind.date: NOON}]
    content = {"items": rows, "pagination": {}} if kind is HIRINGCENTER else {"data": rows}
    answer = reply("200 OK", json.dumps({"success": True, **content}).encode())
    with Tiny(answering(answer)) as tiny:
        assert rows[:2] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)


SPELLINGS = [
    (7, 7.0),
    ("7.0", 7),
    ("9D2F1E0A7C5B4A3D8E6F102938475610", "9d2f1e0a7c5b4a3d8e6f102938475610"),
    ("9d2f1e0a-7c5b-4a3d-8e6f-102938475610", "9d2f1e0a7c5b4a3d8e6f102938475610"),
]


@pytest.mark.parametrize(("asked", "answered"), SPELLINGS)
def test_an_id_in_another_spelling_is_the_same(kind, asked, answered):
    """An update that was carried out does not fail over how its id is written."""
    if kind is HIRINGCENTER and asked == "7.0":
        asked = 7
    meeting = {"id": answered, kind.date: NOON}
    answer = reply("200 OK", json.dumps({"success": True, "item": meeting, "data": meeting}).encode())
    with Tiny(answering(answer)) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        assert meeting == hook.update_meeting(asked, {"location": "Zoom"}) == hook.get_meeting(asked)
        hook.get_conn().close()


def test_another_id_is_another_meeting(kind):
    """An answer about another record is none."""
    meeting = {"id": 8, kind.date: NOON}
    answer = reply("200 OK", json.dumps({"success": True, "item": meeting, "data": meeting}).encode())
    with Tiny(answering(answer)) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        with pytest.raises(MeetingsProtocolError, match="returned record 8, but 7"):
            hook.get_meeting(7)
        hook.get_conn().close()


ODD = {rb'"Lunch \ud83d"': "Lunch \ufffd", b"1e400": None}
BOTH_ODD = pytest.mark.parametrize(("text", "value"), ODD.items(), ids=["half an emoji", "1e400"])


@WAYS
@BOTH_ODD
def test_a_list_holds_nothing_that_is_not_json(kind, listed, text, value):
    """Worker and triggerer read the same."""
    with Tiny(vendor_with(kind, text)) as tiny:
        (meeting,) = listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)
    assert value == meeting["location"]


@BOTH_ODD
def test_a_meeting_holds_nothing_that_is_not_json(kind, text, value):
    """Neither where it is read nor where it was booked just now."""
    with Tiny(vendor_with(kind, text)) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        for meeting in (hook.get_meeting(7), hook.create_meeting(kind.meeting())):
            assert value == meeting["location"]
            json.dumps(meeting, ensure_ascii=False, allow_nan=False).encode()
        hook.get_conn().close()


@BOTH_ODD
def test_a_file_holds_nothing_that_is_not_json(kind, text, value, tmp_path, monkeypatch):
    """A list that goes to a file is JSON Lines in UTF-8."""
    path = tmp_path / "meetings.jsonl"
    with Tiny(vendor_with(kind, text)) as tiny:
        conn = hook_to(kind, tiny.url, timeout=10)._given
        text = {"conn_type": kind.name, "host": conn.host, "password": conn.password, "extra": conn.extra}
        monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(text))
        listing = ListMeetingsOperator(task_id="list", destination=f"file://{path}", meetings_conn_id="odd")
        run(listing, **INTERVAL)
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert value == json.loads(line, parse_constant=pytest.fail)["location"]


@WAYS
def test_one_bad_byte_is_located(kind, listed):
    """A Latin-1 letter in one meeting is no wrong host."""
    with Tiny(vendor_with(kind, b'"caf\xe9"')) as tiny, pytest.raises(MeetingsProtocolError) as caught:
        listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)
    assert "(0xe9)" in str(caught.value)
    assert "is not UTF-8" in str(caught.value)
    assert "host" not in str(caught.value)
