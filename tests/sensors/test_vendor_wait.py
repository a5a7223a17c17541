"""A sensor waits as long as the vendor asks, in each mode, and over every change of process."""

import asyncio
import itertools
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_meetings.core import ratelimit
from airflow_provider_meetings.sensors import holding
from airflow_provider_meetings.triggers.meetings import MeetingsTrigger
from tests.support.flows import problem
from tests.support.polling import NOON as START
from tests.support.polling import WEEK, Vendor, ask, end, in_virtual_time, polling
from tests.support.sandbox import HIRINGCENTER, HOUR, NOON
from tests.support.task_runner import WAYS, Supervisor, live

MODES = pytest.mark.parametrize("mode", WAYS)
STATUSES = pytest.mark.parametrize("status", [429, 503])


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    """Come back at once when the wait is over."""
    monkeypatch.setattr(holding, "_SPREAD", 0.0)
    monkeypatch.setattr(ratelimit, "_SPREAD", 0.0)


def asks(kind):
    """Make an answer that asks for a second without requests; longer than these connections' `max_wait`."""
    headers = {"retry-after": "1", "content-type": "application/json"}
    return {"match": {"vendor": kind.name}, "headers": headers, "body": '{"success": false, "error": "later"}'}


def times_of(server, kind):
    """Return when each request arrived, in seconds."""
    return [row["at"] / 1000 for row in server.journal(vendor=kind.name)]


@STATUSES
@MODES
def test_nothing_is_asked_before_the_vendor_wants_it(server, kind, connect, monkeypatch, mode, status):  # noqa: PLR0917 - pytest's way
    """The first look asks, then nothing for as long as the vendor said, and then it goes on."""
    connect(kind, max_wait=0.2)
    (made,) = server.insert(kind, kind.row(NOON))
    server.fault("answer", status=status, **asks(kind))
    outcome = live(monkeypatch, mode)
    first, *others = times_of(server, kind)
    assert (outcome.state, [made]) == ("success", [meeting["id"] for meeting in outcome.value])
    assert min(others) - first >= 1.0


@pytest.mark.parametrize("has_store", [True, False])
@MODES
def test_a_timeout_within_the_wait_asks_nothing_either(server, connect, monkeypatch, mode, has_store):
    """The sensor's time is over before the vendor wants another request: there is none."""
    connect(HIRINGCENTER, max_wait=0.2)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    server.fault("answer", status=429, **asks(HIRINGCENTER))
    outcome = live(monkeypatch, mode, timeout=0.5, has_store=has_store)
    first, *others = times_of(server, HIRINGCENTER)
    if mode != "reschedule" or has_store:
        assert ("failed", AirflowSensorTimeout) == (outcome.state, type(outcome.error))
        assert [] == others
    else:  # before Airflow 3.3 the next process cannot know why it comes: it comes when it may ask
        assert all(at - first >= 1.0 for at in others)


def test_a_retry_of_the_task_knows_of_the_wait(server, connect, monkeypatch):
    """A try that breaks off within the vendor's wait does not ask anew at once."""
    connect(HIRINGCENTER, max_wait=0.2)
    supervisor = Supervisor()
    server.fault("answer", status=429, **asks(HIRINGCENTER))
    live(monkeypatch, "poke", timeout=0.1, supervisor=supervisor)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))
    outcome = live(monkeypatch, "poke", supervisor=supervisor)
    first, *others = times_of(server, HIRINGCENTER)
    assert outcome.state == "success"
    assert min(others) - first >= 1.0


def test_no_header_holds_a_sensor_for_longer_than_an_hour(server, connect, monkeypatch):
    """A wait that makes no sense is cut to the longest window that a vendor counts in."""
    connect(HIRINGCENTER, max_wait=0.2)
    server.fault("answer", status=429, match={}, headers={"retry-after": "7200"}, body='{"error": "later"}')
    before = time.time()
    outcome = live(monkeypatch, "deferrable", timeout=0.5)
    held_until = outcome.deferrals[0].trigger_kwargs["held_until"]
    assert 3500 < held_until - before <= 3605


# -- in the triggerer


@pytest.mark.parametrize("vendor_name", ["hiringcenter", "builderprime"])
@in_virtual_time
async def test_the_triggerer_takes_the_wait_over_for_everybody(vendor_name):
    """What a worker was told counts for all who wait on that connection, before and after the first look-up."""
    vendor = Vendor(vendor_name)
    loop = asyncio.get_running_loop()
    async with polling(vendor) as poller:
        start = loop.time()
        poller.hold(40.0)
        waiting = ask(poller)
        await asyncio.sleep(60)
        poller.hold(100.0)
        await asyncio.sleep(120)
        await end(waiting)
    times = [at - start for at, _ in vendor.asked]
    assert min(times) >= 40
    assert not [at for at in times if 60 < at < 160]
    assert max(times) >= 160


@pytest.mark.parametrize("vendor_name", ["hiringcenter", "builderprime"])
@pytest.mark.parametrize("status", [429, 500, 503])
@in_virtual_time
async def test_the_triggerer_waits_as_long_as_the_vendor_asks(vendor_name, status):
    """A `Retry-After` counts for each list of the connection, whatever their intervals say."""
    vendor = Vendor(vendor_name)
    loop = asyncio.get_running_loop()
    faults = itertools.chain([problem(status, retry_after=50)], itertools.repeat(None))
    vendor.trouble = lambda _: next(faults)
    async with polling(vendor) as poller:
        waiting = [ask(poller), ask(poller, START + 5 * WEEK, START + 6 * WEEK)]
        start = loop.time()
        await asyncio.sleep(120)
        await end(*waiting)
    times = [at - start for at, _ in vendor.asked]
    told = times[0] + vendor.latency
    # Those that were under way already could not know.
    assert not [at for at in times if told < at < told + 49.9]
    assert max(times) > told + 49.9


def test_a_trigger_keeps_the_wait_through_a_restart():
    """The moment, not the seconds, is what Airflow stores."""
    arguments = {"meetings_conn_id": "meetings", "window_start": NOON, "window_end": NOON + HOUR}
    trigger = MeetingsTrigger(**arguments, held_until=1_770_026_400.5)
    assert trigger.serialize()[1]["held_until"] == 1_770_026_400.5
    assert MeetingsTrigger(**trigger.serialize()[1]).held_until == 1_770_026_400.5
