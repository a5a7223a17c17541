"""The parts of the test kit: what it starts, sets, shows and changes, and that nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.testing import MeetingsSandbox, SandboxProcess, run_sandbox
from airflow_provider_meetings.testing.kit import DEFAULT_CONN_IDS

HOOKS = {"hiringcenter": HiringCenterHook, "builderprime": BuilderPrimeHook}
MIDNIGHT = 1_800_000_000_000
WINDOW = (MIDNIGHT - 1000, MIDNIGHT + 1000)
DATES = {"hiringcenter": "meetingDate", "builderprime": "startDateTime"}


def _alive(url):
    try:
        return requests.get(f"{url}/docs", timeout=30).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("vendor", HOOKS)
def test_the_default_connections_work(meetings_sandbox, vendor):
    """Both hooks reach the sandbox under their default ids, and the journal has the request."""
    assert HOOKS[vendor]().test_connection()[0]
    assert {(vendor, 200)} == {(row["vendor"], row["status"]) for row in meetings_sandbox.journal()}


@pytest.mark.parametrize("vendor", HOOKS)
def test_each_test_begins_empty(meetings_sandbox, vendor):
    """Whatever the tests before have booked, broken or set is gone; the lists that meetings name are there."""
    assert [] == meetings_sandbox.meetings(vendor)
    assert [] == meetings_sandbox.journal()
    assert [] == meetings_sandbox.control("GET", "/faults")
    assert meetings_sandbox.control("GET", "/settings")["rate_limit_per_minute"] == 500
    assert {"employees", "opportunities", "types", "results"} == set(meetings_sandbox.reference())
    assert all(meetings_sandbox.reference().values())
    meetings_sandbox.insert(vendor, {})
    meetings_sandbox.options(rate_limit_per_minute=7)
    meetings_sandbox.fault("status", times=None)


@pytest.mark.parametrize("vendor", HOOKS)
def test_somebody_else_edits(meetings_sandbox, vendor):
    """What is inserted, changed and removed beside the API is what the hook then reads."""
    (meeting_id,) = meetings_sandbox.insert(vendor, {DATES[vendor]: MIDNIGHT, "location": "Zoom"})
    listed = [meeting["location"] for meeting in HOOKS[vendor]().list_meetings(*WINDOW)]
    changed = meetings_sandbox.edit(vendor, meeting_id, location="Room 5")
    relisted = [meeting["location"] for meeting in HOOKS[vendor]().list_meetings(*WINDOW)]

    assert (["Zoom"], True, ["Room 5"]) == (listed, changed, relisted)
    assert (True, False) == (meetings_sandbox.remove(vendor, meeting_id), meetings_sandbox.remove(vendor, meeting_id))
    assert [] == list(HOOKS[vendor]().list_meetings(*WINDOW))


def test_the_journal_can_be_narrowed(meetings_sandbox):
    """Vendor, method, effect and number choose rows, and a fault shows in the row that it hit."""
    meetings_sandbox.fault("status", status=503, match={"vendor": "builderprime"})
    list(HiringCenterHook().list_meetings(*WINDOW))
    list(BuilderPrimeHook().list_meetings(*WINDOW))
    first, *rest = meetings_sandbox.journal()

    assert ["builderprime", "builderprime"] == [row["vendor"] for row in rest]
    assert rest == meetings_sandbox.journal(vendor="builderprime") == meetings_sandbox.journal(since=first["id"])
    assert [] == meetings_sandbox.journal(method="POST")
    assert [] == meetings_sandbox.journal(acted=True)
    assert [first, *rest] == meetings_sandbox.journal(acted=False)
    assert ["status", None] == [row["fault"] and row["fault"][0]["action"] for row in rest]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda sandbox: sandbox.insert("hiringcenter", {"noSuchColumn": 1}), "noSuchColumn"),
        (lambda sandbox: sandbox.fault("explode"), "explode"),
        (lambda sandbox: sandbox.fault("status", colour="red"), "colour"),
        (lambda sandbox: sandbox.options(bounds="none"), "bounds"),
    ],
)
def test_a_mistake_says_what_is_wrong(meetings_sandbox, call, words):
    """What the sandbox does not know it refuses, by name."""
    with pytest.raises(RuntimeError, match=words):
        call(meetings_sandbox)


def test_another_connection_with_extras(meetings_sandbox):
    """A third id carries its extras to the hook, and is gone with the test's connections."""
    with meetings_sandbox.connected({}):
        assert "hr_crm" == meetings_sandbox.connect("hr_crm", "hiringcenter", max_wait=7)
        assert HiringCenterHook("hr_crm").max_wait == 7
    assert "AIRFLOW_CONN_HR_CRM" not in os.environ


