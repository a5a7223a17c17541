"""Sets of meetings against the vendors in memory of :mod:`.model`: tries, kills with writes in flight, other people."""

from types import SimpleNamespace
from typing import Any

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.sets.preparing import Declaration
from airflow_provider_meetings.sets.rows import check_rows
from airflow_provider_meetings.sets.task import JOURNAL_KEY, SetTask
from tests.support.model import FAIR, HOUR, NOON, Crm, Kind, Luck, TryDriver
from tests.support.store import Killed, StateStore

#: The rows' meetings lie in it, and so do those that a person makes.
WINDOW = Window(NOON - 24 * HOUR, NOON + 24 * HOUR)
#: Where a person moves a meeting to that is to be out of the scope.
FAR_AWAY = NOON + 1000 * HOUR


class SetTaskInstance:
    """A task instance of a set: its tries, and what Airflow keeps of it."""

    def __init__(self, kind: Kind, crm: Crm, match_on: list[str], *, durable: bool = True, parallel: int = 4) -> None:
        self.kind = kind
        self.parallel = parallel
        self.crm = crm
        self.match_on = match_on
        self.facts = SimpleNamespace(dag_id="dag", run_id="run", task_id="sync", map_index=-1, try_number=0, id=None)
        self.store = StateStore() if durable else None
        self.loop: Any = None
        self.remembered: dict[Any, Any] = {}
        self.story: list[str] = []

    @property
    def journal(self) -> dict[str, Any]:
        """What is kept of it between tries."""
        document = self.store.get(JOURNAL_KEY) if self.store else None
        return document or {"creates": [], "writes": {}}

    def owner_of(self, body: dict[str, Any]) -> str:
        """Name the row that a meeting is made for."""
        return "row " + "/".join(str(body.get(name)) for name in self.match_on)

    def start(self, luck: Luck = FAIR) -> tuple[Any, dict[str, Any]]:
        """Begin a try; returns its hook, whose vendor is the one in memory, and Airflow's context."""
        self.facts.try_number += 1
        self.facts.id = object()  # a new one each try
        vendor = self.crm.rules()
        driver = TryDriver(self.crm, luck, self.story, parallel=self.parallel, owner_of=self.owner_of)
        hook = SimpleNamespace(
            vendor=vendor,
            meetings_conn_id="meetings",
            max_parallel_requests=self.parallel,
            web_url=lambda _: None,
            drive=lambda make_call, save=None, **_: driver.drive(make_call(vendor), save),
            resolve_names=lambda meeting: meeting,
        )
        loop = {} if self.loop is None else {"loop": self.loop}
        return hook, {"ti": self.facts, "task_state_store": self.store, **loop}

    def attempt(
        self, rows: list[dict[str, Any]], luck: Luck = FAIR, *, delete: bool = False, window: Window = WINDOW
    ) -> Any:
        """Try it once; returns the plan and what came of it, or None where it was killed.

        Raises:
            MeetingsError: The try failed.
        """
        return self.go_on(self.start(luck), rows, delete=delete, window=window)

    def go_on(self, begun: Any, rows: list[dict[str, Any]], *, delete: bool = False, window: Window = WINDOW) -> Any:
        """Go on with a try that has begun; see :meth:`attempt`."""
        hook, context = begun
        matcher, checked = check_rows(hook.vendor, rows, self.match_on, window=window)
        asked = Declaration(matcher, checked, window, delete_missing=delete, remembered=dict(self.remembered))
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
        return self.ti.owner_of(self.body(party, 0))

    def in_scope(self) -> list[dict[str, Any]]:
        """The meetings that begin in the window and are not cancelled."""
        return [
            row
            for row in self.crm.rows.values()
            if row["body"][self.crm.date] in WINDOW and not row.get("cancelled", False)
        ]

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
