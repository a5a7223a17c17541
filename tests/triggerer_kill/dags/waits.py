"""Many mapped sensors; the plan says what each of them waits for."""

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

from airflow_provider_meetings.sensors.meetings import MeetingsSensor

_plan = Path(os.environ.get("MEETINGS_WAITING_FOLDER", "/nonexistent")) / "plan.json"


def _waits(dag_id, questions):
    @dag(dag_id=dag_id, schedule=None, max_active_tasks=500)
    def waits():
        # A task that comes back before the scheduler has noticed that it left is taken for one that was killed, and is
        # tried again.
        MeetingsSensor.partial(
            task_id="wait", deferrable=True, retries=5, retry_delay=timedelta(seconds=1)
        ).expand_kwargs(questions)

    return waits()


for name, asked in (json.loads(_plan.read_text()) if _plan.exists() else {}).items():
    _waits(name, asked)
