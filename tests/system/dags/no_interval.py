"""A list without a window, in a DAG without a schedule: its runs have no data interval to default to."""

from airflow.sdk import dag

from airflow_provider_meetings.operators.meetings import ListMeetingsOperator


@dag(schedule=None)
def no_interval():
    """One task that does not say what to list."""
    ListMeetingsOperator(task_id="list", meetings_conn_id="hiringcenter_default")


no_interval()
