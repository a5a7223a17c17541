"""One sandbox and one real Airflow for all system tests: booting takes longer than most of them."""

import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_meetings.testing import MeetingsSandbox
from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.processes import Processes
from demo.run import EXAMPLE_DAGS, example_dag_ids, start_runs
from demo.sandbox import start_sandbox
from tests.security.canaries import connections as secretive_connections
from tests.system.statsd import StatsD

RUN_SECONDS = 480
WRONG_KEY = "wrong-key-canary-7c1f93"
NOBODY_LISTENS = "http://127.0.0.1:9"
MEETING_PAGE = "https://app.example.com/meetings/{id}"


@dataclass
class System:
    """What the tests look at."""

    home: AirflowHome
    api: AirflowApi
    sandbox: MeetingsSandbox
    folder: Path
    statsd: StatsD
    runs: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)

    @property
    def ready(self):
        """The sandbox's addresses and keys."""
        return self.sandbox.facts

    def log(self, dag_id, task_id):
        """The log of a task in the run that the fixtures made of its DAG."""
        return self.home.task_log(dag_id, self.runs[dag_id], task_id)

    def wait_until_left(self, dag_id, run_id, task_id, state="deferred"):
        """Returns when the scheduler knows that a task has left its worker, and is in this state.

        A task that comes back before is taken by Airflow for one that was killed on its worker, and fails.
        """
        words = f"TaskInstance Finished: dag_id={dag_id}, task_id={task_id}, run_id={run_id}, "
        left = re.compile(re.escape(words) + f".* state={state}, ")
        deadline = time.monotonic() + RUN_SECONDS
        while not left.search((self.folder / "scheduler.log").read_text(errors="replace")):
            assert time.monotonic() < deadline, f"the scheduler has not noticed that {task_id} is {state}"
            time.sleep(0.5)

    def state(self, dag_id):
        """The state of the run that the fixtures made of a DAG."""
        return self.api.run(dag_id, self.runs[dag_id])["state"]

    def xcom(self, dag_id, task_id, run_id=None):
        """What a task returned."""
        return self.api.returned(dag_id, run_id or self.runs[dag_id], task_id)


def _linked_connections(ready):
    """Connections that know where the vendor's web app is, for the DAG `observed`."""
    conn = json.loads(ready["connections"]["hiringcenter_default"])
    extra = {"web_url_template": MEETING_PAGE, "rate_limit_per_minute": 100_000, "rate_limit_per_hour": 1_000_000}
    return {name: json.dumps(conn | {"extra": extra}) for name in ("hiringcenter_linked", "hiringcenter_watched")}


def _broken_connections(ready):
    """Connections with one thing wrong each, for the DAG `failures`."""

    def changed(default, **changes):
        return json.dumps(json.loads(ready["connections"][default]) | changes)

    url = ready["url"]
    return {
        "hiringcenter_wrong_key": changed("hiringcenter_default", password=WRONG_KEY),
        "builderprime_wrong_key": changed("builderprime_default", password=WRONG_KEY, extra={}),
        "builderprime_wrong_subdomain": changed("builderprime_default", host=f"{url}/not-an-account/api"),
        "hiringcenter_wrong_host": changed("hiringcenter_default", host=NOBODY_LISTENS, extra={"max_attempts": 2}),
        "hiringcenter_impatient": changed("hiringcenter_default", extra={"max_wait": 1}),
        "builderprime_read_only": changed("builderprime_default", password=ready["builderprime"]["read_api_key"]),
    }


@pytest.fixture(scope="session")
def system(tmp_path_factory):
    """A sandbox and a real Airflow with the example DAGs and those of the tests."""
    folder = tmp_path_factory.mktemp("system")
    with Processes(folder) as processes, contextlib.closing(StatsD()) as statsd:
        ready = start_sandbox(processes, folder, control=True)
        home = AirflowHome(
            folder,
            processes,
            dag_folders=[EXAMPLE_DAGS, Path(__file__).parent / "dags"],
            connections=(
                ready["connections"]
                | _broken_connections(ready)
                | _linked_connections(ready)
                | secretive_connections(ready)
            ),
            env={"AIRFLOW_VAR_SITE_VISITS_FOLDER": f"file://{folder}/site-visits"} | statsd.env,
        )
        api = home.boot()
        of_the_tests = [
            "failures",
            "no_interval",
            "observed",
            "partitioned",
            "rate_limited",
            "waits",
            "waits_in_triggerer",
        ]
        api.wait_for_dags([*example_dag_ids(), *of_the_tests])
        yield System(home, api, MeetingsSandbox(ready), folder, statsd)


def _wait(system, runs):
    for dag_id, run_id in runs.items():
        system.api.wait_for_run(dag_id, run_id, seconds=RUN_SECONDS)
        system.runs[dag_id] = run_id
    return system


@pytest.fixture(scope="session")
def examples(system):
    """The system after one run of every example DAG."""
    return _wait(system, start_runs(system.home, system.api, example_dag_ids()))


@pytest.fixture(scope="session")
def failures(system):
    """The system after one run of every DAG that is made to fail."""
    return _wait(system, start_runs(system.home, system.api, ["failures", "no_interval"]))
