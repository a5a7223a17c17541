"""The sensor's three modes in Airflow's own task runner: whatever happens, they end the same, under every option."""

import datetime as dt
import itertools
import json
import threading
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout

from airflow_provider_meetings.exceptions import (
    MeetingsAuthError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
)
from airflow_provider_meetings.polling.criteria import Criteria
from tests.support.sandbox import HIRINGCENTER, NOON, WRONG_KEY
from tests.support.task_runner import WAYS, in_triggerer, live, sensor_of

RUNNER = "tests.support.task_runner"
MODES = pytest.mark.parametrize("mode", WAYS)
OPTIONS = {
    "no option": {},
    "soft_fail": {"soft_fail": True},
    "never_fail": {"never_fail": True},
    "silent_fail": {"silent_fail": True},
}
EMPTY = {"status": 200, "body": json.dumps({"success": True, "items": []})}
ELSEWHERE = {"status": 302, "headers": {"location": "/elsewhere"}}
NO_SCOPE = {"status": 403, "body": json.dumps({"success": False, "error": "FORBIDDEN", "message": "no scope"})}


def _there(server, **_):
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))


def _comes_after_trouble(server, **_):
    server.fault("answer", times=1, **EMPTY)
    server.fault("status", status=503, times=2)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))


def _never_comes(**_):
    pass


def _nothing_but_trouble(server, **_):
    server.fault("status", status=502, times=None)


def _wrong_key(connect, **_):
    connect(HIRINGCENTER, max_attempts=1, password=WRONG_KEY)


def _scope_lost_later(server, **_):
    server.fault("answer", skip=1, times=None, **NO_SCOPE)


def _wrong_address(server, **_):
    server.fault("answer", times=None, **ELSEWHERE)


def _bug(monkeypatch, calls):
    """Have the one predicate of all modes raise at some of its calls."""
    right, counter = Criteria.satisfied_by, itertools.count(1)

    def satisfied_by(self, meetings):
        if next(counter) in calls:
            raise RuntimeError("a bug")
        return right(self, meetings)

    monkeypatch.setattr(Criteria, "satisfied_by", satisfied_by)


def _bug_at_once(server, monkeypatch, **_):
    _bug(monkeypatch, {1})
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))


def _bug_later(server, monkeypatch, **_):
    _bug(monkeypatch, {2})
    server.fault("answer", times=2, **EMPTY)
    server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))


SUCCESS, SKIPPED, RETRY = ("success", None), ("skipped", None), "up_for_retry"
LATE = ("failed", AirflowSensorTimeout)
ENDS = {
    # what happens: the state and the error with no option, soft_fail, never_fail and silent_fail
    _there: [SUCCESS] * 4,
    _comes_after_trouble: [SUCCESS] * 4,
    _never_comes: [LATE, SKIPPED, SKIPPED, LATE],
    _nothing_but_trouble: [LATE, SKIPPED, SKIPPED, LATE],
    _wrong_key: [("failed", MeetingsAuthError)] * 4,
    _scope_lost_later: [("failed", MeetingsPermissionError)] * 4,
    _wrong_address: [(RETRY, MeetingsProtocolError), (RETRY, MeetingsProtocolError), SKIPPED, LATE],
    _bug_at_once: [(RETRY, Exception), (RETRY, Exception), SKIPPED, SUCCESS],
    _bug_later: [(RETRY, Exception), (RETRY, Exception), SKIPPED, SUCCESS],
}
QUICK = {_never_comes, _nothing_but_trouble, _wrong_address}


