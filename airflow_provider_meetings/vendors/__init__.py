"""One module a vendor, all of them pure: no clock, no socket, no Airflow."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_meetings.core.flow import Flow, PageFlow, Response
from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors.fields import FieldTable
from airflow_provider_meetings.vendors.matching import PendingCreate
from airflow_provider_meetings.vendors.records import RecordMapping

__all__ = ["Vendor"]


class Vendor(Protocol):
    """What every vendor module gives. Bodies are what ``check_meeting`` and ``check_changes`` return."""

    @property
    def fields(self) -> FieldTable:
        """The table of a meeting's fields."""

    @property
    def record_mapping(self) -> RecordMapping:
        """Where its meetings say what the common record has."""

    @property
    def retry_limits(self) -> RetryLimits:
        """How long a call may try."""

    @property
    def created_field(self) -> str:
        """Where a meeting says when it was made."""

    @property
    def counterpart_is_mutable(self) -> bool:
        """Whether an update can say whom a meeting is with."""

    @property
    def needs_presence_check(self) -> bool:
        """Whether what looks alike has to be known before a create, for want of idempotency keys."""

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Check a meeting to be made; return the body to send."""

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Check changes to a meeting; return the body to send."""

    def listing(self, window: Window, filters: Any = None) -> PageFlow:
        """List the meetings of a window."""

    def get(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Read one meeting."""

    def create(self, body: dict[str, Any], *, idempotency_key: str | None = None) -> Flow[dict[str, Any]]:
        """Make a meeting, once."""

    def book(self, body: dict[str, Any], key: str, known: frozenset[str] | None) -> Flow[dict[str, Any]]:
        """Make a meeting for the journal: under its key, knowing what looked alike before."""

    def resolve_create(self, pending_create: PendingCreate) -> Flow[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened; None: it did not, and cannot any more."""

    def lookalikes(self, body: dict[str, Any]) -> Flow[tuple[list[dict[str, Any]], Response]]:
        """List the meetings that equal a body in all that can be compared."""

    def matches(self, body: dict[str, Any], stored: dict[str, Any]) -> bool:
        """Whether a meeting equals a body in all that can be compared."""

    def fingerprint(self, stored: dict[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""

    def starts_at(self, body: dict[str, Any]) -> str:
        """When a meeting takes place."""

    def counterpart(self, body: dict[str, Any]) -> str:
        """Whom a meeting is with."""

    def update(
        self, meeting_id: Any, body: dict[str, Any], *, idempotency_key: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Change a meeting."""

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Flow[bool]:
        """Remove a meeting; False: it was gone before."""
