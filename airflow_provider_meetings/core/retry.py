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
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_meetings.core.flow import BeforeSend, Command, Request, Response, Sleep
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError

__all__ = [
    "RetryLimits",
    "RetryState",
    "backoff",
    "is_transient",
    "reset_in",
    "retry_after",
    "send_with_retries",
    "server_time",
]

#: Backoff: full jitter below BASE * 2**(attempt - 1) seconds, at most CAP.
BASE = 0.5
CAP = 30.0

# A Unix timestamp rather than a number of seconds to wait: nobody asks for thirty years. And one in milliseconds.
_TIMESTAMP = 1_000_000_000
_TIMESTAMP_MS = 100_000_000_000


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long a connection may try.

    Attributes:
        max_attempts: Sends of one request, the first included.
        max_wait: Seconds that may be slept in all, within one call.
        timeout: Seconds that one request may take.
    """

    max_attempts: int = 5
    max_wait: float = 60.0
    timeout: float = 30.0

    @property
    def in_flight(self) -> float:
        """Seconds after a send in which a request that was not answered may still be acted on.

        Twice its own timeout: a server that is slow does not notice at once that nobody listens any more.
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

    def next_try(self, what: str, asked: float | None) -> Sleep | None:
        """Decide on another attempt after a failure; None: give up.

        Args:
            what: The failure, for the log.
            asked: The seconds that the server asked to wait, None where it did not.
        """
        if self.attempts >= self.retry_limits.max_attempts:
            return None
        jitter = backoff(self.attempts, self.random)
        reason = f"{what}; attempt {self.attempts + 1} of {self.retry_limits.max_attempts} follows"
        if asked is None:
            return self.pause(jitter, reason)
        # The jitter comes on top, so that those who were told the same do not come back at the same instant.
        return self.pause(asked + min(jitter, 1.0), reason) or self.pause(asked, reason)


def backoff(attempts: int, random: Callable[[], float] = random.random) -> float:
    """Seconds to wait after that many attempts: exponential, with full jitter."""
    return random() * min(CAP, BASE * 2.0 ** min(63, max(0, attempts - 1)))


def is_transient(status: int) -> bool:
    """Whether the same request may fare better later."""
    return status in {408, 429} or status >= 500


def retry_after(response: Response) -> float | None:
    """Seconds that the server asks to wait: ``Retry-After`` as seconds or as a date, or the body's ``retryAfter``.

    HiringCenter's 429 has both the header and the body's field; its ``RateLimit-Reset`` is the last resort.
    """
    header = response.headers.get("retry-after", "").strip()
    if header:
        seconds = _number(header)
        if seconds is None:
            seconds = _until(header, response)
        if seconds is not None:
            return seconds
    if response.status not in {429, 503}:
        return None
    seconds = _number(_body_field(response.body, "retryAfter"))
    if seconds is None and response.status == 429:
        return reset_in(response)
    return seconds


def reset_in(response: Response) -> float | None:
    """Seconds until the rate-limit window ends, by ``RateLimit-Reset``.

    One revision of HiringCenter's page says it is a Unix timestamp, the other says seconds: both are understood.
    """
    seconds = _number(response.headers.get("ratelimit-reset"))
    if seconds is not None and seconds >= _TIMESTAMP_MS:
        seconds /= 1000
    if seconds is not None and seconds >= _TIMESTAMP:
        return max(0.0, seconds - server_time(response)[1])
    return seconds


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def _until(date: str, response: Response) -> float | None:
    moment = _date(date)
    return None if moment is None else max(0.0, moment - server_time(response)[1])


def server_time(response: Response) -> tuple[bool, float]:
    """Read the server's clock from an answer's ``Date`` header, in seconds since the epoch.

    Returns:
        Whether the server told it, and its time; ours where it did not.
    """
    told = _date(response.headers.get("date", ""))
    return (False, response.received_at) if told is None else (True, told)


def _date(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
        # One of HTTP's three forms of a date has no zone: all of them are UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _body_field(body: bytes, name: str) -> Any:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded.get(name) if isinstance(decoded, dict) else None


def send_with_retries(
    request: Request, retry_state: RetryState, *, again: Callable[[Response], bool] | None = None
) -> Generator[Command, Any, Response]:
    """Send a request until it is answered for good or the budget is spent.

    Args:
        request: What to send.
        retry_state: What is left of the connection's patience.
        again: Tells of an answer that looks final whether it is worth another attempt, for a vendor's own rules.

    Returns:
        The answer: a good one, a final refusal, or the last transient one. Of a request that is not repeatable, the
        first answer that leaves the outcome unknown.

    Raises:
        MeetingsTransportError: There was no answer, and there are no attempts left or the request is not repeatable.
    """
    while True:
        retry_state.attempts += 1
        if request.creates:
            yield BeforeSend()
        failure: MeetingsTransportError | None = None
        response: Response | None = None
        try:
            response = yield replace(request, attempt=retry_state.attempts)
        except MeetingsTransportError as error:
            failure = error
            unknown, asked = error.maybe_sent, None
            what = error.message
            sent_at = error.sent_at
        except MeetingsError as error:  # an answer that cannot be read at all
            retry_state.record_send(error.sent_at)
            raise
        else:
            assert response is not None  # noqa: S101 - what a transport sends
            sent_at = response.sent_at
            if not is_transient(response.status) and not (again and again(response)):
                retry_state.record_send(response.sent_at)
                return response
            unknown = response.status != 429 and is_transient(response.status)
            asked = retry_after(response)
            what = f"{request.method} {request.path} was answered {response.status}"
        retry_state.record_send(sent_at)
        retry_state.outcome_unknown = retry_state.outcome_unknown or unknown
        pause = None if unknown and not request.repeatable else retry_state.next_try(what, asked)
        if pause is None:
            if failure is not None:
                raise failure
            assert response is not None  # noqa: S101 - one of the two is there
            return response
        yield pause
