"""Creates, updates and deletes while the server, or the line to it, misbehaves; the sandbox's tables are the judge."""

import concurrent.futures
import json
import time

import pytest
import requests

from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsRateLimitError,
    MeetingsServerError,
    MeetingsTransportError,
    MeetingValidationError,
)
from tests.support.sandbox import BUILDERPRIME, HIRINGCENTER, HOUR

# A lost request counts as lost for good once its time is up: short, so that the tests need not wait for long.
PATIENT = {"timeout": 0.6, "max_wait": 30, "max_attempts": 4}

BEFORE = {
    "reset": {"action": "reset"},
    "close": {"action": "close"},
    "500": {"action": "status", "status": 500},
    "500 in the envelope": {"action": "status", "status": 500, "html": False},
    "502": {"action": "status", "status": 502},
    "503": {"action": "status", "status": 503},
    "504": {"action": "status", "status": 504},
    "429 with seconds": {"action": "ratelimit", "form": "seconds", "retry_after": 0},
    "429 with a date": {"action": "ratelimit", "form": "http-date", "retry_after": 0},
    "429 with a body": {"action": "ratelimit", "form": "body", "retry_after": 0},
    "429 without a wait": {"action": "ratelimit", "form": "none"},
    "a short delay": {"action": "delay", "seconds": 0.05},
}
AFTER = {name: rule for name, rule in BEFORE.items() if not name.startswith("429")} | {
    "a long delay": {"action": "delay", "seconds": 1},
    "dripping": {"action": "drip", "bytes_per_second": 20},
    "truncated": {"action": "truncate"},
    "bare success: false": {"action": "success_false", "explained": False},
    "not JSON": {"action": "answer", "status": 200, "body": "<html>"},
    "no envelope": {"action": "answer", "status": 200, "body": "{}"},
    "empty": {"action": "answer", "status": 200, "body": ""},
}
# What a gateway, or a redirect, says in place of the vendor leaves it as unknown as no answer at all.
GATEWAYS = {
    f"a gateway's {status}": {"action": "answer", "status": status, "body": "<html>"} for status in (303, 401, 404, 422)
}
# Gateways that speak JSON have envelopes of their own, some of which look like a vendor's.
GATEWAYS |= {
    f"a gateway's {status} in JSON: {', '.join(body)}": {"action": "answer", "status": status, "body": json.dumps(body)}
    for status, body in (
        (403, {"message": "Missing Authentication Token"}),
        (404, {"message": "no Route matched with those values"}),
        (404, {"timestamp": "2027-01-11T15:00:00Z", "status": 404, "error": "Not Found", "path": "/meetings"}),
        (404, {"error": {"code": 404, "message": "Not found", "status": "NOT_FOUND"}}),
        (422, {"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]}),
        (401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}),
        (400, {"type": "about:blank", "title": "Bad Request", "status": 400}),
        (400, {"success": False, "errors": [{"code": 1000, "message": "no"}], "messages": [], "result": None}),
        (400, {"success": False, "errors": [{}]}),
        (422, {"success": False, "errors": [None], "error": None}),
        (400, {"error": True, "message": "upstream reset"}),
    )
}
AFTER |= GATEWAYS
FAULTS = [
    pytest.param({"when": when, **rule}, id=f"{when}: {name}")
    for when, rules in (("before", BEFORE), ("after", AFTER))
    for name, rule in rules.items()
]
SOME_FAULTS = [
    fault
    for fault in FAULTS
    if fault.id in {"before: reset", "before: 503", "after: reset", "after: 502", "after: truncated", "after: not JSON"}
]
# Successes that cannot be read. HiringCenter's key makes the next try safe, and the hook leaves it to that one.
UNREADABLE = {"success_false", "answer"}


def faulty(server, kind, rule, method="POST"):
    """Add a fault for one vendor's writes."""
    server.fault(match={"vendor": kind.name, "method": method}, **rule)


def same_as_sent(server, kind, *, age, number):
    """Let somebody else book meetings equal to the one that is to be sent, some time ago; returns their ids."""
    if kind is HIRINGCENTER:
        same = kind.meeting()
    else:
        same = {name: kind.meeting()[name] for name in ("title", "location", "startDateTime", "endDateTime")}
        same |= {"opportunityId": 102988, "meetingTypeId": 1012, "employeeId": 50}
        same["createdDate"] = int(time.time() * 1000) - age
    return {str(made) for made in server.insert(kind, *[same] * number)}


def booked(hook, kind, rule):
    """Book a meeting; returns its id, or None where its answer came back unread and the error says so."""
    if kind is BUILDERPRIME or rule["action"] not in UNREADABLE:
        return str(hook.create_meeting(kind.meeting())["id"])
    with pytest.raises(MeetingsError) as caught:
        hook.create_meeting(kind.meeting())
    assert caught.value.maybe_sent
    return None


@pytest.mark.parametrize("rule", FAULTS)
def test_a_create_makes_one_meeting_whatever_happens_to_its_answer(server, kind, rule):
    """One fault of any kind, before or after the server acted, and there is exactly one meeting, the one returned."""
    faulty(server, kind, rule)
    made = booked(server.hook(kind, **PATIENT), kind, rule)
    (there,) = server.meetings(kind)
    assert made in (str(there["id"]), None)


@pytest.mark.parametrize("rule", SOME_FAULTS)
def test_look_alikes_from_before_are_not_taken_for_the_meeting(server, kind, rule):
    """Equal meetings that somebody booked an hour ago stay as they are, and one more is made."""
    before = same_as_sent(server, kind, age=HOUR + 7, number=2)
    faulty(server, kind, rule)
    made = booked(server.hook(kind, **PATIENT), kind, rule)
    there = {str(row["id"]) for row in server.meetings(kind)}
    assert before < there
    (new,) = there - before
    assert made in (new, None)


def test_a_refusal_in_a_success_is_a_refusal_and_is_not_repeated(server, kind):
    """An explained `success: false` with 200 is the vendor's word: one request, no retry."""
    faulty(server, kind, {"action": "success_false"})
    with pytest.raises(MeetingValidationError, match="could not be saved"):
        server.hook(kind).create_meeting(kind.meeting())
    assert server.meetings(kind) == []
    assert len(server.journal(method="POST")) == 1


def test_repeats_of_a_create_share_key_and_bytes(server):
    """HiringCenter can only tell a repeat by its key and its payload, so both stay the same."""
    server.fault("status", match={"method": "POST"}, status=503, times=3)
    server.hook(HIRINGCENTER).create_meeting(HIRINGCENTER.meeting())
    rows = server.journal(method="POST")
    assert len(rows) == 4
    assert len({(row["idempotencyKey"], row["body"]) for row in rows}) == 1
    assert rows[0]["idempotencyKey"]


def test_two_equal_calls_are_two_meetings(server, kind):
    """Without a key of the author's, each call stands for itself."""
    hook = server.hook(kind)
    first, second = (hook.create_meeting(kind.meeting()) for _ in range(2))
    assert first["id"] != second["id"]
    assert len(server.meetings(kind)) == 2


def test_one_key_is_one_meeting(server):
    """Two calls with one key are one meeting in HiringCenter."""
    hook = server.hook(HIRINGCENTER)
    first, second = (hook.create_meeting(HIRINGCENTER.meeting(), idempotency_key="candidate-7") for _ in range(2))
    assert first == second
    assert len(server.meetings(HIRINGCENTER)) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 513, "a\nb", "a\r\nX-Evil: 1", "é", 7])
