"""What the benchmarks share: interleaved repetitions, medians, a table, and a static nginx on loopback."""

import contextlib
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from demo.debian import programs
from demo.processes import free_port


@dataclass
class Row:
    """One line of a table: what ran, its figures in milliseconds, and what it must reach."""

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    base: "Row | None" = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return the median of the ratios to the base in wall time, each taken within one round."""
        if self.base is None:
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(self.wall, self.base.wall, strict=True))

    @property
    def cpu_ratio(self) -> float | None:
        """Return the same for CPU time, which holds on a busy machine, too."""
        if self.base is None:
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(self.cpu, self.base.cpu, strict=True))

    @property
    def verdict(self) -> str:
        """Return whether the target is reached, or nothing where there is none."""
        if self.target is None or self.ratio is None:
            return ""
        return verdict(self.ratio, self.target, f"{self.target:.2f} of {self.base.name if self.base else ''}")


def verdict(figure: float, target: float, text: str) -> str:
    """Return the words for a figure and the target that it must not exceed."""
    return f"{'pass' if figure <= target else 'MISS'} (≤ {text})"


def interleave(clients: Mapping[str, Callable[[], object]], rounds: int, warmups: int = 1) -> dict[str, Row]:
    """Run each client once a round, so that a slow moment of the machine hits all of them, and time each run."""
    rows = {name: Row(name) for name in clients}
    for turn in range(-warmups, rounds):
        for name, client in clients.items():
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            client()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if turn >= 0:
                rows[name].wall.append(wall * 1000)
                rows[name].cpu.append(cpu * 1000)
    return rows


def print_table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with a title; the first column to the left, figures to the right."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}\n")
    for line in [head, tuple("-" * width for width in widths), *rows]:
        cells = [
            cell.ljust(width) if column in {0, len(head) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
    print(flush=True)


def print_timings(title: str, rows: list[Row]) -> None:
    """Print medians, ratios and verdicts."""
    lines = [
        (
            row.name,
            f"{statistics.median(row.wall):.1f} ms",
            f"{statistics.median(row.cpu):.1f} ms",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.cpu_ratio is None else f"{row.cpu_ratio:.2f}",
            row.verdict,
        )
        for row in rows
    ]
    print_table(title, ("client", "wall", "CPU", "ratio", "CPU ratio", "target"), lines)


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Return as soon as something listens on the port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("the server does not listen")


def airflow_home(folder: Path, **connections: str) -> None:
    """Give Airflow a home and connections of its own; call it before anything of Airflow is imported."""
    os.environ["AIRFLOW_HOME"] = str(folder)
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "INFO"
    for name, value in connections.items():
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = value


@contextlib.contextmanager
def running(command: Sequence[object], port: int) -> Iterator[None]:
    """Run a server meanwhile; it listens on the port."""
    process = subprocess.Popen([str(part) for part in command])
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def serving(script: str, *arguments: object) -> Iterator[str]:
    """Run a benchmark's own server, ``serve PORT ...``, meanwhile; yield where it listens."""
    port = free_port()
    with running([sys.executable, Path(__file__).with_name(script), "serve", port, *arguments], port):
        yield f"http://127.0.0.1:{port}"


def in_a_fresh_process(script: str, *arguments: object) -> Any:
    """Run a part of a benchmark as a process of its own; return the JSON that it prints last."""
    command = [sys.executable, script, *map(str, arguments)]
    env = os.environ | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
    map_hash_bucket_size 128;
    map $arg_meetingDateBefore $by_date {{ default /0.json;
{by_date}
    }}
    map $arg_pageToken $page {{ "" $by_date; default /unknown;
{by_token}
    }}
    server {{
        listen 127.0.0.1:{port};
        location = /v2/meetings {{ root {folder}/pages; try_files $page =404; }}
    }}
}}
"""


@contextlib.contextmanager
def static_pages(pages: list[bytes], tokens: list[str], bounds: list[list[str]]) -> Iterator[str]:
    """Serve prebuilt pages from a static nginx of its own and yield the base URL.

    The first page answers a request without a token; page k one with its token, or one whose `meetingDateBefore` is
    among its bounds: a client may go on with the token or with the last date that it saw.
    """
    binary = programs("/usr/sbin/nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pages").mkdir()
        (folder / "temp").mkdir()
        for number, page in enumerate(pages):
            (folder / "pages" / f"{number}.json").write_bytes(page)
        port = free_port()
        config = CONFIG.format(
            folder=folder,
            port=port,
            by_token="\n".join(f'"{token}" /{number}.json;' for number, token in enumerate(tokens) if token),
            by_date="\n".join(f'"{bound}" /{number}.json;' for number, some in enumerate(bounds) for bound in some),
        )
        (folder / "nginx.conf").write_text(config, encoding="utf-8")
        command = [binary, "-p", name, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        with running(command, port):
            yield f"http://127.0.0.1:{port}/v2"
