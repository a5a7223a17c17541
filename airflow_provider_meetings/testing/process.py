"""The sandbox as a child process: started on a free port, ready when it says so, gone when its parent is."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["SandboxProcess", "command", "wait_until_ready"]

_MODULE = "airflow_provider_meetings.sandbox"
_EXTRA = ("fastapi", "uvicorn", "faker")
_START_SECONDS = 180.0
_STOP_SECONDS = 60.0


def command(ready_file: Path, *arguments: str) -> list[str]:
    """Return the command that runs the sandbox on a free port and writes its facts into a file.

    Raises:
        RuntimeError: The extra ``sandbox`` is not installed.
    """
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"The sandbox needs {', '.join(missing)}: pip install 'airflow-provider-meetings[sandbox]'")
    return [sys.executable, "-m", _MODULE, "--port", "0", "--ready-file", str(ready_file), *arguments]


def wait_until_ready(ready_file: Path, check: Callable[[], object]) -> dict[str, Any]:
    """Return the facts of a sandbox that was just started: addresses, keys and connections.

    Args:
        ready_file: Where it writes them once it listens.
        check: Called again and again meanwhile; it raises when the process has ended.

    Raises:
        TimeoutError: It is not ready after three minutes.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not ready_file.exists():  # it is written in one step
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"The sandbox was not ready after {_START_SECONDS:.0f} s.")
        time.sleep(0.02)
    facts: dict[str, Any] = json.loads(ready_file.read_text())
    return facts


class SandboxProcess:
    """A running sandbox.

    It ends when it is stopped, and also when this process ends without having done so.

    Args:
        folder: Where it keeps its ready file, its output and, unless ``--db`` says otherwise, nothing else.
        arguments: For its command line; ``python -m airflow_provider_meetings.sandbox --help`` lists them.

    Raises:
        RuntimeError: It did not start, or the extra ``sandbox`` is not installed.
        TimeoutError: It was not ready after three minutes.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        ready_file, self.output = folder / "ready.json", folder / "output.txt"
        with self.output.open("w") as output:
            # --watch-stdin: the pipe ends with this process, even with one that is killed
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command(ready_file, "--watch-stdin", *arguments),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.facts = wait_until_ready(ready_file, self._check)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it with a signal and return its exit status, negative where the signal ended it; twice does no harm."""
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(
                f"The sandbox ended with status {self._process.returncode}:\n{self.output.read_text(errors='replace')}"
            )
