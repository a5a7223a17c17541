"""Everything that this provider raises.

.. code-block:: text

    MeetingsError(AirflowException)
    ├── MeetingsConfigurationError   refused on our side, nothing was sent        permanent
    ├── MeetingsAuthError            401                                          permanent
    ├── MeetingsPermissionError      403, names the scope to grant                permanent
    ├── MeetingNotFoundError         404 in the vendor's own envelope             permanent
    ├── MeetingConflictError         409                                          permanent
    ├── MeetingValidationError       400, 422                                     permanent
    ├── MeetingsRateLimitError       429, .retry_after
    ├── MeetingsServerError          5xx, 408
    ├── MeetingsTransportError       no answer: connect, read, TLS, timeout; .maybe_sent
    │   └── MeetingsInDoubtError     a create may still arrive; .retry_after
    ├── MeetingsRejectedError        a person has rejected the plan               permanent
    └── MeetingsProtocolError        an answer that breaks the contract

What is permanent is an ``AirflowFailException`` too, so that Airflow does not spend the task's retries on it.
No error ever carries a key: not in its text, not in its attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

__all__ = [
    "MeetingConflictError",
    "MeetingNotFoundError",
    "MeetingValidationError",
    "MeetingsAuthError",
    "MeetingsConfigurationError",
    "MeetingsError",
    "MeetingsInDoubtError",
    "MeetingsPermissionError",
    "MeetingsProtocolError",
    "MeetingsRateLimitError",
    "MeetingsRejectedError",
    "MeetingsServerError",
    "MeetingsTransportError",
]


class MeetingsError(AirflowException):
    """Base of all errors of this provider.

    Args:
        message: What happened and what to do about it, for the person who reads the task log.
        status: The HTTP status, when there was an answer.
        code: The vendor's own error code or short error text, when it gave one.
        method: The HTTP method of the request that failed.
        path: Its path, without query and without host.
    """

    #: Whether the vendor may have done what was asked although this error came back.
    maybe_sent: bool = False
    #: When the request that failed was sent, in seconds since the epoch, or 0 where it is unknown.
    sent_at: float = 0.0

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling of exceptions.
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


def _rebuild(cls: type[MeetingsError], message: str, state: dict[str, Any]) -> MeetingsError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class MeetingsConfigurationError(MeetingsError, AirflowFailException):
    """The connection or an argument is wrong. Nothing was sent.

    Attributes:
        problems: What is wrong with a meeting or its changes, by field; empty where something else is wrong.
    """

    problems: Mapping[str, str] = MappingProxyType({})


class MeetingsAuthError(MeetingsError, AirflowFailException):
    """401: the vendor does not know the key."""


class MeetingsPermissionError(MeetingsError, AirflowFailException):
    """403: the key lacks a scope. The message names the scope to grant."""


class MeetingNotFoundError(MeetingsError, AirflowFailException):
    """404 in the vendor's own error envelope: there is no such meeting."""


class MeetingConflictError(MeetingsError, AirflowFailException):
    """409, or several meetings that could be the one that is meant.

    Attributes:
        candidates: The meetings that cannot be told apart, as the vendor returned them; empty for any other conflict.
    """

    candidates: tuple[Mapping[str, Any], ...] = ()


class MeetingValidationError(MeetingsError, AirflowFailException):
    """400 or 422: the vendor refused what was sent."""


class MeetingsRejectedError(MeetingsError, AirflowFailException):
    """A person has looked at the plan and rejected it. Nothing was written. The message says who it was."""


class MeetingsRateLimitError(MeetingsError):
    """429, and waiting for it would exceed the connection's ``max_wait`` or ``max_attempts``.

    Attributes:
        retry_after: Seconds after which the vendor takes requests again; None where it did not say.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after


class MeetingsServerError(MeetingsError):
    """5xx or 408, and so for as long as the connection allows to try. A write may have happened.

    Attributes:
        retry_after: Seconds after which the vendor wants to be asked again; None where it did not say.
    """

    maybe_sent = True

    def __init__(self, message: str = "", *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after


class MeetingsTransportError(MeetingsError):
    """No answer: it could not connect, the connection broke, TLS failed or the time was up.

    Attributes:
        maybe_sent: Whether the server may have received the request, and so may have acted on it.
        sent_at: When it was sent, in seconds since the epoch.
    """

    def __init__(self, message: str = "", *, maybe_sent: bool = True, sent_at: float = 0.0, **where: Any) -> None:
        super().__init__(message, **where)
        self.maybe_sent = maybe_sent
        self.sent_at = sent_at


class MeetingsInDoubtError(MeetingsTransportError):
    """A create was not answered, did not happen so far, and may still arrive. Nothing must be sent until it cannot.

    Attributes:
        retry_after: Seconds until it is known.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after


class MeetingsProtocolError(MeetingsError):
    """An answer that breaks the vendor's contract: not JSON, no envelope, a failure without a reason."""
