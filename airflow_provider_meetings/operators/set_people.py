"""How a set speaks with people through Airflow: the form that asks, who has answered, and what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_meetings.observability.outcome import MeetingOutcome, report_outcome
from airflow_provider_meetings.operators.asking import (
    AskingTerms,
    ask_person,
    check_can_ask,
    note_answered,
    note_stop,
    read_answer,
    stopped,
)
from airflow_provider_meetings.sets.approval import Approval, ApprovalStore
from airflow_provider_meetings.sets.outcome import Applied, Written
from airflow_provider_meetings.sets.plan import Plan
from airflow_provider_meetings.sets.run import Resumed

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["SetPeople"]

# The options of a form: of one that approves a plan, and of one about a plan that is larger than it may be.
_APPROVAL_OPTIONS = ("Approve", "Reject")
_ANYWAY_OPTIONS = ("Apply anyway", "Stop")
_GO_ON = frozenset({_APPROVAL_OPTIONS[0], _ANYWAY_OPTIONS[0]})
# Of ``default_choice``.
_CHOICES = ("apply", "stop")
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
            before = stopped(self._context)
            if before is not None and approval is None:
                return Resumed(rejected=_rejection(before["by"], before["what"]))
            return Resumed(waited=bool(told.get("waited")), answered=approval is not None, approval=approval)
        asked = told.get("asked") or {}
        stored = ApprovalStore(self._store).load()
        approval = stored if stored is not None and stored.digest == asked.get("digest") else Approval.from_json(asked)
        answer = read_answer(self._context, told["event"])
        if answer.choice not in _GO_ON or approval is None:
            by, digest = answer.by if answer.choice else "", str(asked.get("digest", ""))
            note_stop(self._context, by, digest)
            note_answered(self._context)
            return Resumed(answered=True, approval=approval, rejected=_rejection(by, digest))
        approved = approval.approved(answer.by)
        ApprovalStore(self._store).save(approved)
        note_answered(self._context)
        return Resumed(answered=True, approval=approved)

    def check_can_ask(self, argument: str) -> None:
        """Refuse what asks a person where nobody can be asked."""
        check_can_ask(argument)

    def check_terms(self) -> None:
        """Refuse what cannot be the time that people have to answer."""
        self._terms()

    def _terms(self) -> AskingTerms:
        return AskingTerms.parse(self._operator.response_timeout, self._operator.default_choice, _CHOICES)

    def ask(self, subject: str, body: str, approval: Approval) -> NoReturn:
        """Ask a person, and free the worker meanwhile."""
        durable = self._store is not None
        options = _ANYWAY_OPTIONS if approval.anyway else _APPROVAL_OPTIONS
        verb = "whether to apply" if approval.anyway else "to approve"
        terms = self._terms()
        brief = {"digest": approval.digest, "anyway": approval.anyway}
        ask_person(
            self._operator,
            self._context,
            subject=subject,
            body=body,
            options=options,
            method_name="execute_after_answer",
            # Where there is a task state store, it has the whole of it.
            kwargs={"asked": brief if durable else approval.as_json()},
            told=f"Asking a person {verb} plan {approval.digest[:12]}.",
            timeout=terms.timeout,
            default=None if terms.default is None else options[_CHOICES.index(terms.default)],
        )

    def note_approval(self, approval: Approval) -> None:
        """Leave behind who has approved which plan."""
        self._operator.note_approval(approval.as_json())
        if "ti" in self._context:
            told = {"digest": approval.digest, "by": approval.by, "anyway": approval.anyway}
            self._context["ti"].xcom_push(key="approval", value=told)

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


def _rejection(by: str, digest: str) -> str:
    if not by:
        return f"Nobody has answered in time what is to become of plan {digest[:12]}"
    return f"{by} has rejected plan {digest[:12]}"


def _outcome(one: Written) -> MeetingOutcome:
    if one.verdict == "refused":
        return MeetingOutcome("refused", one.meeting or one.change.stored or one.change.after or {})
    meeting = one.meeting or {}
    if one.change.stored is not None and one.change.action == "update":
        meeting = {**one.change.stored, **meeting}  # an answer may be only a part of the meeting
    if one.change.action == "create" and one.change.row is not None:
        meeting = {**one.change.row.body, **meeting}
    return MeetingOutcome(_OUTCOMES[one.change.action], meeting, before=one.change.before, after=one.change.after)
