"""What a match may be: lists of any kind, moments and truth values as templates give them; the rest refused by name."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.polling import ListingIndex, ListQuery
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory
from airflow_provider_meetings.watching.watcher import WatchSpec
from tests.support.operators import Lazy

MOMENT = dt.datetime(2027, 1, 11, 15, tzinfo=dt.UTC)
EPOCH = 1_799_679_600_000
HC = HiringCenter(ErrorFactory("HiringCenter", "hc", "https://h"), update_method="POST", idempotency_window=86_400.0)


class Place(Enum):
    """As a DAG author may have them."""

    ROOM = "a"


LISTS = {
    "a lazy sequence": lambda: Lazy("a", "b"),
    "a tuple": lambda: ("a", "b"),
    "a set": lambda: {"a", "b"},
    "a frozenset": lambda: frozenset({"b", "a"}),
    "keys": {"a": 1, "b": 2}.keys,
    "values": {1: "a", 2: "b"}.values,
    "a generator": lambda: (letter for letter in "ab"),
    "an iterator": lambda: map(str, "ab"),
    "the text of a JSON list": lambda: '["a", "b"]',
    "the text of a Python list": lambda: " ['a', 'b'] ",
    "the text of a Python tuple": lambda: "('a', 'b')",
    "enums": lambda: [Place.ROOM, "b"],
}


def parsed(match):
    """Return what becomes of a match, which has to be plain JSON."""
    criteria = Criteria.parse(None, None, None, match, 1)
    assert criteria.as_kwargs() == json.loads(json.dumps(criteria.as_kwargs()))
    return criteria


@pytest.mark.parametrize("make", LISTS.values(), ids=LISTS)
def test_lists_of_any_kind(make):
    """They are lists; what is parsed once more, as from a trigger's arguments, is the same."""
    criteria = parsed({"location": make()})
    assert {"location": ["a", "b"]} == criteria.match
    assert criteria == parsed(criteria.match)


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [("Lunch \ud83d", "Lunch \ufffd"), (7.0, "7"), ([7.0], 7), (Decimal("7.00"), "7"), (7.5, 7.5)],
    ids=repr,
)
def test_a_value_is_what_comes_back_from_the_vendor(wanted, stored):
    """Half an emoji is read as U+FFFD, and a number that a table has widened is the id."""
    assert [{"location": stored}] == parsed({"location": wanted}).satisfied_by([{"location": stored}])


@pytest.mark.parametrize(
    "text", ["[URGENT] call", "[a b]", "['a' or b]", "[]x", "(draft)", "arrays (all)", "None at all"]
)
def test_a_text_in_brackets_is_a_text(text):
    """A title may begin or end so."""
    assert {"title": text} == parsed({"title": text}).match


REFUSED = {
    "a whole meeting": ("id", {"id": "7", "notes": "x"}, "whole meeting"),
    "its text": ("id", "{'id': '7'}", "whole meeting"),
    "whole meetings": ("id", Lazy({"id": "7"}), "whole meeting"),
    "an empty lazy sequence": ("id", Lazy(), "empty list"),
    "an empty set": ("id", frozenset(), "empty list"),
    "the text of an empty list": ("id", "[]", "empty list"),
    "lists in a list": ("id", [["a"]], "list in its list"),
    "bytes": ("id", b"7", "not bytes"),
    "any other object": ("id", object(), "not object"),
    "the text of a generator": ("id", "<generator object sync_do_map at 0x7f>", "tojson"),
    "the text of a lazy sequence": ("id", "LazyXComSequence([2 items])", "tojson"),
    "a naive moment": ("meetingDate", dt.datetime(2027, 1, 11), "no UTC offset"),  # noqa: DTZ001 - that is the point
    "naive text": ("startDateTime", "2027-01-11T15:00:00", "no UTC offset"),
    "a date": ("meetingDate", dt.date(2027, 1, 11), "without a time"),
    "no moment": ("endDateTime", "soon", "not an ISO"),
    "seconds": ("meetingDate", 1799679600, "are these seconds"),
    "the digits of seconds": ("startDateTime", ["1799679600"], "are these seconds"),
    "a date in digits": ("meetingDate", "20270111", "2027-01-11T00:00:00 meant"),
    "a date as a number": ("startDateTime", [20270111], "2027-01-11T00:00:00 meant"),
    "not a number": ("notes", float("nan"), "come out as nothing"),
    "without end": ("notes", [float("inf")], "come out as nothing"),
    "the name of nothing": ("id", "None", "come out as nothing"),
    "the name of nothing in a list": ("location", ["a", " None "], "come out as nothing"),
    "the text of a frozenset": ("id", "frozenset({'a', 'b'})", "tojson"),
    "the text of a deque": ("id", "deque(['a'])", "tojson"),
    "the text of numpy's texts": ("id", "['a' 'b']", "tojson"),
    "the text of numpy's numbers": ("id", "[1 2\n 3]", "tojson"),
    "a Decimal without end": ("id", Decimal("Infinity"), "come out as nothing"),
    "a Decimal that is none": ("id", Decimal("NaN"), "come out as nothing"),
    "a bytearray": ("id", bytearray(b"7"), "not bytearray"),
}


