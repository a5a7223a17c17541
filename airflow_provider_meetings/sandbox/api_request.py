"""One request on its way through the sandbox, with what each stage learned about it."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from .api_keys import ApiKey
from .responses import Vendor


@dataclass
class ApiRequest:
    """A request to one of the two APIs."""

    vendor: Vendor
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    key: ApiKey | None
    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    #: its number in the request log
    number: int = 0
    #: whether the response is the stored one of an earlier request with the same idempotency key
    replayed: bool = False
    #: what each fault did to it
    faults: list[dict[str, Any]] = field(default_factory=list)
    #: whether a fault has ended it, so that no response is due
    ended: bool = False
    #: the status that left the server although a fault ended the request
    sent: int | None = None

    @property
    def idempotency_key(self) -> str | None:
        """The key of a HiringCenter write; Builder Prime has none, and reads need none."""
        # HiringCenter, "Create / Update / Delete Meeting", header X-Idempotency-Key
        if self.vendor != "hiringcenter" or self.method not in {"POST", "PUT", "PATCH", "DELETE"}:
            return None
        return self.headers.get("x-idempotency-key")

    @property
    def digest(self) -> str:
        """What makes a repeat the same request: method, path, query and the meaning of the JSON."""
        try:
            payload = json.dumps(json.loads(self.body), sort_keys=True)
        except (ValueError, RecursionError):
            payload = self.body.decode("latin-1")
        return hashlib.sha256(f"{self.method}\n{self.path}\n{self.query}\n{payload}".encode()).hexdigest()
