"""The worker's way to the vendors: ``requests``, pooled, bounded in time and in memory."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsProtocolError,
    MeetingsTransportError,
)
from airflow_provider_meetings.settings import Settings
from airflow_provider_meetings.wire import (
    Call,
    Clock,
    Listing,
    Page,
    Parallel,
    Pause,
    Request,
    Response,
    Save,
    Step,
    Tell,
)

__all__ = [
    "IDEMPOTENCY_HEADER",
    "LARGEST_ANSWER",
    "REQUEST_ID_HEADERS",
    "Transport",
    "origin",
    "tell",
    "too_large",
    "unusable",
    "user_agent",
]

T = TypeVar("T")

#: Bytes of an answer, decoded. A page of the largest size has some 200 kB; what is beyond this is no page.
LARGEST_ANSWER = 32 * 1024 * 1024
#: HiringCenter's header for idempotency keys.
IDEMPOTENCY_HEADER = "X-Idempotency-Key"
#: Where vendors and the gateways before them put a request's id.
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray", "x-amzn-requestid")

_CHUNK = 256 * 1024


def user_agent() -> str:
    """What the vendors see of us."""
    from airflow_provider_meetings import __version__  # noqa: PLC0415 - the package's face is above this module

    return f"airflow-provider-meetings/{__version__}"


def tell(log: Any, request: Request, response: Response | None, failure: MeetingsError | None) -> None:
    """Write the one line that a request leaves in the task log: no query, no body, no key."""
    if response is None:
        log.info("%s Attempt %d.", failure, request.attempt)
        return
    request_id = next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
    log.info(
        "%s %s answered %d in %.0f ms, attempt %d%s",
        request.method,
        request.path,
        response.status,
        (response.received_at - response.sent_at) * 1000,
        request.attempt,
        f", request id {request_id}" if request_id else "",
    )


def too_large(request: Request, base_url: str) -> MeetingsProtocolError:
    """Make the error for an answer that is cut off."""
    error = MeetingsProtocolError(
        f"The answer to {request.method} {request.path} is larger than {LARGEST_ANSWER} bytes; the rest was not read. "
        f"Is {base_url} the vendor's API?",
        method=request.method,
        path=request.path,
    )
    error.maybe_sent = True
    return error


def unusable(request: Request, settings: Settings, error: BaseException) -> MeetingsConfigurationError:
    """Make the error for an address, or a proxy's, that no request can be sent to."""
    return MeetingsConfigurationError(
        f"{request.method} {request.path} cannot be sent: {settings.base_url}, or the proxy before it, is no address "
        f"that can be spoken to ({type(error).__name__}). Check the host and the `proxies` of connection "
        f"{settings.conn_id!r}.",
        method=request.method,
        path=request.path,
    )


