"""The sandbox as a program: what it prints, what survives a restart, what is seeded, and how it stops."""

import ast
import json
import re
import shlex
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

import airflow_provider_meetings
from airflow_provider_meetings.sandbox.app import create_app
from airflow_provider_meetings.sandbox.settings import Settings
from tests.sandbox.examples import INTERVIEW

PACKAGE = Path(airflow_provider_meetings.__file__).parent


def test_the_ready_file_and_the_output_are_ready_to_use(start):
    """Both connections come as JSON, in the file and as lines that a shell understands."""
    server = start()
    facts = server.facts
    assert facts["control"] is None
    exports = dict(
        shlex.split(line)[1].split("=", 1)
        for line in server.output.read_text().splitlines()
        if line.startswith("export ")
    )
    assert exports == {f"AIRFLOW_CONN_{name.upper()}": text for name, text in facts["connections"].items()}
    for kind, api in (("hiringcenter", facts["hiringcenter"]), ("builderprime", facts["builderprime"])):
        connection = json.loads(facts["connections"][f"{kind}_default"])
        assert connection == {"conn_type": kind, "host": api["host"], "password": api["api_key"]}
        assert all(len(key) >= 20 for name, key in api.items() if name != "host")


def test_without_control_there_is_no_control_api(start):
    """The control API is an unknown address unless it was asked for."""
    server = start()
    for path in ("/_control/journal", "/_control/faults"):
        assert server.session.get(server.facts["url"] + path, timeout=30).status_code == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start, number):
    """Both signals end it with status 0, an idle connection and a request in progress notwithstanding."""
    server = start("--control")
    assert server.hc("GET", "/auth").status_code == 200
    server.fault(action="delay", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        requests.get(server.hc.host + "/auth", headers=server.hc.headers, timeout=0.3)
    server.wait_for_requests(2)
    assert server.stop(number) == 0


def test_the_temporary_file_goes_with_the_server(start):
    """A temporary database leaves nothing behind."""
    server = start()
    database = Path(re.search(r"data: (\S+)\)", server.output.read_text())[1])
    assert database.exists()
    server.stop()
    assert not database.parent.exists()


def test_a_killed_server_comes_back_with_everything(start, tmp_path):
    """After kill -9 and a restart on the same file a key still replays, conflicts, and the meetings are there."""
    database = str(tmp_path / "folder" / "sandbox.db")
    first = start("--db", database, "--meetings", "3", "--control")
    headers = {"X-Idempotency-Key": "survivor"}
    created = first.hc("POST", "/meetings", json=INTERVIEW, headers=headers)
    before = first.control("GET", "/meetings")
    assert first.stop(signal.SIGKILL) == -9
    second = start("--db", database, "--meetings", "3", "--control")
    assert second.control("GET", "/meetings") == before
    replayed = second.hc("POST", "/meetings", json=INTERVIEW, headers=headers)
    assert (replayed.status_code, replayed.content) == (created.status_code, created.content)
    assert second.hc("POST", "/meetings", json=INTERVIEW | {"notes": "x"}, headers=headers).status_code == 409
    assert second.control("GET", "/meetings") == before
    assert [row["replayed"] for row in second.journal(method="POST")] == [False, True, False]


def test_a_key_in_progress_dies_with_the_server(start, tmp_path):
    """A server that was killed before it acted has done nothing and holds no key."""
    database = str(tmp_path / "sandbox.db")
    first = start("--db", database, "--meetings", "0", "--control")
    first.fault(action="delay", seconds=60)
    headers = first.hc.headers | {"X-Idempotency-Key": "lost"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(first.hc.host + "/meetings", json=INTERVIEW, headers=headers, timeout=0.3)
    first.wait_for_requests(1)
    first.stop(signal.SIGKILL)
    second = start("--db", database, "--control")
    assert second.hc("POST", "/meetings", json=INTERVIEW, headers=headers).status_code == 201
    assert len(second.meetings("hiringcenter")) == 1


def test_a_large_seed_is_quick_and_has_opportunities_for_a_set(tmp_path):
    """Two thousand meetings share invented names, and there is an opportunity for each of a thousand rows."""
    settings = Settings(db=tmp_path / "sandbox.db", meetings=2000, days=365)
    sandbox = create_app(settings).state.sandbox
    counts = [
        sandbox.store.count(f"SELECT count({what}) FROM {table}")  # noqa: S608
        for what, table in (
            ("DISTINCT id", "hiringcenter_meetings"),
            ("DISTINCT location", "hiringcenter_meetings"),
            ("*", "builderprime_meetings"),
            ("DISTINCT opportunityId", "builderprime_meetings"),
            ("*", "builderprime_opportunities"),
        )
    ]
    sandbox.close()
    assert (2000, 2000, 1000) == (counts[0], counts[2], counts[4])
    assert counts[1] <= 301
    assert 20 < counts[3] <= 100


def seeded(folder, seed, day=18):
    """Seed a file and return everything that is in it."""
    settings = Settings(db=folder / "sandbox.db", seed=seed, meetings=20, now=datetime(2026, 11, day, 12, tzinfo=UTC))
    sandbox = create_app(settings).state.sandbox
    names = ("hiringcenter_meetings", *(f"builderprime_{name}" for name in ("meetings", "employees", "opportunities")))
    tables = {name: sandbox.store.rows(f"SELECT * FROM {name} ORDER BY id") for name in names}  # noqa: S608
    sandbox.close()
    return tables


def test_the_same_seed_is_the_same_data(tmp_path):
    """Seed and week decide the data; another seed or week makes other data, and a seeded file keeps what it has."""
    first = seeded(tmp_path / "first", 7)
    assert len(first["hiringcenter_meetings"]) == len(first["builderprime_meetings"]) == 20
    assert seeded(tmp_path / "same", 7, day=20) == first
    assert seeded(tmp_path / "other", 8) != first
    assert seeded(tmp_path / "later", 7, day=25) != first
    assert seeded(tmp_path / "first", 8) == first


def test_seeded_meetings_lie_in_the_two_weeks_from_monday(start):
    """Whatever day it is, this week and the next are filled, and the API lists what was seeded."""
    server = start("--control", "--now", "2026-11-18T12:00:00Z", "--meetings", "30")
    monday, fortnight = 1_794_787_200_000, 15 * 86_400_000
    tables = server.control("GET", "/meetings")
    starts = [row["meetingDate"] for row in tables["hiringcenter"]] + [
        row["startDateTime"] for row in tables["builderprime"]
    ]
    assert len(starts) == 60
    assert all(monday <= moment < monday + fortnight for moment in starts)
    window = {"start-date-from": monday, "start-date-to": monday + fortnight}
    listed = server.bp()("GET", "", params=window).json()["data"]
    assert len(listed) == 30
    assert all(meeting["employeeLastName"] and meeting["clientLastName"] for meeting in listed)


def test_options_are_flags_of_the_command_line(start):
    """Every option can be given at the start."""
    server = start(
        *("--control", "--bounds", "exclusive", "--page-cap", "2", "--update-methods", "POST,PATCH"),
        *("--latency", "0.01", "--total-count", "false", "--builderprime-wrong-shape", "500", "--clock-offset", "-60"),
    )
    options = server.control("GET", "/settings")
    expected = {
        "bounds": "exclusive",
        "page_cap": 2,
        "update_methods": ["POST", "PATCH"],
        "latency": 0.01,
        "total_count": False,
        "builderprime_wrong_shape": 500,
        "clock_offset": -60,
    }
    assert {name: options[name] for name in expected} == expected


def test_a_seed_can_fill_a_year(start):
    """Days stretches the seed beyond two weeks."""
    server = start("--control", "--now", "2026-11-18T12:00:00Z", "--meetings", "40", "--days", "365")
    starts = [row["meetingDate"] for row in server.meetings("hiringcenter")]
    assert max(starts) - min(starts) > 200 * 86_400_000


def test_the_reference_needs_no_network(start):
    """The live reference shows every address and field, and loads nothing from elsewhere."""
    server = start("--control")
    page = server.session.get(server.facts["url"] + "/docs", timeout=30).text
    document = server.session.get(server.facts["url"] + "/openapi.json", timeout=30).json()
    assert all(path in page for path in document["paths"])
    for word in ("prospectId", "clientOpportunityId", "X-Idempotency-Key", "start-date-from", "bytes_per_second"):
        assert word in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "<script" not in page


def test_the_sandbox_and_the_rest_import_nothing_of_each_other():
    """The sandbox shares no line with the client, so it cannot share a misunderstanding."""
    for path in PACKAGE.rglob("*.py"):
        inside = PACKAGE / "sandbox" in path.parents
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{'.' * node.level}{node.module or ''}"]
            for name in names:
                if inside:
                    assert not name.startswith(("airflow", "..")), f"{path} imports {name}"
                else:
                    assert "sandbox" not in name.split("."), f"{path} imports {name}"
