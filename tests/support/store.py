"""A state store in memory, such as Airflow keeps one for a task (sync) and one for an asset (async)."""

import asyncio
import json


class Killed(BaseException):
    """The process is no more; nothing of it runs."""


class StateStore:
    """What is written is there for good, as text: nothing but JSON survives. It can kill who writes.

    Attributes:
        values: The text of each key.
        writes: How many writes there were.
        kill_before: The number of the write before which the writer dies; None: it lives.
        kill_after: Likewise, of the write after which it dies.
        largest: The longest text that was written.
    """

    def __init__(self):
        self.values = {}
        self.writes = self.largest = 0
        self.kill_before = self.kill_after = None

    def get(self, key, default=None):
        """Read a value."""
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key, value, **_):
        """Write a value."""
        self.writes += 1
        if self.writes == self.kill_before:
            raise Killed
        text = json.dumps(value, allow_nan=False)
        self.largest = max(self.largest, len(text))
        self.values[key] = text
        if self.writes == self.kill_after:
            raise Killed

    def delete(self, key):
        """Forget a value."""
        self.values.pop(key, None)

    async def aget(self, key, default=None):
        """Read a value, from the triggerer."""
        await asyncio.sleep(0)
        return self.get(key, default)

    async def aset(self, key, value):
        """Write a value, from the triggerer."""
        await asyncio.sleep(0)
        self.set(key, value)

    async def adelete(self, key):
        """Forget a value, from the triggerer."""
        self.delete(key)

    @property
    def manifest(self):
        """The stored value that says how far a watch is."""
        values = map(json.loads, self.values.values())
        (found,) = (value for value in values if isinstance(value, dict) and "seq" in value)
        return found
