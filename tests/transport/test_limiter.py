"""The rate limit in an event loop, over real sockets."""

import asyncio
import time

from airflow_provider_meetings.transport.limiter import limiter_for
from tests.support.sandbox import EMPTY_LIST, HIRINGCENTER, WINDOW, Tiny, answering, hook_to, reply


def test_lists_in_an_event_loop_share_the_budget_of_their_account():
    """Those who list by themselves keep the vendor's limit, as all who wait in that loop do."""
    seen = []

    async def many(hook, count):
        for _ in range(count):
            assert [meeting async for meeting in hook.alist_meetings(*WINDOW)] == []
        return limiter_for(hook._settings, hook._vendor.rate_limits)

    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, timeout=10, rate_limit_per_minute=60, rate_limit_per_hour=100_000)

        async def both():
            # 60 a minute: the triggerer's part is 48, a fifth of which may be used at once.
            await asyncio.gather(many(hook, 5), many(hook, 4))
            begun = time.monotonic()
            limiter = await many(hook, 1)
            return time.monotonic() - begun, limiter.wait(asyncio.get_running_loop().time())

        took, wait = asyncio.run(both())
    assert len(seen) == 10
    assert took > 0.5
    assert wait > 0


def test_a_list_in_an_event_loop_listens_to_the_vendor():
    """Where nothing is left of the window, the next one waits for its end."""
    body = EMPTY_LIST["hiringcenter"].partition(b"\r\n\r\n")[2]
    empty = reply("200 OK", body, "RateLimit-Limit: 500", "RateLimit-Remaining: 0", "RateLimit-Reset: 1")
    with Tiny(answering(empty)) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, timeout=10)

        async def two():
            assert [meeting async for meeting in hook.alist_meetings(*WINDOW)] == []
            begun = time.monotonic()
            assert [meeting async for meeting in hook.alist_meetings(*WINDOW)] == []
            return time.monotonic() - begun

        assert asyncio.run(two()) > 0.9
