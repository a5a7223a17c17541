"""Every evening: write tomorrow's site visits from Builder Prime into a file, and move the first one.

What it shows:

- a day in the company's time zone, also when the clocks change: a window is two moments, not 24 hours;
- `BuilderPrimeHook` for what has no operator: the account's meeting types;
- Airflow's object storage: the folder may be local, on S3, on GCS, ... (Variable `site_visits_folder`);
- an update to an absolute time, which is safe to repeat.

It needs the connection `builderprime_default`. The two ids in the params belong to the sandbox: put your own in.
When there is no visit tomorrow it books one first, so that it always has something to show.
"""

import json
import tempfile
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import (  # airflow.sdk, and what was before it
    ObjectStoragePath,
    Param,
    Variable,
    dag,
    task,
)
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)

COMPANY_ZONE = "America/New_York"
CONNECTION = "builderprime_default"


@dag(
    # At 18:00 on the company's clocks, all year. The interval gives each run a window of its own: the day before it.
    # `run_immediately`: switched on at noon, it does not wait for the evening to show what it can do (Airflow 3.0+;
    # leave it out for Airflow 2).
    schedule=CronTriggerTimetable(
        "0 18 * * *", timezone=COMPANY_ZONE, interval=timedelta(days=1), run_immediately=True
    ),
    start_date=pendulum.datetime(2026, 1, 1, tz=COMPANY_ZONE),  # Airflow 2 asks for one
    catchup=False,
    tags=["example", "meetings", "builderprime"],
    default_args={"meetings_conn_id": CONNECTION},  # for every task that takes one
    params={
        "opportunity_id": Param(102988, type="integer", description="The opportunity to visit when nobody else is"),
        "employee_id": Param(50, type="integer", description="Who goes there"),
    },
)
def builderprime_site_visits():
    @task(multiple_outputs=True)
    def tomorrow(dag_run):
        due = getattr(dag_run, "run_after", None) or dag_run.data_interval_end  # the latter is for Airflow 2
        today = pendulum.instance(due).in_timezone(COMPANY_ZONE).start_of("day")
        day, day_after = today.add(days=1), today.add(days=2)  # 23, 24 or 25 hours apart
        return {
            "date": day.to_date_string(),
            "start": day.isoformat(),
            "end": day_after.isoformat(),
            "seven_thirty": day.set(hour=7, minute=30).isoformat(),
            "ten": day.set(hour=10).isoformat(),
            "eleven": day.set(hour=11).isoformat(),
        }

    @task
    def meeting_types():
        return list(BuilderPrimeHook(CONNECTION).list_meeting_types())

    day = tomorrow()
    types = meeting_types()

    # `window_start` and `window_end` would default to the run's data interval; this DAG looks ahead and says so.
    whole_day = {"window_start": day["start"], "window_end": day["end"]}
    list_visits = ListMeetingsOperator(task_id="list_visits", **whole_day)

    @task.branch
    def is_there_a_visit(visits):
        return "list_all_visits" if visits else "book_visit"

    @task
    def choose_type(types):
        default = [kind for kind in types if kind.get("isDefaultMeetingType")]
        return (default or types)[0]["id"]

    book_visit = CreateMeetingOperator(
        task_id="book_visit",
        meeting={
            "clientOpportunityId": "{{ params.opportunity_id }}",  # a template makes a string: digits become a number
            "title": "Site visit",
            "location": "5 Spooner St, Providence, RI 02907",
            "startDateTime": day["ten"],
            "endDateTime": day["eleven"],
            "employee": {"id": "{{ params.employee_id }}"},
            "meetingTypeId": choose_type(types),
            "reminders": [{"unitsBefore": 30, "unitType": "MINUTES"}],
        },
    )

    list_all_visits = ListMeetingsOperator(task_id="list_all_visits", **whole_day, trigger_rule="none_failed")

    @task
    def write_file(date, visits, types):
        kinds = {kind["name"]: kind for kind in types}
        lines = [
            json.dumps(visit | {"isSalesMeeting": kinds.get(visit["meetingTypeName"], {}).get("isSalesMeeting")})
            for visit in sorted(visits, key=lambda visit: visit["startDateTime"])
        ]
        default = f"file://{tempfile.gettempdir()}/site-visits"
        folder = ObjectStoragePath(Variable.get("site_visits_folder", default))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{date}.jsonl"  # a second run for the same day replaces the file
        path.write_text("\n".join([*lines, ""]))
        return str(path)

    @task(multiple_outputs=True)
    def first_visit(visits, seven_thirty):
        visit = min(visits, key=lambda visit: visit["startDateTime"])
        start = pendulum.parse(seven_thirty)
        length = visit["endDateTime"] - visit["startDateTime"] if visit.get("endDateTime") else 3_600_000
        return {"id": visit["id"], "start": start.isoformat(), "end": start.add(seconds=length / 1000).isoformat()}

    first = first_visit(list_all_visits.output, day["seven_thirty"])

    move_first_visit = UpdateMeetingOperator(
        task_id="move_first_visit",
        meeting_id=first["id"],
        changes={"startDateTime": first["start"], "endDateTime": first["end"]},
    )

    is_there_a_visit(list_visits.output) >> [book_visit, list_all_visits]
    book_visit >> list_all_visits
    write_file(day["date"], list_all_visits.output, types) >> move_first_visit


builderprime_site_visits()
