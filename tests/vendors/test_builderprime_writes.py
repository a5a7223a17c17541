"""Builder Prime's writes: a create happens once, and what is not known is found out before anything is sent again."""

import email.utils
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
    MeetingsRateLimitError,
    MeetingsTransportError,
    MeetingValidationError,
)
from tests.support.flows import BASE, NOW, Line, answer, builderprime, examples, lost, retry_limits, script

BODY = {
    "title": "Estimate",
    "location": "5 Spooner St",
    "startDateTime": BASE,
    "employee": {"id": 50, "firstName": "Betty"},
    "meetingTypeId": 1011,
    "clientOpportunityId": 102988,
}
STORED = {
    "id": 1,
    "title": " estimate ",
    "location": "5 Spooner  St",
    "startDateTime": BASE,
    "employeeFirstName": "Betty",
    "opportunityId": 102988,
    "meetingTypeName": "Sales Meeting",
}
POST, GET = "POST /meetings/v1", "GET /meetings/v1"
MADE = answer(200, {"success": True, "data": {"id": 9}})


def complaint(code, message="no"):
    """The vendor's failure envelope."""
    return {"success": False, "errors": [{"code": code, "message": message}]}


#: What the vendor says of a resource that is not there.
NO_RESOURCE = {"errorCode": "404", "errorMessage": "The requested resource was not found.", "showAsWarning": False}


class Account:
    """An account in memory whose answers to creates can be spoilt.

    Args:
        spoil: What happens to each create in turn: (whether it takes effect, the answer or None for the right one).
        stored: The meetings that are there before.
        offset: By how many seconds its clock is ahead of ours.
        stamp: Makes a creation date of seconds on its clock.
    """

    def __init__(self, *spoil, stored=(), offset=0.0, stamp=lambda seconds: round(seconds * 1000), tell_time=True):
        self.spoil = list(spoil)
        self.stored = list(stored)
        self.offset, self.stamp, self.tell_time = offset, stamp, tell_time
        self.line = Line(self)
        self.made = []

    def __call__(self, request):
        """Answer a request."""
        clock = self.line.now + self.offset
        headers = {"date": email.utils.formatdate(clock, usegmt=True)} if self.tell_time else {}
        if request.method == "GET":
            span = dict(request.params)
            first, last = int(span["start-date-from"]), int(span["start-date-to"])
            data = [item for item in self.stored if first <= item["startDateTime"] <= last]
            return answer(200, {"success": True, "data": data}, **headers)
        happens, reply = self.spoil.pop(0) if self.spoil else (True, None)
        if happens:
            number = 100 + len(self.made)
            self.made.append(number)
            self.stored.append(STORED | {"id": number, "createdDate": self.stamp(clock)})
            if reply is None:
                return answer(200, {"success": True, "data": {"id": number}}, **headers)
        return reply

    def create(self, **fields):
        """Create the meeting with a connection of the given patience."""
        return self.line.drive(builderprime(retry_limits=retry_limits(**fields)).create(BODY))


