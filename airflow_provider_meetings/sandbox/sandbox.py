"""All that one running sandbox consists of, in one place, for the routers and the gateway to share."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api_request import ApiRequest
from .clock import VendorClock
from .fault_rules import FaultRules
from .idempotency import IdempotencyKeys
from .ratelimit import RateLimiter
from .request_log import RequestLog
from .responses import ApiResponse
from .settings import Options, Settings
from .store import Store


@dataclass
class Sandbox:
    """A store, and the parts that work on it."""

    settings: Settings
    options: Options
    store: Store
    clock: VendorClock
    log: RequestLog
    keys: IdempotencyKeys
    limiter: RateLimiter
    faults: FaultRules

    @classmethod
    def open(cls, settings: Settings) -> "Sandbox":
        """Open the file that the settings name, or a fresh one in a temporary folder."""
        path = settings.db or Path(tempfile.mkdtemp(prefix="meetings-sandbox-")) / "sandbox.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        store, options = Store(path), settings.options
        return cls(
            settings=settings,
            options=options,
            store=store,
            clock=VendorClock(options),
            log=RequestLog(store),
            keys=IdempotencyKeys(store, options),
            limiter=RateLimiter(options),
            faults=FaultRules(),
        )

    def close(self) -> None:
        """Close the file; a temporary one is deleted with its folder."""
        self.store.close()
        if self.settings.db is None:
            shutil.rmtree(self.store.path.parent, ignore_errors=True)

    def record_change(self, request: ApiRequest, what: str, meeting_id: Any, response: ApiResponse) -> None:
        """Note, in the transaction of the change, what a request changed: a killed server leaves all or nothing."""
        self.log.record_change(request, what, meeting_id)
        self.keys.keep(request, response)
