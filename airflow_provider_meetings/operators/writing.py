"""The operators that write one meeting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_meetings.exceptions import MeetingConflictError, MeetingsConfigurationError
from airflow_provider_meetings.observability.outcome import MeetingOutcome, report_outcome
from airflow_provider_meetings.operators.base import MeetingsOperator

if TYPE_CHECKING:
    from airflow_provider_meetings.exactly_once.journal import Decision
    from airflow_provider_meetings.hooks.meetings import MeetingsHook
    from airflow_provider_meetings.operators.asking import AskingTerms

__all__ = ["CreateMeetingOperator", "DeleteMeetingOperator", "UpdateMeetingOperator"]


class CreateMeetingOperator(MeetingsOperator):
    """Books a meeting; returns it.

    However often a task instance is tried, killed, cut off or cleared, it makes one meeting, and each try makes that
    meeting equal to what it asks for. What became of it in this try is pushed to XCom under the key ``outcome``:
    ``created``, ``adopted``, ``updated`` or ``unchanged``.

    Args:
        meeting: The vendor's fields, or a template that renders to a JSON object.
        idempotency_key: A business key of your own; what is longer than 512 characters or not printable ASCII is
            hashed. When left out it is made of the dag, the run, the task and, for a mapped task, the meeting.
        on_doubt: What to do where it cannot be told which of several equal meetings a lost create has made: ``fail``,
            or ``ask`` a person (Airflow 3.1+). The task then waits as a required action, without a worker, and goes on
            in the same try with the meeting that was chosen, with another one, or not at all.
        response_timeout: How long a person has time to answer, a ``timedelta`` or seconds; for ever when left out.
        default_choice: What holds where nobody has answered in time: ``another`` (book another one) or ``stop``. When
            left out the task fails then.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = (
        "meeting",
        "idempotency_key",
        "on_doubt",
        "response_timeout",
        "default_choice",
        "meetings_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"meeting": "json"}

    def __init__(
        self,
        *,
        meeting: Mapping[str, Any] | str,
        idempotency_key: str | None = None,
        on_doubt: str = "fail",
        response_timeout: Any = None,
        default_choice: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meeting = meeting
        self.idempotency_key = idempotency_key
        self.on_doubt = on_doubt
        self.response_timeout = response_timeout
        self.default_choice = default_choice
        self._decision: Decision | None = None

    def execute_after_choice(self, context: Any, event: Any = None, candidates: Sequence[str] | None = None) -> Any:
        """Go on, in the same try, when a person has said which meeting is this task's own."""
        from airflow_provider_meetings.operators.doubt import read_choice  # noqa: PLC0415 - not at parse time

        self._decision = read_choice(context, event, candidates)
        chosen = f"meeting {self._decision.adopt}" if self._decision.adopt else "another meeting"
        self.log.info("%s chose %s.", self._decision.by, chosen)
        context["ti"].xcom_push(key="decision", value={"adopt": self._decision.adopt, "by": self._decision.by})
        return self._execute(context, waits=0)

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.task_state import book_once  # noqa: PLC0415 - not at parse time

        terms = self._asking_terms(context)
        try:
            booking = book_once(hook, self.meeting, self.idempotency_key, context, decision=self._decision)
        except MeetingConflictError as doubt:
            # Airflow keeps one form a task instance: who has answered it is not asked once more in the same try.
            has_asked = self._decision is not None
            if terms is None or not doubt.candidates or has_asked or "ti" not in context:
                raise
            from airflow_provider_meetings.operators.doubt import ask_which  # noqa: PLC0415 - not at parse time

            ask_which(self, context, hook, doubt, terms)
        self.log.info("Meeting %s: %s", booking.meeting["id"], booking.outcome)
        if "ti" in context:
            context["ti"].xcom_push(key="outcome", value=booking.outcome)
        after = booking.before and {name: booking.meeting.get(name) for name in booking.before}
        told = MeetingOutcome(booking.outcome, booking.meeting, booking.before, after)
        report_outcome(self, context, booking.outcome, [told], hook=lambda: hook)
        return booking.meeting

    def _asking_terms(self, context: Any) -> AskingTerms | None:
        """Return how a person is asked; None: nobody is."""
        if self.on_doubt not in {"fail", "ask"}:
            raise MeetingsConfigurationError(
                f"on_doubt must be 'fail' or 'ask', not {self.on_doubt!r}. Nothing was sent."
            )
        if self.on_doubt == "fail":
            return None
        from airflow_provider_meetings.operators.asking import AskingTerms, check_can_ask  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.operators.doubt import CHOICES, check_not_stopped  # noqa: PLC0415 - likewise

        check_can_ask("on_doubt='ask'")
        terms = AskingTerms.parse(self.response_timeout, self.default_choice, tuple(CHOICES))
        check_not_stopped(context)
        return terms

    def _asked_for(self) -> Mapping[str, Any] | None:
        return _as_mapping(self.meeting)


class UpdateMeetingOperator(MeetingsOperator):
    """Changes a meeting; returns it.

    Args:
        meeting_id: The meeting.
        changes: The fields to change; None clears a field, what is left out stays.
        idempotency_key: HiringCenter's ``X-Idempotency-Key``; each execution makes its own when left out.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "changes", "idempotency_key", "meetings_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"changes": "json"}

    def __init__(
        self,
        *,
        meeting_id: Any,
        changes: Mapping[str, Any] | str,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id
        self.changes = changes
        self.idempotency_key = idempotency_key

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.keys import normalize_key  # noqa: PLC0415 - not at parse time

        key = normalize_key(self.idempotency_key)
        meeting = hook.update_meeting(self.meeting_id, self.changes, idempotency_key=key)
        self.log.info("Changed meeting %s", self.meeting_id)
        after = {name: meeting.get(name, value) for name, value in (_as_mapping(self.changes) or {}).items()}
        report_outcome(self, context, "updated", [MeetingOutcome("updated", meeting, after=after)], hook=lambda: hook)
        return meeting

    def _asked_for(self) -> Mapping[str, Any] | None:
        return {**(_as_mapping(self.changes) or {}), "id": self.meeting_id}


class DeleteMeetingOperator(MeetingsOperator):
    """Cancels a meeting; returns ``{"id": ..., "deleted": ...}``, ``deleted`` being false where it was gone before.

    Args:
        meeting_id: The meeting.
        missing_ok: A meeting that is not there is no error.
        idempotency_key: HiringCenter's ``X-Idempotency-Key``; each execution makes its own when left out.
        meetings_conn_id: The connection; its type decides which vendor is spoken to.
    """

    template_fields: Sequence[str] = ("meeting_id", "missing_ok", "idempotency_key", "meetings_conn_id")

    def __init__(
        self, *, meeting_id: Any, missing_ok: bool | str = True, idempotency_key: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.meeting_id = meeting_id
        self.missing_ok = missing_ok
        self.idempotency_key = idempotency_key

    def _work(self, hook: MeetingsHook[Any, Any], context: Any) -> dict[str, Any]:
        from airflow_provider_meetings.exactly_once.keys import normalize_key  # noqa: PLC0415 - not at parse time
        from airflow_provider_meetings.exactly_once.task_state import delete_once  # noqa: PLC0415 - likewise

        missing_ok = _flag("missing_ok", self.missing_ok)
        key = normalize_key(self.idempotency_key)
        deleted = delete_once(hook, self.meeting_id, key, context, missing_ok=missing_ok)
        self.log.info("Meeting %s %s", self.meeting_id, "deleted" if deleted else "was gone before")
        report_outcome(self, context, "deleted" if deleted else "gone", [{"id": self.meeting_id}], hook=lambda: hook)
        return {"id": self.meeting_id, "deleted": deleted}

    def _asked_for(self) -> Mapping[str, Any] | None:
        return {"id": self.meeting_id}


def _as_mapping(given: Any) -> Mapping[str, Any] | None:
    """Return the fields that an author gave as a dict or as JSON text; None: they are not readable."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return None
    return given if isinstance(given, Mapping) else None


def _flag(name: str, value: Any) -> bool:
    """Read a flag that a template may have turned into text, in which "False" would be true."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise MeetingsConfigurationError(f"{name} must be true or false, not {value!r}. Nothing was sent.")
