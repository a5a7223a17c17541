"""Both transports over real sockets: bounds in time and memory, TLS, proxies, secrets, and what an error says."""

import asyncio
import concurrent.futures
import contextlib
import gc
import json
import os
import socket
import struct
import threading
import time
import traceback
import tracemalloc
import zlib

import certifi
import pytest
import requests

from airflow_provider_meetings import __version__
from airflow_provider_meetings.exceptions import (
    MeetingsError,
    MeetingsProtocolError,
    MeetingsServerError,
    MeetingsTransportError,
)
from airflow_provider_meetings.transport.aio import AsyncTransport
from airflow_provider_meetings.transport.common import LARGEST_ANSWER
from airflow_provider_meetings.transport.sync import Transport
from tests.support.sandbox import (
    BUILDERPRIME,
    DAY,
    EMPTY_LIST,
    HIRINGCENTER,
    KINDS,
    NOON,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    certificate,
    hook_to,
    listed_by_triggerer,
    listed_by_worker,
    one_meeting,
    read_request,
    reply,
)

ENDLESS = 30  # seconds; what is bounded ends long before, even on a busy machine
KEY = "secret-key-canary-51"
PERSONAL = {"hiringcenter": {"prospectId": "canary-prospect"}, "builderprime": {"opportunity-id": 424_242}}


