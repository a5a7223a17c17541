"""The request log: every request to either API, and what came of it. With the tables it shows who made what, how often.

``at`` is this machine's time, whatever the vendors' clock says.
"""

import hashlib
import json
import time
from typing import Any

from .api_request import ApiRequest
from .store import Store

TABLE = "request_log"

# No key is ever logged; the log names the key instead.
_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "proxy-authorization"})


class RequestLog:
    """Writes and reads the rows of the log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record_arrival(self, request: ApiRequest) -> int:
        """Record a request before anything is done about it, and return its number."""
        headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
        return self._store.insert(
            TABLE,
            {
                "at": int(time.time() * 1000),
                "vendor": request.vendor,
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "headers": json.dumps(headers),
                "clientPort": request.client[1] if request.client else None,
                "keyName": request.key.name if request.key else None,
                "idempotencyKey": request.idempotency_key,
                "bodyDigest": hashlib.sha256(request.body).hexdigest(),
                "body": request.body,
            },
        )

    def record_change(self, request: ApiRequest, what: str, meeting_id: Any) -> None:
        """Record that the server changed a meeting; belongs into the transaction that changed it."""
        self._store.update(TABLE, request.number, {"acted": what, "meetingId": str(meeting_id)})

    def record_response(self, request: ApiRequest, *, status: int | None, sent: int | None) -> None:
        """Record what the server decided (None: it never got to it) and what left it (None: no response)."""
        faults = json.dumps(request.faults) if request.faults else None
        changes = {"status": status, "sent": sent, "replayed": int(request.replayed), "fault": faults}
        self._store.update(TABLE, request.number, changes)

    def read(self, *, vendor: str | None, method: str | None, since: int, acted: bool | None) -> list[dict[str, Any]]:
        """Return the rows after number ``since``, oldest first."""
        sql = f"SELECT * FROM {TABLE} WHERE id > ?"  # noqa: S608
        values: list[Any] = [since]
        for column, value in (("vendor", vendor), ("method", method)):
            if value is not None:
                sql += f" AND {column} = ?"
                values.append(value)
        if acted is not None:
            sql += f" AND acted IS {'NOT ' if acted else ''}NULL"
        return [_presentable(row) for row in self._store.rows(sql + " ORDER BY id", values)]

    def clear(self) -> int:
        """Delete every row and return how many there were."""
        return self._store.execute(f"DELETE FROM {TABLE}")  # noqa: S608


def _presentable(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "body": row["body"].decode("utf-8", "replace"),
        "headers": json.loads(row["headers"]),
        "fault": json.loads(row["fault"]) if row["fault"] else None,
        "replayed": bool(row["replayed"]),
    }
