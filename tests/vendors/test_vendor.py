"""What holds for both vendors, whatever their pages call things."""

from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsProtocolError,
    MeetingsServerError,
)
from tests.support.flows import BASE, Line, answer, builderprime, hiringcenter, lost, problem, script
from tests.support.vendors import DATE_FIELDS, ChangingTable, FakeBuilderPrime, FakeHiringCenter


@dataclass(frozen=True)
class Facts:
    """What differs between the vendors, for these tests."""

    name: str
    make: Any
    fake: Any
    bounds: tuple[str, str]
    items: str
    item: str
    path: str
    ids: tuple[Any, Any]
    change: dict[str, Any]

    @property
    def date(self):
        """Where a meeting says when it begins."""
        return DATE_FIELDS[self.name]

    def page(self, body):
        """Make a page of a body in which ITEMS and DATE stand for the vendor's own names."""
        return answer(200, body.replace(b"ITEMS", self.items.encode()).replace(b"DATE", self.date.encode()))

    def one(self, meeting):
        """Make the answer that has one meeting."""
        return answer(200, {"success": True, self.item: meeting})

    def call(self, name, meeting_id, **keywords):
        """Make a call about a meeting."""
        arguments = {"create": (self.change,), "update": (meeting_id, self.change)}.get(name, (meeting_id,))
        return getattr(self.make(), name)(*arguments, **keywords)


INTERVIEW = {"prospectId": "p", "meetingDate": BASE, "timeZone": "UTC", "meetingType": "phone", "ownerId": "u"}
VENDORS = [
    Facts(
        "hiringcenter",
        hiringcenter,
        FakeHiringCenter,
        ("after_inclusive", "before_inclusive"),
        *("items", "item", "/meetings", ("m1", "m2"), INTERVIEW),
    ),
    Facts(
        "builderprime",
        builderprime,
        FakeBuilderPrime,
        ("from_inclusive", "to_inclusive"),
        *("data", "data", "/meetings/v1", (7, 8), {"title": "Estimate", "startDateTime": BASE}),
    ),
]
pytestmark = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


# -- lists


@pytest.mark.parametrize("inclusive", [True, False])
def test_adjacent_windows_neither_miss_nor_repeat(vendor, inclusive):
    """A meeting on the common bound belongs to the later window only, with either kind of bounds."""
    table = ChangingTable(vendor.name, [BASE, BASE + 10, BASE + 10, BASE + 20])
    server = vendor.fake(table, **dict.fromkeys(vendor.bounds, inclusive))
    windows = Window(BASE, BASE + 10), Window(BASE + 10, BASE + 20)
    first, second = (Line(server).read(vendor.make(page_size=2).listing(window)) for window in windows)
    assert [BASE] == [item[vendor.date] for item in first]
    assert [BASE + 10] * 2 == [item[vendor.date] for item in second]


