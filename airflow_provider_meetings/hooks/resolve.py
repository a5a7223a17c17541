"""The connection's type decides which hook serves it."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_meetings.connection.registry import VENDORS, load
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.hooks.connected import unknown_connection
from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.version_compat import aget_connection

__all__ = ["ahook_for", "hook_for", "record_mapping_of"]


def hook_for(meetings_conn_id: str) -> MeetingsHook[Any, Any]:
    """Return the hook for a connection.

    Raises:
        MeetingsConfigurationError: There is no such connection, or it is not one of this provider's.
        MeetingsTransportError: Airflow could not look the connection up.
    """
    try:
        conn = BaseHook.get_connection(meetings_conn_id)
    except AirflowNotFoundException as error:
        raise unknown_connection(meetings_conn_id) from error
    except Exception as error:
        raise MeetingsTransportError(
            f"Airflow cannot look up connection {meetings_conn_id!r} ({type(error).__name__}). Nothing was sent.",
            maybe_sent=False,
        ) from error
    return _hook(conn, meetings_conn_id)


async def ahook_for(meetings_conn_id: str) -> MeetingsHook[Any, Any]:
    """Return the hook for a connection as :func:`hook_for` does, without blocking the event loop.

    Raises:
        MeetingsConfigurationError: There is no such connection, or it is not one of this provider's.
        Exception: Whatever Airflow raises where the look-up fails.
    """
    try:
        return _hook(await aget_connection(meetings_conn_id), meetings_conn_id)
    except AirflowNotFoundException as error:
        raise unknown_connection(meetings_conn_id) from error


def record_mapping_of(conn_type: str) -> RecordMapping | None:
    """Return how the meetings of a connection type become common records; None: it is none of this provider's."""
    hook = _hook_type(conn_type)
    return None if hook is None else hook.record_mapping


def _hook_type(conn_type: str) -> type[MeetingsHook[Any, Any]] | None:
    entry = VENDORS.get(conn_type)
    if entry is None:
        return None
    hook: type[MeetingsHook[Any, Any]] = load(entry.hook)
    return hook


def _hook(conn: Any, meetings_conn_id: str) -> MeetingsHook[Any, Any]:
    hook = _hook_type(conn.conn_type)
    if hook is None:
        raise MeetingsConfigurationError(
            f"Connection {meetings_conn_id!r} is of type {conn.conn_type!r}; it has to be one of {', '.join(VENDORS)}."
        )
    return hook(meetings_conn_id, connection=conn)
