"""The sensor that waits for meetings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.intervals import window_or_interval
from airflow_provider_meetings.links import MeetingLink
from airflow_provider_meetings.reporting import report

__all__ = ["MeetingsSensor"]


class MeetingsSensor(BaseSensorOperator):
    """Waits until a window of time holds enough meetings; returns them.

    Poke, reschedule and deferrable mode ask the same question, return the same value and fail the same way. An error
    that waiting cannot mend (a wrong key, a refused filter) fails the task at once, under ``soft_fail`` too; any other
    error of the vendor is logged and waited out until ``timeout``.

    Args:
        window_start: The first moment; the start of the run's data interval when left out.
        window_end: The first moment that is too late; the end of the run's data interval when left out.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, ``{field: value or list of values}``, checked here, for what the vendor
            cannot filter by.
        min_count: How many meetings are enough.
        deferrable: Wait in the triggerer, without a worker slot; Airflow's ``[operators] default_deferrable`` when left
            out.
        meetings_conn_id: The connection; its type decides which vendor is asked.

    Raises:
        MeetingsConfigurationError: An argument or the connection is wrong, or the run has no data interval and no
            window is given.
        AirflowSensorTimeout: ``timeout`` is over.
    """

    template_fields: Sequence[str] = (
        "window_start",
        "window_end",
        "filters",
        "match",
        "min_count",
        "meetings_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json", "match": "json"}
    ui_color = "#d6e6f2"
    operator_extra_links = (MeetingLink(),)

    def __init__(
        self,
        *,
        meetings_conn_id: str,
        window_start: Any = None,
        window_end: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        match: Mapping[str, Any] | None = None,
        min_count: int | str = 1,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id
        self.window_start = window_start
        self.window_end = window_end
        self.filters = filters
        self.match = match
        self.min_count = min_count
        self.deferrable = deferrable
        self._reached = False

    def execute(self, context: Any) -> Any:
        """Wait, in the mode that was chosen."""
        if not self.deferrable:
            with _permanent_errors_fail(self):
                return super().execute(context)
        answer = self.poke(context)
        if answer:
            return answer.xcom_value
        from airflow_provider_meetings.triggers.meetings import MeetingsTrigger  # noqa: PLC0415 - not at parse time

        self.defer(
            trigger=MeetingsTrigger(
                meetings_conn_id=self.meetings_conn_id,
                poke_interval=self.poke_interval,
                **self._question(context).as_kwargs(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        return None

    def poke(self, context: Any) -> PokeReturnValue:
        """Ask once."""
        from airflow_provider_meetings.hooks.choice import hook_for  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.waiting import is_elsewhere, is_permanent  # noqa: PLC0415 - likewise

        question = self._question(context)
        try:
            hook = hook_for(self.meetings_conn_id)
            listed = hook.list_meetings(question.window_start, question.window_end, filters=dict(question.filters))
            found = question.satisfied_by(listed)
        except MeetingsError as error:
            if is_permanent(error) or (is_elsewhere(error) and not self._has_reached_the_vendor(context)):
                raise
            self.log.warning("Not asked for good, asking again: %s", error)
            return PokeReturnValue(is_done=False)
        self._reached = True
        if found is None:
            self.log.info("Still waiting for %s", question)
            return PokeReturnValue(is_done=False)
        report(self, context, "found", found, hook=hook)
        return PokeReturnValue(is_done=True, xcom_value=found)

    def _has_reached_the_vendor(self, context: Any) -> bool:
        """Whether an earlier question was answered, in this process or before a reschedule."""
        if self._reached or self.mode != "reschedule":
            return self._reached
        first = getattr(context.get("ti"), "get_first_reschedule_date", None)
        return first is not None and first(context) is not None

    def execute_complete(self, context: Any, event: Any = None) -> list[dict[str, Any]]:
        """Go on after the trigger has fired."""
        from airflow_provider_meetings.waiting import from_event  # noqa: PLC0415 - not at parse time

        found = from_event(event)
        self.log.info("Success criteria met: %d meeting(s)", len(found))
        report(self, context, "found", found)
        return found

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Go on after a deferral; an error that waiting cannot mend is not softened."""
        with _permanent_errors_fail(self):
            return super().resume_execution(next_method, next_kwargs, context)

    def _question(self, context: Any) -> Any:
        from airflow_provider_meetings.waiting import Question  # noqa: PLC0415 - not at parse time

        start, end = window_or_interval(self.window_start, self.window_end, context)
        return Question.of(start, end, self.filters, self.match, self.min_count)


class _permanent_errors_fail:  # noqa: N801 - reads as a statement
    """Undo what ``soft_fail`` makes of an error that waiting cannot mend: skipping would hide a wrong key for ever."""

    def __init__(self, sensor: MeetingsSensor) -> None:
        self._soft = sensor.soft_fail

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from airflow_provider_meetings.waiting import is_permanent  # noqa: PLC0415 - not at parse time

        cause = error.__cause__ if isinstance(error, AirflowSkipException) else None
        if self._soft and isinstance(cause, MeetingsError) and is_permanent(cause):
            raise cause
