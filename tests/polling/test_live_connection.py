"""A connection that changes while many wait on it is noticed within a minute, whatever goes on meanwhile."""

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_meetings.connection.hiringcenter import HiringCenterSettings
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.hooks.connected import unknown_connection
from airflow_provider_meetings.polling.criteria import CONNECTION_GRACE
from airflow_provider_meetings.polling.live_connection import FIRST_LOOKS, REFRESH
from airflow_provider_meetings.transport.limiter import limiter_for
from tests.support.flows import problem
from tests.support.polling import DAY, HOUR, NOON, WEEK, Vendor, ask, end, in_virtual_time, polling


def rotate(vendor):
    """Give the vendor, and the connection, another key."""
    vendor.key = vendor.conn_key = "key-2"


async def since(task):
    """Wait for a task; return how long that took, in virtual time."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await task
    return loop.time() - before


@in_virtual_time
async def test_a_long_interval_does_not_hide_it():
    """Who asks once an hour has the answer of the new connection within a minute."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = ask(poller, interval=3600)
        await asyncio.sleep(100)
        rotate(vendor)
        vendor.book(NOON)
        took, count = await since(waiting), vendor.count

    assert took <= REFRESH + 1
    assert count == 2


@pytest.mark.parametrize(("per_minute", "bad"), [(1_000_000, 1), (60, 10)], ids=["between rounds", "at the gate"])
@in_virtual_time
async def test_retry_after_does_not_hide_it(per_minute, bad):
    """Held back for most of an hour, in the middle of a round too, all go on with another key, and none before."""
    vendor = Vendor(per_minute=per_minute)
    vendor.trouble = lambda _: (
        problem(429, retry_after=3000) if vendor.conn_key == "key-1" and vendor.count >= bad else None
    )
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n * 9 * WEEK, NOON + n * 9 * WEEK + DAY) for n in range(30)]
        await asyncio.sleep(500)
        before = vendor.count
        rotate(vendor)
        for n in range(30):
            vendor.book(NOON + n * 9 * WEEK)
        took = await since(asyncio.gather(*waiting))

    assert bad <= before <= bad + 3
    assert took <= REFRESH + 45


@in_virtual_time
async def test_who_comes_while_all_are_held_back_is_checked():
    """A question that cannot be asked is refused at once, also while the vendor wants no requests for an hour."""
    vendor = Vendor()
    vendor.trouble = lambda _: problem(429, retry_after=3000)
    async with polling(vendor) as poller:
        waiting = ask(poller)
        await asyncio.sleep(50)
        bad = ask(poller, nonsense=1)
        took = await since(asyncio.wait({bad}))
        await end(waiting)
    error = type(bad.exception())

    assert took < 1
    assert error is MeetingsConfigurationError


@in_virtual_time
async def test_the_same_account_stays_held_back():
    """A change that leaves the key as it is does not break what the vendor has asked for."""
    vendor = Vendor()
    vendor.trouble = lambda _: problem(429, retry_after=3000) if vendor.count == 1 else None
    async with polling(vendor) as poller:
        waiting = ask(poller)
        await asyncio.sleep(100)
        vendor.per_hour -= 1
        await asyncio.sleep(2000)
        count = vendor.count
        await end(waiting)

    assert count == 1


@in_virtual_time
async def test_an_outage_does_not_hide_it():
    """While the old host is down, who asks every half an hour is answered by the new one within a minute."""
    vendor = Vendor()
    vendor.trouble = lambda _: MeetingsTransportError("gone", maybe_sent=False) if vendor.conn_key == "key-1" else None
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON, NOON + n * DAY + 1, interval=1800) for n in range(5)]
        await asyncio.sleep(300)
        rotate(vendor)
        vendor.book(NOON)
        found = await since(asyncio.gather(*waiting))

    assert found <= REFRESH + 5


def missing(*_):
    """Raise what a look-up raises for a connection that Airflow does not find."""
    raise unknown_connection("meetings") from AirflowNotFoundException("The conn_id `meetings` isn't defined")


@in_virtual_time
async def test_a_connection_that_is_not_found_for_a_while_was_not_deleted():
    """Airflow takes a database, an API server or a vault that is away for one without it: the polls go on."""
    vendor = Vendor()
    look_up = vendor.look_up
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON, NOON + n * DAY + 1) for n in range(20)]
        await asyncio.sleep(10)
        poller._connection._look_up = missing
        await asyncio.sleep(CONNECTION_GRACE - REFRESH)
        vendor.book(NOON)
        took = await since(asyncio.gather(*waiting))
        again = ask(poller, min_count=2)
        await asyncio.sleep(10)
        poller._connection._look_up = look_up
        await asyncio.sleep(2 * CONNECTION_GRACE)
        vendor.book(NOON)
        await again

    assert took <= 5.2


