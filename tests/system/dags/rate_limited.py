"""Lists that the vendor refuses for some time: for seconds, and for an hour."""

from airflow.sdk import dag

from airflow_provider_meetings.operators.meetings import ListMeetingsOperator

DAY = {"window_start": "2026-11-23T00:00:00Z", "window_end": "2026-11-24T00:00:00Z"}


@dag(schedule=None)
def rate_limited():
    """Two tasks on a connection whose workers do not wait longer than a second; the prospects tell them apart."""
    for how_long in ("for_seconds", "for_an_hour"):
        ListMeetingsOperator(
            task_id=how_long, **DAY, filters={"prospectId": how_long}, meetings_conn_id="hiringcenter_impatient"
        )


rate_limited()
