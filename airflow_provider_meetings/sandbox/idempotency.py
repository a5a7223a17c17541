"""HiringCenter's idempotency keys.

"Reuse the same key only when retrying the exact same request." (page, X-Idempotency-Key). The same request again is
answered with the original answer and nothing runs twice; another request under the same key, or the same one while
the first is still being processed, is refused with 409.

What is kept: the answer of a request that was performed (2xx). The pages do not say whether a refusal is kept; here it
is not, because nothing ran: a corrected request may follow under the same key, as with most APIs that have such keys.
"""

import time

from .answers import Answer, Refusal
from .call import Call
from .settings import Options
from .store import Store

MAX_LENGTH = 512


class IdempotencyKeys:
    """Remembers the keys: those in progress in memory, those answered in SQLite."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        # A crash ends what is in progress, so memory is the right place for it.
        self._in_progress: dict[tuple[str, str], int] = {}

    def claim(self, call: Call) -> Answer | None:
        """Reserve the call's key, or return the answer that it already has.

        Raises:
            Refusal: the key is malformed (400), in progress, or belongs to another request (both 409).
        """
        key = call.idempotency_key
        if key is None or call.key is None:
            return None
        # the page: "X-Idempotency-Key: string, at most 512"
        if not 1 <= len(key) <= MAX_LENGTH or not all(" " <= char <= "~" for char in key):
            raise Refusal(400, "Validation failed", "X-Idempotency-Key must be 1 to 512 printable ASCII characters.")
        name = (call.key.name, key)
        if name in self._in_progress:
            raise Refusal(409, "Conflict", "A request with this idempotency key is still being processed.")
        stored = self._store.row(
            "SELECT * FROM idempotency WHERE keyName = ? AND key = ? AND storedAt > ?",
            [*name, time.time() - self._options.idempotency_window],
        )
        if stored is None:
            self._in_progress[name] = call.number
            return None
        if stored["digest"] != call.digest:
            raise Refusal(409, "Conflict", "This idempotency key was used for a different request.")
        call.replayed = True
        return Answer(stored["status"], stored["body"], {"content-type": "application/json"})

    def keep(self, call: Call, answer: Answer) -> None:
        """Store the answer of a performed call; belongs into the transaction that performed it."""
        if call.idempotency_key is not None and call.key is not None:
            self._store.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
                [call.key.name, call.idempotency_key, call.digest, answer.status, answer.body, time.time()],
            )

    def release(self, call: Call) -> None:
        """End the call's reservation, if it holds one."""
        if call.key is not None and call.idempotency_key is not None:
            name = (call.key.name, call.idempotency_key)
            if self._in_progress.get(name) == call.number:
                del self._in_progress[name]

    def age(self, seconds: float) -> int:
        """Make every stored key older, and return how many there are."""
        return self._store.execute("UPDATE idempotency SET storedAt = storedAt - ?", [seconds])
