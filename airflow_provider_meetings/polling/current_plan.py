"""The plan of a connection's polls: made when something has changed, and taken again until then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from airflow_provider_meetings.polling.planner import PlannedQuery, Planner
from airflow_provider_meetings.polling.query import ListQuery
from airflow_provider_meetings.vendors import Vendor

__all__ = ["CurrentPlan"]

#: Seconds after which a plan is made again although nothing has changed: what it was made from grows old.
REPLAN = 300.0
# So many queries are sorted in a few milliseconds.
_FEW = 100


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """A plan, and what it was made from."""

    planner: Planner
    revision: int
    queries: tuple[ListQuery, ...]
    planned_queries: list[PlannedQuery]
    at: float

    def is_stale(self, planner: Planner, queries: tuple[ListQuery, ...], now: float) -> bool:
        """Whether another plan is needed."""
        same = self.planner is planner and self.revision == planner.revision and self.queries == queries
        return not same or now - self.at > REPLAN


class CurrentPlan:
    """Has the planner of a connection's vendor, and the plan that it made last.

    Attributes:
        planner: The planner; None: nothing was polled yet.
    """

    def __init__(self) -> None:
        self.planner: Planner | None = None
        self._planned: _Planned | None = None

    def planner_for(self, vendor: Vendor) -> Planner:
        """Return the planner; a new one where what the last one has learned says nothing of this vendor's lists."""
        if self.planner is None or not self.planner.vendor.lists_like(vendor):
            self.planner = Planner(vendor)
        return self.planner

    def forget(self, query: ListQuery) -> None:
        """Drop what is known of a query that no waiter has any more."""
        if self.planner is not None:
            self.planner.forget(query)

    async def make(self, planner: Planner, queries: tuple[ListQuery, ...], now: float) -> list[PlannedQuery]:
        """Plan a poll, or take the last plan again when nothing has changed since."""
        if self._planned is None or self._planned.is_stale(planner, queries, now):
            revision = planner.revision
            # Hundreds of queries take a while to sort: not on the event loop.
            few = len(queries) <= _FEW
            planned_queries = planner.plan(queries, now) if few else await asyncio.to_thread(planner.plan, queries, now)
            self._planned = _Planned(planner, revision, queries, planned_queries, now)
        return self._planned.planned_queries
