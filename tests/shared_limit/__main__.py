"""64 processes with one API key, for more than a minute, over a real Redis: none is told that it asked too much.

    python -m tests.shared_limit [seconds]

The sandbox allows HiringCenter's 500 requests in any minute. The processes ask as fast as they can, first without a
Redis, where they learn of the limit by 429, then with one.
"""

import contextlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import limits.storage
import redis
import requests
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_meetings.exceptions import MeetingsRateLimitError
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from demo.processes import Processes
from demo.redis import start_redis
from demo.sandbox import start_sandbox

#: What each process needs, loaded once before they are forked, as a Celery worker's processes are.
PRELOADED = (limits.storage.RedisStorage, redis.Redis, HiringCenterHook)
PROCESSES = 64
LIMIT = 500
NOON = 1_770_026_400_000
HOUR = 3_600_000


def ask(connection: str, until: float) -> None:
    """List an hour, again and again."""
    conn = Connection(conn_id="meetings", **json.loads(connection))
    hook = HiringCenterHook("meetings", connection=conn)
    while time.monotonic() < until:
        with contextlib.suppress(MeetingsRateLimitError):
            list(hook.list_meetings(NOON, NOON + HOUR))


def crowd(control: str, connection: dict[str, Any], seconds: float, **extra: Any) -> list[dict[str, Any]]:
    """Let them ask for so long; return the vendor's record of the requests."""
    requests.delete(f"{control}/journal", timeout=30).raise_for_status()
    requests.post(f"{control}/ratelimits/reset", timeout=30).raise_for_status()
    fork = multiprocessing.get_context("fork")
    text = json.dumps(connection | {"extra": json.dumps(extra)})
    until = time.monotonic() + seconds
    running = [fork.Process(target=ask, args=(text, until)) for _ in range(PROCESSES)]
    for process in running:
        process.start()
    for process in running:
        process.join(max(0.0, until + 1 - time.monotonic()))  # one that waits for its turn waits longer than we do
    for process in running:
        process.kill()
        process.join()
    journal: list[dict[str, Any]] = requests.get(f"{control}/journal", timeout=60).json()
    return journal


def most_in_a_minute(journal: list[dict[str, Any]]) -> int:
    """Return the largest number of requests in any minute."""
    moments, first, most = sorted(entry["at"] for entry in journal), 0, 0
    for place, moment in enumerate(moments):
        while moment - moments[first] >= 60_000:
            first += 1
        most = max(most, place - first + 1)
    return most


def main() -> int:
    """Run both, print what came of it, and return 0 where the limit was kept."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 75.0
    with tempfile.TemporaryDirectory(prefix="meetings-shared-limit-") as folder:
        return try_in(Path(folder), seconds)


def try_in(folder: Path, seconds: float) -> int:
    """Run both with a sandbox and a Redis of their own, which keep their files in the folder."""
    with Processes(folder) as processes:
        ready = start_sandbox(processes, folder, control=True)
        url = start_redis(processes, folder)
        connection = {
            "conn_type": "hiringcenter",
            "host": ready["hiringcenter"]["host"],
            "password": ready["hiringcenter"]["api_key"],
        }
        each_alone = crowd(ready["control"], connection, min(10.0, seconds), max_wait=0, max_attempts=1)
        together = crowd(ready["control"], connection, seconds, max_wait=10 * seconds, rate_limit_redis_dsn=url)
    refused = [sum(entry["sent"] == 429 for entry in journal) for journal in (each_alone, together)]
    print(f"{PROCESSES} processes, without a Redis: {len(each_alone)} requests, {refused[0]} of them answered 429")
    print(f"with one, for {seconds:.0f} s: {len(together)} requests, {refused[1]} of them answered 429,")
    print(f"at most {most_in_a_minute(together)} in any minute")
    kept = refused[0] > 0 and refused[1] == 0 and LIMIT <= len(together) and most_in_a_minute(together) <= LIMIT
    if set(Counter(entry["sent"] for entry in together)) - {200, 429}:
        print("and others were not answered at all", file=sys.stderr)
        kept = False
    print("kept" if kept else "NOT KEPT")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
