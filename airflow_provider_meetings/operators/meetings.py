"""The operators. They are the same for both vendors: the connection's type decides which hook serves them."""

from __future__ import annotations

from airflow_provider_meetings.operators.changes import ListMeetingChangesOperator
from airflow_provider_meetings.operators.reading import GetMeetingOperator, ListMeetingsOperator
from airflow_provider_meetings.operators.syncing import SyncMeetingsOperator
from airflow_provider_meetings.operators.writing import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    UpdateMeetingOperator,
)

__all__ = [
    "CreateMeetingOperator",
    "DeleteMeetingOperator",
    "GetMeetingOperator",
    "ListMeetingChangesOperator",
    "ListMeetingsOperator",
    "SyncMeetingsOperator",
    "UpdateMeetingOperator",
]
