"""What runs in the environment with the provider of OpenLineage: a real Airflow, and what its events say."""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from demo.airflow_home import AirflowHome
from demo.harness import Harness
from demo.sandbox import start_sandbox

_DAG = "lineage"
_RUN_SECONDS, _EVENT_SECONDS = 300, 60
_BUILDERPRIME, _HIRINGCENTER = "meetings://builderprime_default", "meetings://hiringcenter_default"

Datasets = set[tuple[str, str]]


def expected(folder: Path) -> dict[str, dict[str, Datasets]]:
    """The datasets of each task, as ``(namespace, name)``: declared ones, and what the hooks have touched."""
    file = ("file", f"{folder}/files/visits.jsonl")
    return {
        "book_visit": {"inputs": set(), "outputs": {(_BUILDERPRIME, "/")}},
        "book_interview": {"inputs": set(), "outputs": {(_HIRINGCENTER, "/")}},
        "wait": {"inputs": {(_HIRINGCENTER, "/")}, "outputs": set()},
        "list_to_file": {"inputs": {(_BUILDERPRIME, "/")}, "outputs": {file}},
        "declared": {"inputs": {(_BUILDERPRIME, "visits")}, "outputs": {(_HIRINGCENTER, "interviews")}},
        "own_code": {"inputs": {(_HIRINGCENTER, "/")}, "outputs": set()},
    }


def main() -> int:
    """Runs the DAG once; 0 if each task's last event has exactly the datasets that it should have."""
    with Harness("openlineage") as harness:
        folder, processes = harness.folder, harness.processes
        events = folder / "events.json"
        ready = start_sandbox(processes, folder)
        home = AirflowHome(
            folder,
            processes,
            dag_folders=[Path(__file__).parent / "dags"],
            connections=ready["connections"],
            env={
                "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
                "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                    {"type": "file", "log_file_path": str(events), "append": True}
                ),
            },
        )
        api = home.boot()
        api.wait_for_dags([_DAG])
        api.unpause(_DAG)
        run_id = api.trigger(_DAG)
        state = api.wait_for_run(_DAG, run_id, seconds=_RUN_SECONDS)
        wanted = expected(folder)
        deadline = time.monotonic() + _EVENT_SECONDS  # a task's events are sent by a process of their own
        while not wanted.keys() <= (seen := _completed(events)).keys() and time.monotonic() < deadline:
            time.sleep(0.5)
        print(f"The run ended in {state}; {events} has {sum(1 for _ in _lines(events))} events.")
        problems = [] if state == "success" else [f"the run is {state}"]
        for task_id, sides in wanted.items():
            for side, datasets in sides.items():
                said = seen.get(task_id, {}).get(side, set())
                print(f"{task_id:15} {side:8} {_shown(said, folder)}")
                if said != datasets:
                    problems.append(f"{task_id}: {side} are {sorted(said)}, and should be {sorted(datasets)}")
        for problem in problems:
            print(f"VIOLATED  {problem}")
        harness.succeeded = not problems
    return 0 if harness.succeeded else 1


def _lines(events: Path) -> Iterable[dict[str, Any]]:
    if events.exists():
        yield from map(json.loads, filter(None, events.read_text().splitlines()))


def _completed(events: Path) -> dict[str, dict[str, Datasets]]:
    """The datasets of the events that say that a task has succeeded."""
    return {
        event["job"]["name"].removeprefix(f"{_DAG}."): {
            side: {(one["namespace"], one["name"]) for one in event[side]} for side in ("inputs", "outputs")
        }
        for event in _lines(events)
        if event.get("eventType") == "COMPLETE"
    }


def _shown(datasets: Datasets, folder: Path) -> str:
    return ", ".join(" ".join(one).replace(str(folder), "…") for one in sorted(datasets)) or "none"


if __name__ == "__main__":
    sys.exit(main())
