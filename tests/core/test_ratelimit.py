"""The rate budget as a property: whatever comes, and whatever the vendor says, never more requests than the limit."""

import bisect
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_meetings.core.flow import Response
from airflow_provider_meetings.core.ratelimit import RateLimiter, TokenBucket, WorkerThrottle

_counts = st.one_of(
    st.integers(-5, 1000).map(str), st.sampled_from(["", "nan", "inf", "-1", "1e9", "9" * 30, "²", "0x10", " 3 "])
)
_resets = st.one_of(
    st.integers(0, 4000).map(str), st.sampled_from(["", "1795262460", "1e300", "nan", "-5", "soon", "99999999999"])
)
_headers = st.fixed_dictionaries(
    {},
    optional={
        "ratelimit-limit": _counts,
        "ratelimit-remaining": _counts,
        "ratelimit-reset": _resets,
        "retry-after": _resets,
    },
)
_arrivals = st.lists(
    st.tuples(
        st.floats(0, 100) | st.just(0.0) | st.floats(0, 4000),  # seconds since the one before
        st.integers(1, 60),  # so many at once
        st.sampled_from([200, 200, 200, 429, 500]),
        _headers,
    ),
    min_size=1,
    max_size=60,
)


def _send(budget, now, times):
    """Wait as long as the budget wants, then send; return when it was sent."""
    while wait := budget.take(now):
        now += wait
    times.append(now)
    return now


def _most(times, seconds):
    """Count the requests of the fullest span of that length, wherever it begins."""
    return max(bisect.bisect_left(times, at + seconds) - number for number, at in enumerate(times))


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.integers(1, 40), st.integers(1, 400), _arrivals, st.floats(0, 1), st.sampled_from([0.5, 0.8, 1.0]))
def test_never_more_than_the_limits(minute, hour, arrivals, dice, share):
    """In any minute and in any hour there are at most as many requests as the limit says."""
    budget = RateLimiter([(minute, 60.0), (hour, 3600.0)], share=share, random=lambda: dice)
    times, now = [], 1000.0
    for gap, number, status, headers in arrivals:
        now += gap
        for _ in range(number):
            now = _send(budget, now, times)
            budget.observe(Response(status, headers, received_at=1_795_262_400.0), now)

    assert _most(times, 60.0) <= max(1, int(minute * share))
    assert _most(times, 3600.0) <= max(1, int(hour * share))


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(_arrivals, st.floats(0, 1))
def test_no_wait_is_endless(arrivals, dice):
    """No header holds requests back for longer than an hour and a moment."""
    budget = RateLimiter([(500, 60.0), (10_000, 3600.0)], random=lambda: dice)
    now = 1000.0
    for gap, _, status, headers in arrivals:
        now += gap
        budget.observe(Response(status, headers, received_at=1_795_262_400.0), now)

        assert budget.wait(now) <= 3605


def test_a_share_is_left_to_the_workers():
    """When the answers say that a fifth is left, the triggerer waits for the window to end; the workers go on."""
    budget = RateLimiter([(500, 60.0)])
    answer = {"ratelimit-limit": "500", "ratelimit-remaining": "100", "ratelimit-reset": "40"}
    budget.observe(Response(200, answer), 0.0)

    assert budget.wait(0.0) == 40.0
    assert budget.wait(41.0) == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        {"ratelimit-limit": "500, 1000", "ratelimit-remaining": "0, 900", "ratelimit-reset": "20, 30"},
        {
            "ratelimit-limit": "500, 500;w=60, 10000;w=3600",
            "ratelimit-remaining": "900, 0",
            "ratelimit-reset": "30;w=60",
        },
        {"ratelimit-limit": "500;w=60", "ratelimit-remaining": "0;w=60", "ratelimit-reset": " 30 ;w=60"},
    ],
)
def test_headers_that_a_gateway_has_added_to(answer):
    """Two limits in one header: whichever is nearer to its end counts, in worker and triggerer."""
    budget, throttle = RateLimiter(), WorkerThrottle()
    response = Response(200, answer, received_at=0.0)
    budget.observe(response, 0.0)
    throttle.observe(response)

    assert budget.wait(0.0) == 30.0
    assert throttle.wait(0.0, 60.0) == 30.0


@pytest.mark.parametrize("reset", ["30", "1795262430"])
def test_reset_is_seconds_or_a_timestamp(reset):
    """Both revisions of the vendor's page are understood."""
    budget = RateLimiter()
    answer = {"ratelimit-limit": "500", "ratelimit-remaining": "0", "ratelimit-reset": reset}
    budget.observe(Response(200, answer, received_at=1_795_262_400.0), 7.0)

    assert budget.wait(7.0) == 30.0


def test_retry_after_holds_everything_and_comes_back_slowly():
    """After a 429 nothing goes out before its time, and no burst follows."""
    budget = RateLimiter([(500, 60.0)], random=lambda: 0.0)
    budget.observe(Response(429, {"retry-after": "30"}), 0.0)
    times, now = [], 0.0
    for _ in range(20):
        now = _send(budget, now, times)

    assert times[0] >= 30.0
    assert times[-1] - times[0] > 1.0


def test_a_bucket_of_one():
    """A limit of one is one request a span."""
    bucket = TokenBucket(1, 60.0)
    times, now = [], 0.0
    for _ in range(5):
        while wait := bucket.missing(now):
            now += wait
        bucket.take()
        times.append(now)

    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))


def test_a_worker_waits_when_nothing_is_left():
    """After `RateLimit-Remaining: 0` the next request waits for the reset, if that is within the patience."""
    throttle = WorkerThrottle()
    throttle.observe(Response(200, {"ratelimit-remaining": "0", "ratelimit-reset": "20"}, received_at=100.0))

    assert throttle.wait(105.0, 60.0) == 15.0
    assert throttle.wait(105.0, 10.0) == 0.0
    assert throttle.wait(121.0, 60.0) == 0.0

    throttle.observe(Response(200, {"ratelimit-remaining": "3", "ratelimit-reset": "20"}, received_at=100.0))

    assert throttle.wait(105.0, 60.0) == 0.0
