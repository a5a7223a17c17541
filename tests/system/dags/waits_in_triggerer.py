"""Deferrable sensors whose arguments need no worker, and one whose argument nobody can wait for."""

from airflow.sdk import dag

from airflow_provider_meetings.sensors.meetings import MeetingsSensor

WINDOW = {"window_start": "2097-03-04T00:00:00Z", "window_end": "2097-03-05T00:00:00Z"}
USUAL = {"deferrable": True, "poke_interval": 3, "timeout": 1800, "meetings_conn_id": "hiringcenter_default"}


@dag(schedule=None)
def waits_in_triggerer():
    """Three tasks that start in the triggerer, one that a worker refuses, one that is told to start on a worker."""
    MeetingsSensor(task_id="found", **USUAL | WINDOW, match={"notes": "waits in the triggerer"})
    MeetingsSensor(task_id="in_time", **USUAL | WINDOW | {"timeout": 5}, match={"notes": "never"}, soft_fail=True)
    MeetingsSensor(task_id="wrong_key", **USUAL | WINDOW | {"meetings_conn_id": "hiringcenter_wrong_key"}, retries=2)
    MeetingsSensor(task_id="refused", **USUAL | WINDOW | {"window_end": "2097-03-05T00:00:00"}, retries=2)
    MeetingsSensor(
        task_id="on_a_worker", **USUAL | WINDOW, match={"notes": "waits in the triggerer"}, start_from_trigger=False
    )


waits_in_triggerer()
