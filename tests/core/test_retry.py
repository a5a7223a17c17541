"""The retry rules, driven by hand: what is sent again, after how long, and when it is given up."""

import contextlib
import email.utils
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.retry import (
    Reply,
    RetryState,
    ServerWait,
    backoff,
    bounded_wait,
    by_status,
    clock_offset,
    is_transient,
    reset_in,
    retry_after,
    send_with_retries,
)
from airflow_provider_meetings.exceptions import MeetingsTransportError
from tests.support.flows import NOW, Line, answer, examples, lost, retry_limits, script

ASK = Request("GET", "/meetings")
ONCE = Request("POST", "/meetings", repeatable=False)
FINE = answer(200, {})


def budget(*, jitter=0.5, **fields):
    """A budget whose dice always show the same."""
    return RetryState(retry_limits(**fields), lambda: jitter)


def send(request, *replies, purse=None, parse=by_status):
    """Send a request to a server that gives these answers; return the last one and the line."""
    line = Line(script(*replies))
    return line.drive(send_with_retries(request, purse or budget(), parse)), line


def http_date(seconds):
    """A moment as an HTTP header writes it."""
    return email.utils.formatdate(seconds, usegmt=True)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 422, 499])
def test_what_is_final_is_not_sent_again(status):
    """Successes and refusals end it at once."""
    reply, line = send(ASK, answer(status))
    assert (reply.status, len(line.requests), line.pauses) == (status, 1, [])
    assert not is_transient(status)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_what_is_transient_is_sent_again_until_it_is_fine(status):
    """With growing pauses and the number of the attempt on each request."""
    reply, line = send(ASK, answer(status), answer(status), answer(status), FINE)
    assert reply.status == 200
    assert [request.attempt for request in line.requests] == [1, 2, 3, 4]
    assert [pause.seconds for pause in line.pauses] == [0.25, 0.5, 1.0]
    assert is_transient(status)


@pytest.mark.parametrize("maybe_sent", [True, False])
def test_a_lost_answer_is_asked_for_again(maybe_sent):
    """Resets and connect errors alike, as the request may be repeated."""
    reply, line = send(ASK, lost(maybe_sent=maybe_sent), FINE)
    assert (reply.status, len(line.requests)) == (200, 2)


def test_repeats_are_the_same_bytes_under_the_same_key():
    """Only the count of the attempt changes."""
    request = Request("POST", "/meetings", body=b'{"a":1}', idempotency_key="k")
    _, line = send(request, answer(503), lost(), FINE)
    assert {(sent.body, sent.idempotency_key, sent.path) for sent in line.requests} == {(b'{"a":1}', "k", "/meetings")}


@pytest.mark.parametrize("most", [1, 2, 5])
def test_attempts_are_bounded(most):
    """The last transient answer comes back."""
    reply, line = send(ASK, *[answer(503)] * most, purse=budget(max_attempts=most))
    assert (reply.status, len(line.requests), len(line.pauses)) == (503, most, most - 1)


def test_the_last_lost_answer_is_raised():
    """With what is known of it."""
    line = Line(script(lost(), lost(maybe_sent=False)))
    with pytest.raises(MeetingsTransportError) as caught:
        line.drive(send_with_retries(ASK, budget(max_attempts=2), by_status))
    assert (caught.value.maybe_sent, caught.value.method, caught.value.path) == (False, "GET", "/meetings")


def test_waits_are_bounded_in_sum():
    """Whatever the attempts allow, no more is slept than the connection says."""
    purse = budget(jitter=1.0, max_attempts=50, max_wait=4.0)
    reply, line = send(ASK, *[answer(503)] * 4, purse=purse)
    assert [pause.seconds for pause in line.pauses] == [0.5, 1.0, 2.0]
    assert (reply.status, purse.slept) == (503, 3.5)


def test_no_wait_at_all_may_be_asked_for():
    """With a max_wait of 0 only repeats without a pause are left."""
    reply, line = send(ASK, answer(503), purse=budget(max_wait=0))
    assert (reply.status, line.pauses) == (503, [])


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_an_unknown_outcome_of_what_must_not_be_repeated_comes_back_at_once(status):
    """Only the vendor's rules can find out what happened."""
    purse = budget()
    reply, line = send(ONCE, answer(status), purse=purse)
    assert (reply.status, len(line.requests), purse.outcome_unknown) == (status, 1, True)