def test_a_key_that_no_header_carries_is_refused(server, kind, key):
    """A key that is too long, blank or not printable is refused by name and nothing is sent."""
    hook = server.hook(kind)
    for write in (
        lambda: hook.create_meeting(kind.meeting(), idempotency_key=key),
        lambda: hook.update_meeting(1, {"location": "x"}, idempotency_key=key),
        lambda: hook.delete_meeting(1, idempotency_key=key),
    ):
        with pytest.raises(MeetingsConfigurationError, match="idempotency_key"):
            write()
    assert server.journal() == []


def test_an_overlong_outage_is_an_error_that_says_so(server, kind):
    """When every attempt fails, the error is typed, and no meeting is there."""
    server.fault("status", match={"vendor": kind.name, "method": "POST"}, status=503, times=None)
    with pytest.raises(MeetingsServerError, match="503") as caught:
        server.hook(kind, timeout=2, max_attempts=2).create_meeting(kind.meeting())
    assert caught.value.status == 503
    assert server.meetings(kind) == []
    assert len(server.journal(method="POST")) == 2


def test_a_create_that_may_still_arrive_is_not_sent_again(server):
    """Builder Prime: while the lost request may be on its way, nothing is repeated, and the error says so."""
    faulty(server, BUILDERPRIME, {"action": "reset"})
    with pytest.raises(MeetingsTransportError, match="may still arrive") as caught:
        server.hook(BUILDERPRIME, timeout=60, max_wait=1).create_meeting(BUILDERPRIME.meeting())
    assert caught.value.maybe_sent
    assert len(server.journal(method="POST")) == 1


def test_a_create_refused_inside_the_handling_of_another_error_is_judged_by_its_own(server, kind):
    """What the caller is just handling, a refused connection say, says nothing about whether this create was sent."""
    faulty(server, kind, {"action": "reset", "when": "after"})
    hook = server.hook(kind, **PATIENT)
    try:
        raise ConnectionRefusedError
    except ConnectionRefusedError:
        made = hook.create_meeting(kind.meeting())
    assert [str(made["id"])] == [str(row["id"]) for row in server.meetings(kind)]


