"""The journal: every request to either API, and what came of it. With the tables it is the referee of exactly-once."""

import hashlib
import json
import time
from typing import Any

from .call import Call
from .store import Store


class Journal:
    """Writes and reads the journal's rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrive(self, call: Call) -> int:
        """Record a request before anything is done about it, and return its number."""
        return self._store.insert(
            "journal",
            {
                "at": int(time.time() * 1000),
                "vendor": call.vendor,
                "method": call.method,
                "path": call.path,
                "query": call.query,
                "keyName": call.key.name if call.key else None,  # never the key itself
                "idempotencyKey": call.idempotency_key,
                "bodyDigest": hashlib.sha256(call.body).hexdigest(),
                "body": call.body,
            },
        )

    def acted(self, call: Call, what: str, meeting_id: Any) -> None:
        """Record that the server changed a meeting; belongs into the transaction that changed it."""
        self._store.update("journal", call.number, {"acted": what, "meetingId": str(meeting_id)})

    def finish(self, call: Call, *, status: int | None, sent: int | None) -> None:
        """Record what the server decided (None: it never got to it) and what left it (None: no answer)."""
        faults = json.dumps(call.faults) if call.faults else None
        changes = {"status": status, "sent": sent, "replayed": int(call.replayed), "fault": faults}
        self._store.update("journal", call.number, changes)

    def read(self, *, vendor: str | None, method: str | None, since: int, acted: bool | None) -> list[dict[str, Any]]:
        """Return the rows after number ``since``, oldest first."""
        sql, values = "SELECT * FROM journal WHERE id > ?", [since]
        found = self._store.rows(sql + " ORDER BY id", values)
        return [
            _presentable(row)
            for row in found
            if vendor in (None, row["vendor"])
            and method in (None, row["method"])
            and acted in (None, row["acted"] is not None)
        ]

    def clear(self) -> int:
        """Forget every row and return how many there were."""
        return self._store.execute("DELETE FROM journal")


def _presentable(row: dict[str, Any]) -> dict[str, Any]:
    fault = json.loads(row["fault"]) if row["fault"] else None
    body = row["body"].decode("utf-8", "replace")
    return row | {"body": body, "fault": fault, "replayed": bool(row["replayed"])}
