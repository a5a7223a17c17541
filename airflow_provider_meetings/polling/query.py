"""A query to a vendor, in a form in which equal queries are equal."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.vendors import Filters

__all__ = ["UNBOUNDED", "Filters", "ListQuery"]

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