UNKNOWN = {
    "timeout": lost(30.0),
    "reset": lost(0.1),
    "408": answer(408),
    "500": answer(500, complaint("INTERNAL")),
    "503": answer(503, b"<html>"),
    "504": answer(504),
    "garbage": answer(200, b"<html>"),
    "truncated": answer(200, b'{"success": true, "data": {"id": 1'),
    "no envelope": answer(200, {}),
    "no data": answer(200, {"success": True}),
    "no id": answer(200, {"success": True, "data": {"title": "x"}}),
    "empty id": answer(200, {"success": True, "data": {"id": ""}}),
    "unexplained": answer(200, {"success": False}),
    "internal with 200": answer(200, complaint("INTERNAL_ERROR")),
    "unavailable with 200": answer(200, complaint("SERVICE_UNAVAILABLE")),
    "unavailable, by its words": answer(200, complaint("API_GENERAL", "Service unavailable, try again later")),
    "unavailable with 400": answer(400, complaint("SERVICE_UNAVAILABLE")),
    "errors of nothing": answer(400, {"success": False, "errors": [{}]}),
    "errors of null": answer(200, {"success": False, "errors": [None, ""]}),
    "Cloudflare's": answer(400, complaint("1000", "no") | {"messages": [], "result": None}),
    **{
        f"an accident, by its words: {words}": answer(status, complaint("API_GENERAL", words))
        for status, words in (
            (200, "An unexpected error occurred"),
            (400, "Something went wrong."),
            (200, "Unknown error"),
            (400, "System is down for maintenance"),
        )
    },
} | {
    # What somebody on the way answers in place of the vendor says nothing about what the vendor did.
    f"a gateway's {status}": answer(status, b"<html>")
    for status in (103, 303, 400, 401, 403, 404, 405, 409, 422, 502)
}


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("offset", [0.0, 7_200.0, -7_200.0])
def test_a_create_that_happened_unanswered_is_adopted(kind, offset):
    """It is looked for, found and not sent again, whatever the vendor's clock shows."""
    account = Account((True, UNKNOWN[kind]), offset=offset)
    assert account.create()["id"] == 100
    assert account.line.sent == [POST, GET]


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_create_that_did_not_happen_is_sent_again_once_it_cannot_arrive_any_more(kind):
    """Looked for until its time is up, and only then repeated, with the same bytes."""
    account = Account((False, UNKNOWN[kind]))
    assert account.create()["id"] == 100
    posts = [number for number, sent in enumerate(account.line.sent) if sent == POST]
    assert posts[0] == 0
    assert len(posts) == 2
    assert posts[-1] == len(account.line.sent) - 1
    assert len({account.line.requests[number].body for number in posts}) == 1
    assert account.line.now >= NOW + 30


def test_a_request_that_arrives_late_is_found_while_it_is_waited_for():
    """A create may reach the vendor after the connection broke."""
    account = Account((False, lost(0.1)))

    def late(request):
        if account.line.now > NOW + 12 and not account.made:
            account.made.append(100)
            account.stored.append(STORED | {"id": 100, "createdDate": round(account.line.now * 1000)})
        return Account.__call__(account, request)

    account.line = Line(late)
    assert account.create()["id"] == 100
    assert account.line.sent.count(POST) == 1


@pytest.mark.parametrize("age", [10, 60.5, 3_600, 86_400, 10**7])
@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("offset", [0.0, 7_200.0, -7_200.0])
def test_an_older_look_alike_is_never_adopted(age, happens, offset):
    """Equal in everything but made before: it is somebody else's."""
    older = STORED | {"id": 7, "createdDate": round((NOW + offset - age) * 1000) + 1}
    account = Account((happens, lost(0.1)), stored=[older], offset=offset)
    assert account.create()["id"] == 100
    assert account.made == [100]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Other"},
        {"location": None},
        {"employeeFirstName": "Bob"},
        {"opportunityId": 5},
        {"clientOpportunityId": 5, "opportunityId": 5},
        {"startDateTime": BASE + 1},
        {"meetingTypeId": 7},
        {"employeeId": 51},
    ],
)
def test_a_meeting_that_differs_in_one_field_is_not_it(change):
    """Every field that both shapes have is compared."""
    other = STORED | {"id": 7, "createdDate": round(NOW * 1000) + 100} | change
    account = Account((False, lost(30.0)), stored=[other])
    assert account.create()["id"] == 100


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_twin_that_was_answered_a_moment_ago_is_not_the_one_that_was_lost(kind):
    """Two equal calls are two meetings, also when the second one is lost on its way."""
    account = Account((True, None), (False, UNKNOWN[kind]))
    vendor = builderprime(retry_limits=retry_limits())
    assert account.line.drive(vendor.create(BODY))["id"] == 100
    assert account.line.drive(vendor.create(BODY))["id"] == 101


def test_two_candidates_are_refused_and_named():
    """Nobody can tell which one is ours."""
    new = round(NOW * 1000) + 100
    account = Account(
        (False, lost(0.1)), stored=[STORED | {"id": 7, "createdDate": new}, STORED | {"id": 8, "createdDate": new}]
    )
    with pytest.raises(MeetingConflictError, match="7, 8") as caught:
        account.create()
    assert caught.value.maybe_sent
    assert account.line.sent == [POST, GET]


@pytest.mark.parametrize("created", [None, "", "yesterday", "2026-11-21T00:00:00Z"])
def test_a_look_alike_of_unknown_age_is_refused(created):
    """No date, or only a day: adopting it could be wrong, sending again too."""
    account = Account((False, lost(0.1)), stored=[STORED | {"id": 7, "createdDate": created}])
    with pytest.raises(MeetingConflictError, match="7"):
        account.create()
    assert account.line.sent.count(POST) == 1


