"""A set on Airflow: the place of its journal, and what identifies the task instance whose rows they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.sets.applying import apply_plan
from airflow_provider_meetings.sets.journal import SetJournal
from airflow_provider_meetings.sets.keys import RowKeys
from airflow_provider_meetings.sets.matching import MatchKey
from airflow_provider_meetings.sets.outcome import Applied
from airflow_provider_meetings.sets.plan import Plan
from airflow_provider_meetings.sets.preparing import Declaration, prepare, settle
from airflow_provider_meetings.sets.scope import Scope
from airflow_provider_meetings.sets.writing import Writer
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.version_compat import max_stored_bytes, never_expire

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["JOURNAL_KEY", "SetTask"]

#: Where in the task state store the journal lies.
JOURNAL_KEY = "meetings_set_journal"
# A batch is as many rounds of requests in parallel: the journal is written once a batch.
_ROUNDS = 4
# Of a plan with more changes than this, the log has no line for each write that went well: progress tells of them.
_MOST_LINES = 50
# The part of the longest value of the store that the journal may fill: an entry's moment and key may still grow.
_SHARE = 0.9


class SetTask:
    """One try of a task instance that makes the meetings of a scope equal to its rows.

    Args:
        hook: The connection's.
        asked: What is asked for.
        context: Airflow's.
        writes: Whether anything may be written; else the journal is left alone.
        waited: Whether this try has waited already for what an earlier one may have sent.
    """

    def __init__(
        self,
        hook: MeetingsHook[Any, Any],
        asked: Declaration,
        context: Any,
        *,
        writes: bool = True,
        waited: bool = False,
    ) -> None:
        self._hook = hook
        self._asked = asked
        self._store: Any = context.get("task_state_store") if writes else None
        ti = context.get("ti")
        durable = self._store is not None
        iteration = getattr(context.get("loop"), "index", None)
        self._keys = RowKeys.of_task(ti, durable=durable, iteration=iteration)
        self._blind_retry = writes and not durable and not waited and ti is not None and ti.try_number > 1
        self._journal = SetJournal.from_json(None if self._store is None else self._store.get(JOURNAL_KEY))
        self._scope: Scope | None = None
        #: The ids of the meetings that an earlier try's creates have made, as this one found out.
        self.settled: set[str] = set()

    @property
    def is_durable(self) -> bool:
        """Whether something outlives a try (Airflow 3.3+)."""
        return self._store is not None

    def settle(self) -> None:
        """Find out what became of the creates that an earlier try got no answer to; see :func:`.preparing.settle`."""
        if self._journal.creates:
            made = self._drive(lambda vendor: settle(vendor, self._asked, self._journal))
            self.settled = {str(meeting["id"]) for _, meeting in made}
            # Where the window is another one by now, the list does not show them.
            names = self._asked.matcher.names
            self.remember({entry.key: str(meeting["id"]) for entry, meeting in made if entry.match_on == names})

    def remember(self, made: Mapping[MatchKey, str]) -> None:
        """Know which meetings rows have, by the row's key: also those that the list does not show, or not yet."""
        self._asked = replace(self._asked, remembered={**self._asked.remembered, **made})

    def plan(self) -> Plan:
        """List the scope and make the plan; see :func:`.preparing.prepare`."""
        plan: Plan
        self._scope, plan = self._drive(
            lambda vendor: prepare(vendor, self._asked, self._journal, blind_retry=self._blind_retry), writes=False
        )
        self._blind_retry = False
        return plan

    def apply(self, plan: Plan) -> Applied:
        """Carry out the plan that was made last; see :func:`.applying.apply_plan`."""
        scope = self._scope
        assert scope is not None  # noqa: S101 - the plan was made from it
        made_before = frozenset(self._journal.recent)

        def make_call(vendor: Vendor) -> Flow[Applied]:
            many = len(plan.changes) > _MOST_LINES
            writer = Writer(vendor, self._asked.matcher, self._keys, self._journal, scope, made_before, many)
            batch_size = self._hook.max_parallel_requests * _ROUNDS
            return apply_plan(writer, plan, batch_size=batch_size, max_bytes=int(max_stored_bytes() * _SHARE))

        applied: Applied = self._drive(make_call)
        return applied

    def _drive(self, make_call: Callable[[Any], Flow[Any]], *, writes: bool = True) -> Any:
        return self._hook.drive(make_call, self._save if self._store is not None else None, writes=writes)

    def _save(self, document: dict[str, Any]) -> None:
        self._store.set(JOURNAL_KEY, document, retention=never_expire())
