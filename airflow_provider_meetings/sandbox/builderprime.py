"""Builder Prime's API for meetings, types and results ("Working with meetings through the API"), under ``/api``."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.security import APIKeyHeader

from .answers import Answer, Refusal, invalid, not_found
from .builderprime_models import (
    MAX_ID,
    DeletedAnswer,
    ErrorAnswer,
    ListMeetings,
    MeetingAnswer,
    MeetingBody,
    MeetingsAnswer,
    Paging,
    ResultsAnswer,
    TypesAnswer,
)
from .builderprime_table import TABLE, BuilderPrimeTable
from .call import Call
from .sandbox import Sandbox

_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorAnswer} for status in (400, 401, 403)}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer}}


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(
        prefix="/api",
        tags=["Builder Prime"],
        responses=_ERRORS,
        dependencies=[Security(APIKeyHeader(name="x-api-key", auto_error=False))],
    )
    _meetings(routes, sandbox)
    _reference(
        routes, sandbox, "meeting-types", scope="meetingtypes.read", table="builderprime_types", model=TypesAnswer
    )
    _reference(
        routes,
        sandbox,
        "meeting-results",
        scope="meetingresults.read",
        table="builderprime_results",
        model=ResultsAnswer,
    )
    return routes


def _meetings(routes: APIRouter, sandbox: Sandbox) -> None:
    store, table = sandbox.store, BuilderPrimeTable(sandbox.store, sandbox.options)
    # page, "Action / Required API Key Scope"
    reading, creating = [_needs("meetings.read")], [_needs("meetings.create")]

    # Page: "If the <meetingId> is not specified in the path, the API will attempt to retrieve a list" and "... to
    # create a new meeting instead"; an empty id leaves the slash behind, so both spellings are the same address.
    @routes.get("/meetings/v1/", include_in_schema=False, dependencies=reading)
    @routes.get(
        "/meetings/v1", dependencies=reading, responses={200: {"model": MeetingsAnswer}}, summary="List meetings"
    )
    async def list_meetings(query: Annotated[ListMeetings, Query()]) -> Response:
        return _data(table.page(query)).response()

    @routes.post("/meetings/v1/", include_in_schema=False, dependencies=creating)
    @routes.post(
        "/meetings/v1", dependencies=creating, responses={200: {"model": MeetingAnswer}}, summary="Create a meeting"
    )
    async def create_meeting(request: Request, meeting: MeetingBody) -> Response:
        call = _call(request)
        with store.transaction():
            created = table.create(meeting, _now())
            answer = _data(created)
            sandbox.acted(call, "created", created["id"], answer)
        return answer.response()

    @routes.get(
        "/meetings/v1/{meetingId}",
        dependencies=reading,
        responses={200: {"model": MeetingAnswer}, **_MISSING},
        summary="Get a meeting",
    )
    async def get_meeting(meetingId: str) -> Response:  # noqa: N803 - the name in the vendor's path
        return _data(table.find(_number(meetingId))).response()

    @routes.post(
        "/meetings/v1/{meetingId}",
        dependencies=[_needs("meetings.edit")],
        responses={200: {"model": MeetingAnswer}, **_MISSING},
        summary="Modify a meeting",
    )
    async def update_meeting(request: Request, meetingId: str, changes: MeetingBody) -> Response:  # noqa: N803
        call = _call(request)
        with store.transaction():
            answer = _data(table.update(_number(meetingId), changes, _now()))
            sandbox.acted(call, "updated", _number(meetingId), answer)
        return answer.response()

    @routes.delete(
        "/meetings/v1/{meetingId}",
        dependencies=[_needs("meetings.delete")],
        responses={200: {"model": DeletedAnswer}, **_MISSING},
        summary="Delete a meeting",
    )
    async def delete_meeting(request: Request, meetingId: str) -> Response:  # noqa: N803
        call = _call(request)
        with store.transaction():
            if not store.delete(TABLE, _number(meetingId)):
                raise not_found()
            answer = Answer.json(200, {"success": True})
            sandbox.acted(call, "deleted", _number(meetingId), answer)
        return answer.response()


def _reference(routes: APIRouter, sandbox: Sandbox, name: str, *, scope: str, table: str, model: type) -> None:
    """Add the two routes of "Meeting Reference Data Queries" for types or results."""
    store, reading = sandbox.store, [_needs(scope)]

    @routes.get(f"/{name}/v1/", include_in_schema=False, dependencies=reading)
    @routes.get(
        f"/{name}/v1",
        dependencies=reading,
        responses={200: {"model": model}},
        summary=f"List {name}",
        operation_id=f"list_{name}",
    )
    async def list_reference(query: Annotated[Paging, Query()]) -> Response:
        sql = f"SELECT * FROM {table} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608
        return _data([_flags(row) for row in store.rows(sql, [query.limit, query.limit * query.page])]).response()

    @routes.get(
        f"/{name}/v1/{{id}}",
        dependencies=reading,
        responses={200: {"model": model}, **_MISSING},
        summary=f"Get one of {name}",
        operation_id=f"get_{name}",
    )
    async def get_reference(id: str) -> Response:  # noqa: A002 - the name in the path
        row = store.row(f"SELECT * FROM {table} WHERE id = ?", [_number(id)])  # noqa: S608
        if row is None:
            raise not_found(name.replace("-", " ").rstrip("s").capitalize())
        return _data(_flags(row)).response()


def _needs(scope: str) -> Any:
    """Make the dependency that refuses a key without a scope; it runs before anything of the request is validated."""

    async def check(request: Request) -> None:
        key = _call(request).key
        if key is None or scope not in key.permissions:
            raise Refusal(403, "Forbidden", f"The API key lacks the scope {scope}.")

    return Depends(check)


def _call(request: Request) -> Call:
    call: Call = request.state.call
    return call


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise invalid("the id in the path must be a number.")
    number = int(text[:20])
    if number > MAX_ID:
        raise not_found()
    return number


def _flags(row: dict[str, Any]) -> dict[str, Any]:
    return {name: bool(value) if name.startswith("is") else value for name, value in row.items()}


def _data(data: Any) -> Answer:
    # page: the envelope of every answer
    return Answer.json(200, {"success": True, "data": data})


def _now() -> int:
    return int(time.time() * 1000)
