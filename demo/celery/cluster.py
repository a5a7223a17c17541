"""An Airflow as larger installations run it: PostgreSQL, Redis, the CeleryExecutor, and workers that come and go."""

import json
from pathlib import Path
from typing import Any

from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.postgres import start_postgres
from demo.processes import Processes
from demo.redis import start_redis

DAGS = Path(__file__).parent / "dags"
DAG = "scale_out"
#: What a task would import anew, imported by each worker once: Celery forks its processes, and they fork the tasks.
PRELOADED = ["airflow_provider_meetings.preload"]
_WORKER_SECONDS = 120


class Cluster:
    """One scheduler, DAG processor, API server and triggerer, and as many workers as were started.

    Args:
        folder: Where all of it lives.
        processes: Who starts and stops it.
        ready: What the sandbox says about itself.
        slots: Tasks that a worker runs at once.
    """

    def __init__(self, folder: Path, processes: Processes, ready: dict[str, Any], *, slots: int) -> None:
        self._processes = processes
        self._workers = 0
        database, broker = start_postgres(processes, folder), start_redis(processes, folder)
        env = database | _settings(database["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], broker, slots)
        self.home = AirflowHome(folder, processes, dag_folders=[DAGS], connections=ready["connections"], env=env)

    def boot(self) -> AirflowApi:
        """Starts everything but the workers."""
        return self.home.boot()

    def start_worker(self) -> str:
        """Starts one more worker and returns its name; it is not ready yet."""
        self._workers += 1
        name = f"worker-{self._workers}"
        self.home.start_command(name, "celery", "worker", "--skip-serve-logs", "--celery-hostname", name)
        return name

    def wait_for_worker(self, name: str) -> None:
        """Returns when a worker takes tasks."""
        log = self._processes.log_path(name)
        says = f"{name} ready."
        self._processes.wait(
            f"{says} stands in {log}", lambda: says in log.read_text(errors="replace"), _WORKER_SECONDS, every=0.2
        )


def _settings(database: str, broker: str, slots: int) -> dict[str, str]:
    """What makes it a Celery cluster, and what makes it notice sooner than by default that somebody is gone."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "64",
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots),
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": PRELOADED}),
        "C_FORCE_ROOT": "1",  # Celery only: it would rather not run as root
        # Redis hands out again what a worker took and never finished. Longer than any task here takes.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
        # A running task whose worker is gone is missed by the silence of its heartbeat, and tried again.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        # A triggerer that is gone is missed the same way, and another one takes its triggers.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "3",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__TRIGGERER__CAPACITY": "1000",
        "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "0",
        # The DAG file does not change: parsing it again and again would only take time from the tasks.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
        "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "5000",
    }
