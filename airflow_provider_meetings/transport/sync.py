"""The worker's way to the vendors: ``requests``, pooled, bounded in time and in memory."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
import urllib3

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import (
    Command,
    Flow,
    Gather,
    Log,
    Now,
    Page,
    PageFlow,
    Request,
    Response,
    SaveJournal,
    Sleep,
)
from airflow_provider_meetings.core.ratelimit import WorkerThrottle
from airflow_provider_meetings.exceptions import (
    MeetingsError,
    MeetingsTransportError,
)
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.common import (
    LARGEST_ANSWER,
    iter_causes,
    log_request,
    os_error_behind,
    response_too_large,
    unusable_url,
)
from airflow_provider_meetings.transport.session import deadline, make_session

__all__ = ["IDEMPOTENCY_HEADER", "Transport"]

T = TypeVar("T")

#: HiringCenter's header for idempotency keys.
IDEMPOTENCY_HEADER = "X-Idempotency-Key"

_CHUNK = 256 * 1024
_NO_METRICS = Metrics()


class Transport:
    """Drives calls over a pooled ``requests.Session``.

    Args:
        settings: The connection's.
        log: Where each request leaves its line.
        sockets: How many connections may be kept open to the vendor.
        metrics: Takes the numbers.
    """

    def __init__(self, settings: Settings, log: Any, *, sockets: int = 1, metrics: Metrics = _NO_METRICS) -> None:
        self._settings = settings
        self._log = log
        self._sockets = sockets
        self._metrics = metrics
        self._throttle = WorkerThrottle()
        self._saving = threading.Lock()  # one journal, maybe many threads
        self.session = make_session(settings, sockets)
        # Worked out once: requests reads the environment anew for each request otherwise.
        self._send_options: dict[str, Any] = dict(
            self.session.merge_environment_settings(settings.base_url, {}, True, None, None),  # noqa: FBT003 - requests' order
            timeout=settings.timeout,
            allow_redirects=False,
            stream=True,
        )

    def drive(self, call: Flow[T], save: Callable[[dict[str, Any]], None] | None = None) -> T:
        """Drive a call to its result.

        Args:
            call: The call.
            save: What writes the journal; without one nothing is kept.
        """
        steps = self._steps(call, save)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                result: T = done.value
                return result

    def stream(self, listing: PageFlow) -> Iterator[dict[str, Any]]:
        """Drive a list, meeting by meeting. No more than a page is held."""
        for page in self._steps(listing):
            items = page.items
            items.reverse()
            while items:
                yield items.pop()

    def close(self) -> None:
        """Close the sockets."""
        self.session.close()

    def _steps(self, call: Any, save: Callable[[dict[str, Any]], None] | None = None) -> Any:
        answer: Any = None
        failure: MeetingsError | None = None
        limited = False
        remaining_wait = self._settings.max_wait
        while True:
            try:
                step = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                return done.value
            answer = failure = None
            try:
                if isinstance(step, Request):
                    remaining_wait -= self._wait_turn(remaining_wait)
                    answer = self._perform(step)
                    limited = answer.status == 429
                elif isinstance(step, Page):
                    yield step
                elif isinstance(step, Sleep):
                    self._log.info("Waiting %.1f s: %s", step.seconds, step.reason)
                    time.sleep(step.seconds)
                    remaining_wait -= step.seconds
                    if limited:
                        self._metrics.rate_limited(step.seconds)
                elif isinstance(step, Gather):
                    answer = self._parallel(step, save)
                else:
                    answer = self._execute_command(step, save)
            except MeetingsError as error:
                failure = error

    def _wait_turn(self, remaining_wait: float) -> float:
        """Wait where the last answer said that nothing is left of the rate limit; return for how long."""
        wait = self._throttle.wait(time.time(), remaining_wait)
        if wait:
            self._log.info("Waiting %.1f s: nothing is left of the rate limit until then", wait)
            time.sleep(wait)
            self._metrics.rate_limited(wait)
        return wait

    def _execute_command(self, step: Command, save: Callable[[dict[str, Any]], None] | None) -> Any:
        """Do what is asked besides talking to the vendor."""
        if isinstance(step, Log):
            self._log.info(step.text)
            if step.event:
                self._metrics.event(step.event)
        elif isinstance(step, SaveJournal) and save is not None:
            with self._saving:
                save(step.document() if callable(step.document) else step.document)
        elif isinstance(step, Now):
            return time.time()
        return None

    def _parallel(self, step: Gather, save: Callable[[dict[str, Any]], None] | None) -> list[Any]:
        if len(step.calls) == 1:
            return [self.drive(step.calls[0], save)]
        with ThreadPoolExecutor(max_workers=min(self._sockets, len(step.calls))) as pool:
            # Where one fails, or the task is told to stop, those that have not begun yet never do: map cancels them.
            return list(pool.map(lambda call: self.drive(call, save), step.calls))

    def _perform(self, request: Request) -> Response:
        settings = self._settings
        headers = dict(settings.credentials(request.scope))
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers[IDEMPOTENCY_HEADER] = request.idempotency_key
        unprepared = requests.Request(
            request.method,
            settings.base_url + request.path,
            params=request.params or None,
            data=request.body,
            headers=headers,
        )
        sent_at = time.time()
        deadline.set(time.monotonic() + settings.timeout)
        answer: requests.Response | None = None
        try:
            prepared = self.session.prepare_request(unprepared)
            answer = self.session.send(prepared, **self._send_options)
            with answer:
                body = _read(answer.raw)
        except _UNUSABLE_URL as error:
            raise unusable_url(request, settings, error) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = _failure(error, request, settings, sent_at)
            failure.status = None if answer is None else answer.status_code  # it broke off in the middle of an answer
            self._record_failure(request, failure, sent_at)
            raise failure from os_error_behind(error)
        finally:
            deadline.set(None)
        if body is None:
            large = response_too_large(request, answer.status_code, settings.base_url, sent_at)
            self._record_failure(request, large, sent_at)
            raise large
        lower = {name.lower(): value for name, value in answer.headers.items()}
        response = Response(answer.status_code, lower, body, sent_at, time.time())
        self._throttle.observe(response)
        self._metrics.request(request.method, request.attempt, response.received_at - sent_at, response.status)
        log_request(self._log, request, response, None)
        return response

    def _record_failure(self, request: Request, failure: MeetingsError, sent_at: float) -> None:
        self._metrics.request(request.method, request.attempt, time.time() - sent_at, None)
        log_request(self._log, request, None, failure)


def _read(raw: Any) -> bytes | None:
    """Read an answer; None: it is too large."""
    chunks, size = [], 0
    while chunk := raw.read(_CHUNK, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            return None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _failure(error: BaseException, request: Request, settings: Settings, sent_at: float) -> MeetingsTransportError:
    """Say what went wrong, without the query or a header, and whether the server may have acted."""
    causes = list(iter_causes(error))
    certificate = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
    unsent = certificate or any(isinstance(cause, _NEVER_SENT) for cause in causes)
    target = f"{request.method} {request.path} at {settings.base_url}"
    if certificate:
        problem = "the certificate is not trusted; `verify` takes the path of the CA bundle that signs for the host"
    elif any(isinstance(cause, urllib3.exceptions.NameResolutionError | socket.gaierror) for cause in causes):
        problem = "there is no such host; check the host of the connection"
    elif unsent:
        problem = f"could not connect ({_innermost(causes)})"
    elif any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        problem = f"there was no complete answer within {settings.timeout:g} s"
    else:
        problem = f"the connection broke ({_innermost(causes)})"
    return MeetingsTransportError(
        f"{target} failed: {problem}. Connection {settings.conn_id!r}.",
        maybe_sent=not unsent,
        sent_at=sent_at,
        method=request.method,
        path=request.path,
    )


_NEVER_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
    ConnectionRefusedError,
    socket.gaierror,
)


# Raised for addresses before anything is sent to them.
_UNUSABLE_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
)


def _innermost(causes: list[BaseException]) -> str:
    return type(causes[-1]).__name__
