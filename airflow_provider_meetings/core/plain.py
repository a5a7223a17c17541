"""Values that stand for others: an ``Enum``'s member is sent as its value, never as its name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a value with the members of enums in it replaced by their values; also inside of dicts and lists.

    What holds itself, or is nested too deeply, comes back as it is: whoever checks the value refuses it by name.
    """
    try:
        return _plain(value)
    except (RecursionError, TypeError):  # or a member's value is none that can be in a set
        return value


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {_plain(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(map(_plain, value)) if type(value) in {list, tuple, set} else value
    return value
