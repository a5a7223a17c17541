"""Books meetings and waits for them, all at once: as many creates as sensors, half of each with either vendor.

The sensors do not depend on the creates: they are deferred first, and each goes on when its meeting has been booked.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, XComArg, dag, task

from airflow_provider_meetings.operators.meetings import CreateMeetingOperator
from airflow_provider_meetings.sensors.meetings import MeetingsSensor
from demo.celery.plan import items


@dag(
    schedule=None,
    max_active_tasks=1000,  # the workers' slots are to be the limit
    params={"first": Param(0, type="integer"), "count": Param(300, type="integer")},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=1)},
)
def scale_out() -> None:
    """As many creates and sensors as the run's params say."""

    @task
    def plan_bookings(params: Any = None) -> list[dict[str, Any]]:
        return [item.booking for item in items(params["first"], params["count"])]

    @task
    def plan_waits(params: Any = None) -> list[dict[str, Any]]:
        return [item.wait for item in items(params["first"], params["count"])]

    @task
    def compare(booked: Any, outcomes: Any, waited: Any) -> dict[str, Any]:
        """What each create and each sensor returned: the ids, in the order of the items."""
        return {
            "booked": [meeting["id"] for meeting in booked[:]],
            "outcomes": list(outcomes[:]),
            "waited": [[meeting["id"] for meeting in found] for found in waited[:]],
        }

    bookings, waits = plan_bookings(), plan_waits()
    wait = MeetingsSensor.partial(
        task_id="wait", deferrable=True, poke_interval=10, timeout=1800, priority_weight=2
    ).expand_kwargs(waits)
    book = CreateMeetingOperator.partial(task_id="book").expand_kwargs(bookings)
    compare(book.output, XComArg(book, "outcome"), wait.output)


scale_out()
