"""A table becomes a calendar: make the site visits of a week equal to the rows of a table, once a person has approved.

What it shows:

- `SyncMeetingsOperator` in plan mode: what would be created, updated and deleted, as a table in the log and as a file;
- the same rows applied, after a person has looked at the plan under *Required Actions*; the wait holds no worker;
- `match_on`: which row is which meeting, here an opportunity and the name of a meeting type;
- a task that tells what was done, and who approved it.

It needs the connection `builderprime_default`, and Airflow 3.1 or newer for the approval: for older ones, and for runs
that nobody looks at, set the param `approve_automatically`. The ids in the params belong to the sandbox: put your own
in. Run it as often as you like: where nothing differs, nothing is written and nobody is asked.
"""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task  # airflow.sdk, and what was before it

from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator

COMPANY_ZONE = "America/New_York"
# Where the plan goes: the Airflow variable `meetings_folder`, such as s3://bucket/meetings.
FOLDER = "{{ var.value.get('meetings_folder', 'file:///tmp/meetings') }}/sync"


@dag(
    schedule=None,
    tags=["example", "meetings", "builderprime", "set", "approval"],
    default_args={"meetings_conn_id": "builderprime_default"},  # for every task that takes one
    params={
        "approve_automatically": Param(False, type="boolean", description="Write without asking a person"),  # noqa: FBT003
        "jobs": Param([102988, 102989, 102990], type="array", description="The opportunities of that week, in order"),
        "employee_id": Param(51, type="integer", description="Who goes there"),
    },
)
def meetings_sync():
    @task(multiple_outputs=True)
    def week_after_next(dag_run):
        # When the run was due belongs to the run: a retry, or a clear next month, still means the same week.
        due = getattr(dag_run, "run_after", None) or dag_run.data_interval_end  # the latter is for Airflow 2
        monday = pendulum.instance(due).in_timezone(COMPANY_ZONE).start_of("week").add(weeks=2)
        return {"start": monday.isoformat(), "end": monday.add(weeks=1).isoformat()}

    @task
    def rows(monday, params):
        # In real life this is a query of your warehouse: one row for each meeting that there has to be.
        visits = {"Measurement": 0, "Final Walkthrough": 3}  # and on which day after the first
        first = pendulum.parse(monday).in_timezone(COMPANY_ZONE).set(hour=9)
        return [
            {
                "clientOpportunityId": job,
                "meetingTypeName": kind,
                "title": f"{kind}, job {job}",
                "startDateTime": first.add(days=days, hours=2 * number).isoformat(),
                "endDateTime": first.add(days=days, hours=2 * number + 1).isoformat(),
                "employee": {"id": params["employee_id"]},
            }
            for number, job in enumerate(params["jobs"])
            for kind, days in visits.items()
        ]

    week = week_after_next()
    wanted = {
        "meetings": rows(week["start"]),
        "match_on": ["clientOpportunityId", "meetingTypeName"],
        # The scope: what is not in it is never touched.
        "window_start": week["start"],
        "window_end": week["end"],
        "filters": {"employee-id": "{{ params.employee_id }}"},
        "delete_missing": True,  # a visit of the scope that has no row goes
        "max_deletes": 10,  # more than that is a broken table, and an error
    }

    plan = SyncMeetingsOperator(task_id="plan", mode="plan", plan_destination=f"{FOLDER}/plan.jsonl", **wanted)

    apply = SyncMeetingsOperator(
        task_id="apply",
        approval="{{ 'never' if params.approve_automatically else 'always' }}",
        retries=2,  # killed at any moment, the next try does what is left, and no visit is made twice
        retry_delay=timedelta(seconds=10),
        **wanted,
    )

    @task
    def tell(done, ti):
        approval = ti.xcom_pull(task_ids="apply", key="approval")
        who = f"approved by {approval['by']}" if approval else "nobody was asked"
        counts = ", ".join(f"{done[kind]} {kind}" for kind in ("created", "updated", "deleted", "unchanged"))
        print(f"Plan {done['plan_digest'][:12]}: {counts}; {who}.")  # noqa: T201  in real life, a message

    plan >> apply
    tell(apply.output)


meetings_sync()
