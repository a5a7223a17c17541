"""One sensor in each of its three modes, for a meeting that somebody books later."""

import pendulum
from airflow.sdk import dag

from airflow_provider_meetings.sensors.meetings import MeetingsSensor


@dag(schedule=None, params={"notes": ""})
def waits():
    """Three tasks that wait for the same meeting."""
    # A task that comes back before the scheduler has noticed that it left is taken for one that was killed. What the
    # deferrable one waits for is booked afterwards; the one that comes back by itself stays away longer than a busy
    # machine may take to notice.
    modes = {
        "poke": {"mode": "poke", "poke_interval": 3},
        "reschedule": {"mode": "reschedule", "poke_interval": 30},
        "deferrable": {"deferrable": True, "poke_interval": 5},
    }
    for task_id, arguments in modes.items():
        MeetingsSensor(
            task_id=task_id,
            window_start="{{ dag_run.run_after }}",
            window_end=pendulum.datetime(2100, 1, 1).isoformat(),
            match={"notes": "{{ params.notes }}"},
            timeout=1800,
            meetings_conn_id="hiringcenter_default",
            **({"deferrable": False} | arguments),
        )


waits()