class Lines:
    """A log that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def info(self, text, *values):
        """Keep a line."""
        self.lines.append(text % values)

    debug = warning = error = info


# -- sockets


def test_a_hundred_calls_use_two_sockets_at_most(kind):
    """The session is pooled and kept by the hook."""
    with Tiny(answering(one_meeting(kind))) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        for _ in range(99):
            hook.get_meeting(7)
        assert hook.get_conn().get(f"{tiny.url}/anything", timeout=10).status_code == 200
        hook.get_conn().close()
        assert tiny.accepted <= 2


def test_a_session_that_is_closed_keeps_no_socket_open(kind):
    """The server sees the end at once, and the next call opens another one."""
    ended = threading.Event()

    def serve(sock, _):
        while read_request(sock) is not None:
            sock.sendall(one_meeting(kind))
        ended.set()

    with Tiny(serve) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        hook.get_meeting(7)
        hook.get_conn().close()
        assert ended.wait(20)
        hook.get_meeting(7)
        assert tiny.accepted == 2
        hook.get_conn().close()


@WAYS
def test_slices_in_parallel_use_no_more_sockets_than_allowed(listed):
    """Builder Prime: a year is a dozen slices, read over `max_parallel_requests` sockets."""
    with Tiny(answering(EMPTY_LIST["builderprime"])) as tiny:
        hook = hook_to(BUILDERPRIME, tiny.url, timeout=10, max_parallel_requests=3)
        assert listed(hook, NOON, NOON + 365 * DAY) == []
        hook.get_conn().close()
        assert 1 <= tiny.accepted <= 3


def test_threads_share_a_hook(kind):
    """A hook used by many threads at once answers each of them."""
    with Tiny(answering(one_meeting(kind))) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: hook.get_meeting(7)["id"], range(80)))
        hook.get_conn().close()
    assert found == [7] * 80


# -- time


def silent(_sock, _number):
    """Accept and never answer: the socket stays open until the server ends."""


def dripping(start):
    """Make a server that answers with this much, then byte after byte for ever."""

    def serve(sock, _number):
        read_request(sock)
        sock.sendall(start)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"1\r\na\r\n" if b"chunked" in start else b"a")
                time.sleep(0.02)

    return serve


SLOW = {
    "never answers": silent,
    "drips the status line": dripping(b"HTTP/1.1 200 O"),
    "drips a header": dripping(b"HTTP/1.1 200 OK\r\nX-Long: "),
    "drips the body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
    "drips chunks": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "drips until it closes": dripping(b"HTTP/1.1 200 OK\r\n\r\n"),
}


@WAYS
@pytest.mark.parametrize("serve", SLOW.values(), ids=SLOW.keys())
def test_the_timeout_bounds_the_whole_request(serve, listed):
    """However a server takes its time, the request ends, and the error says that the time was up."""
    begun = time.monotonic()
    with Tiny(serve) as tiny, pytest.raises(MeetingsTransportError, match="no complete answer within 0") as caught:
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=0.4), *WINDOW)
    assert time.monotonic() - begun < ENDLESS
    assert caught.value.maybe_sent


@WAYS
def test_the_timeout_bounds_a_tls_handshake(listed):
    """A server that accepts and never shakes hands does not hold the task."""
    begun = time.monotonic()
    with Tiny(silent) as tiny, pytest.raises(MeetingsTransportError):
        listed(hook_to(HIRINGCENTER, tiny.url.replace("http:", "https:"), timeout=0.4), *WINDOW)
    assert time.monotonic() - begun < ENDLESS


@WAYS
def test_the_timeout_bounds_the_connect(dead, listed):
    """A connect that hangs ends, and a worker knows that nothing was sent."""
    begun = time.monotonic()
    with pytest.raises(MeetingsTransportError) as caught:
        listed(hook_to(HIRINGCENTER, f"http://127.0.0.1:{dead[1]}", timeout=0.4), *WINDOW)
    assert time.monotonic() - begun < ENDLESS
    if listed is listed_by_worker:
        assert caught.value.maybe_sent is False


def test_the_time_is_given_anew_to_each_request(kind):
    """A kept connection does not inherit what the request before it left of its time."""

    def serve(sock, _number):
        while read_request(sock) is not None:
            time.sleep(0.25)
            sock.sendall(one_meeting(kind))

    with Tiny(serve) as tiny:
        hook = hook_to(kind, tiny.url, timeout=5)
        assert [hook.get_meeting(7)["id"] for _ in range(3)] == [7] * 3
        hook.get_conn().close()
        assert tiny.accepted == 1


# -- memory


def endless(sock, _number):
    """Answer with a body that has no end."""
    read_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(part)


def bomb():
    """Make a small answer that unpacks to 128 MB; in one piece, since older clients read only the first one."""
    packer, zeros = zlib.compressobj(wbits=31), bytes(1 << 20)
    packed = b"".join([*(packer.compress(zeros) for _ in range(128)), packer.flush()])
    return reply("200 OK", packed, "Content-Encoding: gzip", "Content-Type: application/json")


@WAYS
@pytest.mark.parametrize("serve", [endless, answering(bomb())], ids=["endless", "gzip bomb"])
def test_memory_survives_any_answer(serve, listed):
    """An answer is cut off at the limit, packed or not, and the error says how much was read."""
    with Tiny(serve) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, timeout=60)
        tracemalloc.start()
        try:
            with pytest.raises(MeetingsProtocolError, match=str(LARGEST_ANSWER)) as caught:
                listed(hook, *WINDOW)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 * LARGEST_ANSWER
    assert (caught.value.status, caught.value.method, caught.value.path) == (200, "GET", "/meetings")


LONG = json.dumps({"success": True, "items": [], "pagination": {}, "padding": "x" * (3 << 20)}).encode()


def packed(text, wbits):
    """Pack as gzip (31), zlib (15) or bare deflate (-15)."""
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(text) + packer.flush()


@WAYS
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", packed(LONG, 31)),
        ("gzip", packed(LONG[:500], 31) + packed(LONG[500:], 31)),
        ("deflate", packed(LONG, 15)),
        ("deflate", packed(LONG, -15)),
        ("identity", LONG),
    ],
    ids=["gzip", "gzip of two members", "zlib", "bare deflate", "identity"],
)
def test_packed_answers_are_unpacked(listed, encoding, body):
    """However an answer of some megabytes is packed, both transports read all of it."""
    answer = reply("200 OK", body, f"Content-Encoding: {encoding}")
    with Tiny(answering(answer)) as tiny:
        assert [] == listed(hook_to(HIRINGCENTER, tiny.url, timeout=60), *WINDOW)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", packed(LONG, 31)[:-9]), ("deflate", b"\x78not deflate"), ("zstd", b"never asked for")],
)
def test_badly_packed_answers_are_transport_errors(encoding, body):
    """What cannot be unpacked in the triggerer is an answer that got broken on its way, not an empty list."""
    answer = reply("200 OK", body, f"Content-Encoding: {encoding}")
    with Tiny(answering(answer)) as tiny, pytest.raises(MeetingsTransportError, match="the connection broke"):
        listed_by_triggerer(hook_to(HIRINGCENTER, tiny.url, timeout=60), *WINDOW)


# -- where requests go, and with what


@WAYS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(kind, listed, status):
    """A redirect is an error that names it, and the place it points to is never asked."""
    with Tiny(answering(EMPTY_LIST[kind.name])) as other:
        moved = reply(f"{status} Moved", b"", f"Location: {other.url}/v2/meetings")
        with Tiny(answering(moved)) as tiny, pytest.raises(MeetingsProtocolError, match="redirect") as caught:
            listed(hook_to(kind, tiny.url), *WINDOW)
        assert status == caught.value.status
        assert other.accepted == 0


def test_redirects_are_not_followed_for_who_uses_the_session(kind):
    """A user of get_conn() gets an error instead of a credential on its way to a stranger."""
    with Tiny(answering(EMPTY_LIST[kind.name])) as other:
        moved = reply("302 Found", b"", f"Location: {other.url}/v2/meetings")
        with Tiny(answering(moved)) as tiny, pytest.raises(requests.TooManyRedirects):
            hook_to(kind, tiny.url).get_conn().get(tiny.url, timeout=10)
        assert other.accepted == 0


@WAYS
def test_netrc_does_not_replace_the_key(kind, listed, tmp_path, monkeypatch):
    """A .netrc entry for the host has no say."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []
    with Tiny(answering(EMPTY_LIST[kind.name], seen=seen)) as tiny:
        hook = hook_to(kind, tiny.url)
        listed(hook, *WINDOW)
        hook.get_conn().get(f"{tiny.url}/direct", timeout=10)
    for request in seen:
        assert KEY.encode() in request
        assert b"Basic" not in request


