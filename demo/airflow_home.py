"""A real Airflow in a folder of its own: API server, scheduler, DAG processor and triggerer as separate processes."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from demo.airflow_api import AirflowApi
from demo.processes import Processes, free_port, tail

_USER = "admin"
_BOOT_SECONDS = 600
_COMMANDS: Mapping[str, Sequence[str]] = {
    "api-server": ("--workers", "1"),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_COMPONENTS = ("scheduler", "dag_processor", "triggerer")


class AirflowHome:
    """One Airflow on SQLite with the LocalExecutor, small enough for two cores."""

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        *,
        dag_folders: Sequence[Path],
        connections: Mapping[str, str],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(12)
        self.user = _USER
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._processes = processes
        self.env = _environment(folder, self.url, dag_folders, connections) | dict(env or {})

    def boot(self) -> AirflowApi:
        """Creates the database, starts the four processes, and returns when all of them report healthy."""
        (self.folder / "passwords.json").write_text(json.dumps({_USER: self.password}))
        self.run("db", "migrate")
        for component in _COMMANDS:
            self.start(component)
        self.wait_until_healthy()
        return AirflowApi(self.url, _USER, self.password)

    def start(self, component: str) -> None:
        """Starts one of the four processes; `boot` does that for all of them."""
        address = ("--host", "127.0.0.1", "--port", str(self._port)) if component == "api-server" else ()
        self.start_command(component, component, *_COMMANDS[component], *address)

    def start_command(self, name: str, *arguments: str) -> None:
        """Starts an `airflow` command as a process that goes on, under a name of its own."""
        self._processes.start(name, [sys.executable, "-m", "airflow", *arguments], self.env)

    def run(self, *arguments: str) -> str:
        """Runs one `airflow` command in this home and returns what it printed."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def task_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Everything the tries of a task instance logged, as readable lines."""
        attempts = self.folder / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        if map_index >= 0:
            attempts /= f"map_index={map_index}"
        return "\n".join(_readable(path) for path in sorted(attempts.glob("attempt=*.log")))

    def watch(self, api: AirflowApi, dag_id: str, seconds: float = 240) -> bool:
        """Unpauses a DAG that is scheduled by assets, and returns when their meetings are watched.

        Returns False for a DAG that nothing watches for.
        """
        connections = api.watched_connections(dag_id)
        self._processes.wait(
            f"a trigger watches for {dag_id}", lambda: all(map(self.watches_begun, connections)), seconds
        )
        return bool(connections)

    def watches_begun(self, connection: str) -> int:
        """How often, as the triggerer's log tells, a watch over the meetings of a connection has begun or gone on."""
        log = self._processes.log_path("triggerer").read_text(encoding="utf-8", errors="replace")
        return log.count(f"Watching the meetings of connection '{connection}'")

    def wait_until_healthy(self) -> None:
        """Returns when all components report healthy."""
        try:
            self._processes.wait("Airflow is healthy", self._healthy, _BOOT_SECONDS)
        except TimeoutError as error:
            log = self._processes.log_path("api-server")
            raise TimeoutError(f"{error}. The end of {log}:\n{tail(log)}") from None

    def _healthy(self) -> bool:
        try:
            answer = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            health: dict[str, Any] = answer.json()
        except requests.RequestException:
            return False
        return answer.ok and all((health.get(name) or {}).get("status") == "healthy" for name in _COMPONENTS)


def _environment(folder: Path, url: str, dag_folders: Sequence[Path], connections: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without its own Airflow, and with this one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    bundles = [
        {
            "name": f"meetings_{path.name}",  # the bare name of the examples is one that Airflow reserves
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        for path in dag_folders
    ]
    own = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # a machine that has other things to do takes its time
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",  # it would take a fixed port
        "AIRFLOW__TRIGGERER__DEFAULT_CAPACITY": "100",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_VAR_MEETINGS_FOLDER": f"file://{folder}/files",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    return inherited | own | {f"AIRFLOW_CONN_{name.upper()}": value for name, value in connections.items()}


def _readable(path: Path) -> str:
    """Airflow writes a JSON object a line; this is the same as text."""
    lines = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            lines.append(line)
            continue
        level = str(entry.get("level", "")).upper()
        lines.append(f"{entry.get('timestamp', '')} {level:8} {entry.get('event', '')}")
        lines += [f"    {error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or ()]
    return "\n".join(lines)
