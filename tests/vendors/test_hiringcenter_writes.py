"""HiringCenter's writes: one key for all repeats of a call, conflicts told apart, deletes that say what they did."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
    MeetingValidationError,
)
from tests.support.flows import BASE, Line, answer, examples, hiringcenter, lost, retry_limits, script

BODY = {"prospectId": "p", "meetingDate": BASE, "timeZone": "UTC", "meetingType": "phone", "ownerId": "u"}
MADE = answer(201, {"success": True, "item": {"id": "m1"} | BODY})
IN_FLIGHT = answer(409, {"error": "Conflict", "message": "A request with this key is still being processed."})
MISMATCH = answer(409, {"error": "Conflict", "message": "Key was used with a different payload."})
GONE = answer(404, {"error": "Not found", "message": "Meeting not found."})


class Account:
    """An account in memory with idempotency keys, whose answers can be spoilt.

    Args:
        spoil: What happens to each create in turn: (whether it takes effect, the answer or None for the right one).
    """

    def __init__(self, *spoil):
        self.spoil = list(spoil)
        self.kept = {}

    def __call__(self, request):
        """Answer a create."""
        happens, reply = self.spoil.pop(0) if self.spoil else (True, None)
        if happens:
            number, body = self.kept.setdefault(request.idempotency_key, (f"m{len(self.kept) + 1}", request.body))
            if body != request.body:
                return MISMATCH
            if reply is None:
                return answer(201, {"success": True, "item": {"id": number}})
        return reply


UNKNOWN = [lost(1.0), lost(30.0), answer(408), answer(500), answer(503, b"<html>"), answer(504), answer(429)]
#: What only the vendor itself can say, said by somebody on the way.
GATEWAYS = [answer(status, b"<html>") for status in (103, 303, 400, 401, 403, 404, 405, 422)]
LIMITED = [answer(429, {"error": "Too many requests"}), answer(200, {"success": False, "error": "Too many requests"})]


@pytest.mark.parametrize("reply", [*UNKNOWN, *LIMITED, lost(maybe_sent=False)])
@pytest.mark.parametrize("key", [None, "mine"])
def test_repeats_of_a_create_share_their_bytes_and_their_key(reply, key):
    """So that the vendor makes one meeting."""
    line = Line(script(reply, reply, MADE))
    assert line.drive(hiringcenter().create(BODY, idempotency_key=key))["id"] == "m1"
    assert len({(request.body, request.idempotency_key) for request in line.requests}) == 1
    assert line.requests[0].idempotency_key == (key or line.requests[0].idempotency_key)
    assert line.requests[0].idempotency_key
    assert line.sent == ["POST /meetings"] * 3


def test_two_equal_calls_are_two_meetings():
    """Without a key each call makes a fresh one."""
    line = Line(lambda _: MADE)
    for _ in range(2):
        line.drive(hiringcenter().create(BODY))
    assert len({request.idempotency_key for request in line.requests}) == 2


@examples(100)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, len(UNKNOWN) - 1)), max_size=4))
def test_whatever_happens_one_call_makes_one_meeting(fate):
    """Any sequence of unknown outcomes, with effect or without."""
    account = Account(*[(happens, UNKNOWN[kind]) for happens, kind in fate])
    meeting = Line(account).drive(hiringcenter(retry_limits=retry_limits(max_wait=600)).create(BODY))
    assert meeting == {"id": "m1"}
    assert len(account.kept) == 1


@pytest.mark.parametrize("key", [None, "mine"])
def test_a_create_still_in_flight_is_waited_out(key):
    """The lost send is still being processed: the same key, later."""
    line = Line(script(lost(1.0), IN_FLIGHT, IN_FLIGHT, MADE))
    assert line.drive(hiringcenter().create(BODY, idempotency_key=key))["id"] == "m1"
    assert len({request.idempotency_key for request in line.requests}) == 1


def test_somebody_elses_create_under_the_same_key_is_waited_out():
    """A key of the author's may be in flight elsewhere at the first send."""
    line = Line(script(IN_FLIGHT, MADE))
    assert line.drive(hiringcenter().create(BODY, idempotency_key="mine"))["id"] == "m1"