@WAYS
def test_the_request_says_who_asks(listed):
    """User-Agent and Accept are on every request."""
    seen = []
    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as tiny:
        listed(hook_to(HIRINGCENTER, tiny.url), *WINDOW)
    head = seen[0].decode().lower()
    assert f"user-agent: airflow-provider-meetings/{__version__}" in head
    assert "accept: application/json" in head


PROXIES = {
    "by scheme": ({"http": "{url}"}, {}),
    "for all": ({"all": "{url}"}, {}),
    "of the environment": ({}, {"http_proxy": "{url}"}),
    "of the environment for all": ({}, {"all_proxy": "{url}"}),
    "over the environment's": ({"http": "{url}"}, {"http_proxy": "http://127.0.0.1:9"}),
    "as text": ('{{"http": "{url}"}}', {}),
}


@WAYS
@pytest.mark.parametrize(("setting", "environment"), PROXIES.values(), ids=PROXIES.keys())
def test_proxies_are_used(listed, setting, environment, monkeypatch):
    """The connection's proxies are asked, else the environment's; the worker and the triggerer agree."""
    seen = []
    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as proxy:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(url=proxy.url))
        if isinstance(setting, str):
            setting = setting.format(url=proxy.url)
        else:
            setting = {name: value.format(url=proxy.url) for name, value in setting.items()}
        hook = hook_to(HIRINGCENTER, "http://meetings.invalid", allow_insecure=True, proxies=setting)
        assert listed(hook, *WINDOW) == []
    assert seen[0].startswith(b"GET http://meetings.invalid/v2/meetings?")


