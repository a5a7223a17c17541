"""HiringCenter's REST API v2 for meetings ("Create, list, and manage meetings"), under ``/v2``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, Security
from fastapi.security import HTTPBearer

from .api_request import ApiRequest
from .hiringcenter_models import (
    AuthEnvelope,
    CreateMeeting,
    ErrorEnvelope,
    ItemEnvelope,
    ListEnvelope,
    ListMeetings,
    MessageEnvelope,
    UpdateMeeting,
)
from .hiringcenter_table import HiringCenterTable
from .responses import ApiResponse
from .sandbox import Sandbox

ACCOUNT = "acct_sandbox"

_KEY_HEADER: dict[str, Any] = {
    "parameters": [
        {
            "name": "X-Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 512},
            "description": "Reuse the same key only when retrying the exact same request.",
        }
    ]
}
_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorEnvelope} for status in (400, 401, 429)}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorEnvelope}}
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorEnvelope}}


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(
        prefix="/v2", tags=["HiringCenter"], responses=_ERRORS, dependencies=[Security(HTTPBearer(auto_error=False))]
    )
    table = HiringCenterTable(sandbox)

    @routes.get("/auth", responses={200: {"model": AuthEnvelope}}, summary="Verify a key")
    async def auth(request: Request) -> Response:
        key = _api_request(request).key
        permissions = list(key.permissions) if key else []
        return ApiResponse.json(
            200, {"success": True, "accountId": ACCOUNT, "permissions": permissions, "active": True}
        ).to_response()

    @routes.get("/meetings", responses={200: {"model": ListEnvelope}}, summary="List Meetings")
    async def list_meetings(query: Annotated[ListMeetings, Query()]) -> Response:
        return table.page(query).to_response()

    @routes.post(
        "/meetings",
        status_code=201,
        responses={201: {"model": ItemEnvelope}, **_CONFLICT},
        openapi_extra=_KEY_HEADER,
        summary="Create Meeting",
    )
    async def create_meeting(request: Request, meeting: CreateMeeting) -> Response:
        return table.create(_api_request(request), meeting).to_response()

    @routes.get(
        "/meetings/{meetingId}", responses={200: {"model": ItemEnvelope}, **_MISSING}, summary="Get Meeting by ID"
    )
    async def get_meeting(meetingId: str) -> Response:  # noqa: N803 - the name in the vendor's path
        return table.item(200, table.find(meetingId)).to_response()

    async def update_meeting(request: Request, meetingId: str, changes: UpdateMeeting) -> Response:  # noqa: N803
        return table.update(_api_request(request), meetingId, changes).to_response()

    async def check_method(request: Request) -> None:
        if request.method not in sandbox.options.update_methods:
            raise HTTPException(405)

    # The page does not name the method of an update; POST follows from where idempotency keys are allowed.
    for method in ("POST", "PUT", "PATCH"):
        routes.add_api_route(
            "/meetings/{meetingId}",
            update_meeting,
            methods=[method],
            dependencies=[Depends(check_method)],
            responses={200: {"model": ItemEnvelope}, **_MISSING, **_CONFLICT},
            openapi_extra=_KEY_HEADER,
            operation_id=f"update_meeting_{method.lower()}",
            summary="Update Meeting",
        )

    @routes.delete(
        "/meetings/{meetingId}",
        responses={200: {"model": MessageEnvelope}, **_MISSING, **_CONFLICT},
        openapi_extra=_KEY_HEADER,
        summary="Delete Meeting",
    )
    async def delete_meeting(request: Request, meetingId: str) -> Response:  # noqa: N803
        return table.delete(_api_request(request), meetingId).to_response()

    return routes


def _api_request(request: Request) -> ApiRequest:
    api_request: ApiRequest = request.state.api_request
    return api_request
