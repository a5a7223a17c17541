"""Child processes with a log file each, stopped by the process groups that they lead."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

_GRACE_SECONDS = 20
_RECORD = "processes.json"
_KERNELS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT, _USUAL_FIRST = 12_000, 32_768


class ProcessDiedError(RuntimeError):
    """A process ended that should have gone on; the message has the end of its log."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that the kernel will not hand out meanwhile.

    Whoever is to listen on it may take a while to do so: until then a port from the kernel's own range could go to any
    connection that anybody opens.
    """
    while True:
        port = random.randrange(_FIRST_PORT, _first_of_the_kernels())  # noqa: S311 - no secret
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _first_of_the_kernels() -> int:
    """Where the ports begin that the kernel hands out by itself; the usual value where that is unknown, or too low."""
    with contextlib.suppress(OSError, ValueError):
        first = int(_KERNELS_PORTS.read_text().split()[0])
        if first > _FIRST_PORT + 1000:
            return first
    return _USUAL_FIRST


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a text file."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class Processes:
    """Starts processes in groups of their own and stops every one of them, whatever happens in between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts a command that writes to `<name>.log` in the folder."""
        with self.log_path(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                env=dict(env),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its pid is its group's id; Ctrl-C in the terminal does not reach it
            )
        groups = {key: process.pid for key, process in self._running.items()}
        (self._folder / _RECORD).write_text(json.dumps(groups))

    def log_path(self, name: str) -> Path:
        """Where the named process writes its output."""
        return self._folder / f"{name}.log"

    def check(self) -> None:
        """Raises when one of the processes has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProcessDiedError(
                    f"{name} ended with status {process.returncode}.\n"
                    f"The end of {self.log_path(name)}:\n{tail(self.log_path(name))}"
                )

    def wait(self, what: str, condition: Callable[[], T], seconds: float, *, every: float = 0.5) -> T:
        """Returns what a condition returns when it holds.

        Raises:
            ProcessDiedError: One of the processes has ended.
            TimeoutError: It does not hold after so many seconds; the message says what was waited for.
        """
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not so after {seconds:.0f} s: {what}")
            time.sleep(every)
        return found

    def freeze(self, name: str) -> list[int]:
        """Stops one of them in its tracks, with all its descendants; returns who is there, by pid."""
        return self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Lets one that was frozen go on."""
        self._signal(name, signal.SIGCONT)

    def kill(self, name: str) -> list[int]:
        """Ends one of them with all its descendants by SIGKILL, as a power cut would; returns who was there, by pid."""
        members = self._signal(name, signal.SIGKILL)
        process = self._running.pop(name)
        process.wait()
        stop_groups([process.pid])
        return members

    def _signal(self, name: str, number: signal.Signals) -> list[int]:
        groups = _groups([self._running[name].pid])
        members = [pid for pid, pgid, _, state in _process_table() if pgid in groups and state != "Z"]
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        return members

    def stop(self) -> None:
        """Stops all of them with their descendants: asks first, then insists."""
        children = list(self._running.values())
        # Whoever asks whether a process is gone must first collect what its parent, this process, is told about it.
        stop_groups([child.pid for child in children], collect=lambda: [child.poll() for child in children])
        self._running.clear()
        (self._folder / _RECORD).unlink(missing_ok=True)


def stop_groups(leaders: Sequence[int], collect: Callable[[], object] = lambda: None) -> None:
    """Ends process groups, with the groups that their descendants made since, and returns when they are gone."""
    for number, grace in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _GRACE_SECONDS)):
        for group in _groups(leaders):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            collect()
            if not any(_alive(group) for group in _groups(leaders)):
                return
            time.sleep(0.1)


def stop_recorded(folder: Path) -> int:
    """Stops the processes that a run which kept them recorded in its folder, then removes the folder."""
    record = folder / _RECORD
    if not record.exists():
        print(f"Nothing is recorded as running in {folder}.", file=sys.stderr)
        return 1
    stop_groups(list(json.loads(record.read_text()).values()))
    shutil.rmtree(folder)
    print(f"Stopped, and removed {folder}.")
    return 0


def _alive(group: int) -> bool:
    """Whether a group has a member that is more than a zombie waiting for its parent."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = [state for _, pgid, _, state in _process_table() if pgid == group]
    return not states or any(state != "Z" for state in states)


def _groups(leaders: Sequence[int]) -> list[int]:
    """The leaders' own groups, and the groups that their descendants made inside the same sessions."""
    made = {pgid for _, pgid, session, _ in _process_table() if session in leaders}
    return [*leaders, *sorted(made.difference(leaders))]


def _process_table() -> list[tuple[int, int, int, str]]:
    """Every process as (pid, group, session, state); empty where there is no /proc."""
    table = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _, pgid, sid = stat.read_text().rpartition(")")[2].split()[:4]
            table.append((int(stat.parent.name), int(pgid), int(sid), state))
    return table
