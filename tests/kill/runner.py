"""Puts cells through a real Airflow, many at once, and has each judged after its run and again after a clear."""

import contextlib
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.airflow_api import FINAL_STATES, AirflowApi
from demo.airflow_home import AirflowHome
from demo.postgres import start_postgres
from demo.processes import Processes
from demo.sandbox import start_sandbox
from tests.kill.cells import Cell, strike_mapped
from tests.kill.referee import GRADES, WRONG, Evidence, Vendors, Verdict, judge

DAGS = Path(__file__).parent / "dags"
_IN_FLIGHT = 24
_CELL_SECONDS = 400
_POLL = 2.0


@dataclass
class Case:
    """A cell on its way."""

    cell: Cell
    meeting_id: Any = None
    twin: Any = None
    rules: list[int] = field(default_factory=list)
    phase: str = "first"
    started: float = 0.0
    seconds: float = 0.0
    tries: int = 0
    outcome: str = ""
    first: Verdict | None = None
    last: Verdict | None = None
    final: Verdict | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def grade(self) -> str:
        """The worst of its verdicts."""
        verdicts = [verdict for verdict in (self.first, self.last, self.final) if verdict]
        return max((verdict.grade for verdict in verdicts), key=GRADES.index, default=WRONG)

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
        self.vendors.call("POST", "settings", json={"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**7})
        self.home = AirflowHome(
            folder,
            processes,
            dag_folders=[DAGS],
            connections=_connections(ready),
            env=start_postgres(processes, folder)
            | {
                "MEETINGS_KILL_FOLDER": str(folder),
                "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "2000",
                # The DAG file does not change: parsing it again and again would only take time from the tasks.
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
                "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS.parent / "plugins"),
                "AIRFLOW__CORE__PARALLELISM": os.environ.get("KILL_PARALLELISM", "6"),
                # A dead supervisor is noticed by the silence of its task's heartbeat.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
            },
        )
        self.api: AirflowApi = self.home.boot()
        dags = [f"kill_{name}" for name in ("create", "update", "delete", "outage", "mapped")]
        self.api.wait_for_dags(dags)
        for dag in dags:
            self.api.unpause(dag)

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
        conf = {
            "marker": cell.marker,
            "conn": cell.connection,
            "meeting": cell.meeting,
            "changes": cell.changes,
            "meeting_id": str(case.meeting_id),
            "changing": cell.changing,
            "store": cell.airflow == "3.3",
        }
        body = {"dag_run_id": cell.marker, "logical_date": None, "conf": conf}
        self.api._call("POST", f"/dags/{cell.dag}/dagRuns", json=body)
        case.started = time.monotonic()
        return case

    def prepare(self, case: Case) -> None:
        """Put everything in its place that a cell finds."""
        cell = case.cell
        now = int(time.time() * 1000)
        stamps = {} if cell.vendor == "hiringcenter" else {"createdDate": now, "lastModifiedDate": now}
        if cell.operation != "create":
            case.meeting_id = self.vendors.insert(cell.vendor, cell.row_before | stamps)
        elif cell.twin:
            case.twin = self.vendors.insert(cell.vendor, cell.row | stamps)
        for fault in cell.faults:
            rule = fault | {"match": cell.match(case.meeting_id)}
            case.rules.append(self.vendors.call("POST", "faults", json=rule)["id"])
        self._plan(cell)

    def _plan(self, cell: Cell) -> None:
        (self.folder / "plans" / f"{cell.marker}.json").write_text(json.dumps(cell.strikes))

    def struck(self, cell: Cell) -> int:
        """How many of a cell's own strikes have hit."""
        return len(list((self.folder / "struck").glob(f"{cell.marker}.*")))

    def _advance(self, going: list[Case]) -> None:
        runs = self.api._call("GET", "/dags/~/dagRuns", params={"limit": 2000})["dag_runs"]
        states = {run["dag_run_id"]: run["state"] for run in runs}
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
                self.clear(case.cell)
                case.phase = "cleared in its run"

    def _ended(self, case: Case, state: str, evidence: Evidence) -> None:
        cell = case.cell
        if cell.fails_first and case.phase == "first":
            if state != "failed":
                case.problems.append(f"it was to fail and ended in {state}")
            case.phase = "failed"
            self.clear(cell)
            return
        task = self.api.tasks(cell.dag, cell.marker)[0]
        verdict = judge(
            cell, evidence, ended=state, try_number=task["try_number"], meeting_id=case.meeting_id, twin=case.twin
        )
        self._complain(case, verdict)
        if case.phase == "cleared":
            case.last, case.phase = verdict, "done"
            case.seconds = time.monotonic() - case.started
            self._check_clear(case, verdict)
            return
        case.first, case.tries = verdict, task["try_number"]
        self._check_first(case, evidence)
        thinking = max((fault.get("seconds", 0.0) for fault in cell.faults), default=0.0)
        self._quiet = max(self._quiet, time.monotonic() + thinking)
        if state == "success" or cell.airflow != "3.3":
            case.phase = "cleared"
            self.clear(cell)
        else:
            case.phase, case.seconds = "done", time.monotonic() - case.started

    def _complain(self, case: Case, verdict: Verdict) -> None:
        # Without a ledger anything but a wrong end in silence is only noted, for the table.
        if case.cell.airflow != "3.3" and verdict.grade != WRONG:
            case.notes += verdict.problems
        else:
            case.problems += [f"{case.phase}: {problem}" for problem in verdict.problems]

    def _check_first(self, case: Case, evidence: Evidence) -> None:
        cell = case.cell
        unhit = len(cell.strikes) - self.struck(cell) + sum(evidence.hits(rule) == 0 for rule in case.rules)
        if unhit:
            case.problems.append(f"{unhit} of the planned strikes did not hit")
        if cell.same_try and case.tries != 1:
            case.problems.append(f"it took {case.tries} tries")
        if not cell.same_try and case.tries < 2:
            case.problems.append("it was not tried again")
        if cell.operation == "create":
            case.outcome = self.xcom(cell.dag, cell.marker, "outcome")
            if cell.airflow == "3.3" and case.outcome not in cell.outcomes:
                case.problems.append(f"its outcome is {case.outcome!r}, not one of {sorted(cell.outcomes)}")
        elif cell.operation == "delete" and cell.airflow == "3.3":
            deleted = self.xcom(cell.dag, cell.marker, "return_value").get("deleted")
            if deleted is not True:
                case.problems.append(f"it says deleted: {deleted}")

    def _check_clear(self, case: Case, verdict: Verdict) -> None:
        cell = case.cell
        if cell.operation != "create" or cell.airflow != "3.3":
            return
        outcome = self.xcom(cell.dag, cell.marker, "outcome")
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
            if case.last is None:
                continue
            task = self.api.tasks(case.cell.dag, case.cell.marker)[0]
            again = judge(
                case.cell,
                evidence,
                ended=str(task["state"]),
                try_number=task["try_number"],
                meeting_id=case.meeting_id,
                twin=case.twin,
            )
            case.final, case.phase = again, "at the end"
            if again.grade != case.last.grade:
                self._complain(case, again)

    # -- Airflow

    def clear(self, cell: Cell, dag: str = "", run: str = "") -> None:
        """Clear a run, as the button in the UI does."""
        body = {"dry_run": False, "only_failed": False, "reset_dag_runs": True, "dag_run_id": run or cell.marker}
        self.api._call("POST", f"/dags/{dag or cell.dag}/clearTaskInstances", json=body)

    def xcom(self, dag: str, run: str, key: str, map_index: int = -1) -> Any:
        """What a task said."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/task/xcomEntries/{key}"
        try:
            value = self.api._call("GET", path, params={"deserialize": "true", "map_index": map_index})["value"]
        except RuntimeError:
            return {} if key == "return_value" else "nothing"
        return value.strip('"') if isinstance(value, str) else value

    # -- mapped

    def run_mapped(self, cells: list[Cell], chance: random.Random, say: Any) -> list[Case]:
        """One mapped task of many; killed, then cleared with its list in another order, and killed again."""
        cases = [Case(cell) for cell in cells]
        started = time.monotonic()
        for case in cases:
            self.prepare(case)
        self._write_items(cells)
        self.api._call("POST", "/dags/kill_mapped/dagRuns", json={"dag_run_id": "mapped", "logical_date": None})
        self._judge_mapped(cases, cells, {"created", "adopted", "unchanged"}, say)
        strikes = sum(self.struck(cell) for cell in cells)
        say(f"mapped: {len(cells)} items, {strikes} strikes; now cleared in another order")
        shuffled = chance.sample(cells, len(cells))
        for cell in chance.sample(cells, max(1, len(cells) // 20)):
            strike_mapped(cell, chance)
            self._plan(cell)
        self._write_items(shuffled)
        self.clear(cells[0], "kill_mapped", "mapped")
        self._judge_mapped(cases, shuffled, {"unchanged", "adopted"}, say)
        for case in cases:
            case.seconds = time.monotonic() - started
        return cases

    def _write_items(self, cells: list[Cell]) -> None:
        items = [{"meeting": cell.meeting, "meetings_conn_id": cell.connection} for cell in cells]
        (self.folder / "items.json").write_text(json.dumps(items))

    def _judge_mapped(self, cases: list[Case], order: list[Cell], outcomes: set[str], say: Any) -> None:
        self.api.wait_for_run("kill_mapped", "mapped", seconds=900)
        tasks = {
            task["map_index"]: task for task in self.api.tasks("kill_mapped", "mapped") if task["task_id"] == "task"
        }
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
            case.outcome = self.xcom("kill_mapped", "mapped", "outcome", place)
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
        deadline = time.monotonic() + 120
        while any(self.struck(cell) < 1 for cell in cells) and time.monotonic() < deadline:
            time.sleep(0.1)
        server = self._processes._running["api-server"]
        os.killpg(server.pid, signal.SIGKILL if kill else signal.SIGSTOP)
        say(f"the API server is {'killed' if kill else 'stopped'}, for {seconds:.0f} s")
        for cell in cells:
            (self.folder / f"{cell.marker}.go").touch()
        time.sleep(seconds)
        if kill:
            server.wait()
            address = ["--host", "127.0.0.1", "--port", str(self.home._port)]
            command = [sys.executable, "-m", "airflow", "api-server", "--workers", "1", *address]
            self._processes.start("api-server", command, self.home.env)
            self.home._wait_until_healthy()
        else:
            os.killpg(server.pid, signal.SIGCONT)
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


def _connections(ready: dict[str, Any]) -> dict[str, str]:
    """The sandbox's connections, with times that fit a test."""
    made = {}
    for vendor in ("hiringcenter", "builderprime"):
        plain = json.loads(ready["connections"][f"{vendor}_default"])
        extra = plain.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        times = {"timeout": 5, "max_wait": 30}
        if vendor == "hiringcenter":
            times |= {"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**7}
        made[f"{vendor}_default"] = json.dumps(plain | {"extra": extra | times})
        made[f"{vendor}_impatient"] = json.dumps(plain | {"extra": extra | times | {"max_wait": 5}})
    return made
