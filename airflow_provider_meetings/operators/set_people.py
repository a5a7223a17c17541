"""How a set speaks with people through Airflow: the form that asks, who has answered, and what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_meetings.observability.outcome import MeetingOutcome, report_outcome
from airflow_provider_meetings.operators.asking import PersonAnswer, ask_person, check_can_ask
from airflow_provider_meetings.sets.approval import Approval, ApprovalStore
from airflow_provider_meetings.sets.outcome import Applied, Written
from airflow_provider_meetings.sets.plan import Plan
from airflow_provider_meetings.sets.run import Resumed

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["SetPeople"]

_APPROVE, _REJECT = "Approve", "Reject"
# What became of a meeting, by what was to be done with it.
_OUTCOMES = {"create": "created", "update": "updated", "delete": "deleted"}


class SetPeople:
    """Airflow's side of a run.

    Args:
        operator: The operator that is running.
        hook: The connection's.
        context: Airflow's.
    """

    def __init__(self, operator: Any, hook: MeetingsHook[Any, Any], context: Any) -> None:
        self._operator = operator
        self._hook = hook
        self._context = context
        self._store = context.get("task_state_store")

    def resumed(self, told: dict[str, Any]) -> Resumed:
        """Read what Airflow resumes the task with."""
        if "event" not in told:
            approval = Approval.from_json(told.get("approval"))
            return Resumed(waited=bool(told.get("waited")), answered=approval is not None, approval=approval)
        asked = told.get("asked") or {}
        stored = ApprovalStore(self._store).load()
        approval = stored if stored is not None and stored.digest == asked.get("digest") else Approval.from_json(asked)
        answer = PersonAnswer.of_event(told["event"])
        if answer.choice != _APPROVE or approval is None:
            return Resumed(answered=True, approval=approval, rejected_by=answer.by)
        return Resumed(answered=True, approval=approval.approved(answer.by))

    def check_can_ask(self, argument: str) -> None:
        """Refuse what asks a person where nobody can be asked."""
        check_can_ask(argument)

    def ask(self, subject: str, body: str, approval: Approval) -> NoReturn:
        """Ask a person, and free the worker meanwhile."""
        durable = self._store is not None
        ask_person(
            self._operator,
            self._context,
            subject=subject,
            body=body,
            options=[_APPROVE, _REJECT],
            method_name="execute_after_answer",
            # Where there is a task state store, it has the whole of it.
            kwargs={"asked": {"digest": approval.digest} if durable else approval.as_json()},
        )

    def note_approval(self, approval: Approval) -> None:
        """Leave behind who has approved which plan."""
        self._operator.note_approval(approval.as_json())
        if "ti" in self._context:
            self._context["ti"].xcom_push(key="approval", value={"digest": approval.digest, "by": approval.by})

    def report(self, applied: Applied, plan: Plan) -> None:
        """Leave behind what was done to which meetings, for metrics, outlets, and the Meetings pages."""
        counts = applied.counts
        refused = applied.of("refused")
        report_outcome(
            self._operator,
            self._context,
            "synced" if any(counts.values()) else "unchanged",
            [
                *(MeetingOutcome("created", meeting) for meeting in applied.settled),
                *(_outcome(one) for one in (*applied.of("done"), *refused)),
            ],
            hook=lambda: self._hook,
            counts=counts | {"refused": len(refused), "unchanged": len(plan.unchanged) - len(applied.settled)},
        )


def _outcome(one: Written) -> MeetingOutcome:
    if one.verdict == "refused":
        return MeetingOutcome("refused", one.meeting or one.change.stored or one.change.after or {})
    meeting = one.meeting or {}
    if one.change.stored is not None and one.change.action == "update":
        meeting = {**one.change.stored, **meeting}  # an answer may be only a part of the meeting
    if one.change.action == "create" and one.change.row is not None:
        meeting = {**one.change.row.body, **meeting}
    return MeetingOutcome(_OUTCOMES[one.change.action], meeting, before=one.change.before, after=one.change.after)
