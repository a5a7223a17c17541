"""Which meeting a task instance owns, as a key that stays the same however often the task is tried."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from airflow_provider_meetings.core.json_text import whole_text
from airflow_provider_meetings.core.plain import plain, plain_integer
from airflow_provider_meetings.exactly_once.journal import digest, header_safe
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.fields import NOTHING

__all__ = ["is_mapped", "key_for", "normalize_key"]


def is_mapped(ti: Any) -> bool:
    """Whether a task instance is one of a mapped task's."""
    return getattr(ti, "map_index", -1) not in {None, -1}


def key_for(ti: Any, body: Mapping[str, Any], given: Any = None, iteration: Any = None) -> tuple[str, bool]:
    """Return the key of the meeting that a task instance owns, and whether it is made of the meeting.

    It is the author's own key, or made of dag, run and task. Never of ``ti.id``, which is new for each try, nor of the
    try's number. A mapped task adds the fingerprint of its meeting, not its ``map_index``: after a clear, the same
    index may stand for another item of a list that changed.

    Args:
        ti: The task instance.
        body: The meeting to be sent.
        given: The author's ``idempotency_key``.
        iteration: The iteration of a loop (Airflow 3.4); each is a meeting of its own. None: it is in no loop.
    """
    own = normalize_key(given)
    if own is not None:
        return own, False
    parts = [ti.dag_id, ti.run_id, ti.task_id]
    if iteration is not None:
        parts.append(f"loop-{iteration}")
    by_digest = is_mapped(ti)
    if by_digest:
        parts.append(digest(body))
    return str(normalize_key("/".join(parts))), by_digest


def normalize_key(key: Any) -> str | None:
    """Return a key as a header can carry it, hashed where it cannot; None stays None.

    Raises:
        MeetingsConfigurationError: It is neither text nor an id, or stands for nothing: a template that came out empty,
            or the empty cells of a column, must not become one key for all meetings.
    """
    if key is None:
        return None
    value = plain_integer(plain(key))
    is_id = isinstance(value, int | uuid.UUID) and not isinstance(value, bool)
    text = str(value) if is_id else value
    if not isinstance(text, str) or not text.strip() or text.strip().lower() in NOTHING or whole_text(text) != text:
        raise MeetingsConfigurationError(
            f"idempotency_key is {key!r}: did a template come out empty? Nothing was sent."
        )
    return header_safe(text.strip())
