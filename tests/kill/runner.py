"""Puts cells through a real Airflow, many at once, and has each judged after its run and again after a clear."""

import contextlib
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.airflow_api import FINAL_STATES
from demo.processes import Processes
from demo.sandbox import start_sandbox
from tests.kill.booted import Booted, connections
from tests.kill.cells import Cell, strike_mapped
from tests.kill.grades import EXACTLY_ONCE, GRADES, WRONG, is_worse
from tests.kill.referee import Evidence, Vendors, Verdict, judge
from tests.kill.set_cells import SetCell
from tests.kill.set_referee import judge_set, writes_of

_IN_FLIGHT = 24
# For what never ends; what takes long is no failure, on a machine that has other things to do.
_CELL_SECONDS, _MAPPED_SECONDS = 900, 1800
_POLL = 2.0
_HOUR = 3_600_000  # ms


@dataclass
class Case:
    """A cell on its way."""

    cell: Cell
    meeting_id: Any = None
    ids: dict[str, Any] = field(default_factory=dict)
    writes: int = 0
    twin: Any = None
    rules: list[int] = field(default_factory=list)
    phase: str = "first"
    started: float = 0.0
    seconds: float = 0.0
    tries: int = 0
    ended: tuple[str, int] = ("", 0)
    outcome: str = ""
    first: Verdict | None = None
    last: Verdict | None = None
    final: Verdict | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def grade(self) -> str:
        """The worst of its verdicts."""
        verdicts = [verdict for verdict in (self.first, self.last, self.final) if verdict]
        return max((verdict.grade for verdict in verdicts), key=GRADES.index, default=WRONG)

    @property
    def safe_to_say(self) -> str:
        """The grade, or what was promised if that is less: what went better by luck need not do so again."""
        return max(self.grade, self.cell.promise, key=GRADES.index)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


