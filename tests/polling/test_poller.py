"""The shared poller in virtual time: what it asks, whom it answers, and when."""

import asyncio
import logging

import pytest

from airflow_provider_meetings.exceptions import (
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsPermissionError,
    MeetingsTransportError,
    MeetingValidationError,
)
from tests.support.flows import problem
from tests.support.polling import DAY, HOUR, NOON, WEEK, Vendor, ask, end, in_virtual_time, polling


@in_virtual_time
async def test_equal_questions_are_asked_once():
    """A hundred waiters with one question cost one request a poke interval."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = [ask(poller) for _ in range(100)]
        await asyncio.sleep(22)
        await end(*waiting)

    times = [round(at - vendor.asked[0][0], 1) for at, _ in vendor.asked]

    assert times == [0, 5, 10, 15, 20]
    assert vendor.look_ups == 1


@in_virtual_time
async def test_a_thousand_waiters_on_twenty_windows():
    """A thousand waiters on twenty windows cost at most twenty requests a round, from the first round on."""
    vendor = Vendor()
    for number in range(600):
        vendor.book(NOON + number * HOUR)
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n % 20 * WEEK, NOON + (n % 20 + 1) * WEEK, min_count=10**6) for n in range(1000)]
        await asyncio.sleep(4.9)
        first = vendor.count
        await asyncio.sleep(15)
        await end(*waiting)
    all_together = vendor.count

    assert first <= 20
    assert all_together <= 80


@in_virtual_time
async def test_a_thousand_prospects_in_one_week():
    """A thousand prospects in a week of seven pages cost the seven pages and one more a round, each its own answer."""
    vendor = Vendor()
    for number in range(1390):
        vendor.book(NOON + number * 400_000, prospectId=f"p{number % 500}")
    async with polling(vendor) as poller:
        waiting = [ask(poller, min_count=3 if n < 600 else 2, prospectId=f"p{n}") for n in range(1000)]
        await asyncio.sleep(4.9)
        first = vendor.count
        done = {n: task.result() for n, task in enumerate(waiting) if task.done()}
        await asyncio.sleep(15)
        await end(*waiting)

    assert first <= 8
    assert vendor.count <= 32
    assert set(done) == set(range(390))
    for number, found in done.items():
        assert [one["id"] for one in found] == [f"m{number + 1001}", f"m{number + 501}", f"m{number + 1}"]


@in_virtual_time
async def test_a_crowded_afternoon_costs_its_pages_and_little_more_a_round():
    """Builder Prime's pages cannot be turned; where to cut a window is known from the round before."""
    vendor = Vendor("builderprime")
    for number in range(420):
        vendor.book(NOON + 2 * DAY + number * 30_000)
    async with polling(vendor) as poller:
        waiting = ask(poller, min_count=10**6)
        await asyncio.sleep(4.9)
        first = vendor.count
        await asyncio.sleep(15)
        await end(waiting)

    assert first <= 5 + 7
    assert vendor.count - first <= 3 * (5 + 2)


@in_virtual_time
async def test_a_wide_list_that_does_not_pay_is_not_read_on():
    """Three prospects in a window of fifty pages are asked for one by one, after one try that stops in time."""
    vendor = Vendor()
    for number in range(10_000):
        vendor.book(NOON + number * 60_000, prospectId=f"p{number % 1000}")
    async with polling(vendor) as poller:
        waiting = [ask(poller, min_count=99, prospectId=f"p{n}") for n in range(3)]
        await asyncio.sleep(4.9)
        first = vendor.count
        await asyncio.sleep(20)
        await end(*waiting)
    later = vendor.count - first

    assert first == 2 + 3
    assert later == 4 * 3


