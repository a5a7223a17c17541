"""HiringCenter's bodies, queries and responses, field by field as "Create, list, and manage meetings" has them."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from .json_text import Text
from .query_model import Query

# what JavaScript's Date, and so the vendor's milliseconds, can hold
MAX_MS = 8_640_000_000_000_000
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]|$)", re.ASCII)


def _milliseconds(value: Any) -> int:
    """Read a body's moment. Page: "Unix epoch milliseconds (integer) or ISO 8601 date string"."""
    if isinstance(value, int) and not isinstance(value, bool):
        milliseconds = value
    elif isinstance(value, str):
        try:
            # fromisoformat alone would take some runs of digits for dates
            moment = datetime.fromisoformat(value if _ISO_DATE.match(value) else "")
        except (ValueError, OverflowError):
            raise ValueError("must be epoch milliseconds or an ISO 8601 date") from None
        # The page is silent about a date without an offset; UTC, whatever the timeZone beside it says.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        milliseconds = round(moment.timestamp() * 1000)
    else:
        raise ValueError("must be epoch milliseconds or an ISO 8601 date")
    if abs(milliseconds) > MAX_MS:
        raise ValueError("is out of range")
    return milliseconds


def _query_milliseconds(value: Any) -> int:
    """Read a query's moment, which is always text."""
    text = str(value)
    return _milliseconds(int(text) if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() else text)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("must be an IANA time zone name")
    return value


_MOMENT = WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}]})
Moment = Annotated[int, PlainValidator(_milliseconds), _MOMENT]
QueryMoment = Annotated[int, PlainValidator(_query_milliseconds), _MOMENT]
Filled = Annotated[Text, AfterValidator(_not_blank), WithJsonSchema({"type": "string", "minLength": 1})]
Zone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["America/New_York"]})]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, title=None)


class CreateMeeting(_Strict):
    """The body of Create Meeting."""

    prospect_id: Filled = Field(description="Prospect id the meeting is associated with.")
    meeting_date: Moment = Field(description="Epoch milliseconds or an ISO 8601 date.")
    time_zone: Zone = Field(description="IANA time zone name.")
    meeting_type: Filled = Field(description="Meeting type label (for example, phone, virtual, in-person).")
    owner_id: Filled = Field(description="User id who owns the meeting.")
    user_id: Filled = Field(
        default="", description="User id creating the meeting; without it the API key is the creator."
    )
    location: Text | None = None
    notes: Text | None = None


class UpdateMeeting(_Strict):
    """The body of Update Meeting. What is omitted stays; null clears location and notes, and nothing else."""

    # The defaults are never used: only what was sent (model_fields_set) is applied.
    user_id: Filled = Field(default="", description="Acting user id for authorization and audit context.")
    meeting_date: Moment = 0
    time_zone: Zone = ""
    meeting_type: Filled = ""
    owner_id: Filled = ""
    location: Text | None = None
    notes: Text | None = None


class ListMeetings(Query):
    """The query of List Meetings."""

    model_config = ConfigDict(alias_generator=to_camel)

    prospect_id: str | None = None
    owner_id: str | None = None
    meeting_type: str | None = None
    meeting_date_after: QueryMoment | None = None
    meeting_date_before: QueryMoment | None = None
    limit: int = Field(default=50, ge=1, le=200)
    page_token: str | None = None


class Meeting(BaseModel):
    """A meeting as HiringCenter returns it."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: str
    prospect_id: str
    meeting_date: int
    time_zone: str
    meeting_type: str
    owner_id: str
    location: str | None
    notes: str | None
    created_by: str | None
    created_by_api: bool
    created_by_api_key_id: str | None
    created_by_api_key_name: str | None
    created_at: int
    updated_at: int
    review: None


class ItemEnvelope(BaseModel):
    """One meeting in its envelope."""

    success: bool
    item: Meeting


class Pagination(BaseModel):
    """Where the list goes on."""

    model_config = ConfigDict(alias_generator=to_camel)

    next_page_token: str | None = None
    total_count: int | None = None


class ListEnvelope(BaseModel):
    """A page of meetings in its envelope."""

    success: bool
    items: list[Meeting]
    pagination: Pagination


class MessageEnvelope(BaseModel):
    """The response to a delete."""

    success: bool
    message: str


class AuthEnvelope(BaseModel):
    """What HiringCenter knows about a key."""

    model_config = ConfigDict(alias_generator=to_camel)

    success: bool
    account_id: str
    permissions: list[str]
    active: bool


class ErrorEnvelope(BaseModel):
    """HiringCenter's error body."""

    error: str
    message: str
