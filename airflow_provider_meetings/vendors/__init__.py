"""One module a vendor, all of them pure: no clock, no socket, no Airflow."""

from __future__ import annotations

from airflow_provider_meetings.vendors.matching import CreatedMeeting
from airflow_provider_meetings.vendors.vendor import Filters, RateLimits, Vendor

__all__ = ["CreatedMeeting", "Filters", "RateLimits", "Vendor"]