@WAYS
def test_the_environments_exceptions_hold(listed, monkeypatch):
    """A host in no_proxy is asked directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        assert listed(hook_to(HIRINGCENTER, tiny.url), *WINDOW) == []


@WAYS
def test_a_proxy_that_cannot_be_used_is_a_typed_error(listed):
    """A proxy of a kind that the client does not speak is no bare ValueError."""
    hook = hook_to(HIRINGCENTER, "http://127.0.0.1:9", proxies={"http": "socks5://127.0.0.1:9"})
    with pytest.raises(MeetingsError):
        listed(hook, *WINDOW)


# -- TLS


@WAYS
def test_an_unknown_certificate_is_refused_with_the_setting_to_change(listed, tmp_path):
    """The error names `verify`, and nothing was sent."""
    _, context = certificate(tmp_path)
    with Tiny(answering(EMPTY_LIST["hiringcenter"]), context) as tiny:
        with pytest.raises(MeetingsTransportError, match="`verify`") as caught:
            listed(hook_to(HIRINGCENTER, tiny.url, timeout=5), *WINDOW)
        assert caught.value.maybe_sent is False


@WAYS
@pytest.mark.parametrize("environment", [None, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_in_verify_is_trusted(listed, tmp_path, monkeypatch, environment):
    """`verify` takes a bundle, whatever the environment says."""
    bundle, context = certificate(tmp_path)
    if environment:
        monkeypatch.setenv(environment, certifi.where())
    with Tiny(answering(EMPTY_LIST["hiringcenter"]), context) as tiny:
        assert listed(hook_to(HIRINGCENTER, tiny.url, timeout=5, verify=str(bundle)), *WINDOW) == []


# -- what an error says


def cut(*, answer=b"", reset=False, read=True):
    """Make a server that reads, or not, sends a part of an answer, and is gone."""

    def serve(sock, _number):
        if read:
            read_request(sock)
        sock.sendall(answer)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # closing the object and not shutting the socket down first: that makes it a reset
        sock.close()

    return serve


CUTS = {
    "reset": cut(reset=True),
    "closed": cut(),
    "reset in the body": cut(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", reset=True),
    "truncated": cut(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    "a chunk missing": cut(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "no HTTP": cut(answer=b"SSH-2.0-OpenSSH_9\r\n\r\n"),
    "bad gzip": cut(answer=reply("200 OK", b"no gzip", "Content-Encoding: gzip")),
}


@WAYS
@pytest.mark.parametrize("cut_off", CUTS)
def test_a_broken_connection_may_have_been_heard(cut_off, listed):
    """Whatever breaks once the request is out, the server may have acted; a status that came is told."""
    with Tiny(CUTS[cut_off]) as tiny, pytest.raises(MeetingsTransportError) as caught:
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=5), *WINDOW)
    assert caught.value.maybe_sent
    assert (caught.value.method, caught.value.path) == ("GET", "/meetings")
    if cut_off != "reset in the body":  # which may overtake the answer's head
        assert caught.value.status == (None if cut_off in {"reset", "closed", "no HTTP"} else 200)


@WAYS
@pytest.mark.parametrize(
    ("url", "text"), [("http://127.0.0.1:9", "could not connect"), ("http://meetings.invalid", "no such host")]
)
def test_what_was_never_sent_is_told_apart(listed, url, text):
    """A refused connection and an unknown host: nothing was sent."""
    with pytest.raises(MeetingsTransportError, match=text) as caught:
        listed(hook_to(HIRINGCENTER, url, timeout=10, allow_insecure=True), *WINDOW)
    assert caught.value.maybe_sent is False


@WAYS
def test_an_unusable_host_is_a_typed_error(listed):
    """A host that no URL can have is an error of ours, not of a library."""
    with pytest.raises(MeetingsError):
        listed(hook_to(HIRINGCENTER, "https://.example.com"), *WINDOW)


def errors_of(kind, listed):
    """Provoke errors of every sort; yields each."""
    statuses = (400, 401, 403, 404, 409, 429, 500)
    refusals = [reply(f"{status} X", b'{"error": "x", "errors": []}') for status in statuses]
    echo = {"success": False, "error": f"no {KEY}", "message": KEY, "errors": [{"code": KEY, "message": f"no {KEY}"}]}
    refusals += [reply(f"{status} X", json.dumps(echo).encode()) for status in (200, *statuses)]
    servers = [*CUTS.values(), silent, *(answering(refusal) for refusal in refusals), answering(reply("200 OK", b"<"))]
    for serve in servers:
        with Tiny(serve) as tiny, pytest.raises(MeetingsError) as caught:
            listed(hook_to(kind, tiny.url, timeout=0.4), *WINDOW, filters=PERSONAL[kind.name])
        yield caught.value
    for url in ("http://127.0.0.1:9", "http://meetings.invalid"):
        with pytest.raises(MeetingsError) as caught:
            listed(hook_to(kind, url, allow_insecure=True), *WINDOW, filters=PERSONAL[kind.name])
        yield caught.value


@WAYS
def test_neither_key_nor_query_is_in_any_error(kind, listed, capfd):
    """Not in the text, not in the attributes, not in the traceback with its causes, not in the log."""
    for error in errors_of(kind, listed):
        shown = "".join(traceback.format_exception(error)) + repr(error.__dict__) + repr(error.args)
        for secret in (KEY, "canary-prospect", "424242", str(NOON - 1)):
            assert secret not in shown
    logged = "".join(capfd.readouterr())
    for secret in (KEY, "canary-prospect", "424242", str(NOON - 1)):
        assert secret not in logged


# -- the line that a request leaves


def drive(way, kind, url, call, **changes):
    """Drive a call of a vendor; returns the lines that it logged."""
    hook, log = hook_to(kind, url, **changes), Lines()
    if way == "worker":
        with contextlib.suppress(MeetingsError):
            Transport(hook._settings, log).drive(call(hook._vendor))
        return log.lines

    async def through() -> None:
        async with AsyncTransport(hook._settings, log) as transport:
            with contextlib.suppress(MeetingsError):
                await transport.drive(call(hook._vendor))

    asyncio.run(through())
    return log.lines


BOTH = pytest.mark.parametrize("way", ["worker", "triggerer"])


@BOTH
def test_each_request_leaves_one_line(kind, way):
    """Method, path, status, milliseconds, attempt and the vendor's request id, and between them the waits."""
    answers = [reply("503 Busy", b"", "X-Request-Id: r-1", "Retry-After: 0"), one_meeting(kind)]
    with Tiny(answering(*answers)) as tiny:
        first, wait, second = drive(way, kind, tiny.url, lambda vendor: vendor.get(7), max_attempts=3, timeout=10)
    path = kind.collection.removeprefix("/v2").removeprefix("/api") + "/7"
    assert first.startswith(f"GET {path} answered 503 in ")
    assert first.endswith(" ms, attempt 1, request id r-1")
    assert wait.startswith("Waiting ")
    assert second.startswith(f"GET {path} answered 200 in ")
    assert second.endswith(" ms, attempt 2")


