"""What differs between the Airflow versions that this provider runs on (2.11 to 3.3), in one place."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

try:  # Airflow 3.3+, the task state store's
    from airflow.sdk.execution_time.context import NEVER_EXPIRE
except ImportError:
    NEVER_EXPIRE = None  # type: ignore[assignment]

__all__ = ["NEVER_EXPIRE", "aget_connection", "mask_secret"]


async def aget_connection(conn_id: str) -> Any:
    """Look a connection up without blocking the event loop. ``BaseHook.aget_connection`` is there from 3.1 on."""
    if hasattr(BaseHook, "aget_connection"):
        return await BaseHook.aget_connection(conn_id)
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - only there where it is needed

    return await sync_to_async(BaseHook.get_connection)(conn_id)
