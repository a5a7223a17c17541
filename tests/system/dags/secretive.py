"""Tasks that have secrets: keys that work and keys that do not, narrow keys, a proxy's password, a deferral, sets."""

import os
import sys
from pathlib import Path

from airflow.sdk import dag, task

from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    ListMeetingsOperator,
    SyncMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

sys.path.insert(0, str(Path(__file__).parents[2] / "security"))

from canaries import PLANTED

DAY = {"window_start": "2026-11-23T00:00:00Z", "window_end": "2026-11-24T00:00:00Z"}


@dag(schedule=None)
def secretive():
    """Every way in which a task handles a secret, and one task that is careless on purpose."""
    for conn_id in (
        "hiringcenter_odd_key",
        "builderprime_odd_key",
        "hiringcenter_proxied",
        "hiringcenter_login_in_host",
    ):
        ListMeetingsOperator(task_id=f"list_{conn_id}", **DAY, meetings_conn_id=conn_id)

    visit = {
        "clientOpportunityId": 102988,
        "title": "Visit",
        "startDateTime": "2026-11-23T10:00:00Z",
        "endDateTime": "2026-11-23T11:00:00Z",
        "employee": {"id": 50},
        "meetingTypeId": 1011,
    }
    narrow = {"meetings_conn_id": "builderprime_narrow_keys"}
    book = CreateMeetingOperator(task_id="book", meeting=visit, **narrow)
    this = "{{ ti.xcom_pull(task_ids='book')['id'] }}"
    move = UpdateMeetingOperator(task_id="move", meeting_id=this, changes={"title": "Visit, moved"}, **narrow)
    show = ListMeetingsOperator(task_id="show", **DAY, **narrow)
    cancel = DeleteMeetingOperator(task_id="cancel", meeting_id=this, **narrow)
    book >> move >> show >> cancel

    for conn_id in ("hiringcenter_default", "builderprime_narrow_keys", "hiringcenter_odd_key", "hiringcenter_proxied"):
        wait = MeetingsSensor(
            task_id=f"wait_{conn_id}",
            **DAY,
            match={"notes" if "hiring" in conn_id else "title": PLANTED},
            deferrable=True,
            poke_interval=5,
            timeout=3600,
            meetings_conn_id=conn_id,
        )
        wait.retries = 0

    # What is planted in a row must be found in the plan's file and in the form, and so must a secret be that is there.
    table = {
        "meetings": [
            visit | {"title": PLANTED, "startDateTime": "2026-12-01T10:00:00Z", "endDateTime": "2026-12-01T11:00:00Z"}
        ],
        "match_on": ["clientOpportunityId"],
        "window_start": "2026-12-01T00:00:00Z",
        "window_end": "2026-12-02T00:00:00Z",
    }
    folder = f"file://{os.environ['AIRFLOW_HOME']}/sets"
    files = {"plan_destination": f"{folder}/plan.jsonl", "state": f"{folder}/state.json"}
    sync = SyncMeetingsOperator(task_id="sync", **table, **files, **narrow)
    gone = {"meetings": [], "delete_missing": True, "max_deletes": 9}
    ask = SyncMeetingsOperator(task_id="sync_asks", **table | gone, approval="deletes", **narrow)
    sync >> ask
    SyncMeetingsOperator(task_id="sync_odd_key", **table, meetings_conn_id="builderprime_odd_key")

    @task
    def careless(text):
        """Prints and returns what it is given."""
        print(text)
        return text

    careless(PLANTED)


secretive()
