"""A triggerer that watches a vendor in memory, and is killed where the test wants."""

import asyncio
import contextlib
import json

from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.watching.snapshot_store import SnapshotStore
from airflow_provider_meetings.watching.watcher import Watcher, WatchSpec
from tests.support.polling import HOUR, NOON
from tests.support.store import Killed

INTERVAL = 10.0


class Triggerer:
    """Runs a watch as the triggerer does, and takes its events into Airflow's database some time after it got them.

    Args:
        vendor: The vendor.
        stores: The state stores of the assets that are watched.
        database: Where the events go.
        lag: Seconds after which Airflow has an event in its database.
        kill_at: Kills it when so many events were taken in; the rest of a step is lost.
        options: For the watch.
    """

    def __init__(self, vendor, stores=(), database=None, *, lag=2.0, kill_at=None, watched=None, **options):
        self.vendor = vendor
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
        watch = Watcher(watched, journal, join=join, clock=self.vendor.now, **self._options)
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
            look_up=self.vendor.look_up,
            transport=self.vendor.transport,
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