@pytest.mark.parametrize("kind", ["hiringcenter", "builderprime"])
@in_virtual_time
async def test_every_waiter_gets_its_own_answer(kind):
    """Overlapping windows and filters are answered from wider lists exactly as the vendor would have answered each."""
    vendor = Vendor(kind)
    for number in range(450):
        fields = (
            {"prospectId": f"p{number % 9}", "ownerId": f"o{number % 4}"}
            if kind == "hiringcenter"
            else {"opportunityId": number % 9}
        )
        vendor.book(NOON + number * HOUR // 2, **fields)
    name = "prospectId" if kind == "hiringcenter" else "opportunity-id"
    value = (lambda n: f"p{n}") if kind == "hiringcenter" else (lambda n: n)
    async with polling(vendor) as poller:
        asked = [(NOON + a * DAY, NOON + (a + b) * DAY, n) for a in range(5) for b in (1, 2, 9) for n in range(4)]
        waiting = [ask(poller, start, stop, **{name: value(n)}) for start, stop, n in asked]
        found = await asyncio.gather(*waiting)
    field = "meetingDate" if kind == "hiringcenter" else "startDateTime"
    other = "prospectId" if kind == "hiringcenter" else "opportunityId"
    for (start, stop, n), meetings in zip(asked, found, strict=True):
        wanted = [one["id"] for one in vendor.meetings if start <= one[field] < stop and one[other] == value(n)]
        assert sorted(wanted, key=str) == sorted((one["id"] for one in meetings), key=str)

    assert vendor.count < 30


@in_virtual_time
async def test_what_the_list_does_not_tell_is_asked_with_the_filter():
    """Builder Prime lists no employee ids, so a question for an employee always goes to the vendor."""
    vendor = Vendor("builderprime")
    async with polling(vendor) as poller:
        waiting = [ask(poller, **{"employee-id": n}) for n in range(5)]
        await asyncio.sleep(4)
        await end(*waiting)

    assert {params.get("employee-id") for _, params in vendor.asked} == {"0", "1", "2", "3", "4"}


@in_virtual_time
async def test_a_list_that_does_not_tell_leaves_who_is_not_due_alone():
    """Whoever asks for an employee is not answered, nor hurt, by a wider list that is read for others meanwhile."""
    vendor = Vendor("builderprime")
    async with polling(vendor) as poller:
        patient = ask(poller, interval=60.0, **{"employee-id": 50})
        others = [ask(poller, **{"opportunity-id": number}) for number in (1, 2)]
        await asyncio.sleep(12)
        done = [task.done() for task in (patient, *others)]
        await end(patient, *others)

    assert [False] * 3 == done
    assert 1 == sum("employee-id" in params for _, params in vendor.asked)
    assert 3 <= sum("employee-id" not in params for _, params in vendor.asked)


@in_virtual_time
async def test_another_spelling_is_left_to_the_vendor():
    """Where the list has `Phone` and somebody wants `phone`, the vendor decides whether these are the same."""
    vendor = Vendor()
    vendor.book(NOON + 1, meetingType="Phone")
    vendor.book(NOON + 2, meetingType="virtual")
    async with polling(vendor) as poller:
        waiting = [ask(poller, min_count=5, meetingType=kind) for kind in ("phone", "virtual", "other")]
        await asyncio.sleep(12)
        await end(*waiting)

    assert [params.get("meetingType") for _, params in vendor.asked][:2] == [None, "phone"]


@in_virtual_time
async def test_a_meeting_is_seen_within_the_poke_interval():
    """Whoever waits learns of a meeting at most a poke interval and a request after it was made."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        slow, quick = ask(poller, interval=60), ask(poller, NOON, NOON + DAY, interval=5)
        await asyncio.sleep(100)
        loop = asyncio.get_running_loop()
        made = loop.time()
        vendor.book(NOON + HOUR)
        await quick
        after_quick = loop.time() - made
        await slow
        quick, slow = after_quick, loop.time() - made

    assert quick <= 5.2
    assert slow <= 60.2


@in_virtual_time
async def test_the_session_goes_with_the_last_waiter():
    """When nobody waits any more, nothing is asked."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        first, second = ask(poller), ask(poller, NOON, NOON + DAY)
        await asyncio.sleep(7)
        await end(first, second)
        asked = vendor.count
        await asyncio.sleep(100)
        found = vendor.count - asked

    assert found == 0


@in_virtual_time
async def test_a_refused_question_fails_only_those_who_ask_it():
    """A 400 fails at once everybody with that question, and nobody else."""
    vendor = Vendor()
    vendor.trouble = lambda request: problem(400) if "ownerId" in dict(request.params) else None
    for number in range(500):
        vendor.book(NOON + number)
    async with polling(vendor) as poller:
        bad = [ask(poller, NOON, NOON + WEEK, ownerId="bad") for _ in range(3)]
        good = ask(poller, NOON, NOON + WEEK, prospectId="p0", min_count=10**6)
        done = await asyncio.gather(*bad, return_exceptions=True)
        await asyncio.sleep(20)
        assert not good.done()
        await end(good)

    assert [type(one) for one in done] == [MeetingValidationError] * 3


@in_virtual_time
async def test_a_refused_window_fails_everybody_with_it_at_once():
    """When the wide question and one of the narrow ones are refused, all with that window fail, without asking each."""
    vendor = Vendor()
    vendor.trouble = lambda _: problem(400)
    async with polling(vendor) as poller:
        waiting = [ask(poller, prospectId=f"p{n}") for n in range(300)]
        done, count = await asyncio.gather(*waiting, return_exceptions=True), vendor.count

    assert [type(one) for one in done] == [MeetingValidationError] * 300
    assert count == 2


@in_virtual_time
async def test_a_refused_wide_question_is_nobodys_fault():
    """When only the wide question is refused, each is asked for itself and answered."""
    vendor = Vendor()
    vendor.trouble = lambda request: None if "prospectId" in dict(request.params) else problem(400)
    for number in range(10):
        vendor.book(NOON + number, prospectId=f"p{number}")
    async with polling(vendor) as poller:
        waiting = [ask(poller, prospectId=f"p{n}") for n in range(10)]
        found, count = await asyncio.wait_for(asyncio.gather(*waiting), 10), vendor.count

    assert [[one["prospectId"] for one in meetings] for meetings in found] == [[f"p{n}"] for n in range(10)]
    assert count == 11


@pytest.mark.parametrize(("status", "error"), [(401, MeetingsAuthError), (403, MeetingsPermissionError)])
@in_virtual_time
async def test_a_refused_key_fails_everybody_at_once(status, error):
    """A key that is refused, after the connection was looked up anew, fails every waiter within one poll."""
    vendor = Vendor()
    vendor.trouble = lambda _: problem(status)
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON, NOON + n * DAY + 1) for n in range(50)]
        done = await asyncio.gather(*waiting, return_exceptions=True)
        count, look_ups = vendor.count, vendor.look_ups

    assert [type(one) for one in done] == [error] * 50
    assert count == 1
    assert look_ups == (2 if status == 401 else 1)