def test_a_date_of_last_week_is_old_whatever_its_precision():
    """Even where only the day is told."""
    account = Account((False, lost(30.0)), stored=[STORED | {"id": 7, "createdDate": "2026-11-14T00:00:00Z"}])
    assert account.create()["id"] == 100


def test_a_look_up_without_the_scope_names_it_and_stays_unknown():
    """The key may create and not read: the create is as unknown as before."""
    replies = script(lost(0.1), answer(403, complaint("FORBIDDEN")))
    line = Line(replies)
    with pytest.raises(MeetingsPermissionError, match=r"meetings\.read") as caught:
        line.drive(builderprime().create(BODY))
    assert caught.value.maybe_sent
    assert line.sent == [POST, GET]


@pytest.mark.parametrize("reply", [answer(401, complaint("X")), answer(200, b"<html>"), answer(400, complaint("X"))])
def test_a_look_up_that_fails_leaves_the_create_unknown(reply):
    """Whatever keeps us from looking."""
    line = Line(script(lost(0.1), reply))
    with pytest.raises(MeetingsError) as caught:
        line.drive(builderprime().create(BODY))
    assert caught.value.maybe_sent
    assert line.sent == [POST, GET]


def test_a_look_up_is_repeated_like_any_read():
    """With attempts of its own."""
    line = Line(script(lost(300.0), *[answer(503)] * 3, answer(200, {"success": True, "data": []}), MADE))
    assert line.drive(builderprime().create(BODY)) == {"id": 9}
    assert line.sent == [POST, GET, GET, GET, GET, POST]


def test_too_little_patience_to_wait_for_a_lost_request_ends_in_doubt():
    """It is not sent again while the first may still arrive."""
    account = Account((False, lost(0.1)))
    with pytest.raises(MeetingsTransportError, match="max_wait") as caught:
        account.create(max_wait=3)
    assert caught.value.maybe_sent
    assert account.line.sent.count(POST) == 1


def test_a_create_that_fails_each_time_and_never_happens_says_so():
    """Settled each time, given up after the allowed attempts, and nothing was made."""
    account = Account(*[(False, lost(300.0))] * 9)
    with pytest.raises(MeetingsTransportError) as caught:
        account.create(max_attempts=3)
    assert not caught.value.maybe_sent
    assert account.line.sent == [POST, GET] * 3


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(400, complaint("X")), MeetingValidationError),
        (answer(401, complaint("X")), MeetingsAuthError),
        (answer(403, complaint("X")), MeetingsPermissionError),
        (answer(422, complaint("X")), MeetingValidationError),
        (answer(200, complaint("INVALID")), MeetingValidationError),
        (answer(200, complaint("FORBIDDEN")), MeetingsPermissionError),
        (answer(404, NO_RESOURCE), MeetingNotFoundError),
        (answer(400, complaint("API_GENERAL", "Unauthorized: Invalid key")), MeetingsAuthError),
        (answer(400, complaint("API_GENERAL", "Employee not found")), MeetingValidationError),
        *(
            (answer(status, complaint("API_GENERAL", words)), MeetingsAuthError)
            for status in (200, 400)
            for words in (
                "API key not found",
                "The API key does not exist",
                "No API key found in request",
                "Your API key has been disabled",
                "Key is inactive",
                "Authentication credentials were not provided.",
                "The API key provided is invalid",
                "The key you used has expired",
                "Login required",
                "Access token expired",
            )
        ),
        (answer(400, complaint("API_GENERAL", "Idempotency key required")), MeetingValidationError),
        (answer(200, complaint("EMPLOYEE_NOT_FOUND", "Employee 50")), MeetingValidationError),
        (answer(200, complaint("MEETING_TYPE_NOT_FOUND")), MeetingValidationError),
        (answer(200, complaint("EMPLOYEE_UNAVAILABLE")), MeetingValidationError),
        (answer(400, complaint("TOO_MANY_REMINDERS")), MeetingValidationError),
        (answer(200, complaint("API_KEY_NOT_FOUND")), MeetingsAuthError),
        (answer(400, complaint("UNAUTHORIZED")), MeetingsAuthError),
        (answer(400, complaint("API_GENERAL", "This key does not have access to meetings")), MeetingsPermissionError),
        (answer(200, complaint("API_GENERAL", "Insufficient privileges")), MeetingsPermissionError),
        (answer(400, complaint("API_GENERAL", "Character limit exceeded in title")), MeetingValidationError),
        (answer(429, complaint("RATE_LIMIT"), retry_after="3600"), MeetingsRateLimitError),
        (answer(200, complaint("RATE_LIMIT"), retry_after="3600"), MeetingsRateLimitError),
    ],
)
def test_a_refusal_is_final_and_not_looked_for(reply, kind):
    """It did not happen: no look-up, no second send."""
    line = Line(script(reply))
    with pytest.raises(kind) as caught:
        line.drive(builderprime().create(BODY))
    assert not caught.value.maybe_sent
    assert line.sent == [POST]


