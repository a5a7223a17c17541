"""What is killed in the run on Celery has to be gone, with the tasks that it ran; and what a harness leaves behind."""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from demo.harness import Harness
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
    """The tasks of a worker die with it, in groups of their own as they are, and it is not missed afterwards."""
    with Processes(tmp_path) as processes:
        task = _start_worker(processes, tmp_path)
        killed = processes.kill("worker")
        assert task in killed
        assert 2 == len(killed)
        assert not any(_runs(pid) for pid in killed)
        processes.check()


def test_a_frozen_worker_stands_still_with_its_tasks_until_it_is_thawed(tmp_path):
    """Who is to be killed is frozen first, so that what is known of its tasks stays true; thawed, all go on."""
    with Processes(tmp_path) as processes:
        task = _start_worker(processes, tmp_path)
        frozen = processes.freeze("worker")
        assert task in frozen
        _wait_for_states(frozen, {"T"})
        processes.check()
        processes.thaw("worker")
        _wait_for_states(frozen, {"S", "R"})
        assert sorted(frozen) == sorted(processes.kill("worker"))


def test_a_worker_that_nobody_killed_is_missed(tmp_path):
    """A process that ends by itself is an error that shows the end of its log."""
    with Processes(tmp_path) as processes:
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


@pytest.mark.parametrize("keeps_folder", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_a_harness_stops_its_processes_and_keeps_the_logs_of_a_failure(fails, keeps_folder):
    """Whatever happens in it, nothing of it runs afterwards; its folder stays where something failed, or on demand."""
    with contextlib.suppress(RuntimeError), Harness("test", keeps_folder=keeps_folder) as harness:
        task = _start_worker(harness.processes, harness.folder)
        harness.succeeded = True
        if fails:
            raise RuntimeError("it failed")
    assert not _runs(task)
    assert harness.folder.exists() == (fails or keeps_folder)
    shutil.rmtree(harness.folder, ignore_errors=True)


def test_what_does_not_come_is_not_waited_for_without_end(tmp_path):
    """Waiting ends with what was waited for."""
    with pytest.raises(TimeoutError, match=r"^Not so after 0 s: it is green$"):
        Processes(tmp_path).wait("it is green", lambda: False, 0)


def _start_worker(processes, folder):
    """Starts the worker and returns its task's process."""
    processes.start("worker", [sys.executable, "-c", _WORKER], os.environ)
    file = folder / "task"
    while not file.exists() or not (task := file.read_text()):
        processes.check()
        time.sleep(0.01)
    return int(task)


def _wait_for_states(pids, states):
    """Returns when each of the processes is in one of the states."""
    while not {_state(pid) for pid in pids} <= states:
        time.sleep(0.01)


def _runs(pid):
    """Whether a process is more than a zombie."""
    return _state(pid) not in ("", "Z")


def _state(pid):
    """A process's state as the kernel has it; empty: there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.read_text().rpartition(")")[2].split()[0] if stat.exists() else ""