def test_a_lost_answer_of_what_must_not_be_repeated_is_raised_at_once():
    """A reset says nothing about what the server did."""
    line = Line(script(lost()))
    with pytest.raises(MeetingsTransportError):
        line.drive(send_with_retries(ONCE, budget(), by_status))
    assert len(line.requests) == 1


@pytest.mark.parametrize("reply", [answer(429), lost(maybe_sent=False)])
def test_what_did_not_happen_may_be_sent_again_whatever_it_is(reply):
    """429 and connect errors: the server has not acted."""
    purse = budget()
    final, line = send(ONCE, reply, FINE, purse=purse)
    assert (final.status, len(line.requests), purse.outcome_unknown) == (200, 2, False)


def test_an_earlier_unknown_outcome_is_remembered():
    """A 404 after a lost DELETE is no news."""
    purse = budget()
    send(ASK, lost(), answer(404), purse=purse)
    assert purse.outcome_unknown


@pytest.mark.parametrize("status", [429, 503])
def test_somebody_elses_refusal_leaves_the_outcome_unknown(status):
    """Be it a 429: only the vendor itself says that it has not acted."""

    def gateway(response):
        return Reply(response, response.status, is_own=False)

    purse = budget()
    reply, line = send(ONCE, answer(status), purse=purse, parse=gateway)
    assert (reply.status, len(line.requests), purse.outcome_unknown) == (status, 1, True)


@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_told_with_200_is_sent_again_like_its_status(status):
    """After the wait that the answer asks for."""

    def envelope(response):
        return Reply(response, status if response.headers else 200)

    reply, line = send(ASK, answer(200, retry_after="7"), FINE, parse=envelope)
    assert (reply.status, [pause.seconds for pause in line.pauses]) == (200, [7.25])


def test_the_vendors_own_rule_asks_again():
    """An answer that looks final is waited out while the vendor's rule says so."""

    def parse(response):
        return Reply(response, response.status, in_progress=response.status == 409)

    reply, line = send(ASK, answer(409), answer(409), FINE, parse=parse)
    assert (reply.status, len(line.requests)) == (200, 3)
    reply, line = send(ASK, *[answer(409)] * 5, parse=parse)
    assert (reply.status, len(line.requests)) == (409, 5)


def test_the_budget_remembers_when_it_was_sent():
    """First and last send, for those who look for what a lost request did."""
    purse = budget()
    _, line = send(ASK, lost(10.0), answer(503), FINE, purse=purse)
    assert purse.first_sent == NOW
    assert purse.last_sent == pytest.approx(line.now - 0.25)


def test_another_request_of_the_same_call_shares_the_waits_only():
    """Attempts are each request's own, the patience is the call's."""
    purse = budget(max_wait=10)
    purse.attempts, purse.slept = 4, 9.8
    beside = purse.child()
    assert (beside.attempts, beside.slept) == (0, 9.8)
    assert beside.pause(1.0, "x") is None


@pytest.mark.parametrize("attempts", [1, 2, 3, 6, 7, 50, 100_000])
def test_backoff_is_full_jitter_below_a_doubling_cap(attempts):
    """From nothing to half a second, doubled with each attempt, at most thirty seconds."""
    cap = 30.0 if attempts > 6 else 0.5 * 2 ** (attempts - 1)
    assert backoff(attempts, lambda: 0.0) == 0
    assert backoff(attempts, lambda: 0.5) == cap / 2
    assert backoff(attempts, lambda: 1.0) == cap


