"""The sandbox as a process: started on a free port, ready when its ready file says so."""

import os
from pathlib import Path
from typing import Any

from airflow_provider_meetings.testing.process import command, wait_until_ready
from demo.processes import Processes


def start_sandbox(processes: Processes, folder: Path, *, control: bool = False, seed: int = 1) -> dict[str, Any]:
    """Starts the sandbox and returns its ready file: addresses, keys and connections."""
    ready_file = folder / "sandbox.json"
    arguments = ["--db", str(folder / "sandbox.db"), "--seed", str(seed), *(["--control"] if control else [])]
    processes.start("sandbox", command(ready_file, *arguments), os.environ)
    return wait_until_ready(ready_file, processes.check)
