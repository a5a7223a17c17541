"""What a DAG file pays for importing ours, over a bare `import airflow.sdk`, beside the official providers.

Every measurement starts from the same state: one interpreter imports `airflow.sdk`, a fork of it imports one module.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import airflow_home, print_table, verdict

ROUNDS = int(os.environ.get("ROUNDS", "15"))
TARGET = 20.0
PEERS = (
    "airflow.providers.http.operators.http",
    "airflow.providers.standard.sensors.date_time",
    "airflow.providers.standard.sensors.filesystem",
    "airflow.providers.standard.sensors.python",
)
OURS = ("airflow_provider_meetings.operators.meetings", "airflow_provider_meetings.sensors.meetings")
# What must load when a task runs, not when a DAG file is parsed.
LATE = ("requests", "aiohttp", "airflow_provider_meetings.vendors", "airflow_provider_meetings.moments")


def measure(module: str) -> tuple[float, list[str]]:
    """Import the module in a fork; return the milliseconds and which of the late modules came along."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        before = set(sys.modules)
        start = time.perf_counter()
        try:
            __import__(module)
            error = ""
        except Exception as failure:  # noqa: BLE001 - the parent shall hear of any
            error = repr(failure)
        spent = (time.perf_counter() - start) * 1000
        early = [name for name in LATE if name in sys.modules and name not in before]
        os.write(writing, json.dumps([spent, early, error]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        spent, early, error = json.loads(pipe.read())
    os.waitpid(child, 0)
    if error:
        raise SystemExit(f"{module} cannot be imported: {error}")
    return spent, early


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
        airflow_home(Path(home))
        start = time.perf_counter()
        import airflow.sdk  # noqa: F401, PLC0415

        bare = (time.perf_counter() - start) * 1000
        times: dict[str, list[float]] = {module: [] for module in (*PEERS, *OURS)}
        loaded: dict[str, list[str]] = {}
        for turn in range(-1, ROUNDS):
            for module, spent in times.items():
                milliseconds, loaded[module] = measure(module)
                if turn >= 0:
                    spent.append(milliseconds)
        lines = []
        for module, spent in times.items():
            median = statistics.median(spent)
            target = verdict(median, TARGET, f"{TARGET:.0f} ms") if module in OURS else ""
            lines.append((module, f"{median:.1f} ms", f"{min(spent):.1f} ms", ", ".join(loaded[module]), target))
        print_table(
            f"Import over a bare `import airflow.sdk` ({bare:.0f} ms in this run); medians of {ROUNDS} fresh imports",
            ("module", "median", "best", "loads early", "target"),
            lines,
        )


if __name__ == "__main__":
    main()
