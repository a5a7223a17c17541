"""Each fault, seen from a client, and the request log that tests read afterwards."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_meetings.sandbox.peer_process import kill_caller, pids_of_peer
from tests.sandbox.examples import INTERVIEW


def the_only_row(server, known=bool):
    """Return the only row once it is there and ``known`` says that it is complete: a fault is over before it is."""
    while True:  # the test's own timeout ends it
        for row in server.journal():
            if known(row):
                assert len(server.journal()) == 1
                return row
        time.sleep(0.02)


@pytest.mark.parametrize("vendor", ["hiringcenter", "builderprime"])
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("action", ["reset", "close"])
def test_a_cut_connection_leaves_the_client_guessing(server, vendor, when, made, action):
    """A reset or a close is the same for the client whether the server acted or not; the log has both."""
    server.fault(action=action, when=when, match={"vendor": vendor, "method": "POST"})
    with pytest.raises(requests.ConnectionError) as caught:
        server.create(vendor)
    assert ("reset by peer" in str(caught.value)) is (action == "reset")
    assert len(server.meetings(vendor)) == made
    row = the_only_row(server, lambda row: row["fault"])
    assert (row["acted"], row["sent"]) == ("created" if made else None, None)
    assert row["fault"][0]["action"] == action


def test_a_client_that_has_gone_is_cut_off_as_well(server):
    """A client that hangs up, or is killed, before its connection is cut leaves a row that is as complete."""
    server.options(latency=1)
    server.fault(action="reset", when="after", match={"method": "POST"})
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.hc.host + "/meetings", json=INTERVIEW, headers=server.hc.headers, timeout=0.3)
    row = the_only_row(server, lambda row: row["fault"] and "over" in row["fault"][0])
    assert (row["acted"], row["status"], row["sent"]) == ("created", 201, None)


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_proxys_error_is_html_whether_the_server_acted_or_not(server, status, when, made):
    """The four statuses come as a proxy's page."""
    server.fault(action="status", status=status, when=when)
    response = server.create()
    assert response.status_code == status
    assert "html" in response.headers["Content-Type"]
    assert len(server.meetings("hiringcenter")) == made


def test_a_server_error_can_come_in_the_vendors_envelope(server):
    """With html off the error has the vendor's own body."""
    server.fault(action="status", status=500, html=False)
    assert set(server.create().json()) == {"error", "message"}


@pytest.mark.parametrize("form", ["seconds", "http-date", "body", "none"])
@pytest.mark.parametrize("vendor", ["hiringcenter", "builderprime"])
def test_a_rate_limit_gives_the_wait_in_one_form(server, vendor, form):
    """A 429 names its wait in seconds, as a date, in the body, or not at all."""
    server.fault(action="ratelimit", form=form, retry_after=7)
    response = server.create(vendor)
    assert response.status_code == 429
    header = response.headers.get("Retry-After")
    assert (header == "7") is (form == "seconds")
    assert (response.json().get("retryAfter") == 7) is (form == "body")
    if form == "http-date":
        assert parsedate_to_datetime(header) > datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("explained", [True, False])
@pytest.mark.parametrize("vendor", ["hiringcenter", "builderprime"])
def test_a_failure_can_come_with_status_200(server, vendor, explained):
    """Success: false with 200, with the vendor's words or without."""
    server.fault(action="success_false", explained=explained)
    response = server.create(vendor)
    assert response.status_code == 200
    assert response.json()["success"] is False
    assert (len(response.json()) > 1) is explained
    assert server.meetings(vendor) == []


def test_a_truncated_answer_ends_in_the_middle(server):
    """The head promises more than the body brings."""
    server.fault(action="truncate", when="after")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        server.create()
    assert len(server.meetings("hiringcenter")) == 1


def test_a_dripping_answer_comes_in_pieces_and_whole(server):
    """A slow body still arrives, in more than one piece."""
    server.fault(action="drip", when="after", bytes_per_second=2000)
    response = server.create(stream=True)
    pieces = list(response.raw.stream(1, decode_content=True))
    assert json.loads(b"".join(pieces))["success"] is True
    assert the_only_row(server, lambda row: row["sent"])["sent"] == 201


def test_a_dripping_answer_outlasts_a_read_timeout_only_in_pieces(server):
    """Each piece comes within the read timeout, so a client that wants a bound must keep one itself."""
    server.fault(action="drip", when="after", bytes_per_second=40)
    response = server.create(stream=True)
    assert response.status_code == 201
    assert response.raw.read(1)
    response.close()


