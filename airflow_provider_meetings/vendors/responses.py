"""Reading answers: strict JSON, and the error that an answer means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Request, Response
from airflow_provider_meetings.core.json_text import damage_of, from_json
from airflow_provider_meetings.core.retry import ServerWait
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

__all__ = ["ErrorFactory", "VendorError", "decode", "encode", "is_gone"]

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
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def error(  # noqa: PLR0911 - one return a kind of answer
        self,
        request: Request,
        response: Response,
        vendor_error: VendorError | None,
        *,
        key_field: str = "password",
        status: int | None = None,
    ) -> MeetingsError:
        """Make the error for an answer that is no success.

        Args:
            request: What was asked.
            response: The answer.
            vendor_error: What the vendor's own error envelope says; None: the answer is not in that envelope.
            key_field: Where in the connection the key that was used stands.
            status: What the answer amounts to, where that is not its HTTP status.
        """
        status = status or response.status
        vendor_error = vendor_error and self._redact(vendor_error)
        said = f": {vendor_error.message.rstrip('.')}" if vendor_error and vendor_error.message else ""
        head = f"{self.vendor} answered {response.status} to {request.method} {request.path}{said[:_LONGEST_MESSAGE]}"
        where: dict[str, Any] = {
            "status": response.status,
            "code": vendor_error.code if vendor_error else None,
            "method": request.method,
            "path": request.path,
        }
        conn = f"connection {self.conn_id!r}"
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
        if status == 404 and vendor_error is not None:
            return MeetingNotFoundError(f"{head}. There is no such record.", **where)
        if status == 409:
            return MeetingConflictError(
                f"{head}. The idempotency key is in use: by a request still being processed, or by another payload.",
                **where,
            )
        if status in {400, 422}:
            return MeetingValidationError(
                f"{head}. Nothing was changed; sending the same again will not help.", **where
            )
        wait = ServerWait.from_response(response)
        seconds = None if wait is None else wait.seconds
        note = f" ({wait.note})" if wait is not None and wait.note else ""
        if status == 429:
            when = f" It takes requests again in {seconds:.0f} s{note}." if wait else ""
            return MeetingsRateLimitError(
                f"{head}. The rate limit is used up.{when} See `max_wait` and `max_attempts` of {conn}.",
                retry_after=seconds,
                **where,
            )
        if status == 408 or status >= 500:
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
        return MeetingsProtocolError(
            f"{head}, and not in {self.vendor}'s error envelope. Nothing of {self.vendor} seems to be there: "
            f"check the host of {conn}: {self.base_url}"
            if vendor_error is None
            else f"{head}. The vendor's pages do not mention this answer.",
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
        damage = damage_of(response.body)
        cure = (
            f"It begins as the vendor's answers do, but {damage}. Nothing of it was used."
            if damage
            else f"Check that the host of connection {self.conn_id!r} is the vendor's API: {self.base_url}"
        )
        error = MeetingsProtocolError(
            f"{self.vendor} answered {response.status} to {request.method} {request.path}, but {problem}. {cure}",
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
