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

from bench import Row, airflow_home, print_table, verdict

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
LATE = ("requests", "aiohttp", "airflow_provider_meetings.vendors", "airflow_provider_meetings.core.times")


def measure(module: str) -> tuple[float, float, list[str]]:
    """Import the module in a fork; return the milliseconds, those of CPU, and which of the late modules came along."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        before = set(sys.modules)
        start, cpu = time.perf_counter(), time.process_time()
        try:
            __import__(module)
            error = ""
        except Exception as failure:  # noqa: BLE001 - the parent shall hear of any
            error = repr(failure)
        spent, cpu = (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000
        early = [name for name in LATE if name in sys.modules and name not in before]
        os.write(writing, json.dumps([spent, cpu, early, error]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        spent, cpu, early, error = json.loads(pipe.read())
    os.waitpid(child, 0)
    if error:
        raise SystemExit(f"{module} cannot be imported: {error}")
    return spent, cpu, early


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
        airflow_home(Path(home))
        start = time.perf_counter()
        import airflow.sdk  # noqa: F401, PLC0415

        bare = (time.perf_counter() - start) * 1000
        rows = {module: Row(module) for module in (*PEERS, *OURS)}
        loaded: dict[str, list[str]] = {}
        for turn in range(-1, ROUNDS):
            for module, row in rows.items():
                wall, cpu, loaded[module] = measure(module)
                if turn >= 0:
                    row.wall.append(wall)
                    row.cpu.append(cpu)
        lines = []
        for module, row in rows.items():
            # The target is for a machine at rest, and there an import is all CPU.
            cpu = statistics.median(row.cpu)
            target = verdict(cpu, TARGET, f"{TARGET:.0f} ms of CPU") if module in OURS else ""
            lines.append(
                (module, f"{statistics.median(row.wall):.1f} ms", f"{cpu:.1f} ms", ", ".join(loaded[module]), target)
            )
        print_table(
            f"Import over a bare `import airflow.sdk` ({bare:.0f} ms in this run); medians of {ROUNDS} fresh imports",
            ("module", "wall", "CPU", "loads early", "target"),
            lines,
        )


if __name__ == "__main__":
    main()
