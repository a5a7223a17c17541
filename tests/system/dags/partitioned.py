"""A day's meetings in runs of a partition: they are made, waited for, listed and compared."""

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronPartitionTimetable

from airflow_provider_meetings.operators.meetings import (
    ListMeetingChangesOperator,
    ListMeetingsOperator,
    SyncMeetingsOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

PROSPECT = "c1a7e9d34b8f4c2aa6d1000000000042"
OWNER = "b2e7a1d94c3f4a8eb6d0000000000042"
DAY = timedelta(days=1)

with DAG(
    "partitioned",
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_immediately=True),
    default_args={"meetings_conn_id": "hiringcenter_default", "retries": 0},
):
    make = SyncMeetingsOperator(
        task_id="make",
        meetings=[
            {
                "prospectId": PROSPECT,
                "ownerId": OWNER,
                "meetingDate": "{{ partition_date.isoformat() }}",
                "timeZone": "UTC",
                "meetingType": "phone",
            }
        ],
        match_on=["prospectId"],
        filters={"prospectId": PROSPECT},
        window_length=DAY,
    )
    wait = MeetingsSensor(task_id="wait", filters={"prospectId": PROSPECT}, window_length=DAY, timeout=120)
    listed = ListMeetingsOperator(
        task_id="list",
        filters={"prospectId": PROSPECT},
        window_length="{{ 24 * 3600 }}",
        outlets=[Asset(name="meetings_of_a_day", uri="meetings://of-a-day/")],
    )
    changes = ListMeetingChangesOperator(
        task_id="changes",
        filters={"prospectId": PROSPECT},
        window_length=DAY,
        snapshot="file://{{ var.value.site_visits_folder.removeprefix('file://') }}/partitioned",
    )
    make >> [wait, listed, changes]