def test_a_fresh_key_cannot_be_in_flight_at_the_first_send():
    """A 409 is then about something else and is told at once."""
    line = Line(script(IN_FLIGHT))
    with pytest.raises(MeetingConflictError):
        line.drive(hiringcenter().create(BODY))


def test_a_key_with_another_payload_fails_at_once():
    """Waiting does not help, and no new key is invented."""
    line = Line(script(MISMATCH))
    with pytest.raises(MeetingConflictError, match="different payload") as caught:
        line.drive(hiringcenter().create(BODY, idempotency_key="mine"))
    assert caught.value.status == 409
    assert not caught.value.maybe_sent


def test_a_conflict_that_lasts_is_bounded():
    """By the attempts, like everything."""
    line = Line(script(*[IN_FLIGHT] * 5))
    with pytest.raises(MeetingsError) as caught:
        line.drive(hiringcenter().create(BODY, idempotency_key="mine"))
    assert caught.value.status == 409
    assert len(line.requests) == 5


@pytest.mark.parametrize(
    "reply", [answer(401, {"error": "x"}), answer(403, {"error": "x"}), answer(405, {"error": "x"})]
)
def test_a_refusal_after_an_unknown_send_leaves_it_unknown(reply):
    """A key revoked in between does not undo what the first send may have done."""
    with pytest.raises(MeetingsError) as caught:
        Line(script(lost(1.0), reply)).drive(hiringcenter().create(BODY))
    assert caught.value.maybe_sent
    with pytest.raises(MeetingsError) as caught:
        Line(script(reply)).drive(hiringcenter().create(BODY))
    assert not caught.value.maybe_sent


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_payload_settles_an_earlier_send_too(status):
    """The vendor would have refused it the first time."""
    with pytest.raises(MeetingValidationError) as caught:
        Line(script(lost(1.0), answer(status, {"error": "x"}))).drive(hiringcenter().create(BODY))
    assert not caught.value.maybe_sent


BROKEN = [b"<html>", b"", b"[]", b"{}", b'{"success": true}', b'{"success": true, "item": {}}']


@pytest.mark.parametrize("body", [*BROKEN, b'{"success": true, "item": []}', b'{"success": true, "item": {"id": ""}}'])
def test_a_success_that_cannot_be_read_may_have_been_one(body):
    """A typed error with status, method and path; what happened is not known."""
    with pytest.raises(MeetingsProtocolError) as caught:
        Line(script(answer(201, body))).drive(hiringcenter().create(BODY))
    error = caught.value
    assert (error.status, error.method, error.path, error.maybe_sent) == (201, "POST", "/meetings", True)


def test_the_older_envelope_is_understood():
    """The fields of the item beside success."""
    old = answer(201, {"success": True, "message": "ok", "id": "m1", "notes": None})
    assert Line(script(old)).drive(hiringcenter().create(BODY)) == {"id": "m1", "notes": None}
    assert Line(script(old)).drive(hiringcenter().get("m1")) == {"id": "m1", "notes": None}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_update_uses_the_verb_of_the_connection(method):
    """And a fresh key for each call, shared by its repeats."""
    item = answer(200, {"success": True, "item": {"id": "m1"}})
    line = Line(script(lost(1.0), item, item))
    vendor = hiringcenter(update_method=method)
    for _ in range(2):
        assert line.drive(vendor.update("m1", {"notes": None})) == {"id": "m1"}
    assert line.sent == [f"{method} /meetings/m1"] * 3
    assert json.loads(line.requests[0].body) == {"notes": None}
    keys = [request.idempotency_key for request in line.requests]
    assert keys[0] == keys[1] != keys[2]


def test_a_meeting_that_is_gone_was_deleted_before():
    """False, or an error where it had to be there."""
    assert Line(script(GONE)).drive(hiringcenter().delete("m1")) is False
    with pytest.raises(MeetingNotFoundError):
        Line(script(GONE)).drive(hiringcenter().delete("m1", missing_ok=False))