def test_a_delayed_request_is_in_progress_and_acts_after_its_client_has_gone(server):
    """A client that gives up early finds its key in progress, and afterwards what was done meanwhile."""
    headers = {"X-Idempotency-Key": "slow"}
    server.fault(action="delay", seconds=4, when="before")
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.hc.host + "/meetings", json=INTERVIEW, headers=server.hc.headers | headers, timeout=0.3)
    the_only_row(server)  # else it may come after the next one
    statuses = [server.create(headers=headers).status_code]
    while statuses[-1] == 409:
        statuses.append(server.create(headers=headers).status_code)
    assert statuses[0] == 409
    assert statuses[-1] == 201
    assert len(server.meetings("hiringcenter")) == 1


def test_an_answer_that_is_slow_to_leave_is_replayed_to_a_repeat(server):
    """Once the server acted its key is settled, so the next request does not conflict with the delayed answer."""
    headers = {"X-Idempotency-Key": "settled"}
    server.fault(action="delay", seconds=60, when="after")
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.hc.host + "/meetings", json=INTERVIEW, headers=server.hc.headers | headers, timeout=1)
    the_only_row(server, lambda row: row["status"])
    assert server.create(headers=headers).status_code == 201
    assert [row["replayed"] for row in server.journal()] == [False, True]


def test_an_answer_can_be_anything(server):
    """Any status, headers and body can stand in for the server's answer."""
    server.fault(action="answer", status=302, headers={"Location": "http://127.0.0.1:1/"}, body="x", pad_to=100_000)
    response = server.create()
    assert (response.status_code, response.headers["Location"]) == (302, "http://127.0.0.1:1/")
    assert len(response.content) == 100_000


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"vendor": "builderprime"}, False),
        ({"method": "GET"}, False),
        ({"method": "post", "path_regex": "^/v2/meetings$", "body_regex": "prospect-1"}, True),
        ({"body_regex": "prospect-2"}, False),
        ({"query_regex": "limit"}, False),
        ({"header": {"X-Idempotency-Key": "^wan"}}, True),
        ({"header": {"X-Idempotency-Key": "^other"}}, False),
        ({"header": {"X-Absent": ""}}, False),
    ],
)
def test_a_rule_hits_what_it_matches(server, match, hit):
    """Vendor, method, path, query, body and headers narrow a rule."""
    server.fault(action="status", match=match)
    response = server.create(headers={"X-Idempotency-Key": "wanted" + repr(match)})
    assert response.status_code == (503 if hit else 201)
    assert len(server.control("GET", "/faults")[0]["hits"]) == int(hit)


def test_a_rule_after_can_ask_for_a_status(server):
    """A rule that waits for a 201 lets a refusal pass."""
    server.fault(action="status", when="after", match={"status": 201})
    assert server.hc("POST", "/meetings", json={}).status_code == 400
    assert server.create().status_code == 503


def test_a_rule_is_consumed_and_readable(server):
    """Skip lets some pass, times counts the hits down, and every hit names its row of the log."""
    server.fault(action="status", skip=1, times=2)
    assert [server.create().status_code for _ in range(4)] == [201, 503, 503, 201]
    (rule,) = server.control("GET", "/faults")
    assert (rule["remaining"], rule["seen"]) == (0, 3)
    assert [hit["journal"] for hit in rule["hits"]] == [row["id"] for row in server.journal()[1:3]]


def test_a_rule_of_no_probability_never_hits(server):
    """Probability 0 hits nothing, and times null never ends."""
    server.fault(action="status", probability=0)
    assert server.create().status_code == 201
    server.control("DELETE", "/faults")
    server.fault(action="status", times=None)
    assert {server.create().status_code for _ in range(3)} == {503}


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"action": "truncate", "when": "before"},
        {"action": "reset", "match": {"path_regex": "("}},
        {"action": "reset", "match": {"status": 201}},
        {"action": "kill", "peer": False},
        {"action": "reset", "colour": "red"},
    ],
)
def test_a_senseless_rule_is_refused(server, rule):
    """A rule that could never do what it says is a 422."""
    assert server.session.post(server.facts["control"] + "/faults", json=rule, timeout=30).status_code == 422


CALLER = """
import json, sys, requests
host, headers, body = json.loads(sys.argv[1])
requests.post(host, json=body, headers=headers, timeout=30)
print("answered", flush=True)
"""

PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
print(child.pid, flush=True)
child.wait()
print("survived", flush=True)
"""


def killed(server):
    """Return the processes that the only fault has killed, once the server has logged them."""
    row = the_only_row(server, lambda row: row["fault"] and "killed" in row["fault"][0])
    return row["fault"][0]["killed"]


def caller(server):
    """Return the arguments of a program that creates a meeting."""
    return [CALLER, json.dumps([server.hc.host + "/meetings", server.hc.headers, INTERVIEW])]


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_the_calling_process_is_killed(server, when, made):
    """The process at the other end dies by SIGKILL, before or after the server acted."""
    server.fault(action="kill", when=when, match={"method": "POST"})
    with subprocess.Popen([sys.executable, "-c", *caller(server)], stdout=subprocess.PIPE) as process:
        assert process.communicate(timeout=60)[0] == b""
        assert process.returncode == -9
    assert len(server.meetings("hiringcenter")) == made
    assert killed(server) == [process.pid]


@pytest.mark.parametrize("peer", [True, False])
def test_the_callers_parent_is_killed(server, peer):
    """The parent of the caller dies, with the caller or alone; a caller that is spared gets its answer."""
    server.fault(action="kill", when="before", parent=True, peer=peer, match={"method": "POST"})
    command = [sys.executable, "-c", PARENT, *caller(server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        output = process.communicate(timeout=60)[0].decode().split()
    assert process.returncode == -9
    assert ("answered" in output) is not peer
    assert "survived" not in output
    assert killed(server) == ([process.pid, int(output[0])] if peer else [process.pid])


def test_the_sandbox_never_kills_itself():
    """A caller inside the sandbox's own process is found and spared."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server_port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", server_port)) as client:
            client_port = client.getsockname()[1]
            assert pids_of_peer(client_port, server_port) == [os.getpid()]
            assert kill_caller(client_port, server_port, peer=True, parent=False) == []


def test_the_log_has_each_request(server):
    """A row has who, what, when, the body and its digest, what was done, and never a key."""
    server.create(headers={"X-Idempotency-Key": "key-j"})
    server.bp("read_api_key")("POST", "", json={"title": "x"})
    server.hc("GET", "/meetings", params={"limit": 3}, headers={"Authorization": "Bearer secret-nobody-knows"})
    first, second, third = server.journal()
    assert first["meetingId"] == server.meetings("hiringcenter")[0]["id"]
    assert (first["keyName"], first["idempotencyKey"], first["acted"]) == ("main", "key-j", "created")
    assert json.loads(first["body"]) == INTERVIEW
    assert len(first["bodyDigest"]) == 64
    assert (second["vendor"], second["keyName"], second["status"], second["acted"]) == (
        "builderprime",
        "read",
        403,
        None,
    )
    assert (third["query"], third["keyName"], third["status"]) == ("limit=3", None, 401)
    text = json.dumps(server.journal())
    assert "secret-nobody-knows" not in text
    assert not any(key in text for key in (server.hc.headers["Authorization"], server.bp().headers["x-api-key"]))


def test_the_log_can_be_narrowed_and_cleared(server):
    """Vendor, method, a starting row and whether something was done narrow it."""
    server.create()
    server.create("builderprime")
    server.hc("GET", "/meetings")
    rows = server.journal()
    assert server.journal(vendor="builderprime") == rows[1:2]
    assert server.journal(method="GET") == rows[2:]
    assert server.journal(since=rows[0]["id"]) == rows[1:]
    assert server.journal(acted=True) == rows[:2]
    server.control("DELETE", "/journal")
    assert server.journal() == []


def test_outside_edits_bypass_api_and_log(server):
    """Edits in the vendor's app show in the tables and not in the log; unknown columns are refused."""
    (meeting_id,) = server.insert("builderprime", {"title": "theirs"})
    edit = {"vendor": "builderprime", "op": "edit", "id": meeting_id, "meeting": {"title": "changed"}}
    assert server.control("POST", "/meetings", json=edit) == {"changed": 1}
    assert server.meetings("builderprime")[0]["title"] == "changed"
    gone = {"vendor": "builderprime", "op": "delete", "id": meeting_id}
    assert server.control("POST", "/meetings", json=gone) == {"changed": 1}
    assert server.journal() == []
    wrong = {"vendor": "hiringcenter", "op": "insert", "meeting": {"1; DROP": 1}}
    assert server.session.post(server.facts["control"] + "/meetings", json=wrong, timeout=30).status_code == 422


def test_a_wrong_option_is_refused_and_nothing_changes(server):
    """Options are checked together before any of them is taken."""
    response = server.session.post(
        server.facts["control"] + "/settings", json={"latency": 5, "bounds": "fuzzy"}, timeout=30
    )
    assert response.status_code == 422
    assert server.control("GET", "/settings")["latency"] == 0


def test_hundreds_of_parallel_requests_are_all_served(server):
    """Many clients at once all get their meeting, each exactly one."""
    statuses = []

    def client():
        with requests.Session() as session:
            for _ in range(5):
                answer = session.post(
                    server.hc.host + "/meetings", json=INTERVIEW, headers=server.hc.headers, timeout=60
                )
                statuses.append(answer.status_code)

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: client(), range(40)))
    assert statuses == [201] * 200
    assert len(server.meetings("hiringcenter")) == 200
    assert len({row["meetingId"] for row in server.journal(acted=True)}) == 200
