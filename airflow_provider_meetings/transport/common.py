"""What both transports do and say: the headers, the answer as a value, its line in the log, and what went wrong."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib import parse

import requests

from airflow_provider_meetings.connection.network import Proxy
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsProtocolError,
    MeetingsTransportError,
)
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.tls import certificate_problem

__all__ = ["LARGEST_ANSWER", "REQUEST_ID_HEADERS", "Exchange", "base_headers", "iter_causes", "os_error_behind"]

#: Bytes of an answer, decoded. A page of the largest size has some 200 kB; what is beyond this is no page.
LARGEST_ANSWER = 32 * 1024 * 1024
#: Where vendors and the gateways before them put a request's id.
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray", "x-amzn-requestid")

# What of a request's id is shown in the log: whoever is on the way may have written it.
_LONGEST_ID = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


_quoted_name = cache(parse.quote_plus)


class Exchange:
    """One request on its way over a connection: what both transports make of it.

    Args:
        request: The request.
        settings: The connection's.
        log: Where it leaves its line: no query, no body, no key.
        metrics: Takes the numbers.
        clock: Tells the time, in seconds since the epoch.
        proxy: What it goes through; None: it goes to the vendor directly.
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        log: Any,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        proxy: Proxy | None = None,
    ) -> None:
        self._request = request
        self._settings = settings
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._proxy = proxy
        self._sent_at = clock()

    @property
    def target(self) -> str:
        """Path and query, below the connection's base URL, as they go over the wire."""
        request = self._request
        if not request.params:
            return request.path
        # Nearly all of a query is numbers, which need no look at each character.
        parts = [
            f"{_quoted_name(name)}={value if value.isalnum() and value.isascii() else parse.quote_plus(value)}"
            for name, value in request.params
        ]
        return f"{request.path}?{'&'.join(parts)}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are this request's own."""
        request = self._request
        headers = dict(self._settings.credentials(request.scope))
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers[self._settings.idempotency_header] = request.idempotency_key
        return headers

    def answered(self, status: int, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Make the answer.

        Args:
            status: The HTTP status.
            headers: The headers, in any case.
            body: The unpacked body; None: it was larger than ``LARGEST_ANSWER``.

        Raises:
            MeetingsProtocolError: It was too large.
        """
        if body is None:
            raise self._recorded(self._too_large(status))
        lower = {name.lower(): value for name, value in headers.items()}
        response = Response(status, lower, body, self._sent_at, self._clock())
        seconds = response.received_at - response.sent_at
        request = self._request
        self._metrics.request(request.method, request.attempt, seconds, status)
        request_id = next((lower[name] for name in REQUEST_ID_HEADERS if name in lower), None)
        tell = self._log.debug if request.one_of_many and 200 <= status < 300 else self._log.info
        tell(
            "%s %s answered %d in %.0f ms, attempt %d%s",
            request.method,
            request.path,
            status,
            seconds * 1000,
            request.attempt,
            f", request id {_UNPRINTABLE.sub('?', request_id)[:_LONGEST_ID]}" if request_id else "",
        )
        return response

    def failed(self, error: BaseException, *, never_sent: bool, status: int | None) -> MeetingsTransportError:
        """Make the error for a request without a whole answer: what went wrong, without the query or a header.

        Args:
            error: The library's.
            never_sent: The request has not left this machine.
            status: The answer's, where it broke off in the middle of one.
        """
        request, settings = self._request, self._settings
        problem = _problem(list(iter_causes(error)), settings, self._proxy, never_sent=never_sent)
        target = f"{request.method} {request.path} at {settings.base_url}"
        failure = MeetingsTransportError(
            f"{target} failed: {problem}. Connection {settings.conn_id!r}.",
            maybe_sent=not never_sent,
            sent_at=self._sent_at,
            method=request.method,
            path=request.path,
        )
        failure.status = status
        self._recorded(failure)
        return failure

    def unusable(self, error: BaseException) -> MeetingsConfigurationError:
        """Make the error for an address, or a proxy's, that no request can be sent to."""
        request, settings = self._request, self._settings
        return MeetingsConfigurationError(
            f"{request.method} {request.path} cannot be sent: {settings.base_url}, or the proxy before it, is no "
            f"address that can be spoken to ({type(error).__name__}). Check the host and the `proxies` of connection "
            f"{settings.conn_id!r}.",
            method=request.method,
            path=request.path,
        )

    def _too_large(self, status: int) -> MeetingsProtocolError:
        request = self._request
        error = MeetingsProtocolError(
            f"The answer to {request.method} {request.path} is larger than {LARGEST_ANSWER} bytes; the rest was not "
            f"read. Is {self._settings.base_url} the vendor's API?",
            status=status,
            method=request.method,
            path=request.path,
        )
        error.maybe_sent, error.sent_at = True, self._sent_at
        return error

    def _recorded(self, failure: MeetingsError) -> MeetingsError:
        request = self._request
        self._metrics.request(request.method, request.attempt, self._clock() - self._sent_at, None)
        self._log.info("%s Attempt %d.", failure, request.attempt)
        return failure


def _problem(causes: list[BaseException], settings: Settings, proxy: Proxy | None, *, never_sent: bool) -> str:
    """Say what is behind a library's error."""
    timed_out = any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes)
    if special := next(filter(None, (_special_problem(cause, proxy) for cause in causes)), ""):
        return special
    if never_sent and timed_out:
        return f"could not connect in time, of the {settings.timeout:g} s that a request may take"
    if never_sent:
        return f"could not connect ({type(causes[-1]).__name__})"
    if timed_out:
        return f"there was no complete answer within {settings.timeout:g} s"
    return f"the connection broke ({type(causes[-1]).__name__})"


def _special_problem(cause: BaseException, proxy: Proxy | None) -> str:
    """Return a hint where a user can fix the cause; blank: there is none."""
    if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_code"):  # aiohttp's own has none
        return certificate_problem(cause)
    if isinstance(cause, socket.gaierror):
        if cause.errno == socket.EAI_AGAIN:
            return "the host, or its proxy, cannot be looked up for now (a temporary DNS failure)"
        if proxy is not None:
            return f"there is no such proxy; check {proxy.source}"
        return "there is no such host; check the host of the connection"
    if refused := _TUNNEL_REFUSED.search(str(cause)):
        return f"the proxy refused to connect (it answered {refused[1]})"
    return ""


_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")


def base_headers() -> dict[str, str]:
    """Return the headers that every request has."""
    from airflow_provider_meetings import __version__  # noqa: PLC0415 - the package's face is above this module

    return {
        "User-Agent": f"airflow-provider-meetings/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
    }


def os_error_behind(error: BaseException) -> BaseException | None:
    """Find the operating system's own error behind a library's; the libraries' show the URL with its query."""
    found = [cause for cause in iter_causes(error) if isinstance(cause, OSError)]
    return next((cause for cause in reversed(found) if type(cause).__module__ in {"builtins", "socket", "ssl"}), None)


def iter_causes(error: BaseException) -> Iterator[BaseException]:
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
        named = (getattr(current, name, None) for name in ("reason", "os_error", "certificate_error"))
        behind = (*named, current.__cause__, *current.args)
        waiting.extend(item for item in behind if isinstance(item, BaseException))
