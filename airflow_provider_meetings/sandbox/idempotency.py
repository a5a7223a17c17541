"""HiringCenter's idempotency keys.

"Reuse the same key only when retrying the exact same request." (page, X-Idempotency-Key). The same request again gets
the original response and nothing runs twice; another request under the same key, or the same one while the first is
still being processed, is refused with 409.

What is kept: the response to a request that was performed (2xx). The pages do not say whether an error is kept; here
it is not, because nothing ran: a corrected request may follow under the same key, as with most APIs that have such
keys.
"""

import time

from .api_errors import ApiError
from .api_request import ApiRequest
from .responses import ApiResponse
from .settings import Options
from .store import Store

MAX_LENGTH = 512


class IdempotencyKeys:
    """Remembers the keys: those in progress in memory, those with a response in SQLite."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        # A crash ends what is in progress, so memory is the right place for it.
        self._in_progress: dict[tuple[str, str], int] = {}

    def claim(self, request: ApiRequest) -> ApiResponse | None:
        """Reserve the request's key, or return the response that it already has.

        Raises:
            ApiError: the key is malformed (400), in progress, or belongs to another request (both 409).
        """
        key = request.idempotency_key
        if key is None or request.key is None:
            return None
        # the page: "X-Idempotency-Key: string, at most 512"
        if not 1 <= len(key) <= MAX_LENGTH or not all(" " <= char <= "~" for char in key):
            raise ApiError(400, "Validation failed", "X-Idempotency-Key must be 1 to 512 printable ASCII characters.")
        name = (request.key.name, key)
        if name in self._in_progress:
            raise ApiError(409, "Conflict", "A request with this idempotency key is still being processed.")
        stored = self._store.row(
            "SELECT * FROM idempotency WHERE keyName = ? AND key = ? AND storedAt > ?",
            [*name, time.time() - self._options.idempotency_window],
        )
        if stored is None:
            self._in_progress[name] = request.number
            return None
        if stored["digest"] != request.digest:
            raise ApiError(409, "Conflict", "This idempotency key was used for a different request.")
        request.replayed = True
        # HiringCenter, overview, "Replay indicators": a header; its name is an option, for it is not known
        indicator = {self._options.replay_header: "true"} if self._options.replay_header else {}
        return ApiResponse(stored["status"], stored["body"], {"content-type": "application/json", **indicator})

    def keep(self, request: ApiRequest, response: ApiResponse) -> None:
        """Store the response to a performed request; belongs into the transaction that performed it."""
        if request.idempotency_key is not None and request.key is not None:
            self._store.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
                [
                    *(request.key.name, request.idempotency_key, request.digest),
                    *(response.status, response.body, time.time()),
                ],
            )

    def release(self, request: ApiRequest) -> None:
        """End the request's reservation, if it holds one."""
        if request.key is not None and request.idempotency_key is not None:
            name = (request.key.name, request.idempotency_key)
            if self._in_progress.get(name) == request.number:
                del self._in_progress[name]

    def age(self, seconds: float) -> int:
        """Make every stored key older, and return how many there are."""
        return self._store.execute("UPDATE idempotency SET storedAt = storedAt - ?", [seconds])
