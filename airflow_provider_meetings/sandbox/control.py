"""The control API, under ``/_control``: the journal, the tables, faults and options. It exists only with --control."""

import secrets
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import builderprime_table, hiringcenter
from .answers import Vendor
from .faults import Rule
from .sandbox import Sandbox
from .settings import Options

_TABLES: dict[Vendor, str] = {"hiringcenter": hiringcenter.TABLE, "builderprime": builderprime_table.TABLE}


class Age(BaseModel):
    """How much older every idempotency key becomes."""

    seconds: float = Field(gt=0)


class OutsideEdit(BaseModel):
    """A change to a table that no API request made: somebody used the vendor's app. Fields are the table's columns."""

    model_config = ConfigDict(extra="forbid")

    vendor: Vendor
    op: Literal["insert", "edit", "delete"]
    id: str | int | None = None
    meeting: dict[str, Any] = Field(default_factory=dict)
    meetings: list[dict[str, Any]] = Field(default_factory=list, description="insert: many at once")


class JournalQuery(BaseModel):
    """Which rows of the journal to read."""

    model_config = ConfigDict(extra="forbid")

    vendor: Vendor | None = None
    method: str | None = None
    since: int = Field(default=0, description="only rows with a greater id")
    acted: bool | None = None


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/_control", tags=["Control"])
    _records(routes, sandbox)
    _behaviour(routes, sandbox)
    return routes


def _records(routes: APIRouter, sandbox: Sandbox) -> None:
    store = sandbox.store

    @routes.get("/journal")
    async def read_journal(query: Annotated[JournalQuery, Query()]) -> list[dict[str, Any]]:
        return sandbox.journal.read(vendor=query.vendor, method=query.method, since=query.since, acted=query.acted)

    @routes.delete("/journal")
    async def clear_journal() -> dict[str, int]:
        return {"deleted": sandbox.journal.clear()}

    @routes.get("/meetings")
    async def read_meetings() -> dict[str, list[dict[str, Any]]]:
        return {vendor: store.rows(f"SELECT * FROM {table} ORDER BY id") for vendor, table in _TABLES.items()}  # noqa: S608

    @routes.post("/meetings")
    async def edit_meetings(edit: OutsideEdit) -> dict[str, Any]:
        table = _TABLES[edit.vendor]
        _check_columns(sandbox, edit)
        with store.transaction():
            if edit.op == "insert":
                new = edit.meetings or [edit.meeting]
                return {"ids": [_insert(sandbox, edit.vendor, meeting) for meeting in new]}
            if edit.op == "edit":
                return {"changed": store.update(table, edit.id, edit.meeting)}
            return {"changed": store.delete(table, edit.id)}

    @routes.delete("/meetings")
    async def clear_meetings() -> dict[str, int]:
        with store.transaction():
            return {vendor: store.execute(f"DELETE FROM {table}") for vendor, table in _TABLES.items()}  # noqa: S608

    @routes.get("/reference")
    async def read_reference() -> dict[str, list[dict[str, Any]]]:
        names = ("employees", "opportunities", "types", "results")
        return {name: store.rows(f"SELECT * FROM builderprime_{name} ORDER BY id") for name in names}  # noqa: S608


def _behaviour(routes: APIRouter, sandbox: Sandbox) -> None:
    @routes.get("/faults")
    async def read_faults() -> list[dict[str, Any]]:
        return sandbox.faults.show()

    @routes.post("/faults", status_code=201)
    async def add_fault(rule: Rule) -> dict[str, Any]:
        return sandbox.faults.add(rule)

    @routes.delete("/faults")
    async def clear_faults() -> dict[str, int]:
        return {"deleted": sandbox.faults.clear()}

    @routes.get("/settings")
    async def read_settings() -> Options:
        return sandbox.options

    @routes.post("/settings")
    async def change_settings(changes: dict[str, Any]) -> Options:
        try:
            checked = Options.model_validate(sandbox.options.model_dump() | changes)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from error
        # the parts of the sandbox share this one object, so it is changed, not replaced
        for name in changes:
            setattr(sandbox.options, name, getattr(checked, name))
        return sandbox.options

    @routes.post("/idempotency/age")
    async def age_keys(age: Age) -> dict[str, int]:
        return {"aged": sandbox.keys.age(age.seconds)}

    @routes.post("/ratelimits/reset")
    async def reset_limits() -> dict[str, bool]:
        sandbox.limiter.reset()
        return {"reset": True}


def _check_columns(sandbox: Sandbox, edit: OutsideEdit) -> None:
    """Refuse a column that the table does not have; names go into the SQL, so only known ones may."""
    known = {row["name"] for row in sandbox.store.rows(f"PRAGMA table_info({_TABLES[edit.vendor]})")}
    unknown = {name for meeting in (edit.meeting, *edit.meetings) for name in meeting} - known
    if unknown:
        raise HTTPException(
            422, f"unknown columns: {', '.join(sorted(unknown))}; the table has {', '.join(sorted(known))}"
        )


def _insert(sandbox: Sandbox, vendor: Vendor, meeting: dict[str, Any]) -> str | int:
    now = int(time.time() * 1000)
    if vendor == "builderprime":
        row = {"title": "Outside edit", "startDateTime": now, "createdDate": now, "lastModifiedDate": now}
        return sandbox.store.insert(_TABLES[vendor], row | meeting)
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
    sandbox.store.insert(_TABLES[vendor], row)
    return str(row["id"])