@in_virtual_time
async def test_a_rotated_key_goes_unnoticed():
    """When the key has been rotated, a 401 has the connection looked up anew and nobody fails."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n * 2 * WEEK, NOON + n * 2 * WEEK + DAY) for n in range(9)]
        await asyncio.sleep(7)
        vendor.key = vendor.conn_key = "key-2"
        await asyncio.sleep(5)
        for n in range(9):
            vendor.book(NOON + n * 2 * WEEK)
        await asyncio.gather(*waiting)
        found = vendor.look_ups

    assert found == 2


@in_virtual_time
async def test_an_unknown_filter_fails_its_waiter_only():
    """What the vendor cannot be asked is refused on our side, for the one who asks it."""
    vendor = Vendor("builderprime")
    async with polling(vendor) as poller:
        bad, endless, good = ask(poller, nonsense=1), ask(poller, None, None), ask(poller)
        done = await asyncio.gather(bad, endless, return_exceptions=True)
        await end(good)

    assert [type(one) for one in done] == [MeetingsConfigurationError] * 2


@in_virtual_time
async def test_an_outage_is_waited_out_and_told_once_a_poll(caplog):
    """While the vendor is down a poll is one or two requests and one line, and recovery is not a stampede."""
    caplog.set_level(logging.WARNING)
    vendor = Vendor(per_minute=500, per_hour=10_000)
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n * 5 * WEEK, NOON + n * 5 * WEEK + DAY, prospectId=f"p{n}") for n in range(200)]
        await asyncio.sleep(120)
        vendor.trouble = lambda _: problem(503)
        caplog.clear()
        before = vendor.count
        await asyncio.sleep(300)
        during = vendor.count - before
        lines = [record for record in caplog.records if "next poll in" in record.message]
        vendor.trouble = lambda _: None
        await asyncio.sleep(120)
        back = [at for at, _ in vendor.asked[before + during :]]
        await end(*waiting)

    assert during <= 300 / 5 * 2
    assert during / 10 <= len(lines) <= during
    assert max(sum(at <= other < at + 1 for other in back) for at in back) <= 20
    assert len(back) > 100


@in_virtual_time
async def test_one_list_that_fails_does_not_hold_up_the_others():
    """A window that always fails is tried now and then, and the others are answered meanwhile."""
    vendor = Vendor()
    bad = str(NOON - 1)
    vendor.trouble = lambda request: problem(500) if dict(request.params)["meetingDateAfter"] == bad else None
    async with polling(vendor) as poller:
        stuck = ask(poller, NOON, NOON + DAY)
        others = [ask(poller, NOON + n * 20 * WEEK, NOON + n * 20 * WEEK + DAY) for n in range(1, 6)]
        await asyncio.sleep(60)
        for n in range(1, 6):
            vendor.book(NOON + n * 20 * WEEK)
        await asyncio.wait_for(asyncio.gather(*others), 60)
        vendor.trouble = lambda _: None
        vendor.book(NOON)
        await asyncio.wait_for(stuck, 120)


@in_virtual_time
async def test_everybody_obeys_retry_after():
    """After a 429 with Retry-After no one asks before its time, however many wait."""
    vendor = Vendor()
    hits = []

    def trouble(_):
        if vendor.count == 10:
            hits.append(asyncio.get_running_loop().time())
            return problem(429, retry_after=90)
        return None

    vendor.trouble = trouble
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n * 9 * WEEK, NOON + n * 9 * WEEK + DAY) for n in range(30)]
        await asyncio.sleep(300)
        await end(*waiting)
    hit, times = hits[0], [at for at, _ in vendor.asked]

    assert not [at for at in times if hit < at < hit + 90]
    assert [at for at in times if hit + 90 <= at < hit + 120]


@in_virtual_time
async def test_more_waiters_than_the_budget_carries_wait_evenly():
    """When not everybody can be asked for in time, everybody is asked for about as often."""
    vendor = Vendor(per_minute=60, per_hour=100_000)
    async with polling(vendor) as poller:
        waiting = [ask(poller, NOON + n * 5 * WEEK, NOON + n * 5 * WEEK + DAY, prospectId=f"p{n}") for n in range(100)]
        await asyncio.sleep(1800)
        await end(*waiting)
    often = {}
    for _, params in vendor.asked:
        often[params["meetingDateAfter"]] = often.get(params["meetingDateAfter"], 0) + 1
    times = [at for at, _ in vendor.asked]

    assert len(often) == 100
    assert max(often.values()) - min(often.values()) <= 2
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= 60


@in_virtual_time
async def test_a_connection_that_cannot_be_looked_up_is_waited_for():
    """When Airflow itself does not answer, the look-up is repeated; without such a connection, everybody fails."""
    vendor = Vendor()
    vendor.book(NOON)
    look_up, left = vendor.look_up, [3]

    async def flaky(conn_id):
        if left[0]:
            left[0] -= 1
            raise OSError("the API server is away")
        return await look_up(conn_id)

    vendor.look_up = flaky
    async with polling(vendor) as poller:
        await ask(poller)

    async def missing(_):
        raise MeetingsConfigurationError("There is no connection")

    vendor.look_up = missing
    async with polling(vendor) as poller:
        found = await asyncio.gather(ask(poller), ask(poller), return_exceptions=True)

    assert [type(one) for one in found] == [MeetingsConfigurationError] * 2


@in_virtual_time
async def test_a_cancelled_waiter_is_cancelled():
    """Cancelling one who waits ends that one, at once, and nobody else."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        one, other = ask(poller), ask(poller)
        await asyncio.sleep(1)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        vendor.book(NOON)
        await other


@in_virtual_time
async def test_a_changed_connection_is_noticed():
    """An address or a key that was changed is used after a while, without anybody failing."""
    vendor = Vendor()
    async with polling(vendor) as poller:
        waiting = ask(poller)
        await asyncio.sleep(10)
        vendor.trouble = lambda _: MeetingsTransportError("gone", maybe_sent=False)
        await asyncio.sleep(60)
        vendor.trouble = lambda _: None
        vendor.key = vendor.conn_key = "key-3"
        vendor.book(NOON)
        await asyncio.wait_for(waiting, 120)
