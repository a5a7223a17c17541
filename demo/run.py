"""The demo: boots the sandbox and an Airflow, runs every example DAG, and shows what came of it."""

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pendulum

from demo.airflow_api import FINAL_STATES, AirflowApi
from demo.airflow_home import AirflowHome
from demo.clock import Clock
from demo.harness import Harness
from demo.sandbox import start_sandbox
from demo.tables import table
from demo.vendors import Row, meetings

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"

#: What a run is triggered with, where it would wait for a person otherwise.
UNATTENDED: Mapping[str, dict[str, Any]] = {"meetings_sync": {"approve_automatically": True}}
#: Another table for the sync that waits for an approval: two jobs in another order, one that is new, one that is gone.
_OTHER_JOBS = {"jobs": [102989, 102988, 102991]}
_RUN_SECONDS = 900
_ROWS_SHOWN = 20
# Of a task that waits for a person: of its own from Airflow 3.3 on, with a trigger before.
_WAITING_STATES = ("awaiting_input", "deferred")


def example_dag_ids() -> list[str]:
    """The ids of the example DAGs: each file has one, which is named like the file."""
    return sorted(path.stem for path in EXAMPLE_DAGS.glob("*.py"))


def run_demo(*, keep: bool) -> int:
    """Runs everything, cleans up, and returns 0 if every DAG run succeeded."""
    with Harness("demo") as harness:
        folder, processes, clock = harness.folder, harness.processes, harness.clock
        try:
            ready = start_sandbox(processes, folder)
            clock.say(f"Sandbox of both APIs: {ready['url']}")
            airflow = AirflowHome(folder, processes, dag_folders=[EXAMPLE_DAGS], connections=ready["connections"])
            clock.say("Airflow starts: API server, scheduler, DAG processor, triggerer (about half a minute)")
            api = airflow.boot()
            api.wait_for_dags(example_dag_ids())
            clock.say("Airflow is up, the example DAGs are loaded")
            before = meetings(ready, *_window())
            runs = start_runs(airflow, api, example_dag_ids())
            succeeded = follow(api, runs, clock)
            report(airflow, api, runs)
            _show_meetings(before, meetings(ready, *_window()))
            _show_files(folder / "files")
            waiting = _leave_one_waiting(api, clock) if keep and succeeded else ""
            harness.succeeded, harness.keeps_running = succeeded, keep
        except KeyboardInterrupt:
            clock.say("Interrupted")
        except (RuntimeError, TimeoutError, OSError) as error:
            clock.say(f"Failed: {error}")
    if harness.keeps_running:
        _explain_how_to_go_on(airflow, ready, folder, runs, waiting)
    if not harness.succeeded:
        print("\nNot every DAG run succeeded.", file=sys.stderr)
    return 0 if harness.succeeded else 1