LIMITED = [
    answer(429, complaint("X")),
    answer(200, complaint("RATE_LIMIT")),
    answer(200, complaint("API_GENERAL", "Too many requests"), retry_after="3"),
    answer(400, complaint("API_GENERAL", "API limit exceeded")),
    answer(400, complaint("RATE_LIMIT")),
    answer(200, complaint("API_GENERAL", "Your quota has been exceeded")),
]


@pytest.mark.parametrize("reply", [lost(0.1, maybe_sent=False), *LIMITED])
def test_what_did_not_arrive_is_sent_again_without_a_look(reply):
    """Connect errors and the vendor's own 429, be it told with 200."""
    line = Line(script(reply, MADE))
    assert line.drive(builderprime().create(BODY)) == {"id": 9}
    assert line.sent == [POST, POST]


@pytest.mark.parametrize("happens", [True, False])
def test_a_429_that_is_not_the_vendors_is_looked_at_once(happens):
    """Whoever turned the create away keeps nothing to pass on later, but may have spoken for a vendor that acted."""
    account = Account((happens, answer(429, b"<html>", retry_after="7")))
    assert account.create()["id"] == 100
    assert account.line.sent == ([POST, GET] if happens else [POST, GET, POST])
    assert account.line.pauses[0].seconds == 7
    assert sum(pause.seconds for pause in account.line.pauses) < 10


def test_a_429_that_is_not_the_vendors_and_asks_for_long_is_not_looked_at_before():
    """Nothing is asked before the time, and the next try knows that it has to look."""
    account = Account((True, answer(429, b"<html>", retry_after="3600")))
    with pytest.raises(MeetingsRateLimitError) as caught:
        account.create()
    assert (caught.value.maybe_sent, caught.value.retry_after) == (True, 3600)
    assert account.line.sent == [POST]


@pytest.mark.parametrize("status", [103, 303, 400, 401, 404, 405, 409, 422, 429])
@pytest.mark.parametrize("call", ["update", "delete"])
def test_a_gateways_answer_to_a_change_leaves_it_unknown(call, status):
    """The error says so, and does not pretend that nothing was changed."""
    vendor = builderprime(retry_limits=retry_limits(max_attempts=1))
    arguments = (7, {"title": "x"}) if call == "update" else (7,)
    with pytest.raises(MeetingsError, match="not known whether") as caught:
        Line(script(answer(status, b"<html>"))).drive(getattr(vendor, call)(*arguments))
    assert caught.value.maybe_sent
    assert not isinstance(caught.value, MeetingValidationError | MeetingNotFoundError | MeetingConflictError)


def test_an_answer_too_large_to_read_does_not_adopt_an_older_look_alike():
    """Where nobody knows when it was sent, dates say nothing."""
    error = MeetingsProtocolError("too large", method="POST", path="/meetings/v1")
    error.maybe_sent = True
    older = STORED | {"id": 7, "createdDate": round(NOW * 1000) - 86_400_001}
    account = Account((True, error), stored=[older])
    with pytest.raises(MeetingsProtocolError, match="too large") as caught:
        account.create()
    assert caught.value.maybe_sent


