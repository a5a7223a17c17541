"""The worker's transport to the vendors: ``requests``, pooled, bounded in time and in memory."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import (
    AskCaller,
    Command,
    Flow,
    Gather,
    Log,
    Now,
    Page,
    PageFlow,
    RenewKey,
    Request,
    Response,
    SaveJournal,
    Sleep,
)
from airflow_provider_meetings.core.forks import forget_in_children
from airflow_provider_meetings.core.ratelimit import WorkerThrottle
from airflow_provider_meetings.core.retry import clock_offset
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.common import LARGEST_ANSWER, Exchange, iter_causes, os_error_behind
from airflow_provider_meetings.transport.session import Adapter, Session
from airflow_provider_meetings.transport.shared_limit import refusal, shared_limit_for
from airflow_provider_meetings.transport.unpack import UnpackError, make_unpacker
from airflow_provider_meetings.transport.wire import Deadline, was_never_sent

__all__ = ["Transport"]

T = TypeVar("T")

_CHUNK = 256 * 1024
_NO_METRICS = Metrics()


class Transport:
    """Drives calls over a pooled ``requests.Session``.

    Args:
        settings: The connection's.
        log: Where each request leaves its line.
        sockets: How many connections may be kept open to the vendor.
        metrics: Takes the numbers.
        renew: Looks the connection up once more, where its key was refused; None where that cannot be done.
    """

    def __init__(
        self,
        settings: Settings,
        log: Any,
        *,
        sockets: int = 1,
        metrics: Metrics = _NO_METRICS,
        renew: Callable[[], Settings | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._look_up_again = renew
        self._log = log
        self._sockets = sockets
        self._metrics = metrics
        self._throttle = WorkerThrottle()
        #: How far the vendor's clock is ahead of ours, in seconds, by its last answer.
        self.clock_offset = 0.0
        self._shared_limit = shared_limit_for(settings, log)
        self.forget()
        forget_in_children(self)
        self.session = Session(settings, sockets)
        # Computed once: the environment would be read again for each request, and wrong settings are rejected here.
        self._proxy = self.session.adapter.proxy(settings.base_url)
        self._base_path = urlsplit(settings.base_url).path
        if settings.base_url.startswith("https:"):
            self.session.adapter.context()

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
            yield from page.items
            page.items.clear()

    def forget(self) -> None:
        """Start afresh in a child process; the session does so itself."""
        self._saving = threading.Lock()  # one journal, maybe many threads
        self._renewing = threading.Lock()

    def close(self) -> None:
        """Close the sockets."""
        self.session.close()

    def _steps(self, call: Any, save: Callable[[dict[str, Any]], None] | None = None) -> Any:
        answer: Any = None
        failure: MeetingsError | None = None
        limited = False
        remaining_wait = self._settings.max_wait
        used = self._settings
        while True:
            try:
                step = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                return done.value
            answer = failure = None
            try:
                if isinstance(step, Request):
                    remaining_wait -= self._wait_turn(remaining_wait)
                    waited, refused = self._wait_for_all(step, remaining_wait)
                    remaining_wait -= waited
                    used = self._settings
                    answer = refused or self._perform(step)
                    limited = answer.status == 429
                elif isinstance(step, Page):
                    yield step
                elif isinstance(step, Sleep):
                    self._log.info("Waiting %.1f s: %s", step.seconds, step.reason)
                    time.sleep(step.seconds)
                    remaining_wait -= step.seconds
                    if limited:
                        self._metrics.rate_limited(step.seconds)
                elif isinstance(step, RenewKey):
                    answer = self._renew(used, step.scope)
                elif isinstance(step, Gather):
                    answer = self._parallel(step, save)
                else:
                    answer = self._execute_command(step, save)
            except MeetingsError as error:
                failure = error

    def _wait_turn(self, remaining_wait: float) -> float:
        """Wait where the last response showed the rate limit as exhausted; return the seconds."""
        wait = self._throttle.wait(time.time(), remaining_wait)
        if wait:
            self._log.info("Rate limit exhausted; waiting %.1f s for the window to reset", wait)
            time.sleep(wait)
            self._metrics.rate_limited(wait)
        return wait

    def _wait_for_all(self, request: Request, remaining_wait: float) -> tuple[float, Response | None]:
        """Wait until the account's limit, which all workers share, has room for a request.

        Returns:
            For how long, and the answer to the request where that would be too long: it is not sent then.
        """
        waited = 0.0
        while self._shared_limit is not None and (wait := self._shared_limit.take()):
            if waited + wait > remaining_wait:
                return waited, refusal(request, wait, time.time())
            self._log.info("Waiting %.1f s: all workers together have used up the rate limit until then", wait)
            time.sleep(wait)
            self._metrics.rate_limited(wait)
            waited += wait
        return waited, None

    def _renew(self, used: Settings, scope: str) -> bool:
        """Go on with a new key, where the connection has one by now; anything else that is new is for another call."""
        with self._renewing:
            if self._settings is used:
                found = self._look_up_again()
                if found is None or not found.renews(used, scope):
                    return False
                self._log.info("The key of connection %r has changed; using the new one", used.conn_id)
                self._settings = found
                self.session.renew(found)
            return self._settings.renews(used, scope)

    def _execute_command(self, step: Command, save: Callable[[dict[str, Any]], None] | None) -> Any:
        """Carry out a command that sends nothing to the vendor."""
        if isinstance(step, Log):
            self._log.info(step.text)
            if step.event:
                self._metrics.event(step.event)
        elif isinstance(step, SaveJournal) and save is not None:
            with self._saving:
                save(step.document() if callable(step.document) else step.document)
        elif isinstance(step, Now):
            return time.time()
        elif isinstance(step, AskCaller):
            return step.read()
        return None

    def _parallel(self, step: Gather, save: Callable[[dict[str, Any]], None] | None) -> list[Any]:
        if len(step.calls) == 1:
            return [self.drive(step.calls[0], save)]
        with ThreadPoolExecutor(max_workers=min(self._sockets, len(step.calls))) as pool:
            # Where one fails, or the task has to stop, those that have not begun yet never do: map cancels them.
            return list(pool.map(lambda call: self.drive(call, save), step.calls))

    def _perform(self, request: Request) -> Response:
        exchange = Exchange(request, self._settings, self._log, self._metrics, time.time, proxy=self._proxy)
        status = None
        try:
            answer = self._send(request, exchange)
            status = answer.status
            body = _read(answer)
        except _UNUSABLE_URL as error:
            raise exchange.unusable(error) from None
        except _BROKEN as error:
            never_sent = any(was_never_sent(cause) for cause in iter_causes(error))
            raise exchange.failed(error, never_sent=never_sent, status=status) from os_error_behind(error)
        response = exchange.answered(answer.status, answer.headers, body)
        self._throttle.observe(response)
        self.clock_offset = clock_offset(response, self.clock_offset)
        return response

    def _send(self, request: Request, exchange: Exchange) -> Any:
        """Send a request with the session's headers, over its sockets; return the answer, its body not yet read."""
        session, url = self.session, self._settings.base_url
        headers = {**session.headers, **exchange.headers}
        adapter = session.get_adapter(url)
        if not isinstance(adapter, Adapter):
            # The user has mounted another adapter on the session: it is used.
            prepared = session.prepare_request(
                requests.Request(request.method, url + exchange.target, data=request.body, headers=headers)
            )
            return session.send(prepared, stream=True, allow_redirects=False, timeout=self._settings.timeout).raw
        # What requests does besides (cookies, redirects, an answer of its own) is not wanted, and half of the time.
        # Only a proxy for plain HTTP gets the whole address.
        start = url if self._proxy is not None and url.startswith("http:") else self._base_path
        return adapter.pool(url, self._proxy).urlopen(
            request.method,
            start + exchange.target,
            body=request.body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Deadline(self._settings.timeout),
            preload_content=False,
            decode_content=False,
        )


def _read(answer: Any) -> bytes | None:
    """Read an answer; None: it is too large."""
    try:
        unpacker = make_unpacker(answer.headers.get("content-encoding", ""))
        chunks, size = [], 0
        while chunk := answer.read(_CHUNK, decode_content=False):
            for piece in (chunk,) if unpacker is None else unpacker.feed(chunk):
                chunks.append(piece)
                size += len(piece)
                if size > LARGEST_ANSWER:
                    return None
        if unpacker is not None:
            unpacker.finish()
    finally:
        answer.close() if not answer.closed else None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


# Whatever can go wrong on the way, once there is an address to go to.
_BROKEN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnpackError,
)
# Raised for addresses before anything is sent to them.
_UNUSABLE_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
)
