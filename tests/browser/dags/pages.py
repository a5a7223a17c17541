"""What the Meetings pages show: bookings, changes, a wait, a failure, and a meeting whose title is no markup."""

from airflow.sdk import dag, task

from airflow_provider_meetings.assets import meetings_asset
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

HIRINGCENTER = {"meetings_conn_id": "hiringcenter_pages"}
BUILDERPRIME = {"meetings_conn_id": "builderprime_pages"}
HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script>'
HOUR = 3_600_000


@task
def tomorrow(dag_run=None):
    """Return the full hour a day after the run, in Unix milliseconds."""
    return (int(dag_run.run_after.timestamp()) // 3600 + 24) * HOUR


@dag(schedule=None)
def interviews():
    """Book thirty interviews, move one, cancel one, and wait for one that nobody books."""

    @task
    def plan(start):
        """One interview an hour."""
        return [
            {
                "prospectId": f"{number:032x}",
                "meetingDate": start + number * HOUR,
                "timeZone": "America/New_York",
                "meetingType": "virtual",
                "ownerId": f"{1:032x}",
                "location": "Zoom",
            }
            for number in range(30)
        ]

    start = tomorrow()
    book = CreateMeetingOperator.partial(
        task_id="book", outlets=[meetings_asset("hiringcenter_pages", "interviews")], **HIRINGCENTER
    ).expand(meeting=plan(start))
    first = "{{ ti.xcom_pull(task_ids='book', map_indexes=0)['id'] }}"
    second = "{{ ti.xcom_pull(task_ids='book', map_indexes=1)['id'] }}"
    move = UpdateMeetingOperator(task_id="move", meeting_id=first, changes={"location": "Room 5"}, **HIRINGCENTER)
    cancel = DeleteMeetingOperator(task_id="cancel", meeting_id=second, **HIRINGCENTER)
    wait = MeetingsSensor(
        task_id="wait",
        window_start="{{ ti.xcom_pull(task_ids='tomorrow') }}",
        window_end="{{ ti.xcom_pull(task_ids='tomorrow') + 86400000 }}",
        match={"meetingType": "in person, and never"},
        timeout=3600,
        deferrable=True,
        **HIRINGCENTER,
    )
    book >> [move, cancel, wait]


@dag(schedule=None)
def visits():
    """Book visits, one of which has a dangerous title, list them, and ask for one that is not there."""

    @task
    def plan(start):
        """A visit every six hours."""
        visits = [
            (HOSTILE, HOSTILE, 1012),
            ("Kitchen, new windows", "5 Main Street, Springfield", 1012),
            ("Roof, measurement", "12 Long Street, Springfield", 1013),
            ("Kitchen, final walkthrough", "5 Main Street, Springfield", 1014),
        ]
        return [
            {
                "title": title,
                "location": location,
                "startDateTime": start + number * 6 * HOUR,
                "endDateTime": start + number * 6 * HOUR + HOUR,
                "clientOpportunityId": 102988 + number,
                "meetingTypeId": kind,
                "employee": {"id": 50},
            }
            for number, (title, location, kind) in enumerate(visits)
        ]

    start = tomorrow()
    book = CreateMeetingOperator.partial(task_id="book", **BUILDERPRIME).expand(meeting=plan(start))
    listed = ListMeetingsOperator(
        task_id="list",
        window_start="{{ ti.xcom_pull(task_ids='tomorrow') }}",
        window_end="{{ ti.xcom_pull(task_ids='tomorrow') + 86400000 }}",
        **BUILDERPRIME,
    )
    book >> listed >> GetMeetingOperator(task_id="missing", meeting_id="987654321", **BUILDERPRIME)


interviews()
visits()
