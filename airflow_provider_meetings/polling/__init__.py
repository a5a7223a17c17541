"""The plan of a poll: which requests answer many queries for lists of meetings. Pure: the caller passes the time.

Each waiter needs the meetings of a window, perhaps filtered. One way is a request for each of them; the other is one
wider query, whose result contains theirs and is divided here. Which costs fewer requests depends on how many pages the
wider list has, which is unknown until it was read once. So the planner

* merges windows that overlap and have the same filters: their union never has more pages than they have together;
* tries a query with fewer filters when that may save requests, and stops reading where it does not (its ``limit``);
* remembers the dates of the meetings that it has read (known spans) and estimates from them.

A vendor's filter may be left out only where it can be checked on the listed meeting itself: see ``comparable_filters``
of :class:`.Vendor`.
"""

from airflow_provider_meetings.polling.index import ListingIndex
from airflow_provider_meetings.polling.planner import KnownSpan, PlannedQuery, Planner
from airflow_provider_meetings.polling.query import ListQuery

__all__ = ["KnownSpan", "ListQuery", "ListingIndex", "PlannedQuery", "Planner"]
