"""What is asked of a vendor, in a form in which equal questions are equal, and what a plan must know of the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.vendors import Vendor, builderprime, hiringcenter
from airflow_provider_meetings.vendors.fields import check_filters

__all__ = ["UNBOUNDED", "Dialect", "Filters", "ListQuery", "dialect_of"]

Filters: TypeAlias = tuple[tuple[str, str], ...]

#: The bound, as a number, of a window that has none.
UNBOUNDED = 1 << 60


class ListQuery(NamedTuple):
    """What a waiter needs read: the meetings of a window under the vendor's filters."""

    start: int | None = None
    end: int | None = None
    filters: Filters = ()

    @property
    def window(self) -> Window:
        """The window."""
        return Window(self.start, self.end)

    def covers(self, other: ListQuery) -> bool:
        """Whether the other's meetings are among this one's."""
        return (
            (self.start is None or (other.start is not None and self.start <= other.start))
            and (self.end is None or (other.end is not None and other.end <= self.end))
            and set(self.filters) <= set(other.filters)
        )

    @property
    def low(self) -> int:
        """The start as a number."""
        return -UNBOUNDED if self.start is None else self.start

    @property
    def high(self) -> int:
        """The end as a number."""
        return UNBOUNDED if self.end is None else self.end


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the planner has to know of a vendor.

    Attributes:
        vendor: Its name.
        filters: The vendor's table of filters.
        comparable: The filters that can be checked on a listed meeting, and the field that tells.
        date_field: When a listed meeting begins.
        page_size: Meetings a page.
        longest: The longest window of one request, in milliseconds; None: there is no such limit.
    """

    vendor: str
    filters: Mapping[str, str]
    comparable: Mapping[str, str]
    date_field: str
    page_size: int
    longest: int | None = None

    def query(self, start: int | None, end: int | None, filters: Any) -> ListQuery:
        """Put a question into the form in which equal ones are equal.

        Raises:
            MeetingsConfigurationError: The vendor has no such filter, or the value cannot be right.
        """
        return ListQuery(start, end, check_filters(self.vendor, self.filters, filters))

    def date(self, meeting: Mapping[str, Any]) -> int:
        """When a meeting begins."""
        value = meeting.get(self.date_field)
        return value if type(value) is int else to_epoch_ms(value)

    def requests(self, count: int, span: int) -> int:
        """Estimate how many requests list that many meetings in a window so long."""
        slices = 1 if self.longest is None else -(-span // self.longest)
        if self.longest is not None:
            return max(slices, -(-count * 4 // (3 * self.page_size)))  # its spans are cut so that each fits on a page
        return max(1, -(-count // (self.page_size - 1)))  # each page repeats the last meeting of the one before


def dialect_of(vendor: Vendor) -> Dialect:
    """Return what the planner has to know of a vendor."""
    if isinstance(vendor, hiringcenter.HiringCenter):
        fields = {name: name for name in hiringcenter.FILTERS}
        return Dialect("HiringCenter", hiringcenter.FILTERS, fields, "meetingDate", vendor.page_size)
    assert isinstance(vendor, builderprime.BuilderPrime)  # noqa: S101 - there are two
    # A listed meeting tells its opportunity; who goes is there by name only, and names are not ids.
    fields = {"opportunity-id": "opportunityId"}
    longest = vendor.max_window
    return Dialect("Builder Prime", builderprime.FILTERS, fields, "startDateTime", vendor.page_size, longest)
