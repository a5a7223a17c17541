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


@pytest.mark.parametrize(("vendor", "modified"), [("hiringcenter", "updatedAt"), ("builderprime", "lastModifiedDate")])
def test_an_edit_touches_the_date_of_modification(meetings_sandbox, vendor, modified):
    """As at the vendor, a change by hand is dated, unless the test dates it."""
    (meeting_id,) = meetings_sandbox.insert(vendor, {modified: 5})
    meetings_sandbox.edit(vendor, meeting_id, location="Room 5")
    (touched,) = meetings_sandbox.meetings(vendor)
    meetings_sandbox.edit(vendor, meeting_id, **{modified: 7})

    assert touched[modified] > 5
    assert 7 == meetings_sandbox.meetings(vendor)[0][modified]


def test_a_meeting_is_cancelled_and_restored(meetings_sandbox):
    """A cancelled meeting stays in Builder Prime's list and leaves the calendar; HiringCenter has no such mark."""
    meeting_id, other = meetings_sandbox.insert("builderprime", *[{"startDateTime": MIDNIGHT}] * 2)
    (interview,) = meetings_sandbox.insert("hiringcenter", {})

    def seen():
        listed = {meeting["id"]: meeting["isMeetingCancelled"] for meeting in BuilderPrimeHook().list_meetings(*WINDOW)}
        return listed, [meeting["id"] for meeting in meetings_sandbox.calendar("builderprime")]

    assert meetings_sandbox.cancel("builderprime", meeting_id)
    assert ({meeting_id: True, other: False}, [other]) == seen()
    assert [True, False] == [
        row["isMeetingCancelled"]
        for row in meetings_sandbox.calendar("builderprime", "isMeetingCancelled", include_cancelled=True)
    ]
    assert meetings_sandbox.restore("builderprime", meeting_id)
    assert ({meeting_id: False, other: False}, [meeting_id, other]) == seen()
    assert not meetings_sandbox.cancel("builderprime", 999_999)
    with pytest.raises(RuntimeError, match="HiringCenter"):
        meetings_sandbox.cancel("hiringcenter", interview)


@pytest.mark.parametrize("vendor", HOOKS)
def test_the_calendar_is_a_list_by_start(meetings_sandbox, vendor):
    """The calendar has the vendor's own fields, all of them or those that the test compares, by start."""
    meetings_sandbox.insert(vendor, *({DATES[vendor]: MIDNIGHT + n, "location": f"Room {n}"} for n in (2, 1)))
    read = [HOOKS[vendor]().get_meeting(row["id"]) for row in meetings_sandbox.calendar(vendor, "id")]

    assert [
        {DATES[vendor]: MIDNIGHT + 1, "location": "Room 1"},
        {DATES[vendor]: MIDNIGHT + 2, "location": "Room 2"},
    ] == meetings_sandbox.calendar(vendor, DATES[vendor], "location")
    assert read == [
        {name: row[name] for name in meeting}
        for meeting, row in zip(read, meetings_sandbox.calendar(vendor), strict=True)
    ]
    with pytest.raises(RuntimeError, match="colour"):
        meetings_sandbox.calendar(vendor, "colour")


def test_employees_are_part_of_the_reference(meetings_sandbox):
    """The employees that the API lists are those of the kit, flags and time zone included."""
    listed = requests.get(
        meetings_sandbox.facts["builderprime"]["host"] + "/employees/v1",
        headers={"x-api-key": meetings_sandbox.facts["builderprime"]["read_api_key"]},
        timeout=30,
    ).json()["data"]

    assert listed == meetings_sandbox.reference()["employees"]
    assert "America/New York" in {employee["timezone"] for employee in listed}


def test_the_journal_shows_that_no_cookie_comes_back(meetings_sandbox):
    """Each response sets another cookie; the headers of the requests say whether a client has kept one."""
    meetings_sandbox.fault("headers", headers={"Set-Cookie": "session={number}"}, times=None)
    for _ in range(2):
        requests.get(f"{meetings_sandbox.url}/v2/auth", timeout=30)
    with requests.Session() as session:
        for _ in range(2):
            session.get(f"{meetings_sandbox.url}/v2/auth", timeout=30)
    rows = meetings_sandbox.journal()

    assert [None, None, None, f"session={rows[2]['id']}"] == [row["headers"].get("cookie") for row in rows]
    assert rows[2]["clientPort"] == rows[3]["clientPort"]


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
