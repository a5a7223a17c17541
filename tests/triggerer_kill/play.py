"""The course of events: sensors are deferred, triggerers are killed and replaced, meetings are booked all the while."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.triggerer_kill import referee
from tests.triggerer_kill.edits import Script
from tests.triggerer_kill.questions import IN_VAIN, STAGES, VENDORS, Plan, Wait
from tests.triggerer_kill.world import WATCHED, World

_TICK = 1.0
_TOLD_EVERY = 4.0
_PATIENCE = 900.0  # for any one thing that has to happen
_SETTLED = 45.0  # how long those who wait are left alone, so that what they cost can be counted: three poke intervals
_DOWN = 4.0  # how long nobody is there before another triggerer is started
_EDITS = 6  # at a time
_EDIT_EVERY, _MOST_EDITS = 3.0, 90  # seconds, and steps besides those around the kills: each is a run, which takes time
_OVER = frozenset({"success", "failed", "skipped", "upstream_failed"})


@dataclass
class Scene:
    """A part of the play, for the report."""

    name: str
    start: float
    end: float = 0.0


@dataclass
class Play:
    """One run through everything."""

    world: World
    plan: Plan
    script: Script
    chance: random.Random
    say: Callable[[str], None]
    scenes: list[Scene] = field(default_factory=list)
    states: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    deadlines: dict[tuple[str, int, int], set[float]] = field(default_factory=dict)
    xcoms: dict[tuple[str, int], Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[str, Counter[str]] = field(default_factory=dict)
    waiting: list[tuple[float, Counter[tuple[str, float]]]] = field(default_factory=list)
    _said: float = 0.0
    _editing: bool = False
    _time_passes: bool = False
    _edited: float = 0.0

    # -- the acts

    def boot(self, *, seed: int) -> None:
        """Start the world, with meetings in it that are nobody's."""
        self._scene("boot")
        dags = {dag: [wait.arguments for wait in some] for dag, some in self.plan.dags.items()}
        self.world.boot(dags, self.script.begin, seed=seed)
        for vendor, rows in self.plan.decoys.items():
            self._insert(vendor, rows[::2])
        self.say("Airflow and the sandbox are up")
        self.world.start_dags([*dags, *WATCHED.values()])

    def run(self) -> None:
        """Play all acts."""
        self._scene("deferring")
        self._editing = True
        for dag in self.plan.dags:
            if dag != IN_VAIN:
                self.runs[dag] = self.world.api.trigger(dag)
        answered = [wait for wait in self.plan.waits if wait.own]
        self._until("all are deferred", lambda: self._count(answered, "deferred") == len(answered))
        self._scene(referee.SETTLED)
        over = time.time() + _SETTLED
        self._until("their polls were counted", lambda: time.time() >= over)
        self._scene("some more who wait in vain")
        self.runs[IN_VAIN] = self.world.api.trigger(IN_VAIN)
        everybody = self.plan.waits
        # On a slow machine the first of those who wait in vain are through before the last is there.
        self._until("those are deferred, too", lambda: self._count(everybody, "deferred", *_OVER) == len(everybody))
        self._kill(STAGES[0], "hiringcenter")
        self._scene(referee.RESTARTED[0], self.world.kills[0].back_at)
        self._book(STAGES[1])
        early = [wait for wait in answered if wait.stage in STAGES[:2]]
        self._until("most of theirs are found", lambda: self._count(early, "deferred") <= len(early) / 4)
        self._kill(STAGES[2], "builderprime")
        self._scene(referee.RESTARTED[1], self.world.kills[1].back_at)
        for part in range(3):
            self._book(STAGES[3], part, 3)
            pause = time.time() + 3
            self._until("a moment has passed", lambda until=pause: time.time() >= until)
        self._editing = False
        self._until("all are over", lambda: self._count(everybody, *_OVER) == len(everybody))
        self._scene("last events")
        self._until("every event is there", lambda: not referee.missing(self), complain=False)
        self._until("every event is told", lambda: referee.is_told(self), complain=False)
        self._scene("judging")

    def judge(self) -> list[str]:
        """Collect the evidence and say what was violated."""
        self._until("every request is answered", lambda: not referee.unanswered(self), complain=False)
        for wait in self.plan.waits:
            if wait.own and self._of(wait).get("state") == "success":
                self.xcoms[wait.dag, wait.index] = self.world.xcom(wait.dag, self.runs[wait.dag], wait.index)
        self.scenes[-1].end = time.time()
        return referee.judge(self)

    # -- what happens in them

    def _kill(self, stage: str, vendor: str) -> None:
        """Kill the triggerer while it deals with edits, edit and book while it is down, and replace it."""
        self._editing = False
        self._edit(_EDITS)
        self._until_a_look(vendor)
        time.sleep(self.chance.uniform(0.0, 1.5))  # somewhere between the answer and the last of its events
        killed = self.world.kill_triggerer()
        self._scene("nobody there" if len(self.world.kills) == 1 else "nobody there again")
        pids = ", ".join(map(str, killed.pids))
        self.say(f"killed the triggerer (pids {pids}) with {killed.triggers} triggers")
        self._book(stage)
        if len(self.world.kills) == 1:
            for name, rows in self.plan.decoys.items():
                self._insert(name, rows[1::2])
        self._edit(_EDITS)
        pause = time.time() + _DOWN
        self._until("it was missed for a while", lambda: time.time() >= pause)
        self.world.start_triggerer()
        asked = len(self.journal)
        self._until("the next triggerer asks", lambda: len(self.journal) > asked)
        killed.back_at = self.journal[asked]["at"] / 1000
        self._editing = True
        self.say(f"another triggerer asks, {killed.back_at - killed.at:.1f} s after the kill")

    def _edit(self, count: int) -> None:
        """Have somebody edit meetings that are watched, each after its last edit was there at two looks."""
        looks = {vendor: referee.looks(self.journal, vendor) for vendor in VENDORS}
        quiet_since = {vendor: found[-2] if len(found) > 1 else 0.0 for vendor, found in looks.items()}
        if all(quiet_since.values()) and not self._time_passes:
            self._time_passes = True
            self.script.pass_time()
        if steps := self.script.play(count, quiet_since):
            self._edited = time.time()
            self.steps.setdefault(self.scenes[-1].name, Counter()).update(steps)

    def _until_a_look(self, vendor: str) -> None:
        """Wait until the triggerer has the answer to a look that came after the last edit."""
        deadline = time.monotonic() + _PATIENCE
        while not any(look > self._edited for look in referee.looks(self.journal, vendor)):
            self._read_journal()
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nobody has looked at {VENDORS[vendor]} for {_PATIENCE:.0f} s. {self._standing()}")
            time.sleep(0.02)

    def _book(self, stage: str, part: int = 0, parts: int = 1) -> None:
        """Book the meetings of a stage, and of those who need several all but the last a stage before."""
        coming = STAGES[STAGES.index(stage) + 1 :][:1]
        for vendor in VENDORS:
            mine = [wait for wait in self.plan.waits if wait.vendor == vendor and wait.own]
            now = [wait for wait in mine if wait.stage == stage][part::parts]
            early = [wait for wait in mine if wait.stage in coming] if part == 0 else []
            todo = [(wait, row) for wait in now for row in wait.own[len(wait.ids) :]]
            todo += [(wait, row) for wait in early for row in wait.own[:-1]]
            for (wait, _), made in zip(todo, self._insert(vendor, [row for _, row in todo]), strict=True):
                wait.ids.append(made)
            for wait in now:
                wait.booked_at = time.time()
            self.say(f"booked {len(todo)} at {VENDORS[vendor]}")

    def _insert(self, vendor: str, rows: Iterable[dict[str, Any]]) -> list[Any]:
        edit = {"vendor": vendor, "op": "insert", "meetings": list(rows)}
        made: list[Any] = self.world.vendors.control("POST", "/meetings", json=edit)["ids"] if edit["meetings"] else []
        return made

    # -- watching

    def _of(self, wait: Wait) -> dict[str, Any]:
        return self.states.get((wait.dag, wait.index), {})

    def _count(self, waits: Iterable[Wait], *states: str) -> int:
        return sum(self._of(wait).get("state") in states for wait in waits)

    def _until(self, what: str, done: Callable[[], bool], *, complain: bool = True) -> None:
        """Look around until something is true, and tell now and then how it goes."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            self._look()
            if done():
                return
            if time.monotonic() > deadline:
                if complain:
                    raise TimeoutError(f"Not within {_PATIENCE:.0f} s: {what}. {self._standing()}")
                return  # the referee will say what is missing
            if time.monotonic() - self._said > _TOLD_EVERY:
                self._said = time.monotonic()
                self.say(f"{self._standing()}; until {what}")
            time.sleep(_TICK)

    def _look(self) -> None:
        self.world.processes.check()
        self.states = self.world.states()
        self._read_journal()
        self.waiting.append((time.time(), Counter()))
        for wait in self.plan.waits:
            if self._of(wait).get("state") == "deferred":
                self.waiting[-1][1][wait.vendor, wait.poke_interval] += 1
        for wait in self.plan.in_vain:
            row = self._of(wait)
            if row.get("state") == "deferred" and row["trigger_timeout"]:
                seen = self.deadlines.setdefault((wait.dag, wait.index, row["try_number"]), set())
                seen.add(row["trigger_timeout"].timestamp())
        self.events, self.told = self.world.events(), self.world.told()
        if self._editing and self._edits < _MOST_EDITS and time.time() - self._edited > _EDIT_EVERY:
            self._edit(1)

    def _read_journal(self) -> None:
        """Read the new rows, and anew those after the first one that was not answered yet when it was read."""
        for number, row in enumerate(self.journal):
            if row["status"] is None:
                del self.journal[number:]
                break
        self.journal += self.world.requests(since=self.journal[-1]["id"] if self.journal else 0)

    def _standing(self) -> str:
        states = Counter(str(row["state"]) for row in self.states.values())
        shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        asked = Counter(row["vendor"] for row in self.journal)
        requests = " + ".join(str(asked[vendor]) for vendor in VENDORS)
        return f"{shown or 'no tasks yet'}; requests {requests}; {self._edits} edits, {len(self.events)} events"

    @property
    def _edits(self) -> int:
        return sum(counts.total() for counts in self.steps.values())

    def _scene(self, name: str, begin: float | None = None) -> None:
        begin = begin or time.time()
        if self.scenes:
            self.scenes[-1].end = begin
        self.scenes.append(Scene(name, begin))
