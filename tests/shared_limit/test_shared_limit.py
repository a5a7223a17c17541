"""A rate limit that processes share over Redis; `make test-shared-limit` tries it with a real one."""

import asyncio
import logging
import socket
import sys

import pytest
from limits.storage import MemoryStorage

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsRateLimitError
from airflow_provider_meetings.transport import shared_limit
from airflow_provider_meetings.transport.limiter import RateLimitedGate
from airflow_provider_meetings.transport.shared_limit import SharedLimit, shared_limit_for
from tests.support.sandbox import EMPTY_LIST, HIRINGCENTER, NOON, WAYS, WINDOW, Tiny, answering, hook_to

PASSWORD = "canary-redis-31"
SHARED = {"rate_limit_redis_dsn": "redis://redis.invalid:6379/1", "rate_limit_per_minute": 3, "timeout": 5}


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    monkeypatch.setattr(shared_limit, "_limits", {})


@pytest.fixture
def memory(monkeypatch):
    """What is written to Redis is written to this process's memory."""
    storage = MemoryStorage()
    monkeypatch.setattr("limits.storage.RedisStorage", lambda *_, **__: storage)
    return storage


@pytest.mark.usefixtures("memory")
def test_what_is_too_much_is_not_sent():
    """Two hooks, as in two workers, have three requests a minute together; the error says when to try again."""
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hooks = [hook_to(HIRINGCENTER, tiny.url, max_wait=0, **SHARED) for _ in range(2)]
        for hook in (hooks[0], hooks[1], hooks[0]):
            assert [] == list(hook.list_meetings(*WINDOW))
        sent = []
        monitor = hooks[1]._transport._perform
        hooks[1]._transport._perform = lambda request: sent.append(request) or monitor(request)
        with pytest.raises(MeetingsRateLimitError) as caught:
            list(hooks[1].list_meetings(*WINDOW))
        assert [] == sent
        for hook in hooks:
            hook.get_conn().close()
    assert (429, "GET", "/meetings") == (caught.value.status, caught.value.method, caught.value.path)
    assert 0 < caught.value.retry_after <= 70


@pytest.mark.usefixtures("memory")
def test_a_create_that_is_held_back_has_not_happened():
    """The next try need not find out what became of it."""
    meeting = {"prospectId": "p" * 32, "ownerId": "o" * 32, "meetingDate": NOON, "timeZone": "UTC"}
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, max_wait=0, **SHARED)
        for _ in range(3):
            list(hook.list_meetings(*WINDOW))
        with pytest.raises(MeetingsRateLimitError) as caught:
            hook.create_meeting(meeting | {"meetingType": "phone"})
        hook.get_conn().close()
    assert not getattr(caught.value, "maybe_sent", False)


def test_who_may_wait_waits(memory, monkeypatch):
    """The time comes when the oldest request leaves the window; each wait is in the log."""
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        memory.reset()

    monkeypatch.setattr("airflow_provider_meetings.transport.sync.time.sleep", sleep)
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, max_wait=100, **SHARED)
        for _ in range(4):
            assert [] == list(hook.list_meetings(*WINDOW))
        hook.get_conn().close()
    assert 1 == len(waits)
    assert 0 < waits[0] <= 63


@WAYS
def test_where_redis_is_away_requests_go_on_with_one_warning(listed, capfd):
    """Nothing depends on it, and its password is in no line."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    away = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, **SHARED | {"rate_limit_redis_dsn": away})
        for _ in range(5):
            assert [] == listed(hook, *WINDOW)
    printed = "".join(capfd.readouterr())
    assert 1 == printed.count("go on without a shared rate limit")
    assert PASSWORD not in printed
    assert PASSWORD in hook._settings.secrets


@pytest.mark.usefixtures("memory")
def test_an_outage_is_told_again_after_a_recovery(caplog):
    """Each outage has its warning, and is not looked into for half a minute."""
    now = [0.0]
    limit = SharedLimit(
        "redis://redis.invalid",
        "account",
        ((100, 60.0),),
        log=logging.getLogger("shared"),
        conn_id="meetings",
        clock=lambda: now[0],
    )
    broken = pytest.MonkeyPatch()
    for _ in range(2):
        broken.setattr(MemoryStorage, "acquire_entry", lambda *_, **__: 1 / 0)
        for second in (0, 1, 31):
            now[0] += second
            assert limit.take() == 0
        broken.undo()
        now[0] += 31
        assert limit.take() == 0
    assert 2 == sum("(ZeroDivisionError)" in record.getMessage() for record in caplog.records)


async def test_the_triggerer_waits_for_its_turn():
    """After its own budget has let a request through, the one that all share has the last word."""

    class Budget:
        def take(self, _now):
            return 0.0

    waits = [0.01, 0.02, 0.0]

    class Shared:
        def take(self):
            return waits.pop(0)

    gate = RateLimitedGate(Budget(), asyncio.get_running_loop().time, Shared())
    assert pytest.approx(0.03) == await gate.enter(None)


def test_without_the_extra_nothing_is_imported_or_counted(monkeypatch):
    """A connection that does not ask for it needs no package."""
    monkeypatch.setitem(sys.modules, "limits", None)
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, timeout=5)
        assert [] == list(hook.list_meetings(*WINDOW))
        hook.get_conn().close()
        assert shared_limit_for(hook._settings, hook.log) is None


@WAYS
def test_a_package_that_is_missing_is_named(listed, monkeypatch):
    """Before anything is sent."""
    monkeypatch.setitem(sys.modules, "limits", None)
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        with pytest.raises(MeetingsConfigurationError, match=r"airflow-provider-meetings\[redis\]"):
            listed(hook_to(HIRINGCENTER, tiny.url, **SHARED), *WINDOW)
        assert tiny.accepted == 0


@pytest.mark.parametrize("address", ["redis", "http://redis:6379", f"redis://:{PASSWORD}@", 7, ["redis://a"]])
def test_a_wrong_address_is_refused_without_being_repeated(address):
    """It may hold a password."""
    with pytest.raises(
        MeetingsConfigurationError, match="`rate_limit_redis_dsn` must be the address of a Redis"
    ) as caught:
        list(hook_to(HIRINGCENTER, "https://api.example", rate_limit_redis_dsn=address).list_meetings(*WINDOW))
    assert PASSWORD not in str(caught.value)
