"""A set that asks for approval, and a create in doubt; each is killed once when a person has answered."""

import os
import signal
from datetime import timedelta

from airflow.sdk import Param, dag

from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator, SyncMeetingsOperator

WEEK = {"window_start": "2027-04-05T00:00:00-04:00", "window_end": "2027-04-12T00:00:00-04:00"}
BUILDERPRIME = {"meetings_conn_id": "builderprime_pages"}


class KilledAfterTheAnswer:
    """Ends its process by SIGKILL when a person has answered, before it knows or at the first write after that.

    The next try lives on.
    """

    def _die(self, store):
        store.set("killed", value=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _execute(self, context, *, waits):
        store = context["task_state_store"]
        if self.answered == "after" and not store.get("killed"):
            drive = MeetingsHook.drive

            def die(hook, make_call, save=None, *, writes=True):
                if not writes:
                    return drive(hook, make_call, save, writes=writes)
                return self._die(store)

            MeetingsHook.drive = die
        return super()._execute(context, waits=waits)

    answered = ""


class Sync(KilledAfterTheAnswer, SyncMeetingsOperator):
    """A set that is killed when it is about to read that a plan was approved, or to apply it."""

    def execute_after_answer(self, context, event=None, asked=None):
        """Go on when a person has answered."""
        self.answered = context["params"]["kill"]
        if self.answered == "before" and not context["task_state_store"].get("killed"):
            self._die(context["task_state_store"])
        return super().execute_after_answer(context, event, asked)


class Create(KilledAfterTheAnswer, CreateMeetingOperator):
    """A create that is killed when a person has said which meeting is its own."""

    def execute_after_choice(self, context, event=None, candidates=None):
        """Go on when a person has chosen."""
        self.answered = "after"
        return super().execute_after_choice(context, event, candidates)


@dag(
    schedule=None,
    params={"rows": Param([], type="array"), "kill": Param(default="", enum=["", "before", "after"])},
    render_template_as_native_obj=True,
)
def calendar():
    """Make the visits of a week equal to a table."""
    Sync(
        task_id="sync",
        meetings="{{ params.rows }}",
        match_on=["clientOpportunityId", "meetingTypeName"],
        delete_missing=True,
        max_deletes=1,
        approval="always",
        on_doubt="ask",
        retries=3,
        retry_delay=timedelta(seconds=2),
        **WEEK,
        **BUILDERPRIME,
    )


@dag(schedule=None)
def doubtful():
    """Book a visit, whose answer is lost."""
    Create(
        task_id="book",
        meeting={
            "title": "Site visit",
            "location": "5 Main Street",
            "startDateTime": "2027-05-03T09:00:00-04:00",
            "endDateTime": "2027-05-03T10:00:00-04:00",
            "clientOpportunityId": 102988,
            "meetingTypeId": 1012,
            "employee": {"id": 50},
        },
        on_doubt="ask",
        retries=3,
        retry_delay=timedelta(seconds=2),
        **BUILDERPRIME,
    )


calendar()
doubtful()
