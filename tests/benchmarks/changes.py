"""What changes among 100,000 meetings take: peak memory and time of the process of `ListMeetingChangesOperator`.

The server makes the pages up, in a process of its own (that of the memory benchmark). The first run tells every
meeting, the second one nothing, each in a fresh process.
"""

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from bench import airflow_home, in_a_fresh_process, print_table, serving, verdict
from memory import KEY, peak_of_this_process, window

KNOWN = 100_000
LIMIT = 300.0  # MB, Airflow included


def look(folder: str, expected: int) -> None:
    """Make one run, as a process of its own, and print what came of it."""
    from airflow_provider_meetings.operators.meetings import ListMeetingChangesOperator  # noqa: PLC0415

    start, end = window()
    operator = ListMeetingChangesOperator(
        task_id="changes",
        window_start=start,
        window_end=end,
        snapshot=f"file://{folder}/snapshot",
        destination=f"file://{folder}/events.jsonl",
        meetings_conn_id="hiringcenter_default",
    )
    begin = perf_counter()
    result = operator.execute({})
    seconds = perf_counter() - begin
    if result["count"] != expected:
        raise SystemExit(f"{result} is not {expected:,} events")
    print(json.dumps([peak_of_this_process(), seconds]))


def main() -> None:
    """Print the table."""
    lines = []
    with serving("memory.py") as url, tempfile.TemporaryDirectory(prefix="bench-changes-") as name:
        host = f"{url}/{KNOWN}"
        conn = json.dumps({"conn_type": "hiringcenter", "host": host, "password": KEY})
        airflow_home(Path(name), hiringcenter_default=conn)
        for run, expected in (("the first, all told", KNOWN), ("the next, nothing changed", 0)):
            peak, seconds = in_a_fresh_process(__file__, "look", name, expected)
            peak /= 1024
            lines.append((run, f"{peak:.0f} MB", f"{seconds:.1f} s", verdict(peak, LIMIT, f"{LIMIT:.0f} MB")))
    print_table(f"Changes among {KNOWN:,} meetings", ("run", "peak", "took", "target"), lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["look", folder, number]:
            look(folder, int(number))
        case _:
            main()
