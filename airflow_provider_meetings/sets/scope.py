"""The meetings of a scope as they were listed, and when."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_meetings.core.flow import Flow, Now, Page, PageFlow
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.vendors import Filters, Vendor

__all__ = ["Scope", "collect", "in_groups", "list_scope"]

_MINUTE = 60_000


@dataclass(frozen=True)
class Scope:
    """The meetings that begin in a window and pass the filters.

    Attributes:
        vendor: The vendor's rules.
        window: The window.
        listed: The meetings, cancelled ones included.
        listed_at: When the list was begun, in seconds since the epoch, by our clock.
    """

    vendor: Vendor
    window: Window
    listed: Sequence[Mapping[str, Any]]
    listed_at: float

    def lookalikes(self, body: Mapping[str, Any]) -> frozenset[str]:
        """Return the ids of the listed meetings that equal a body in all that can be compared."""
        minute = to_epoch_ms(body[self.vendor.date_field]) // _MINUTE
        near = (*self._by_minute.get(minute, ()), *self._by_minute.get(minute + 1, ()))
        return frozenset(str(meeting["id"]) for meeting in near if self.vendor.matches(body, meeting))

    @cached_property
    def _by_minute(self) -> dict[int, list[Mapping[str, Any]]]:
        found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for meeting in self.listed:
            found[to_epoch_ms(meeting[self.vendor.date_field]) // _MINUTE].append(meeting)
        return dict(found)


def list_scope(
    vendor: Vendor, window: Window, filters: Filters, bodies: Iterable[Mapping[str, Any]] = ()
) -> Flow[Scope]:
    """List the meetings of a scope.

    Args:
        vendor: The vendor's rules.
        window: The window.
        filters: The filters.
        bodies: What it should have when all is done: most of it is likely to be there, where it says.

    Raises:
        MeetingsProtocolError: A listed meeting is one that a filter leaves out. Where a filter is lost on the way, the
            rest of the calendar would be taken for meetings without a row.
        MeetingsError: The list cannot be read.
    """
    now = yield Now()
    expected = [to_epoch_ms(body[vendor.date_field]) for body in bodies]
    listed = yield from collect(vendor.listing(window, filters, expected))
    for name, wanted in filters:
        if name not in vendor.comparable_filters:
            continue
        field = vendor.comparable_filters[name]
        told = [one for one in listed if one.get(field) is not None]
        others = [one for one in told if _plain_word(one[field]) != _plain_word(wanted)]
        if others:
            raise vendor.inconsistent_list(
                f"{vendor.name} was asked for {name}={wanted}, and {len(others)} of the {len(listed)} listed meetings "
                f"are others, such as {others[0]['id']} with {field}={others[0][field]}: the filter is not applied. "
                "Nothing was written."
            )
    return Scope(vendor, window, listed, now)


def _plain_word(value: Any) -> str:
    """Return an id or a label without what vendors may be generous about: capitals, hyphens, blanks."""
    return re.sub(r"[\W_]+", "", str(value)).casefold()


def collect(listing: PageFlow) -> Flow[list[dict[str, Any]]]:
    """Take a list to its end."""
    meetings: list[dict[str, Any]] = []
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            command = listing.send(answer) if failure is None else listing.throw(failure)
        except StopIteration:
            return meetings
        answer = failure = None
        if isinstance(command, Page):
            meetings += command.items
            continue
        try:
            answer = yield command
        except Exception as error:  # noqa: BLE001 - the list's own business
            failure = error


def in_groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Cut a sequence into parts of at most so many."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
