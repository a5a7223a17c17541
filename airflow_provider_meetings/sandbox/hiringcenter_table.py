"""HiringCenter's meetings in SQLite: reading, paging and changing them by the vendor's rules."""

import base64
import binascii
import json
import secrets
from typing import Any

from .api_errors import NotFoundError, invalid
from .api_request import ApiRequest
from .hiringcenter_models import CreateMeeting, ListMeetings, UpdateMeeting
from .responses import ApiResponse
from .sandbox import Sandbox
from .settings import Options

TABLE = "hiringcenter_meetings"


def present(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the vendor shows a meeting."""
    return row | {"createdByApi": bool(row["createdByApi"]), "review": None}


class HiringCenterTable:
    """Carries out the routes, each write in one transaction with its row of the request log and its stored response."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store

    @property
    def _options(self) -> Options:
        return self._sandbox.options

    def find(self, meeting_id: str) -> dict[str, Any]:
        """Return the row of a meeting.

        Raises:
            NotFoundError: There is none.
        """
        row = self._store.row(f"SELECT * FROM {TABLE} WHERE id = ?", [meeting_id])  # noqa: S608
        if row is None:
            raise NotFoundError
        return row

    def item(self, status: int, row: dict[str, Any]) -> ApiResponse:
        """Return one meeting in its envelope."""
        if self._options.envelope == "older":
            return ApiResponse.json(status, {"success": True, **present(row)})
        return ApiResponse.json(status, {"success": True, "item": present(row)})

    def create(self, request: ApiRequest, meeting: CreateMeeting) -> ApiResponse:
        """Add a meeting."""
        now = self._sandbox.clock.milliseconds()
        sent = meeting.model_dump(by_alias=True)
        user = sent.pop("userId") or None
        # page, userId: "When omitted, the meeting is created with createdBy=null, createdByApi=true, and includes
        # API key attribution metadata when available."
        key = None if user else request.key
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
            response = self.item(201, row)
            self._sandbox.record_change(request, "created", row["id"], response)
        return response

    def update(self, request: ApiRequest, meeting_id: str, changes: UpdateMeeting) -> ApiResponse:
        """Change what the body sends; what it omits stays."""
        sent = changes.model_dump(by_alias=True, exclude_unset=True)
        # page, userId: "Acting user id for authorization and audit context", so it is not a field of the meeting
        sent.pop("userId", None)
        with self._store.transaction():
            self.find(meeting_id)
            self._store.update(TABLE, meeting_id, sent | {"updatedAt": self._sandbox.clock.milliseconds()})
            response = self.item(200, self.find(meeting_id))
            self._sandbox.record_change(request, "updated", meeting_id, response)
        return response

    def delete(self, request: ApiRequest, meeting_id: str) -> ApiResponse:
        """Remove a meeting."""
        with self._store.transaction():
            if not self._store.delete(TABLE, meeting_id):
                raise NotFoundError
            response = ApiResponse.json(200, {"success": True, "message": "Meeting deleted."})
            self._sandbox.record_change(request, "deleted", meeting_id, response)
        return response

    def page(self, query: ListMeetings) -> ApiResponse:
        """Return one page of a list."""
        conditions, values = self._conditions(query)
        where = " AND ".join(conditions) or "1"
        current = self._options.envelope == "current"
        counted = current and self._options.total_count
        total = self._store.count(f"SELECT count(*) FROM {TABLE} WHERE {where}", values) if counted else 0  # noqa: S608
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
        rows, more = found[:limit], len(found) > limit
        token = self._token_fields(self._token(start + limit, rows[-1]) if more else None)
        payload: dict[str, Any] = {"success": True, "items": [present(row) for row in rows]}
        if self._top_level:
            payload |= token
        if current and (counted or not self._top_level):
            payload["pagination"] = ({} if self._top_level else token) | ({"totalCount": total} if counted else {})
        return ApiResponse.json(200, payload)

    @property
    def _top_level(self) -> bool:
        return self._options.envelope == "older" or self._options.next_page == "top-level"

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

    def _token_fields(self, token: str | None) -> dict[str, str | None]:
        """Return nextPageToken, as the last page has it where there is no further page."""
        if token is None and self._options.last_page == "absent":
            return {}
        return {"nextPageToken": "" if token is None and self._options.last_page == "empty" else token}


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
