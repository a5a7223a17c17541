"""Changes that no API request makes: a user works in the vendor's app."""

import secrets
from typing import Any, Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from . import builderprime_table, hiringcenter_table
from .builderprime_table import BuilderPrimeTable
from .responses import Vendor
from .sandbox import Sandbox

TABLES: dict[Vendor, str] = {"hiringcenter": hiringcenter_table.TABLE, "builderprime": builderprime_table.TABLE}
_MODIFIED: dict[Vendor, str] = {"hiringcenter": "updatedAt", "builderprime": "lastModifiedDate"}


class OutsideEdit(BaseModel):
    """A change to a table. Fields are the table's columns; an edit also sets when the meeting was last modified."""

    model_config = ConfigDict(extra="forbid")

    vendor: Vendor
    op: Literal["insert", "edit", "delete", "cancel", "restore"] = Field(
        description="cancel and restore: Builder Prime only; a cancelled meeting stays in the list"
    )
    id: str | int | None = None
    meeting: dict[str, Any] = Field(default_factory=dict)
    meetings: list[dict[str, Any]] = Field(default_factory=list, description="insert: many at once")


class OutsideEditor:
    """Carries out such changes, and reads a vendor's calendar as its app shows it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._builderprime = BuilderPrimeTable(sandbox.store, sandbox.options)

    def carry_out(self, edit: OutsideEdit) -> dict[str, Any]:
        """Make a change and return what came of it: ``ids`` of what was inserted, else how many were ``changed``.

        Raises:
            HTTPException: The table has no such column, or the vendor no such operation (422).
        """
        self._check_columns(edit)
        table = TABLES[edit.vendor]
        with self._store.transaction():
            if edit.op == "insert":
                new = edit.meetings or [edit.meeting]
                return {"ids": [self._insert(edit.vendor, meeting) for meeting in new]}
            if edit.op == "delete":
                return {"changed": self._store.delete(table, edit.id)}
            changes = edit.meeting
            if edit.op in {"cancel", "restore"}:
                if edit.vendor != "builderprime":
                    raise HTTPException(422, "HiringCenter marks no meeting as cancelled; delete it instead")
                changes = {"isMeetingCancelled": int(edit.op == "cancel")}
            modified = {_MODIFIED[edit.vendor]: self._sandbox.clock.milliseconds()}
            return {"changed": self._store.update(table, edit.id, modified | changes)}

    def calendar(self, vendor: Vendor) -> list[dict[str, Any]]:
        """Return all meetings of a vendor, as it shows them, by start."""
        if vendor == "builderprime":
            return self._builderprime.calendar()
        rows = self._store.rows(f"SELECT * FROM {TABLES[vendor]} ORDER BY meetingDate, id")  # noqa: S608
        return [hiringcenter_table.present(row) for row in rows]

    def _check_columns(self, edit: OutsideEdit) -> None:
        """Refuse a column that the table does not have; names go into the SQL, so only known ones may."""
        known = {row["name"] for row in self._store.rows(f"PRAGMA table_info({TABLES[edit.vendor]})")}
        unknown = {name for meeting in (edit.meeting, *edit.meetings) for name in meeting} - known
        if unknown:
            raise HTTPException(
                422, f"unknown columns: {', '.join(sorted(unknown))}; the table has {', '.join(sorted(known))}"
            )

    def _insert(self, vendor: Vendor, meeting: dict[str, Any]) -> str | int:
        now = self._sandbox.clock.milliseconds()
        if vendor == "builderprime":
            row = {"title": "Outside edit", "startDateTime": now, "createdDate": now, "lastModifiedDate": now}
            return self._store.insert(TABLES[vendor], row | meeting)
        row = {
            "id": secrets.token_hex(16),
            "prospectId": secrets.token_hex(16),
            "meetingDate": now,
            "timeZone": "UTC",
            "meetingType": "virtual",
            "ownerId": secrets.token_hex(16),
            "createdByApi": 0,
            "createdAt": now,
            "updatedAt": now,
        } | meeting
        self._store.insert(TABLES[vendor], row)
        return str(row["id"])
