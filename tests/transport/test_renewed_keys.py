"""A key that is renewed while a worker reads; and the rate limit of those who list by themselves in an event loop."""

import asyncio
import json
import time

import pytest

from airflow_provider_meetings.exceptions import MeetingsAuthError
from airflow_provider_meetings.hooks.resolve import hook_for
from airflow_provider_meetings.transport.limiter import limiter_for
from tests.support.sandbox import (
    BUILDERPRIME,
    EMPTY_LIST,
    HIRINGCENTER,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    hook_to,
    listed_by_worker,
    one_meeting,
    read_request,
    reply,
)

OLD, NEW = "old-key-canary-11", "new-key-canary-22"
REFUSALS = {
    "hiringcenter": [reply("401 Unauthorized", b'{"error": "Unauthorized", "message": "no key KEY"}')],
    "builderprime": [
        reply(
            f"{status} X",
            b'{"success": false, "errors": [{"code": "API_GENERAL", "message": "Unauthorized: Invalid key"}]}',
        )
        for status in (401, 400, 200)
    ],
}
CASES = [(kind, refusal) for kind in (HIRINGCENTER, BUILDERPRIME) for refusal in REFUSALS[kind.name]]
REFUSED = pytest.mark.parametrize(("kind", "refusal"), CASES, ids=lambda value: str(value)[:25])


@pytest.fixture
def renewing(monkeypatch):
    """Set the connection, whose key is another one from the first refusal on; returns a maker of servers."""

    def make(kind, refusal, *, accepts=NEW, found=NEW, moved="", seen=None):
        seen = [] if seen is None else seen

        def connection(key, url):
            suffix = "/v2" if kind is HIRINGCENTER else "/api"
            extra = {"timeout": 10, "max_attempts": 1}
            conn = {"conn_type": kind.name, "host": url + suffix, "password": key, "extra": json.dumps(extra)}
            monkeypatch.setenv("AIRFLOW_CONN_RENEWED", json.dumps(conn))

        def serve(sock, _number):
            while (request := read_request(sock)) is not None:
                seen.append(request)
                if accepts.encode() in request:
                    listing = b"/7 " not in request.split(b"\r\n")[0] and request.startswith(b"GET")
                    sock.sendall(EMPTY_LIST[kind.name] if listing else one_meeting(kind))
                else:
                    connection(found, moved or tiny.url)
                    sock.sendall(refusal.replace(b"KEY", b"***"))

        tiny = Tiny(serve)
        connection(OLD, tiny.url)
        return tiny, seen

    return make


def keys(seen):
    """Return which key each request had."""
    return ["new" if NEW.encode() in request else "old" for request in seen]


@WAYS
@REFUSED
def test_a_list_goes_on_with_the_new_key(renewing, kind, refusal, listed):
    """A 401 in the middle: the connection is looked up once more before it is given up, beyond the attempts."""
    tiny, seen = renewing(kind, refusal)
    with tiny:
        assert [] == listed(hook_for("renewed"), *WINDOW)
    assert keys(seen)[0] == "old"
    assert set(keys(seen)[1:]) == {"new"}


@REFUSED
def test_a_get_goes_on_with_the_new_key(renewing, kind, refusal):
    """Each read of a worker does, and the calls after it; get_conn() has the new key, too."""
    tiny, seen = renewing(kind, refusal)
    with tiny:
        hook = hook_for("renewed")
        assert hook.get_meeting(7)["id"] == 7
        assert hook.get_meeting(7)["id"] == 7
        hook.get_conn().get(tiny.url, timeout=10)
        hook.get_conn().close()
    assert keys(seen) == ["old", "new", "new", "new"]


@WAYS
@REFUSED
def test_a_key_that_stays_is_given_up(renewing, kind, refusal, listed):
    """One look-up, no second request."""
    tiny, seen = renewing(kind, refusal, found=OLD)
    with tiny, pytest.raises(MeetingsAuthError):
        listed(hook_for("renewed"), *WINDOW)
    assert len(seen) == 1


@WAYS
@REFUSED
def test_a_new_key_that_is_refused_too_is_given_up(renewing, kind, refusal, listed):
    """It is sent with once."""
    tiny, seen = renewing(kind, refusal, accepts="nobody")
    with tiny, pytest.raises(MeetingsAuthError) as caught:
        listed(hook_for("renewed"), *WINDOW)
    assert keys(seen) == ["old", "new"]
    assert NEW not in str(caught.value)


@WAYS
def test_a_new_key_is_not_repeated_by_an_error(renewing, listed):
    """Where the vendor says it back."""
    tiny, _ = renewing(HIRINGCENTER, reply("401 X", b'{"error": "no", "message": "no %s"}' % NEW.encode()), accepts="x")
    with tiny, pytest.raises(MeetingsAuthError) as caught:
        listed(hook_for("renewed"), *WINDOW)
    assert NEW not in str(caught.value) + repr(caught.value.__dict__)


@WAYS
@REFUSED
def test_another_host_is_another_account(renewing, kind, refusal, listed):
    """A list is not begun in one account and ended in another."""
    with Tiny(answering(EMPTY_LIST[kind.name])) as other:
        tiny, seen = renewing(kind, refusal, moved=other.url)
        with tiny, pytest.raises(MeetingsAuthError):
            listed(hook_for("renewed"), *WINDOW)
        assert other.accepted == 0
    assert len(seen) == 1


@REFUSED
def test_a_write_is_not_sent_again(renewing, kind, refusal):
    """Whatever the connection says by now: a create, an update and a delete fail, and the next try has the new key."""
    writes = [
        lambda hook: hook.create_meeting(kind.meeting()),
        lambda hook: hook.update_meeting(7, {"location": "Zoom"}),
        lambda hook: hook.delete_meeting(7),
    ]
    for write in writes:
        tiny, seen = renewing(kind, refusal)
        with tiny, pytest.raises(MeetingsAuthError):
            write(hook_for("renewed"))
        assert [request for request in seen if not request.startswith(b"GET")] == seen[:1]
        assert len(seen) == 1


def test_a_connection_that_is_gone_is_no_other_error(renewing, monkeypatch):
    """The refusal is the error."""
    tiny, _ = renewing(HIRINGCENTER, REFUSALS["hiringcenter"][0])
    with tiny:
        hook = hook_for("renewed")
        assert hook._settings.api_key == OLD
        monkeypatch.setattr(type(hook), "get_connection", lambda *_: 1 / 0)
        with pytest.raises(MeetingsAuthError):
            listed_by_worker(hook, *WINDOW)


# -- the rate limit


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
