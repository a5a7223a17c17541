"""The link from a task to its meeting in the vendor's web app.

Where it leads is settled while the task runs, since only then the meeting and its connection are known: Airflow 3 asks
for the link on the worker when the task is done and keeps it, Airflow 2 asks in the webserver, whenever a user looks.
Neither speaks to the vendor. A connection without the extra ``web_url_template`` has no links.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_meetings.version_compat import stores_links, xcom_of

__all__ = ["MeetingLink", "store_link"]

# Airflow 3's own name for it, so that it is the same everywhere.
_XCOM_KEY = "_link_MeetingLink"
# Where an operator keeps it from its execution to its end.
_ATTRIBUTE = "meeting_url"


class MeetingLink(BaseOperatorLink):
    """The button *Meeting* of a task: opens its meeting in the vendor's web app."""

    name = "Meeting"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty where there is no link."""
        url = getattr(operator, _ATTRIBUTE, None)
        if url is None and not stores_links():
            url = xcom_of(ti_key, _XCOM_KEY)
        # Not None, which Airflow 3 would show as a link to "None".
        return url or ""


def store_link(operator: Any, context: Any, url: str | None) -> None:
    """Let a running task's link lead to an address; None: there is no link."""
    if url is None:
        return
    setattr(operator, _ATTRIBUTE, url)
    if not stores_links() and "ti" in context:
        context["ti"].xcom_push(key=_XCOM_KEY, value=url)
