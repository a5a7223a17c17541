"""HiringCenter's REST API v2 for meetings ("Create, list, and manage meetings"), under ``/v2``."""

import base64
import binascii
import json
import secrets
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, Security
from fastapi.security import HTTPBearer

from .answers import Answer, invalid, not_found
from .call import Call
from .hiringcenter_models import (
    AuthAnswer,
    CreateMeeting,
    ErrorAnswer,
    ItemAnswer,
    ListAnswer,
    ListMeetings,
    MessageAnswer,
    UpdateMeeting,
)
from .sandbox import Sandbox
from .settings import Options

TABLE = "hiringcenter_meetings"
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
_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorAnswer} for status in (400, 401, 429)}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer}}
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorAnswer}}


def present(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the vendor shows a meeting."""
    return row | {"createdByApi": bool(row["createdByApi"]), "review": None}


def router(sandbox: Sandbox) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(
        prefix="/v2", tags=["HiringCenter"], responses=_ERRORS, dependencies=[Security(HTTPBearer(auto_error=False))]
    )
    desk = _Desk(sandbox)

    @routes.get("/auth", responses={200: {"model": AuthAnswer}}, summary="Verify a key")
    async def auth(request: Request) -> Response:
        key = _call(request).key
        permissions = list(key.permissions) if key else []
        return Answer.json(
            200, {"success": True, "accountId": ACCOUNT, "permissions": permissions, "active": True}
        ).response()

    @routes.get("/meetings", responses={200: {"model": ListAnswer}}, summary="List Meetings")
    async def list_meetings(query: Annotated[ListMeetings, Query()]) -> Response:
        return desk.page(query).response()

    @routes.post(
        "/meetings",
        status_code=201,
        responses={201: {"model": ItemAnswer}, **_CONFLICT},
        openapi_extra=_KEY_HEADER,
        summary="Create Meeting",
    )
    async def create_meeting(request: Request, meeting: CreateMeeting) -> Response:
        return desk.create(_call(request), meeting).response()

    @routes.get(
        "/meetings/{meetingId}", responses={200: {"model": ItemAnswer}, **_MISSING}, summary="Get Meeting by ID"
    )
    async def get_meeting(meetingId: str) -> Response:  # noqa: N803 - the name in the vendor's path
        return desk.item(200, desk.find(meetingId)).response()

    async def update_meeting(request: Request, meetingId: str, changes: UpdateMeeting) -> Response:  # noqa: N803
        return desk.update(_call(request), meetingId, changes).response()

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
            responses={200: {"model": ItemAnswer}, **_MISSING, **_CONFLICT},
            openapi_extra=_KEY_HEADER,
            operation_id=f"update_meeting_{method.lower()}",
            summary="Update Meeting",
        )

    @routes.delete(
        "/meetings/{meetingId}",
        responses={200: {"model": MessageAnswer}, **_MISSING, **_CONFLICT},
        openapi_extra=_KEY_HEADER,
        summary="Delete Meeting",
    )
    async def delete_meeting(request: Request, meetingId: str) -> Response:  # noqa: N803
        return desk.delete(_call(request), meetingId).response()

    return routes


def _call(request: Request) -> Call:
    call: Call = request.state.call
    return call


class _Desk:
    """Does what the routes ask for, each write in one transaction with its journal entry and its stored answer."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store

    @property
    def _options(self) -> Options:
        return self._sandbox.options

    def find(self, meeting_id: str) -> dict[str, Any]:
        row = self._store.row(f"SELECT * FROM {TABLE} WHERE id = ?", [meeting_id])  # noqa: S608
        if row is None:
            raise not_found()
        return row

    def item(self, status: int, row: dict[str, Any]) -> Answer:
        if self._options.envelope == "older":
            return Answer.json(status, {"success": True, **present(row)})
        return Answer.json(status, {"success": True, "item": present(row)})

    def create(self, call: Call, meeting: CreateMeeting) -> Answer:
        now = int(time.time() * 1000)
        sent = meeting.model_dump(by_alias=True)
        user = sent.pop("userId") or None
        # page, userId: "When omitted, the meeting is created with createdBy=null, createdByApi=true, and includes
        # API key attribution metadata when available."
        key = None if user else call.key
        row = {
            "id": secrets.token_hex(16),
            **sent,
            "createdBy": user,
            "createdByApi": int(user is None),
            "createdByApiKeyId": key.id if key else None,
            "createdByApiKeyName": key.name if key else None,
            "createdAt": now,
            "updatedAt": now,
        }
        with self._store.transaction():
            self._store.insert(TABLE, row)
            answer = self.item(201, row)
            self._sandbox.acted(call, "created", row["id"], answer)
        return answer

    def update(self, call: Call, meeting_id: str, changes: UpdateMeeting) -> Answer:
        sent = changes.model_dump(by_alias=True, exclude_unset=True)
        # page, userId: "Acting user id for authorization and audit context", so it is not a field of the meeting
        sent.pop("userId", None)
        with self._store.transaction():
            self.find(meeting_id)
            self._store.update(TABLE, meeting_id, sent | {"updatedAt": int(time.time() * 1000)})
            answer = self.item(200, self.find(meeting_id))
            self._sandbox.acted(call, "updated", meeting_id, answer)
        return answer

    def delete(self, call: Call, meeting_id: str) -> Answer:
        with self._store.transaction():
            if not self._store.delete(TABLE, meeting_id):
                raise not_found()
            answer = Answer.json(200, {"success": True, "message": "Meeting deleted."})
            self._sandbox.acted(call, "deleted", meeting_id, answer)
        return answer

    def page(self, query: ListMeetings) -> Answer:
        conditions, values = self._conditions(query)
        where = " AND ".join(conditions) or "1"
        total = self._store.count(f"SELECT count(*) FROM {TABLE} WHERE {where}", values)  # noqa: S608
        limit = min(query.limit, self._options.page_cap or query.limit)
        # an empty token is how some clients say "from the start"
        start, keyset = _read_token(query.page_token) if query.page_token else (0, None)
        if keyset is not None:
            where += " AND (meetingDate, id) < (?, ?)"
            values += keyset
        # page: "ordered by meeting date (latest/furthest-out first)"; the tie break is the sandbox's
        found = self._store.rows(
            f"SELECT * FROM {TABLE} WHERE {where} ORDER BY meetingDate DESC, id DESC LIMIT ? OFFSET ?",  # noqa: S608
            [*values, limit + 1, start],
        )
        page, more = found[:limit], len(found) > limit
        token = self._token(start + limit, page[-1]) if more else None
        items = [present(row) for row in page]
        if self._options.envelope == "older":
            return Answer.json(200, {"success": True, "items": items, "nextPageToken": token})
        return Answer.json(
            200, {"success": True, "items": items, "pagination": {"nextPageToken": token, "totalCount": total}}
        )

    def _conditions(self, query: ListMeetings) -> tuple[list[str], list[Any]]:
        after = ">" if self._options.bounds == "exclusive" else ">="
        before = "<=" if self._options.bounds == "inclusive" else "<"
        terms = [
            ("prospectId = ?", query.prospect_id),
            ("ownerId = ?", query.owner_id),
            ("meetingType = ?", query.meeting_type),
            (f"meetingDate {after} ?", query.meeting_date_after),
            (f"meetingDate {before} ?", query.meeting_date_before),
        ]
        return [term for term, value in terms if value is not None], [value for _, value in terms if value is not None]

    def _token(self, offset: int, last: dict[str, Any]) -> str:
        content = [offset] if self._options.tokens == "offset" else [last["meetingDate"], last["id"]]
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, list[Any] | None]:
    """Return an offset, or where a keyset goes on; a token says itself which of the two it is."""
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid("pageToken is not valid.") from None
    match content:
        case [int(offset)] if 0 < offset <= 2**62:
            return offset, None
        case [int(moment), str(meeting_id)] if abs(moment) <= 2**62:
            return 0, [moment, meeting_id]
        case _:
            raise invalid("pageToken is not valid.")
