"""Inside an environment of Airflow 3: changes meetings in every way while an asset is watched, and kills the triggerer.

What must come of it is the same on every version, but for what is changed while no triggerer runs: Airflow 3.3 can keep
what a watch knows, so it is told afterwards; before, it is lost. Nothing is told that has not happened.
"""

import json
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow import __version__

from airflow_provider_meetings.testing.kit import MeetingsSandbox
from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.clock import Clock
from demo.harness import Harness
from demo.processes import Processes
from demo.run import EXAMPLE_DAGS
from demo.sandbox import start_sandbox
from tests.compatibility.plan import KEEPS_WATCHES

DAG = "meetings_watch"
CONNECTION = "hiringcenter_default"
VENDOR = "hiringcenter"
_DAY = 86_400_000
_AHEAD = 14 * _DAY  # the example's window
#: Seconds until an event has to be there: the example looks every ten, the machine may be busy.
_PATIENCE = 120.0
#: Seconds in which what has been told once is told again, if it is.
_QUIET = 25.0

#: What is told: the kind, the reason, and the meeting's notes.
News = tuple[str, str | None, str]


class Watching:
    """One sandbox and one Airflow, and what has to be told of what happened."""

    def __init__(self, folder: Path, processes: Processes, clock: Clock) -> None:
        self._processes = processes
        self._clock = clock
        ready = start_sandbox(processes, folder, control=True)
        self._sandbox = MeetingsSandbox(ready)
        self._sandbox.control("DELETE", "/meetings")  # of those that it begins with, one may get past the window now
        self._home = AirflowHome(folder, processes, dag_folders=[EXAMPLE_DAGS], connections=ready["connections"])
        self._expected: list[News] = []
        self._ids: dict[str, Any] = {}
        self._api: AirflowApi = self._home.boot()
        self._api.wait_for_dags([DAG])

    def play(self) -> None:
        """Have it watched, and change one meeting after the other."""
        self._home.watch(self._api, DAG)
        self._clock.say("it is watched")
        self._book("visit", _now() + 3 * _DAY)
        self._told("created", None, "visit")
        self._change("visit", location="Room 5")
        self._told("changed", None, "visit")
        self._change("visit", meetingDate=_now() + 60 * _DAY)
        self._told("moved_out", "edit", "visit")
        self._change("visit", meetingDate=_now() + 3 * _DAY)
        self._told("moved_in", "edit", "visit")
        self._sandbox.remove(VENDOR, self._ids["visit"])
        self._told("gone", None, "visit")
        self._book("far", _now() + _AHEAD + 60_000)  # beyond the window, which gets there
        self._book("soon", _now() + 60_000)  # within the window, which gets past it
        self._told("created", None, "soon")
        self._told("moved_in", "time", "far")
        self._told("moved_out", "time", "soon")

    def kill(self, *, is_kept: bool) -> None:
        """Kill the triggerer, change what was and what was not there, and have another one go on."""
        self._book("old", _now() + 2 * _DAY)
        self._told("created", None, "old")
        before = self._home.watches_begun(CONNECTION)
        self._processes.kill("triggerer")
        self._clock.say("the triggerer is killed")
        self._change("old", location="Room 6")
        self._book("unseen", _now() + 2 * _DAY)
        self._home.start("triggerer")
        what = "a trigger watches again after the triggerer was killed"
        self._processes.wait(what, lambda: self._home.watches_begun(CONNECTION) > before, 180)
        self._clock.say("it is watched again")
        if is_kept:
            self._told("created", None, "unseen")
            self._told("changed", None, "old")
        self._change("old", location="Room 7")
        self._told("changed", None, "old")

    def judge(self) -> list[str]:
        """Return what is wrong with what was told, when it is all told."""
        time.sleep(_QUIET)
        deadline = time.monotonic() + _PATIENCE
        while any(run["state"] not in ("success", "failed") for run in self._api.runs(DAG)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        events = {event["event_id"]: event for event in self._events()}
        told = Counter(_news(event) for event in events.values())
        wrong = [f"{state} run of {DAG}" for state in self._states() if state != "success"]
        wrong += [f"told, but did not happen: {news}" for news in told - Counter(self._expected)]
        wrong += [f"happened, but not told: {news}" for news in Counter(self._expected) - told]
        given = Counter(event["event_id"] for events in self._given() for event in events)
        wrong += [f"given to no run: {_news(event)}" for event_id, event in events.items() if not given[event_id]]
        wrong += [f"given to {given[key]} runs: {_news(events[key])}" for key in given if given[key] > 1]
        self._clock.say(
            f"{len(self._events())} asset events, {len(events)} different ones, {given.total()} given to runs"
        )
        return wrong

    def _book(self, notes: str, date: int) -> None:
        meeting = {"notes": notes, "meetingDate": date, "timeZone": "America/New_York", "meetingType": "phone"}
        (self._ids[notes],) = self._sandbox.insert(VENDOR, meeting)

    def _change(self, notes: str, **changes: Any) -> None:
        self._sandbox.edit(VENDOR, self._ids[notes], updatedAt=_now(), **changes)

    def _told(self, kind: str, reason: str | None, notes: str) -> None:
        """Wait until this is told as well."""
        self._expected.append((kind, reason, notes))
        wanted = Counter(self._expected)
        deadline = time.monotonic() + _PATIENCE
        while wanted - Counter(_news(event) for event in {one["event_id"]: one for one in self._events()}.values()):
            self._processes.check()
            if time.monotonic() > deadline:
                return  # the judge will say so
            time.sleep(0.5)
        self._clock.say(f"{kind}{f' ({reason})' if reason else ''}: {notes}")

    def _events(self) -> list[dict[str, Any]]:
        # Airflow 3.0's API answers 500 as long as one of the runs that they have started is queued.
        return [extra["payload"] for extra in self._column("SELECT extra FROM asset_event ORDER BY id")]

    def _given(self) -> list[list[dict[str, Any]]]:
        """What each run was given, as its first task has returned it; 3.0's API shows that as text only."""
        found = "FROM xcom WHERE dag_id = ? AND task_id = 'news' AND key = 'return_value'"
        return self._column(f"SELECT value {found}", DAG)

    def _column(self, sql: str, *values: str) -> list[Any]:
        """Read JSON from Airflow's database, some of which is JSON within JSON."""
        path = self._home.folder / "airflow.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
            rows = [json.loads(text) for (text,) in database.execute(sql, values)]
        return [json.loads(row) if isinstance(row, str) else row for row in rows]

    def _states(self) -> list[str]:
        return [str(run["state"]) for run in self._api.runs(DAG)]


def _now() -> int:
    return int(time.time() * 1000)


def _news(event: dict[str, Any]) -> News:
    was, now = event["before"] or {}, event["after"] or {}
    return event["kind"], event["reason"], _NAMES.setdefault(event["id"], was.get("notes") or now.get("notes"))


_NAMES: dict[str, str] = {}


def main() -> int:
    """Plays it once; 0 if what had to be told was told, and nothing else."""
    is_kept = tuple(int(part) for part in __version__.split(".")[:2]) >= KEEPS_WATCHES
    with Harness("matrix") as harness:
        watching = Watching(harness.folder, harness.processes, harness.clock)
        watching.play()
        watching.kill(is_kept=is_kept)
        wrong = watching.judge()
        harness.succeeded = not wrong
    for text in wrong:
        print(f"WRONG  {text}")
    if wrong:
        return 1
    missed = "told by the next one" if is_kept else "lost"
    print(f"every kind of change (while the triggerer was killed: {missed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
