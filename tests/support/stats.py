"""Airflow's numbers, kept."""

from dataclasses import dataclass, field


@dataclass
class Book:
    """Who keeps the numbers."""

    counted: list = field(default_factory=list)
    timed: list = field(default_factory=list)

    def incr(self, stat, count=1, *, tags):
        """Count one more, or several."""
        self.counted += [(stat, tags)] * count

    def timing(self, stat, dt, *, tags):
        """Take a duration down."""
        self.timed.append((stat, dt, tags))

    def count(self, name, **tags):
        """How often that was, by the tags that are named."""
        return sum(name == stat and tags.items() <= found.items() for stat, found in self.counted)

    def seconds(self, name):
        """The durations of that."""
        return [duration.total_seconds() for stat, duration, _ in self.timed if stat == name]