@pytest.mark.parametrize(("before", "most"), [(True, REFRESH + CONNECTION_GRACE + 31), (False, FIRST_LOOKS + 31)])
@in_virtual_time
async def test_a_connection_that_stays_missing_fails_everybody(before, most):
    """Whether it was deleted or never there, and however seldom somebody asks: they learn so, all at once."""
    vendor = Vendor()
    if not before:
        vendor.look_up = missing
    async with polling(vendor) as poller:
        waiting = [ask(poller, interval=3600) for _ in range(3)]
        await asyncio.sleep(1)
        poller._connection._look_up = missing
        took = await since(asyncio.wait(waiting))
        late = ask(poller)
        await asyncio.wait({late}, timeout=60)
        errors = [task.exception() for task in (*waiting, late)]

    assert [MeetingsConfigurationError] * 4 == [type(error) for error in errors]
    assert FIRST_LOOKS <= took + 1 <= most


@in_virtual_time
async def test_a_connection_that_cannot_be_right_fails_everybody():
    """With such a connection waiting cannot help: everybody learns so within a minute, also who asks once an hour."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = [ask(poller, interval=3600) for _ in range(3)]
        await asyncio.sleep(10)

        async def wrong(_):
            raise MeetingsConfigurationError("Connection 'meetings' cannot be used")

        poller._connection._look_up = wrong
        took, errors = await since(asyncio.wait(waiting)), [task.exception() for task in waiting]

    assert [MeetingsConfigurationError] * 3 == [type(error) for error in errors]
    assert took <= REFRESH + 1


@pytest.mark.parametrize("latency", [0.05, 70.0], ids=["between rounds", "in the middle of a round"])
@pytest.mark.parametrize("other", ["hiringcenter", "builderprime"])
@in_virtual_time
async def test_another_account_is_asked_for_itself(other, latency):
    """A connection that leads elsewhere: questions are put in its own way, and no old answer is taken for a new one."""
    vendor = Vendor()
    vendor.latency = latency
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n, NOON + WEEK, min_count=2, interval=100) for n in range(6)]
        await asyncio.sleep(0.05)
        # Known to nobody but the old account, which answers while the connection is changed.
        if latency > 1:
            vendor.book(NOON + HOUR, id="old-1")
            vendor.book(NOON + 2 * HOUR, id="old-2")
        await asyncio.sleep(30)
        vendor.become(other)
        rotate(vendor)
        vendor.book(NOON + HOUR, id=1)
        vendor.book(NOON + 2 * HOUR, id=2)
        found = await asyncio.gather(*waiting)

    assert [[1, 2]] * 6 == [sorted(one["id"] for one in meetings) for meetings in found]


@in_virtual_time
async def test_another_vendor_checks_what_is_waited_for():
    """A filter that the new vendor does not have fails its waiter."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = ask(poller, prospectId="p1")
        await asyncio.sleep(30)
        vendor.become("builderprime")
        rotate(vendor)
        with pytest.raises(MeetingsConfigurationError, match="prospectId"):
            await asyncio.wait_for(waiting, 600)


@in_virtual_time
async def test_look_ups_are_rare():
    """Ten minutes of waiting cost a look-up a minute, however many wait."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON, NOON + n * DAY + 1) for n in range(50)]
        await asyncio.sleep(600)
        await end(*waiting)

    assert 10 <= vendor.look_ups <= 12


@in_virtual_time
async def test_airflow_that_does_not_answer_is_no_change():
    """A look-up that fails while others wait is repeated, and the polls go on."""
    vendor = Vendor()
    look_up, lost = vendor.look_up, []
    async with polling(vendor) as poller:
        waiting = ask(poller)
        await asyncio.sleep(50)

        async def flaky(conn_id):
            if len(lost) < 4:
                lost.append(conn_id)
                raise OSError("the API server is away")
            return await look_up(conn_id)

        poller._connection._look_up = flaky
        await asyncio.sleep(50)
        vendor.book(NOON)
        took = await since(waiting)
    lost, look_ups = len(lost), vendor.look_ups

    assert took <= 5.2
    assert (4, 2) == (lost, look_ups)


async def test_an_account_has_one_budget():
    """Connections with the same key share a budget, as the vendor counts by key; another key has its own."""

    def limiter(conn_id, key):
        settings = HiringCenterSettings(conn_id=conn_id, base_url="https://h", api_key=key)
        return limiter_for(settings, settings.rate_limits)

    assert limiter("one", "k") is limiter("other", "k")
    assert limiter("one", "k") is not limiter("one", "l")
