"""Deferrable sensors, for any Airflow: two whose arguments are plain, and one whose window is a template."""

from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_meetings.sensors.meetings import MeetingsSensor

DAY, NEXT_DAY = "2097-03-04T00:00:00Z", "2097-03-05T00:00:00Z"
USUAL = {"deferrable": True, "poke_interval": 5, "timeout": 1800}


@dag(schedule=None, params={"day": Param(DAY, type="string")})
def matrix_waits():
    """Three that wait for meetings which nobody has booked yet."""
    MeetingsSensor(
        task_id="hiringcenter",
        meetings_conn_id="hiringcenter_default",
        window_start=DAY,
        window_end=NEXT_DAY,
        match={"notes": "waited for"},
        **USUAL,
    )
    MeetingsSensor(
        task_id="builderprime",
        meetings_conn_id="builderprime_default",
        window_start=DAY,
        window_end=NEXT_DAY,
        match={"title": "waited for"},
        **USUAL,
    )
    MeetingsSensor(
        task_id="templated",
        meetings_conn_id="hiringcenter_default",
        window_start="{{ params.day }}",
        window_end=NEXT_DAY,
        match={"notes": "waited for"},
        **USUAL,
    )


matrix_waits()
