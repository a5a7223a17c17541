"""What somebody declares of a meeting, beside what the vendor has of it, field by field.

This is stricter than :mod:`.matching`, which recognises the meeting that a lost create has made. There a text that lost
its end, or its capitals, may still be the one that was sent. Here a difference is one that somebody may want to see.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.vendors.matching import ComparableFields, same_text

__all__ = ["Difference", "compare", "is_empty", "stored_value"]

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between what is declared and what is stored.

    Attributes:
        before: The declared fields that differ, as the vendor has them.
        after: The same fields as they are declared.
        unknown: The declared fields that the vendor does not give back, so that nobody can tell.
    """

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def compare(declared: Mapping[str, Any], stored: Mapping[str, Any], comparable: ComparableFields) -> Difference:
    """Compare the declared fields of a meeting with what the vendor has.

    Args:
        declared: Fields of the shape that create takes; None stands for an empty one. Names that are not in the table
            are compared where the vendor gives a field of that name back.
        stored: The meeting as the vendor returned it.
        comparable: The vendor's table of fields; a dot leads to a part of a field that is an object.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    unknown = []
    for name, value in declared.items():
        parts = {key: entry for key, entry in comparable.items() if key.startswith(f"{name}.")}
        if parts:
            old, verdict = _compare_parts(name, value, stored, parts)
        else:
            names, same = comparable.get(name, ((name,), same_text))
            old = stored_value(stored, names)
            verdict = None if old is _ABSENT else _agree(value, old, same)
        if verdict is None:
            unknown.append(name)
        elif not verdict:
            before[name], after[name] = old, value
    return Difference(before, after, tuple(unknown))


def stored_value(stored: Mapping[str, Any], names: tuple[str, ...], default: Any = _ABSENT) -> Any:
    """Return a field of a stored meeting under the first of its names that is there."""
    return next((stored[name] for name in names if name in stored), default)


def is_empty(value: Any) -> bool:
    """Whether a stored value says that there is none."""
    return value is None or value == "" or value in ([], {})


def _compare_parts(
    name: str, value: Any, stored: Mapping[str, Any], table: ComparableFields
) -> tuple[Any, bool | None]:
    """Return the parts that are stored, and whether they are those declared; None: it cannot be told."""
    known: dict[str, Any] = {}
    told = []
    for path, (names, same) in table.items():
        part, found = path.removeprefix(f"{name}."), stored_value(stored, names)
        if found is _ABSENT:
            continue
        if not is_empty(found):
            known[part] = found
        if value is None:
            told.append(is_empty(found))
        elif part in value:
            told.append(_agree(value[part], found, same))
    return known or None, all(told) if told else None


def _agree(declared: Any, stored: Any, same: Any) -> bool:
    if declared is None or is_empty(stored):
        return is_empty(declared) and is_empty(stored)
    if same is not same_text:
        return bool(same(declared, stored))
    if isinstance(declared, str) and isinstance(stored, str):
        return _tidy(declared) == _tidy(stored)
    return bool(declared == stored) or str(declared) == str(stored)


def _tidy(text: str) -> str:
    """Undo what vendors do to every text: other line ends, a cut at both ends, escapes, composed letters."""
    unescaped = html.unescape(text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", unescaped).strip()
