"""The triggerer's transport to the vendors: ``aiohttp``. Same flows, same bounds as :mod:`.sync`; reads only."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Flow, Gather, Page, PageFlow, RenewKey, Request, Response, Sleep
from airflow_provider_meetings.core.retry import clock_offset
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.common import LARGEST_ANSWER, Exchange, base_headers, os_error_behind
from airflow_provider_meetings.transport.limiter import RateLimitedGate, RequestCounter
from airflow_provider_meetings.transport.proxies import proxy_for
from airflow_provider_meetings.transport.tls import make_context
from airflow_provider_meetings.transport.unpack import UnpackError, make_unpacker
from airflow_provider_meetings.transport.wire import CONNECT_SHARE, MOST_HEADER_BYTES, MOST_HEADERS

__all__ = ["AsyncTransport"]

T = TypeVar("T")

_NO_METRICS = Metrics()


class AsyncTransport:
    """Drives calls over one ``aiohttp.ClientSession``; an async context manager, to be used within one event loop.

    Args:
        settings: The connection's.
        log: Where each request leaves its line.
        sockets: How many connections may be open to the vendor.
        gate: Delays requests as the rate limit demands; None: nothing does.
        metrics: Counts requests and waits.
        renew: Looks the connection up once more, where its key was rejected; None: the caller does so.
    """

    def __init__(
        self,
        settings: Settings,
        log: Any,
        *,
        sockets: int = 1,
        gate: RateLimitedGate | None = None,
        metrics: Metrics = _NO_METRICS,
        renew: Callable[[], Awaitable[Settings | None]] | None = None,
    ) -> None:
        self._settings = settings
        self._look_up_again = renew
        self._renewing = asyncio.Lock()
        self._log = log
        self._gate = gate
        self._metrics = metrics
        self._sockets = sockets
        #: How far the vendor's clock is ahead of ours, in seconds, by its last answer.
        self.clock_offset = 0.0
        self._session: aiohttp.ClientSession | None = None
        self._proxy = proxy_for(settings.base_url, settings.proxies, settings.conn_id)
        self._proxy_options: dict[str, Any] = {}
        if self._proxy is not None:
            self._proxy_options["proxy"] = self._proxy.url
        self._proxy_headers: dict[str, str] = {}
        if self._proxy is not None and self._proxy.authorization is not None:
            self._proxy_headers["Proxy-Authorization"] = self._proxy.authorization
        if settings.base_url.startswith("https:"):  # for the proxy alone: the vendor is reached through a tunnel
            self._proxy_options["proxy_headers"], self._proxy_headers = self._proxy_headers, {}

    async def __aenter__(self) -> Self:
        settings = self._settings
        # Reading a CA bundle takes some ten milliseconds: not on the event loop.
        secure = "https:" in {settings.base_url[:6], self._proxy.url[:6] if self._proxy else ""}
        context = await asyncio.to_thread(make_context, settings) if secure else True
        self._session = aiohttp.ClientSession(
            # The worker's look-up of names, whatever else is installed.
            connector=aiohttp.TCPConnector(limit=self._sockets, ssl=context, resolver=aiohttp.ThreadedResolver()),
            # In full, not rounded up to seconds: what connecting leaves no time to answer is not sent.
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout, connect=settings.timeout * CONNECT_SHARE, ceil_threshold=float("inf")
            ),
            headers=base_headers(),
            auto_decompress=False,  # before 3.13.3 aiohttp unpacks all there is, however much that is
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Answer,
            max_line_size=MOST_HEADER_BYTES,
            max_field_size=MOST_HEADER_BYTES,
            **_MORE_HEADERS,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def drive(self, call: Flow[T], counter: RequestCounter | None = None) -> T:
        """Drive a call to its result; see :meth:`pages`."""
        outcome: list[T] = []
        async for _ in self._steps(call, outcome, counter):
            pass
        return outcome[0]

    def pages(self, listing: PageFlow, counter: RequestCounter | None = None) -> AsyncIterator[Page]:
        """Drive a list, page by page; the caller empties each page, so that no more than one is held.

        Args:
            listing: The list.
            counter: Counts its requests, and ends it where they are too many.
        """
        return self._steps(listing, [], counter)

    async def _steps(self, call: Any, outcome: list[Any], counter: RequestCounter | None = None) -> AsyncIterator[Page]:
        answer: Any = None
        failure: MeetingsError | None = None
        limited = False
        used = self._settings
        while True:
            try:
                step = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                outcome.append(done.value)
                return
            answer = failure = None
            try:
                if isinstance(step, Request):
                    used = self._settings
                    answer = await self._perform(step, counter)
                    limited = answer.status == 429
                elif isinstance(step, Page):
                    yield step
                elif isinstance(step, Sleep):
                    self._log.info("Waiting %.1f s: %s", step.seconds, step.reason)
                    await asyncio.sleep(step.seconds)
                    if limited:
                        self._metrics.rate_limited(step.seconds)
                elif isinstance(step, RenewKey):
                    answer = await self._renew(used, step.scope)
                elif isinstance(step, Gather):
                    answer = await self._parallel(step, counter)
            except MeetingsError as error:
                failure = error

    async def _renew(self, used: Settings, scope: str) -> bool:
        """Continue with a new key, where the connection has one by now; other changes apply to the next call."""
        async with self._renewing:
            if self._settings is used:
                found = None if self._look_up_again is None else await self._look_up_again()
                if found is None or not found.renews(used, scope):
                    return False
                self._log.info("The key of connection %r has changed; using the new one", used.conn_id)
                self._settings = found
            return self._settings.renews(used, scope)

    async def _parallel(self, step: Gather, counter: RequestCounter | None) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._caught(call, counter)) for call in step.calls]
        results = [task.result() for task in tasks]
        for result in results:
            if isinstance(result, MeetingsError):
                raise result
        return results

    async def _caught(self, call: Flow[Any], counter: RequestCounter | None) -> Any:
        # A TaskGroup would wrap the error into a group.
        try:
            return await self.drive(call, counter)
        except MeetingsError as error:
            return error

    async def _perform(self, request: Request, counter: RequestCounter | None) -> Response:
        assert self._session is not None, "use `async with`"  # noqa: S101
        if counter is not None:
            counter.add(request)
        if self._gate is not None and (held := await self._gate.enter(request)):
            self._metrics.rate_limited(held)
        exchange = Exchange(request, self._settings, self._log, self._metrics, time.time, proxy=self._proxy)
        status = None
        try:
            async with self._session.request(
                request.method,
                URL(self._settings.base_url + exchange.target, encoded=True),
                data=request.body,
                headers=exchange.headers | self._proxy_headers,
                allow_redirects=False,
                **self._proxy_options,
            ) as answer:
                status = answer.status
                received = _headers(answer)  # by lower-case names
                body = await _read(answer, received.get("content-encoding", ""))
        except aiohttp.ClientHttpProxyError as error:
            refused = OSError(f"Tunnel connection failed: {error.status}")  # as the worker's library says it
            raise exchange.failed(refused, never_sent=True, status=None) from None
        except (aiohttp.ClientError, OSError, UnpackError) as error:
            never_sent = isinstance(error, _NEVER_SENT)
            raise exchange.failed(error, never_sent=never_sent, status=status) from os_error_behind(error)
        except ValueError as error:  # what aiohttp, yarl and the idna codec make of addresses and proxies
            raise exchange.unusable(error) from None
        response = exchange.answered(status, received, body)
        self.clock_offset = clock_offset(response, self.clock_offset)
        if self._gate is not None:
            self._gate.observe(response)
        return response


class _Answer(aiohttp.ClientResponse):
    """An answer whose failure is final: one send is one send.

    aiohttp sends a request with an idempotent method a second time when the connection breaks before there is an
    answer, past the attempts, the rate limit and the counters. It does not where the error is another one than its own.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Wait for the head of the answer."""
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise _BrokenConnectionError(type(error).__name__) from error


class _BrokenConnectionError(aiohttp.ClientConnectionError):
    """The connection broke before there was an answer."""


# Raised before the request leaves this machine.
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# aiohttp 3.14 counts headers, and takes 128 of them.
_MORE_HEADERS: dict[str, Any] = (
    {"max_headers": MOST_HEADERS} if "max_headers" in inspect.signature(aiohttp.ClientSession).parameters else {}
)


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Return an answer's headers as the worker's library does: repeated ones in one line, bytes as Latin-1."""
    found: dict[str, str] = {}
    for name, given in answer.headers.items():
        key = name.lower()
        value = given if given.isascii() else given.encode("utf-8", "surrogateescape").decode("latin-1")
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


async def _read(answer: aiohttp.ClientResponse, encoding: str) -> bytes | None:
    """Read an answer; None: it is too large."""
    unpacker = make_unpacker(encoding)
    content, chunks, size = answer.content, [], 0
    while chunk := await content.readany():
        for piece in (chunk,) if unpacker is None else unpacker.feed(chunk):
            chunks.append(piece)
            size += len(piece)
            if size > LARGEST_ANSWER:
                return None
            if unpacker is not None:
                await asyncio.sleep(0)  # a piece takes long enough to unpack
    if unpacker is not None:
        unpacker.finish()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
