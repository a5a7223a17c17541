"""The sensor's three modes in a real Airflow, waiting for what is not there yet."""

import time

import pendulum
import pytest
import requests

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

MODES = ("poke", "reschedule", "deferrable")
WAITING = {"poke": "running", "reschedule": "up_for_reschedule", "deferrable": "deferred"}


def book_as_somebody_else(system, notes):
    """Books a meeting at HiringCenter as somebody else would."""
    account = system.ready["hiringcenter"]
    meeting = {
        "prospectId": "7d0f5b8e21c94f6fb3a8d47e9c61a05d",
        "meetingDate": int(pendulum.now("UTC").add(years=1).timestamp() * 1000),
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
    deadline = time.monotonic() + 90
    while not all(WAITING[mode] in seen[mode] for mode in MODES) and time.monotonic() < deadline:
        assert not any("failed" in states for states in seen.values()), seen
        for task in system.api.tasks("waits", run_id):
            seen[task["task_id"]].add(task["state"])
        time.sleep(0.3)
    assert [mode for mode in MODES if WAITING[mode] not in seen[mode]] == [], seen

    meeting_id = book_as_somebody_else(system, "booked while three sensors wait")

    assert system.api.wait_for_run("waits", run_id, seconds=120) == "success"
    found = [system.xcom("waits", mode, run_id) for mode in MODES]
    assert [[meeting_id]] * 3 == [[meeting["id"] for meeting in meetings] for meetings in found]
    assert found[0] == found[1] == found[2]
