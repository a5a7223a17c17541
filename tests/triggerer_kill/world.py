"""One sandbox and one Airflow with one triggerer, which can be killed and replaced."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy

from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.postgres import start_postgres
from demo.processes import Processes
from demo.sandbox import start_sandbox
from tests.kill.referee import Vendors
from tests.triggerer_kill.questions import VENDORS

#: The DAGs that events run.
WATCHED = {vendor: f"watched_{vendor}" for vendor in VENDORS}
DAGS = Path(__file__).parent / "dags"
_PLUGINS = Path(__file__).parents[1] / "kill" / "plugins"
#: Seconds of silence after which a triggerer counts as dead and the next one takes over what it did.
SILENCE = 15


@dataclass
class Killed:
    """One end of a triggerer.

    Attributes:
        at: When it was killed, in seconds since the epoch.
        dead_at: When nobody of it was left.
        pids: Who died.
        job: The job's id in Airflow.
        triggers: How many triggers it ran.
        back_at: When the next one made its first request.
    """

    at: float
    pids: list[int]
    job: int
    triggers: int
    dead_at: float
    started_at: float = 0.0
    back_at: float = 0.0


@dataclass
class World:
    """What the play is played in."""

    folder: Path
    processes: Processes
    kills: list[Killed] = field(default_factory=list)

    def boot(self, plan: Mapping[str, Sequence[Mapping[str, Any]]], before: Callable[[], None], *, seed: int) -> None:
        """Start everything.

        Args:
            plan: The arguments of the sensors of each DAG.
            before: Called when the vendors are there, and nobody who asks them.
            seed: Of the sandbox's own data.
        """
        (self.folder / "plan.json").write_text(json.dumps(plan))
        ready = start_sandbox(self.processes, self.folder, control=True, seed=seed)
        self.vendors = Vendors(ready)
        self.vendors.control("DELETE", "/meetings")
        before()
        self.limits = self.vendors.control("GET", "/settings")
        database = start_postgres(self.processes, self.folder)
        self._database = sqlalchemy.create_engine(database["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        self.home = AirflowHome(
            self.folder,
            self.processes,
            dag_folders=[DAGS],
            connections=ready["connections"],
            env=database
            | {
                "MEETINGS_WAITING_FOLDER": str(self.folder),
                "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "2000",
                # An asset is watched from the first time on that its DAG file is parsed when the DAG is not paused.
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
                "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(_PLUGINS),
                "AIRFLOW__CORE__PARALLELISM": "6",
                "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
                "AIRFLOW__TRIGGERER__DEFAULT_CAPACITY": "1000",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "3",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(SILENCE),
            },
        )
        self.api: AirflowApi = self.home.boot()

    def start_dags(self, dag_ids: Sequence[str]) -> None:
        """Hand DAGs over to the scheduler."""
        self.api.wait_for_dags(dag_ids)
        for dag_id in dag_ids:
            self.api.unpause(dag_id)

    # -- the triggerer

    def kill_triggerer(self) -> Killed:
        """End the triggerer with its children as a power cut would."""
        job = self.triggerer_job()
        triggers = self.rows("SELECT count(*) AS n FROM trigger WHERE triggerer_id = :job", job=job)[0]["n"]
        at = time.time()
        pids = self.processes.kill("triggerer")
        killed = Killed(at, pids, job, triggers, dead_at=time.time())
        self.kills.append(killed)
        return killed

    def start_triggerer(self) -> None:
        """Start another one."""
        self.kills[-1].started_at = time.time()
        self.home.start("triggerer")

    def triggerer_job(self) -> int:
        """The id of the latest triggerer's job."""
        found = self.rows("SELECT max(id) AS id FROM job WHERE job_type = 'TriggererJob'")
        return int(found[0]["id"] or 0)

    # -- what can be seen

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Read from Airflow's database."""
        with self._database.connect() as connection:
            return [dict(row) for row in connection.execute(sqlalchemy.text(sql), values).mappings()]

    def states(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The sensors' task instances, by DAG and map index."""
        sql = (
            "SELECT dag_id, map_index, state, try_number, end_date, trigger_timeout, scheduled_dttm AS scheduled_at"
            " FROM task_instance WHERE task_id = 'wait'"
        )
        return {(row["dag_id"], row["map_index"]): row for row in self.rows(sql)}

    def events(self) -> list[dict[str, Any]]:
        """The events of the watched assets, oldest first: when, of which vendor, and the payload."""
        sql = "SELECT e.timestamp, e.extra, a.uri FROM asset_event e JOIN asset a ON a.id = e.asset_id ORDER BY e.id"
        return [
            _json(row["extra"])["payload"] | {"at": row["timestamp"].timestamp(), "vendor": _vendor_of(row["uri"])}
            for row in self.rows(sql)
        ]

    def told(self) -> list[dict[str, Any]]:
        """What the runs that were started by events have said, run by run."""
        sql = (
            "SELECT r.dag_id, r.run_id, ti.state, ti.try_number, x.value FROM dag_run r"
            " JOIN task_instance ti ON ti.dag_id = r.dag_id AND ti.run_id = r.run_id"
            " LEFT JOIN xcom x ON x.dag_run_id = r.id AND x.task_id = ti.task_id AND x.key = 'return_value'"
            " WHERE ti.task_id = 'told' ORDER BY r.id"
        )
        return [row | {"value": _json(row["value"])} for row in self.rows(sql)]

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The journal's rows after a number."""
        return self.vendors.journal(since=since)

    def xcom(self, dag: str, run: str, map_index: int) -> Any:
        """What a sensor returned."""
        return self.api.returned(dag, run, "wait", map_index)


def _vendor_of(uri: str) -> str:
    return next(vendor for vendor in VENDORS if f"//{vendor}_" in uri)


def _json(value: Any) -> Any:
    """Decode what a column holds as text, as JSON, or as JSON within JSON."""
    while isinstance(value, str):
        value = json.loads(value)
    return value