class World:
    """One sandbox and one Airflow."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder = folder
        self._processes = processes
        self._quiet = 0.0  # when the vendors have thought about the last request that they were held up with
        for name in ("plans", "struck"):
            (folder / name).mkdir()
        ready = start_sandbox(processes, folder, control=True)
        self.vendors = Vendors(ready)
        self.vendors.control("POST", "/settings", json={"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**7})
        self.airflow = Booted(folder, processes, connections(ready))

    # -- single cells

    def run(self, cells: list[Cell], say: Any) -> list[Case]:
        """Take all cells through both phases."""
        cases = [Case(cell) for cell in cells]
        waiting, going, done = list(cases), [], []
        told = time.monotonic()
        while waiting or going:
            self._processes.check()
            while waiting and len(going) < _IN_FLIGHT:
                going.append(self._start(waiting.pop(0)))
            time.sleep(_POLL)
            self._advance(going)
            ended = [case for case in going if case.phase == "done"]
            done += ended
            going = [case for case in going if case.phase != "done"]
            for case in ended:
                if not case.ok:
                    say(f"FAILED {case.cell.marker} {case.cell.label}: {'; '.join(case.problems)}")
            if time.monotonic() - told > 20:
                told = time.monotonic()
                say(f"{len(done)} of {len(cases)} cells, {sum(not case.ok for case in done)} failed")
        return cases

    def _start(self, case: Case) -> Case:
        self.prepare(case)
        cell = case.cell
        conf = {"marker": cell.marker, "conn": cell.connection, "changing": cell.changing, "store": cell.journal}
        if isinstance(cell, SetCell):
            conf |= cell.arguments
        else:
            conf |= {"meeting": cell.meeting, "changes": cell.changes, "meeting_id": str(case.meeting_id)}
        self.airflow.start_run(cell.dag, cell.marker, conf)
        case.started = time.monotonic()
        return case

    def prepare(self, case: Case) -> None:
        """Put everything in its place that a cell finds."""
        cell = case.cell
        # Without a journal it is the creation that tells a meeting which was there before.
        now = int(time.time() * 1000) - (0 if cell.journal else _HOUR)
        stamps = {} if cell.vendor == "hiringcenter" else {"createdDate": now, "lastModifiedDate": now}
        if isinstance(cell, SetCell):
            self._prepare_set(case, cell, stamps)
        elif cell.operation != "create":
            (case.meeting_id,) = self.vendors.insert(cell.vendor, cell.row_before | stamps)
        elif cell.twin:
            (case.twin,) = self.vendors.insert(cell.vendor, cell.row | stamps)
        if not isinstance(cell, SetCell):
            for fault in cell.faults:
                self._add_rule(case, fault, cell.match(case.meeting_id))
        self._plan(cell)

    def _prepare_set(self, case: Case, cell: SetCell, stamps: dict[str, int]) -> None:
        items = [item for item in cell.items if item.operation != "create"]
        rows = [item.row_before | stamps for item in items]
        if cell.has_keeper:
            items.append(cell.keeper)
            rows.append(cell.keeper.row | stamps)
        ids = self.vendors.insert(cell.vendor, *rows) if rows else []
        case.ids = {item.marker: meeting_id for item, meeting_id in zip(items, ids, strict=True)}
        targets = [(item, case.ids.get(item.marker)) for item in cell.items]
        if cell.operation == "delete":
            targets.sort(key=lambda target: str(target[1]))  # the order in which they are deleted
        for fault, index in zip(cell.faults, cell.struck_items(), strict=bool(cell.faults)):
            item, meeting_id = targets[index]
            self._add_rule(case, fault, item.match(meeting_id))

    def _add_rule(self, case: Case, fault: dict[str, Any], match: dict[str, Any]) -> None:
        case.rules.append(self.vendors.control("POST", "/faults", json=fault | {"match": match})["id"])

    def _plan(self, cell: Cell) -> None:
        (self.folder / "plans" / f"{cell.marker}.json").write_text(json.dumps(cell.strikes))

    def struck(self, cell: Cell) -> int:
        """How many of a cell's own strikes have hit."""
        return len(list((self.folder / "struck").glob(f"{cell.marker}.*")))

    def _advance(self, going: list[Case]) -> None:
        states = self.airflow.states()
        ended = [case for case in going if states.get(case.cell.marker) in FINAL_STATES]
        evidence = self.vendors.evidence() if ended else None
        for case in going:
            late = time.monotonic() - case.started > _CELL_SECONDS
            if case in ended and evidence is not None:
                self._ended(case, states[case.cell.marker], evidence)
            elif late:
                case.problems.append(f"not over after {_CELL_SECONDS} s, in phase {case.phase}")
                case.phase = "done"
            elif case.cell.cleared_while_held and case.phase == "first" and self.struck(case.cell):
                self.airflow.api.clear(case.cell.dag, case.cell.marker)
                case.phase = "cleared in its run"

    def _ended(self, case: Case, state: str, evidence: Evidence) -> None:
        cell = case.cell
        if cell.fails_first and case.phase == "first":
            if state != "failed":
                case.problems.append(f"it was to fail and ended in {state}")
            case.phase = "failed"
            self.airflow.api.clear(cell.dag, cell.marker)
            return
        task = self.airflow.api.tasks(cell.dag, cell.marker)[0]
        case.ended = (state, task["try_number"])
        verdict = _judge(case, evidence)
        self._complain(case, verdict)
        if case.phase == "cleared":
            case.last, case.phase = verdict, "done"
            case.seconds = time.monotonic() - case.started
            self._check_clear(case, verdict, evidence)
            return
        case.first, case.tries = verdict, task["try_number"]
        self._check_first(case, evidence)
        thinking = max((fault.get("seconds", 0.0) for fault in cell.faults), default=0.0)
        self._quiet = max(self._quiet, time.monotonic() + thinking)
        if state == "success" or not cell.journal:
            case.phase = "cleared"
            self.airflow.api.clear(cell.dag, cell.marker)
        else:
            case.phase, case.seconds = "done", time.monotonic() - case.started

    def _complain(self, case: Case, verdict: Verdict) -> None:
        if is_worse(verdict.grade, case.cell.promise):
            case.problems += [f"{case.phase}: {problem}" for problem in verdict.problems]

    def _check_first(self, case: Case, evidence: Evidence) -> None:
        cell = case.cell
        unhit = len(cell.strikes) - self.struck(cell) + sum(evidence.hits(rule) == 0 for rule in case.rules)
        if unhit:
            case.problems.append(f"{unhit} of the planned strikes did not hit")
        if cell.same_try and case.tries != 1:
            case.problems.append(f"it took {case.tries} tries")
        if not cell.same_try and not cell.lives_on and case.tries < 2:
            case.problems.append("it was not tried again")
        if isinstance(cell, SetCell):
            case.writes = writes_of(cell, evidence, case.ids)
        if cell.promise == EXACTLY_ONCE:
            self._check_told(case)

    def _check_told(self, case: Case) -> None:
        """Check what the first success says that it did."""
        cell = case.cell
        if isinstance(cell, SetCell):
            self._check_result(case, cell, cleared=False)
        elif not cell.journal:
            return
        elif cell.operation == "create":
            case.outcome = self.airflow.xcom(cell.dag, cell.marker, "outcome")
            if case.outcome not in cell.outcomes:
                case.problems.append(f"its outcome is {case.outcome!r}, not one of {sorted(cell.outcomes)}")
        elif cell.operation == "delete":
            deleted = self.airflow.xcom(cell.dag, cell.marker, "return_value").get("deleted")
            if deleted is not True:
                case.problems.append(f"it says deleted: {deleted}")

    def _check_result(self, case: Case, cell: SetCell, *, cleared: bool) -> None:
        """Check what a set says that it did: the last of its tries names each of its meetings once."""
        said = self.airflow.xcom(cell.dag, cell.marker, "return_value")
        done = {kind: said.get(kind) for kind in ("created", "updated", "deleted")}
        present = [said.get(kind, 0) for kind in ("created", "updated", "unchanged")]
        if sum(present) != len(cell.rows):
            case.problems.append(f"it speaks of {sum(present)} meetings that are there, of {len(cell.rows)}: {said}")
        if cleared and any(done.values()):
            case.problems.append(f"after the clear there was something left to do: {said}")
        if {kind: len(ids) for kind, ids in said.get("ids", {}).items()} != done:
            case.problems.append(f"its counts and its ids differ: {said}")

    def _check_clear(self, case: Case, verdict: Verdict, evidence: Evidence) -> None:
        cell = case.cell
        if isinstance(cell, SetCell):
            if cell.promise == EXACTLY_ONCE:
                self._check_result(case, cell, cleared=True)
                if writes_of(cell, evidence, case.ids) != case.writes:
                    case.problems.append("after the clear something was written")
            return
        if cell.operation != "create" or cell.promise != EXACTLY_ONCE:
            return
        if cell.journal:
            outcome = self.airflow.xcom(cell.dag, cell.marker, "outcome")
            expected = "updated" if cell.changing else "unchanged"
            if outcome != expected:
                case.problems.append(f"after the clear its outcome is {outcome!r}, not {expected!r}")
        if case.first is not None and verdict.meeting_id != case.first.meeting_id:
            case.problems.append("after the clear it is another meeting")

    def finally_judged(self, cases: list[Case]) -> None:
        """Judge everything once more at the very end, when nothing is on its way any more: what acts late counts."""
        time.sleep(max(0.0, self._quiet - time.monotonic()))
        evidence = self.vendors.evidence()
        for case in cases:
            before = case.last or case.first
            if before is None:
                continue
            # How it ended is known: Airflow 2 may tell of a death twice, and then fails a task that is done.
            again = _judge(case, evidence)
            case.final, case.phase = again, "at the end"
            if again.grade != before.grade:
                self._complain(case, again)

    # -- mapped

    def run_mapped(self, cells: list[Cell], chance: random.Random, say: Any) -> list[Case]:
        """One mapped task of many; killed, then cleared with its list in another order, and killed again."""
        cases = [Case(cell) for cell in cells]
        started = time.monotonic()
        for case in cases:
            self.prepare(case)
        self._write_items(cells)
        self.airflow.start_run("kill_mapped", "mapped")
        self._judge_mapped(cases, cells, {"created", "adopted", "unchanged"}, say)
        strikes = sum(self.struck(cell) for cell in cells)
        say(f"mapped: {len(cells)} items, {strikes} strikes; now cleared in another order")
        shuffled = chance.sample(cells, len(cells))
        for cell in chance.sample(cells, max(1, len(cells) // 20)):
            strike_mapped(cell, chance)
            self._plan(cell)
        self._write_items(shuffled)
        self.airflow.api.clear("kill_mapped", "mapped")
        self._judge_mapped(cases, shuffled, {"unchanged", "adopted"}, say)
        for case in cases:
            case.seconds = time.monotonic() - started
        return cases

    def _write_items(self, cells: list[Cell]) -> None:
        items = [{"meeting": cell.meeting, "meetings_conn_id": cell.connection} for cell in cells]
        (self.folder / "items.json").write_text(json.dumps(items))

    def _judge_mapped(self, cases: list[Case], order: list[Cell], outcomes: set[str], say: Any) -> None:
        self.airflow.api.wait_for_run("kill_mapped", "mapped", seconds=_MAPPED_SECONDS)
        found = self.airflow.api.tasks("kill_mapped", "mapped")
        tasks = {task["map_index"]: task for task in found if task["task_id"] == "task"}
        evidence = self.vendors.evidence()
        places = {cell.marker: index for index, cell in enumerate(order)}
        for case in cases:
            place = places[case.cell.marker]
            task = tasks[place]
            verdict = judge(case.cell, evidence, ended=str(task["state"]), try_number=task["try_number"])
            case.problems += verdict.problems
            unhit = len(case.cell.strikes) - self.struck(case.cell)
            # After a clear an item that is adopted sends nothing: a strike at its send is never reached.
            if unhit and case.first is None:
                case.problems.append(f"{unhit} of the planned strikes did not hit")
            case.outcome = self.airflow.xcom("kill_mapped", "mapped", "outcome", place)
            if case.outcome not in outcomes:
                case.problems.append(f"its outcome is {case.outcome!r}, not one of {sorted(outcomes)}")
            if case.first is not None and case.first.meeting_id != verdict.meeting_id:
                case.problems.append("after the clear it is another meeting")
            case.first, case.last, case.tries = case.first or verdict, verdict, task["try_number"]
            if not case.ok:
                say(f"FAILED {case.cell.marker} mapped [{place}]: {'; '.join(case.problems)}")

    # -- the API server's absence

    def run_outage(self, cells: list[Cell], say: Any, *, seconds: float, kill: bool) -> list[Case]:
        """Let creates get half way, take the API server away for a while, and let both go on."""
        cases = [self._start(Case(cell)) for cell in cells]
        deadline = time.monotonic() + 300
        while any(self.struck(cell) < 1 for cell in cells) and time.monotonic() < deadline:
            time.sleep(0.1)
        (self._processes.kill if kill else self._processes.freeze)("api-server")
        say(f"the API server is {'killed' if kill else 'stopped'}, for {seconds:.0f} s")
        for cell in cells:
            (self.folder / f"{cell.marker}.go").touch()
        time.sleep(seconds)
        if kill:
            self.airflow.home.start("api-server")
            self.airflow.home.wait_until_healthy()
        else:
            self._processes.thaw("api-server")
        say("the API server is back")
        going = list(cases)
        while going:
            time.sleep(_POLL)
            with contextlib.suppress(OSError):
                self._advance(going)
            going = [case for case in going if case.phase != "done"]
        for case in cases:
            if not case.ok:
                say(f"FAILED {case.cell.marker} {case.cell.label}: {'; '.join(case.problems)}")
        return cases


def _judge(case: Case, evidence: Evidence) -> Verdict:
    """Have the referee look at a case as it is now."""
    state, try_number = case.ended
    if isinstance(case.cell, SetCell):
        return judge_set(case.cell, evidence, ended=state, try_number=try_number, ids=case.ids)
    return judge(case.cell, evidence, ended=state, try_number=try_number, meeting_id=case.meeting_id, twin=case.twin)