@pytest.mark.parametrize("rule", [{"action": "reset"}, {"action": "status", "status": 502}, {"action": "truncate"}])
def test_updates_are_repeated(server, kind, rule):
    """An update says the same twice, so it is sent again, whether the server acted or not."""
    hook = server.hook(kind)
    meeting = hook.create_meeting(kind.meeting())
    faulty(server, kind, {"when": "after", **rule})
    changed = hook.update_meeting(meeting["id"], {"location": "Elsewhere"})
    assert changed["location"] == "Elsewhere"
    assert [row["location"] for row in server.meetings(kind)] == ["Elsewhere"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["reset", "status"])
def test_a_delete_that_was_lost_still_counts_as_done(server, kind, when, action):
    """The repeat of a delete finds nothing, or a replay: the meeting was deleted by this call, hence True."""
    hook = server.hook(kind)
    meeting = hook.create_meeting(kind.meeting())
    faulty(server, kind, {"when": when, "action": action}, method="DELETE")
    assert hook.delete_meeting(meeting["id"]) is True
    assert server.meetings(kind) == []
    assert hook.delete_meeting(meeting["id"]) is False


@pytest.mark.parametrize("form", ["seconds", "http-date", "body"])
def test_a_wait_beyond_the_patience_is_not_slept(server, kind, form):
    """An hour's rate limit ends the call with an error that carries the wait."""
    server.fault("ratelimit", match={"vendor": kind.name}, form=form, retry_after=3600)
    with pytest.raises(MeetingsRateLimitError, match="max_wait") as caught:
        server.hook(kind).create_meeting(kind.meeting())
    assert caught.value.retry_after == pytest.approx(3600, abs=5)
    assert len(server.journal()) == 1


def test_many_faults_in_a_row_leave_one_meeting(server, kind):
    """A cut before the server acted, one after it, and an error page: still one meeting."""
    faulty(server, kind, {"action": "reset", "when": "before"})
    faulty(server, kind, {"action": "status", "status": 502, "when": "before"})
    faulty(server, kind, {"action": "close", "when": "after"})
    made = server.hook(kind, **PATIENT).create_meeting(kind.meeting())
    assert [str(made["id"])] == [str(row["id"]) for row in server.meetings(kind)]


def test_the_look_up_survives_faults_too(server):
    """Builder Prime: the reads that settle a lost create are themselves repeated."""
    faulty(server, BUILDERPRIME, {"action": "reset", "when": "after"})
    faulty(server, BUILDERPRIME, {"action": "status", "status": 502}, method="GET")
    made = server.hook(BUILDERPRIME, **PATIENT).create_meeting(BUILDERPRIME.meeting())
    assert [made["id"]] == [row["id"] for row in server.meetings(BUILDERPRIME)]


@pytest.mark.parametrize(
    "part",
    [{"employee": {"email": "betty.brown@example.com"}}, {"employee": {"firstName": "Betty", "lastName": "Brown"}}],
)
@pytest.mark.parametrize("listed", ["bare", "minimal", "rich"])
def test_a_lost_create_is_found_in_every_shape_of_the_list(server, listed, part):
    """Builder Prime's list has other fields than a create, and not always the same: the meeting is recognised."""
    server.options(listed=listed)
    faulty(server, BUILDERPRIME, {"action": "reset", "when": "after"})
    made = server.hook(BUILDERPRIME, **PATIENT).create_meeting(BUILDERPRIME.meeting(**part))
    assert [made["id"]] == [row["id"] for row in server.meetings(BUILDERPRIME)]


def test_a_lost_create_without_the_right_to_look_is_an_error_that_says_so(server):
    """Builder Prime: a key that may only create cannot settle a lost create; nothing is sent twice."""
    key = server.facts["builderprime"]["create_api_key"]
    faulty(server, BUILDERPRIME, {"action": "reset", "when": "after"})
    with pytest.raises(MeetingsError, match=r"meetings\.read") as caught:
        server.hook(BUILDERPRIME, **PATIENT, password=key).create_meeting(BUILDERPRIME.meeting())
    assert caught.value.maybe_sent
    assert len(server.meetings(BUILDERPRIME)) == 1


def test_connections_that_go_stale_are_noticed_before_a_create(server, kind):
    """A pooled connection that the server closed meanwhile does not lose a create."""
    hook = server.hook(kind, **PATIENT)
    for _ in range(2):
        server.fault("answer", match={"method": "GET"}, status=200, headers={"connection": "close"}, body="{}")
        assert isinstance(hook.get_conn().get(server.facts[kind.name]["host"]), requests.Response)
        hook.create_meeting(kind.meeting())
    assert len(server.meetings(kind)) == 2
    assert len(server.journal(method="POST")) == 2


def test_concurrent_equal_creates_stay_apart(server, kind):
    """Threads that share a hook and book the same thing make as many meetings as they are."""
    hook = server.hook(kind)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: hook.create_meeting(kind.meeting()), range(16)))
    assert len({str(meeting["id"]) for meeting in made}) == 16
    assert len(server.meetings(kind)) == 16
