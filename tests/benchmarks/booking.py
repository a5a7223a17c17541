"""What exactly once costs: a create through the journal beside a bare POST and the hook, on the sandbox of both APIs.

The task state store is a dict here. In a task, each of its reads and writes is a round trip to the API server besides;
the table counts them.
"""

import datetime as dt
import itertools
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

from bench import airflow_home, interleave, print_table

from demo.processes import Processes
from demo.sandbox import start_sandbox

ROUNDS = 40
FIRST = dt.datetime(2031, 1, 6, 9, tzinfo=dt.UTC)
MEETINGS = {
    "hiringcenter": {"prospectId": "p1", "timeZone": "UTC", "meetingType": "phone", "ownerId": "o1"},
    "builderprime": {"clientOpportunityId": 102988, "title": "Estimate"},
}
DATE = {"hiringcenter": "meetingDate", "builderprime": "startDateTime"}


class Store(dict):
    """A task state store that counts how often it is asked."""

    trips = 0

    def get(self, key, default=None):
        """Read a value."""
        type(self).trips += 1
        return super().get(key, default)

    def set(self, key, value, *, retention=None):
        """Write a value, as JSON."""
        del retention
        type(self).trips += 1
        self[key] = json.loads(json.dumps(value))


class Clients:
    """Three ways to make a meeting, each time another one."""

    def __init__(self, vendor, facts):
        from airflow_provider_meetings.hooks.resolve import hook_for  # noqa: PLC0415 - after Airflow's home is set

        self.vendor = vendor
        self.hook = hook_for(f"{vendor}_default")
        self.url = facts[vendor]["host"] + ("/meetings" if vendor == "hiringcenter" else "/meetings/v1")
        self.numbers = itertools.count()

    def meeting(self):
        """Make up a meeting at a time of its own."""
        moment = FIRST + dt.timedelta(minutes=next(self.numbers))
        return MEETINGS[self.vendor] | {DATE[self.vendor]: round(moment.timestamp() * 1000)}

    def bare(self):
        """POST it, and hope."""
        self.hook.get_conn().post(self.url, json=self.meeting(), timeout=30).raise_for_status()

    def by_hook(self):
        """`create_meeting`: once within the call."""
        self.hook.create_meeting(self.meeting())

    def by_journal(self):
        """What CreateMeetingOperator does: once, whatever happens to the task."""
        from airflow_provider_meetings.exactly_once.task_state import book_once  # noqa: PLC0415

        ti = SimpleNamespace(dag_id="d", run_id=str(next(self.numbers)), task_id="t", map_index=-1, try_number=1)
        book_once(self.hook, self.meeting(), None, {"ti": ti, "task_state_store": Store()})


def requests_of(url, client):
    """Count the requests that one call makes, by the sandbox's journal."""
    import requests  # noqa: PLC0415

    before = len(requests.get(f"{url}/journal", timeout=30).json())
    client()
    return len(requests.get(f"{url}/journal", timeout=30).json()) - before


def main():
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="bench-booking-") as name, Processes(Path(name)) as processes:
        facts = start_sandbox(processes, Path(name), control=True)
        airflow_home(Path(name), **facts["connections"])
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"  # a line for each request would bury the table
        lines = []
        for vendor in MEETINGS:
            clients = Clients(vendor, facts)
            ways = {"a bare POST": clients.bare, "create_meeting": clients.by_hook, "the journal": clients.by_journal}
            rows = interleave(ways, ROUNDS)
            base = rows["a bare POST"]
            for way, client in ways.items():
                Store.trips = 0
                count = requests_of(facts["control"], client)
                row = rows[way]
                wall = sorted(row.wall)[len(row.wall) // 2]
                extra = wall - sorted(base.wall)[len(base.wall) // 2]
                lines.append((f"{vendor}, {way}", f"{count}", f"{Store.trips}", f"{wall:.1f} ms", f"{extra:+.1f} ms"))
    print_table(
        f"Making a meeting; medians of {ROUNDS} rounds",
        ("way", "requests", "state store", "wall", "over a bare POST"),
        lines,
    )


if __name__ == "__main__":
    main()
