"""A tour: create, get, update, list, wait for and delete a meeting, on both vendors.

The operators are the same for both vendors: the type of the connection decides whom they talk to. What differs is
what a meeting looks like: it has the vendor's own fields, under the vendor's own names. So the tour is one function,
and each vendor brings its own meeting.

It needs the connections `hiringcenter_default` and `builderprime_default`; without an account, run
`python -m airflow_provider_meetings.sandbox`, which prints both. The ids below belong to the sandbox.
"""

import pendulum
from airflow.providers.common.compat.sdk import chain, dag, task, task_group  # airflow.sdk, and what was before it

from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

# Where the files go: the Airflow variable `meetings_folder`, such as s3://bucket/meetings.
FOLDER = "{{ var.value.get('meetings_folder', 'file:///tmp/meetings') }}/tour"


@dag(schedule=None, tags=["example", "meetings", "tutorial"])
def meetings_tour():
    # Moments may be aware datetimes, ISO 8601 strings with an offset, or epoch milliseconds.
    # They come from the run, not from the clock: a task that is tried again must ask for the same meeting.
    # The day is far ahead, where nobody else is busy: what is made here must not be taken for a real appointment.
    @task(multiple_outputs=True)
    def a_free_day(dag_run):
        due = getattr(dag_run, "run_after", None) or dag_run.data_interval_end  # the latter is for Airflow 2
        day = pendulum.instance(due).in_timezone("UTC").add(weeks=10).start_of("day")
        moments = {"start": day, "ten": day.set(hour=10), "eleven": day.set(hour=11), "end": day.add(days=1)}
        return {name: moment.isoformat() for name, moment in moments.items()}

    day = a_free_day()

    def tour(vendor, meeting, changes, suffixes):
        @task_group(group_id=vendor)
        def steps():
            conn_id = f"{vendor}_default"

            # 1. Create. However often this task is tried, it makes one meeting, and returns it as the vendor sees it.
            create = CreateMeetingOperator(task_id="create", meeting=meeting, meetings_conn_id=conn_id)

            # The other steps take the id from what `create` returned.
            meeting_id = f"{{{{ ti.xcom_pull('{vendor}.create')['id'] }}}}"

            # 2. Get it. A meeting that is not there is an error that Airflow does not retry.
            get = GetMeetingOperator(task_id="get", meeting_id=meeting_id, meetings_conn_id=conn_id)

            # 3. Update: only the fields that are named change. `None` erases a field.
            update = UpdateMeetingOperator(
                task_id="update", meeting_id=meeting_id, changes=changes, meetings_conn_id=conn_id
            )

            # 4. List a window: the start belongs to it, the end does not. Without one it is the run's data interval,
            #    which a DAG without a schedule does not have. Pages and long windows are not your business.
            list_day = ListMeetingsOperator(
                task_id="list", window_start=day["start"], window_end=day["end"], meetings_conn_id=conn_id
            )

            #    With a `destination` it is written to a file, whose suffix chooses the format: JSON Lines, CSV, Parquet
            #    (which takes the extra `parquet`). A file appears when the list is complete, or not at all.
            write_day = ListMeetingsOperator.partial(
                task_id="write",
                window_start=day["start"],
                window_end=day["end"],
                record_schema="common",  # the same columns for both vendors
                meetings_conn_id=conn_id,
            ).expand(destination=[f"{FOLDER}/{vendor}.{suffix}" for suffix in suffixes])

            # 5. Wait until a meeting is there. `filters` are what the vendor can filter by, `match` is for everything
            #    else. With `deferrable=True` waiting takes no worker; `mode="reschedule"` frees it between looks.
            wait = MeetingsSensor(
                task_id="wait",
                window_start=day["start"],
                window_end=day["end"],
                match={"id": meeting_id},
                meetings_conn_id=conn_id,
                poke_interval=5,
                timeout=120,
            )

            # 6. Delete. Gone is gone: with `missing_ok`, the default, deleting twice is no error.
            delete = DeleteMeetingOperator(task_id="delete", meeting_id=meeting_id, meetings_conn_id=conn_id)

            chain(create, get, update, [list_day, write_day], wait, delete)

        return steps()

    tour(
        "hiringcenter",
        meeting={
            "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
            "meetingDate": day["ten"],
            "timeZone": "America/New_York",  # how the meeting is shown; with it, a date may also be local and naive
            "meetingType": "virtual",
            "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
            "location": "Zoom",
        },
        changes={"meetingDate": day["eleven"], "location": None},
        suffixes=["jsonl", "csv.gz"],
    )
    tour(
        "builderprime",
        meeting={
            "clientOpportunityId": 102988,
            "title": "Estimate for Johnny Cash",
            "location": "200 Caudill Dr, Hendersonville, TN 37075",
            "startDateTime": day["ten"],
            "endDateTime": day["eleven"],
            "employee": {"id": 50},
            "meetingTypeId": 1011,
        },
        changes={"title": "Estimate for Johnny Cash, second visit"},
        suffixes=["csv", "parquet"],
    )


meetings_tour()