@examples(150)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(UNKNOWN))), max_size=4),
    st.sampled_from([0.0, 500.0, -500.0]),
    st.booleans(),
)
def test_whatever_happens_there_is_one_meeting_at_most_and_one_if_it_succeeds(fate, offset, older):
    """Any sequence of unknown outcomes, with effect or without."""
    before = [STORED | {"id": 7, "createdDate": round((NOW + offset) * 1000) - 60_001}] if older else []
    account = Account(*[(happens, UNKNOWN[kind]) for happens, kind in fate], stored=before, offset=offset)
    try:
        meeting = account.create(max_wait=600)
    except MeetingsError as error:
        assert error.maybe_sent or not account.made  # noqa: PT017 - most examples raise nothing
    else:
        assert [meeting["id"]] == account.made
    assert len(account.made) <= 1


def test_a_create_is_sent_as_it_was_checked():
    """Bytes, scope, no idempotency key, and not repeatable."""
    line = Line(script(MADE))
    line.drive(builderprime().create(BODY, idempotency_key="mine"))
    (request,) = line.requests
    assert json.loads(request.body) == BODY
    assert (request.scope, request.repeatable, request.idempotency_key) == ("meetings.create", False, None)


@pytest.mark.parametrize("reply", [lost(1.0), answer(500), answer(429)])
def test_an_update_may_be_said_twice(reply):
    """With the same bytes, to the same path."""
    line = Line(script(reply, answer(200, {"success": True, "data": {"id": 7}})))
    assert line.drive(builderprime().update("7", {"location": None})) == {"id": 7}
    assert line.sent == ["POST /meetings/v1/7"] * 2
    assert {request.body for request in line.requests} == {b'{"location":null}'}
    assert {request.scope for request in line.requests} == {"meetings.edit"}


GONE = [
    answer(404, complaint("NOT_FOUND")),
    answer(200, complaint("MEETING_NOT_FOUND")),
    answer(404, complaint("X")),
    answer(404, NO_RESOURCE),
    answer(400, complaint("API_GENERAL", "Meeting 7 was not found")),
    answer(200, complaint("API_GENERAL", "The meeting does not exist.")),
    answer(400, complaint("API_GENERAL", "No such meeting")),
    answer(200, complaint("API_GENERAL", "Meeting not found in this account")),
    answer(404, complaint("API_GENERAL", "Meeting not found on this site")),
    answer(404, complaint("API_GENERAL", "Meeting has been deleted")),
    answer(400, {"errorCode": 404, "errorMessage": None}),
    answer(400, complaint("MEETING_NOT_FOUND")),
]


@pytest.mark.parametrize("reply", GONE)
def test_a_meeting_that_is_gone_was_deleted_before(reply):
    """False, or an error where it had to be there; in the vendor's own envelope only."""
    assert Line(script(reply)).drive(builderprime().delete(7)) is False
    with pytest.raises(MeetingNotFoundError):
        Line(script(reply)).drive(builderprime().delete(7, missing_ok=False))
    with pytest.raises(MeetingNotFoundError):
        Line(script(reply)).drive(builderprime().update(7, {"title": "x"}))


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(
    "words",
    [
        "API key not found",
        "The API key does not exist.",
        "Account not found",
        "There is no such company: subdomain not found",
        "Route GET:/api/meetings/v1/7 not found",
        "Endpoint does not exist",
        "ACCOUNT_NOT_FOUND",
    ],
)
def test_what_else_is_missing_is_no_deleted_meeting(status, words):
    """A key, an account or an address that is not there says nothing about the meeting."""
    reply = answer(status, complaint("API_GENERAL", words))
    for call in (lambda line, v: line.drive(v.delete(7)), lambda line, v: line.drive(v.get("7"))):
        with pytest.raises((MeetingsAuthError, MeetingValidationError, MeetingsProtocolError)):
            call(Line(script(reply)), builderprime())


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", ["EMPLOYEE_NOT_FOUND", "ACCOUNT_NOT_FOUND", "ROUTE_NOT_FOUND", "API_KEY_NOT_FOUND"])
def test_a_code_for_something_else_is_no_deleted_meeting(status, code):
    """What is not found is in its name."""
    with pytest.raises((MeetingsAuthError, MeetingValidationError)):
        Line(script(answer(status, complaint(code)))).drive(builderprime().delete(7))


def test_an_empty_record_is_no_meeting():
    """Nothing in it could differ from what a task asks for."""
    with pytest.raises(MeetingsProtocolError):
        Line(script(answer(200, {"success": True, "data": {}}))).drive(builderprime().get(7))