@pytest.mark.parametrize(
    ("headers", "content", "seconds"),
    [
        ({"retry_after": "7"}, None, 7),
        ({"retry_after": " 7.5 "}, None, 7.5),
        ({"retry_after": "0"}, None, 0),
        ({"retry_after": http_date(NOW + 90), "date": http_date(NOW)}, None, 90),
        ({"retry_after": http_date(NOW - 90), "date": http_date(NOW)}, None, 0),
        ({"retry_after": http_date(NOW + 30)}, None, 25),
        ({"retry_after": "7"}, {"retryAfter": 30}, 7),
        ({"retry_after": "-7"}, {"retryAfter": 30}, 30),
        ({"retry_after": "soon"}, {"retryAfter": 30}, 30),
        ({"retry_after": "nan"}, {"retryAfter": "30"}, 30),
        ({"retry_after": "inf"}, {}, None),
        ({"retry_after": "30, 60"}, None, 60),
        ({"retry_after": "60,30"}, None, 60),
        ({"retry_after": "30s"}, None, 30),
        ({"retry_after": "1.5 seconds"}, None, 1.5),
        ({"retry_after": "30 or so"}, None, None),
        ({"retry_after": "30" + " " * 50_000 + "s"}, None, None),
        ({"retry_after": "Sunday, 06-Nov-94 08:49:37 GMT"}, None, 0),
        ({}, {"retryAfter": 30}, 30),
        ({}, {"retryAfter": "soon"}, None),
        ({}, {"retryAfter": -1}, None),
        ({}, b"<html>", None),
        ({}, b"[1]", None),
        ({}, b"[" * 100_000, None),
        ({"ratelimit_reset": "12"}, None, 12),
        ({"ratelimit_reset": str(int(NOW) + 12), "date": http_date(NOW)}, None, 12),
        ({"ratelimit_reset": str(int(NOW) + 12)}, None, 7),
        ({"ratelimit_reset": str(int(NOW) - 12)}, None, 0),
        ({"ratelimit_reset": "soon"}, None, None),
        ({"ratelimit_reset": "12"}, {"retryAfter": 30}, 30),
        ({}, None, None),
    ],
)
def test_how_long_a_429_asks_to_wait(headers, content, seconds):
    """Retry-After in seconds or as a date, the body's retryAfter, and RateLimit-Reset in both of its revisions."""
    reply = answer(429, content, **headers)
    assert retry_after(Response(429, reply.headers, reply.body, NOW, NOW + 5)) == seconds


ENORMOUS = ["3601", "30000", "1e20", "1e308", "1e400", "9" * 400, str(int(NOW) + 10**8), http_date(NOW + 10**8)]
SOON = [NOW + 20, (NOW + 20) * 1e3, (NOW + 20) * 1e6, (NOW + 20) * 1e9]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("value", [f"{moment:.0f}" for moment in SOON] + ["2026-11-21T12:00:20Z"])
def test_a_timestamp_is_no_number_of_seconds(status, value):
    """Retry-After as a Unix timestamp in any unit, or as ISO 8601, is the moment to come back at."""
    assert retry_after(Response(status, {"retry-after": value}, b"", NOW, NOW)) == pytest.approx(20)
    past = f"{NOW - 1:.0f}"
    assert retry_after(Response(status, {"retry-after": past}, b"", NOW, NOW)) == 0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("moment", SOON)
def test_a_timestamp_in_the_body_is_no_number_of_seconds(status, moment):
    """The body's retryAfter is read like the header."""
    body = json.dumps({"retryAfter": int(moment)}).encode()
    assert retry_after(Response(status, {}, body, NOW, NOW)) == pytest.approx(20)


@pytest.mark.parametrize("value", ENORMOUS)
def test_no_wait_is_longer_than_an_hour(value):
    """Whatever an answer asks for, in the header, the body or the rate limit's own header."""
    asked = Response(503, {"retry-after": value}, b"", NOW, NOW)
    assert retry_after(asked) == 3600
    assert "3600 s" in ServerWait.from_response(asked).note
    reset = Response(429, {"ratelimit-reset": value}, b"", NOW, NOW)
    assert retry_after(reset) == 3600
    if value.isdigit():
        body = b'{"retryAfter": %s}' % value.encode()
        assert retry_after(Response(429, {}, body, NOW, NOW)) == 3600


def test_a_shortened_wait_is_in_the_log():
    """The reason of the pause says what the server asked for."""
    _, line = send(ASK, answer(503, retry_after="30000"), FINE, purse=budget(max_wait=4000))
    assert [pause.seconds for pause in line.pauses] == [3600.25]
    assert "the server asked for 30000 s" in line.pauses[0].reason