class Transport:
    """Drives calls over a pooled ``requests.Session``.

    Args:
        settings: The connection's.
        log: Where each request leaves its line.
        sockets: How many connections may be kept open to the vendor.
    """

    def __init__(self, settings: Settings, log: Any, *, sockets: int = 1) -> None:
        self._settings = settings
        self._log = log
        self._sockets = sockets
        self.session = _session(settings, sockets)
        # Worked out once: requests reads the environment anew for each request otherwise.
        self._send_options: dict[str, Any] = dict(
            self.session.merge_environment_settings(settings.base_url, {}, True, None, None),  # noqa: FBT003 - requests' order
            timeout=settings.timeout,
            allow_redirects=False,
            stream=True,
        )

    def drive(self, call: Call[T], save: Callable[[dict[str, Any]], None] | None = None) -> T:
        """Drive a call to its result.

        Args:
            call: The call.
            save: What writes the ledger; without one nothing is kept.
        """
        steps = self._steps(call, save)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                result: T = done.value
                return result

    def stream(self, listing: Listing) -> Iterator[dict[str, Any]]:
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
        while True:
            try:
                step = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                return done.value
            answer = failure = None
            try:
                if isinstance(step, Request):
                    answer = self._perform(step)
                elif isinstance(step, Page):
                    yield step
                elif isinstance(step, Pause):
                    self._log.info("Waiting %.1f s: %s", step.seconds, step.reason)
                    time.sleep(step.seconds)
                elif isinstance(step, Parallel):
                    answer = self._parallel(step)
                else:
                    answer = self._side(step, save)
            except MeetingsError as error:
                failure = error

    def _side(self, step: Step, save: Callable[[dict[str, Any]], None] | None) -> Any:
        """Do what is asked besides talking to the vendor."""
        if isinstance(step, Tell):
            self._log.info(step.text)
        elif isinstance(step, Save) and save is not None:
            save(step.document)
        elif isinstance(step, Clock):
            return time.time()
        return None

    def _parallel(self, step: Parallel) -> list[Any]:
        if len(step.calls) == 1:
            return [self.drive(step.calls[0])]
        with ThreadPoolExecutor(max_workers=min(self._sockets, len(step.calls))) as pool:
            return list(pool.map(self.drive, step.calls))

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
        _deadline.set(time.monotonic() + settings.timeout)
        try:
            prepared = self.session.prepare_request(unprepared)
            answer = self.session.send(prepared, **self._send_options)
            with answer:
                body = _read(answer.raw)
        except _UNUSABLE as error:
            raise unusable(request, settings, error) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = _failure(error, request, settings, sent_at)
            tell(self._log, request, None, failure)
            raise failure from origin(error)
        finally:
            _deadline.set(None)
        if body is None:
            large = too_large(request, settings.base_url)
            tell(self._log, request, None, large)
            raise large
        lower = {name.lower(): value for name, value in answer.headers.items()}
        response = Response(answer.status_code, lower, body, sent_at, time.time())
        tell(self._log, request, response, None)
        return response


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
    causes = list(_causes(error))
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
_UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
)


def origin(error: BaseException) -> BaseException | None:
    """Find the operating system's own error behind a library's; the libraries' show the URL with its query."""
    found = [cause for cause in _causes(error) if isinstance(cause, OSError)]
    return next((cause for cause in reversed(found) if type(cause).__module__ in {"builtins", "socket", "ssl"}), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what is behind it; requests and urllib3 wrap in arguments as well as in causes.

    Not to its ``__context__``: that may be an error which the caller was handling when it asked for this request.
    """
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        behind = (getattr(current, "reason", None), current.__cause__, *current.args)
        waiting.extend(item for item in behind if isinstance(item, BaseException))


def _innermost(causes: list[BaseException]) -> str:
    return type(causes[-1]).__name__


# -- the session: its credentials, and the deadline under its sockets


class _Credentials(AuthBase):
    """Authenticates requests that are made with the session directly, and keeps ``.netrc`` out of it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        for name, value in self._headers.items():
            request.headers.setdefault(name, value)
        return request

    def __repr__(self) -> str:
        return "<credentials>"


class _Session(requests.Session):
    """A session that follows no redirect, and in which the connection's settings win over the environment's."""

    def resolve_redirects(self, resp: Any, req: Any, *args: Any, yield_requests: bool = False, **kwargs: Any) -> Any:
        # requests looks where a redirect leads even when nobody wants to go there, and counts that as going.
        if yield_requests:
            return iter(())
        return super().resolve_redirects(resp, req, *args, **kwargs)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        verify = self.verify if verify is None else verify
        merged = super().merge_environment_settings(url, dict(proxies or {}), stream, verify, cert)
        if self.proxies:
            merged["proxies"] = {**self.proxies, **(proxies or {})}
        return merged


def _session(settings: Settings, sockets: int) -> requests.Session:
    session = _Session()
    session.headers.update({"User-Agent": user_agent(), "Accept": "application/json"})
    session.auth = _Credentials(settings.credentials(""))
    session.verify = settings.verify
    session.proxies.update(settings.proxies)
    session.max_redirects = 0  # for who uses the session directly: a redirect is an error there, too
    adapter = _Adapter(pool_connections=1, pool_maxsize=sockets)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


# When the request that this thread is sending has to be over, by the monotonic clock.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class _TimedSocket:
    """Gives an answer's reader the time that is left, before each read: a dripping answer does not go on for ever."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        raw: Any = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_TimedReader(raw, self._sock, self._deadline), 64 * 1024)


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the whole request is up")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        deadline = _deadline.get()
        super().__init__(sock if deadline is None else _TimedSocket(sock, deadline), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS: dict[str, Callable[..., Any]] = {"http": _Pool, "https": _SecurePool}
