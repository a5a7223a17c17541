"""Run whenever somebody touches an interview on HiringCenter: no schedule, no sensor, no run that finds nothing.

What it shows:

- a `MeetingsEventTrigger` that watches an asset: the interviews of the next two weeks, as these two weeks move on;
- a DAG that is scheduled by that asset, and so runs by itself for whatever is created, changed, moved or cancelled;
- `meeting_events`, which reads what has happened to the meetings and drops what an earlier run has got already;
- the same asset as the outlet or the schedule of any other DAG.

It needs the connection `hiringcenter_default`, and Airflow 3.0 or newer; 3.3 to miss nothing while no triggerer runs.
To see it work, book, move or delete a meeting, in the vendor's app or with another of these examples.
"""

from datetime import timedelta

import pendulum
from airflow.sdk import dag, get_current_context, task

from airflow_provider_meetings.assets import meeting_events, meetings_asset
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger

CONNECTION = "hiringcenter_default"

interviews = meetings_asset(
    CONNECTION,
    "interviews",
    trigger=MeetingsEventTrigger(
        meetings_conn_id=CONNECTION,
        ahead=timedelta(days=14),
        poke_interval=10,  # all who wait on the connection share their requests: this is how old news may be
        kinds=["created", "changed", "moved_in", "moved_out", "gone"],  # all there are; name those that you want
    ),
)


@dag(schedule=interviews, tags=["example", "meetings", "hiringcenter", "asset"])
def meetings_watch():
    @task
    def news():
        # One run may have several events, and none that is new: then there is nothing to do.
        return meeting_events(get_current_context())

    @task
    def tell(event):
        was, now = event["before"] or {}, event["after"] or {}
        match event["kind"]:
            case "created" | "moved_in":
                when = pendulum.from_timestamp(now["meetingDate"] / 1000, tz=now["timeZone"])
                text = f"{event['kind']}: {now['meetingType']} on {when:%A, %d %B at %H:%M}"
            case "changed":
                text = "changed: " + ", ".join(f"{name} {was[name]!r} -> {now[name]!r}" for name in now)
            case kind:
                text = f"{kind}: {was.get('notes') or 'no notes'}"
        print(f"Meeting {event['id']}, {text}")  # noqa: T201  print goes to the task's log
        return text

    tell.expand(event=news())  # a task for each event, which is retried by itself


meetings_watch()
