"""Tasks that somebody looks at from outside: links, asset events and numbers."""

from airflow.sdk import Asset, AssetAlias, dag

from airflow_provider_meetings.operators.meetings import CreateMeetingOperator, DeleteMeetingOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

WHO = {"prospectId": "0b5e7e0d5d0c4b7fa5a3a1f0c6a1d2e3", "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45"}


@dag(schedule=None, params={"notes": ""})
def observed():
    """Wait in the triggerer for a meeting, then book one, two as mapped tasks, and cancel the first."""
    times = {"meetingDate": "2027-03-01T09:00:00-05:00", "timeZone": "America/New_York", "meetingType": "phone"}
    wait = MeetingsSensor(
        task_id="wait",
        window_start="{{ dag_run.run_after }}",
        window_end="2100-01-01T00:00:00Z",
        match={"notes": "{{ params.notes }}"},
        deferrable=True,
        poke_interval=5,
        timeout=1800,
        meetings_conn_id="hiringcenter_watched",
        outlets=[Asset("observed_found")],
    )
    book = CreateMeetingOperator(
        task_id="book",
        meeting=WHO | times,
        meetings_conn_id="hiringcenter_linked",
        outlets=[Asset("observed_booked"), AssetAlias("observed_alias")],
    )
    book_many = CreateMeetingOperator.partial(task_id="book_many", meetings_conn_id="hiringcenter_linked").expand(
        meeting=[WHO | times | {"location": f"Room {number}"} for number in (1, 2)]
    )
    cancel = DeleteMeetingOperator(
        task_id="cancel",
        meeting_id="{{ ti.xcom_pull(task_ids='book')['id'] }}",
        meetings_conn_id="hiringcenter_default",  # without a template for links
        outlets=[Asset("observed_booked")],
    )
    wait >> [book, book_many]
    book >> cancel


observed()
