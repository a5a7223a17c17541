"""The operator that makes the meetings of a window equal to a table of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_meetings.operators.base import MeetingsOperator

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["SyncMeetingsOperator"]


class SyncMeetingsOperator(MeetingsOperator):
    """Makes the meetings of a window equal to the declared ones, in one task.

    Rows that have no meeting are created, rows whose meeting differs are updated in what differs, meetings that have no
    row are left alone, or deleted with ``delete_missing``. Creates and updates come first; deletes only when all of
    those went well. However often the task is tried, killed, cut off or cleared, no row gets a second meeting.

    Args:
        meetings: The rows: a list of meetings as :class:`CreateMeetingOperator` takes them, JSON text of one, or the
            URL of a JSON Lines file. A field that a row leaves out is not compared; None means that it is empty.
        match_on: The names of the fields that tell which row is which meeting, such as ``["prospectId"]``.
        window_start: The first moment of the scope; the start of the run's data interval when left out.
        window_end: The first moment that is too late; the end of the run's data interval when left out.
        window_length: How long the scope is, a ``timedelta`` or seconds, counted from the run's ``partition_date``: for
            runs of a partition, which have no data interval (Airflow 3.2+).
        filters: The vendor's own query parameters; what they leave out is never touched.
        delete_missing: Meetings of the scope that have no row are deleted.
        mode: ``apply``, or ``plan``: nothing is written, and what would be done is returned.
        approval: ``never``; ``always``; or ``deletes``, where something would be deleted. A person looks at the plan in
            Airflow's form of required actions (Airflow 3.1+), and the task waits without a worker.
        max_deletes: A plan with more deletes is refused. Needed where there are no rows and ``delete_missing`` is set.
        max_changes: A plan with more changes is refused.
        on_doubt: What to do with a plan that is larger than ``max_deletes`` or ``max_changes`` allow: ``fail``, or
            ``ask`` a person whether it is applied anyway (Airflow 3.1+).
        response_timeout: How long a person has time to answer, a ``timedelta`` or seconds; for ever when left out.
        default_choice: What holds where nobody has answered in time: ``apply`` or ``stop``. When left out the task
            fails then.
        plan_destination: The URL of a file that takes the whole plan as JSON Lines.
        state: The URL of a file that remembers from run to run which meeting each row has, so that one which somebody
            moved out of the scope is put back, rather than made a second time.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.

    Returns:
        ``mode``; the counts ``created``, ``updated``, ``deleted``, ``unchanged``; ``ids``, by kind, the first 100 of
        each; ``plan_digest``; and with ``mode="plan"`` ``changes``, the first 100.
    """

    template_fields: Sequence[str] = (
        "meetings",
        "match_on",
        "window_start",
        "window_end",
        "window_length",
        "filters",
        "delete_missing",
        "mode",
        "approval",
        "max_deletes",
        "max_changes",
        "on_doubt",
        "response_timeout",
        "default_choice",
        "plan_destination",
        "state",
        "meetings_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"meetings": "json", "match_on": "json", "filters": "json"}

    def __init__(
        self,
        *,
        meetings: Any,
        match_on: Sequence[str] | str,
        window_start: Any = None,
        window_end: Any = None,
        window_length: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        delete_missing: bool | str = False,
        mode: str = "apply",
        approval: str = "never",
        max_deletes: int | str | None = None,
        max_changes: int | str | None = None,
        on_doubt: str = "fail",
        response_timeout: Any = None,
        default_choice: str | None = None,
        plan_destination: str | None = None,
        state: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meetings = meetings
        self.match_on = match_on
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.filters = filters
        self.delete_missing = delete_missing
        self.mode = mode
        self.approval = approval
        self.max_deletes = max_deletes
        self.max_changes = max_changes
        self.on_doubt = on_doubt
        self.response_timeout = response_timeout
        self.default_choice = default_choice
        self.plan_destination = plan_destination
        self.state = state
        self._approval: dict[str, Any] | None = None

    def execute(self, context: Any) -> Any:
        """Do the work; where a person has to look at the plan, or the vendor wants a long wait, free the worker."""
        self._resumed: dict[str, Any] = {}
        return self._execute(context, waits=0)  # not by super(): Airflow 2 takes that for a call from outside a task

    def execute_after_answer(self, context: Any, event: Any = None, asked: Any = None) -> Any:
        """Go on, in the same try, when a person has looked at the plan."""
        self._resumed = {"event": event, "asked": asked}
        return self._execute(context, waits=0)

    def execute_after_wait(self, context: Any, event: Any = None, waits: int = 0, approval: Any = None) -> Any:
        """Go on, in the same try, after a wait without a worker slot."""
        self._resumed = {"waited": True, "approval": approval}
        return super().execute_after_wait(context, event, waits)

    def note_approval(self, approval: dict[str, Any]) -> None:
        """Keep the approval under which this try writes, should it have to wait."""
        self._approval = approval

    def _keep_over_wait(self) -> dict[str, Any]:
        return {} if self._approval is None else {"approval": self._approval}

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.core.times import window_or_data_interval  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.operators.set_people import SetPeople  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.sets.run import SetRun  # noqa: PLC0415 - likewise

        window = window_or_data_interval(self.window_start, self.window_end, context, self.window_length)
        people = SetPeople(self, hook, context)
        given = {name: getattr(self, name) for name in self.template_fields}
        return SetRun(hook, context, self.log, people, given, window, people.resumed(self._resumed)).execute()