@pytest.mark.parametrize(
    ("given", "bounded"), [(0, 0), (12.5, 12.5), (-3, 0), (1e20, 3600), (float("inf"), 3600), (float("nan"), 0)]
)
def test_bounded_waits(given, bounded):
    """What is no number of seconds is no wait."""
    assert bounded_wait(given) == bounded


def test_a_date_is_utc_in_each_of_its_forms(monkeypatch):
    """HTTP's oldest form names no zone; the machine's own zone has no say."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    import time  # noqa: PLC0415

    time.tzset()
    try:
        asctime = "Sat Nov 21 12:00:09 2026"
        assert retry_after(Response(503, {"retry-after": asctime}, b"", NOW, NOW)) == 9
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_only_a_429_and_a_503_are_asked_for_their_body(status):
    """The header counts with every answer, the body's field only where the vendors use it."""
    body = json.dumps({"retryAfter": 30}).encode()
    assert retry_after(Response(status, {}, body)) is None
    assert retry_after(Response(status, {"retry-after": "3"}, body)) == 3
    assert retry_after(Response(503, {}, body)) == 30


def test_the_window_of_the_rate_limit_is_told_both_ways():
    """As seconds to wait and as a Unix timestamp; without the header it is not known."""
    assert reset_in(Response(200, {"ratelimit-reset": "60"})) == 60
    assert reset_in(Response(200, {"ratelimit-reset": str(int(NOW) + 60)}, b"", NOW, NOW)) == 60
    assert reset_in(Response(200)) is None


def test_what_the_server_asks_for_is_waited_with_jitter_on_top():
    """So that those who were told the same do not come back at the same instant."""
    _, line = send(ASK, answer(429, retry_after="7"), FINE)
    assert [pause.seconds for pause in line.pauses] == [7.25]


def test_the_jitter_gives_way_where_only_the_wait_itself_fits():
    """Exactly max_wait may be slept."""
    _, line = send(ASK, answer(429, retry_after="7"), FINE, purse=budget(max_wait=7))
    assert [pause.seconds for pause in line.pauses] == [7]


def test_a_wait_that_does_not_fit_is_not_begun():
    """An hour's Retry-After comes back at once, not after a minute of sleep."""
    reply, line = send(ASK, answer(429, retry_after="3600"))
    assert (reply.status, line.pauses, len(line.requests)) == (429, [], 1)


@examples(150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([408, 429, 500, 503]).map(answer),
            st.floats(0, 50).map(lambda seconds: answer(429, retry_after=str(seconds))),
            st.booleans().map(lambda sent: lost(1.0, maybe_sent=sent)),
        ),
        min_size=30,
        max_size=30,
    ),
    st.integers(1, 20),
    st.floats(0, 100),
    st.floats(0, 1),
)
def test_no_failure_leads_to_more_attempts_or_waits_than_allowed(replies, most, wait, jitter):
    """Bounded by both at once, whatever comes."""
    line = Line(script(*replies))
    purse = budget(jitter=jitter, max_attempts=most, max_wait=wait)
    with contextlib.suppress(MeetingsTransportError):
        line.drive(send_with_retries(ASK, purse, by_status))
    assert 1 <= len(line.requests) <= most
    assert sum(pause.seconds for pause in line.pauses) <= wait
    assert len(line.pauses) == len(line.requests) - 1


@pytest.mark.parametrize(("date", "expected"), [(NOW + 60, 60.5), (NOW - 90, -89.5), (NOW, 0.5)])
def test_how_far_a_servers_clock_is_ahead(date, expected):
    """Its date is in whole seconds, and of a moment between the request and the end of its answer."""
    response = Response(200, {"date": http_date(date)}, b"", NOW - 1, NOW + 1)
    assert expected == clock_offset(response, 7.0)


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}])
def test_a_server_that_tells_no_time_leaves_what_is_known(headers):
    """Not every gateway sends a date."""
    assert clock_offset(Response(200, headers, b"", NOW - 1, NOW + 1), 7.0) == 7.0
