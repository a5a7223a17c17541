"""The few calls of Airflow's REST API that the demo and the system tests make."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

FINAL_STATES = ("success", "failed")


def new_session() -> requests.Session:
    """A session that asks again where a question was cut off, for a server may replace the process that answers it."""
    session = requests.Session()
    session.trust_env = False
    again = Retry(total=3, connect=0, backoff_factor=0.5, allowed_methods={"GET"})
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session


class AirflowApi:
    """A logged-in client of one Airflow."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = f"{url}/api/v2"
        self._session = new_session()
        credentials = {"username": user, "password": password}
        answer = self._session.post(f"{url}/auth/token", json=credentials, timeout=30)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _call(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        for pause in (1, 4, 0):
            answer = self._session.request(method, self._url + path, timeout=60, **kwargs)
            # SQLite has one writer: Airflow answers 500 to whoever has waited for it too long.
            if answer.status_code != 500 or "Database error" not in answer.text:  # noqa: PLR2004 - the status of that
                break
            time.sleep(pause)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json()
        return result

    def wait_for_dags(self, dag_ids: Iterable[str], seconds: float = 300) -> None:
        """Returns when the DAG processor has stored all these DAGs; raises with the import errors otherwise."""
        wanted = set(dag_ids)
        deadline = time.monotonic() + seconds
        while missing := wanted - {dag["dag_id"] for dag in self._call("GET", "/dags")["dags"]}:
            errors = self.import_errors()
            if errors or time.monotonic() > deadline:
                raise RuntimeError(f"Not there: {sorted(missing)}. Import errors: {errors or 'none'}")
            time.sleep(0.5)

    def import_errors(self) -> list[str]:
        """What went wrong while the DAG files were parsed."""
        return [error["stack_trace"] for error in self._call("GET", "/importErrors")["import_errors"]]

    def unpause(self, dag_id: str) -> None:
        """Hands a DAG over to the scheduler."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Asks for a run, as the button in the UI does without a date, and returns the run's id."""
        run = self._call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clears a run, as the button in the UI does."""
        body = {"dry_run": False, "only_failed": False, "reset_dag_runs": True, "dag_run_id": run_id}
        self._call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def has_schedule(self, dag_id: str) -> bool:
        """Whether the scheduler makes runs of this DAG by itself."""
        return bool(self._call("GET", f"/dags/{dag_id}/details")["timetable_summary"] not in (None, "None"))

    def watched_connections(self, dag_id: str) -> list[str]:
        """Unpauses a DAG that is scheduled by assets, and returns whose meetings are watched for it from now on.

        Empty for a DAG that has another schedule.
        """
        if self._call("GET", f"/dags/{dag_id}/details")["asset_expression"] is None:
            return []
        self.unpause(dag_id)
        # What a paused DAG waits for is not watched; that it is unpaused shows when its file is parsed again.
        self._call("PUT", f"/parseDagFile/{self._call('GET', f'/dags/{dag_id}')['file_token']}")
        return [urlsplit(asset["uri"]).netloc for asset in self._assets_of(dag_id)]

    def _assets_of(self, dag_id: str) -> list[dict[str, Any]]:
        assets: list[dict[str, Any]] = self._call("GET", "/assets", params={"dag_ids": [dag_id]})["assets"]
        return assets

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, oldest first."""
        runs: list[dict[str, Any]] = self._call("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "id"})["dag_runs"]
        return runs

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        return self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, in the order in which they started."""
        answer = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000})
        return sorted(answer["task_instances"], key=lambda task: (task["start_date"] or "9", task["map_index"]))

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The states of a run's tasks by their ids; of a mapped task, that of one of its instances."""
        return {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}

    def wait_for_states(self, dag_id: str, run_id: str, wanted: Mapping[str, str], *, seconds: float) -> None:
        """Returns when these tasks have these states.

        Raises:
            RuntimeError: They do not have them in time, or one has failed that was not to; the message has them all.
        """
        deadline = time.monotonic() + seconds
        while not wanted.items() <= (states := self.states(dag_id, run_id)).items():
            failed = [task_id for task_id, state in states.items() if state == "failed" != wanted.get(task_id)]
            if failed or time.monotonic() > deadline:
                raise RuntimeError(f"Not {wanted}, but {states}")
            time.sleep(0.5)

    def count(self, dag_id: str, run_id: str, task_id: str, *states: str) -> int:
        """How many instances of a mapped task are in one of these states."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/listMapped"
        return int(self._call("GET", path, params={"state": states, "limit": 1})["total_entries"])

    def running_pids(self, dag_id: str, run_id: str) -> set[int]:
        """The processes, wherever they are, that run the task instances of a run which Airflow takes for running."""
        query: dict[str, Any] = {"state": ["running"], "limit": 1000}
        answer = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params=query)
        return {task["pid"] for task in answer["task_instances"] if task["pid"]}

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned, or an item of a mapped one."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path, params={"deserialize": "true", "map_index": map_index})["value"]

    def wait_for_run(
        self, dag_id: str, run_id: str, *, seconds: float, while_waiting: Callable[[], None] = lambda: None
    ) -> str:
        """Waits until a run has ended and returns its state, or its last state when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            state = str(self.run(dag_id, run_id)["state"])
            if state in FINAL_STATES or time.monotonic() > deadline:
                return state
            while_waiting()
            time.sleep(0.5)
