"""What is counted and timed, and under which names. Pure: who keeps the numbers is handed in.

The names and their meanings stand in ``METRICS``; ``docs/observability.md`` repeats them, and a test holds the two
together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = ["METRICS", "Metric", "Metrics", "StatsClient"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that is kept.

    Attributes:
        name: What it is called.
        kind: A counter only goes up; a timer has durations.
        meaning: What it counts, for the docs.
        tags: What it is broken down by, besides the vendor and the connection.
    """

    name: str
    kind: Literal["counter", "timer"]
    meaning: str
    tags: tuple[str, ...] = ()


METRICS = {
    metric.name: metric
    for metric in (
        Metric("meetings.requests", "counter", "requests sent, each repeat included", ("method", "status")),
        Metric("meetings.request_duration", "timer", "from sending to the last byte", ("method", "status")),
        Metric("meetings.retries", "counter", "requests that repeated one which had failed", ("method",)),
        Metric("meetings.rate_limit_waits", "counter", "waits for the vendor's rate limit"),
        Metric("meetings.rate_limit_wait", "timer", "how long each of those waits was"),
        Metric("meetings.created", "counter", "tasks that made their meeting"),
        Metric("meetings.adopted", "counter", "tasks that found the meeting which an earlier try had made"),
        Metric("meetings.settled", "counter", "creates without an answer, found out about before all else"),
        Metric("meetings.updated", "counter", "tasks that changed a meeting"),
        Metric("meetings.unchanged", "counter", "tasks that found their meeting as it should be, and wrote nothing"),
        Metric("meetings.deleted", "counter", "tasks that deleted a meeting"),
        Metric("meetings.gone", "counter", "tasks that had a meeting to delete which was gone before"),
    )
}


class StatsClient(Protocol):
    """Who keeps the numbers; Airflow's ``Stats`` is one."""

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, Any]) -> None:
        """Count one more, or several."""

    def timing(self, stat: str, dt: dt.timedelta, *, tags: dict[str, Any]) -> None:
        """Take a duration down."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The numbers of one connection.

    Attributes:
        stats: Where they are kept; None: nowhere.
        tags: What all of them are broken down by.
    """

    stats: StatsClient | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str, attempt: int, seconds: float, status: int | None) -> None:
        """Take note of a request.

        Args:
            method: The HTTP method.
            attempt: Counts the sends of the same request, from 1.
            seconds: From sending it to the end of its answer, or of the wait for one.
            status: The answer's; None: there was none.
        """
        if self.stats is None:
            return
        tags = {"method": method, "status": "none" if status is None else f"{status // 100}xx"}
        self._count("meetings.requests", tags)
        self._time("meetings.request_duration", seconds, tags)
        if attempt > 1:
            self._count("meetings.retries", {"method": method})

    def rate_limited(self, seconds: float) -> None:
        """Take note of a wait for the vendor's rate limit."""
        self._count("meetings.rate_limit_waits")
        self._time("meetings.rate_limit_wait", seconds)

    def event(self, name: str, count: int = 1) -> None:
        """Take note that a meeting was ``created``, say; the name is one of ``METRICS``, without its prefix."""
        self._count(f"meetings.{name}", count=count)

    def _count(self, name: str, tags: Mapping[str, str] | None = None, *, count: int = 1) -> None:
        if self.stats is not None:
            self.stats.incr(METRICS[name].name, count, tags={**self.tags, **(tags or {})})

    def _time(self, name: str, seconds: float, tags: Mapping[str, str] | None = None) -> None:
        if self.stats is not None:
            duration = dt.timedelta(seconds=seconds)
            self.stats.timing(METRICS[name].name, duration, tags={**self.tags, **(tags or {})})
