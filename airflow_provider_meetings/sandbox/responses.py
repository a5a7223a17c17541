"""Whole responses, as bytes, and which vendor a path belongs to."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import Response

Vendor = Literal["hiringcenter", "builderprime"]

NOT_FOUND_PAGE = b"<!doctype html><html><head><title>404</title></head><body><h1>404 Not Found</h1></body></html>"


def vendor_of(path: str) -> Vendor | None:
    """Return the vendor whose API a path belongs to, or None outside both."""
    if path == "/v2" or path.startswith("/v2/"):
        return "hiringcenter"
    if path == "/api" or path.startswith("/api/"):
        return "builderprime"
    return None


@dataclass
class ApiResponse:
    """A whole response, kept as bytes so that a replay repeats it to the byte."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, payload: Any, headers: dict[str, str] | None = None) -> "ApiResponse":
        """Make a JSON response."""
        # ASCII escapes keep any string encodable, lone surrogates in an unknown field's name included
        body = json.dumps(payload, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json", **(headers or {})})

    @classmethod
    def html(cls, status: int, page: bytes, headers: dict[str, str] | None = None) -> "ApiResponse":
        """Make an HTML response, as a proxy or a wrong address gives it."""
        return cls(status, page, {"content-type": "text/html; charset=utf-8", **(headers or {})})

    def to_response(self) -> Response:
        """Make a response of the web framework."""
        return Response(self.body, self.status, self.headers)
