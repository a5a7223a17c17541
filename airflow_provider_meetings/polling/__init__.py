"""The plan of a poll: which requests answer many questions about lists of meetings. Pure: it is told the time.

Each waiter asks for the meetings of a window, perhaps filtered. Asking the vendor for each of them is one way; the
other is a wider question whose answer holds theirs, cut up here. What costs fewer requests depends on how many pages
the wider list has, which nobody knows before it was read once. So the planner

* merges windows that overlap and have the same filters: their union never has more pages than they have together;
* tries a question with fewer filters when it may pay, and stops reading where it does not (its ``limit``);
* remembers when the meetings are that it has seen (a survey) and estimates from that.

A vendor's filter may be left out only where it can be checked on the listed meeting itself: see ``comparable_filters``
of :class:`.Vendor`.
"""

from airflow_provider_meetings.polling.index import ListingIndex
from airflow_provider_meetings.polling.planner import KnownSpan, PlannedQuery, Planner
from airflow_provider_meetings.polling.query import ListQuery

__all__ = ["KnownSpan", "ListQuery", "ListingIndex", "PlannedQuery", "Planner"]
