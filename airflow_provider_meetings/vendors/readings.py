"""Reading a list whose pages may shift while they are turned: again, until two readings agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.exceptions import MeetingsProtocolError

__all__ = ["read_until_agreed", "unrepeated"]

T = TypeVar("T")

#: Readings of one list before giving up.
_MOST_READINGS = 5


def read_until_agreed(
    reading: Callable[[], Flow[tuple[Mapping[str, T], int]]], disagreement: MeetingsProtocolError
) -> Flow[Mapping[str, T]]:
    """Read a list until two readings have the same meetings.

    A meeting can slip through a reading unseen only if another one was seen twice in it, or if one that was seen went
    away, which the next reading shows. So a reading that saw one twice does not count.

    Args:
        reading: Reads it once: what it found, by id, and how many meetings its pages had.
        disagreement: The error for a list that is another one each time.

    Returns:
        What the last reading found.

    Raises:
        MeetingsProtocolError: The list was another one each time.
    """
    before: Mapping[str, T] | None = None
    for _ in range(_MOST_READINGS):
        found, seen = yield from reading()
        if before is not None and before.keys() == found.keys():
            return found
        before = found if seen == len(found) else None
    raise disagreement


def unrepeated(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the meetings of one answer, each once: one that comes twice, as a join in a database has it, is one."""
    by_id = {str(item.get("id")): item for item in reversed(items)}
    if len(by_id) == len(items):
        return items
    return [item for item in items if by_id[str(item.get("id"))] is item]
