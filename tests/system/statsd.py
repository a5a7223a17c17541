"""Somebody who listens to the numbers that Airflow's processes send."""

import contextlib
import itertools
import re
import socket
import threading
import time
from collections import Counter

_COUNT = re.compile(r"airflow\.(?P<name>[\w.]+),(?P<tags>[^:]*):(?P<count>\d+)\|c")


class StatsD:
    """A StatsD server on a free port of the loopback, which remembers what it is told."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._markers = itertools.count(1)
        self._lines: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def env(self) -> dict[str, str]:
        """What makes an Airflow send its numbers here, with their tags."""
        host, port = self._socket.getsockname()
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host,
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def counts(self, since: int = 0) -> Counter[tuple[str, frozenset[tuple[str, str]]]]:
        """Add up the counters under `meetings.`, by name and tags.

        Args:
            since: Leave out so many lines.
        """
        self._catch_up()
        found: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
        for line in self._lines[since:]:
            if (match := _COUNT.fullmatch(line)) and match["name"].startswith("meetings."):
                tags = frozenset(tuple(tag.split("=", 1)) for tag in match["tags"].split(","))
                found[match["name"], tags] += int(match["count"])
        return found

    def total(self, name: str, since: int = 0, **tags: str) -> int:
        """Add a counter up, over all that has these tags."""
        wanted = set(tags.items())
        return sum(count for (stat, found), count in self.counts(since).items() if stat == name and wanted <= found)

    def mark(self) -> int:
        """Return how many lines there were so far."""
        self._catch_up()
        return len(self._lines)

    def close(self) -> None:
        """Listen no more."""
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _catch_up(self) -> None:
        """Return when all is read that was sent before: a line that is sent now comes after it."""
        marker = f"marker {next(self._markers)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while marker not in self._lines[-1000:]:  # the test's own timeout ends it
                sender.sendto(marker.encode(), self._socket.getsockname())
                time.sleep(0.05)

    def _listen(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                self._lines += self._socket.recv(65536).decode(errors="replace").splitlines()
