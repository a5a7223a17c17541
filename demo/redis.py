"""A Redis of one's own: the broker between Airflow's scheduler and its Celery workers."""

import os
import socket
from pathlib import Path

from demo.debian import programs
from demo.processes import Processes, free_port

_START_SECONDS = 30


def start_redis(processes: Processes, folder: Path) -> str:
    """Start a server with its data in the folder; return its URL."""
    program = programs("/usr/bin/redis-server", "redis-server")
    data, port = folder / "redis", free_port()
    data.mkdir()
    options = {"bind": "127.0.0.1", "port": port, "dir": data, "save": "", "daemonize": "no"}
    command = [str(program), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
    processes.start("redis", command, {"PATH": os.environ["PATH"], "LANG": "C"})
    processes.wait("Redis answers", lambda: _answers(port), _START_SECONDS, every=0.1)
    return f"redis://127.0.0.1:{port}/0"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
