"""The sensor that waits for meetings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.observability.link import MeetingLink
from airflow_provider_meetings.observability.outcome import report_failure, report_outcome
from airflow_provider_meetings.sensors.holding import VendorWait
from airflow_provider_meetings.sensors.starting import PerInstance, start_from_trigger, start_trigger_args

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["MeetingsSensor"]

# Airflow compares what is over with the timeout by >.
_MOMENT = 0.01


class MeetingsSensor(BaseSensorOperator):
    """Waits until a window of time holds enough meetings; returns them.

    Poke, reschedule and deferrable mode read the same list, return the same value and end the same way:

    * A permanent error (a wrong key, a rejected filter) fails the task at once. ``soft_fail``, ``never_fail`` and
      ``silent_fail`` do not hide it: a wrong key would be skipped on every run.
    * Any other error of the vendor is logged, and the sensor goes on waiting until ``timeout``. Where the vendor says
      how long to wait (``Retry-After``), nothing is sent before, whatever ``poke_interval`` says.
    * An unexpected error (a bug, or another server that answers instead of the vendor from the first request on) fails
      this try; ``silent_fail`` logs it and goes on waiting, ``never_fail`` skips the task.
    * When ``timeout`` is over, the task fails without a retry; ``soft_fail`` and ``never_fail`` skip it.

    ``timeout`` counts from the start of the try, in the triggerer too, however often that is restarted. (In reschedule
    mode Airflow counts from the start of the first try, and goes on counting over retries.)

    ``execution_timeout`` bounds the wait of a try in poke and deferrable mode, and ends it in the same way: the try
    fails, and is retried; ``soft_fail`` and ``never_fail`` skip the task. In reschedule mode Airflow counts each look
    by itself.

    A deferrable sensor whose arguments are plain values starts in the triggerer: no worker is started only to find that
    there is nothing yet. It starts on a worker as usual where an argument is a template or the result of another task,
    where a bound of the window is left to the data interval, where the task is mapped or has an ``on_execute_callback``
    or a ``pre_execute``, where an argument is wrong (the worker says so in the log), and on Airflow 3.0 to 3.2, whose
    schedulers cannot.

    Args:
        window_start: The first moment; the start of the run's data interval when left out.
        window_end: The first moment that is too late; the end of the run's data interval when left out.
        window_length: In a run of a partition (Airflow 3.2 and newer), the length of the window, which begins at the
            run's ``partition_date``: a ``timedelta``, or seconds. It takes the place of both bounds.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, ``{field: value or list of values}``, checked here, for what the vendor
            cannot filter by.
        min_count: How many meetings are enough.
        include_cancelled: Whether a meeting that the vendor marks as cancelled (Builder Prime) counts.
        deferrable: Wait in the triggerer, without a worker slot; Airflow's ``[operators] default_deferrable`` when
            left out. ``poke_interval`` is how old an answer may be there; ``exponential_backoff`` is for the others.
        start_from_trigger: Whether a deferrable sensor may start in the triggerer. What starts there does not wait
            for a slot of its pool, nor for ``max_active_tis_per_dag``.
        meetings_conn_id: The connection; its type decides which vendor it is.

    Raises:
        MeetingsConfigurationError: An argument or the connection is wrong, or the run has no data interval and no
            window is given.
        AirflowSensorTimeout: ``timeout`` is over.
    """

    template_fields: Sequence[str] = (
        "window_start",
        "window_end",
        "window_length",
        "filters",
        "match",
        "min_count",
        "include_cancelled",
        "meetings_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json", "match": "json"}
    ui_color = "#d6e6f2"
    operator_extra_links = (MeetingLink(),)
    start_from_trigger: Any = PerInstance(start_from_trigger, on_class=False)
    start_trigger_args: Any = PerInstance(start_trigger_args, on_class=None)

    def __init__(
        self,
        *,
        meetings_conn_id: str,
        window_start: Any = None,
        window_end: Any = None,
        window_length: Any = None,
        filters: Mapping[str, Any] | str | None = None,
        match: Mapping[str, Any] | None = None,
        min_count: int | str = 1,
        include_cancelled: bool | str = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.filters = filters
        self.match = match
        self.min_count = min_count
        self.include_cancelled = include_cancelled
        self.deferrable = deferrable
        self._reached = False
        self._missing_since = math.inf
        self._vendor_wait = VendorWait()
        self.may_start_from_trigger = start_from_trigger

    def execute(self, context: Any) -> Any:
        """Wait, in the mode that was chosen."""
        if self.deferrable:
            answer = self._ask_first(context)
            return answer.xcom_value if answer else self._wait_in_triggerer(context)
        from airflow_provider_meetings.version_compat import unguarded  # noqa: PLC0415 - not at parse time

        try:
            return unguarded(BaseSensorOperator.execute)(self, context)
        except AirflowSensorTimeout as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise
        except AirflowTaskTimeout as error:
            self._run_out(error)
        except AirflowSkipException as error:
            cause = error.__cause__
            if isinstance(cause, MeetingsError) and isinstance(cause, AirflowFailException):
                raise cause from None
            raise

    def _ask_first(self, context: Any) -> PokeReturnValue:
        """Ask once on the worker, with Airflow's options as the other modes have them."""
        try:
            return self.poke(context)
        except AirflowTaskTimeout as error:
            self._run_out(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the options say what becomes of it
            self._go_on_after(error)
            return PokeReturnValue(is_done=False)

    def _wait_in_triggerer(self, context: Any, *, initial_delay: float = 0.0) -> None:
        """Defer for what is left of the time.

        Args:
            context: Airflow's.
            initial_delay: Seconds to wait before the first request.

        Raises:
            AirflowSensorTimeout: Nothing is left.
            AirflowTaskTimeout: Nothing is left of ``execution_timeout``. Airflow 3 does not keep it in the triggerer.
        """
        from airflow_provider_meetings.triggers.meetings import MeetingsTrigger  # noqa: PLC0415 - not at parse time

        now, criteria = time.time(), self._criteria(context)
        # A task that is resumed has the start of its try still.
        started = getattr(context.get("ti"), "start_date", None)
        deadline = (started.timestamp() if isinstance(started, datetime) else now) + self._patience
        if deadline <= now:
            self._end_of_wait()
        self.defer(
            trigger=MeetingsTrigger(
                meetings_conn_id=self.meetings_conn_id,
                poke_interval=self.poke_interval,
                deadline=deadline,
                initial_delay=initial_delay,
                held_until=self._vendor_wait.until if self._vendor_wait.left(context) else None,
                **criteria.as_kwargs(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=deadline - now),
        )

    def poke(self, context: Any) -> PokeReturnValue:
        """Read the list once, unless the vendor wants no requests yet."""
        criteria = self._criteria(context)
        if held := self._vendor_wait.left(context):
            self.log.info("The vendor wants no requests for another %.0f s (Retry-After); waiting", held)
            return PokeReturnValue(is_done=False)
        try:
            hook = self._hook()
            self._missing_since = math.inf
            listed = hook.list_meetings(criteria.window_start, criteria.window_end, filters=dict(criteria.filters))
            found = criteria.satisfied_by(criteria.live(listed, hook.cancelled_field))
        except MeetingsError as error:
            if self._is_final(error, context):
                report_failure(self, context, error, writes=False)
                raise
            self._vendor_wait.observe(error, context)
            self.log.warning("Poll failed, will retry: %s", error)
            return PokeReturnValue(is_done=False)
        self._reached = True
        if found is None:
            self.log.info("Still waiting for %s", criteria)
            return PokeReturnValue(is_done=False)
        report_outcome(self, context, "found", found, hook=lambda: hook)
        return PokeReturnValue(is_done=True, xcom_value=found)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return Airflow's own interval, or what is left of the vendor's wait, where that is longer.

        The end of the timeout comes first where the next poke will know of the wait: it sends nothing then.
        """
        interval: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        held = self._vendor_wait.until - time.time()
        if held <= interval:
            return interval
        if self.reschedule and not self._vendor_wait.outlives:
            return held
        return min(held, max(interval, self.timeout - run_duration() + _MOMENT))

    def _hook(self) -> MeetingsHook[Any, Any]:
        from airflow_provider_meetings.hooks.resolve import hook_for  # noqa: PLC0415 - not at parse time

        return hook_for(self.meetings_conn_id)

    def _is_final(self, error: MeetingsError, context: Any) -> bool:
        """Whether an error is permanent; a connection that was there may be missing as long as in the triggerer."""
        from airflow_provider_meetings.polling.criteria import (  # noqa: PLC0415 - not at parse time
            CONNECTION_GRACE,
            is_connection_missing,
            is_permanent,
            is_wrong_host,
        )

        if is_connection_missing(error) and self._reached:
            self._missing_since = min(self._missing_since, time.monotonic())
            return time.monotonic() - self._missing_since >= CONNECTION_GRACE
        return is_permanent(error) or (is_wrong_host(error) and not self._has_reached_the_vendor(context))

    def _has_reached_the_vendor(self, context: Any) -> bool:
        """Whether an earlier question was answered, in this process or before a reschedule."""
        if self._reached or self.mode != "reschedule":
            return self._reached
        from airflow_provider_meetings.version_compat import first_reschedule  # noqa: PLC0415 - not at parse time

        return first_reschedule(context, self.retries) is not None

    def execute_complete(self, context: Any, event: Any = None) -> list[dict[str, Any]]:
        """Go on after the trigger has fired."""
        from airflow_provider_meetings.polling.criteria import TIMED_OUT, from_trigger_event  # noqa: PLC0415 - not at parse time

        if event == TIMED_OUT:
            self._end_of_wait()
        try:
            found = from_trigger_event(event)
        except MeetingsError as error:
            report_failure(self, context, error, writes=False)
            raise
        self.log.info("Success criteria met: %d meeting(s)", len(found))
        report_outcome(self, context, "found", found, hook=self._hook)
        return found

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Go on after a deferral, with Airflow's options as the other modes have them."""
        from airflow_provider_meetings.version_compat import is_deferral_timeout  # noqa: PLC0415 - not at parse time

        try:
            # Not the sensors' own way to resume: it softens every error, in each version of Airflow another way.
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the options say what becomes of it
            if is_deferral_timeout(error):
                self._end_of_wait()
            self._go_on_after(error)
        return self._wait_in_triggerer(context, initial_delay=self.poke_interval)

    # -- Airflow's options, for the deferrable mode

    def _go_on_after(self, error: Exception) -> None:
        """Return where the wait goes on after an error that poke() would raise; raise what it comes to otherwise."""
        if isinstance(error, AirflowFailException | AirflowSkipException):
            if not isinstance(error, AirflowSkipException | MeetingsError):
                self._skip_if_soft(error)
            raise error
        if self.silent_fail:
            self.log.error("Sensor poke failed, will retry", exc_info=error)
        elif self.never_fail:
            raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
        else:
            raise error

    @property
    def _patience(self) -> float:
        """Seconds that a try may wait in the triggerer: both are counted from its start, so the shorter one ends it."""
        limit = self.execution_timeout
        return self.timeout if limit is None else min(self.timeout, limit.total_seconds())

    def _end_of_wait(self) -> NoReturn:
        if self._patience < self.timeout:
            self._run_out()
        error = AirflowSensorTimeout(f"Sensor has timed out: there was no such meeting within {self.timeout:g} s.")
        self._skip_if_soft(error)
        raise error

    def _run_out(self, cause: BaseException | None = None) -> NoReturn:
        seconds = self.execution_timeout.total_seconds() if self.execution_timeout else 0.0
        error = AirflowTaskTimeout(f"execution_timeout is over: there was no such meeting within {seconds:g} s.")
        self._skip_if_soft(error)
        raise error from cause

    def _skip_if_soft(self, error: BaseException) -> None:
        for option in ("soft_fail", "never_fail"):
            if getattr(self, option):
                raise AirflowSkipException(f"Skipping due to {option} is set to True.") from error

    # -- the question

    def _criteria(self, context: Any) -> Any:
        from airflow_provider_meetings.core.times import window_or_data_interval  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.polling.criteria import Criteria  # noqa: PLC0415 - not at parse time

        start, end = window_or_data_interval(self.window_start, self.window_end, context, self.window_length)
        criteria = Criteria.parse(start, end, self.filters, self.match, self.min_count, self.include_cancelled)
        # A generator can be read once, and a mapped task's output is fetched again each time it is read.
        self.match = criteria.match
        return criteria
