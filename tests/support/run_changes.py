"""What the tests of changes between runs share: a calendar in memory, and files whose writing breaks off."""

import contextlib

from airflow_provider_meetings.exceptions import MeetingNotFoundError, MeetingsServerError
from airflow_provider_meetings.sets.delivery import EventDelivery
from airflow_provider_meetings.sets.files import FileLocation
from airflow_provider_meetings.sets.run_changes import ChangeSearch
from tests.support.flows import BASE, builderprime, hiringcenter
from tests.support.store import Killed
from tests.support.vendors import MeetingTable

HOUR = 3_600_000
WINDOW = (BASE, BASE + 24 * HOUR)


class Calendar:
    """Stands in for a hook to a vendor in memory, whose answers fail when the test says so."""

    meetings_conn_id = "meetings"
    max_parallel_requests = 4

    def __init__(self, kind="hiringcenter"):
        self.conn_type = kind
        self.vendor = hiringcenter() if kind == "hiringcenter" else builderprime()
        self.table = MeetingTable(kind, now=lambda: self.now + round(self.clock_offset * 1000))
        self.meetings, self.delete = self.table.rows, self.table.delete
        self.now = BASE - 100 * HOUR
        self.clock_offset = 0.0  # of the vendor's clock, in seconds
        self.reads = []
        self.lists = 0
        self.hidden = set()
        self.list_fails_after = None
        self.reads_fail = False

    def book(self, date=BASE + HOUR, **fields):
        """Make a meeting now; return its id."""
        self.now += 1
        return self.table.book(date, **{"id": f"m{len(self.table.numbers) + 1:03}"} | fields)

    def edit(self, meeting_id, **changes):
        """Change a meeting; `date` is when it begins."""
        self.now += 1
        if "date" in changes:
            changes[self.table.date_field] = changes.pop("date")
        self.table.edit(meeting_id, **changes)

    def within(self, start, end):
        """Return the meetings of a window, by id."""
        field = self.table.date_field
        return {key: dict(one) for key, one in self.meetings.items() if start <= one[field] < end}

    # -- as a hook

    def list_meetings(self, start, end, *, filters):
        """List a window."""
        assert filters == {}
        self.lists += 1
        found = [one for key, one in self.within(start, end).items() if key not in self.hidden]
        for number, meeting in enumerate(found):
            if number == self.list_fails_after:
                raise MeetingsServerError("503")
            yield meeting
        if self.list_fails_after is not None:
            raise MeetingsServerError("503")

    def get_meeting(self, meeting_id):
        """Read a meeting."""
        self.reads.append(meeting_id)
        if self.reads_fail:
            raise MeetingsServerError("503")
        if meeting_id not in self.meetings:
            raise MeetingNotFoundError("404")
        return dict(self.meetings[meeting_id])


class Breaking:
    """Has the n-th file that is written break off: before anything is there, or when it is there and before it is told.

    Args:
        monkeypatch: Pytest's.
    """

    def __init__(self, monkeypatch):
        self.left = None
        self.after = False
        self.written = 0
        original = FileLocation.write

        @contextlib.contextmanager
        def write(location, **options):
            self.written += 1
            hit = self.left == 0
            if self.left is not None:
                self.left -= 1
            if hit and not self.after:
                raise Killed
            with original(location, **options) as file:
                yield file
            if hit:
                raise Killed

        monkeypatch.setattr(FileLocation, "write", write)

    def at(self, number, *, after):
        """Break the writing of a file, counted from 0 from now on."""
        self.left, self.after = number, after

    def stop(self):
        """Let all go well."""
        self.left = None


def search(calendar, folder, run="r1", *, window=WINDOW, destination=None, emit_first=True, kinds=None):
    """Look as one try of a run; return what the task would."""
    one = ChangeSearch.parse(
        calendar,
        *window,
        None,
        url=f"{folder}/snapshot" if "://" in str(folder) else f"file://{folder}/snapshot",
        run=None if run is None else ["dag", run, "task", -1],
        emit_first=emit_first,
        kinds=kinds,
        taken_at=calendar.now,
    )
    delivery = EventDelivery.parse(destination, most=100)
    one.find(delivery.take)
    return delivery.result


def brief(events):
    """Say in short what events tell."""
    return [(event["kind"], event["reason"], event["id"]) for event in events]


def merge(table, events):
    """Take events into a table of meetings, as a warehouse does."""
    for event in events:
        if event["kind"] in {"moved_out", "gone"}:
            table.pop(event["id"], None)
        else:
            row = table.get(event["id"], {}) | event["after"]
            table[event["id"]] = {name: value for name, value in row.items() if value is not None}
    return table
