"""What is killed in the run on Celery has to be gone, with the tasks that it ran."""

import os
import sys
import time
from pathlib import Path

from demo.processes import ProcessDiedError, Processes

# As a Celery worker: the task is in a group of its own, inside the worker's session.
_WORKER = """
import os, time
if os.fork() == 0:
    os.setpgid(0, 0)
    open("task", "w").write(str(os.getpid()))
time.sleep(600)
"""


def test_a_killed_worker_takes_its_tasks_along(tmp_path):
    """The tasks of a worker are counted by their groups, die with it, and it is not missed afterwards."""
    processes = Processes(tmp_path)
    try:
        processes.start("worker", [sys.executable, "-c", _WORKER], os.environ)
        while not (tmp_path / "task").exists() or not (task := (tmp_path / "task").read_text()):
            processes.check()
            time.sleep(0.01)
        assert 1 == processes.groups_made("worker")
        killed = processes.kill("worker")
        assert int(task) in killed
        assert 2 == len(killed)
        assert not any(_runs(pid) for pid in killed)
        processes.check()
    finally:
        processes.stop()


def test_a_worker_that_nobody_killed_is_missed(tmp_path):
    """A process that ends by itself is an error that shows the end of its log."""
    processes = Processes(tmp_path)
    try:
        processes.start("worker", [sys.executable, "-c", "print('out of memory')"], os.environ)
        message = ""
        while not message:
            try:
                processes.check()
            except ProcessDiedError as error:
                message = str(error)
            time.sleep(0.01)
        assert "worker ended with status 0" in message
        assert "out of memory" in message
    finally:
        processes.stop()


def _runs(pid):
    """Whether a process is more than a zombie."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
