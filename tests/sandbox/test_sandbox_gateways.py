"""What a gateway in front of a vendor does to responses, and the vendors' clock, seen from a plain client."""

import http.client
import json
import re
import socket
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.examples import INTERVIEW, VISIT

VENDORS = ("hiringcenter", "builderprime")


def target(server, vendor):
    """Return the URL of a vendor's meetings, what authenticates a request, and a meeting to create."""
    if vendor == "hiringcenter":
        return server.hc.host + "/meetings", server.hc.headers, INTERVIEW
    return server.bp().host, server.bp().headers, VISIT


def raw_response(server, vendor):
    """Create a meeting and return every byte that comes back."""
    url, headers, meeting = target(server, vendor)
    parts, body = urlsplit(url), json.dumps(meeting).encode()
    head = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Content-Length": len(body),
        "Connection": "close",
    }
    lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in (head | headers).items()), "", ""]
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=30)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_informational_responses_come_before_the_final_one(server, vendor, when):
    """Any 1xx can precede the final response, which follows on the same connection."""
    server.fault(action="interim", interim=[102, 103, 110], headers={"Link": "</a.css>"}, when=when)
    raw = raw_response(server, vendor)

    assert [b"102 Processing", b"103 Early Hints", b"110 Informational"] == re.findall(rb"HTTP/1.1 (1\d\d [\w ]+)", raw)
    assert raw.count(b"Link: </a.css>") == 3
    assert re.findall(rb"HTTP/1.1 (2\d\d)", raw) == [{"hiringcenter": b"201", "builderprime": b"200"}[vendor]]
    assert len(server.meetings(vendor)) == 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [303, 404, 422, 502])
def test_the_vendor_acts_and_a_gateway_answers(server, vendor, status):
    """The meeting is made, and the client gets a page that is not the vendor's."""
    server.fault(action="status", status=status, when="after", headers={"Location": "/elsewhere"})
    response = server.create(vendor)

    assert (status, "/elsewhere") == (response.status_code, response.headers["Location"])
    assert "html" in response.headers["Content-Type"]
    assert len(server.meetings(vendor)) == 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("action", ["status", "ratelimit", "success_false"])
def test_a_wait_comes_in_every_form(server, vendor, action):
    """Retry-After is seconds, a date, a timestamp in seconds or milliseconds, or any text; or the body has it."""
    server.options(clock_offset=1000)
    html = {"html": False} if action == "status" else {}

    def wait(**form):
        server.fault(action=action, **html, **form)
        response = server.create(vendor)
        sent_at = parsedate_to_datetime(response.headers["Date"]).timestamp()
        return response.headers.get("Retry-After"), response.json().get("retryAfter"), sent_at

    date, _, date_sent = wait(retry_after=60, form="http-date")
    seconds, _, seconds_sent = wait(retry_after=60, form="epoch-seconds")
    milliseconds, _, milliseconds_sent = wait(retry_after=60, form="epoch-ms")

    assert ("60", None) == wait(retry_after=60)[:2]
    assert ("1e20", None) == wait(retry_after="1e20")[:2]
    assert (None, 30000) == wait(retry_after=30000, form="body")[:2]
    assert (None, None) == wait(retry_after=60, form="none")[:2]
    # Date comes in whole seconds
    assert 60 == pytest.approx(parsedate_to_datetime(date).timestamp() - date_sent, abs=2)
    assert 60 == pytest.approx(int(seconds) - seconds_sent, abs=2)
    assert 60 == pytest.approx(int(milliseconds) / 1000 - milliseconds_sent, abs=2)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_passing_failure_can_come_with_200(server, vendor):
    """A rate limit or an outage is told with status 200, by its code, with a Retry-After or without."""
    server.fault(action="success_false", code="RATE_LIMIT", message="Slow down", retry_after=2)
    server.fault(action="success_false", code="SERVICE_UNAVAILABLE")
    limited, unavailable = server.create(vendor), server.create(vendor)

    assert [(200, "2"), (200, None)] == [
        (response.status_code, response.headers.get("Retry-After")) for response in (limited, unavailable)
    ]
    assert "RATE_LIMIT" in limited.text
    assert "Slow down" in limited.text
    assert "SERVICE_UNAVAILABLE" in unavailable.text
    assert server.meetings(vendor) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_response_sets_a_cookie_and_the_log_shows_what_came_back(server, vendor):
    """A new cookie comes with each response, a fault's too; the log has the headers of each request, but no key."""
    server.fault(action="headers", headers={"Set-Cookie": "session={number}; Path=/"}, times=None)
    server.fault(action="status", status=503)
    url, headers, meeting = target(server, vendor)
    first, second = (
        requests.post(url, json=meeting, headers=headers, timeout=30, cookies=cookies)
        for cookies in (None, {"mine": "1"})
    )
    rows = server.journal()

    assert (503, 2) == (first.status_code, len(rows))
    assert [f"session={row['id']}; Path=/" for row in rows] == [
        response.headers["Set-Cookie"] for response in (first, second)
    ]
    assert "cookie" not in rows[0]["headers"]
    assert "mine=1" in rows[1]["headers"]["cookie"]
    assert "application/json" == rows[0]["headers"]["content-type"]
    assert not {"authorization", "x-api-key"} & set(rows[0]["headers"])


