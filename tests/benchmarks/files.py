"""What a list of 1,000,000 meetings takes when it is written to a file: memory that does not grow with the list.

The server makes the pages up, in a process of its own (that of the memory benchmark). Each format is written in two
fresh processes, by `ListMeetingsOperator` itself: a tenth of the list, and all of it. The difference of their peaks is
what the longer list has added.
"""

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from bench import airflow_home, in_a_fresh_process, print_table, serving, verdict
from memory import KEY, MEETINGS, peak_of_this_process, window

FORMATS = ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet")
SMALL = MEETINGS // 10
SLACK = 32.0  # MB: a row group of Parquet, and what an allocator keeps


def write(destination: str, total: int) -> None:
    """Write one list, as a process of its own, and print what came of it."""
    from airflow_provider_meetings.operators.meetings import ListMeetingsOperator  # noqa: PLC0415

    start, end = window()
    operator = ListMeetingsOperator(
        task_id="export",
        window_start=start,
        window_end=end,
        destination=destination,
        meetings_conn_id="hiringcenter_default",
    )
    begin = perf_counter()
    result = operator.execute({})
    seconds = perf_counter() - begin
    if result != {"path": destination, "count": total}:
        raise SystemExit(f"{result} is not {total:,} meetings")
    print(json.dumps([peak_of_this_process(), seconds]))


def run(suffix: str, url: str, total: int, folder: Path) -> tuple[float, float, float]:
    """Write a format in a fresh process; return its peak and the file's size in MB, and its seconds."""
    host = f"{url}/{total}"
    airflow_home(folder, hiringcenter_default=json.dumps({"conn_type": "hiringcenter", "host": host, "password": KEY}))
    file = folder / f"meetings.{suffix}"
    peak, seconds = in_a_fresh_process(__file__, "write", file, total)
    size = file.stat().st_size / 2**20
    file.unlink()
    return peak / 1024, size, seconds


def main() -> None:
    """Print the table."""
    lines = []
    with serving("memory.py") as url, tempfile.TemporaryDirectory(prefix="bench-files-") as name:
        for suffix in FORMATS:
            small, *_ = run(suffix, url, SMALL, Path(name))
            large, size, seconds = run(suffix, url, MEETINGS, Path(name))
            lines.append(
                (
                    f".{suffix}",
                    f"{small:.0f} MB",
                    f"{large:.0f} MB",
                    f"{large - small:+.1f} MB",
                    f"{size:.0f} MB",
                    f"{seconds:.1f} s",
                    f"{MEETINGS / seconds:,.0f}",
                    verdict(large - small, SLACK, f"{SLACK:.0f} MB"),
                )
            )
    print_table(
        f"A list as a file, {MEETINGS:,} meetings over {SMALL:,}: peak memory of the task's process",
        ("format", f"{SMALL:,}", f"{MEETINGS:,}", "added", "file", "took", "meetings/s", "target"),
        lines,
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, number]:
            write(path, int(number))
        case _:
            main()
