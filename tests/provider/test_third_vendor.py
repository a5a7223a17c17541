"""A vendor is one place: a third one, made up, does all that the two real ones do, and no line of the package names it.

The vendor is :mod:`tests.provider.third_vendor`, its server the file beside it. `docs/architecture.md` tells the steps
that were taken to add it.
"""

import asyncio
import contextlib
import json
import os
import re
from pathlib import Path

import pytest

import airflow_provider_meetings
from airflow_provider_meetings import get_provider_info
from airflow_provider_meetings.connection.registry import VENDORS
from airflow_provider_meetings.core import retry
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
)
from airflow_provider_meetings.hooks.resolve import hook_for
from airflow_provider_meetings.operators.meetings import (
    CreateMeetingOperator,
    DeleteMeetingOperator,
    GetMeetingOperator,
    ListMeetingChangesOperator,
    ListMeetingsOperator,
    SyncMeetingsOperator,
    UpdateMeetingOperator,
)
from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from airflow_provider_meetings.vendors.creates import KeyedVendor
from tests.provider.third_vendor import LINE
from tests.provider.third_vendor_server import PlinthCrm, body, serving
from tests.support.model import FAULTS, HOUR, NOON, Late, Luck, TaskInstance, check
from tests.support.operators import context_of, run
from tests.support.task_runner import WAYS, live

ROOT = Path(airflow_provider_meetings.__file__).parent
CONN = {"meetings_conn_id": "meetings"}
WINDOW = {"window_start": NOON - HOUR, "window_end": NOON + 100 * HOUR}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """The one line, and short waits between attempts."""
    monkeypatch.setitem(VENDORS, *LINE)
    monkeypatch.setattr(retry, "BASE", 0.02)


@pytest.fixture
def crm(monkeypatch):
    """The server, and a connection to it."""
    with serving() as (crm, url):
        conn = {"conn_type": "plinth", "host": url, "password": "plinth-key", "extra": {"timeout": 10}}
        monkeypatch.setenv("AIRFLOW_CONN_MEETINGS", json.dumps(conn))
        yield crm


def book(crm, *parties, **changes):
    """Book appointments as somebody else, an hour apart; returns their ids."""
    rows = [body(party) | {"begins": NOON + number * HOUR} | changes for number, party in enumerate(parties)]
    return [crm.insert(row, "human")["id"] for row in rows]


def test_no_line_of_the_package_names_it():
    """Neither code nor text of the package, its documentation aside, has the vendor's name."""
    files = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert len(files) > 100
    assert [] == [path for path in files if b"plinth" in path.read_bytes().lower()]


def test_the_vendor_is_one_short_file():
    """It is at most 250 lines, its connection, its rules, its hook and its line included."""
    lines = (Path(__file__).parent / "third_vendor.py").read_text().splitlines()

    assert len(lines) <= 250


def test_airflow_learns_its_form():
    """The line is all it takes for the connection form."""
    forms = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}

    assert "Plinth" == forms["plinth"]["hook-name"]
    assert 600 == forms["plinth"]["conn-fields"]["key_life"]["schema"]["default"]
    assert 30 == forms["plinth"]["conn-fields"]["timeout"]["schema"]["default"]


def test_the_docs_tell_how():
    """Ten steps name files that are there, what the file uses, and every method that a vendor has to write."""
    text = (ROOT.parent / "docs" / "architecture.md").read_text()
    section = text.partition("## How to add a vendor")[2].partition("\n## ")[0]
    names = set(re.findall(r"`([^`]+)`", section))
    source = (Path(__file__).parent / "third_vendor.py").read_text()
    files = {name for name in names if "/" in name and "…" not in name}

    assert [f"{number}." for number in range(1, 11)] == re.findall(r"^\d+\.", section, re.MULTILINE)
    assert {"connection/registry.py", "vendors/vendor.py"} < files
    assert [] == [name for name in files if not ((ROOT / name).exists() or (ROOT.parent / name).exists())]
    assert [] == [name for name in names - files if "…" not in name and name != "KeylessVendor" and name not in source]
    assert KeyedVendor.__abstractmethods__ < names
    assert {"_vendor_of", "_check"} < names


# -- the hook


def test_the_hook_reads_and_writes(crm):
    """Make, read, change and remove an appointment; its own name for the id is there beside ``id``."""
    hook = hook_for("meetings")
    made = hook.create_meeting(body(1, 1))
    changed = hook.update_meeting(made["id"], {"room": None, "notes": "bring coffee"})

    assert made["id"] == made["uid"] == changed["id"] == "apt-1"
    assert hook.get_meeting("apt-1") == changed
    assert ("bring coffee", None) == (changed["notes"], changed["room"])
    assert [True, False] == [hook.delete_meeting("apt-1"), hook.delete_meeting("apt-1")]
    with pytest.raises(MeetingNotFoundError):
        hook.get_meeting("apt-1")
    assert {} == crm.rows