@MODES
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("happens", ENDS, ids=lambda happens: happens.__name__.strip("_").replace("_", " "))
def test_the_same_end(server, connect, monkeypatch, mode, option, happens):  # noqa: PLR0917 - fixtures
    """A value, a timeout, trouble that passes, an error that does not, and a bug: each mode ends in the same state."""
    connect(HIRINGCENTER, max_attempts=1)
    happens(server=server, connect=connect, monkeypatch=monkeypatch)
    state, error = ENDS[happens][list(OPTIONS).index(option)]

    outcome = live(monkeypatch, mode, timeout=0.8 if happens in QUICK else 20, **OPTIONS[option])

    assert state == outcome.state
    if error is None or state == "skipped":
        assert not isinstance(outcome.error, MeetingsError)
    else:
        assert isinstance(outcome.error, error)
    if state == "success":
        assert [NOON] == [meeting["meetingDate"] for meeting in outcome.value]
    else:
        assert outcome.value is None


def test_the_same_value(server, connect, monkeypatch):
    """All modes return one and the same value, whole, plain and in the vendor's order."""
    connect(HIRINGCENTER)
    server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON + number, notes=f"n{number}") for number in range(5)))
    first, *others = [live(monkeypatch, mode, min_count=3).value for mode in WAYS]

    assert ["n0", "n1", "n2", "n3", "n4"] == sorted(meeting["notes"] for meeting in first)
    assert [first, first] == others


@MODES
def test_options_that_exclude_each_other_are_refused(mode):
    """Airflow's sensors cannot have both `soft_fail` and `never_fail`, in no mode."""
    with pytest.raises(ValueError, match="mutually exclusive"):
        sensor_of(mode, soft_fail=True, never_fail=True)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "timed out", "meetings": []}], ids=repr)
def test_a_foreign_event_fails_closed(connect, monkeypatch, option, event):
    """An event that is none of ours fails the task, without a retry and under every option."""
    connect(HIRINGCENTER)
    monkeypatch.setattr(f"{RUNNER}.in_triggerer", lambda *_: (None, {"event": event}))

    outcome = live(monkeypatch, "deferrable", **OPTIONS[option])

    assert outcome.state == "failed"
    assert isinstance(outcome.error, MeetingsProtocolError)


# -- the deadline


@MODES
def test_the_timeout_is_kept(server, connect, monkeypatch, mode):
    """The wait takes as long as the timeout, and the task is not retried."""
    connect(HIRINGCENTER)
    before = time.monotonic()
    outcome = live(monkeypatch, mode, timeout=2)

    assert outcome.state == "failed"
    assert time.monotonic() - before >= 2
    assert len(server.journal()) >= 2


@pytest.mark.parametrize(("option", "state"), [({}, "failed"), ({"soft_fail": True}, "skipped")])
def test_airflows_own_sweep_ends_it_the_same_way(connect, monkeypatch, option, state):
    """When Airflow notices first that the time in the triggerer is over, that is the sensor's timeout as well."""
    connect(HIRINGCENTER)
    monkeypatch.setattr(f"{RUNNER}.in_triggerer", lambda *_: ("__fail__", {"error": "Trigger timeout"}))

    outcome = live(monkeypatch, "deferrable", **option)

    assert state == outcome.state
    assert state == "skipped" or isinstance(outcome.error, AirflowSensorTimeout)


EXECUTION = dt.timedelta(seconds=0.6)
WAITS_ON = pytest.mark.parametrize("mode", ["poke", "deferrable"])


@WAITS_ON
@pytest.mark.parametrize("option", OPTIONS)
def test_an_execution_timeout_ends_the_try(connect, monkeypatch, mode, option):
    """On a worker and in the triggerer it ends the whole wait, is retried or skipped, and says which time is over."""
    connect(HIRINGCENTER)
    before = time.monotonic()
    outcome = live(monkeypatch, mode, timeout=20, execution_timeout=EXECUTION, **OPTIONS[option])

    assert 0.6 <= time.monotonic() - before < 10
    if option in {"soft_fail", "never_fail"}:
        assert outcome.state == "skipped"
    else:
        assert outcome.state == RETRY
        assert isinstance(outcome.error, AirflowTaskTimeout)
        assert "execution_timeout is over: there was no such meeting within 0.6 s" in str(outcome.error)