@pytest.mark.parametrize(("field", "wanted", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_no_meeting_can_match(field, wanted, complaint):
    """It is refused by the field's name, instead of waited for."""
    with pytest.raises(MeetingsConfigurationError, match=rf"match\.{field}: .*{complaint}"):
        parsed({field: wanted})


MATCHING = {
    "a datetime": (EPOCH, MOMENT),
    "a datetime elsewhere": (EPOCH, MOMENT.astimezone(dt.timezone(dt.timedelta(hours=-5)))),
    "ISO text": (EPOCH, "2027-01-11T15:00:00Z"),
    "ISO text elsewhere": (EPOCH, "2027-01-11T10:00:00.000-05:00"),
    "one of several": (EPOCH, ["2026-01-11T15:00:00Z", MOMENT]),
    "the text itself": ("2027-01-11T15:00:00Z", "2027-01-11T15:00:00Z"),
    "digits": (7, "7"),
    "text in brackets": ("[draft]", "[draft]"),
    "true": (True, "True"),
    "false, in a list": (False, ["false"]),
    "a UUID": (str(uuid.UUID(int=7)), uuid.UUID(int=7)),
    "None": (None, None),
}
APART = {
    "another moment": (EPOCH + 1, "2027-01-11T15:00:00Z"),
    "the other truth": (False, "True"),
    "truth and one": (True, "1"),
    "a truth and text": ("True", True),
    "digits with zeros": (7, "007"),
    "not a number": (float("nan"), 7),
}


@pytest.mark.parametrize(
    ("equal", "stored", "wanted"),
    [(True, *pair) for pair in MATCHING.values()] + [(False, *pair) for pair in APART.values()],
    ids=[*MATCHING, *APART],
)
def test_the_worker_and_the_triggerer_agree(equal, stored, wanted):
    """What the predicate accepts, the triggerer's index finds among many, and nothing else."""
    criteria = parsed({"x": wanted})
    rows = [{"id": str(n), "meetingDate": n, "x": stored if n == 20 else "other"} for n in range(40)]
    index = ListingIndex(HC, ListQuery(None, None), rows)

    expected = [rows[20]] if equal else None

    assert expected == criteria.satisfied_by(rows)
    assert expected == criteria.satisfied_by(index.candidates(ListQuery(None, None), criteria.match))


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", 1, 2.5, True, None, "1"]), min_size=1, max_size=6), st.randoms())
def test_an_order_is_no_other_watch(values, dice):
    """The same values in any order, and more than once, are what one watch looks for."""
    shuffled = [*values, values[0]]
    dice.shuffle(shuffled)

    assert WatchSpec("c", match={"x": values}).scope == WatchSpec("c", match={"x": shuffled}).scope
    assert WatchSpec("c", match={"x": values}).scope != WatchSpec("c", match={"x": [*values, "more"]}).scope
