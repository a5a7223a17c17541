"""When a try is repeated: the vendor's word counts in each way in which Airflow makes a task."""

import datetime as dt

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskGroup
from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_meetings.exceptions import MeetingsError, MeetingsRateLimitError, MeetingsServerError
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingsOperator,
    UpdateMeetingOperator,
)

MEETING = {"title": "Site visit"}
#: Each operator, its fixed arguments, and one that a mapped task expands over.
OPERATORS = [
    (CreateMeetingOperator, {}, {"meeting": MEETING}),
    (UpdateMeetingOperator, {"changes": MEETING}, {"meeting_id": "1"}),
    (DeleteMeetingOperator, {}, {"meeting_id": "1"}),
    (GetMeetingOperator, {}, {"meeting_id": "1"}),
    (ListMeetingsOperator, {}, {"filters": {"ownerId": "1"}}),
]


class Mine(RetryPolicy):
    """What an author has written for all tasks of a DAG."""

    def evaluate(self, exception, try_number, max_tries, context=None):  # noqa: ARG002 - Airflow's signature
        """Never again."""
        return RetryDecision.fail()


def made(operator, fixed, mapped, *, is_mapped, **arguments):
    """Make a task as Airflow runs it: a mapped one is made anew for each item."""
    everything = {"task_id": "task", "meetings_conn_id": "meetings", **fixed, **arguments}
    if not is_mapped:
        return operator(**everything, **mapped)
    task = operator.partial(**everything).expand(**{name: [value] for name, value in mapped.items()})
    return task.unmap(mapped)


def delay(task, error):
    """Return the delay that the task's policy decides on."""
    return task.retry_policy.evaluate(error, 1, 3).retry_delay


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize(("operator", "fixed", "mapped"), OPERATORS)
def test_a_retry_waits_as_long_as_the_vendor_asks(operator, fixed, mapped, is_mapped):
    """Three tries of a mapped task came within seven seconds, where the vendor had asked for 58."""
    with DAG("dag", schedule=None):
        task = made(operator, fixed, mapped, is_mapped=is_mapped)
    assert dt.timedelta(seconds=58) == delay(task, MeetingsRateLimitError("429", retry_after=58))
    assert dt.timedelta(seconds=7) == delay(task, MeetingsServerError("503", retry_after=7))
    assert delay(task, MeetingsError("no word of a wait")) is None


@pytest.mark.parametrize("where", ["dag", "group", "task"])
@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize(("operator", "fixed", "mapped"), OPERATORS)
def test_the_authors_policy_counts_wherever_it_is_given(operator, fixed, mapped, is_mapped, where):
    """An author's own policy replaces ours: in the DAG's default_args, a task group's, or the task's arguments."""
    defaults = {"retry_policy": Mine()}
    with DAG("dag", schedule=None, default_args=defaults if where == "dag" else {}):  # noqa: SIM117 - one in the other
        with TaskGroup("group", default_args=defaults if where == "group" else {}):
            task = made(operator, fixed, mapped, is_mapped=is_mapped, **(defaults if where == "task" else {}))
    assert isinstance(task.retry_policy, Mine)


def test_none_means_ours():
    """Airflow 3.3.0 makes a mapped task with None where its author has given nothing."""
    task = CreateMeetingOperator(task_id="task", meeting=MEETING, meetings_conn_id="meetings", retry_policy=None)
    assert dt.timedelta(seconds=5) == delay(task, MeetingsRateLimitError("429", retry_after=5))


def test_a_mapped_task_tells_the_scheduler_of_its_policy():
    """Airflow stores of a DAG whether a task has a policy."""
    with DAG("dag", schedule=None):
        mapped = CreateMeetingOperator.partial(task_id="task", meetings_conn_id="meetings").expand(meeting=[MEETING])
    assert mapped.has_retry_policy


@pytest.mark.parametrize("asked", [3601, 1_800_000_000, 1_800_000_000_000, 1e20, float("inf")])
def test_a_retry_waits_an_hour_at_most(asked):
    """A delay of centuries made Airflow's scheduler fail in every loop."""
    task = GetMeetingOperator(task_id="task", meeting_id="1", meetings_conn_id="meetings")
    assert dt.timedelta(hours=1) == delay(task, MeetingsRateLimitError("429", retry_after=asked))