def test_a_key_makes_one_appointment(crm):
    """The same bytes under the same key are one appointment, other bytes are a conflict: its header is the vendor's."""
    hook = hook_for("meetings")
    first, second = (hook.create_meeting(body(), idempotency_key="k") for _ in range(2))

    assert first == second
    with pytest.raises(MeetingConflictError):
        hook.create_meeting(body(2), idempotency_key="k")
    assert (["k"], 1) == (list(crm.keys), len(crm.rows))


def test_both_ways_list_all_pages(crm):
    """A worker and the triggerer list the same: each page, in the window, with the filter."""
    ids = book(crm, *range(8), room="A")
    book(crm, 9, room="B")
    hook = hook_for("meetings")

    async def alist(**keywords):
        return [meeting["id"] async for meeting in hook.alist_meetings(NOON, NOON + 7 * HOUR, **keywords)]

    listed = [meeting["id"] for meeting in hook.list_meetings(NOON, NOON + 7 * HOUR, filters={"room": "A"})]
    assert ids[:7] == listed == asyncio.run(alist(filters={"room": "A"}))
    with pytest.raises(MeetingsConfigurationError, match="is not a filter of Plinth"):
        hook.list_meetings(filters={"ownerId": "o"})


@pytest.mark.usefixtures("crm")
def test_the_connection_is_tried(monkeypatch):
    """The button says who we are, or that the key is not accepted."""
    assert (True, "Plinth knows the key of the tests") == hook_for("meetings").test_connection()
    conn = json.loads(os.environ["AIRFLOW_CONN_MEETINGS"]) | {"password": "another"}
    monkeypatch.setenv("AIRFLOW_CONN_MEETINGS", json.dumps(conn))
    works, text = hook_for("meetings").test_connection()
    assert (False, True) == (works, "is not accepted" in text)
    with pytest.raises(MeetingsAuthError):
        hook_for("meetings").get_meeting("apt-1")


# -- the operators


def test_operators_of_one_meeting(crm):
    """Create (which a retry leaves as it is), get, update and delete."""
    context = context_of("book")
    create = lambda: CreateMeetingOperator(task_id="book", meeting=body(1, 2), **CONN)  # noqa: E731 - one for each try
    made = run(create(), context)
    again = run(create(), context)
    got = run(GetMeetingOperator(task_id="get", meeting_id=made["id"], **CONN))
    moved = run(UpdateMeetingOperator(task_id="move", meeting_id=made["id"], changes={"begins": NOON + HOUR}, **CONN))
    deleted = run(DeleteMeetingOperator(task_id="cancel", meeting_id=made["id"], **CONN))

    assert made["id"] == again["id"] == got["id"] == moved["id"]
    assert made["begins"] != moved["begins"]
    assert {"id": "apt-1", "deleted": True} == deleted
    assert {} == crm.rows


