"""One try of a set, from its arguments to its result: check, settle, plan, ask, apply, tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsRejectedError,
)
from airflow_provider_meetings.sets.approval import Approval, ApprovalStore, drift_error
from airflow_provider_meetings.sets.files import FileLocation, check_destination
from airflow_provider_meetings.sets.matching import MatchKey
from airflow_provider_meetings.sets.options import SetOptions
from airflow_provider_meetings.sets.outcome import Applied
from airflow_provider_meetings.sets.plan import Plan
from airflow_provider_meetings.sets.preparing import Declaration
from airflow_provider_meetings.sets.rows import check_rows
from airflow_provider_meetings.sets.source import load_rows, rows_url
from airflow_provider_meetings.sets.state import SetState
from airflow_provider_meetings.sets.table import PlanTable
from airflow_provider_meetings.sets.task import SetTask

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["MAX_CHANGES", "MAX_IDS", "People", "Resumed", "SetRun"]

#: So many ids of each kind stand in the result, and so many changes.
MAX_IDS = 100
MAX_CHANGES = 100
# How often a plan is made anew in one try, since meetings that it speaks of are gone.
_MAX_ROUNDS = 3
# A window that takes more requests than this to list is a slip of the pen.
_MAX_SLICES = 1000


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a try that goes on knows of its beginning.

    Attributes:
        waited: It has waited, without a worker, for what an earlier try may have sent.
        answered: A person was asked in this try.
        approval: The plan that the person was asked about, with the person's name where it was approved.
        rejected: Why it is not carried out, as a sentence; empty: it was not rejected.
    """

    waited: bool = False
    answered: bool = False
    approval: Approval | None = None
    rejected: str = ""


class People(Protocol):
    """How a run speaks with people, which is Airflow's business."""

    def check_can_ask(self, argument: str) -> None:
        """Refuse what asks a person where nobody can be asked."""

    def check_terms(self) -> None:
        """Refuse what cannot be the time that people have to answer."""

    def ask(self, subject: str, body: str, approval: Approval) -> NoReturn:
        """Ask a person, and free the worker meanwhile."""

    def note_approval(self, approval: Approval) -> None:
        """Leave behind who has approved which plan."""

    def report(self, applied: Applied, plan: Plan) -> None:
        """Leave behind what was done to which meetings."""


