"""What the operators share: the connection, and what to do when the vendor has to be left alone for long."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_meetings.exceptions import MeetingsError, MeetingsInDoubtError, MeetingsRateLimitError
from airflow_provider_meetings.observability.link import MeetingLink
from airflow_provider_meetings.observability.outcome import report_failure
from airflow_provider_meetings.version_compat import RETRY_POLICY, timer

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["MeetingsOperator"]


class MeetingsOperator(BaseOperator):
    """The base of the operators."""

    ui_color = "#e8f1e4"
    #: Whether it changes meetings.
    _writes = True
    operator_extra_links = (MeetingLink(),)

    # In the signature, not added to kwargs: so Airflow finds it for default_args and for mapped tasks, too. Those of
    # Airflow 3.3.0 pass None where the author has given nothing.
    def __init__(self, *, meetings_conn_id: str, retry_policy: Any = RETRY_POLICY, **kwargs: Any) -> None:
        policy = RETRY_POLICY if retry_policy is None else retry_policy
        if policy is not None:
            kwargs["retry_policy"] = policy
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id

    def execute(self, context: Any) -> Any:
        """Do the work; where the vendor asks for a wait that is longer than a worker may sleep, free the slot."""
        return self._execute(context, waits=0)

    def execute_after_wait(self, context: Any, event: Any = None, waits: int = 0) -> Any:  # noqa: ARG002 - Airflow's way
        """Go on, in the same try, after a wait without a worker slot."""
        return self._execute(context, waits=waits)

    def _execute(self, context: Any, *, waits: int) -> Any:
        hook: MeetingsHook[Any, Any] | None = None
        try:
            hook = self._hook()
            return self._attempt(hook, context, waits=waits)
        except MeetingsError as error:
            report_failure(self, context, error, hook=hook, meeting=self._asked_for(), writes=self._writes)
            raise

    def _attempt(self, hook: MeetingsHook[Any, Any], context: Any, *, waits: int) -> Any:
        from airflow_provider_meetings.core.retry import bounded_wait  # noqa: PLC0415 - not at parse time

        try:
            return self._work(hook, context)
        except (MeetingsRateLimitError, MeetingsInDoubtError) as error:
            seconds = bounded_wait(error.retry_after or 0.0)
            long = seconds > hook.max_wait or isinstance(error, MeetingsInDoubtError)
            # What may have been sent is remembered over a wait only where there is a task state store.
            forgotten = error.maybe_sent and context.get("task_state_store") is None
            if not long or forgotten or waits >= _MOST_WAITS:
                raise
            if isinstance(error, MeetingsRateLimitError):
                hook.metrics.rate_limited(seconds)
            self.log.warning("%s The slot is freed; going on in %.0f s.", error, seconds)
            self.defer(
                trigger=timer(seconds),
                method_name="execute_after_wait",
                kwargs={"waits": waits + 1, **self._keep_over_wait()},
            )

    @abstractmethod
    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> Any:
        """Do what the operator is for; the result is the return value."""

    def _keep_over_wait(self) -> dict[str, Any]:
        """Return what ``execute_after_wait`` of this operator gets besides the number of waits; plain JSON."""
        return {}

    def _asked_for(self) -> Mapping[str, Any] | None:
        """Return what is known of the meeting that the task is about, for people who look at a failure."""
        return None

    def _hook(self) -> MeetingsHook[Any, Any]:
        from airflow_provider_meetings.hooks.resolve import hook_for  # noqa: PLC0415 - not at parse time

        return hook_for(self.meetings_conn_id)


# Waits of one try without a slot; HiringCenter's longest window is an hour, so that this is about a day.
_MOST_WAITS = 24
