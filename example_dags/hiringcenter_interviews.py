"""Book next week's interviews on HiringCenter, wait until all are there, move one, cancel the declined one.

What it shows:

- mapped creates: one `CreateMeetingOperator` over however many invitations a task returns;
- a business `idempotency_key`: HiringCenter answers a repeat under the same key with the meeting it made before;
- a deferrable `MeetingsSensor`: while it waits it holds no worker, only a place in the triggerer;
- a branch that decides whether there is anything to cancel.

It needs the connection `hiringcenter_default`. The ids below belong to the sandbox: put your own in.
Run it as often as you like: who is booked for the week already is not invited again.
"""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task  # airflow.sdk, and what was before it

from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.sensors.meetings import MeetingsSensor

# In real life this is a query of your applicant tracking system.
CANDIDATES = [
    "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
    "7d0f5b8e21c94f6fb3a8d47e9c61a05d",
    "e94b6c1fa7d2438c95f03b8d6a1e7c20",
]
WANTS_THE_AFTERNOON = CANDIDATES[0]
DECLINED = CANDIDATES[2]


@dag(
    schedule=None,
    tags=["example", "meetings", "hiringcenter"],
    default_args={"meetings_conn_id": "hiringcenter_default"},  # for every task that takes one
    params={
        "owner_id": Param("b2e7a1d94c3f4a8eb6d05c1f9a7e2d45", description="The recruiter who holds the interviews"),
        "time_zone": Param("America/New_York", description="Where the interviews take place"),
    },
)
def hiringcenter_interviews():
    @task(multiple_outputs=True)
    def next_week(params, dag_run):
        # From Monday to Monday on the recruiter's calendar, also in a week in which the clocks change.
        # When the run was due belongs to the run: a retry, or a clear next month, still means the same week.
        due = getattr(dag_run, "run_after", None) or dag_run.data_interval_end  # the latter is for Airflow 2
        here = pendulum.instance(due).in_timezone(params["time_zone"])
        monday = here.start_of("week").add(weeks=1)
        return {"start": monday.isoformat(), "end": monday.add(weeks=1).isoformat()}

    week = next_week()
    calendar = {  # what several tasks below look at: one recruiter's interviews of that week
        "window_start": week["start"],
        "window_end": week["end"],
        "filters": {"ownerId": "{{ params.owner_id }}"},
    }

    booked_already = ListMeetingsOperator(task_id="booked_already", **calendar)

    @task
    def invitations(monday, booked, params, run_id):
        # Each entry is the arguments of one CreateMeetingOperator.
        taken = {meeting["prospectId"] for meeting in booked}
        first_slot = pendulum.parse(monday).in_timezone(params["time_zone"]).set(hour=10)
        return [
            {
                "meeting": {
                    "prospectId": candidate,
                    "meetingDate": first_slot.add(days=day).isoformat(),
                    "timeZone": params["time_zone"],
                    "meetingType": "virtual",
                    "ownerId": params["owner_id"],
                    "location": "Zoom",
                    "notes": "First interview",
                },
                # Says what the meeting is for. Everybody who books under this key gets the same meeting.
                "idempotency_key": f"interview/{candidate}/{first_slot.date()}/{run_id}",
            }
            for day, candidate in enumerate(CANDIDATES)
            if candidate not in taken
        ]

    book = CreateMeetingOperator.partial(task_id="book").expand_kwargs(
        invitations(week["start"], booked_already.output)
    )

    wait_for_all = MeetingsSensor(
        task_id="wait_for_all",
        **calendar,
        match={"prospectId": CANDIDATES},
        min_count=len(CANDIDATES),
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(minutes=10).total_seconds(),
        trigger_rule="none_failed",  # when all were booked already there was nothing to map over
    )

    @task(multiple_outputs=True)
    def sort_out(interviews, params):
        by_candidate = {meeting["prospectId"]: meeting for meeting in interviews}
        to_move = by_candidate[WANTS_THE_AFTERNOON]
        morning = pendulum.from_timestamp(to_move["meetingDate"] / 1000, tz=params["time_zone"])
        return {
            "to_move": to_move["id"],
            "new_date": morning.set(hour=15, minute=30).isoformat(),  # absolute: repeating it changes nothing
            "to_cancel": by_candidate[DECLINED]["id"] if DECLINED in by_candidate else "",
        }

    decisions = sort_out(wait_for_all.output)

    move_to_the_afternoon = UpdateMeetingOperator(
        task_id="move_to_the_afternoon",
        meeting_id=decisions["to_move"],
        changes={"meetingDate": decisions["new_date"], "notes": "First interview, moved to the afternoon"},
    )

    @task.branch
    def has_anyone_declined(meeting_id):
        return "cancel" if meeting_id else "all_come"

    cancel = DeleteMeetingOperator(task_id="cancel", meeting_id=decisions["to_cancel"])

    @task
    def all_come():
        print("Nobody declined.")  # noqa: T201  print goes to the task's log

    book >> wait_for_all
    move_to_the_afternoon >> has_anyone_declined(decisions["to_cancel"]) >> [cancel, all_come()]


hiringcenter_interviews()
