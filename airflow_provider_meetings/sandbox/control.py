"""The control API, under ``/_control``: request log, tables, faults and options. It exists only with --control."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .fault_rules import FaultRule
from .outside_edits import TABLES, OutsideEdit, OutsideEditor
from .responses import Vendor
from .sandbox import Sandbox
from .settings import Options


class Age(BaseModel):
    """How much older every idempotency key becomes."""

    seconds: float = Field(gt=0)


class LogQuery(BaseModel):
    """Which rows of the request log to read."""

    model_config = ConfigDict(extra="forbid")

    vendor: Vendor | None = None
    method: str | None = None
    since: int = Field(default=0, description="only rows with a greater id")
    acted: bool | None = Field(default=None, description="only requests that changed a meeting, or only the others")


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/_control", tags=["Control"])
    _records(routes, sandbox)
    _behaviour(routes, sandbox)
    return routes


def _records(routes: APIRouter, sandbox: Sandbox) -> None:
    store, editor = sandbox.store, OutsideEditor(sandbox)

    @routes.get("/journal", summary="Read the request log")
    async def read_log(query: Annotated[LogQuery, Query()]) -> list[dict[str, Any]]:
        return sandbox.log.read(vendor=query.vendor, method=query.method, since=query.since, acted=query.acted)

    @routes.delete("/journal", summary="Clear the request log")
    async def clear_log() -> dict[str, int]:
        return {"deleted": sandbox.log.clear()}

    @routes.get("/meetings", summary="Read both tables of meetings")
    async def read_meetings() -> dict[str, list[dict[str, Any]]]:
        return {vendor: store.rows(f"SELECT * FROM {table} ORDER BY id") for vendor, table in TABLES.items()}  # noqa: S608

    @routes.post("/meetings", summary="Change a table as a user of the vendor's app would")
    async def edit_meetings(edit: OutsideEdit) -> dict[str, Any]:
        return editor.carry_out(edit)

    @routes.delete("/meetings", summary="Delete all meetings")
    async def clear_meetings() -> dict[str, int]:
        with store.transaction():
            return {vendor: store.execute(f"DELETE FROM {table}") for vendor, table in TABLES.items()}  # noqa: S608

    @routes.get("/calendar/{vendor}", summary="Read all meetings in the vendor's shape, by start")
    async def read_calendar(vendor: Vendor) -> list[dict[str, Any]]:
        return editor.calendar(vendor)

    @routes.get("/reference", summary="Read Builder Prime's reference data")
    async def read_reference() -> dict[str, list[dict[str, Any]]]:
        names = ("employees", "opportunities", "types", "results")
        return {name: store.rows(f"SELECT * FROM builderprime_{name} ORDER BY id") for name in names}  # noqa: S608


def _behaviour(routes: APIRouter, sandbox: Sandbox) -> None:
    @routes.get("/faults", summary="Read the faults and their hits")
    async def read_faults() -> list[dict[str, Any]]:
        return sandbox.faults.show()

    @routes.post("/faults", status_code=201, summary="Add a fault")
    async def add_fault(rule: FaultRule) -> dict[str, Any]:
        return sandbox.faults.add(rule)

    @routes.delete("/faults", summary="Remove all faults")
    async def clear_faults() -> dict[str, int]:
        return {"deleted": sandbox.faults.clear()}

    @routes.get("/settings", summary="Read the options")
    async def read_settings() -> Options:
        return sandbox.options

    @routes.post("/settings", summary="Change options", description="The body has new values by the options' names.")
    async def change_settings(changes: dict[str, Any]) -> Options:
        try:
            checked = Options.model_validate(sandbox.options.model_dump() | changes)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from error
        # the parts of the sandbox share this one object, so it is changed, not replaced
        for name in changes:
            setattr(sandbox.options, name, getattr(checked, name))
        return sandbox.options

    @routes.post("/idempotency/age", summary="Make all idempotency keys older")
    async def age_keys(age: Age) -> dict[str, int]:
        return {"aged": sandbox.keys.age(age.seconds)}

    @routes.post("/ratelimits/reset", summary="Open all windows of the rate limits anew")
    async def reset_limits() -> dict[str, bool]:
        sandbox.limiter.reset()
        return {"reset": True}
