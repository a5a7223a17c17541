"""One module a vendor, all of them pure: no clock, no socket, no Airflow."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_meetings.moments import Window
from airflow_provider_meetings.wire import Call, Listing

__all__ = ["Vendor"]


class Vendor(Protocol):
    """What every vendor module gives. Bodies are what ``check_meeting`` and ``check_changes`` return."""

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Check a meeting to be made; return the body to send."""

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Check changes to a meeting; return the body to send."""

    def listing(self, window: Window, filters: Any = None) -> Listing:
        """List the meetings of a window."""

    def get(self, meeting_id: Any) -> Call[dict[str, Any]]:
        """Read one meeting."""

    def create(self, body: dict[str, Any], *, idempotency_key: str | None = None) -> Call[dict[str, Any]]:
        """Make a meeting, once."""

    def update(
        self, meeting_id: Any, body: dict[str, Any], *, idempotency_key: str | None = None
    ) -> Call[dict[str, Any]]:
        """Change a meeting."""

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Call[bool]:
        """Remove a meeting; False: it was gone before."""
