"""Builder Prime's bodies, queries and responses, as "Working with meetings through the API" has them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from .json_text import Text
from .query_model import Query

MAX_ID = 2**63 - 1
MAX_MS = 8_640_000_000_000_000
MAX_WINDOW_MS = 31 * 24 * 3600 * 1000


def _blank_is_none(value: Any) -> Any:
    """Page: "Providing a null or blank value ... will remove any data currently stored for that property"."""
    return None if isinstance(value, str) and not value.strip() else value


_Blank = BeforeValidator(_blank_is_none)
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
BlankId = Annotated[Id | None, _Blank]
BlankText = Annotated[Text | None, _Blank]
BlankMoment = Annotated[Annotated[int, Field(ge=-MAX_MS, le=MAX_MS)] | None, _Blank]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Employee(_Strict):
    """A meeting's employee. Page: "you can use their internal id, email address, or their firstName and lastName"."""

    id: Id | None = None
    email: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None

    @model_validator(mode="after")
    def _identifies(self) -> Self:
        if self.id is None and self.email is None and (self.first_name is None or self.last_name is None):
            raise ValueError("needs id, email, or firstName and lastName")
        return self


class Reminder(_Strict):
    """When to remind."""

    units_before: int = Field(ge=0, le=1_000_000)
    # the page shows MINUTES; the others are inferred
    unit_type: Literal["MINUTES", "HOURS", "DAYS", "WEEKS"]


class MeetingBody(_Strict):
    """The body of create and modify: the same fields, all of which may be omitted on modify."""

    client_opportunity_id: BlankId = None
    title: BlankText = None
    location: BlankText = None
    start_date_time: BlankMoment = Field(default=None, description="Epoch milliseconds; a new meeting needs it.")
    end_date_time: BlankMoment = None
    employee: Annotated[Employee | None, _Blank] = None
    meeting_type_id: BlankId = None
    # The page calls results "necessary for creating or modifying meeting records"; the field's name is inferred.
    meeting_result_id: BlankId = None
    reminders: Annotated[list[Reminder] | None, _Blank] = None


def _dashed(name: str) -> str:
    return name.replace("_", "-")


class Paging(Query):
    """The query of the reference lists. Page: limit at most 100, page from 0."""

    model_config = ConfigDict(alias_generator=_dashed)

    limit: int = Field(default=100, ge=1, le=100)
    page: int = Field(default=0, ge=0, le=10**12)


class ListMeetings(Paging):
    """The query of List Meetings."""

    opportunity_id: int | None = Field(default=None, ge=-MAX_ID, le=MAX_ID)
    employee_id: int | None = Field(default=None, ge=-MAX_ID, le=MAX_ID)
    start_date_from: int = Field(ge=-MAX_MS, le=MAX_MS)
    start_date_to: int = Field(ge=-MAX_MS, le=MAX_MS)

    @model_validator(mode="after")
    def _window(self) -> Self:
        # page, start-date-to: "It must be after start-date-from."
        if self.start_date_to <= self.start_date_from:
            raise ValueError("start-date-to must be after start-date-from")
        # not on the page, but seen on the real server: a window longer than 31 days is refused
        if self.start_date_to - self.start_date_from > MAX_WINDOW_MS:
            raise ValueError("the date range must not be longer than 31 days")
        return self


class Meeting(BaseModel):
    """A meeting as Builder Prime lists it; which fields there are depends on the option ``listed``."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: int
    title: str | None
    location: str | None
    start_date_time: int
    end_date_time: int | None
    employee_id: int | None
    is_meeting_cancelled: bool
    created_date: int
    employee_first_name: str | None
    employee_last_name: str | None
    client_first_name: str | None
    client_last_name: str | None
    client_id: int | None
    opportunity_id: int | None
    meeting_type_name: str | None


class MeetingType(BaseModel):
    """A kind of meeting."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: int
    name: str
    is_default_meeting_type: bool
    is_sales_meeting: bool


class MeetingResult(BaseModel):
    """An outcome of a meeting."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: int
    name: str
    is_sales_meeting: bool


class ListedEmployee(BaseModel):
    """An employee, as the vendor's page of that resource lists the fields."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: int
    first_name: str
    last_name: str
    email: str
    is_project_manager: bool
    is_sales_person: bool
    is_current_employee: bool
    is_active_user: bool
    show_in_sales_calendar_by_default: bool
    timezone: str = Field(description='such as "America/New York": with a space, so it is no IANA name')


class MeetingEnvelope(BaseModel):
    """One meeting in its envelope."""

    success: Literal[True]
    data: Meeting


class MeetingsEnvelope(BaseModel):
    """A page of meetings in its envelope."""

    success: Literal[True]
    data: list[Meeting]


class TypesEnvelope(BaseModel):
    """One meeting type, or a page of them."""

    success: Literal[True]
    data: MeetingType | list[MeetingType]


class ResultsEnvelope(BaseModel):
    """One meeting result, or a page of them."""

    success: Literal[True]
    data: MeetingResult | list[MeetingResult]


class EmployeesEnvelope(BaseModel):
    """One employee, or a page of them."""

    success: Literal[True]
    data: ListedEmployee | list[ListedEmployee]


class DeletedEnvelope(BaseModel):
    """The response to a delete."""

    success: Literal[True]


class ErrorItem(BaseModel):
    """One thing that is wrong."""

    code: str
    message: str


class ErrorEnvelope(BaseModel):
    """Builder Prime's error envelope."""

    success: Literal[False]
    errors: list[ErrorItem]
