"""HiringCenter's rules, after its page "Create, list, and manage meetings" and its overview (REST API v2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from airflow_provider_meetings.core.flow import Request
from airflow_provider_meetings.vendors.creates import KeyedVendor
from airflow_provider_meetings.vendors.fields import Field, FieldTable
from airflow_provider_meetings.vendors.hiringcenter_read import HiringCenterReader
from airflow_provider_meetings.vendors.matching import ComparableFields, same_moment, same_text
from airflow_provider_meetings.vendors.records import RecordMapping

__all__ = ["HiringCenter"]

_FIELDS = FieldTable(
    vendor="HiringCenter",
    zone_field="timeZone",
    table=(
        Field("prospectId", "id", "Prospect the meeting is associated with.", required=True, updatable=False),
        Field("meetingDate", "moment", "When the meeting takes place.", required=True),
        Field("timeZone", "time zone", "IANA time zone name for the meeting.", required=True),
        Field("meetingType", "label", "Meeting type label: phone, virtual, in-person, …", required=True),
        Field("ownerId", "id", "User who owns the meeting.", required=True),
        Field("userId", "id", "User creating the meeting; in an update, the acting user."),
        Field("location", "text", "Meeting location.", clearable=True, nullable=True),
        Field("notes", "text", "Internal notes.", clearable=True, nullable=True),
    ),
)

#: The page names no end, no title, no name of a prospect or an owner, and no cancelled meetings.
_RECORD_MAPPING = RecordMapping(
    vendor="hiringcenter",
    sources={
        "id": "id",
        "starts_at": "meetingDate",
        "time_zone": "timeZone",
        "type": "meetingType",
        "location": "location",
        "notes": "notes",
        "counterpart_id": "prospectId",
        "owner_id": "ownerId",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
)


_COMPARABLE: ComparableFields = {
    "prospectId": (("prospectId",), same_text),
    "meetingDate": (("meetingDate",), same_moment),
    "timeZone": (("timeZone",), same_text),
    "meetingType": (("meetingType",), same_text),
    "ownerId": (("ownerId",), same_text),
    "location": (("location",), same_text),
    "notes": (("notes",), same_text),
}


@dataclass(frozen=True, slots=True)
class HiringCenter(HiringCenterReader, KeyedVendor):
    """HiringCenter over one connection; see :class:`.Vendor` and :class:`.HiringCenterReader`.

    Attributes:
        update_method: The verb of an update; the page does not say it, the overview hints at POST.
        idempotency_window: Seconds for which the vendor keeps a key; its page does not say.
    """

    fields = _FIELDS
    filters: ClassVar[Mapping[str, str]] = {"prospectId": "id", "ownerId": "id", "meetingType": "label"}
    comparable_filters: ClassVar[Mapping[str, str]] = {name: name for name in filters}
    comparable_fields = _COMPARABLE
    record_mapping = _RECORD_MAPPING
    created_field = "createdAt"
    counterpart_field = "prospectId"
    #: "Update Meeting" takes no prospectId.
    counterpart_is_mutable = False

    update_method: str = field(kw_only=True)
    idempotency_window: float = field(kw_only=True)

    def update_request(self, path: str, body: bytes, key: str | None) -> Request:
        """Update Meeting."""
        return Request(self.update_method, path, body=body, idempotency_key=key, scope="meetings.edit")
