"""The event loop stays free while a thousand wait, measured in work done, not in time: on whatever busy machine."""

import asyncio
import contextlib
import gc
import json
import time

import pytest

from airflow_provider_meetings.triggers.meetings import MeetingsTrigger
from tests.support.sandbox import DAY, HIRINGCENTER, NOON


async def _first(trigger):
    async for event in trigger.run():
        return event.payload
    return None


async def _blocks(seconds, most=0.05):
    """Count the times that the loop did not come round for so long, by the CPU that this process used meanwhile."""
    blocked, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        # Time that another process had does not count: this one used no CPU then.
        before = time.thread_time()
        await asyncio.sleep(0.005)
        used = time.thread_time() - before
        if used > most:
            blocked.append(used)
    return blocked


@pytest.mark.parametrize("how", ["windows", "prospects"])
def test_a_thousand_waiters_never_block_the_loop(server, connect, how):
    """No turn of the event loop takes more than 50 ms of work, neither while they come nor when all are answered."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, *({"meetingDate": NOON + n * 400_000, "prospectId": f"p{n}"} for n in range(1000)))

    def trigger(number):
        start, prospect = NOON, {"prospectId": f"p{number}"}
        question = {"filters": prospect}
        if how == "windows":
            start, question = NOON + number % 20, {"match": prospect}
        question |= {"window_start": start, "window_end": NOON + 7 * DAY}
        return MeetingsTrigger(meetings_conn_id="meetings", poke_interval=1, **question)

    async def main():
        # What is imported at the first look-up is long there in a triggerer.
        await asyncio.wait_for(_first(trigger(900)), 60)
        server.control("DELETE", "/journal")
        tasks, watch = [], asyncio.create_task(_blocks(6))
        for number in range(1000):
            tasks.append(asyncio.create_task(_first(trigger(number))))
            if not number % 50:
                await asyncio.sleep(0)
        blocked = await watch
        answers = await asyncio.wait_for(asyncio.gather(*tasks), 120)
        return blocked, answers

    blocked, answers = _run(main())
    prospects = [json.loads(json.dumps(one))["meetings"][0]["prospectId"] for one in answers]

    assert prospects == [f"p{number}" for number in range(1000)]
    assert not blocked
    assert len(server.journal()) < 60


def _run(main):
    """Run it with nothing frozen, as a triggerer starts: a burst freezes what is there by itself."""
    gc.unfreeze()
    gc.collect()
    try:
        return asyncio.run(main)
    finally:
        gc.unfreeze()  # its loop ends before the burst does


TROUBLE = {
    "well": None,
    "429": {"action": "ratelimit", "retry_after": 5},
    "down": {"action": "reset"},
    "refusing the key": {"action": "status", "status": 401, "html": False},
}


@pytest.mark.parametrize("state", TROUBLE)
def test_five_thousand_who_come_at_once_never_block_the_loop(server, connect, state):
    """All are started in one turn of the loop, the first second counts, and the vendor is well or not."""
    count = 5000
    connect(HIRINGCENTER, max_attempts=1)
    rule = TROUBLE[state]

    def trigger(number):
        question = {"window_start": NOON, "window_end": NOON + 7 * DAY, "filters": {"prospectId": f"p{number}"}}
        return MeetingsTrigger(meetings_conn_id="meetings", poke_interval=1, **question)

    async def main():
        # What is imported at the first look-up is long there in a triggerer.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_first(trigger(-1)), 1)
        if rule is not None:
            server.fault(rule["action"], times=None, **{name: rule[name] for name in rule if name != "action"})
        triggers = [trigger(number) for number in range(count)]
        tasks = [asyncio.create_task(_first(one)) for one in triggers]
        blocked = await _blocks(3)
        ended = sum(task.done() for task in tasks)
        # A triggerer cancels one after the other, too.
        for number, task in enumerate(tasks):
            task.cancel()
            if not number % 50:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        return blocked, ended

    blocked, ended = _run(main())
    assert not blocked
    assert ended == (count if state == "refusing the key" else 0)
    assert len(server.journal()) < 60
