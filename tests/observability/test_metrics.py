"""The numbers: what is counted for a request, a wait and a meeting, in the worker and in the triggerer."""

import contextlib
import datetime as dt

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError
from airflow_provider_meetings.observability import airflow_stats as telemetry
from airflow_provider_meetings.observability.metrics import METRICS, Metrics
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    UpdateMeetingOperator,
)
from tests.support.operators import CONN, context_of, run
from tests.support.sandbox import HIRINGCENTER, WAYS, WINDOW, Tiny, answering, hook_to, reply
from tests.support.stats import Book
from tests.support.store import StateStore


@pytest.fixture
def book(monkeypatch):
    """Keep the numbers of all hooks of this test."""
    kept = Book()
    monkeypatch.setattr(telemetry, "Stats", kept)
    yield kept
    for stat, tags in [*kept.counted, *((stat, tags) for stat, _, tags in kept.timed)]:
        assert {"vendor", "conn_id", *METRICS[stat].tags} == set(tags), stat
    assert {"counter"} >= {METRICS[stat].kind for stat, _ in kept.counted}
    assert {"timer"} >= {METRICS[stat].kind for stat, _, _ in kept.timed}


# -- requests


@WAYS
def test_a_request_is_counted_and_timed(server, kind, book, listed):
    """Once, with its method and the class of its status."""
    listed(server.hook(kind), *WINDOW)
    tags = {"vendor": kind.name, "conn_id": "meetings", "method": "GET", "status": "2xx"}
    assert [("meetings.requests", tags)] == book.counted
    assert [("meetings.request_duration", tags)] == [(stat, found) for stat, _, found in book.timed]
    assert 0 < book.seconds("meetings.request_duration")[0] < 10


@WAYS
def test_a_repeat_is_a_retry(server, kind, book, listed):
    """Each send is a request, each but the first a retry."""
    server.fault("status", match={"vendor": kind.name}, status=503, times=2)
    listed(server.hook(kind), *WINDOW)
    assert book.count("meetings.requests", status="5xx") == 2
    assert book.count("meetings.requests", status="2xx") == 1
    assert book.count("meetings.retries", method="GET") == 2
    assert book.count("meetings.rate_limit_waits") == 0


@WAYS
def test_a_request_without_an_answer_is_counted(kind, book, listed):
    """Nobody answers, or nobody's answer can be read: there is no status, but a duration."""
    with Tiny(lambda sock, _: sock.close()) as tiny, pytest.raises(MeetingsTransportError):
        listed(hook_to(kind, tiny.url), *WINDOW)
    assert book.count("meetings.requests", status="none") == 1
    assert len(book.seconds("meetings.request_duration")) == 1


@WAYS
def test_a_wait_after_a_429_is_a_wait_for_the_rate_limit(server, kind, book, listed):
    """With its seconds; that the same request follows is a retry as well."""
    server.fault("ratelimit", match={"vendor": kind.name}, retry_after=0, times=1)
    listed(server.hook(kind), *WINDOW)
    assert book.count("meetings.requests", status="4xx") == 1
    assert book.count("meetings.retries") == 1
    # The triggerer's limiter lets nothing through for a moment after a 429, beside the wait that the vendor asked for.
    waits = book.count("meetings.rate_limit_waits")
    assert waits in {1, 2}
    assert len(book.seconds("meetings.rate_limit_wait")) == waits


def test_the_worker_s_manners_are_waits_for_the_rate_limit(book):
    """An answer that leaves nothing of the window: the next request waits, and that is counted."""
    empty = reply(
        "200 OK",
        b'{"success": true, "items": [], "pagination": {}}',
        "RateLimit-Remaining: 0",
        "RateLimit-Reset: 1",
    )
    with Tiny(answering(empty)) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, max_attempts=2)
        for _ in range(2):
            list(hook.list_meetings(*WINDOW))
    assert book.count("meetings.rate_limit_waits") == 1
    assert 0 < book.seconds("meetings.rate_limit_wait")[0] <= 1


def test_a_deferral_for_the_rate_limit_is_counted(server, kind, connect, book):
    """Longer than a worker may sleep: the slot is freed, and the wait has the length that was asked for."""
    connect(kind, max_wait=1)
    server.fault("ratelimit", match={"vendor": kind.name}, retry_after=500, times=1)
    with pytest.raises(TaskDeferred):
        run(GetMeetingOperator(task_id="get", meeting_id="4711", **CONN))
    assert book.count("meetings.rate_limit_waits") == 1
    assert [500] == book.seconds("meetings.rate_limit_wait")


def test_nobody_has_to_keep_them():
    """Without a keeper nothing is kept, and nothing is looked up either."""
    metrics = Metrics()
    metrics.request("GET", 2, 0.5, 200)
    metrics.rate_limited(1)
    metrics.event("no such thing is looked up")
    assert metrics.stats is None


# -- meetings


def test_each_end_of_a_task_is_counted(kind, connect, book):
    """Created, unchanged, updated by a try that asks for something else, changed, deleted, gone: once each."""
    connect(kind)
    store = StateStore()
    for meeting in (kind.meeting(), kind.meeting(), kind.meeting(location="There")):
        operator = CreateMeetingOperator(task_id="create", meeting=meeting, **CONN)
        made = run(operator, context_of("create", store=store))
    for name in ("created", "unchanged", "updated"):
        assert book.count(f"meetings.{name}", vendor=kind.name, conn_id="meetings") == 1, name
    run(UpdateMeetingOperator(task_id="move", meeting_id=made["id"], changes={"location": "Here"}, **CONN))
    assert book.count("meetings.updated") == 2
    for task_id in ("one", "two"):
        run(DeleteMeetingOperator(task_id=task_id, meeting_id=made["id"], **CONN))
    assert [1, 1] == [book.count(f"meetings.{name}") for name in ("deleted", "gone")]
    assert [0, 0] == [book.count(f"meetings.{name}") for name in ("adopted", "settled")]


def test_what_was_settled_and_adopted_is_counted(server, kind, connect, book):
    """A try that never saw the answer to its create, and the one that finds the meeting."""
    connect(kind, timeout=2, max_attempts=1, max_wait=0)
    store = StateStore()
    operator = CreateMeetingOperator(task_id="create", meeting=kind.meeting(), **CONN)
    server.fault("reset", match={"vendor": kind.name, "method": "POST"}, when="after", times=1)
    # what this try comes to is not the point: without patience it fails, or defers until the request is lost
    with contextlib.suppress(MeetingsError, TaskDeferred):
        run(operator, context_of("create", store=store))
    assert len(server.meetings(kind)) == 1
    connect(kind, timeout=2, max_wait=30)
    run(operator, context_of("create", store=store, try_number=2))
    assert book.count("meetings.settled", vendor=kind.name) == 1
    # Builder Prime's is settled by the try that sent it, which then has created it; HiringCenter's by the next.
    assert book.count("meetings.adopted") + book.count("meetings.created") == 1


def test_airflow_s_stats_take_them(server, kind):
    """The real one, without a backend: names, tags and durations are what it accepts."""
    hook = server.hook(kind)
    assert hook.metrics.stats is telemetry.Stats
    for name, metric in METRICS.items():
        tags = dict.fromkeys(("vendor", "conn_id", *metric.tags), "x")
        if metric.kind == "counter":
            telemetry.Stats.incr(name, tags=tags)
        else:
            telemetry.Stats.timing(name, dt.timedelta(seconds=1), tags=tags)
