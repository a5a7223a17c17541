"""Builder Prime's API for meetings, their types and results, and employees, under ``/api``.

"Working with meetings through the API"; the employees are a page of their own with the same rules.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.security import APIKeyHeader

from .api_errors import ApiError, NotFoundError, invalid
from .api_request import ApiRequest
from .builderprime_models import (
    MAX_ID,
    DeletedEnvelope,
    EmployeesEnvelope,
    ErrorEnvelope,
    ListMeetings,
    MeetingBody,
    MeetingEnvelope,
    MeetingsEnvelope,
    Paging,
    ResultsEnvelope,
    TypesEnvelope,
)
from .builderprime_table import TABLE, BuilderPrimeTable
from .responses import ApiResponse
from .sandbox import Sandbox

_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorEnvelope} for status in (400, 401, 403)}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorEnvelope}}


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(
        prefix="/api",
        tags=["Builder Prime"],
        responses=_ERRORS,
        dependencies=[Security(APIKeyHeader(name="x-api-key", auto_error=False))],
    )
    _meetings(routes, sandbox)
    for name, scope, table, model in (
        ("meeting-types", "meetingtypes.read", "builderprime_types", TypesEnvelope),
        ("meeting-results", "meetingresults.read", "builderprime_results", ResultsEnvelope),
        ("employees", "employees.read", "builderprime_employees", EmployeesEnvelope),
    ):
        _reference(routes, sandbox, name, scope=scope, table=table, model=model)
    return routes


def _meetings(routes: APIRouter, sandbox: Sandbox) -> None:
    store, table = sandbox.store, BuilderPrimeTable(sandbox.store, sandbox.options)
    # page, "Action / Required API Key Scope"
    reading, creating = [_needs("meetings.read")], [_needs("meetings.create")]

    # Page: "If the <meetingId> is not specified in the path, the API will attempt to retrieve a list" and "... to
    # create a new meeting instead"; an empty id leaves the slash behind, so both spellings are the same address.
    @routes.get("/meetings/v1/", include_in_schema=False, dependencies=reading)
    @routes.get(
        "/meetings/v1", dependencies=reading, responses={200: {"model": MeetingsEnvelope}}, summary="List meetings"
    )
    async def list_meetings(query: Annotated[ListMeetings, Query()]) -> Response:
        return _data(table.page(query)).to_response()

    @routes.post("/meetings/v1/", include_in_schema=False, dependencies=creating)
    @routes.post(
        "/meetings/v1", dependencies=creating, responses={200: {"model": MeetingEnvelope}}, summary="Create a meeting"
    )
    async def create_meeting(request: Request, meeting: MeetingBody) -> Response:
        api_request = _api_request(request)
        with store.transaction():
            created = table.create(meeting, sandbox.clock.milliseconds())
            response = _data(created)
            sandbox.record_change(api_request, "created", created["id"], response)
        return response.to_response()

    @routes.get(
        "/meetings/v1/{meetingId}",
        dependencies=reading,
        responses={200: {"model": MeetingEnvelope}, **_MISSING},
        summary="Get a meeting",
    )
    async def get_meeting(meetingId: str) -> Response:  # noqa: N803 - the name in the vendor's path
        return _data(table.find(_number(meetingId))).to_response()

    @routes.post(
        "/meetings/v1/{meetingId}",
        dependencies=[_needs("meetings.edit")],
        responses={200: {"model": MeetingEnvelope}, **_MISSING},
        summary="Modify a meeting",
    )
    async def update_meeting(request: Request, meetingId: str, changes: MeetingBody) -> Response:  # noqa: N803
        api_request = _api_request(request)
        with store.transaction():
            response = _data(table.update(_number(meetingId), changes, sandbox.clock.milliseconds()))
            sandbox.record_change(api_request, "updated", _number(meetingId), response)
        return response.to_response()

    @routes.delete(
        "/meetings/v1/{meetingId}",
        dependencies=[_needs("meetings.delete")],
        responses={200: {"model": DeletedEnvelope}, **_MISSING},
        summary="Delete a meeting",
    )
    async def delete_meeting(request: Request, meetingId: str) -> Response:  # noqa: N803
        api_request = _api_request(request)
        with store.transaction():
            if not store.delete(TABLE, _number(meetingId)):
                raise NotFoundError
            response = ApiResponse.json(200, {"success": True})
            sandbox.record_change(api_request, "deleted", _number(meetingId), response)
        return response.to_response()


def _reference(routes: APIRouter, sandbox: Sandbox, name: str, *, scope: str, table: str, model: type) -> None:
    """Add the two routes of one kind of reference data."""
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
        return _data([_flags(row) for row in store.rows(sql, [query.limit, query.limit * query.page])]).to_response()

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
            raise NotFoundError(name.replace("-", " ").rstrip("s").capitalize())
        return _data(_flags(row)).to_response()


def _needs(scope: str) -> Any:
    """Make the dependency that refuses a key without a scope; it runs before anything of the request is validated."""

    async def check(request: Request) -> None:
        key = _api_request(request).key
        if key is None or scope not in key.permissions:
            raise ApiError(403, "Forbidden", f"The API key lacks the scope {scope}.")

    return Depends(check)


def _api_request(request: Request) -> ApiRequest:
    api_request: ApiRequest = request.state.api_request
    return api_request


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise invalid("the id in the path must be a number.")
    number = int(text[:20])
    if number > MAX_ID:
        raise NotFoundError
    return number


def _flags(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of reference data with its flags as JSON has them."""
    return {name: bool(value) if name.startswith(("is", "show")) else value for name, value in row.items()}


def _data(data: Any) -> ApiResponse:
    # page: the envelope of every response
    return ApiResponse.json(200, {"success": True, "data": data})
