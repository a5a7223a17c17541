"""One module a vendor, all of them pure: no clock, no socket, no Airflow."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_meetings.core.flow import Call, Listing, Response
from airflow_provider_meetings.core.retry import Patience
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.fields import Fields
from airflow_provider_meetings.vendors.matching import Intent

__all__ = ["Vendor"]


class Vendor(Protocol):
    """What every vendor module gives. Bodies are what ``check_meeting`` and ``check_changes`` return."""

    @property
    def fields(self) -> Fields:
        """The table of a meeting's fields."""

    @property
    def patience(self) -> Patience:
        """How long a call may try."""

    @property
    def created_field(self) -> str:
        """Where a meeting says when it was made."""

    @property
    def party_can_change(self) -> bool:
        """Whether an update can say whom a meeting is with."""

    @property
    def looks_before_create(self) -> bool:
        """Whether what looks alike has to be known before a create, for want of idempotency keys."""

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

    def book(self, body: dict[str, Any], key: str, known: frozenset[str] | None) -> Call[dict[str, Any]]:
        """Make a meeting for the ledger: under its key, knowing what looked alike before."""

    def settle(self, intent: Intent) -> Call[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened; None: it did not, and cannot any more."""

    def lookalikes(self, body: dict[str, Any]) -> Call[tuple[list[dict[str, Any]], Response]]:
        """List the meetings that equal a body in all that can be compared."""

    def equal(self, body: dict[str, Any], stored: dict[str, Any]) -> bool:
        """Whether a meeting equals a body in all that can be compared."""

    def glimpse(self, stored: dict[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""

    def moment(self, body: dict[str, Any]) -> str:
        """When a meeting takes place."""

    def party(self, body: dict[str, Any]) -> str:
        """Whom a meeting is with."""

    def update(
        self, meeting_id: Any, body: dict[str, Any], *, idempotency_key: str | None = None
    ) -> Call[dict[str, Any]]:
        """Change a meeting."""

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Call[bool]:
        """Remove a meeting; False: it was gone before."""
