"""Sets of meetings against the vendors in memory of :mod:`.model`: tries, kills with writes in flight, other people."""

import contextlib
import dataclasses
import json
import random
from types import SimpleNamespace
from typing import Any

from airflow_provider_meetings.core.flow import Gather, Log, Now, Request, SaveJournal, Sleep
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.sets.preparing import Declaration
from airflow_provider_meetings.sets.rows import check_rows
from airflow_provider_meetings.sets.task import JOURNAL_KEY, SetTask
from tests.support.model import HOUR, NOON, Crm, Kind
from tests.support.store import Killed, StateStore

#: The rows' meetings lie in it, and so do those that a person makes.
WINDOW = Window(NOON - 24 * HOUR, NOON + 24 * HOUR)
#: Where a person moves a meeting to that is to be out of the scope.
FAR_AWAY = NOON + 1000 * HOUR
# Airflow's own limit of a value in the store.
LONGEST_VALUE = 65_535


@dataclasses.dataclass(frozen=True)
class SetLuck:
    """What a try of a set meets with.

    Attributes:
        kill: Before which step the process dies; None: it lives.
        in_flight: What becomes of the writes that were sent and not answered when it dies, in turn.
        writes: What happens to its writes, in order; those after the last are fine.
        reads: The same of its reads.
        save: Seconds that the journal takes to be written.
        seed: In which order calls in parallel take turns.
    """

    kill: int | None = None
    in_flight: tuple[Any, ...] = ()
    writes: tuple[Any, ...] = ()
    reads: tuple[Any, ...] = ()
    save: float = 0.05
    seed: int = 0


FAIR = SetLuck()


class SetTaskInstance:
    """A task instance of a set: its tries, and what Airflow keeps of it."""

    def __init__(self, kind: Kind, crm: Crm, match_on: list[str], *, durable: bool = True, parallel: int = 4) -> None:
        self.kind = kind
        self.parallel = parallel
        self.crm = crm
        self.match_on = match_on
        self.facts = SimpleNamespace(dag_id="dag", run_id="run", task_id="sync", map_index=-1, try_number=0, id=None)
        self.store = StateStore() if durable else None
        self.remembered: dict[Any, Any] = {}
        self.story: list[str] = []
        self.steps = 0
        self.saves = 0

    @property
    def journal(self) -> dict[str, Any]:
        """What is kept of it between tries."""
        document = self.store.get(JOURNAL_KEY) if self.store else None
        return document or {"creates": [], "writes": {}}

    def attempt(self, rows: list[dict[str, Any]], luck: SetLuck = FAIR, *, delete: bool = False) -> Any:
        """Try it once; returns the plan and what came of it, or None where it was killed.

        Raises:
            MeetingsError: The try failed.
        """
        self.facts.try_number += 1
        self.facts.id = object()  # a new one each try
        vendor = self.crm.rules()
        self.steps = 0
        driver = _Driver(self, luck)
        hook = SimpleNamespace(
            max_parallel_requests=self.parallel,
            drive=lambda make_call, save=None, **_: driver.drive(make_call(vendor), save),
        )
        matcher, checked = check_rows(vendor, rows, self.match_on, window=WINDOW)
        asked = Declaration(matcher, checked, WINDOW, delete_missing=delete, remembered=dict(self.remembered))
        context = {"ti": self.facts, "task_state_store": self.store}
        try:
            task = SetTask(hook, asked, context)
            task.settle()
            plan = task.plan()
            applied = task.apply(plan)
        except Killed:
            return None
        error = applied.error()
        if error is not None:
            raise error
        written = [(one.change.row, one.meeting) for one in applied.written if one.change.row is not None]
        self.remembered = {row.key: str(meeting["id"]) for row, meeting in (*written, *plan.unchanged)}
        return plan, applied


