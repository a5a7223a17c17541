"""Builder Prime's rules, after its page "Working with meetings through the API"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_meetings.core.json_text import whole_text
from airflow_provider_meetings.vendors.builderprime_read import BuilderPrimeReader
from airflow_provider_meetings.vendors.builderprime_types import TYPE_ID, TYPE_NAME, as_named
from airflow_provider_meetings.vendors.creates import KeylessVendor
from airflow_provider_meetings.vendors.fields import Field, FieldTable, identifier, whole_number
from airflow_provider_meetings.vendors.matching import ComparableFields, same_moment, same_name, same_number, same_text
from airflow_provider_meetings.vendors.records import RecordMapping

__all__ = ["BuilderPrime"]


def _employee(value: Any) -> dict[str, Any]:
    """Read an employee: "you can use their internal id, email address, or their firstName and lastName"."""
    if not isinstance(value, Mapping):
        raise ValueError('must be a dict: {"id": 50}, {"email": "…"} or {"firstName": "…", "lastName": "…"}')
    unknown = sorted(str(name) for name in set(value) - {"id", "email", "firstName", "lastName"})
    if unknown:
        raise ValueError(f"has parts that an employee has not: {', '.join(unknown)}")
    employee: dict[str, Any] = {}
    for name, part in value.items():
        if part is None or (isinstance(part, str) and not part.strip()):
            raise ValueError(f"{name} is empty: did a template come out empty?")
        employee[name] = whole_number(part) if name == "id" else identifier(part)
    if not ({"id", "email"} & set(employee) or {"firstName", "lastName"} <= set(employee)):
        raise ValueError("needs an id, an email, or firstName and lastName")
    return employee


def _reminders(value: Any) -> list[dict[str, Any]]:
    """Read reminders: ``[{"unitsBefore": 30, "unitType": "MINUTES"}]``."""
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list such as [{"unitsBefore": 30, "unitType": "MINUTES"}]')
    reminders = []
    for item in value:
        if not isinstance(item, Mapping) or set(item) != {"unitsBefore", "unitType"}:
            raise ValueError("each needs exactly unitsBefore and unitType")
        unit = item["unitType"]
        if not isinstance(unit, str) or not unit.strip() or whole_text(unit) != unit:
            raise ValueError("unitType must be text, such as MINUTES")
        reminders.append({"unitsBefore": whole_number(item["unitsBefore"]), "unitType": unit})
    return reminders


_FIELDS = FieldTable(
    vendor="Builder Prime",
    span_fields=("startDateTime", "endDateTime"),
    own_kinds={"employee": _employee, "reminders": _reminders},
    blank_erases=True,  # "Providing a null or blank value … will remove any data currently stored"
    table=(
        Field("clientOpportunityId", "number", "The opportunity that the meeting is for.", clearable=True),
        Field("title", "text", "Title.", clearable=True),
        Field("location", "text", "Where it takes place.", clearable=True),
        Field("startDateTime", "moment", "When it begins.", required=True),
        Field("endDateTime", "moment", "When it ends.", clearable=True),
        Field("employee", "employee", "Who goes: by id, by email, or by firstName and lastName.", clearable=True),
        Field("meetingTypeId", "number", "One of the account's meeting types.", clearable=True),
        Field("meetingResultId", "number", "One of the account's meeting results.", clearable=True),
        Field("reminders", "reminders", "Reminders, in units before the start.", clearable=True),
    ),
)

#: The fields of a listed meeting, which is not the shape that create takes. It has neither a time zone nor notes.
_RECORD_MAPPING = RecordMapping(
    vendor="builderprime",
    sources={
        "id": "id",
        "starts_at": "startDateTime",
        "ends_at": "endDateTime",
        "title": "title",
        "type": "meetingTypeName",
        "location": "location",
        "counterpart_id": "opportunityId",
        "counterpart_name": ("clientFirstName", "clientLastName"),
        "owner_id": "employeeId",
        "owner_name": ("employeeFirstName", "employeeLastName"),
        "cancelled": "isMeetingCancelled",
        "created_at": "createdDate",
        "updated_at": "lastModifiedDate",
    },
)


#: The shape that create takes and the shapes that come back differ; what is not here cannot be compared.
_COMPARABLE: ComparableFields = {
    "clientOpportunityId": (("opportunityId", "clientOpportunityId"), same_number),
    "title": (("title",), same_text),
    "location": (("location",), same_text),
    "startDateTime": (("startDateTime",), same_moment),
    "endDateTime": (("endDateTime",), same_moment),
    "meetingTypeId": (("meetingTypeId",), same_number),
    "meetingResultId": (("meetingResultId",), same_number),
    "employee.id": (("employeeId",), same_number),
    "employee.email": (("employeeEmail",), same_name),
    "employee.firstName": (("employeeFirstName",), same_name),
    "employee.lastName": (("employeeLastName",), same_name),
}


@dataclass(frozen=True, slots=True)
class BuilderPrime(BuilderPrimeReader, KeylessVendor):
    """Builder Prime over one connection; see :class:`.Vendor` and :class:`.BuilderPrimeReader`."""

    fields = _FIELDS
    filters: ClassVar[Mapping[str, str]] = {"opportunity-id": "number", "employee-id": "number"}
    #: A listed meeting tells its opportunity. Whether the other filter looks at `employeeId` alone is not known.
    comparable_filters: ClassVar[Mapping[str, str]] = {"opportunity-id": "opportunityId"}
    declared_filters: ClassVar[Mapping[str, str]] = {"employee-id": "employee.id"}
    comparable_fields = _COMPARABLE
    name_fields: ClassVar[Mapping[str, str]] = {TYPE_NAME: TYPE_ID}
    record_mapping = _RECORD_MAPPING
    created_field = "createdDate"
    cancelled_field = "isMeetingCancelled"
    counterpart_field = "clientOpportunityId"
    counterpart_is_mutable = True

    def as_named(self, given: Any) -> dict[str, Any] | None:
        """Return a meeting as a dict where it gives its type's name; see :func:`.builderprime_types.as_named`."""
        return as_named(given)
