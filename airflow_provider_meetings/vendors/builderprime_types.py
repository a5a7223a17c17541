"""Builder Prime's meeting types by name: one DAG serves two accounts whose ids differ."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_meetings.core.plain import plain
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.fields import KINDS, invalid_arguments

__all__ = ["TYPE_ID", "TYPE_NAME", "as_named", "with_type_id"]

#: As a listed meeting has it.
TYPE_NAME = "meetingTypeName"
#: As a create and an update take it.
TYPE_ID = "meetingTypeId"


def as_named(given: Any) -> dict[str, Any] | None:
    """Return a meeting, or changes, as a dict where it says a type's name; None: it does not."""
    if isinstance(given, str) and TYPE_NAME in given:
        try:
            given = json.loads(given)
        except ValueError:
            return None  # its own check says what is wrong with it
    if not isinstance(given, Mapping) or TYPE_NAME not in given:
        return None
    named = {**given, TYPE_NAME: plain(given[TYPE_NAME])}
    name = named[TYPE_NAME]
    if name is not None and (not isinstance(name, str) or not name.strip() or name.strip() == "None"):
        problem = f"must be the name of a meeting type, not {name!r}: did a template come out empty?"
        raise _refused("nothing was sent", problem)
    return named


def with_type_id(given: Mapping[str, Any], types: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what :func:`as_named` returned with the type's id in place of its name.

    Args:
        given: A meeting, or changes, with a name that is not None.
        types: The account's meeting types.

    Raises:
        MeetingsConfigurationError: No type has the name, several have it, or the id beside it is another type's.
    """
    plain_fields = {field: value for field, value in given.items() if field != TYPE_NAME}
    name, beside = str(given[TYPE_NAME]).strip(), plain_fields.get(TYPE_ID)
    ids = [one["id"] for one in types if str(one.get("name", "")).strip() == name]
    if not ids:
        raise _refused("nothing was written", f"no meeting type is named {name!r}{_nearest(name, types)}")
    if beside is not None:
        try:
            wanted = str(KINDS["number"](plain(beside)))
        except ValueError:
            return plain_fields  # the check of the fields says what is wrong with the id
        found = [one for one in ids if str(one) == wanted]
        if not found:
            problem = f"is {name!r}, which has the id {ids[0]}, but {TYPE_ID} is {beside!r}: give one of them"
            raise _refused("nothing was written", problem)
        ids = found
    if len(ids) > 1:
        listed = ", ".join(map(str, ids))
        raise _refused("nothing was written", f"{name!r} is the name of several types: give {TYPE_ID}, one of {listed}")
    return {**plain_fields, TYPE_ID: ids[0]}


def _nearest(name: str, types: Sequence[Mapping[str, Any]]) -> str:
    by_lower = {str(one["name"]).strip().lower(): str(one["name"]) for one in types if one.get("name")}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3) or sorted(by_lower)[:3]
    return f"; the nearest are {', '.join(repr(by_lower[one]) for one in near)}" if near else "; there are no types"


def _refused(what: str, problem: str) -> MeetingsConfigurationError:
    return invalid_arguments(f"Builder Prime: the meeting cannot be sent, {what}", {TYPE_NAME: problem})
