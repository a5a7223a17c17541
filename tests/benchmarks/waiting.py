"""A crowd waiting in one triggerer: ours beside ``HttpSensorTrigger``, on a vendor that is well and on one that is not.

Each row is a process of its own: an event loop, so many waiters with a poke interval of 5 s, and the sandbox as the
vendor, with HiringCenter's published limits. The vendor is well, answers 400, answers 429, or is down for a minute and
then comes back. ``WAITERS`` (1,100,1000,5000) says how many wait. The rows with a thousand are those of the tables that
set the targets; the others are shorter, and on a vendor that is not well they leave the second question out, which
changes nothing there. ``FULL=1`` does everything at full length, in half an hour.
"""

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import airflow_home, print_table, verdict

FULL = os.environ.get("FULL", "0") != "0"
WAITERS = [int(number) for number in os.environ.get("WAITERS", "1,100,1000,5000").split(",")]
POKE = 5.0
DAY = 86_400_000
NOON = 1_770_026_400_000
WINDOWS = 20
WEEK_PAGES = 7
KINDS = ("HttpSensorTrigger", "MeetingsTrigger, windows", "MeetingsTrigger, prospects")
STATES = {
    "healthy": "The vendor is well",
    "400": "The vendor answers 400",
    "429": "The vendor answers 429, Retry-After: 5",
    "down": "The vendor is down for a minute, and then well",
}
#: How long it is down, in seconds.
DOWN = 60.0
HEADLINE = 1000


def seconds_of(state: str, count: int) -> float:
    """Return how long a row lasts, in seconds."""
    if state == "down":
        return DOWN + 15
    if FULL or (state == "healthy" and count == HEADLINE):
        return 20.0
    return 10.0 if state == "healthy" else 8.0


def rows_of(state: str) -> list[tuple[int, str]]:
    """Return the rows of a state's table: how many wait, and who."""
    rows = []
    for count in WAITERS:
        for kind in KINDS:
            headline = count == HEADLINE and (state != "down" or kind != KINDS[2])
            if FULL or headline or (state != "down" and (state == "healthy" or kind != KINDS[2])):
                rows.append((count, kind))
    return rows