def start_runs(home: AirflowHome, api: AirflowApi, dag_ids: Iterable[str]) -> dict[str, str]:
    """Gets one run of each DAG: from the scheduler where there is a schedule, triggered where there is none."""
    runs = {}
    dag_ids = list(dag_ids)
    scheduled = [dag_id for dag_id in dag_ids if api.has_schedule(dag_id)]
    # What the others do to the meetings starts these, so they have to watch before.
    watching = [dag_id for dag_id in scheduled if home.watch(api, dag_id)]
    for dag_id in dag_ids:
        if dag_id in watching:
            continue
        api.unpause(dag_id)
        if dag_id not in scheduled:
            runs[dag_id] = api.trigger(dag_id, UNATTENDED.get(dag_id))
    deadline = time.monotonic() + _RUN_SECONDS
    for dag_id in scheduled:
        while not (found := api.runs(dag_id)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The scheduler made no run of {dag_id}.")
            time.sleep(0.5)
        runs[dag_id] = str(found[0]["dag_run_id"])
    return dict(sorted(runs.items()))


def follow(api: AirflowApi, runs: dict[str, str], clock: Clock) -> bool:
    """Prints each change of a task's state until all runs have ended; whether all succeeded."""
    seen: dict[tuple[str, str], str] = {}
    states: dict[str, str] = {}
    deadline = time.monotonic() + _RUN_SECONDS
    while len(states) < len(runs):
        for dag_id, run_id in runs.items():
            if dag_id in states:
                continue
            state = api.run(dag_id, run_id)["state"]
            for task in api.tasks(dag_id, run_id):
                key, now = (dag_id, _name(task)), task["state"]
                if now not in (None, "scheduled", "queued") and seen.get(key) != now:
                    seen[key] = now
                    clock.say(f"{dag_id}: {_name(task)} {now}")
            if state in FINAL_STATES:
                states[dag_id] = state
                clock.say(f"{dag_id}: the run ended: {state}")
        if time.monotonic() > deadline:
            clock.say(f"Not finished after {_RUN_SECONDS} s: {', '.join(sorted(set(runs) - set(states)))}")
            break
        time.sleep(0.5)
    return len(states) == len(runs) and set(states.values()) == {"success"}


def report(airflow: AirflowHome, api: AirflowApi, runs: dict[str, str]) -> None:
    """Prints the tasks of all runs, and the end of the log of each that failed."""
    tasks = [(dag_id, run_id, task) for dag_id, run_id in runs.items() for task in api.tasks(dag_id, run_id)]
    rows = [(dag_id, _name(task), task["state"] or "-", _seconds(task["duration"])) for dag_id, _, task in tasks]
    print(f"\n{table(('DAG', 'task', 'state', 'duration'), rows)}\n")
    for dag_id, run_id, task in tasks:
        if task["state"] == "failed":
            log = airflow.task_log(dag_id, run_id, task["task_id"], task["map_index"]).splitlines()
            print(f"The end of the log of {dag_id}, {_name(task)}:", *log[-30:], "", sep="\n")


def _show_meetings(before: dict[str, Row], after: dict[str, Row]) -> None:
    """Prints the meetings as they now stand: those that the DAGs made or changed, and the next of the others."""
    marks = {key: "new" if key not in before else "changed" if before[key] != row else "" for key, row in after.items()}
    shown = sorted(after, key=lambda key: (not marks[key], after[key]["when"]))[:_ROWS_SHOWN]
    heads = ("vendor", "when", "what", "where", "notes", "id")
    rows = [(marks[key], *(_short(after[key][head]) for head in heads)) for key in after if key in shown]
    print(f"The meetings of the next two weeks, as the vendors' APIs list them:\n\n{table(('', *heads), rows)}")
    print(f"... and {len(after) - len(shown)} more that were there before\n" if len(after) > len(shown) else "")


def _show_files(folder: Path) -> None:
    """Prints the files that the DAGs have written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [(str(path.relative_to(folder)), f"{path.stat().st_size:,} bytes") for path in files]
    print(f"The files of the lists:\n\n{table(('file', 'size'), rows)}\n")


def _short(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _leave_one_waiting(api: AirflowApi, clock: Clock) -> str:
    """Starts a sync of another table, and returns the id of its run when it waits for a person."""
    run_id = api.trigger("meetings_sync", _OTHER_JOBS)
    deadline = time.monotonic() + _RUN_SECONDS
    while True:
        states = {task["task_id"]: task["state"] for task in api.tasks("meetings_sync", run_id)}
        if states.get("apply") in _WAITING_STATES:
            clock.say(f"meetings_sync: apply waits for an approval ({states['apply']})")
            return run_id
        if time.monotonic() > deadline or "failed" in states.values():
            raise RuntimeError(f"No sync waits for an approval: {states}")
        time.sleep(0.5)


def _explain_how_to_go_on(
    airflow: AirflowHome, ready: dict[str, Any], folder: Path, runs: dict[str, str], waiting: str
) -> None:
    def run_page(dag_id: str, run_id: str) -> str:
        return f"{airflow.url}/dags/{dag_id}/runs/{quote(run_id)}"

    print(f"Airflow:  {airflow.url}  user {airflow.user}, password {airflow.password}")
    print(f"Sandbox:  {ready['url']}/docs")
    print("\nWhat these runs have done to which meetings")
    print(f"  on a page for all: {airflow.url}/plugin/meetings")
    for dag_id, run_id in runs.items():
        print(f"  on a tab of a run: {run_page(dag_id, run_id)}/plugin/run-meetings")
    if waiting:
        print("\nA sync that waits for your approval")
        print(f"  {run_page('meetings_sync', waiting)}/tasks/apply/required_actions")
    print(f"\nStop all: {sys.executable} -m demo --stop {folder}")


def _window() -> tuple[pendulum.DateTime, pendulum.DateTime]:
    today = pendulum.now("UTC").start_of("day")
    return today.subtract(days=1), today.add(days=15)


def _name(task: dict[str, Any]) -> str:
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] >= 0 else str(task["task_id"])


def _seconds(duration: float | None) -> str:
    return f"{duration:.1f} s" if duration is not None else "-"
