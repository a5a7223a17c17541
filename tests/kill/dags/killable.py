"""The operators as they are, in tasks that can be struck between any two of their steps.

Each task has a marker, and a plan under that name says where it is to be struck, in which try and how. A plan's strike
happens once. Nothing of this is in the package: the strikes sit around `execute`, the task state store and
the worker's transport, in the task's own process.
"""

import contextlib
import json
import os
import re
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    SyncMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.transport.sync import Transport

FOLDER = Path(os.environ.get("MEETINGS_KILL_FOLDER", "/nonexistent"))
LONGEST_HOLD = 60.0
# Longer than Airflow takes to miss the heartbeat and to try again.
ORPHAN_SLEEP = 25.0


class Struck(Exception):  # noqa: N818 - what a raise looks like to Airflow
    """The exception of a strike that raises."""


class _Striker:
    """Watches one try pass its points, and strikes where the plan says so; a set passes them in several threads."""

    def __init__(self, marker, ti):
        self._marker = marker
        self._try = ti.try_number
        self._counting = threading.Lock()
        path = FOLDER / "plans" / f"{marker}.json"
        self._plan = list(enumerate(json.loads(path.read_text()))) if path.exists() else []
        self._seen = {}
        if any((strike["at"], strike["kind"]) == ("send-during", "raise") for _, strike in self._plan):
            # As Airflow's own execution_timeout interrupts a task: in its main thread, whichever one sends.
            signal.signal(signal.SIGALRM, lambda *_: self._strike("raise"))

    def pass_by(self, point):
        """Say that the try is at a point."""
        strike = self._claim(point)
        if strike is not None:
            self._strike(strike["kind"])

    @contextlib.contextmanager
    def during_send(self):
        """Strike while the request is on its way: the sandbox holds its answer back for longer than that."""
        strike = self._claim("send-during")
        if strike is None:
            yield
        elif strike["kind"] == "raise":
            signal.setitimer(signal.ITIMER_REAL, strike["seconds"])
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        else:
            timer = threading.Timer(strike["seconds"], self._strike, [strike["kind"]])
            timer.start()
            yield
            timer.join()  # an answer that came too early must not disarm the strike

    def _claim(self, point):
        with self._counting:
            passed = self._seen[point] = self._seen.get(point, 0) + 1
        for number, strike in self._plan:
            if strike["at"] != point or strike["try"] > self._try or strike.get("nth", 1) > passed:
                continue
            note = json.dumps({"point": point, "kind": strike["kind"], "try": self._try, "pid": os.getpid()})
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(
                    FOLDER / "struck" / f"{self._marker}.{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY
                )
                os.write(descriptor, note.encode())
                os.fsync(descriptor)
                os.close(descriptor)
                return strike
        return None

    def _strike(self, kind):
        if kind in {"supervisor", "worker", "orphan"}:
            os.kill(os.getppid(), signal.SIGKILL)
        if kind in {"task", "worker"}:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "raise":
            raise Struck("struck, as planned")
        if kind == "orphan":
            time.sleep(ORPHAN_SLEEP)
        if kind == "hold":
            deadline = time.monotonic() + LONGEST_HOLD
            while not (FOLDER / f"{self._marker}.go").exists() and time.monotonic() < deadline:
                time.sleep(0.05)


class _Store:
    """The task state store, with a point before and after each write."""

    def __init__(self, store, striker):
        self._store = store
        self._striker = striker

    def get(self, *args, **kwargs):
        return self._store.get(*args, **kwargs)

    def set(self, *args, **kwargs):
        self._striker.pass_by("save-before")
        self._store.set(*args, **kwargs)
        self._striker.pass_by("save-after")


_send = Transport._send


def _watched(striker):
    def send(self, request, exchange):
        if request.method == "GET":
            striker.pass_by("read-before")
            answer = _send(self, request, exchange)
            striker.pass_by("read-after")
            return answer
        striker.pass_by("send-before")
        with striker.during_send():
            answer = _send(self, request, exchange)
        striker.pass_by("send-after")
        striker.pass_by(f"{_operation_of(request)}-after")
        return answer

    return send