def sandbox(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start the vendor, with a week of seven pages of meetings."""
    import requests  # noqa: PLC0415

    ready = folder / "ready.json"
    command = [sys.executable, "-m", "airflow_provider_meetings.sandbox", "--port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen([*command, "--control", "--meetings", "0"], stdout=subprocess.DEVNULL)
    while not ready.exists():
        if process.poll() is not None:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.05)
    facts = json.loads(ready.read_text())
    rows = [{"meetingDate": NOON + number * 7 * DAY // 1390, "prospectId": f"{number:032x}"} for number in range(1390)]
    edit = {"vendor": "hiringcenter", "op": "insert", "meetings": rows}
    requests.post(facts["control"] + "/meetings", json=edit, timeout=30).raise_for_status()
    return process, facts


def prepare(control: str, state: str) -> None:
    """Put the vendor into a state, with nothing in its journal."""
    import requests  # noqa: PLC0415

    requests.delete(control + "/faults", timeout=30)
    requests.delete(control + "/journal", timeout=30)
    requests.post(control + "/ratelimits/reset", timeout=30)
    rules: dict[str, dict[str, Any]] = {
        "400": {"action": "status", "status": 400, "html": False},
        "429": {"action": "ratelimit", "retry_after": 5},
        "down": {"action": "reset"},
    }
    if state in rules:
        rule = {"match": {"vendor": "hiringcenter"}, "times": None, **rules[state]}
        requests.post(control + "/faults", json=rule, timeout=30).raise_for_status()


def trigger(kind: str, number: int) -> Any:
    """Make a waiter; none of them ever gets what it waits for."""
    if kind == "HttpSensorTrigger":
        from airflow.providers.http.triggers.http import HttpSensorTrigger  # noqa: PLC0415

        # It fires on any 2xx, whatever the answer holds: only an error status keeps it waiting.
        return HttpSensorTrigger(
            http_conn_id="bench_http",
            endpoint="v2/nothing-yet" if os.environ["BENCH_STATE"] == "healthy" else "v2/meetings",
            method="GET",
            headers=json.loads(os.environ["BENCH_HEADERS"]),
            poke_interval=POKE,
        )
    from airflow_provider_meetings.triggers.meetings import MeetingsTrigger  # noqa: PLC0415

    if kind == "MeetingsTrigger, prospects":
        question: dict[str, Any] = {
            "window_start": NOON,
            "window_end": NOON + 7 * DAY,
            "filters": {"prospectId": f"{number + 10**6:032x}"},
        }
    else:
        start = NOON + number % WINDOWS * DAY // 4
        question = {"window_start": start, "window_end": start + DAY // 4, "min_count": 10**6}
    return MeetingsTrigger(meetings_conn_id="bench_hc", poke_interval=POKE, **question)


async def first(waiter: Any) -> Any:
    """Run a trigger to its first event."""
    async for event in waiter.run():
        return event
    return None


class Lag:
    """The longest time that the event loop did not come round, and the most work that it did meanwhile.

    The first is what others on the loop feel, and on a busy machine also what other processes took. The second is CPU
    time of this thread: it holds on any machine. Not in it, but told beside it, is Python's full garbage collection:
    how long one takes follows from all that the process has loaded, of which Airflow is by far the most.
    """

    def __init__(self) -> None:
        self.worst = self.work = self.collection = 0.0
        self._collected = self._began = 0.0
        gc.callbacks.append(self._collect)

    def _collect(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self._collected += took
            self.collection = max(self.collection, took)

    async def watch(self) -> None:
        """Look every ten milliseconds."""
        while True:
            before, used, collected = time.perf_counter(), time.thread_time(), self._collected
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.perf_counter() - before - 0.01)
            self.work = max(self.work, time.thread_time() - used - (self._collected - collected))


async def measure(kind: str, count: int, seconds: float) -> dict[str, float]:
    """Let them wait so long, and measure."""
    from airflow.providers.common.compat.sdk import BaseHook  # noqa: PLC0415

    # A triggerer has long imported what looks connections up, and what its first waiter had it import in a thread.
    BaseHook.get_connection("bench_hc")
    import airflow_provider_meetings.polling.registry  # noqa: F401, PLC0415

    waiters = [trigger(kind, number) for number in range(count)]
    lag = Lag()
    watcher = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.2)
    idle, lag.worst, lag.work, lag.collection = lag.worst, 0.0, 0.0, 0.0
    cpu = time.process_time()
    tasks, begun = [], time.monotonic()
    for number, waiter in enumerate(waiters):
        tasks.append(asyncio.create_task(first(waiter)))
        if not number % 25:
            await asyncio.sleep(0)  # a triggerer does not start them all in one turn of the loop, either
    await asyncio.wait(tasks, timeout=max(0.0, begun + seconds - time.monotonic()))
    cpu = time.process_time() - cpu
    result = {
        "cpu": cpu,
        "lag": lag.worst,
        "work": lag.work,
        "collection": lag.collection,
        "idle": idle,
        "over": sum(task.done() for task in tasks),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for task in [watcher, *tasks]:
        task.cancel()
    await asyncio.gather(watcher, *tasks, return_exceptions=True)
    return result


def row(kind: str, count: int, state: str, facts: dict[str, Any]) -> dict[str, float]:
    """Measure in a process of its own."""
    import requests  # noqa: PLC0415

    prepare(facts["control"], state)
    api = facts["hiringcenter"]
    env = os.environ | {
        "BENCH_HOST": api["host"],
        "BENCH_KEY": api["api_key"],
        "BENCH_HEADERS": json.dumps({"Authorization": f"Bearer {api['api_key']}"}),
        "BENCH_STATE": state,
    }
    seconds = seconds_of(state, count)
    command = [sys.executable, __file__, "--measure", kind, str(count), str(seconds)]
    back = None
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it begins now
        if state == "down":
            time.sleep(DOWN)
            requests.delete(facts["control"] + "/faults", timeout=30)
            back = time.time() * 1000
        output = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{kind} on a vendor that is {state} could not be measured")
    result: dict[str, float] = json.loads(output.decode().splitlines()[-1])
    journal = requests.get(facts["control"] + "/journal", timeout=60).json()
    result["requests"] = len(journal)
    result["seconds"] = seconds
    # In the rows that are refused by the server itself, its limits show: more than 500 a minute are 429.
    result["refused"] = sum(entry["sent"] == 429 for entry in journal)
    each_second = Counter(entry["at"] // 1000 for entry in journal if back is None or entry["at"] >= back)
    result["peak"] = max(each_second.values(), default=0)
    return result


def main() -> None:
    """Print the tables."""
    counts = ("number", "requests", "a minute", "429s", "peak/s")
    head = ("waiter", *counts, "CPU", "ratio", "worst lag", "of it work", "GC", "idle", "memory", "ended")
    with tempfile.TemporaryDirectory(prefix="bench-waiting-") as name:
        process, facts = sandbox(Path(name))
        try:
            for state, words in STATES.items():
                lines, bases = [], dict[int, dict[str, float]]()
                for count, kind in rows_of(state):
                    found = row(kind, count, state, facts)
                    base = bases.setdefault(count, found)
                    lines.append(_line(kind, count, state, found, base))
                long = seconds_of(state, HEADLINE)
                peak = "; the peak is that of its return" if state == "down" else ""
                title = f"{words}; poke every {POKE:g} s, {long:g} s with {HEADLINE:,} waiters{peak}"
                if lines:
                    print_table(title, (*head, "target"), lines)
        finally:
            process.terminate()
            process.wait(20)


def _line(kind: str, count: int, state: str, found: dict[str, float], base: dict[str, float]) -> tuple[str, ...]:
    target = verdict(found["work"], 0.05, "lag 50 ms") if kind.startswith("Meetings") else ""
    if state == "healthy" and count == 1000 and kind.startswith("Meetings"):
        rounds = found["seconds"] / POKE
        allowed = WINDOWS if kind.endswith("windows") else WEEK_PAGES + 1
        cpu = 0.6 if kind.endswith("windows") else 1.0
        target = "; ".join(
            [
                target,
                verdict(found["requests"] / rounds, allowed, f"{allowed} requests a round"),
                verdict(found["cpu"] / base["cpu"], cpu / 5.5, f"CPU {cpu / 5.5:.2f}"),
            ]
        )
    return (
        kind,
        f"{count:,}",
        f"{found['requests']:,.0f}",
        f"{found['requests'] * 60 / found['seconds']:,.0f}",
        f"{found['refused']:,.0f}",
        f"{found['peak']:,.0f}",
        f"{found['cpu']:.2f} s",
        f"{found['cpu'] / base['cpu']:.2f}",
        f"{found['lag'] * 1000:.0f} ms",
        f"{found['work'] * 1000:.0f} ms",
        f"{found['collection'] * 1000:.0f} ms",
        f"{found['idle'] * 1000:.0f} ms",
        f"{found['memory']:.0f} MB",
        f"{found['over']:,.0f}",
        target,
    )


def _measure(kind: str, count: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
        host, key = os.environ["BENCH_HOST"], os.environ["BENCH_KEY"]
        airflow_home(
            Path(home),
            bench_hc=json.dumps({"conn_type": "hiringcenter", "host": host, "password": key}),
            bench_http=json.dumps({"conn_type": "http", "host": host.removesuffix("/v2")}),
        )
        print("begun", flush=True)
        result = asyncio.run(measure(kind, count, seconds))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        _measure(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
