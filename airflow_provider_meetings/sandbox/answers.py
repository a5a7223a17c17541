"""Answers and refusals in the words of each vendor."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import Response

Vendor = Literal["hiringcenter", "builderprime"]

NOT_FOUND_PAGE = b"<!doctype html><html><head><title>404</title></head><body><h1>404 Not Found</h1></body></html>"


def vendor_of(path: str) -> Vendor | None:
    """Say whose API a path belongs to, or None outside both."""
    if path == "/v2" or path.startswith("/v2/"):
        return "hiringcenter"
    if path == "/api" or path.startswith("/api/"):
        return "builderprime"
    return None


@dataclass
class Answer:
    """A whole answer, kept as bytes so that a replay repeats it to the byte."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, payload: Any, headers: dict[str, str] | None = None) -> "Answer":
        """Make a JSON answer."""
        # ASCII escapes keep any string encodable, lone surrogates in an unknown field's name included
        body = json.dumps(payload, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json", **(headers or {})})

    @classmethod
    def html(cls, status: int, page: bytes) -> "Answer":
        """Make an HTML answer, as a proxy or a wrong address gives it."""
        return cls(status, page, {"content-type": "text/html; charset=utf-8"})

    def response(self) -> Response:
        """Make a response of the web framework."""
        return Response(self.body, self.status, self.headers)


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the server
    """A request that the vendor refuses; ``render`` words it as that vendor does."""

    def __init__(self, status: int, title: str, *messages: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.messages = messages or (title,)
        self.headers = headers or {}

    def render(self, vendor: Vendor, **extra: Any) -> Answer:
        """Return the answer in the vendor's error envelope."""
        payload: dict[str, Any]
        if vendor == "hiringcenter":
            # HiringCenter, "Errors": a JSON body that has `error` and usually `message`
            payload = {"error": self.title, "message": "; ".join(self.messages)}
        else:
            # Builder Prime: {"success": false, "errors": [{"code": ..., "message": ...}]}
            code = self.title.upper().replace(" ", "_")
            payload = {"success": False, "errors": [{"code": code, "message": message} for message in self.messages]}
        return Answer.json(self.status, payload | extra, self.headers)


def not_found(what: str = "Meeting") -> Refusal:
    """Make the refusal for an id that does not exist."""
    return Refusal(404, "Not found", f"{what} not found.")


def invalid(*messages: str) -> Refusal:
    """Make the refusal for a request that breaks the vendor's rules."""
    return Refusal(400, "Validation failed", *messages)
