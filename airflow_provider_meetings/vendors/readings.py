"""Reading a list whose pages may shift while they are turned: again, until two readings agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.exceptions import MeetingsProtocolError

__all__ = ["read_until_agreed", "unrepeated", "values_of"]

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


def values_of(items: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """Return a field of each item, None where it has none."""
    try:
        return list(map(itemgetter(name), items))  # at once: an answer has hundreds
    except KeyError:
        return [item.get(name) for item in items]


def unrepeated(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the meetings of one answer, each once: one that comes twice, as a join in a database has it, is one."""
    ids = values_of(items, "id")
    if len(set(map(type, ids))) == 1 and isinstance(ids[0], str | int) and len(set(ids)) == len(ids):
        return items
    by_id = {str(item.get("id")): item for item in reversed(items)}
    if len(by_id) == len(items):
        return items
    return [item for item in items if by_id[str(item.get("id"))] is item]
