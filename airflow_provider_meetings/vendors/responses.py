"""Reading answers: strict JSON, and the error that an answer means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.json_text import damage_of, from_json
from airflow_provider_meetings.core.retry import Reply, ServerWait, is_transient
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
    MeetingsRateLimitError,
    MeetingsServerError,
    MeetingValidationError,
)

__all__ = ["Envelope", "ErrorFactory", "Secrets", "VendorError", "decode", "encode", "is_gone"]

# Vendors' messages go to the log; a page of HTML does not.
_LONGEST_MESSAGE = 500
# As short as Airflow's masker goes: what is shorter is a part of words.
_SHORTEST_SECRET = 5


@dataclass(frozen=True, slots=True)
class VendorError:
    """What a vendor's error envelope says.

    Attributes:
        code: The vendor's error code or short text.
        message: What it says about it.
    """

    code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Envelope(Reply):
    """An answer whose envelope was opened.

    Attributes:
        content: The JSON object; None: it is none.
        error: What the vendor's error envelope says; None: it is a success, or not in that envelope.
    """

    content: dict[str, Any] | None = field(default=None, repr=False)
    error: VendorError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the vendor says, in its own envelope, that it has done what was asked."""
        return self.is_own and self.error is None and is_success(self.status)


def is_success(status: int) -> bool:
    """Whether an HTTP status is one of success."""
    return 200 <= status < 300


class Secrets:
    """What no message repeats; a key that is renewed comes in addition."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return "<secrets>"

    def add(self, *values: str) -> None:
        """Repeat these neither."""
        self._values += values


@dataclass(frozen=True, slots=True)
class ErrorFactory:
    """Turns a refused request into an error that says what to do.

    Attributes:
        vendor: The vendor's name.
        conn_id: The connection's id.
        base_url: Where requests go.
        secrets: Never repeated, should the vendor do so: "Invalid key: ...".
    """

    vendor: str
    conn_id: str
    base_url: str
    secrets: Iterable[str] = field(default=(), repr=False)

    def error(
        self, request: Request, envelope: Envelope, *, key_field: str = "password", names_record: bool = True
    ) -> MeetingsError:
        """Make the error for an answer that is no success.

        Only the vendor's own envelope says that a write did not happen: after any other answer the error's
        ``maybe_sent`` is true, and its text says so.

        Args:
            request: What was asked.
            envelope: The answer.
            key_field: Where in the connection the key that was used stands.
            names_record: The request speaks of one record, so that a 404 means that there is none.
        """
        vendor_error = envelope.error and self._redact(envelope.error)
        said = f": {vendor_error.message.rstrip('.')}" if vendor_error and vendor_error.message else ""
        answered = f"{self.vendor} answered {envelope.response.status} to {request.method} {request.path}"
        head = f"{answered}{said[:_LONGEST_MESSAGE]}"
        where: dict[str, Any] = {
            "status": envelope.response.status,
            "code": vendor_error.code if vendor_error else None,
            "method": request.method,
            "path": request.path,
        }
        error = self._error(request, envelope, head, where, key_field=key_field, names_record=names_record)
        if request.method != "GET" and not envelope.is_own:
            error.maybe_sent = True
            error.message = f"{error.message.rstrip('.')}. It is not known whether this request was carried out."
            error.args = (error.message,)
        return error

    def _error(  # noqa: PLR0911 - one return a kind of answer
        self,
        request: Request,
        envelope: Envelope,
        head: str,
        where: dict[str, Any],
        *,
        key_field: str,
        names_record: bool,
    ) -> MeetingsError:
        status, is_own, conn = envelope.status, envelope.is_own, f"connection {self.conn_id!r}"
        if status == 401:
            return MeetingsAuthError(
                f"{head}. The key in the {key_field} of {conn} is not accepted: renew it.", **where
            )
        if status == 403:
            needs = f"the scope {request.scope}" if request.scope else "this permission"
            return MeetingsPermissionError(
                f"{head}. The key in the {key_field} of {conn} lacks {needs}: grant it in {self.vendor}, "
                "or use a key that has it.",
                **where,
            )
        if status == 404 and is_own and names_record:
            return MeetingNotFoundError(f"{head}. There is no such record.", **where)
        if status == 409 and is_own:
            return MeetingConflictError(
                f"{head}. The idempotency key is in use: by a request still being processed, or by another payload.",
                **where,
            )
        if status in {400, 422} and is_own:
            return MeetingValidationError(
                f"{head}. Nothing was changed; sending the same again will not help.", **where
            )
        wait = ServerWait.from_response(envelope.response, status)
        seconds = None if wait is None else wait.seconds
        note = f" ({wait.note})" if wait is not None and wait.note else ""
        if status == 429:
            when = f" It takes requests again in {seconds:.0f} s{note}." if wait else ""
            return MeetingsRateLimitError(
                f"{head}. The rate limit is used up.{when} See `max_wait` and `max_attempts` of {conn}.",
                retry_after=seconds,
                **where,
            )
        if is_transient(status):
            return MeetingsServerError(
                f"{head}. {self.vendor} has a problem, or something before it."
                + (f" It wants to be asked again in {seconds:.0f} s{note}." if wait else ""),
                retry_after=seconds,
                **where,
            )
        if 300 <= status < 400:
            return MeetingsProtocolError(
                f"{head}, a redirect, which is never followed. Check the host of {conn}: {self.base_url}", **where
            )
        if status == 404 and is_own:
            return MeetingsProtocolError(
                f"{head}. There is no list at this address: check the host of {conn}: {self.base_url}", **where
            )
        return MeetingsProtocolError(
            f"{head}. The vendor's pages do not mention this answer."
            if is_own
            else f"{head}, and not in {self.vendor}'s error envelope. Nothing of {self.vendor} seems to be there: "
            f"check the host of {conn}: {self.base_url}",
            **where,
        )

    def _redact(self, vendor_error: VendorError) -> VendorError:
        code, message = vendor_error.code, vendor_error.message
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                code, message = code and code.replace(secret, "***"), message.replace(secret, "***")
        return VendorError(code, message)

    def malformed(self, request: Request, response: Response, problem: str) -> MeetingsProtocolError:
        """Make the error for a success that is none."""
        answered = f"{self.vendor} answered {response.status} to {request.method} {request.path}, but {problem}"
        damage = damage_of(response.body)
        error = MeetingsProtocolError(
            f"{answered}. It begins as the vendor's answers do, but {damage}. Nothing of it was used."
            if damage
            else f"{answered}. Check that the host of connection {self.conn_id!r} is the vendor's API: {self.base_url}",
            status=response.status,
            method=request.method,
            path=request.path,
        )
        # A success that cannot be read may well have been one.
        error.maybe_sent = True
        return error


def decode(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a body, with values that can be written as JSON again; None: it is no such thing."""
    try:
        decoded = from_json(body)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def is_gone(request: Request, response: Response) -> bool:
    """Whether a DELETE is answered by HTTP's own "done, nothing to say", which has no body to put an envelope in."""
    return (request.method, response.status) == ("DELETE", 204)


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body: the same ones for each send."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
