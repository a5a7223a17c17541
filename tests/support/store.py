"""A state store in memory, such as Airflow keeps one for a task and one for an asset."""

import json


class StateStore:
    """What is written is there for good, as text: nothing but JSON survives."""

    def __init__(self):
        self.values = {}

    def get(self, key, default=None):
        """Read a value."""
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key, value, **_):
        """Write a value."""
        self.values[key] = json.dumps(value, allow_nan=False)

    def delete(self, key):
        """Forget a value."""
        self.values.pop(key, None)