@BOTH
@pytest.mark.parametrize("serve", [cut(reset=True), silent, endless], ids=["reset", "silent", "endless"])
def test_a_request_without_a_good_answer_leaves_its_line_too(way, serve):
    """A request that was cut off, timed out or answered too much is in the log, with its attempt."""
    with Tiny(serve) as tiny:
        retry_limits = 60 if serve is endless else 0.4
        lines = drive(way, HIRINGCENTER, tiny.url, lambda vendor: vendor.get(7), timeout=retry_limits)
    assert len(lines) == 1
    assert "/meetings/7" in lines[0]
    assert "ttempt 1" in lines[0]


# -- reads recover


READ_FAULTS = {
    "reset": {"action": "reset"},
    "close": {"action": "close"},
    "reset after": {"action": "reset", "when": "after"},
    "truncated": {"action": "truncate", "when": "after"},
    "dripping": {"action": "drip", "when": "after", "bytes_per_second": 20, "times": 1},
    **{f"{status}": {"action": "status", "status": status} for status in (408, 500, 502, 503, 504)},
    "503 in the envelope": {"action": "status", "status": 503, "html": False},
    **{
        f"429 {form}": {"action": "ratelimit", "form": form, "retry_after": 0, "times": 1}
        for form in ("seconds", "http-date", "body", "none")
    },
}


@WAYS
@pytest.mark.parametrize("rule", READ_FAULTS.values(), ids=READ_FAULTS.keys())
def test_reads_recover(server, kind, listed, rule):
    """After one or two faults of any transient kind the list is whole."""
    server.insert(kind, *(kind.row(NOON + number) for number in range(5)))
    server.fault(match={"vendor": kind.name}, **{"times": 2} | rule)
    found = listed(server.hook(kind, timeout=1), *WINDOW)
    assert [NOON + number for number in range(5)] == sorted(meeting[kind.date] for meeting in found)


@WAYS
@pytest.mark.parametrize("explained", [True, False])
def test_a_failure_in_a_success_is_never_an_empty_list(server, kind, listed, explained):
    """`success: false` with 200 is an error, explained or not."""
    server.fault("success_false", match={"vendor": kind.name}, explained=explained, times=None)
    with pytest.raises(MeetingsError) as caught:
        listed(server.hook(kind), *WINDOW)
    assert caught.value.status == 200


@WAYS
def test_the_list_fails_when_the_patience_is_over(server, kind, listed):
    """The attempts of a connection bound a read, and the error is typed."""
    server.fault("status", match={"vendor": kind.name}, status=502, times=None)
    with pytest.raises(MeetingsServerError) as caught:
        listed(server.hook(kind, max_attempts=3), *WINDOW)
    assert caught.value.status == 502
    assert len(server.journal()) == 3


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")  # noqa: PTH110 - at collection
def test_the_triggerers_way_leaves_no_socket_behind(server, kind):
    """Also when the list breaks off, its session is closed."""

    def sockets():
        found = 0
        for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is needed
            with contextlib.suppress(OSError):
                found += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")  # noqa: PTH115 - likewise
        return found

    gc.collect()
    before = sockets()
    assert listed_by_triggerer(server.hook(kind), *WINDOW) == []
    server.fault("status", status=400)
    with pytest.raises(MeetingsError):
        listed_by_triggerer(server.hook(kind), *WINDOW)
    assert before >= sockets()


def test_both_vendors_are_tried():
    """The kinds of this file are the kinds that there are."""
    assert {"hiringcenter", "builderprime"} == {kind.name for kind in KINDS}
