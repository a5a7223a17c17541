"""The one place that decides: try again, wait how long, or give up.

Nothing here sleeps and nothing here knows a vendor. A decision is a value, a wait is a
:class:`~airflow_provider_meetings.core.flow.Pause` for the transport to sit out.

An HTTP request that was not answered well has one of three outcomes:

* it *did not happen*: it never left (connect errors), or it was turned away before it was read (429);
* it *happened*;
* *unknown*: a timeout, a reset, 408, any 5xx. A repeatable request is simply sent again. One that is not comes back to
  its vendor module, which has to find out first.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from airflow_provider_meetings.core import defaults
from airflow_provider_meetings.core.flow import BeforeSend, Command, RenewKey, Request, Response, Sleep
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError

__all__ = [
    "LONGEST_WAIT",
    "Reply",
    "RetryLimits",
    "RetryState",
    "ServerWait",
    "backoff",
    "bounded_wait",
    "by_status",
    "clock_offset",
    "is_transient",
    "reset_in",
    "retry_after",
    "send_with_retries",
    "server_time",
]

#: Backoff: full jitter below BASE * 2**(attempt - 1) seconds, at most CAP.
BASE = 0.5
CAP = 30.0
#: Seconds of the longest wait that a server's answer can cause: the longest window that a vendor counts in is an hour.
LONGEST_WAIT = 3600.0

# From here on, a number is a Unix timestamp and no number of seconds to wait (that would be 30 years); and one in a
# smaller unit.
_TIMESTAMP = 1_000_000_000
_TIMESTAMP_MS = 100_000_000_000
# What a header says in words of its own, at most so long.
_LONGEST_WAITS = 100
_PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_WAITS = re.compile(rf"\s*(?:{_PLAIN_NUMBER.pattern}\s*(?:s|secs?|seconds?)?\s*(?:,\s*|$))+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long a connection may try.

    Attributes:
        max_attempts: Sends of one request, the first included.
        max_wait: Seconds that may be slept in all, within one call.
        timeout: Seconds that one request may take.
    """

    max_attempts: int = defaults.MAX_ATTEMPTS
    max_wait: float = float(defaults.MAX_WAIT)
    timeout: float = float(defaults.TIMEOUT)

    @property
    def in_flight(self) -> float:
        """Seconds after a send in which a request that was not answered may still be acted on.

        Twice its own timeout: a server that is slow does not notice at once that its client has gone.
        """
        return self.timeout * 2


@dataclass(slots=True)
class RetryState:
    """What is left of a connection's patience within one call of a hook."""

    retry_limits: RetryLimits
    random: Callable[[], float] = field(default=random.random, repr=False)
    attempts: int = 0
    slept: float = 0.0
    #: Whether any send so far may have been acted on without our knowing.
    outcome_unknown: bool = False
    #: When the request was first and last sent, in seconds since the epoch; 0: not yet.
    first_sent: float = 0.0
    last_sent: float = 0.0

    def child(self) -> RetryState:
        """Make the budget of another request within the same call: its own attempts, the same patience for waits."""
        return RetryState(self.retry_limits, self.random, slept=self.slept)

    def record_send(self, sent_at: float) -> None:
        """Remember when the request was sent."""
        self.first_sent = self.first_sent or sent_at
        self.last_sent = sent_at

    def pause(self, seconds: float, reason: str) -> Sleep | None:
        """Take a wait out of the budget; None where it holds no such wait."""
        if self.slept + seconds > self.retry_limits.max_wait:
            return None
        self.slept += seconds
        return Sleep(seconds, reason)

    def next_try(self, what: str, asked: ServerWait | None) -> Sleep | None:
        """Decide on another attempt after a failure; None: give up.

        Args:
            what: The failure, for the log.
            asked: The wait that the server asked for, None where it did not.
        """
        if self.attempts >= self.retry_limits.max_attempts:
            return None
        jitter = backoff(self.attempts, self.random)
        reason = f"{what}; attempt {self.attempts + 1} of {self.retry_limits.max_attempts} follows"
        if asked is None:
            return self.pause(jitter, reason)
        if asked.note:
            reason = f"{reason} ({asked.note})"
        # The jitter comes on top, so that callers with the same answer do not come back at the same instant.
        return self.pause(asked.seconds + min(jitter, 1.0), reason) or self.pause(asked.seconds, reason)