def test_the_environment_comes_back(meetings_sandbox, monkeypatch):
    """A connection that was there before is there again afterwards, also when the block fails; proxies are bypassed."""
    mine = json.dumps({"conn_type": "hiringcenter", "host": "http://127.0.0.1:9", "password": "mine"})
    monkeypatch.setenv("AIRFLOW_CONN_HIRINGCENTER_DEFAULT", mine)
    monkeypatch.delenv("AIRFLOW_CONN_BUILDERPRIME_DEFAULT")
    monkeypatch.setenv("NO_PROXY", "internal")
    before = dict(os.environ)

    def fail():
        inside.update(os.environ)
        raise ZeroDivisionError

    inside = {}
    with pytest.raises(ZeroDivisionError), meetings_sandbox.connected():
        fail()

    assert inside["NO_PROXY"] == "internal,127.0.0.1,localhost"
    assert all(meetings_sandbox.url in inside[f"AIRFLOW_CONN_{conn_id}"] for conn_id in _upper())
    assert before == dict(os.environ)


def _upper():
    return [conn_id.upper() for conn_id in DEFAULT_CONN_IDS]


def test_connections_need_a_place_to_come_back_to(meetings_sandbox):
    """Without a block that ends there is nothing that would take the connection away again, so none is set."""
    other = MeetingsSandbox(meetings_sandbox.facts)

    with pytest.raises(RuntimeError, match="connected"):
        other.connect("stray", "hiringcenter")
    assert "AIRFLOW_CONN_STRAY" not in os.environ
    other.close()


def test_two_sandboxes_know_nothing_of_each_other():
    """Two at once have ports, tables and options of their own; both are gone after their blocks."""
    with run_sandbox(conn_ids={"one": "hiringcenter"}, meetings=3, page_cap=2) as one:
        with run_sandbox(conn_ids={"two": "hiringcenter"}, update_methods=["POST", "PUT"]) as two:
            assert (3, 0) == (len(one.meetings("builderprime")), len(two.meetings("builderprime")))
            assert (2, 0) == tuple(each.control("GET", "/settings")["page_cap"] for each in (one, two))
            assert ["POST", "PUT"] == two.control("GET", "/settings")["update_methods"]
            assert HiringCenterHook("one").test_connection()[0]
            assert (1, 0) == (len(one.journal()), len(two.journal()))
        assert (True, False) == (_alive(one.url), _alive(two.url))
    assert not _alive(one.url)


def test_a_wrong_option_shows_what_the_sandbox_said():
    """A sandbox that cannot start is an error with its own words, not a wait."""
    with pytest.raises(RuntimeError, match="--no-such-option"), run_sandbox(no_such_option=1):
        pass


def test_it_goes_with_a_killed_parent(tmp_path):
    """A test run that is killed leaves no server behind."""
    code = """
import os, signal, sys
from pathlib import Path
from airflow_provider_meetings.testing import SandboxProcess
print(SandboxProcess(Path(sys.argv[1])).facts["url"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=200
    )
    deadline = time.monotonic() + 60
    while _alive(done.stdout.strip()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert -signal.SIGKILL == done.returncode
    assert done.stdout.startswith("http://127.0.0.1:")
    assert not _alive(done.stdout.strip())


def test_stopping_twice_is_fine(tmp_path):
    """A stopped sandbox answers nobody, its status is that of a clean stop, and a second stop says the same."""
    process = SandboxProcess(tmp_path, "--meetings", "0")

    assert (0, 0) == (process.stop(), process.stop())
    assert not _alive(process.facts["url"])


@pytest.mark.parametrize(
    ("hidden", "words"),
    [("pytest", "http://127.0.0.1"), ("fastapi", "pip install 'airflow-provider-meetings[sandbox]'")],
)
def test_what_is_not_installed(tmp_path, hidden, words):
    """Without pytest the kit works; without the extra it says what to install."""
    code = f"""
import importlib.util, sys
sys.modules[{hidden!r}] = None
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == {hidden!r} else find(name)
from pathlib import Path
import airflow_provider_meetings.testing as kit
try:
    process = kit.SandboxProcess(Path({str(tmp_path)!r}))
except RuntimeError as error:
    print(error)
else:
    print(process.facts["url"], hasattr(kit, "meetings_sandbox"))
    process.stop()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200)

    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert "True" not in done.stdout


def test_no_test_run_loads_it_unasked():
    """There is no entry point for pytest: who installs the provider pays nothing for it in other tests."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()

    assert "pytest11" not in text
