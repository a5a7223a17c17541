"""A DAG whose tasks read, write and wait for meetings of both vendors, with and without declared inlets and outlets."""

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_meetings.assets import meetings_asset
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator, ListMeetingsOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

WINDOW = {"window_start": "2027-01-11T00:00:00Z", "window_end": "2027-01-12T00:00:00Z"}
VISIT = {"title": "Site visit", "startDateTime": "2027-01-11T15:00:00Z", "meetingTypeId": 1012}
INTERVIEW = {
    "prospectId": "c" * 32,
    "ownerId": "d" * 32,
    "meetingDate": "2027-01-11T15:00:00Z",
    "timeZone": "UTC",
    "meetingType": "phone",
}


@dag(schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)})
def lineage():
    """Read, write and wait, and one task of the author's own code."""
    book_visit = CreateMeetingOperator(task_id="book_visit", meeting=VISIT, meetings_conn_id="builderprime_default")
    book_interview = CreateMeetingOperator(
        task_id="book_interview", meeting=INTERVIEW, meetings_conn_id="hiringcenter_default"
    )
    wait = MeetingsSensor(
        task_id="wait", meetings_conn_id="hiringcenter_default", poke_interval=1, timeout=120, **WINDOW
    )
    list_to_file = ListMeetingsOperator(
        task_id="list_to_file",
        meetings_conn_id="builderprime_default",
        destination="{{ var.value.meetings_folder }}/visits.jsonl",
        **WINDOW,
    )

    @task
    def own_code():
        return len(list(HiringCenterHook().list_meetings(WINDOW["window_start"], WINDOW["window_end"])))

    @task(
        inlets=[meetings_asset("builderprime_default", "visits")],
        outlets=[meetings_asset("hiringcenter_default", "interviews")],
    )
    def declared():
        return "nothing of ours is called here"

    book_visit >> list_to_file >> declared()
    book_interview >> wait >> own_code()


lineage()
