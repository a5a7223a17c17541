"""The sensor's three modes in a real Airflow, waiting for what is not there yet."""

import time

import pendulum
import pytest
import requests

from tests.system.conftest import RUN_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

MODES = ("poke", "reschedule", "deferrable")
WAITING = {"poke": "running", "reschedule": "up_for_reschedule", "deferrable": "deferred"}


def book_as_somebody_else(system, notes, date=None):
    """Books a meeting at HiringCenter as somebody else would."""
    account = system.ready["hiringcenter"]
    date = date or pendulum.now("UTC").add(years=1)
    meeting = {
        "prospectId": "7d0f5b8e21c94f6fb3a8d47e9c61a05d",
        "meetingDate": int(date.timestamp() * 1000),
        "timeZone": "America/New_York",
        "meetingType": "phone",
        "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
        "notes": notes,
    }
    headers = {"Authorization": f"Bearer {account['api_key']}"}
    answer = requests.post(f"{account['host']}/meetings", json=meeting, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()["item"]["id"]


def test_all_modes_wait_and_return_the_same(system):
    """Each mode waits in its own state, notices the meeting that is booked meanwhile, and returns it."""
    system.api.unpause("waits")
    run_id = system.api.trigger("waits", conf={"notes": "booked while three sensors wait"})
    seen = {mode: set() for mode in MODES}
    deadline = time.monotonic() + RUN_SECONDS
    while not all(WAITING[mode] in seen[mode] for mode in MODES) and time.monotonic() < deadline:
        assert not any("failed" in states for states in seen.values()), seen
        for task in system.api.tasks("waits", run_id):
            seen[task["task_id"]].add(task["state"])
        time.sleep(0.3)
    assert [mode for mode in MODES if WAITING[mode] not in seen[mode]] == [], seen
    for mode in ("reschedule", "deferrable"):
        system.wait_until_left("waits", run_id, mode, WAITING[mode])

    meeting_id = book_as_somebody_else(system, "booked while three sensors wait")

    assert system.api.wait_for_run("waits", run_id, seconds=RUN_SECONDS) == "success"
    found = [system.xcom("waits", mode, run_id) for mode in MODES]
    assert [[meeting_id]] * 3 == [[meeting["id"] for meeting in meetings] for meetings in found]
    assert found[0] == found[1] == found[2]


def _starts_of_workers(system, run_id, task_id):
    """How often a worker was started for a task, by what Airflow's workers say in its log."""
    return system.home.task_log("waits_in_triggerer", run_id, task_id).count("DAG bundles loaded")


def test_it_starts_in_the_triggerer(system):
    """Plain arguments: no worker is started before the meeting is there, and the ends are those of any sensor."""
    system.api.unpause("waits_in_triggerer")
    run_id = system.api.trigger("waits_in_triggerer")
    wanted = {"found": "deferred", "on_a_worker": "deferred", "in_time": "skipped"}
    wanted |= {"wrong_key": "failed", "refused": "failed"}
    system.api.wait_for_states("waits_in_triggerer", run_id, wanted, seconds=RUN_SECONDS)
    tasks = {task["task_id"]: task for task in system.api.tasks("waits_in_triggerer", run_id)}
    assert wanted.keys() == tasks.keys()
    system.wait_until_left("waits_in_triggerer", run_id, "on_a_worker")
    before = {task_id: _starts_of_workers(system, run_id, task_id) for task_id in tasks}

    meeting_id = book_as_somebody_else(system, "waits in the triggerer", pendulum.datetime(2097, 3, 4, 12))

    system.api.wait_for_run("waits_in_triggerer", run_id, seconds=RUN_SECONDS)
    found = [system.xcom("waits_in_triggerer", task_id, run_id) for task_id in ("found", "on_a_worker")]
    assert [[meeting_id]] * 2 == [[meeting["id"] for meeting in meetings] for meetings in found]
    after = {task_id: _starts_of_workers(system, run_id, task_id) for task_id in tasks}
    # One start each, for the end, and none before; the one that was told to starts twice.
    assert {"found": 0, "on_a_worker": 1, "in_time": 1, "wrong_key": 1, "refused": 1} == before
    assert before | {"found": 1, "on_a_worker": 2} == after
    assert {1} == {task["try_number"] for task in tasks.values()}
    refusal = system.home.task_log("waits_in_triggerer", run_id, "refused")
    assert "2097-03-05T00:00:00" in refusal
    assert "MeetingsConfigurationError" in refusal
    assert "MeetingsAuthError" in system.home.task_log("waits_in_triggerer", run_id, "wrong_key")
