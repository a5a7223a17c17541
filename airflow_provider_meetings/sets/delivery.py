"""Where events go: into a list, or into a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.sets.files import FileLocation, check_destination, location_text
from airflow_provider_meetings.sets.records import FileFormat

__all__ = ["EventDelivery"]

Event = dict[str, Any]


@dataclass(slots=True)
class EventDelivery:
    """Takes events.

    Attributes:
        location: The file that they are written to; None: they are kept.
        compressed: Whether the file goes through gzip.
        most: How many of them are kept in any case.
        kept: Those that are kept.
        count: How many there were.
    """

    location: FileLocation | None
    compressed: bool
    most: int
    kept: list[Event] = field(default_factory=list)
    count: int = 0

    @classmethod
    def parse(cls, destination: Any, *, most: int) -> EventDelivery:
        """Check a destination, before anything is sent.

        Args:
            destination: An object-storage URL; None: the events are kept.
            most: How many events are kept where they are written to a file.

        Raises:
            MeetingsConfigurationError: It cannot be written, or is no JSON Lines file.
        """
        if destination is None:
            return cls(None, compressed=False, most=most)
        url = location_text(destination)
        name = url.lower().removesuffix(".gz")
        if name.endswith((".csv", ".parquet")):
            raise MeetingsConfigurationError(
                f"destination {url!r}: events are written as JSON Lines, for each kind has fields of its own; "
                "let it end in .jsonl or .jsonl.gz. Nothing was sent."
            )
        file_format = FileFormat.parse(url)
        return cls(check_destination(url), file_format.compressed, most)

    def take(self, events: Iterator[Event]) -> None:
        """Take the events, to the last one.

        Raises:
            Exception: The file cannot be written; what was there is untouched.
        """
        counted = self._counted(events)
        if self.location is None:
            for _ in counted:
                pass
            return
        with self.location.write() as file:
            FileFormat("jsonl", self.compressed, "vendor").write(counted, file, dict)

    def _counted(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            self.count += 1
            if self.location is None or len(self.kept) < self.most:
                self.kept.append(event)
            yield event

    @property
    def result(self) -> list[Event] | dict[str, Any]:
        """What the task returns."""
        return self.kept if self.location is None else {"path": self.location.url, "count": self.count}
