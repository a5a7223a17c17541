"""A DAG for each vendor that is run by what happens to the meetings of the next weeks, and says what it was told."""

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_meetings.assets import meeting_events, meetings_asset
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger

# The same as in tests/triggerer_kill/edits.py.
PAST, AHEAD = timedelta(hours=1), timedelta(days=30)


def _watched(vendor):
    conn_id = f"{vendor}_default"
    trigger = MeetingsEventTrigger(meetings_conn_id=conn_id, past=PAST, ahead=AHEAD, poke_interval=5)
    soon = meetings_asset(conn_id, "soon", trigger=trigger)

    @dag(dag_id=f"watched_{vendor}", schedule=soon, max_active_runs=4, is_paused_upon_creation=False)
    def watched():
        @task(retries=5, retry_delay=timedelta(seconds=1))
        def told(**context):
            return meeting_events(context)

        told()

    return watched()


for name in ("hiringcenter", "builderprime"):
    _watched(name)
