"""The sandbox as a process: started on a free port, ready when its ready file says so."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from demo.processes import Processes

_START_SECONDS = 60


def start_sandbox(processes: Processes, folder: Path, *, control: bool = False, seed: int = 1) -> dict[str, Any]:
    """Starts the sandbox and returns its ready file: addresses, keys and connections."""
    ready_file = folder / "sandbox.json"
    command = [sys.executable, "-m", "airflow_provider_meetings.sandbox", "--host", "127.0.0.1", "--port", "0"]
    command += ["--db", str(folder / "sandbox.db"), "--seed", str(seed), "--ready-file", str(ready_file)]
    if control:
        command.append("--control")
    processes.start("sandbox", command, os.environ)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        processes.check()
        try:
            ready: dict[str, Any] = json.loads(ready_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The sandbox was not ready after {_START_SECONDS} s.") from None
            time.sleep(0.1)
        else:
            return ready