class _Driver:
    """Carries the commands of one try out; calls in parallel take turns step by step."""

    def __init__(self, ti: SetTaskInstance, luck: SetLuck) -> None:
        self._ti = ti
        self._crm = ti.crm
        self._luck = luck
        self._writes, self._reads = iter(luck.writes), iter(luck.reads)
        self._fates = iter(luck.in_flight)
        self._turns = random.Random(luck.seed)  # noqa: S311 - a test's dice

    def drive(self, call: Any, save: Any) -> Any:
        """Take a call to its result."""
        steps = self._steps(call, save)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value

    def _steps(self, call: Any, save: Any) -> Any:
        """Yield each request when it has been sent and before it is carried out, so that others take their turns."""
        answer: Any = None
        failure: MeetingsError | None = None
        while True:
            try:
                command = call.send(answer) if failure is None else call.throw(failure)
            except StopIteration as done:
                return done.value
            answer = failure = None
            if isinstance(command, Request):
                yield command
            self._step()
            try:
                if isinstance(command, Gather):
                    answer = yield from self._together(command.calls, save)
                else:
                    answer = self._carry_out(command, save)
            except MeetingsError as error:
                failure = error

    def _together(self, calls: Any, save: Any) -> Any:
        waiting = list(enumerate(calls))
        results: list[Any] = [None] * len(waiting)
        running: dict[int, Any] = {}
        sent: dict[int, Request] = {}
        index = 0
        try:
            while waiting or running:
                while waiting and len(running) < self._ti.parallel:
                    index, call = waiting.pop(0)
                    running[index] = self._steps(call, save)
                index = self._turns.choice(sorted(running))
                try:
                    command = next(running[index])
                except StopIteration as done:
                    results[index] = done.value
                    del running[index]
                    sent.pop(index, None)
                    continue
                sent[index] = command
                yield command
        except Killed:
            self._leave_behind(list(sent.values()))
            raise
        return results

    def _leave_behind(self, requests: list[Request]) -> None:
        """Decide on the writes that were sent and not answered when the process died."""
        for request in requests:
            fate = next(self._fates, "lost")
            if request.method == "GET" or fate == "lost":
                continue
            with contextlib.suppress(MeetingsError):
                self._perform(request, None if fate == "acts" else fate)

    def _step(self) -> None:
        self._ti.steps += 1
        if self._ti.steps - 1 == self._luck.kill:
            # Not closed: a dead process runs no `finally`, and what it leaves behind is never driven again.
            raise Killed

    def _carry_out(self, command: Any, save: Any) -> Any:
        if isinstance(command, Request):
            return self._perform(command, next(self._reads if command.method == "GET" else self._writes, None))
        if isinstance(command, Sleep):
            assert command.seconds <= self._crm.retry_limits.max_wait
            self._crm.advance(command.seconds)
        elif isinstance(command, Now):
            return self._crm.now
        elif isinstance(command, SaveJournal):
            self._save(command, save)
        elif isinstance(command, Log):
            self._ti.story.append(command.text)
        return None

    def _perform(self, request: Request, fault: Any) -> Any:
        if request.method == "POST" and request.path == self._crm.collection:
            body = json.loads(request.body or b"{}")
            self._crm.owner = "row " + "/".join(str(body.get(name)) for name in self._ti.match_on)
        return self._crm.perform(request, fault)

    def _save(self, command: SaveJournal, save: Any) -> None:
        document = command.document() if callable(command.document) else command.document
        assert len(json.dumps(document)) <= LONGEST_VALUE
        if save is not None:
            save(document)
        self._ti.saves += 1
        self._crm.advance(self._luck.save)


class Calendar:
    """A window of a vendor's calendar, the rows that are declared for it, and people who meddle."""

    def __init__(
        self,
        kind: Kind,
        *,
        delete: bool = False,
        durable: bool = True,
        match: int = 1,
        parallel: int = 4,
        **options: Any,
    ) -> None:
        self.kind = kind
        self.crm = kind.crm(**options)
        self.delete = delete
        party = "prospectId" if kind.name == "hiringcenter" else "clientOpportunityId"
        second = "meetingType" if kind.name == "hiringcenter" else "title"
        self.match_on = [party, second][:match]
        self.ti = SetTaskInstance(kind, self.crm, self.match_on, durable=durable, parallel=parallel)
        self.declared: dict[int, int] = {}
        self.crm.advance(10.0)

    def body(self, party: int, variant: int) -> dict[str, Any]:
        """Return the row of a party."""
        return self.kind.body(self.kind.counterpart(party), variant)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The declared rows."""
        return [self.body(party, variant) for party, variant in self.declared.items()]

    def owner(self, party: int) -> str:
        """Name the owner of what a party's row makes."""
        body = self.body(party, 0)
        return "row " + "/".join(str(body.get(name)) for name in self.match_on)

    def in_scope(self) -> list[dict[str, Any]]:
        """The meetings that begin in the window."""
        return [row for row in self.crm.rows.values() if row["body"][self.crm.date] in WINDOW]

    def of_party(self, party: int) -> list[dict[str, Any]]:
        """A party's meetings in the window."""
        values = [self.body(party, 0)[name] for name in self.match_on]
        return [row for row in self.in_scope() if [row["body"].get(name) for name in self.match_on] == values]

    def check(self) -> None:
        """Hold the invariant after a try that has succeeded."""
        for party, variant in self.declared.items():
            found = self.of_party(party)
            assert len(found) == 1, f"{len(found)} meetings of party {party}: {found}"
            asked = self.body(party, variant)
            stored = found[0]["body"]
            visible = self.crm.shape(found[0])
            wrong = {
                name: stored.get(name)
                for name, value in asked.items()
                if stored.get(name) != value and (name in visible or name == self.match_on[0])
            }
            assert not wrong, f"party {party} asked for {asked}, and these are otherwise: {wrong}"
        if self.delete:
            others = [row for row in self.in_scope() if not any(row in self.of_party(party) for party in self.declared)]
            assert not others, f"nobody asked for {others}"