@WAITS_ON
def test_a_timeout_that_is_shorter_than_the_execution_timeout(connect, monkeypatch, mode):
    """The shorter of the two ends the wait, in its own way."""
    connect(HIRINGCENTER)
    outcome = live(monkeypatch, mode, timeout=0.6, execution_timeout=dt.timedelta(seconds=20))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, AirflowSensorTimeout)


def test_in_reschedule_mode_an_execution_timeout_is_of_one_look(connect, monkeypatch):
    """Airflow counts it anew with each look, so it is the sensor's own timeout that ends the wait."""
    connect(HIRINGCENTER)
    outcome = live(monkeypatch, "reschedule", timeout=3, execution_timeout=dt.timedelta(seconds=2))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, AirflowSensorTimeout)


@pytest.mark.parametrize(("option", "state"), [({}, RETRY), ({"soft_fail": True}, "skipped")])
def test_airflows_own_sweep_keeps_an_execution_timeout(connect, monkeypatch, option, state):
    """A sensor that has started in the triggerer is ended there by Airflow: the words are those of the shorter time."""
    connect(HIRINGCENTER)
    monkeypatch.setattr(f"{RUNNER}.in_triggerer", lambda *_: ("__fail__", {"error": "Trigger timeout"}))

    outcome = live(monkeypatch, "deferrable", timeout=120, execution_timeout=dt.timedelta(seconds=15), **option)

    assert state == outcome.state
    assert state == "skipped" or "within 15 s" in str(outcome.error)


def test_a_deferral_after_a_deferral_has_the_time_that_is_left(connect, monkeypatch):
    """A sensor that waits on after a failure of its trigger has one deadline from its first start, not a new one."""
    connect(HIRINGCENTER)
    monkeypatch.setattr(f"{RUNNER}.in_triggerer", lambda *_: time.sleep(1) or ("__fail__", {"error": "lost"}))

    outcome = live(monkeypatch, "deferrable", silent_fail=True, timeout=4)
    deadlines = [deferral.trigger_kwargs["deadline"] for deferral in outcome.deferrals]
    left = [deferral.trigger_timeout for deferral in outcome.deferrals]

    assert 2 <= len(deadlines) <= 4
    delays = [deferral.trigger_kwargs["initial_delay"] for deferral in outcome.deferrals]
    assert [0.0, *[0.05] * (len(deadlines) - 1)] == delays
    assert {deadlines[0]} == set(deadlines)
    assert all(earlier - later >= dt.timedelta(seconds=1) for earlier, later in itertools.pairwise(left))
    assert isinstance(outcome.error, AirflowSensorTimeout)


def test_a_restarted_triggerer_keeps_the_deadline(connect):
    """A trigger that is made anew, from what is stored, ends at the moment that was fixed when the task deferred."""
    connect(HIRINGCENTER)
    arguments = {
        "meetings_conn_id": "meetings",
        "poke_interval": 60,
        "window_start": NOON,
        "window_end": NOON + 1,
        "deadline": time.time() + 4,
    }
    path = "airflow_provider_meetings.triggers.meetings.MeetingsTrigger"
    first = in_triggerer(path, arguments, 0.3)
    again = in_triggerer(path, arguments, 20)

    assert first == ("__fail__", {"error": "Trigger timeout"})
    assert again == (None, {"event": {"status": "timed out"}})
    assert time.time() >= arguments["deadline"]


def test_what_comes_while_the_task_is_deferred_is_found(server, connect, monkeypatch):
    """A deferred task is resumed with the meeting that somebody booked meanwhile: two starts of a worker in all."""
    connect(HIRINGCENTER)

    def book():
        while not server.journal():  # the worker has asked, and goes
            time.sleep(0.05)
        server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON))

    booking = threading.Thread(target=book)
    booking.start()
    outcome = live(monkeypatch, "deferrable")
    booking.join()

    assert (outcome.state, outcome.starts, len(outcome.deferrals)) == ("success", 2, 1)