@dataclass
class SetRun:
    """One try.

    Attributes:
        hook: The connection's.
        context: Airflow's.
        log: The task's.
        people: How it speaks with people.
        given: The operator's arguments, by name.
        window: The bounds of the scope, as they were given.
        resumed: What a try that goes on knows of its beginning.
    """

    hook: MeetingsHook[Any, Any]
    context: Any
    log: Any
    people: People
    given: Mapping[str, Any]
    window: tuple[Any, Any]
    resumed: Resumed = field(default_factory=Resumed)

    def execute(self) -> dict[str, Any]:
        """Do the work; return the result.

        Raises:
            MeetingsError: It could not be done, or not all of it.
        """
        self._options = SetOptions.parse(self.given)
        if self._options.question():
            self.people.check_can_ask(self._options.question())
        self.people.check_terms()
        self._approvals = ApprovalStore(self.context.get("task_state_store"))
        self._check_not_rejected()
        asked = self._asked = self._declaration()
        applies = self._options.mode == "apply"
        task = SetTask(self.hook, asked, self.context, writes=applies, waited=self.resumed.waited)
        task.settle()
        plan = task.plan()
        self._show(plan)
        if self._destination is not None:
            self._destination.write_json_lines(change.as_json() for change in plan.changes)
            self.log.info("Wrote the plan, %d change(s), to %s", len(plan.changes), self._destination.url)
        excess = self._options.excess(plan) if applies and self._options.on_doubt == "ask" else ""
        if not excess:
            self._options.check_plan(plan)
        if not applies:
            self.log.info("Plan mode: nothing was written.")
            ids = {f"{action}d": [one.id for one in plan.of(action)] for action in ("update", "delete")}
            changes = [one.as_json() for one in plan.changes[:MAX_CHANGES]]
            return self._result(plan, plan.counts, {"created": [], **ids}) | {"changes": changes}
        asks = bool(excess) or self._options.needs_approval(plan)
        approval = self._approved(plan, excess) if asks else None
        applied = self._apply(task, plan, approval)
        self._approvals.forget()
        counts = applied.counts | {"unchanged": len(plan.unchanged) - len(applied.settled)}
        if plan.changes or applied.settled:
            told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            self.log.info("Applied plan %s: %s.", plan.digest[:12], told)
        return self._result(plan, counts, applied.ids)

    # -- before anything is sent

    def _declaration(self) -> Declaration:
        vendor = self.hook.vendor
        window = self._window(vendor)
        filters = vendor.check_filters(self.given["filters"])
        rows = load_rows(self.given["meetings"])
        self._options.check_rows(len(rows))
        destination, state = self.given["plan_destination"], self.given["state"]
        self._destination = None if destination is None else check_destination(destination, "plan_destination")
        location = None
        if state is not None:
            check = check_destination if self._options.mode == "apply" else FileLocation.parse
            location = check(state, "state")
        self._check_files_differ(location)
        # Last, since it may look names up.
        matcher, checked = check_rows(
            vendor,
            rows,
            self.given["match_on"],
            window=window,
            filters=filters,
            resolve=self.hook.resolve_names,
        )
        self._state = None
        remembered: dict[MatchKey, str] = {}
        if location is not None:
            self._state = SetState(location, self.hook.meetings_conn_id, matcher.names)
            remembered, problem = self._state.load()
            if problem:
                self.log.warning("The state file %s is ignored: %s", location.url, problem)
        return Declaration(matcher, checked, window, filters, self._options.delete_missing, remembered)

    def _check_files_differ(self, state: FileLocation | None) -> None:
        """Refuse one file for two things: writing the one would destroy the other."""
        url = rows_url(self.given["meetings"])
        rows = None if url is None else FileLocation.parse(url, "meetings")
        used: dict[tuple[type, str], str] = {}
        for name, place in {"meetings": rows, "plan_destination": self._destination, "state": state}.items():
            other = name if place is None else used.setdefault((type(place.fs), place.path), name)
            if other != name:
                raise MeetingsConfigurationError(
                    f"{name} and {other} are the same file: each needs one of its own. Nothing was sent."
                )

    def _window(self, vendor: Any) -> Window:
        try:
            window = Window.parse(*self.window)
        except ValueError as error:
            raise MeetingsConfigurationError(f"The window cannot be used, nothing was sent: {error}") from None
        longest = vendor.longest_window
        if longest and window.start is not None and window.end is not None:
            slices = -(-(window.end - window.start) // longest)
            if slices > _MAX_SLICES:
                raise MeetingsConfigurationError(
                    f"The window {window} takes {slices} requests to list, since {vendor.name} lists "
                    f"{longest / 86_400_000:g} days at most in one: it is wider than a set may be. Nothing was sent."
                )
        return window

    # -- the plan

    def _show(self, plan: Plan) -> None:
        table = self._table(plan)
        # One message: a table whose lines come one by one, each with a time before it, is none.
        lines = f"\n{table.as_text()}" if plan.changes else "; nothing to do."
        self.log.info("Plan %s: %s%s", plan.digest[:12], table.counts, lines)

    def _table(self, plan: Plan) -> PlanTable:
        return PlanTable(plan, self.hook.vendor, self.hook.web_url)

    # -- asking

    def _check_not_rejected(self) -> None:
        if self.resumed.rejected:
            self._approvals.forget()
            raise MeetingsRejectedError(
                f"{self.resumed.rejected}: nothing was written. Change what the plan is made of and start a new DAG "
                "run, or clear the task to be asked about the same plan again."
            )

    def _approved(self, plan: Plan, excess: str) -> Approval:
        """Return the approval under which a plan is carried out; asks for one where there is none.

        Raises:
            MeetingsError: The plan is another one by now than the one that was approved in this try.
        """
        known = self._approvals.load()
        if self.resumed.answered and self.resumed.approval is not None:
            own = self.resumed.approval
            known = known if known is not None and known.begun and known.digest == own.digest else own
        if known is not None and known.covers(plan) and (known.anyway or not excess):
            self.log.info("Plan %s was approved by %s.", known.digest[:12], known.by)
            if excess:
                self.log.warning("%s %s chose to apply it anyway.", excess, known.by)
            begun = replace(known, begun=True)
            self._approvals.save(begun)
            self.people.note_approval(begun)
            return begun
        if known is not None and self.resumed.answered:
            self._approvals.forget()
            raise drift_error(known, plan)
        return self._ask(plan, excess)

    def _ask(self, plan: Plan, excess: str) -> NoReturn:
        approval = Approval.of_plan(plan, anyway=bool(excess))
        self._approvals.save(approval)
        table = self._table(plan)
        if excess:
            self.log.warning("Plan %s is for a person to decide on: %s", plan.digest[:12], excess)
        self.people.ask(
            f"{'Apply anyway?' if excess else 'Approve:'} {table.counts}",
            f"{f'**{excess}**' if excess else ''}\n\n"
            f"Connection `{self.hook.meetings_conn_id}`, plan `{plan.digest[:12]}`. A meeting is named by its "
            f"{', '.join(table.match_on)}.\n\n"
            f"{table.as_markdown()}\n",
            approval,
        )

    # -- the work

    def _apply(self, task: SetTask, plan: Plan, approval: Approval | None) -> Applied:
        whole, current = Applied(len(plan.changes), settled=_settled(task, plan)), plan
        for number in range(_MAX_ROUNDS):
            applied = task.apply(current)
            outdated = applied.of("outdated")
            whole.written += [one for one in applied.written if one.verdict != "outdated"]
            last = not outdated or approval is not None or number + 1 == _MAX_ROUNDS
            try:
                anew = None if last else self._plan_anew(task, whole, len(outdated))
            except MeetingsError:
                self._leave_behind(whole, plan, current)
                raise
            if anew is None:
                whole.written += outdated
                break
            current, whole.total = anew, len(whole.written) + len(anew.changes)
        self._leave_behind(whole, plan, current)
        error = whole.error()
        if error is not None and whole.of("outdated"):
            # The next try makes another plan, and asks about it where it has to.
            raise MeetingsError(error.message) from error
        if error is not None:
            raise error
        return whole

    def _plan_anew(self, task: SetTask, applied: Applied, gone: int) -> Plan | None:
        """Make the plan of what is left; None: this try must not carry it out."""
        self.log.info("%d meeting(s) are gone since they were listed: the plan is made anew.", gone)
        made = [(one.change.row, one.meeting_id) for one in applied.done("create")]
        task.remember({row.key: str(meeting_id) for row, meeting_id in made if row is not None})
        try:
            plan = task.plan()
        except (MeetingConflictError, MeetingsConfigurationError) as error:
            self.log.warning("The plan cannot be made anew: %s", error)
            return None
        self._show(plan)
        problem = self._options.excess(plan)
        if self._options.needs_approval(plan):
            problem += " It needs an approval." if problem else "The plan needs an approval."
        if not problem:
            return plan
        self.log.warning("%s This try does not apply it.", problem)
        return None

    def _leave_behind(self, applied: Applied, plan: Plan, last: Plan) -> None:
        self.people.report(applied, plan)
        self._remember(applied, last)

    def _remember(self, applied: Applied, plan: Plan) -> None:
        if self._state is None:
            return
        # What was known stays known: a row whose write did not get its turn has its meeting still.
        before = self._asked.remembered
        known: dict[MatchKey, Any] = {row.key: before[row.key] for row in self._asked.rows if row.key in before}
        known |= {row.key: meeting["id"] for row, meeting in plan.unchanged}
        known |= {one.row.key: one.id for one in plan.changes if one.row is not None and one.id is not None}
        for one in applied.written:
            row, meeting = one.change.row, one.meeting
            if row is not None and one.verdict == "done" and meeting is not None:
                known[row.key] = meeting["id"]
        try:
            self._state.save(known.items())
        except Exception as error:  # noqa: BLE001 - the meetings are as they should be; the next run goes without a hint
            self.log.warning("The state file %s is not written: %s", self._state.location.url, error)

    def _result(self, plan: Plan, counts: Mapping[str, int], ids: Mapping[str, list[Any]]) -> dict[str, Any]:
        return {
            "mode": self._options.mode,
            **counts,
            "ids": {kind: found[:MAX_IDS] for kind, found in ids.items()},
            "plan_digest": plan.digest,
        }


def _settled(task: SetTask, plan: Plan) -> list[Mapping[str, Any]]:
    """Return the meetings that are as they should be since an earlier try's creates have made them."""
    return [meeting for _, meeting in plan.unchanged if str(meeting["id"]) in task.settled]