BROKEN = {
    "not JSON": b"<html>welcome</html>",
    "truncated": b'{"success": true, "ITEMS": [{"id"',
    "a list": b"[]",
    "no envelope": b'{"meetings": []}',
    "no success": b'{"ITEMS": []}',
    "success as text": b'{"success": "true", "ITEMS": []}',
    "success unexplained": b'{"success": false}',
    "success with no errors": b'{"success": false, "errors": []}',
    "no items": b'{"success": true}',
    "items no list": b'{"success": true, "ITEMS": {}}',
    "items of text": b'{"success": true, "ITEMS": ["m1"]}',
    "no ids": b'{"success": true, "ITEMS": [{"DATE": 1}, {"DATE": 1}]}',
    "an empty id": b'{"success": true, "ITEMS": [{"id": "", "DATE": 1}]}',
    "id of nothing": b'{"success": true, "ITEMS": [{"id": null, "DATE": 1}]}',
    "NaN": b'{"success": true, "ITEMS": [], "n": NaN}',
    "infinity": b'{"success": true, "ITEMS": [], "n": Infinity}',
    "deep": b"[" * 100_000,
    "nothing": b"",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_page_is_an_error_with_status_method_and_path(vendor, body):
    """Nothing that is not the documented envelope passes for a list."""
    with pytest.raises(MeetingsProtocolError) as caught:
        Line(lambda _: vendor.page(body)).read(vendor.make().listing(Window(BASE, BASE + 1)))
    assert (200, "GET", vendor.path) == (caught.value.status, caught.value.method, caught.value.path)
    assert "welcome" not in str(caught.value)


@pytest.mark.parametrize("date", ["null", '"soon"', '""', "[]", "{}", "1.5", '"2026-11-21T10:00:00"'])
def test_a_meeting_without_a_readable_date_is_an_error(vendor, date):
    """It cannot be told whether it is in the window, and a list is complete or an error."""
    line = Line(lambda _: vendor.page(b'{"success": true, "ITEMS": [{"id": 7, "DATE": %s}]}' % date.encode()))
    with pytest.raises(MeetingsProtocolError, match="id 7") as caught:
        line.read(vendor.make().listing(Window(BASE, BASE + 1)))
    assert (200, "GET", vendor.path) == (caught.value.status, caught.value.method, caught.value.path)


# -- one meeting


@pytest.mark.parametrize("meeting_id", ["", " ", None, "None", "a/b", "..", "a?b", "\x00"])
@pytest.mark.parametrize("call", ["get", "update", "delete"])
def test_a_wrong_id_is_refused_before_anything_is_sent(vendor, call, meeting_id):
    """It would become another path; on Builder Prime an update with an empty id would make a meeting."""
    line = Line(script())
    with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
        line.drive(vendor.call(call, meeting_id))
    assert not line.requests


@pytest.mark.parametrize("key", ["", "x" * 513, "a\nb", "é"])
@pytest.mark.parametrize("call", ["create", "update", "delete"])
def test_a_wrong_key_is_refused_before_anything_is_sent(vendor, call, key):
    """A hook takes a key as it is, or not at all; also where the vendor has no use for it."""
    line = Line(script())
    with pytest.raises(MeetingsConfigurationError, match="idempotency_key"):
        line.drive(vendor.call(call, vendor.ids[0], idempotency_key=key))
    assert not line.requests


@pytest.mark.parametrize("call", ["get", "update"])
def test_an_answer_about_another_meeting_is_an_error(vendor, call):
    """A vendor that takes an id for none would speak of a new one."""
    asked, other = vendor.ids
    with pytest.raises(MeetingsProtocolError, match=f"record {other}, but {asked}") as caught:
        Line(script(vendor.one({"id": other}))).drive(vendor.call(call, asked))
    assert f"{vendor.path}/{asked}" == caught.value.path


def test_a_delete_that_is_answered_without_a_body_has_happened(vendor):
    """204 is HTTP's own word for it; an empty answer to anything else, or with 200, breaks the contract."""
    asked = vendor.ids[0]
    assert Line(script(answer(204))).drive(vendor.call("delete", asked)) is True
    for call, status in (("delete", 200), ("get", 204)):
        with pytest.raises(MeetingsProtocolError) as caught:
            Line(script(answer(status))).drive(vendor.call(call, asked))
        assert (status, f"{vendor.path}/{asked}") == (caught.value.status, caught.value.path)


FOREIGN = [b"", b"<html>", b"{}", b'{"OTHER": "Not Found"}', b'{"success": false}']


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("missing_ok", [True, False])
def test_a_404_of_somebody_else_is_no_deleted_meeting(vendor, body, missing_ok):
    """A wrong path, or a wrong subdomain, must not report a meeting as cancelled."""
    body = body.replace(b"OTHER", b"message" if vendor.name == "hiringcenter" else b"error")
    with pytest.raises(MeetingsProtocolError, match="check the host"):
        Line(script(answer(404, body))).drive(vendor.call("delete", vendor.ids[0], missing_ok=missing_ok))


@pytest.mark.parametrize("call", ["create", "update", "delete"])
def test_a_server_error_that_lasts_may_have_written(vendor, call):
    """The error says that it is not known; Builder Prime is looked at after a create, and says the same."""
    with pytest.raises(MeetingsServerError) as caught:
        Line(lambda _: answer(503)).drive(vendor.call(call, vendor.ids[0]))
    assert caught.value.maybe_sent


UNKNOWN = [lost(1.0), lost(30.0), answer(408), answer(500), answer(503, b"<html>"), answer(504), answer(429)]


@pytest.mark.parametrize("reply", UNKNOWN)
@pytest.mark.parametrize("missing_ok", [True, False])
def test_a_delete_that_was_not_answered_explains_the_404_after_it(vendor, reply, missing_ok):
    """It was this call's own, which was sent twice, under one key where the vendor has keys."""
    line = Line(script(reply, problem(404)))
    assert line.drive(vendor.call("delete", vendor.ids[0], missing_ok=missing_ok)) is True
    assert [f"DELETE {vendor.path}/{vendor.ids[0]}"] * 2 == line.sent
    assert len({request.idempotency_key for request in line.requests}) == 1


LIMITED = [
    {"success": False, "error": "Too many requests", "errors": [{"code": code, "message": "Too many requests"}]}
    for code in ("RATE_LIMIT", "API_GENERAL")
]


@pytest.mark.parametrize("reply", [lost(maybe_sent=False), problem(429), *(answer(200, words) for words in LIMITED)])
def test_a_delete_that_did_not_arrive_explains_nothing(vendor, reply):
    """The meeting was gone before."""
    assert Line(script(reply, problem(404))).drive(vendor.call("delete", vendor.ids[0])) is False


def test_a_delete_is_true_once(vendor):
    """With the scope of its key, and an idempotency key where the vendor has such."""
    line = Line(script(answer(200, {"success": True, "message": "deleted"})))
    assert line.drive(vendor.call("delete", vendor.ids[0])) is True
    (request,) = line.requests
    assert ("DELETE", f"{vendor.path}/{vendor.ids[0]}", "meetings.delete") == (
        request.method,
        request.path,
        request.scope,
    )
    assert (vendor.name == "hiringcenter") is bool(request.idempotency_key)
