"""A vendor's fields as data: what they are, what may be done with them, and the one check that reads the table.

The validation, its messages and the reference pages of the documentation all come from these tables.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from airflow_provider_meetings.core.json_text import whole_text
from airflow_provider_meetings.core.plain import plain, plain_integer
from airflow_provider_meetings.core.times import check_time_zone, date_in_digits, to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = [
    "KINDS",
    "NOTHING",
    "Field",
    "FieldTable",
    "check_filters",
    "check_id",
    "check_key",
    "identifier",
    "invalid_arguments",
    "whole_number",
]

#: Fields inside a meeting that go to the vendor unchecked.
EXTRA_FIELDS = "extra_fields"

# 1973. A meeting before that is a date in seconds, or digits that were no moment at all (20261121).
_FIRST_PLAUSIBLE_MEETING = 100_000_000_000

_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,512}", re.ASCII)
# What a template that is rendered as a native object makes of text that looks like Python.
_NATIVE = (bool, float, complex, list, tuple, dict, set)
_ENDLESS = "holds itself, or is nested too deeply"
#: What is rendered, in small letters, where there is nothing.
NOTHING = {"none", "null", "nan", "nat", "<na>", "undefined"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a meeting.

    Attributes:
        name: As the vendor spells it.
        kind: A key of :data:`KINDS`, or of the table's own kinds.
        doc: What it is, in the words of the vendor's page.
        required: A create without it is refused.
        updatable: An update may carry it.
        clearable: ``None`` in an update removes what is stored.
        nullable: ``None`` in a create is sent as ``null``.
    """

    name: str
    kind: str
    doc: str
    required: bool = False
    updatable: bool = True
    clearable: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class FieldTable:
    """A vendor's table of fields.

    Attributes:
        vendor: Its name, for messages.
        table: The fields in the order of the vendor's page.
        blank_erases: The vendor takes ``""`` for "remove what is stored", so a blank value is never sent.
        zone_field: The field that says of what zone a naive date is local time; None: there is no such field.
        span_fields: The fields that say when a meeting begins and ends; None: it has no end.
        own_kinds: Kinds that only this vendor has: what a value of each becomes on the wire.
    """

    vendor: str
    table: tuple[Field, ...]
    blank_erases: bool = False
    zone_field: str | None = None
    span_fields: tuple[str, str] | None = None
    own_kinds: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def for_create(self, meeting: Any) -> dict[str, Any]:
        """Check a meeting that is to be made; return the body to send.

        Raises:
            MeetingsConfigurationError: Something is wrong with it; every problem is named, by field.
        """
        return self._check(meeting, what="meeting", creating=True)

    def for_update(self, changes: Any) -> dict[str, Any]:
        """Check changes to a meeting; return the body to send. ``None`` clears a field.

        Raises:
            MeetingsConfigurationError: Something is wrong with them; every problem is named, by field.
        """
        return self._check(changes, what="changes", creating=False)

    def to_become(self, body: Mapping[str, Any], sent_before: Iterable[str]) -> dict[str, Any]:
        """Return the changes that make a meeting equal to a body: what it has, and None for what it has no more.

        Args:
            body: What :meth:`for_create` returned.
            sent_before: The names of the fields that were sent the last time.
        """
        fixed = {field.name for field in self.table if not field.updatable}
        clearable = {field.name for field in self.table if field.clearable}
        gone = {name: None for name in sent_before if name in clearable and name not in body}
        return {name: value for name, value in body.items() if name not in fixed} | gone

    def _check(self, given: Any, *, what: str, creating: bool) -> dict[str, Any]:
        given = plain(_as_object(given, what))
        extra = given.pop(EXTRA_FIELDS, None)
        allowed = {field.name: field for field in self.table if creating or field.updatable}
        problems: dict[str, str] = {}
        body: dict[str, Any] = {}
        zone = given.get(self.zone_field) if self.zone_field else None
        for name, value in given.items():
            try:
                if name not in allowed:
                    raise ValueError(self._unknown(name, allowed, creating=creating))
                if value is not None:
                    body[name] = self._value(allowed[name], value, zone)
                elif self._keeps_null(allowed[name], creating=creating):
                    body[name] = None
            except ValueError as error:
                problems[str(name)] = str(error)
            except RecursionError:
                problems[str(name)] = _ENDLESS
        if creating:
            problems |= {f.name: "is required" for f in self.table if f.required and given.get(f.name) is None}
        problems |= _check_extra(extra, body)
        if not problems and not body and not extra:
            problems[what] = "is empty, there is nothing to send"
        problems |= self._check_order(body)
        if problems:
            raise invalid_arguments(f"{self.vendor}: the {what} cannot be sent, nothing was sent", problems)
        return body | (extra or {})

    def _check_order(self, body: Mapping[str, Any]) -> dict[str, str]:
        if self.span_fields is None:
            return {}
        first, last = self.span_fields
        start, end = body.get(first), body.get(last)
        if isinstance(start, int) and isinstance(end, int) and end <= start:
            return {last: f"must be after {first}"}
        return {}

    def _unknown(self, name: Any, allowed: Mapping[str, Field], *, creating: bool) -> str:
        if not creating and any(field.name == name for field in self.table):
            return f"cannot be changed in {self.vendor}, only be set when the meeting is made"
        near = difflib.get_close_matches(str(name), allowed, n=1)
        hint = f", did you mean {near[0]}?" if near else f"; its fields are {', '.join(allowed)}."
        return f"is not a field of {self.vendor}'s meetings{hint} (`{EXTRA_FIELDS}` takes what the page does not list)"

    def _value(self, field: Field, value: Any, zone: Any) -> Any:
        if isinstance(value, str) and not value.strip() and (self.blank_erases or field.kind != "text"):
            meaning = f", and {self.vendor} takes a blank for 'remove what is stored'" if self.blank_erases else ""
            cure = "; None removes it on purpose" if field.clearable else ""
            raise ValueError(f"is empty: did a template come out empty{meaning}?{cure}")
        if field.kind == "moment":
            return _moment(value, zone)
        return (self.own_kinds.get(field.kind) or KINDS[field.kind])(value)

    def _keeps_null(self, field: Field, *, creating: bool) -> bool:
        """Whether a None is sent as null (True), is left out (False), or is refused (ValueError)."""
        if creating:
            if field.required:
                raise ValueError("is required, not None")
            if not field.nullable and not self.blank_erases:
                raise ValueError("must not be None: leave it out")
            return field.nullable
        if not field.clearable:
            raise ValueError("cannot be cleared: leave it out to keep what is stored")
        return True


