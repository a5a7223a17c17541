"""Rows that give a name in place of an id, such as Builder Prime's ``meetingTypeName``.

Builder Prime's page shows listed meetings with the name of their type, not with its id. So such a row is matched and
compared by the name, and the id is what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors import Vendor

__all__ = ["NamedRow", "Resolve"]

#: Returns a meeting with ids in place of names, as the hook's ``resolve_names`` does.
Resolve = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row, and the names in it.

    Attributes:
        given: The row as it was given.
        checkable: The row with a placeholder for each id that has to be looked up.
        names: The names, by field; None: the field is empty.
        looked_up: The fields of ids that the row does not give by itself.
    """

    given: Any
    checkable: Any
    names: Mapping[str, Any]
    looked_up: tuple[str, ...] = ()

    @classmethod
    def parse(cls, vendor: Vendor, given: Any) -> NamedRow:
        """Read a row; nothing is looked up.

        Raises:
            MeetingsConfigurationError: What stands in place of a name is none.
        """
        named = vendor.as_named(given)
        if named is None:
            return cls(given, given, {})
        plain = {name: value for name, value in named.items() if name not in vendor.name_fields}
        names = {}
        looked_up = []
        for name, id_field in vendor.name_fields.items():
            has_id = plain.get(id_field) is not None
            if name not in named or (named[name] is None and has_id):
                continue
            names[name] = None if named[name] is None else named[name].strip()
            if not has_id:
                looked_up.append(id_field)
                plain[id_field] = None if named[name] is None else 0
        return cls(given, plain, names, tuple(looked_up))

    def by_name(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body's fields with the names in place of the ids that were looked up."""
        return {name: value for name, value in fields.items() if name not in self.looked_up} | dict(self.names)

    def body(self, vendor: Vendor, resolve: Resolve) -> dict[str, Any]:
        """Return what a create sends.

        Raises:
            MeetingsConfigurationError: The vendor does not know a name, or the id beside it is another one's.
        """
        return vendor.check_meeting(resolve(self.given))

    def sent_as(self, vendor: Vendor, body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what is sent in place of each name."""
        return {name: {vendor.name_fields[name]: body.get(vendor.name_fields[name])} for name in self.names}


def problems_of(error: MeetingsConfigurationError) -> Mapping[str, str]:
    """Return what is wrong with a row, by field.

    Raises:
        MeetingsConfigurationError: The error is about something else.
    """
    if not error.problems:
        raise error
    return error.problems