@pytest.mark.parametrize("encoding", ["utf-8", "none", "binary"])
def test_a_response_can_claim_an_encoding_that_it_has_not(server, encoding):
    """Content-Encoding names what is no coding, and the body is plain."""
    server.fault(action="headers", headers={"content-encoding": encoding})
    with closing(http.client.HTTPConnection(urlsplit(server.hc.host).netloc)) as connection:
        connection.request("GET", "/v2/auth", headers=server.hc.headers)
        response = connection.getresponse()
        assert encoding == response.headers["Content-Encoding"]
        assert json.loads(response.read())["success"] is True


def test_headers_can_be_long_and_many(server):
    """A header of 9,000 bytes, and 150 headers, arrive whole."""
    server.fault(action="headers", headers={"X-Long": "x" * 9000})
    assert 9000 == len(server.hc("GET", "/auth").headers["X-Long"])
    server.fault(action="headers", headers={f"X-{number}": "y" for number in range(150)})
    assert raw_response(server, "hiringcenter").count(b"\r\nx-") == 150


@pytest.mark.parametrize(
    ("find", "put", "found"),
    [
        ("Zoom", "Lunch \\ud83d", b'"location":"Lunch \\ud83d"'),
        ('"Zoom"', "1e400", b'"location":1e400'),
        ("Zoom", "\xff", b'"location":"\xff"'),
        (r"\A.", "", b'"success"'),
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_body_can_be_rewritten_byte_by_byte(server, vendor, find, put, found):
    """Half an emoji, a number that no float can hold, a byte that is not UTF-8: whatever the rule puts is sent."""
    (meeting_id,) = server.insert(vendor, {"location": "Zoom"})
    server.fault(action="rewrite", find=find, put=put)
    url, headers, _ = target(server, vendor)
    response = server.session.get(f"{url}/{meeting_id}", headers=headers, timeout=30)

    assert found in response.content
    assert str(len(response.content)) == response.headers["Content-Length"]


def test_several_decorations_and_one_other_fault_hit_a_request_together(server):
    """Headers, an informational response and a rewritten body go with the fault that answers, each counted down."""
    server.fault(action="headers", headers={"X-One": "1"})
    server.fault(action="status", status=502)
    server.fault(action="rewrite", find="proxy", put="gateway")
    server.fault(action="interim", when="after")
    raw = raw_response(server, "builderprime")

    assert raw.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 502")
    assert b"\r\nx-one: 1\r\n" in raw
    assert b"502 from a gateway" in raw
    assert [0, 0, 0, 0] == [rule["remaining"] for rule in server.control("GET", "/faults")]


def test_a_request_is_read_and_the_connection_reset(server):
    """A reset before the vendor acts leaves a row of the whole request, and no meeting."""
    server.fault(action="reset")
    with pytest.raises(requests.ConnectionError):
        server.create("builderprime")
    (row,) = server.journal()

    assert (VISIT, None) == (json.loads(row["body"]), row["status"])
    assert server.meetings("builderprime") == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("offset", [-90, 90])
def test_the_vendors_clock_can_be_behind_or_ahead(server, vendor, offset):
    """Date and the dates of a meeting follow the vendor's clock; the log keeps this machine's time."""
    server.options(clock_offset=offset)
    response = server.create(vendor)
    created = {"hiringcenter": "createdAt", "builderprime": "createdDate"}[vendor]
    date = parsedate_to_datetime(response.headers["Date"]).timestamp()
    (row,), (meeting,) = server.journal(), server.meetings(vendor)

    assert offset == pytest.approx(date - row["at"] / 1000, abs=20)
    assert offset == pytest.approx((meeting[created] - row["at"]) / 1000, abs=20)


def test_a_reset_of_the_rate_limit_follows_the_vendors_clock(server):
    """RateLimit-Reset as a timestamp is the vendor's time."""
    server.options(clock_offset=5000, ratelimit_reset="timestamp")
    headers = server.hc("GET", "/auth").headers

    assert 0 <= int(headers["RateLimit-Reset"]) - parsedate_to_datetime(headers["Date"]).timestamp() <= 3601


def test_latency_needs_no_thread(server):
    """A hundred requests that each take a moment are served in parallel by one process with few threads."""
    server.options(latency=0.3)
    url, headers, _ = target(server, "hiringcenter")
    parts = urlsplit(url)
    connections = [http.client.HTTPConnection(parts.netloc, timeout=60) for _ in range(100)]
    for connection in connections:
        connection.request("GET", parts.path, headers=headers)
    server.wait_for_requests(100)
    threads = int(re.search(r"Threads:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())[1])
    assert {200} == {connection.getresponse().status for connection in connections}
    assert threads < 20
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "headers", "when": "before"},
        {"action": "rewrite", "find": ""},
        {"action": "rewrite", "find": "("},
        {"action": "rewrite", "find": "a", "put": "\u20ac"},
        {"action": "headers", "headers": {"X-Euro": "\u20ac"}},
        {"action": "interim", "interim": [200]},
        {"action": "interim", "interim": []},
    ],
)
def test_a_senseless_decoration_is_refused(server, rule):
    """A rule that could never do what it says is a 422."""
    assert server.session.post(server.facts["control"] + "/faults", json=rule, timeout=30).status_code == 422


@pytest.mark.parametrize("when", [None, "after"])
@pytest.mark.parametrize("action", ["drip", "truncate", "headers"])
def test_what_needs_a_response_is_after_by_default(server, action, when):
    """These faults say nothing about when, for there is only one time."""
    rule = server.fault(action=action, **({"when": when} if when else {}))
    assert rule["when"] == "after"