@pytest.mark.parametrize("reply", GATEWAYS)
@pytest.mark.parametrize("call", ["create", "update", "delete"])
def test_a_gateways_answer_to_a_write_leaves_it_unknown(call, reply):
    """The error says so, and does not pretend that nothing was changed."""
    arguments = {"create": (BODY,), "update": ("m1", {"notes": "x"}), "delete": ("m1",)}[call]
    with pytest.raises(MeetingsError, match="not known whether") as caught:
        Line(script(reply)).drive(getattr(hiringcenter(), call)(*arguments))
    assert caught.value.maybe_sent
    assert not isinstance(caught.value, MeetingValidationError | MeetingNotFoundError | MeetingConflictError)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"accountId": "a1", "permissions": ["meetings.read", "x"]}, "account a1, permissions: meetings.read, x"),
        ({"item": {"accountId": "a1", "permissions": {"r": True, "w": False}, "active": True}}, "permissions: r"),
        ({"data": {"accountId": "a1", "permissions": "all", "status": "active"}}, "permissions: all"),
        ({"key": {"accountId": "a1"}}, "permissions: none"),
        (
            {"accountId": "a1", "permissions": {"meetings": {"read": True, "write": False}}},
            "permissions: meetings:read",
        ),
        ({"accountId": "a1", "permissions": {"meetings": ["read"], "tasks": []}}, "permissions: meetings:read"),
    ],
)
def test_the_check_reports_account_and_permissions(content, told):
    """Wherever in the envelope they stand."""
    line = Line(script(answer(200, {"success": True} | content)))
    assert told in line.drive(hiringcenter().check())
    assert line.sent == ["GET /auth"]


def test_the_check_takes_the_facts_without_an_envelope():
    """The overview says what is in the answer, and not that it has `success` in it as meetings have."""
    line = Line(script(answer(200, {"accountId": "a1", "permissions": ["meetings.read"], "active": True})))
    assert line.drive(hiringcenter().check()) == "HiringCenter account a1, permissions: meetings.read"


@pytest.mark.parametrize(
    "state",
    [
        {"active": False},
        {"isActive": False},
        {"status": "revoked"},
        {"status": "Inactive"},
        {"active": "false"},
        {"status": "SUSPENDED"},
        {"active": "no "},
    ],
)
def test_a_key_that_is_not_active_is_told(state):
    """Although the vendor knows it."""
    line = Line(script(answer(200, {"success": True, "accountId": "a1"} | state)))
    with pytest.raises(MeetingsAuthError, match="not active"):
        line.drive(hiringcenter().check())


def test_a_check_that_is_refused_or_broken_fails():
    """401, 403, and an answer without an account."""
    for reply, kind in (
        (answer(401, {"error": "x"}), MeetingsAuthError),
        (answer(403, {"error": "x"}), MeetingsPermissionError),
        (answer(200, {"success": True}), MeetingsProtocolError),
        (answer(200, {"success": False, "accountId": "a1"}), MeetingsProtocolError),
        (answer(200, {}), MeetingsProtocolError),
        (answer(200, b"<html>"), MeetingsProtocolError),
    ):
        with pytest.raises(kind):
            Line(script(reply)).drive(hiringcenter().check())


@pytest.mark.parametrize(
    "content",
    [
        {"statusCode": 404, "error": "Not Found", "message": "Route GET:/v2/meetings/7 not found"},
        {"statusCode": 404, "error": "Not Found", "message": "Cannot GET /v2/meetings/7"},
        {"error": "NOT_FOUND", "message": "Account not found"},
        {"error": "NOT_FOUND", "message": "API key not found"},
    ],
)
def test_what_else_is_missing_is_no_deleted_meeting(content):
    """A route, an account or a key that is not there says nothing about the meeting."""
    for call in (lambda line, v: line.drive(v.delete("7")), lambda line, v: line.drive(v.get("7"))):
        with pytest.raises(MeetingsProtocolError):
            call(Line(script(answer(404, content))), hiringcenter())
