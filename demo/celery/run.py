"""The run: measure with one worker and with two, then kill a worker and the triggerer under full load, and judge."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from airflow_provider_meetings.testing import MeetingsSandbox
from demo.airflow_api import FINAL_STATES, AirflowApi
from demo.celery.cluster import DAG, Cluster
from demo.celery.plan import items
from demo.celery.referee import Check, Evidence
from demo.celery.report import Phase, report
from demo.clock import Clock
from demo.harness import Harness
from demo.processes import Processes
from demo.sandbox import start_sandbox

_RUN_SECONDS = 1800
_POLL, _TELL = 1.0, 10.0
# As long as a vendor on the internet may take for an answer, and as long as a slow one does: while somebody is to be
# killed it is the slow one, so that on a fast machine, too, there are tasks in the middle of their request.
_LATENCY, _SLOW_LATENCY = 0.3, 3.0
_MAPPED = ("book", "wait")
_FAILURES_SHOWN = 3
_FEWEST_STRUCK = 2


class Scale:
    """The cluster, the sandbox, and what was seen."""

    def __init__(self, folder: Path, processes: Processes, clock: Clock, *, slots: int) -> None:
        self._clock = clock
        self._processes = processes
        ready = start_sandbox(processes, folder, control=True)
        self._sandbox = MeetingsSandbox(ready)
        self._answer_after(_LATENCY)
        self.cluster = Cluster(folder, processes, ready, slots=slots)
        self.kills: list[Check] = []
        clock.say(f"Airflow with the CeleryExecutor starts, and worker-1 with {slots} slots (about a minute)")
        self.api: AirflowApi = self.cluster.boot()
        self.cluster.wait_for_worker(self.cluster.start_worker())
        self.api.wait_for_dags([DAG])
        self.api.unpause(DAG)
        clock.say(f"All are up: {self.cluster.home.url}")

    def measure(self, phase: Phase) -> Phase:
        """Takes a run of the DAG to its end."""
        return self._run(phase, lambda _: None)

    def add_worker(self) -> str:
        """Starts one more worker and returns its name when it takes tasks."""
        name = self.cluster.start_worker()
        self.cluster.wait_for_worker(name)
        self._clock.say(f"{name} is ready")
        return name

    def endure(self, phase: Phase, victim: str) -> Phase:
        """Takes a run of the DAG to its end while a worker and then the triggerer are killed and replaced."""
        count = len(phase.items)

        def strike(run_id: str) -> None:
            booked = self.api.count(DAG, run_id, "book", "success")
            if not self.kills and booked >= count // 6:
                self._answer_after(_SLOW_LATENCY)
                self._kill_worker(victim, run_id)
            elif len(self.kills) == 1 and booked >= count // 3:
                self._kill_triggerer(run_id)

        return self._run(phase, strike)

    def _kill_worker(self, victim: str, run_id: str) -> None:
        # What a process group runs may be queued still, or over already: only Airflow knows, and only of who is frozen
        # does it stay true until the kill.
        frozen = self._processes.freeze(victim)
        running = len(self.api.running_pids(DAG, run_id).intersection(frozen))
        if running < _FEWEST_STRUCK:
            self._processes.thaw(victim)
            return  # in a moment it has more to lose
        killed = len(self._processes.kill(victim))
        successor = self.cluster.start_worker()
        lost = f"{killed} processes, {running} running tasks among them"
        self._clock.say(f"SIGKILL of {victim}: {lost}; {successor} starts in its place")
        self.kills.append(Check.at_least("tasks running on the worker when it was killed", 1, running))

    def _kill_triggerer(self, run_id: str) -> None:
        waiting = self.api.count(DAG, run_id, "wait", "deferred")
        if not waiting:
            return
        killed = len(self._processes.kill("triggerer"))
        lost = f"{killed} processes, {waiting} sensors waiting in it"
        self._clock.say(f"SIGKILL of the triggerer: {lost}; another one starts in its place")
        self.kills.append(Check.at_least("sensors waiting in the triggerer when it was killed", 1, waiting))
        self.cluster.home.start("triggerer")
        self._answer_after(_LATENCY)

    def _run(self, phase: Phase, strike: Callable[[str], None]) -> Phase:
        self._clock.say(f"{phase.name}: {len(phase.items)} creates and {len(phase.items)} sensors")
        cores = _Cores()
        conf = {"first": phase.items[0].number, "count": len(phase.items)}
        phase.run_id = self.api.trigger(DAG, conf)
        told, deadline = time.monotonic(), time.monotonic() + _RUN_SECONDS
        while (state := self.api.run(DAG, phase.run_id)["state"]) not in FINAL_STATES:
            self._processes.check()
            if time.monotonic() > deadline:
                self._clock.say(f"Not over after {_RUN_SECONDS} s")
                break
            strike(phase.run_id)
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                self._tell(phase)
            time.sleep(_POLL)
        phase.busy = cores.busy()
        phase.tasks = self.api.tasks(DAG, phase.run_id)
        self._clock.say(f"{phase.name}: the run ended: {state}")
        with suppress(RuntimeError):  # it is not there when the run failed; the checks say so
            phase.values = self.api.returned(DAG, phase.run_id, "compare")
        return phase

    def _tell(self, phase: Phase) -> None:
        def count(task: str, *states: str) -> int:
            return self.api.count(DAG, phase.run_id, task, *states)

        total = len(phase.items)
        self._clock.say(
            f"  creates {count('book', 'success')} of {total}; sensors {count('wait', 'success')} of {total}, "
            f"{count('wait', 'deferred')} waiting; {count('book', 'running') + count('wait', 'running')} tasks running"
        )

    def show_failures(self, phases: list[Phase]) -> None:
        """Prints the end of the logs of some of the tasks that failed."""
        failed = [(phase, task) for phase in phases for task in phase.tasks if task["state"] == "failed"]
        for phase, task in failed[:_FAILURES_SHOWN]:
            log = self.cluster.home.task_log(DAG, phase.run_id, task["task_id"], task["map_index"]).splitlines()
            print(f"The end of the log of {task['task_id']}[{task['map_index']}]:", *log[-30:], "", sep="\n")

    def evidence(self) -> Evidence:
        """What the sandbox recorded."""
        return Evidence(self._sandbox.control("GET", "/meetings"), self._sandbox.journal())

    def _answer_after(self, seconds: float) -> None:
        self._sandbox.control("POST", "/settings", json={"latency": seconds})


def run_scale(*, tasks: int, measured: int, slots: int) -> int:
    """Runs everything, cleans up, and returns 0 if all held."""
    wrong = ["it was not finished"]
    with Harness("celery") as harness:
        clock = harness.clock
        try:
            scale = Scale(harness.folder, harness.processes, clock, slots=slots)
            phases = _phases(tasks, measured, slots)
            scale.measure(phases[0])
            second = scale.add_worker()
            scale.measure(phases[1])
            scale.endure(phases[2], second)
            wrong = report(phases, scale.kills, scale.evidence())
            harness.succeeded = not wrong
            scale.show_failures(phases)
        except KeyboardInterrupt:
            clock.say("Interrupted")
        except (RuntimeError, TimeoutError, OSError) as error:
            clock.say(f"Failed: {error}")
    clock.say(f"It did not hold ({'; '.join(wrong)})." if wrong else "All of it held.")
    return 1 if wrong else 0


def _phases(tasks: int, measured: int, slots: int) -> list[Phase]:
    """The three runs; no two of them book the same meeting."""
    return [
        Phase(f"one worker of {slots} slots", items(tasks, measured)),
        Phase(f"two workers of {slots} slots", items(tasks + measured, measured)),
        Phase("two workers, with kills", items(0, tasks)),
    ]


class _Cores:
    """How busy the machine's cores have been since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    def busy(self) -> float:
        """Between 0 and 1; 0 where there is no /proc."""
        total, idle = (now - then for now, then in zip(self._read(), self._before, strict=True))
        return 1 - idle / total if total else 0.0

    @staticmethod
    def _read() -> tuple[int, int]:
        with suppress(OSError):
            ticks = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
            return sum(ticks), ticks[3] + ticks[4]
        return 0, 0
