"""A world without wall clock: an event loop whose time jumps to what happens next, and a vendor in memory."""

import asyncio
import contextlib
import dataclasses
import json
import selectors

from airflow_provider_meetings.connection.builderprime import BuilderPrimeSettings
from airflow_provider_meetings.connection.hiringcenter import HiringCenterSettings
from airflow_provider_meetings.core.flow import Gather, Page, Request, Response, Sleep
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.exceptions import MeetingsError
from airflow_provider_meetings.polling.criteria import Criteria
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory

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


class Vendor:
    """HiringCenter or Builder Prime, in memory: its meetings, what it was asked and when, and what is wrong with it."""

    def __init__(self, kind="hiringcenter", *, latency=0.05, per_minute=1_000_000, per_hour=1_000_000):
        self.kind = kind
        self.latency = latency
        self.per_minute, self.per_hour = per_minute, per_hour
        self.key = "key-1"
        self.meetings = []
        self.asked = []  # (time, params)
        self.trouble = lambda _: None
        self.look_ups = 0
        self.open_sessions = 0
        self.conn_key = "key-1"

    @property
    def count(self):
        """How many requests there were."""
        return len(self.asked)

    def add(self, date, **fields):
        """Add a meeting."""
        number = len(self.meetings) + 1
        if self.kind == "hiringcenter":
            basis = {
                "id": f"m{number}",
                "meetingDate": date,
                "prospectId": "p0",
                "ownerId": "o0",
                "meetingType": "phone",
            }
        else:
            basis = {"id": number, "startDateTime": date, "opportunityId": 1}
        self.meetings.append(basis | fields)

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
            return (
                settings,
                HiringCenter(
                    ErrorFactory("HiringCenter", conn_id, settings.base_url),
                    settings.retry_limits,
                    rate_limits=settings.rate_limits,
                    update_method=settings.update_method,
                    idempotency_window=settings.idempotency_window,
                ),
                1,
            )
        settings = BuilderPrimeSettings(conn_id=conn_id, base_url="http://localhost/api", api_key=self.conn_key)
        return (
            settings,
            BuilderPrime(
                ErrorFactory("Builder Prime", conn_id, settings.base_url),
                settings.retry_limits,
                max_window=31 * DAY,
                parallel=4,
            ),
            4,
        )

    def transport(self, settings, _log, *, gate, **_):
        """Make the transport that leads here."""
        return _Transport(self, settings, gate)

    def answer(self, request):
        """Answer a request."""
        params = dict(request.params)
        low = int(params.get("meetingDateAfter", params.get("start-date-from", -(1 << 60))))
        high = int(params.get("meetingDateBefore", params.get("start-date-to", 1 << 60)))
        field = "meetingDate" if self.kind == "hiringcenter" else "startDateTime"
        wanted = {
            name: params[key]
            for key, name in {
                "prospectId": "prospectId",
                "ownerId": "ownerId",
                "meetingType": "meetingType",
                "opportunity-id": "opportunityId",
            }.items()
            if key in params
        }
        found = [
            one
            for one in self.meetings
            if low <= one[field] <= high and all(str(one[name]) == value for name, value in wanted.items())
        ]
        found.sort(key=lambda one: (-one[field], str(one["id"])))
        limit = int(params["limit"])
        if self.kind == "builderprime":
            start = limit * int(params["page"])
            return {"success": True, "data": found[start : start + limit]}
        start = int(params.get("pageToken") or 0)
        token = str(start + limit) if len(found) > start + limit else None
        items = found[start : start + limit]
        return {"success": True, "items": items, "pagination": {"nextPageToken": token}}


class _Transport:
    def __init__(self, vendor, settings, gate):
        self._vendor, self._settings, self._gate = vendor, settings, gate

    async def __aenter__(self):
        self._vendor.open_sessions += 1
        return self

    async def __aexit__(self, *_):
        self._vendor.open_sessions -= 1

    async def pages(self, listing, counter=None):
        """Drive a list, page by page."""
        reply = failure = None
        while True:
            try:
                step = listing.send(reply) if failure is None else listing.throw(failure)
            except StopIteration:
                return
            reply = failure = None
            try:
                if isinstance(step, Page):
                    yield step
                elif isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                elif isinstance(step, Gather):
                    reply = [await self._drive(call, counter) for call in step.calls]
                elif isinstance(step, Request):
                    reply = await self._perform(step, counter)
            except MeetingsError as error:
                failure = error

    async def _drive(self, call, counter=None):
        try:
            step = call.send(None)
            while True:
                step = call.send(await self._perform(step, counter) if isinstance(step, Request) else None)
        except StopIteration as done:
            return done.value

    async def _perform(self, request, counter=None):
        vendor = self._vendor
        if counter is not None:
            counter.add(request)
        await self._gate.enter(request)
        now = asyncio.get_running_loop().time()
        vendor.asked.append((now, dict(request.params)))
        # What is there, and whether the key is right, when the request arrives.
        content, known = json.dumps(vendor.answer(request)).encode(), self._settings.api_key == vendor.key
        await asyncio.sleep(vendor.latency)
        response = vendor.trouble(request)
        if response is None and not known:
            response = problem(401)
        if response is None:
            response = Response(200, {}, content)
        if isinstance(response, MeetingsError):
            raise response
        response = dataclasses.replace(response, received_at=asyncio.get_running_loop().time())
        self._gate.observe(response)
        return response


def problem(status, **headers):
    """Make an answer that is a refusal in the envelopes of both vendors."""
    content = {"success": False, "error": "no", "message": "no", "errors": [{"code": "", "message": "no"}]}
    headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return Response(status, headers, json.dumps(content).encode())


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