def backoff(attempts: int, random: Callable[[], float] = random.random) -> float:
    """Seconds to wait after that many attempts: exponential, with full jitter."""
    return random() * min(CAP, BASE * 2.0 ** min(63, max(0, attempts - 1)))


def is_transient(status: int) -> bool:
    """Whether the same request may fare better later."""
    return status in {408, 429} or status >= 500


@dataclass(frozen=True, slots=True)
class ServerWait:
    """A wait that a server asks for.

    Attributes:
        seconds: How long to wait, at most ``LONGEST_WAIT``.
        asked: How long the server asked to wait; may be infinite.
    """

    seconds: float
    asked: float

    @property
    def note(self) -> str:
        """Say that the wait is shorter than what was asked for; blank where it is not."""
        if self.asked <= self.seconds:
            return ""
        return f"the server asked for {self.asked:.6g} s, and no wait is longer than {self.seconds:.0f} s"

    @classmethod
    def from_response(cls, response: Response, status: int | None = None) -> ServerWait | None:
        """Read what an answer asks for; None: nothing.

        ``Retry-After`` (seconds, a date, or a Unix timestamp in any unit), else the body's ``retryAfter``.
        HiringCenter's 429 has both; its ``RateLimit-Reset`` is the last resort.

        Args:
            response: The answer.
            status: What it amounts to, where that is not its HTTP status.
        """
        asked = _asked(response, response.status if status is None else status)
        return None if asked is None else cls(bounded_wait(asked), asked)


def bounded_wait(seconds: float) -> float:
    """Return a wait that is no longer than ``LONGEST_WAIT``, and none where it is no number."""
    return min(max(0.0, seconds), LONGEST_WAIT)


def retry_after(response: Response) -> float | None:
    """Seconds to wait as an answer asks for, at most ``LONGEST_WAIT``; None: it asks for nothing."""
    wait = ServerWait.from_response(response)
    return None if wait is None else wait.seconds


def _asked(response: Response, status: int) -> float | None:
    seconds = _wait(response.headers.get("retry-after", "").strip(), response)
    if seconds is not None or status not in {429, 503}:
        return seconds
    seconds = _wait(_body_field(response.body, "retryAfter"), response)
    if seconds is None and status == 429:
        return reset_in(response)
    return seconds


def reset_in(response: Response) -> float | None:
    """Seconds until the rate-limit window ends, by ``RateLimit-Reset``; may be infinite.

    One revision of HiringCenter's page says it is a Unix timestamp, the other says seconds: both are understood.
    """
    told = response.headers.get("ratelimit-reset")
    return _wait(told and told.partition(";")[0].strip(), response)  # "12;w=60": of a window of a minute


def _wait(value: Any, response: Response) -> float | None:
    """Read a wait: a number of seconds, a Unix timestamp, or a date."""
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        seconds = _longest(value)
    if seconds is None:
        moment = _date(value) if isinstance(value, str) and value else None
        return None if moment is None else max(0.0, moment - server_time(response)[1])
    while _TIMESTAMP_MS <= seconds < float("inf"):
        seconds /= 1000
    return max(0.0, seconds - server_time(response)[1]) if _TIMESTAMP <= seconds < float("inf") else seconds


def _longest(text: str) -> float | None:
    """Read a header that was written twice, or with its unit: ``30, 60``, ``30s``; the longest counts."""
    if len(text) > _LONGEST_WAITS or not _WAITS.fullmatch(text):
        return None
    return max(float(number) for number in _PLAIN_NUMBER.findall(text))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # a whole number in JSON has no largest one
        return float("inf")
    # "inf" is no number, 1e400 is one that is too large for a float.
    word = isinstance(value, str) and number == float("inf") and not any(char.isdigit() for char in value)
    return number if number >= 0 and not word else None


