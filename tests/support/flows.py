"""What the unit tests share: a clock that is a number, and one driver of flows, and a server in memory at its end."""

import abc
import dataclasses
import json
import os

from hypothesis import HealthCheck, settings

from airflow_provider_meetings.core.flow import Gather, Now, Page, Request, Response, Sleep
from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory
from tests.support.store import Killed

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


def hiringcenter(conn_id="hc", **fields):
    """The rules of HiringCenter for a connection."""
    errors = ErrorFactory("HiringCenter", conn_id, "https://api.hiringcenterpro.com/v2")
    return HiringCenter(errors, **{"update_method": "POST", "idempotency_window": 86_400.0} | fields)


def builderprime(conn_id="bp", **fields):
    """The rules of Builder Prime for a connection."""
    errors = ErrorFactory("Builder Prime", conn_id, "https://acme.builderprime.com/api")
    return BuilderPrime(errors, **{"max_window": 31 * DAY, "parallel": 4} | fields)


def retry_limits(**fields):
    """A connection's patience, that of a default connection but for the fields given."""
    return dataclasses.replace(RetryLimits(), **fields)


def answer(status, content=None, **headers):
    """An answer with a JSON body (or the bytes given) and headers written with underscores."""
    body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def problem(status, **headers):
    """Make an answer that is a refusal in the envelopes of both vendors."""
    content = {"success": False, "error": "no", "message": "no", "errors": [{"code": "", "message": "no"}]}
    return answer(status, content, **{name: str(value) for name, value in headers.items()})


def lost(after=0.0, *, maybe_sent=True):
    """An answer that never comes; the driver's clock goes on by so many seconds meanwhile."""
    return _Lost(after, maybe_sent)


@dataclasses.dataclass(frozen=True)
class _Lost:
    after: float
    maybe_sent: bool


class Driver(abc.ABC):
    """Drives flows as a transport does, one command after the other; flows in parallel take turns at each request.

    A subclass says what becomes of requests (``perform``) and of the other commands (``carry_out``).

    Args:
        kill: The number of the command before which the process dies, counted from 0 over all flows; None: it lives.
        parallel: How many flows of a ``Gather`` run at a time; None: all of them.
        turn: Chooses which of the running flows goes on, from their numbers and the last one's.
    """

    def __init__(self, *, kill=None, parallel=None, turn=None):
        self.commands = 0
        self._kill = kill
        self._parallel = parallel
        self._turn = turn or _next_after

    def drive(self, flow, save=None):
        """Take a flow to its result; ``save`` stores journals."""
        steps = self._steps(flow, save)
        while True:
            try:
                next(steps)
            except (StopIteration, MeetingsError) as end:
                self._live()  # it may die before it knows how the flow has ended
                if isinstance(end, StopIteration):
                    return end.value
                raise

    @abc.abstractmethod
    def perform(self, request):
        """Answer a request, or raise how it has failed."""

    @abc.abstractmethod
    def carry_out(self, command, save):
        """Carry out another command; return what the flow is sent."""

    def leave_behind(self, requests):  # noqa: B027 - who answers all at once leaves none
        """Decide on requests that were sent and not answered when the process died."""

    def _live(self):
        if self.commands == self._kill:
            # No flow is closed: a dead process runs no `finally`, and what it leaves behind is never driven again.
            raise Killed

    def _steps(self, flow, save):
        """Yield each request when it has been sent and before it is answered, so that other flows take their turns."""
        answer = failure = None
        while True:
            try:
                command = flow.send(answer) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value
            answer = failure = None
            if isinstance(command, Request):
                yield command
            self._live()
            self.commands += 1
            try:
                if isinstance(command, Request):
                    answer = self.perform(command)
                elif isinstance(command, Gather):
                    answer = yield from self._gather(command.calls, save)
                else:
                    answer = self.carry_out(command, save)
            except MeetingsError as error:
                failure = error

    def _gather(self, flows, save):
        waiting = list(enumerate(flows))
        results = [None] * len(waiting)
        running, sent = {}, {}
        index = -1
        try:
            while waiting or running:
                while waiting and (self._parallel is None or len(running) < self._parallel):
                    number, flow = waiting.pop(0)
                    running[number] = self._steps(flow, save)
                index = self._turn(sorted(running), index)
                try:
                    sent[index] = next(running[index])
                except StopIteration as done:
                    results[index] = done.value
                    del running[index]
                    sent.pop(index, None)
                else:
                    yield sent[index]
        except Killed:
            self.leave_behind(list(sent.values()))
            raise
        return results


def _next_after(running, last):
    return min((number for number in running if number > last), default=running[0])


class Line(Driver):
    """The way to a server in memory: keeps the clock and remembers what was sent and what was waited for.

    The server is a function from a request to an answer: a ``Response``, ``lost(...)``, or an error to throw.
    """

    def __init__(self, server, *, latency=0.25):
        super().__init__()
        self._server = server
        self._latency = latency
        self._meetings = []
        self.now = NOW
        self.requests = []
        self.pauses = []

    @property
    def sent(self):
        """Method and path of each request, in order."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def read(self, listing):
        """Take a list to its end; return all its meetings."""
        self._meetings = []
        self.drive(listing)
        return self._meetings

    def carry_out(self, command, _save):
        """Let the time pass, take a page, or tell the time."""
        if isinstance(command, Sleep):
            self.pauses.append(command)
            self.now += command.seconds
        elif isinstance(command, Page):
            self._meetings.extend(command.items)
        return self.now if isinstance(command, Now) else None

    def perform(self, request):
        """Have the server answer."""
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


def script(*replies):
    """A server that gives these answers in turn, and no more."""
    waiting = list(replies)

    def reply(request):
        assert waiting, f"one request too many: {request.method} {request.path}"
        return waiting.pop(0)

    return reply
