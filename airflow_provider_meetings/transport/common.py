"""What both transports say of a request: its line in the log, and the errors that are not the vendor's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError, MeetingsProtocolError

__all__ = [
    "LARGEST_ANSWER",
    "REQUEST_ID_HEADERS",
    "iter_causes",
    "log_request",
    "os_error_behind",
    "response_too_large",
    "unusable_url",
    "user_agent",
]

#: Bytes of an answer, decoded. A page of the largest size has some 200 kB; what is beyond this is no page.
LARGEST_ANSWER = 32 * 1024 * 1024
#: Where vendors and the gateways before them put a request's id.
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray", "x-amzn-requestid")


def log_request(log: Any, request: Request, response: Response | None, failure: MeetingsError | None) -> None:
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


def response_too_large(request: Request, status: int, base_url: str, sent_at: float) -> MeetingsProtocolError:
    """Make the error for an answer that is cut off."""
    error = MeetingsProtocolError(
        f"The answer to {request.method} {request.path} is larger than {LARGEST_ANSWER} bytes; the rest was not read. "
        f"Is {base_url} the vendor's API?",
        status=status,
        method=request.method,
        path=request.path,
    )
    error.maybe_sent, error.sent_at = True, sent_at
    return error


def unusable_url(request: Request, settings: Settings, error: BaseException) -> MeetingsConfigurationError:
    """Make the error for an address, or a proxy's, that no request can be sent to."""
    return MeetingsConfigurationError(
        f"{request.method} {request.path} cannot be sent: {settings.base_url}, or the proxy before it, is no address "
        f"that can be spoken to ({type(error).__name__}). Check the host and the `proxies` of connection "
        f"{settings.conn_id!r}.",
        method=request.method,
        path=request.path,
    )


def user_agent() -> str:
    """What the vendors see of us."""
    from airflow_provider_meetings import __version__  # noqa: PLC0415 - the package's face is above this module

    return f"airflow-provider-meetings/{__version__}"


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
        behind = (getattr(current, "reason", None), current.__cause__, *current.args)
        waiting.extend(item for item in behind if isinstance(item, BaseException))
