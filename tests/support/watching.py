"""A vendor whose meetings come and go, an asset's state store, and a triggerer that is killed where the test wants."""

import asyncio
import contextlib
import json

from airflow_provider_meetings.core.flow import Sleep
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.watching.snapshot_store import SnapshotStore
from airflow_provider_meetings.watching.watcher import Watcher, WatchSpec
from tests.support.polling import HOUR, NOON, Vendor, problem, run
from tests.support.store import Killed

__all__ = ["HOUR", "NOON", "Calendar", "Triggerer", "run"]

INTERVAL = 10.0


class Calendar(Vendor):
    """The vendor of the polling tests, who can also be asked for one meeting, and whose meetings can be edited."""

    def __init__(self, kind="hiringcenter", **options):
        super().__init__(kind, **options)
        self.reads = []
        self.broken = lambda _: None
        self.trouble = self._handle_error

    @property
    def date_field(self):
        """When a meeting begins."""
        return "meetingDate" if self.kind == "hiringcenter" else "startDateTime"

    @property
    def lists(self):
        """How many requests for lists there were."""
        return self.count - len(self.reads)

    def now(self):
        """The wall clock, in seconds."""
        return NOON / 1000 + asyncio.get_running_loop().time() - 1000 + 0.123

    def book(self, date=NOON + HOUR, **fields):
        """Make a meeting now; return its id."""
        moment = round(self.now() * 1000)
        stamps = {"createdAt": moment, "updatedAt": moment} if self.kind == "hiringcenter" else {"createdDate": moment}
        self.add(date, **stamps, **fields)
        return self.meetings[-1]["id"]

    def add(self, date, **fields):
        """Add a meeting; an id is never given twice."""
        self.serial = getattr(self, "serial", 0) + 1
        super().add(date, **fields)
        self.meetings[-1]["id"] = f"m{self.serial}" if self.kind == "hiringcenter" else self.serial

    def edit(self, meeting_id, **changes):
        """Change a meeting."""
        (meeting,) = (one for one in self.meetings if one["id"] == meeting_id)
        touched = {"updatedAt": round(self.now() * 1000)} if self.kind == "hiringcenter" else {}
        meeting.update(changes | touched)

    def delete(self, meeting_id):
        """Delete a meeting."""
        self.meetings = [one for one in self.meetings if one["id"] != meeting_id]

    def transport(self, settings, _log, *, gate, **_):
        """Make the transport, which can drive a single call, too."""
        made = super().transport(settings, _log, gate=gate)

        async def drive(call):
            reply = None
            while True:
                try:
                    step = call.send(reply)
                except StopIteration as done:
                    return done.value
                reply = await asyncio.sleep(step.seconds) if isinstance(step, Sleep) else await made._perform(step)

        made.drive = drive
        return made

    def _handle_error(self, request):
        meeting_id = self._wanted(request)
        if meeting_id is not None:
            self.reads.append(meeting_id)
        if (wrong := self.broken(request)) is not None:
            return wrong
        if meeting_id is not None and meeting_id not in {str(one["id"]) for one in self.meetings}:
            return problem(404)
        return None

    def _wanted(self, request):
        last = request.path.rpartition("/")[2]
        return None if last in {"meetings", "v1"} else last

    def answer(self, request):
        """Answer a request, for a list or for one meeting."""
        meeting_id = self._wanted(request)
        if meeting_id is None:
            return super().answer(request)
        found = [one for one in self.meetings if str(one["id"]) == meeting_id]
        return {"success": True, "item" if self.kind == "hiringcenter" else "data": found[0] if found else None}


class Triggerer:
    """Runs a watch as the triggerer does, and takes its events into Airflow's database some time after it got them.

    Args:
        calendar: The vendor.
        stores: The state stores of the assets that are watched.
        database: Where the events go.
        lag: Seconds after which Airflow has an event in its database.
        kill_at: Kills it when so many events were taken in; the rest of a step is lost.
        options: For the watch.
    """

    def __init__(self, calendar, stores=(), database=None, *, lag=2.0, kill_at=None, watched=None, **options):
        self.calendar = calendar
        self.stores = list(stores)
        self.database = [] if database is None else database
        self._lag = lag
        self._kill_at = kill_at
        self._watched = watched or {"window_start": NOON, "window_end": NOON + 1000 * HOUR}
        self._options = {"interval": INTERVAL} | options

    async def run(self, poller):
        """Watch for ever, or until killed."""

        @contextlib.asynccontextmanager
        async def join(_):
            yield poller

        watched = WatchSpec("c", **self._watched)
        journal = SnapshotStore(self.stores, f"meetings/{watched.scope}")
        watch = Watcher(watched, journal, join=join, clock=self.calendar.now, **self._options)
        async with contextlib.aclosing(watch.batches()) as batches:
            async for events in batches:
                await asyncio.sleep(self._lag)
                for event in events:
                    if self._kill_at is not None and len(self.database) >= self._kill_at:
                        raise Killed
                    self.database.append(json.loads(json.dumps(event)))

    @contextlib.asynccontextmanager
    async def poller(self):
        """Start a poller of this triggerer's own."""
        poller = Poller(
            "c",
            lambda *_: RateLimiter(),
            look_up=self.calendar.look_up,
            transport=self.calendar.transport,
            random=_dice,
        )
        try:
            yield poller
        finally:
            await poller.close()

    @contextlib.asynccontextmanager
    async def running(self):
        """Have it run meanwhile; whether it was killed does not matter."""
        async with self.poller() as poller:
            task = asyncio.create_task(self._survived(poller))
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _survived(self, poller):
        # An exception of this kind would end the test's event loop, as it ends a process.
        try:
            await self.run(poller)
        except Killed:
            return "killed"


def _dice():
    return 0.5


def brief(events):
    """The kind, the reason and the id of each event, without repeats."""
    return [(event["kind"], event["reason"], event["id"]) for event in once(events)]


def once(events):
    """Drop repeats, as a consumer does."""
    return list({event["event_id"]: event for event in events}.values())
