"""Tasks that fail, each in one of the ways an on-call person will meet."""

from airflow.sdk import dag

from airflow_provider_meetings.operators.meetings import CreateMeetingOperator, ListMeetingsOperator

DAY = {"window_start": "2026-11-23T00:00:00Z", "window_end": "2026-11-24T00:00:00Z"}


@dag(schedule=None)
def failures():
    """One task a failure; none of them waits for another."""
    for conn_id in (
        "hiringcenter_wrong_key",
        "builderprime_wrong_key",
        "builderprime_wrong_subdomain",
        "hiringcenter_wrong_host",
    ):
        ListMeetingsOperator(task_id=conn_id, **DAY, meetings_conn_id=conn_id)

    visit = {
        "clientOpportunityId": 102988,
        "title": "Visit",
        "startDateTime": "2026-11-23T10:00:00Z",
        "endDateTime": "2026-11-23T11:00:00Z",
        "employee": {"id": 50},
        "meetingTypeId": 1011,
    }
    CreateMeetingOperator(task_id="missing_scope", meeting=visit, meetings_conn_id="builderprime_read_only")
    CreateMeetingOperator(
        task_id="refused_by_builderprime",
        meeting=visit | {"meetingTypeId": 999999},
        meetings_conn_id="builderprime_default",
    )
    interview = {
        "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
        "meetingDate": "2026-11-23T10:00:00Z",
        "timeZone": "America/New_York",
        "meetingType": "virtual",
        "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    }
    CreateMeetingOperator(
        task_id="refused_by_hiringcenter",
        meeting=interview | {"extra_fields": {"noSuchField": "x"}},
        meetings_conn_id="hiringcenter_default",
    )
    CreateMeetingOperator(
        task_id="refused_by_us",
        meeting={"prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42", "timeZone": "Mars/Olympus", "meetingKind": "phone"},
        meetings_conn_id="hiringcenter_default",
    )


failures()