def _as_object(given: Any, what: str) -> dict[str, Any]:
    if isinstance(given, str):
        # A template that is not rendered as a native object arrives as text; JSON is understood.
        try:
            given = json.loads(given)
        except ValueError:
            raise invalid_arguments(
                f"The {what} cannot be sent, nothing was sent",
                {what: "is text that is not a JSON object: pass a dict, the task's `.output`, or `| tojson`"},
            ) from None
    if not isinstance(given, Mapping):
        problem = f"must be a dict of the vendor's fields, not {type(given).__name__}"
        raise invalid_arguments(f"The {what} cannot be sent, nothing was sent", {what: problem})
    return dict(given)


def _check_extra(extra: Any, body: Mapping[str, Any]) -> dict[str, str]:
    if extra is None:
        return {}
    if not isinstance(extra, Mapping) or not all(isinstance(name, str) for name in extra):
        return {EXTRA_FIELDS: "must be a dict"}
    twice = sorted(set(extra) & set(body))
    problem = ""
    try:
        if not _has_text_keys(extra):
            problem = "has a key inside that is not text"
        elif twice:
            problem = f"repeats fields that are given already: {', '.join(twice)}"
        else:
            json.dumps(extra, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        problem = _ENDLESS
    except (TypeError, ValueError) as error:
        problem = f"is not plain JSON: {error}"
    return {EXTRA_FIELDS: problem} if problem else {}


def _has_text_keys(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _has_text_keys(part) for name, part in value.items())
    return all(map(_has_text_keys, value)) if isinstance(value, list | tuple) else True


def _moment(value: Any, zone: Any) -> int:
    try:
        check_time_zone(zone)
    except ValueError:
        zone = None  # the zone's own entry tells what is wrong with it
    moment = to_epoch_ms(value, time_zone=zone)
    if meant := date_in_digits(value):
        raise ValueError(f"{value!r} is a number of milliseconds: is {meant} meant? Write it so, with an offset or Z")
    if moment < _FIRST_PLAUSIBLE_MEETING:
        raise ValueError(f"{value!r} is a moment before 1973 when taken as milliseconds: are these seconds?")
    return moment


def _plain_text(value: Any) -> str:
    value = value if isinstance(value, float) else plain_integer(value)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 40:
        return format(value, "f")  # it keeps its digits, as a float does not
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # render_template_as_native_obj turns digits into a number, which still says which
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("is nan: is it an empty cell of a data frame? None means that there is nothing")
    if not isinstance(value, str):
        kind = type(value).__name__
        hint = f": did render_template_as_native_obj turn text into a {kind}?" if isinstance(value, _NATIVE) else ""
        raise ValueError(f"must be text, not {kind}{hint}")
    if whole_text(value) != value:
        raise ValueError("holds half of a surrogate pair: an emoji that was cut in two, which UTF-8 cannot write")
    if value.strip() == "None":
        raise ValueError("is 'None': did a template come out as nothing? A None that is no text leaves it out")
    return value


def identifier(value: Any) -> str:
    """Read an id, or a word that stands for one.

    Raises:
        ValueError: It is none, or came out as nothing.
    """
    text = _plain_text(str(value) if isinstance(value, uuid.UUID) else plain_integer(value)).strip()
    if text.lower() in NOTHING:
        raise ValueError(f"is {value!r}: did a template come out as nothing?")
    return text


def whole_number(value: Any) -> int:
    """Read a whole number, or its digits.

    Raises:
        ValueError: It is none.
    """
    value = plain_integer(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"must be a whole number or its digits, not {value!r}")


#: What a value of each kind becomes on the wire; ``moment`` needs the zone beside it and stands apart.
#: A ``text`` may be blank where a blank means nothing special; a ``label`` may not.
KINDS: dict[str, Callable[[Any], Any]] = {
    "text": _plain_text,
    "label": _plain_text,
    "id": identifier,
    "time zone": check_time_zone,
    "number": whole_number,
}


def invalid_arguments(headline: str, problems: Mapping[str, str]) -> MeetingsConfigurationError:
    """Make the error that names every problem, by field."""
    listed = "".join(f"\n  - {name}: {problem}" for name, problem in problems.items())
    error = MeetingsConfigurationError(whole_text(f"{headline}:{listed}"))
    error.problems = dict(problems)
    return error


def check_filters(vendor: str, kinds: Mapping[str, str], filters: Any) -> tuple[tuple[str, str], ...]:
    """Check filters against a vendor's query parameters; return them as they go into the query.

    Raises:
        MeetingsConfigurationError: A filter is unknown or its value cannot be right. A filter without a value is
            refused too: left out, it would list everybody's meetings.
    """
    if filters is None:
        return ()
    if isinstance(filters, str):
        filters = _as_object(filters, "filters")
    if not isinstance(filters, Mapping):
        raise invalid_arguments(f"{vendor}: the list cannot be asked for", {"filters": "must be a dict"})
    problems: dict[str, str] = {}
    query: dict[str, str] = {}
    for name, value in plain(filters).items():
        if name not in kinds:
            problems[str(name)] = f"is not a filter of {vendor}; its filters are {', '.join(kinds)}"
            continue
        try:
            if value is None or (isinstance(value, str) and not value.strip()):
                raise ValueError("is empty: did a template come out empty?")
            query[name] = str(KINDS[kinds[name]](value))
        except ValueError as error:
            problems[name] = str(error)
        except RecursionError:
            problems[name] = _ENDLESS
    if problems:
        raise invalid_arguments(f"{vendor}: the list cannot be asked for, nothing was sent", problems)
    return tuple(sorted(query.items()))


def check_id(value: Any, name: str = "meeting_id") -> str:
    """Return an id as one path segment.

    Raises:
        MeetingsConfigurationError: It is empty, blank, nothing (``"None"``), or would change the path. On Builder
            Prime a POST with an empty id makes a new meeting, and a GET lists them all.
    """
    value = plain_integer(plain(value))
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if whole or isinstance(value, uuid.UUID) else value
    problem = ""
    if not isinstance(text, str):
        problem = f"must be an id, not {type(value).__name__}"
    elif not text.strip() or text.strip().lower() in NOTHING:
        problem = f"is {text!r}: did the task that gives it return nothing?"
    elif not _PATH_SEGMENT.fullmatch(text.strip()) or set(text.strip()) == {"."}:
        problem = f"{text!r} is not an id"
    if problem:
        raise invalid_arguments("Nothing was sent", {name: problem})
    return str(text).strip()


def check_key(key: Any) -> str | None:
    """Return an idempotency key as it is, or None.

    Raises:
        MeetingsConfigurationError: It is not 1 to 512 printable ASCII characters (HiringCenter: "maxLength: 512"), or
            begins or ends with a space, which HTTP does not carry.
    """
    if key is None:
        return None
    if not isinstance(key, str) or not _PRINTABLE.fullmatch(key) or key != key.strip():
        problem = "must be 1 to 512 printable ASCII characters, without a space at either end"
        raise invalid_arguments("Nothing was sent", {"idempotency_key": problem})
    return key


def reference(fields: Iterable[Field]) -> list[dict[str, str]]:
    """Rows of the reference page: one a field."""
    return [
        {
            "field": field.name,
            "kind": field.kind,
            "create": "required" if field.required else "optional",
            "update": "yes" if field.updatable else "no",
            "None clears": "yes" if field.clearable else "no",
            "meaning": field.doc,
        }
        for field in fields
    ]
