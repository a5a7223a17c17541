"""What the unit tests share: a clock that is a number, and a driver that takes a call to a server in memory."""

import dataclasses
import json
import os

from hypothesis import HealthCheck, settings

from airflow_provider_meetings.core.flow import Gather, Page, Request, Response, Sleep
from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory

#: 2026-11-21T12:00:00Z, in seconds.
NOW = 1_795_262_400.0
#: The same in milliseconds, where the fake servers' meetings lie.
BASE = 1_795_262_400_000

_TIMES = int(os.environ.get("HYPOTHESIS_TIMES", "0"))


def examples(number):
    """Settings for a property: the same examples each time, or HYPOTHESIS_TIMES as many random ones."""
    return settings(
        max_examples=number * max(1, _TIMES),
        derandomize=not _TIMES,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def hiringcenter(**fields):
    """The rules of HiringCenter for a connection named "hc"."""
    errors = ErrorFactory("HiringCenter", "hc", "https://api.hiringcenterpro.com/v2")
    return HiringCenter(errors, **{"update_method": "POST", "idempotency_window": 86_400.0} | fields)


def builderprime(**fields):
    """The rules of Builder Prime for a connection named "bp"."""
    errors = ErrorFactory("Builder Prime", "bp", "https://acme.builderprime.com/api")
    return BuilderPrime(errors, **{"max_window": 31 * DAY, "parallel": 4} | fields)


def retry_limits(**fields):
    """A connection's patience, that of a default connection but for the fields given."""
    return dataclasses.replace(RetryLimits(), **fields)


def answer(status, content=None, **headers):
    """An answer with a JSON body (or the bytes given) and headers written with underscores."""
    body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def lost(after=0.0, *, maybe_sent=True):
    """An answer that never comes; the driver's clock goes on by so many seconds meanwhile."""
    return _Lost(after, maybe_sent)


@dataclasses.dataclass(frozen=True)
class _Lost:
    after: float
    maybe_sent: bool


class Line:
    """The way to a server: keeps the clock and remembers what was sent and what was waited for.

    The server is a function from a request to an answer: a ``Response``, ``lost(...)``, or an error to throw.
    """

    def __init__(self, server, *, latency=0.25):
        self._server = server
        self._latency = latency
        self.now = NOW
        self.requests = []
        self.pauses = []

    @property
    def sent(self):
        """Method and path of each request, in order."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def drive(self, call):
        """Take a call to its result."""
        return _exhaust(self._steps(call, []))

    def read(self, listing):
        """Take a list to its end; return all its meetings."""
        meetings = []
        _exhaust(self._steps(listing, meetings))
        return meetings

    def _steps(self, call, meetings):
        """Yield after each request, so that calls in parallel can take turns."""
        reply = failure = None
        while True:
            try:
                step = call.send(reply) if failure is None else call.throw(failure)
            except StopIteration as done:
                return done.value
            reply = failure = None
            try:
                if isinstance(step, Request):
                    reply = self._perform(step)
                    yield
                elif isinstance(step, Sleep):
                    self.pauses.append(step)
                    self.now += step.seconds
                elif isinstance(step, Page):
                    meetings.extend(step.items)
                elif isinstance(step, Gather):
                    reply = yield from self._together(step.calls)
                elif type(step).__name__ == "Clock":
                    reply = self.now
            except MeetingsError as error:
                failure = error

    def _together(self, calls):
        results = [None] * len(calls)
        running = {index: self._steps(call, []) for index, call in enumerate(calls)}
        while running:
            for index, steps in list(running.items()):
                try:
                    next(steps)
                except StopIteration as done:
                    results[index] = done.value
                    del running[index]
                else:
                    yield
        return results

    def _perform(self, request):
        self.requests.append(request)
        sent_at = self.now
        reply = self._server(request)
        if isinstance(reply, MeetingsError):
            raise reply
        if isinstance(reply, _Lost):
            self.now += reply.after
            raise MeetingsTransportError(
                "the connection broke",
                maybe_sent=reply.maybe_sent,
                sent_at=sent_at,
                method=request.method,
                path=request.path,
            )
        self.now += self._latency
        return dataclasses.replace(reply, sent_at=sent_at, received_at=self.now)


def _exhaust(steps):
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def script(*replies):
    """A server that gives these answers in turn, and no more."""
    waiting = list(replies)

    def reply(request):
        assert waiting, f"one request too many: {request.method} {request.path}"
        return waiting.pop(0)

    return reply
