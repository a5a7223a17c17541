"""A site visit at Builder Prime and an interview at HiringCenter, for somebody who looks at them in the browser."""

from airflow.sdk import dag

from airflow_provider_meetings.operators.meetings import CreateMeetingOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

START, END = "2027-03-01T09:00:00-05:00", "2027-03-01T10:00:00-05:00"


@dag(schedule=None)
def site_visit():
    """Book a site visit, and wait for it."""
    book = CreateMeetingOperator(
        task_id="book",
        meeting={
            "title": "Site visit",
            "location": "5 Main Street",
            "startDateTime": START,
            "endDateTime": END,
            "clientOpportunityId": 102988,
            "meetingTypeId": 1012,
            "employee": {"id": 50},
        },
        meetings_conn_id="builderprime_default",
    )
    wait = MeetingsSensor(
        task_id="wait",
        window_start=START,
        window_end=END,
        match={"id": "{{ ti.xcom_pull(task_ids='book')['id'] }}"},
        meetings_conn_id="builderprime_default",
    )
    book >> wait


site_visit()
