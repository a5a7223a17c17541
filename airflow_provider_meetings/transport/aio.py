"""The triggerer's way to the vendors: ``aiohttp``. Same generators, same bounds as :mod:`.transports`; reads only."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import aiohttp
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from yarl import URL

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Flow, Gather, Page, PageFlow, Request, Response, Sleep
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.common import (
    LARGEST_ANSWER,
    log_request,
    os_error_behind,
    response_too_large,
    unusable_url,
    user_agent,
)

__all__ = ["AsyncTransport", "RequestLimiter"]

T = TypeVar("T")

_NO_METRICS = Metrics()
#: Bytes that are unpacked before the event loop has its turn again.
_PIECE = 1 << 20


class RequestLimiter(Protocol):
    """What requests pass on their way: holds them back while the vendor wants no more, and listens to the answers."""

    async def enter(self, request: Request) -> float:
        """Return when the request may be sent: for how many seconds the rate limit has held it back."""

    def observe(self, response: Response) -> None:
        """Listen to an answer."""


class AsyncTransport:
    """Drives calls over one ``aiohttp.ClientSession``; an async context manager, to be used within one event loop.

    Args:
        settings: The connection's.
        log: Where each request leaves its line.
        sockets: How many connections may be open to the vendor.
        gate: What every request passes; None: nothing holds it back.
        metrics: Takes the numbers.
    """

    def __init__(
        self,
        settings: Settings,
        log: Any,
        *,
        sockets: int = 1,
        gate: RequestLimiter | None = None,
        metrics: Metrics = _NO_METRICS,
    ) -> None:
        self._settings = settings
        self._log = log
        self._gate = gate
        self._metrics = metrics
        self._sockets = sockets
        self._session: aiohttp.ClientSession | None = None
        self._proxy = _proxy(settings)

    async def __aenter__(self) -> Self:
        # Reading a CA bundle takes some ten milliseconds: not on the event loop.
        verify = self._settings.verify
        if verify is True:  # the worker's transport listens to these, too
            verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        context: ssl.SSLContext | bool = True
        if isinstance(verify, str) and self._settings.base_url.startswith("https:"):
            context = await asyncio.to_thread(_trust, verify)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._sockets, ssl=context),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            headers={"User-Agent": user_agent(), "Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
            auto_decompress=False,  # before 3.13.3 aiohttp unpacks all there is, however much that is
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def drive(self, call: Flow[T]) -> T:
        """Drive a call to its result."""
        outcome: list[T] = []
        async for _ in self._steps(call, outcome):
            pass
        return outcome[0]

    def pages(self, listing: PageFlow) -> AsyncIterator[Page]:
        """Drive a list, page by page; who takes a page empties it, so that no more than one is held."""
        return self._steps(listing, [])

    async def _steps(self, call: Any, outcome: list[Any]) -> AsyncIterator[Page]:
        answer: Any = None
        failure: MeetingsError | None = None
        limited = False
        while True:
            try:
                step = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                outcome.append(done.value)
                return
            answer = failure = None
            try:
                if isinstance(step, Request):
                    answer = await self._perform(step)
                    limited = answer.status == 429
                elif isinstance(step, Page):
                    yield step
                elif isinstance(step, Sleep):
                    self._log.info("Waiting %.1f s: %s", step.seconds, step.reason)
                    await asyncio.sleep(step.seconds)
                    if limited:
                        self._metrics.rate_limited(step.seconds)
                elif isinstance(step, Gather):
                    answer = await self._parallel(step)
            except MeetingsError as error:
                failure = error

    async def _parallel(self, step: Gather) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._caught(call)) for call in step.calls]
        results = [task.result() for task in tasks]
        for result in results:
            if isinstance(result, MeetingsError):
                raise result
        return results

    async def _caught(self, call: Flow[Any]) -> Any:
        # A TaskGroup would wrap the error into a group.
        try:
            return await self.drive(call)
        except MeetingsError as error:
            return error

    async def _perform(self, request: Request) -> Response:
        assert self._session is not None, "use `async with`"  # noqa: S101
        settings = self._settings
        url = URL(settings.base_url + request.path, encoded=True)
        if self._gate is not None and (held := await self._gate.enter(request)):
            self._metrics.rate_limited(held)
        sent_at, status = time.time(), None
        try:
            async with self._session.request(
                request.method,
                url.with_query(request.params) if request.params else url,
                data=request.body,
                headers=settings.credentials(request.scope),
                allow_redirects=False,
                proxy=self._proxy,
            ) as answer:
                status = answer.status
                body = await _read(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = _failure(error, request, settings, sent_at)
            failure.status = status  # it broke off in the middle of an answer
            self._record_failure(request, failure, sent_at)
            raise failure from os_error_behind(error)
        except ValueError as error:  # what aiohttp, yarl and the idna codec make of addresses and proxies
            raise unusable_url(request, settings, error) from None
        if body is None:
            large = response_too_large(request, answer.status, settings.base_url, sent_at)
            self._record_failure(request, large, sent_at)
            raise large
        lower = {name.lower(): value for name, value in answer.headers.items()}
        response = Response(answer.status, lower, body, sent_at, time.time())
        self._metrics.request(request.method, request.attempt, response.received_at - sent_at, response.status)
        log_request(self._log, request, response, None)
        if self._gate is not None:
            self._gate.observe(response)
        return response

    def _record_failure(self, request: Request, failure: MeetingsError, sent_at: float) -> None:
        self._metrics.request(request.method, request.attempt, time.time() - sent_at, None)
        log_request(self._log, request, None, failure)


def _trust(bundle: str) -> ssl.SSLContext:
    """Trust a file, or a folder, of certificates."""
    folder = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)


def _proxy(settings: Settings) -> str | None:
    """Find the proxy as the worker's ``requests`` does.

    aiohttp's own way would read credentials from ``.netrc`` as well, over the connection's key.
    """
    proxies = dict(settings.proxies) or get_environ_proxies(settings.base_url)
    proxy = select_proxy(settings.base_url, proxies)
    return None if proxy is None else str(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]


async def _read(answer: aiohttp.ClientResponse) -> bytes | None:
    """Read an answer; None: it is too large."""
    chunks, size = [], 0
    async for chunk in _unpacked(answer):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            return None
    return b"".join(chunks)


async def _unpacked(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield an answer's body as it was before it was packed, in pieces that do not hold the event loop up."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        async for chunk in answer.content.iter_any():
            yield chunk
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise aiohttp.ClientPayloadError(f"The answer is packed in a way that was not asked for: {encoding}")
    unpacker = None
    async for chunk in answer.content.iter_any():
        data = chunk
        while True:
            if unpacker is None or unpacker.eof:  # gzip may have several members
                # 47: gzip or zlib, by the first byte; what begins as neither is the bare deflate that some servers send
                bare = encoding == "deflate" and data[0] & 0x0F != zlib.DEFLATED
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS if bare else 47)
            try:
                piece = unpacker.decompress(data, _PIECE)
            except zlib.error as error:
                raise aiohttp.ClientPayloadError(f"The answer is not the {encoding} that it says it is") from error
            yield piece
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if not data and (unpacker.eof or len(piece) < _PIECE):
                break
            await asyncio.sleep(0)
    if unpacker is not None and not unpacker.eof:
        raise aiohttp.ClientPayloadError(f"The {encoding} of the answer has no end")


def _failure(error: BaseException, request: Request, settings: Settings, sent_at: float) -> MeetingsTransportError:
    target = f"{request.method} {request.path} at {settings.base_url}"
    unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        problem = "the certificate is not trusted; `verify` takes the path of the CA bundle that signs for the host"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        problem = "there is no such host; check the host of the connection"
    elif unsent:
        problem = f"could not connect ({type(error.__cause__ or error).__name__})"
    elif isinstance(error, TimeoutError):
        problem = f"there was no complete answer within {settings.timeout:g} s"
    else:
        problem = f"the connection broke ({type(error).__name__})"
    return MeetingsTransportError(
        f"{target} failed: {problem}. Connection {settings.conn_id!r}.",
        maybe_sent=not unsent,
        sent_at=sent_at,
        method=request.method,
        path=request.path,
    )
