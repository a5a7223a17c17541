"""The logs of failed tasks, as an on-call person reads them: what is wrong, and what to do."""

import time

import pytest

from demo.run import start_runs
from tests.system.conftest import WRONG_KEY

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.mark.parametrize(
    ("task_id", "words"),
    [
        ("hiringcenter_wrong_key", ["401", "GET", "/meetings", "hiringcenter_wrong_key", "API key"]),
        ("builderprime_wrong_key", ["401", "GET", "/meetings/v1", "builderprime_wrong_key", "Invalid key"]),
        ("builderprime_wrong_subdomain", ["404", "subdomain", "builderprime_wrong_subdomain"]),
        ("hiringcenter_wrong_host", ["127.0.0.1:9", "hiringcenter_wrong_host"]),
        ("missing_scope", ["403", "meetings.create"]),
        ("refused_by_builderprime", ["400", "meetingTypeId"]),
        ("refused_by_hiringcenter", ["noSuchField"]),
        ("refused_by_us", ["meetingDate", "meetingType", "ownerId", "Mars/Olympus", "meetingKind"]),
    ],
)
def test_the_log_says_what_to_do(failures, task_id, words):
    """A failed task names the status, the place and the thing to change."""
    log = failures.log("failures", task_id)

    assert [word for word in words if word.lower() not in log.lower()] == [], log


def test_every_task_failed_at_its_first_try(failures):
    """Nothing that a repeat cannot mend is repeated by Airflow."""
    tasks = failures.api.tasks("failures", failures.runs["failures"])

    assert {("failed", 1)} == {(task["state"], task["try_number"]) for task in tasks}


def test_a_run_without_a_data_interval_says_what_to_pass(failures):
    """A manual run of an unscheduled DAG has no window to default to, and the error names both arguments."""
    log = failures.log("no_interval", "list")

    assert failures.state("no_interval") == "failed"
    assert "window_start" in log
    assert "window_end" in log
    assert "data interval" in log


def test_a_rate_limit_frees_the_slot(system):
    """Told to come back later, a task leaves its worker, says so, and goes on in the same try when it is time."""
    for how_long, seconds, times in (("for_seconds", 30, 1), ("for_an_hour", 3600, None)):
        match = {"vendor": "hiringcenter", "query_regex": f"prospectId={how_long}"}
        system.sandbox.fault(match=match, action="ratelimit", retry_after=seconds, times=times)
    system.runs |= start_runs(system.home, system.api, ["rate_limited"])
    deadline = time.monotonic() + 300
    wanted = {"for_seconds": ("success", 1), "for_an_hour": ("deferred", 1)}
    while True:
        tasks = system.api.tasks("rate_limited", system.runs["rate_limited"])
        states = {task["task_id"]: (task["state"], task["try_number"]) for task in tasks}
        if states == wanted or time.monotonic() > deadline:
            break
        time.sleep(0.5)

    assert states == wanted
    log = system.log("rate_limited", "for_an_hour")
    assert [word for word in ("429", "3600", "max_wait", "hiringcenter_impatient") if word not in log] == [], log


def test_no_key_is_in_any_log(examples, failures):
    """Neither Airflow's processes nor any task's log has a key, right or wrong."""
    secrets = {WRONG_KEY}
    for vendor in ("hiringcenter", "builderprime"):
        secrets |= {value for name, value in examples.ready[vendor].items() if name.endswith("api_key") and value}
    logs = [*failures.folder.glob("logs/**/*.log"), *failures.folder.glob("*.log")]
    logs = [path for path in logs if path.name != "sandbox.log"]  # it prints its keys on purpose

    assert len(logs) > 10
    assert [path.name for path in logs if any(key in path.read_text(errors="replace") for key in secrets)] == []