def server_time(response: Response) -> tuple[bool, float]:
    """Read the server's clock from an answer's ``Date`` header, in seconds since the epoch.

    Returns:
        Whether the server said it, and its time; ours where it did not.
    """
    told = _date(response.headers.get("date", ""))
    return (False, response.received_at) if told is None else (True, told)


def clock_offset(response: Response, known: float) -> float:
    """Return how far the server's clock is ahead of ours, in seconds.

    Args:
        response: An answer, whose ``Date`` is in whole seconds and was written between its request and its end.
        known: What is known so far, where the answer does not tell.
    """
    told, moment = server_time(response)
    return moment + 0.5 - (response.sent_at + response.received_at) / 2 if told else known


@lru_cache(maxsize=16)
def _date(text: str) -> float | None:
    for read in (email.utils.parsedate_to_datetime, dt.datetime.fromisoformat):
        try:
            moment = read(text)
            # One of HTTP's three forms of a date has no zone: all of them are UTC.
            return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _body_field(body: bytes, name: str) -> Any:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded.get(name) if isinstance(decoded, dict) else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer amounts to, by the vendor's rules.

    Attributes:
        response: The answer.
        status: The HTTP status that it amounts to: vendors tell failures with a 200, too.
        is_own: It is in the vendor's own envelope. What a server on the way has answered (a gateway's page, a redirect)
            says nothing about what the vendor has done.
        in_progress: The vendor is still at work on an earlier send of the same request: worth another attempt.
    """

    response: Response
    status: int
    is_own: bool = True
    in_progress: bool = False

    @property
    def leaves_unknown(self) -> bool:
        """Whether a request that is answered so may have been acted on. A 429 is refused before it is looked at."""
        return not self.is_own or (self.status != 429 and is_transient(self.status))


R = TypeVar("R", bound=Reply)


def by_status(response: Response) -> Reply:
    """Read an answer by its HTTP status alone."""
    return Reply(response, response.status)


def _renew_key(request: Request, reply: Reply) -> Generator[Command, Any, bool]:
    """Ask for another key where one was refused; for reads alone, a write is never sent again without its rules."""
    if reply.status != 401 or request.method != "GET":
        return False
    return bool((yield RenewKey(request.scope)))


def send_with_retries(
    request: Request, retry_state: RetryState, parse: Callable[[Response], R]
) -> Generator[Command, Any, R]:
    """Send a request until it is answered for good or the budget is spent.

    Args:
        request: What to send.
        retry_state: What is left of the connection's patience.
        parse: Reads an answer by the vendor's rules.

    Returns:
        The answer: a good one, a final refusal, or the last transient one. Of a request that is not repeatable, the
        first answer that leaves the outcome unknown. A read whose key is refused is sent once more where the connection
        has another key by now, whatever the attempts say.

    Raises:
        MeetingsTransportError: There was no answer, and there are no attempts left or the request is not repeatable.
    """
    renewed = False
    while True:
        retry_state.attempts += 1
        if request.creates:
            yield BeforeSend()
        failure: MeetingsTransportError | None = None
        reply: R | None = None
        try:
            attempt = retry_state.attempts
            response = yield (request if attempt == request.attempt else replace(request, attempt=attempt))
        except MeetingsTransportError as error:
            failure = error
            unknown, asked = error.maybe_sent, None
            what = error.message
            sent_at = error.sent_at
        except MeetingsError as error:  # an answer that cannot be read at all
            retry_state.record_send(error.sent_at)
            raise
        else:
            reply = parse(response)
            sent_at = response.sent_at
            if not is_transient(reply.status) and not reply.in_progress:
                retry_state.record_send(sent_at)
                renewed = not renewed and (yield from _renew_key(request, reply))
                if renewed:
                    continue
                return reply
            unknown = reply.leaves_unknown
            asked = ServerWait.from_response(response, reply.status)
            what = f"{request.method} {request.path} was answered {response.status}"
        retry_state.record_send(sent_at)
        retry_state.outcome_unknown = retry_state.outcome_unknown or unknown
        pause = None if unknown and not request.repeatable else retry_state.next_try(what, asked)
        if pause is None:
            if failure is not None:
                raise failure
            assert reply is not None  # noqa: S101 - one of the two is there
            return reply
        yield pause
