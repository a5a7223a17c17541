"""All that one running sandbox consists of, in one place, for the routers and the gateway to share."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answers import Answer
from .call import Call
from .faults import FaultBook
from .idempotency import IdempotencyKeys
from .journal import Journal
from .ratelimit import RateLimiter
from .settings import Options, Settings
from .store import Store


@dataclass
class Sandbox:
    """A store, and the parts that work on it."""

    settings: Settings
    options: Options
    store: Store
    journal: Journal
    keys: IdempotencyKeys
    limiter: RateLimiter
    faults: FaultBook

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
            journal=Journal(store),
            keys=IdempotencyKeys(store, options),
            limiter=RateLimiter(options),
            faults=FaultBook(),
        )

    def close(self) -> None:
        """Close the file; one that nobody named goes with its folder."""
        self.store.close()
        if self.settings.db is None:
            shutil.rmtree(self.store.path.parent, ignore_errors=True)

    def acted(self, call: Call, what: str, meeting_id: Any, answer: Answer) -> None:
        """Note, in the same transaction, that a call changed a meeting: a killed server leaves all or nothing."""
        self.journal.acted(call, what, meeting_id)
        self.keys.keep(call, answer)