def test_a_list_as_common_records(crm, tmp_path):
    """A file has the columns of every vendor's meetings."""
    book(crm, *range(5))
    path = tmp_path / "list.jsonl"
    operator = ListMeetingsOperator(
        task_id="list", destination=f"file://{path}", record_schema="common", **WINDOW, **CONN
    )

    assert 5 == run(operator)["count"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [("plinth", f"apt-{number}", str(number - 1)) for number in range(1, 6)] == [
        (row["vendor"], row["id"], row["counterpart_id"]) for row in rows
    ]


def test_changes_between_two_runs(crm, tmp_path):
    """What a user of the vendor's app does between two runs is one event each; that somebody touched it is none."""

    def changes(run_id):
        context = context_of("changes")
        context["ti"].run_id = run_id
        operator = ListMeetingChangesOperator(
            task_id="changes", snapshot=f"file://{tmp_path}/snapshot", initial="ignore", **WINDOW, **CONN
        )
        return [(event["kind"], event["reason"], event["id"]) for event in run(operator, context)]

    kept, cancelled, gone, touched = book(crm, 1, 2, 3, 4)
    assert [] == changes("first")
    crm.change(crm.rows[kept], {"room": "C"})
    crm.rows[cancelled]["void"] = True
    del crm.rows[gone]
    crm.rows[touched]["changed"] = 1
    (new,) = book(crm, 5)

    assert {
        ("changed", None, kept),
        ("changed", "cancelled", cancelled),
        ("gone", None, gone),
        ("created", None, new),
    } == set(changes("second"))


def test_a_table_becomes_a_calendar(crm):
    """Rows are created, changed and deleted; a second run finds all as it is."""

    def sync(rows):
        operator = SyncMeetingsOperator(
            task_id="sync", meetings=rows, match_on=["party"], delete_missing=True, **WINDOW, **CONN
        )
        result = run(operator, context_of("sync"))
        return [result[name] for name in ("created", "updated", "deleted", "unchanged")]

    rows = [body(party) | {"begins": NOON + party * HOUR} for party in range(5)]
    assert [5, 0, 0, 0] == sync(rows)
    assert [0, 0, 0, 5] == sync(rows)
    assert [1, 1, 1, 3] == sync([rows[0] | {"room": "Z"}, *rows[1:4], body(9)])
    assert {"0", "1", "2", "3", "9"} == {row["body"]["party"] for row in crm.rows.values()}


# -- the sensor and the event trigger


@pytest.mark.parametrize("mode", WAYS)
def test_the_sensor_finds_it_in_every_mode(crm, monkeypatch, mode):
    """What poke, reschedule and the trigger find is the same; an appointment that is void does not count."""
    (void,) = book(crm, 1)
    crm.rows[void]["void"] = True
    (found,) = book(crm, 2, room="A")
    outcome = live(monkeypatch, mode, filters={"room": "A"}, match={"party": ["2"]}, **WINDOW)
    nothing = live(monkeypatch, mode, match={"party": "1"}, timeout=0.3, **WINDOW)

    assert ("success", [found]) == (outcome.state, [meeting["id"] for meeting in outcome.value])
    assert (mode == "deferrable") is bool(nothing.deferrals)
    assert "success" != nothing.state


def test_a_match_knows_its_moments():
    """Text that a sensor or a watch is to match with a moment of the vendor's must be one."""
    with pytest.raises(MeetingsConfigurationError, match=r"match\.begins"):
        MeetingsEventTrigger(ahead=3600, match={"begins": "tomorrow"}, **CONN)


def test_the_event_trigger_fires(crm):
    """What is there is fired at the first look, and what comes at the next one."""

    async def watch():
        trigger = MeetingsEventTrigger(poke_interval=1, initial="emit", **WINDOW, **CONN)
        async with contextlib.aclosing(trigger.run()) as events:
            first = (await anext(events)).payload
            book(crm, 2)
            return [first, (await anext(events)).payload]

    (there,) = book(crm, 1)
    told = asyncio.run(asyncio.wait_for(watch(), 30))

    assert [("moved_in", there), ("created", "apt-2")] == [(event["kind"], event["id"]) for event in told]
    assert {"Plinth"} == {event["vendor"] for event in told}


# -- exactly once


def attempt_until_done(ti, asked):
    """Let Airflow try again until it succeeds."""
    for _ in range(6):
        with contextlib.suppress(MeetingsError):
            if (booking := ti.attempt(asked)) is not None:
                return booking
        ti.crm.advance(30)
    raise AssertionError(ti.story[-5:])


@pytest.mark.parametrize("pause", [0.0, 20.0, 700.0])
@pytest.mark.parametrize("kill", range(16))
def test_killed_at_every_step_of_a_create(kill, pause):
    """Killed at any step, the next try makes exactly one, be it at once or when the vendor has forgotten the key."""
    crm = PlinthCrm()
    crm.insert(body(1), "human")  # a look-alike that somebody else has booked
    crm.advance(100)
    ti = TaskInstance(crm, "task")
    ti.attempt(body(1), Luck(kill=kill))
    crm.advance(pause)
    booking = attempt_until_done(ti, body(1, 1))
    crm.advance(1000)

    assert booking.meeting["id"] == check(crm, "task", body(1, 1))["id"]
    assert "unchanged" == attempt_until_done(ti, body(1, 1)).outcome
    assert 2 == len(crm.rows)


@pytest.mark.parametrize("fault", [*FAULTS, Late(10.0), Late(50.0)], ids=str)
def test_a_create_that_goes_wrong_is_made_once(fault):
    """Whatever becomes of the request or its answer, the tries together make exactly one."""
    crm = PlinthCrm()
    ti = TaskInstance(crm, "task")
    with contextlib.suppress(MeetingsError):
        ti.attempt(body(1), Luck(writes=(fault, fault)))
    attempt_until_done(ti, body(1))
    crm.advance(1000)

    check(crm, "task", body(1))


def test_the_kills_go_through_all_steps():
    """A create that is to be killed at the last of these steps has ended before."""
    tries = [TaskInstance(PlinthCrm(), "task").attempt(body(1), Luck(kill=kill)) for kill in range(16)]

    assert tries[0] is tries[4] is None
    assert tries[15] is not None
