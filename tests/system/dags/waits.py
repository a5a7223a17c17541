"""One sensor in each of its three modes, for a meeting that somebody books later."""

import pendulum
from airflow.sdk import dag

from airflow_provider_meetings.sensors.meetings import MeetingsSensor


@dag(schedule=None, params={"notes": ""})
def waits():
    """Three tasks that wait for the same meeting."""
    modes = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}
    for task_id, arguments in modes.items():
        MeetingsSensor(
            task_id=task_id,
            window_start="{{ dag_run.run_after }}",
            window_end=pendulum.datetime(2100, 1, 1).isoformat(),
            match={"notes": "{{ params.notes }}"},
            poke_interval=3,
            timeout=120,
            meetings_conn_id="hiringcenter_default",
            **({"deferrable": False} | arguments),
        )


waits()
