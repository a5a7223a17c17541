"""The values that a meeting must have: what a DAG author or a template gives, as plain JSON, and how it compares."""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

from airflow_provider_meetings.connection.registry import moment_fields
from airflow_provider_meetings.core.json_text import whole_text
from airflow_provider_meetings.core.plain import plain_integer
from airflow_provider_meetings.core.times import date_in_digits, to_epoch_ms

__all__ = ["canonical", "check_wanted", "same_value", "text_as_bool", "text_as_moment"]

_BRACKETS = {"[": "]", "{": "}", "(": ")"}
# What a template that is not rendered as a native object makes of a lazy value.
_LAZY_TEXT = re.compile(
    r"<generator object |<?Lazy\w*Sequence\b|<map object |dict_(keys|values|items)\("
    r"|(frozenset|deque|array|Index|RangeIndex)\(.*\)$"
    # numpy's, which has no commas
    r"|\[-?[0-9.]+(\s+-?[0-9.]+)+\]$|\['[^']*'(\s+'[^']*')+\]$",
    re.DOTALL,
)
_DIGITS = re.compile(r"-?[0-9]+", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_NO_LISTS = (str, bytes, bytearray, memoryview, Mapping, Enum)
_IS_A_DATE = "{!r} is a number of milliseconds: is {} meant? Write it so, with an offset or Z"
_ARE_SECONDS = "{!r} is a moment before 1973 when taken as milliseconds: are these seconds?"
# Unix milliseconds before 1973, which are seconds of this century more probably.
_SECONDS = range(1, 100_000_000_000)


def check_wanted(name: str, wanted: Any) -> Any:
    """Return what a field must be as plain JSON: one value, or a list of them.

    Lists of any kind become lists, sets in an order of their own; aware moments become Unix milliseconds.

    Args:
        name: The field.
        wanted: A value, any iterable of values, or the text of a list as a template renders it.

    Raises:
        ValueError: No meeting can match it; the text says why.
    """
    if isinstance(wanted, str):
        wanted = _list_from_text(wanted)
    if isinstance(wanted, Mapping):
        raise ValueError(
            "is a dict, such as a whole meeting, which no field equals: give one field of it, such as "
            "`book.output['id']`"
        )
    is_moment = name in moment_fields()
    if not _is_list(wanted):
        return _plain(wanted, is_moment=is_moment)
    values = [_plain(value, is_moment=is_moment) for value in wanted]
    if not values:
        raise ValueError("is an empty list, which no meeting matches")
    return canonical(values) if isinstance(wanted, AbstractSet) else values


def canonical(wanted: Any) -> Any:
    """Return a list of wanted values in the one order that equal lists have, each value once; a value as it is."""
    if not isinstance(wanted, list):
        return wanted
    return [json.loads(text) for text in sorted({json.dumps(value, default=str) for value in wanted})]


def same_value(stored: Any, wanted: Any) -> bool:
    """Whether a stored value is the wanted one, be that written as digits, as true or false, or as ISO text."""
    if isinstance(stored, bool) and isinstance(wanted, str):
        return stored is text_as_bool(wanted)
    if stored is None or wanted is None or isinstance(stored, bool) or isinstance(wanted, bool):
        return stored is wanted
    # Templates render numbers as text.
    if stored == wanted or str(stored) == str(wanted):
        return True
    return isinstance(wanted, str) and isinstance(stored, int) and stored == text_as_moment(wanted)


def text_as_bool(text: str) -> bool | None:
    """Return the truth value that a template rendered as text; None: it is another text."""
    return _BOOLEANS.get(text.strip().lower())


@lru_cache(maxsize=10_000)
def text_as_moment(text: str) -> int | None:
    """Return the Unix milliseconds of ISO text with an offset; None: it is another text. Digits stay digits."""
    if _DIGITS.fullmatch(text.strip()):
        return None
    try:
        return to_epoch_ms(text)
    except ValueError:
        return None


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, _NO_LISTS)


def _list_from_text(text: str) -> Any:
    """Decode the text of a list or a dict, as JSON or as Python writes it; any other text stays as it is."""
    inner = text.strip()
    if _LAZY_TEXT.match(inner):
        raise ValueError(
            f"is the text {inner[:60]!r}, which a template made of a list: add `| list | tojson`, or give the task's "
            "`.output`"
        )
    if _BRACKETS.get(inner[:1]) != inner[-1:] or len(inner) > 10_000_000:  # noqa: PLR2004 - no list of values
        return text
    decoded: Any = None
    try:
        decoded = json.loads(inner)
    except ValueError:
        try:
            decoded = ast.literal_eval(inner)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
    return decoded if isinstance(decoded, Collection) and not isinstance(decoded, str | bytes) else text


def _plain(value: Any, *, is_moment: bool) -> Any:
    """Return one value as plain JSON has it.

    Args:
        value: The value.
        is_moment: It is for a field that is a moment: what is none matches nothing.
    """
    value = _simple(value)
    if isinstance(value, str) and value.strip() == "None":
        raise ValueError("is 'None': did a template come out as nothing? A None that is no text matches an empty field")
    if isinstance(value, dt.date) or (is_moment and isinstance(value, str | bool)):
        return _moment(value, may_be_seconds=is_moment and not isinstance(value, dt.date))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is {value}, which no meeting matches: did a template come out as nothing?")
    if is_moment and isinstance(value, int) and (meant := date_in_digits(value)):
        raise ValueError(_IS_A_DATE.format(value, meant))
    if is_moment and isinstance(value, int) and value in _SECONDS:
        raise ValueError(_ARE_SECONDS.format(value))
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        raise ValueError("has a dict in its list, such as a whole meeting: give a list of one field of them")
    if _is_list(value):
        raise ValueError("has a list in its list: give one list of values")
    raise ValueError(f"must be a value or a list of values, not {type(value).__name__}")


def _moment(value: Any, *, may_be_seconds: bool) -> Any:
    try:
        moment = to_epoch_ms(value)
    except TypeError:  # pandas' NaT is a datetime without an offset of its own
        raise ValueError(f"is {value}, which is not a date and time: did a template come out as nothing?") from None
    if may_be_seconds and (meant := date_in_digits(value)):
        raise ValueError(_IS_A_DATE.format(value, meant))
    if may_be_seconds and _DIGITS.fullmatch(str(value).strip()) and moment in _SECONDS:
        raise ValueError(_ARE_SECONDS.format(value))
    # Text stays as it is written: it compares as a moment, and as text.
    return value if isinstance(value, str) else moment


def _simple(value: Any) -> Any:
    """Return what wraps a plain value (an enum, numpy's scalars, a UUID, a Decimal) as that value."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or type(value) in {bool, int}:
        return value
    if isinstance(value, str | uuid.UUID):
        return whole_text(str(value))  # as it comes back from the vendor
    value = plain_integer(value)
    if isinstance(value, float | Decimal):
        return float(value)
    if type(value).__name__ in {"bool_", "bool"} and type(value).__module__ == "numpy":
        return bool(value)
    return value
