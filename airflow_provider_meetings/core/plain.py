"""Values that stand for others: an ``Enum``'s member is sent as its value, a whole number of any kind as an int."""

from __future__ import annotations

import decimal
import operator
from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["plain", "plain_integer"]

# Decimal digits of the longest number that is written out: 1E+999999 is short as text alone.
_MOST_DIGITS = 40


def plain(value: Any) -> Any:
    """Return a value with the members of enums in it replaced by their values; also inside of dicts and lists.

    What holds itself, or is nested too deeply, comes back as it is: the check of the value refuses it by name.
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


def plain_integer(value: Any) -> Any:
    """Return numpy's and pandas' integers, whole floats and whole Decimals as int; anything else as it is."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, decimal.Decimal):
        is_whole = value.is_finite() and value.adjusted() < _MOST_DIGITS and value == value.to_integral_value()
        return int(value) if is_whole else value
    try:
        return operator.index(value)
    except TypeError:
        return value
