"""One Airflow, of the version that is installed, told to notice a death soon; and what is asked of its REST API."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.airflow_home import AirflowHome
from demo.postgres import start_postgres
from demo.processes import Processes
from tests.kill.set_cells import PARALLEL

DAGS = Path(__file__).parent / "dags"
#: Which Airflow is installed, in full, and as the docs name it.
AIRFLOW = version("apache-airflow")
MINOR = ".".join(AIRFLOW.split(".")[:2])
#: Whether its tasks have a task state store, which outlives a try.
HAS_STORE = tuple(map(int, MINOR.split("."))) >= (3, 3)
_IS_2 = AIRFLOW.startswith("2.")

# A dead supervisor is noticed by the silence of its task's heartbeat, and files that do not change are not read again
# and again, which would only take time from the tasks.
_SETTINGS_2 = {
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "3600",
    "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "3",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "15",
    # A death is told to the DAG processor, which reads the file for that without noting that it did.
    "AIRFLOW__SCHEDULER__STALE_DAG_THRESHOLD": "86400",
    # Longer than that takes: what is told twice fails the next try, too.
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "20",
}
_SETTINGS_3 = {
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
}
_DAG_IDS = [f"kill_{name}" for name in ("create", "update", "delete", "set", "outage", "mapped")]
_BOOT_SECONDS = 600


class Booted:
    """A running Airflow with the DAGs of the kill matrix, on a PostgreSQL of its own."""

    def __init__(self, folder: Path, processes: Processes, connections: dict[str, str]) -> None:
        self.home = _home(folder, processes, connections)
        self.home.env |= start_postgres(processes, folder) | {
            "MEETINGS_KILL_FOLDER": str(folder),
            "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "2000",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS.parent / "plugins"),
            "AIRFLOW__CORE__PARALLELISM": os.environ.get("KILL_PARALLELISM", "6"),
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
        }
        self.api = self.home.boot()
        self.api.wait_for_dags(_DAG_IDS, _BOOT_SECONDS)
        for dag in _DAG_IDS:
            self.api.unpause(dag)

    def start_run(self, dag: str, run: str, conf: dict[str, Any] | None = None) -> None:
        """Ask for a run under an id of one's own."""
        undated = {} if _IS_2 else {"logical_date": None}  # Airflow 2 has each run dated
        self.api._call("POST", f"/dags/{dag}/dagRuns", json=undated | {"dag_run_id": run, "conf": conf or {}})

    def states(self) -> dict[str, str]:
        """Return the states of all runs by their ids."""
        runs = self.api._call("GET", "/dags/~/dagRuns", params={"limit": 2000})["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in runs}

    def xcom(self, dag: str, run: str, key: str, map_index: int = -1) -> Any:
        """Return what a task said: for the return value an object, for another key text."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/task/xcomEntries/{key}"
        query = {"map_index": map_index} | ({} if _IS_2 else {"deserialize": "true"})
        try:
            value = self.api._call("GET", path, params=query)["value"]
        except RuntimeError as error:
            if " 404 " not in str(error):
                raise
            return {} if key == "return_value" else "nothing"
        return value.strip('"') if isinstance(value, str) else value


def _home(folder: Path, processes: Processes, connections: dict[str, str]) -> AirflowHome:
    if _IS_2:
        from tests.compatibility.airflow2 import Airflow2Home  # noqa: PLC0415 - another API, another webserver

        home = Airflow2Home(folder, processes, connections)
        home.env |= _SETTINGS_2
        return home
    return AirflowHome(folder, processes, dag_folders=[DAGS], connections=connections, env=_SETTINGS_3)


def connections(ready: dict[str, Any]) -> dict[str, str]:
    """Return the sandbox's connections, with times that fit a test."""
    made = {}
    for vendor in ("hiringcenter", "builderprime"):
        plain = json.loads(ready["connections"][f"{vendor}_default"])
        extra = plain.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        times = {"timeout": 5, "max_wait": 30}
        if vendor == "hiringcenter":
            times |= {"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**7}
        made[f"{vendor}_default"] = json.dumps(plain | {"extra": extra | times})
        made[f"{vendor}_set"] = json.dumps(plain | {"extra": extra | times | {"max_parallel_requests": PARALLEL}})
        made[f"{vendor}_impatient"] = json.dumps(plain | {"extra": extra | times | {"max_wait": 5}})
    return made
