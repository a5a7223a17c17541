"""Inside an environment of Airflow 2: runs the example DAGs by its scheduler, and fills in its webserver's forms."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from demo.airflow_api import AirflowApi, new_session
from demo.airflow_home import AirflowHome
from demo.clock import Clock
from demo.harness import Harness
from demo.processes import Processes
from demo.run import EXAMPLE_DAGS, example_dag_ids, follow, report, start_runs
from demo.sandbox import start_sandbox
from tests.compatibility.form2 import try_forms

_BOOT_SECONDS = 600
_BASIC_AUTH = "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth"


class Airflow2Api(AirflowApi):
    """The same calls, as the stable REST API of Airflow 2 understands them."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = f"{url}/api/v1"
        self._session = new_session()
        self._session.auth = (user, password)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Asks for a run, and returns the run's id."""
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json={"conf": conf or {}})["dag_run_id"])

    def has_schedule(self, dag_id: str) -> bool:  # noqa: ARG002 - as in Airflow 3
        """Whether the scheduler makes a run of this DAG at once: Airflow 2 does so of none of the examples."""
        return False


class Airflow2Home(AirflowHome):
    """One Airflow 2 on SQLite: webserver, scheduler and triggerer."""

    def __init__(self, folder: Path, processes: Processes, connections: Mapping[str, str]) -> None:
        own = {
            "AIRFLOW__API__AUTH_BACKENDS": _BASIC_AUTH,
            "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE_DAGS),
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "10",
            "AIRFLOW__WEBSERVER__SECRET_KEY": "for-one-machine-and-some-minutes",
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            # On SQLite Airflow 2 asks for the SequentialExecutor, which starts a new interpreter for each task.
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        }
        super().__init__(folder, processes, dag_folders=[EXAMPLE_DAGS], connections=connections, env=own)

    def boot(self) -> AirflowApi:
        """Creates the database and a user, starts the processes, and returns when all of them report healthy."""
        self.run("db", "migrate")
        who = {"username": self.user, "password": self.password, "role": "Admin", "email": "admin@example.com"}
        names = {"firstname": "Ada", "lastname": "Admin"}
        self.run("users", "create", *(part for name, value in (who | names).items() for part in (f"--{name}", value)))
        port = str(self._port)
        self.start_command("webserver", "webserver", "--hostname", "127.0.0.1", "--port", port)
        self.start_command("scheduler", "scheduler", "--skip-serve-logs")
        self.start_command("triggerer", "triggerer", "--skip-serve-logs")
        self._processes.wait("Airflow 2 is healthy", self._healthy, _BOOT_SECONDS)
        return Airflow2Api(self.url, self.user, self.password)

    def _healthy(self) -> bool:
        try:
            health: dict[str, Any] = requests.get(f"{self.url}/health", timeout=5).json()
        except requests.RequestException:
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in ("scheduler", "triggerer"))


def main() -> int:
    """Runs both; 0 if both went well."""
    with Harness("matrix") as harness:
        ready = start_sandbox(harness.processes, harness.folder)
        home = Airflow2Home(harness.folder, harness.processes, ready["connections"])
        api = home.boot()
        harness.clock.say("Airflow is up")
        try_forms(home, ready, harness.clock)
        harness.succeeded = _run_dags(home, api, harness.clock)
    return 0 if harness.succeeded else 1


def _run_dags(home: Airflow2Home, api: AirflowApi, clock: Clock) -> bool:
    api.wait_for_dags(example_dag_ids())
    runs = start_runs(home, api, example_dag_ids())
    ok = follow(api, runs, clock)
    report(home, api, runs)
    return ok


if __name__ == "__main__":
    sys.exit(main())
