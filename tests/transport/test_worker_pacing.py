"""A worker paces by the vendor's headers, over real sockets and in a time of its own."""

import time

import pytest

from airflow_provider_meetings.core.flow import Request
from airflow_provider_meetings.transport import sync as transports
from tests.support.sandbox import HIRINGCENTER, Tiny, answering, hook_to, reply

NOW = 1_795_262_400.0


class Now:
    """The transport's time: it passes only while somebody sleeps."""

    monotonic = staticmethod(time.monotonic)  # the sockets' deadline is real

    def __init__(self):
        self.now = NOW
        self.slept = []

    def time(self):
        """Tell the time."""
        return self.now

    def sleep(self, seconds):
        """Let it pass."""
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """The clock of the worker's transport."""
    clock = Now()
    monkeypatch.setattr(transports, "time", clock)
    return clock


def say(remaining, reset, *more):
    """Make an answer that tells of the rate limit."""
    return reply(
        "200 OK", b"{}", "RateLimit-Limit: 500", f"RateLimit-Remaining: {remaining}", f"RateLimit-Reset: {reset}", *more
    )


def ask(answers, requests, **connection):
    """Send so many requests in one call; return how many arrived."""
    seen = []

    def call(_vendor):
        for number in range(requests):
            yield Request("GET", f"/meetings/{number}")

    with Tiny(answering(*answers, seen=seen)) as tiny:
        hook_to(HIRINGCENTER, tiny.url, timeout=10, **connection).drive(call)
    return len(seen)


FORMS = {"seconds": 20, "timestamp": int(NOW) + 20, "timestamp in milliseconds": (int(NOW) + 20) * 1000}


@pytest.mark.parametrize("reset", FORMS.values(), ids=FORMS)
def test_it_waits_for_the_reset_when_nothing_is_left(clock, reset):
    """After `RateLimit-Remaining: 0` the next request waits until the window is over, told in whichever form."""
    assert ask([say(0, reset), say(499, 60)], 3, max_wait=60) == 3
    assert clock.slept == [20.0]


def test_the_vendors_clock_counts(clock):
    """A timestamp is of the vendor's clock, which its `Date` header tells: ours may be wrong by minutes."""
    date = "Date: Fri, 21 Nov 2025 12:00:00 GMT"
    assert ask([say(0, 1_763_726_400 + 20, date), say(499, 60)], 2, max_wait=60) == 2
    assert clock.slept == [20.0]


@pytest.mark.parametrize("reset", FORMS.values(), ids=FORMS)
def test_it_does_not_wait_longer_than_the_connection_allows(clock, reset):
    """A reset beyond `max_wait` is not waited for: the request is sent, and the vendor decides."""
    assert ask([say(0, reset)], 2, max_wait=10) == 2
    assert clock.slept == []


def test_all_waits_of_a_call_share_its_patience(clock):
    """Each window uses up what `max_wait` allows in one call; what is left then decides about the next."""
    assert ask([say(0, 25)], 5, max_wait=60) == 5
    assert clock.slept == [25.0, 25.0]


@pytest.mark.parametrize(
    ("remaining", "reset"), [(1, 20), (0, ""), ("", 20), ("none", 20), (0, "soon"), (0, -5), (-1, 20), (0, 0)]
)
def test_it_does_not_wait_for_nothing(clock, remaining, reset):
    """While something is left, or the headers make no sense, the next request is sent at once."""
    assert ask([say(remaining, reset)], 3, max_wait=60) == 3
    assert clock.slept == []


def test_time_that_has_passed_is_not_waited_again(clock):
    """Who did something else meanwhile waits for the rest of the window only."""

    def call(_vendor):
        yield Request("GET", "/meetings/1")
        clock.now += 15
        yield Request("GET", "/meetings/2")

    with Tiny(answering(say(0, 20), say(499, 60))) as tiny:
        hook_to(HIRINGCENTER, tiny.url, timeout=10, max_wait=60).drive(call)
    assert clock.slept == [5.0]
