"""An event loop in virtual time, which jumps to what happens next, and a vendor in memory that a poller asks."""

import asyncio
import contextlib
import dataclasses
import functools
import selectors

from airflow_provider_meetings.connection.builderprime import BuilderPrimeSettings
from airflow_provider_meetings.connection.hiringcenter import HiringCenterSettings
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.transport.aio import AsyncTransport
from tests.support.flows import builderprime, hiringcenter, problem
from tests.support.vendors import FakeBuilderPrime, FakeHiringCenter, MeetingTable

HOUR, DAY, WEEK = 3_600_000, 86_400_000, 7 * 86_400_000
#: 2 February 2026, 10:00 UTC, in milliseconds.
NOON = 1_770_026_400_000


class _Selector(selectors.SelectSelector):
    """Does not wait: it moves the loop's time on to the next timer."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0

    def select(self, timeout=None):
        """Look for what is ready; where nothing is, let the time pass."""
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        elif not ready and timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; threads run at once, in place."""

    def __init__(self):
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self):
        """Tell the virtual time."""
        return self._virtual.now

    def run_in_executor(self, executor, func, *args):  # noqa: ARG002 - asyncio's signature
        """Do it now."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


def run(main):
    """Run a coroutine in virtual time; nothing may be left running when it is over."""
    with asyncio.Runner(loop_factory=Loop) as runner:

        async def wrapped():
            result = await main
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"left running: {left}"
            return result

        return runner.run(wrapped())


def in_virtual_time(test):
    """Have a test that is a coroutine run so."""

    @functools.wraps(test)
    def runs(**fixtures):
        run(test(**fixtures))

    return runs


class Vendor:
    """HiringCenter or Builder Prime behind a connection: its meetings, what it was asked, and what is wrong with it.

    Attributes:
        asked: When each request came, in the loop's time, and its parameters.
        reads: The ids of the meetings that were asked for one by one.
        trouble: Returns an answer, or an error, in place of the vendor's, or None.
        clock_offset: How far its clock is ahead of ours, in seconds.
    """

    def __init__(self, kind="hiringcenter", *, latency=0.05, per_minute=1_000_000, per_hour=1_000_000):
        self.latency = latency
        self.per_minute, self.per_hour = per_minute, per_hour
        self.key = self.conn_key = "key-1"
        self.asked, self.reads = [], []
        self.trouble = lambda _: None
        self.clock_offset = 0.0
        self.look_ups = self.open_sessions = 0
        self.become(kind)

    def become(self, kind):
        """Be a vendor without meetings, from now on."""
        self.kind = kind
        self.table = MeetingTable(kind, now=lambda: round((self.now() + self.clock_offset) * 1000))
        if kind == "hiringcenter":
            self._server = FakeHiringCenter(self.table, after_inclusive=True, before_inclusive=True)
        else:
            self._server = FakeBuilderPrime(self.table)
        self.date_field, self.edit, self.delete = self.table.date_field, self.table.edit, self.table.delete

    @property
    def meetings(self):
        """Its meetings."""
        return list(self.table.rows.values())

    @property
    def count(self):
        """How many requests there were."""
        return len(self.asked)

    @property
    def lists(self):
        """How many requests for lists there were."""
        return self.count - len(self.reads)

    def now(self):
        """The wall clock, in seconds."""
        return NOON / 1000 + asyncio.get_running_loop().time() - 1000 + 0.123

    def book(self, date=NOON + HOUR, **fields):
        """Make a meeting now; return its id."""
        if self.kind == "hiringcenter":
            fields = {"prospectId": "p0", "ownerId": "o0", "meetingType": "phone"} | fields
        return self.table.book(date, **({"opportunityId": 1} | fields))

    async def look_up(self, conn_id):
        """Look the connection up, as the poller does."""
        self.look_ups += 1
        await asyncio.sleep(0.01)
        if self.kind == "hiringcenter":
            settings = HiringCenterSettings(
                conn_id=conn_id,
                base_url="http://localhost",
                api_key=self.conn_key,
                rate_limit_per_minute=self.per_minute,
                rate_limit_per_hour=self.per_hour,
            )
            limits = {"retry_limits": settings.retry_limits, "rate_limits": settings.rate_limits}
            return settings, hiringcenter(conn_id, **limits), 1
        settings = BuilderPrimeSettings(conn_id=conn_id, base_url="http://localhost/api", api_key=self.conn_key)
        return settings, builderprime(conn_id, retry_limits=settings.retry_limits), 4

    def transport(self, settings, log, *, gate, **_):
        """Make the transport that leads here."""
        return _Transport(self, settings, log, gate)

    def answer(self, request):
        """Answer a request, by what is there and by the key, when it arrives."""
        last = request.path.rpartition("/")[2]
        if last not in {"meetings", "v1"}:
            self.reads.append(last)
        return self._server(request)


class _Transport(AsyncTransport):
    """The package's own, but for the socket."""

    def __init__(self, vendor, settings, log, gate):
        super().__init__(settings, log, gate=gate)
        self._vendor = vendor
        self.clock_offset = vendor.clock_offset

    async def __aenter__(self):
        self._vendor.open_sessions += 1
        return self

    async def __aexit__(self, *_):
        self._vendor.open_sessions -= 1

    async def _perform(self, request, counter=None):
        vendor = self._vendor
        if counter is not None:
            counter.add(request)
        await self._gate.enter(request)
        vendor.asked.append((asyncio.get_running_loop().time(), dict(request.params)))
        response, known = vendor.answer(request), self._settings.api_key == vendor.key
        await asyncio.sleep(vendor.latency)
        response = vendor.trouble(request) or (response if known else problem(401))
        if isinstance(response, MeetingsError):
            raise response
        response = dataclasses.replace(response, received_at=asyncio.get_running_loop().time())
        self._gate.observe(response)
        return response


@contextlib.asynccontextmanager
async def polling(vendor, *, limits=(), dice=lambda: 0.5):
    """Start a poller for a vendor, and end it."""
    limits = limits or ((vendor.per_minute, 60.0), (vendor.per_hour, 3600.0))
    budgets = {}  # one for each key, as the vendors count

    def budget(settings, _limits):
        return budgets.setdefault(settings.secrets, RateLimiter(limits, random=dice))

    poller = Poller("meetings", budget, look_up=vendor.look_up, transport=vendor.transport, random=dice)
    try:
        yield poller
    finally:
        await poller.close()
        assert vendor.open_sessions == 0


def ask(poller, start=NOON, end=NOON + WEEK, *, match=None, min_count=1, interval=5.0, **filters):
    """Wait for an answer in a task of its own."""
    question = Criteria(start, end, filters, match or {}, min_count)
    return asyncio.create_task(poller.answer(question, interval))


async def end(*tasks):
    """Cancel those who wait, and see them go."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
