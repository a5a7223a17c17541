"""JSON that vendors send, read into what can be written as JSON again."""

import json

import pytest

from airflow_provider_meetings.core import json_text
from airflow_provider_meetings.core.json_text import damage_of, from_json, to_json


@pytest.fixture(params=["msgspec", "json"], autouse=True)
def _reader(request, monkeypatch):
    """Airflow 2 brings no msgspec: both readers are tried."""
    if request.param == "json":
        monkeypatch.setattr(json_text, "_fast_read", None)
        monkeypatch.setattr(json_text, "_fast", None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"Lunch \ud83d"', "Lunch \ufffd"),
        (rb'"\ude00 first"', "\ufffd first"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\uD83D\uDE00"', "\U0001f600"),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        (b'"\xed\xa0\xbd\xed\xb8\x80"', "\U0001f600"),
        (rb'{"k\ud83d": ["\ud83d"]}', {"k\ufffd": ["\ufffd"]}),
        (b"1e400", None),
        (b"[-1e400, 1.5]", [None, 1.5]),
        (b'{"n": %s}' % (b"9" * 5000), {"n": None}),
        (b"9" * 30, int("9" * 30)),
        (b"\xef\xbb\xbf[1]", [1]),
        ('"\u20ac"'.encode("utf-16"), "\u20ac"),
    ],
)
def test_whatever_is_read_can_be_written(text, value):
    """Half an emoji becomes U+FFFD, a number beyond all floats becomes null."""
    assert value == from_json(text)
    assert value == json.loads(to_json(from_json(text)))
    json.dumps(from_json(text), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"-Infinity", b'{"a": Infinity}', b'"caf\xe9"', b"[" * 100_000])
def test_what_is_no_json_is_refused(text):
    """Also where Python's own reader would take it."""
    with pytest.raises((ValueError, RecursionError)):
        from_json(text)


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        (b'{"notes": "caf\xe9"}', "byte 14 (0xe9) of 17 is not UTF-8"),
        (b'{"a": 1', "the JSON breaks at character 7 of 7 bytes: Expecting ',' delimiter"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"<html>\xe9", ""),
        (b"", ""),
        (b"{}", ""),
    ],
)
def test_damage_is_located(text, damage):
    """What begins as an object is told with its place, what is something else is not."""
    assert damage == damage_of(text)