def _operation_of(request):
    """Say what a write is; both vendors update with POST."""
    if request.method == "DELETE":
        return "delete"
    return "create" if request.path.endswith(("/meetings", "/meetings/v1")) else "update"


class _Killable:
    """Mixed into an operator: its tries pass the striker's points."""

    def execute(self, context, **sentinel):  # by which Airflow 2 knows that it is itself who calls
        return self._strikable(context, lambda ctx: super(_Killable, self).execute(ctx, **sentinel))

    def execute_after_wait(self, context, event=None, waits=0, **kept):
        resume = super().execute_after_wait
        return self._strikable(context, lambda ctx: resume(ctx, event, waits, **kept))

    def _strikable(self, context, execute):
        conf = context["dag_run"].conf or {}
        marker = conf.get("marker") or re.search(r"kill-\w{4}", json.dumps(self.meeting))[0]
        striker = _Striker(marker, context["ti"])
        if conf.get("changing"):  # as a payload with `now()` in it
            self.meeting = json.dumps(json.loads(self.meeting) | {"location": f"Room {context['ti'].try_number}"})
        store = context.get("task_state_store")  # there is none below Airflow 3.3
        if store is not None and conf.get("store", True):
            context["task_state_store"] = _Store(store, striker)
        elif store is not None:  # and here it is as if there were none
            del context["task_state_store"]
        Transport._send = _watched(striker)
        striker.pass_by("enter")
        result = execute(context)
        striker.pass_by("leave")
        return result


class Create(_Killable, CreateMeetingOperator):
    """A create that can be struck."""


class Update(_Killable, UpdateMeetingOperator):
    """An update that can be struck."""


class Delete(_Killable, DeleteMeetingOperator):
    """A delete that can be struck."""


class Sync(_Killable, SyncMeetingsOperator):
    """A set that can be struck."""


def _of_conf(name, *, as_json=False):
    return "{{ dag_run.conf[%r]%s }}" % (name, " | tojson" if as_json else "")  # noqa: UP031 - braces


COMMON = {
    "max_active_runs": 500,
    "max_active_tasks": 500,
    "default_args": {"retries": 3, "retry_delay": timedelta(seconds=1)},
}


@dag(schedule=None, **COMMON)
def kill_create():
    """One create, of what the run is asked for."""
    Create(task_id="task", meeting=_of_conf("meeting", as_json=True), meetings_conn_id=_of_conf("conn"))


@dag(schedule=None, **COMMON)
def kill_update():
    """One update, of what the run is asked for."""
    Update(
        task_id="task",
        meeting_id=_of_conf("meeting_id"),
        changes=_of_conf("changes", as_json=True),
        meetings_conn_id=_of_conf("conn"),
    )


@dag(schedule=None, **COMMON)
def kill_delete():
    """One delete, of what the run is asked for."""
    Delete(task_id="task", meeting_id=_of_conf("meeting_id"), meetings_conn_id=_of_conf("conn"))


@dag(schedule=None, **COMMON)
def kill_set():
    """One set, of what the run is asked for."""
    names = ("meetings", "match_on", "window_start", "window_end", "delete_missing")
    Sync(
        task_id="task",
        **{name: _of_conf(name, as_json=name in {"meetings", "match_on"}) for name in names},
        meetings_conn_id=_of_conf("conn"),
    )


@dag(schedule=None, **COMMON | {"default_args": {"retries": 12, "retry_delay": timedelta(seconds=3)}})
def kill_outage():
    """One create with patience enough for an API server that is away for a while."""
    Create(task_id="task", meeting=_of_conf("meeting", as_json=True), meetings_conn_id=_of_conf("conn"))


@dag(schedule=None, **COMMON)
def kill_mapped():
    """Many creates, one for each item of a list that may be another one after a clear."""

    @task
    def items():
        return json.loads((FOLDER / "items.json").read_text())

    Create.partial(task_id="task").expand_kwargs(items())


kill_create()
kill_update()
kill_delete()
kill_set()
kill_outage()
kill_mapped()
