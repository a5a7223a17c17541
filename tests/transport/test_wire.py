"""HTTP as gateways really speak it: interim answers, large heads, encodings, resets, and time that is used up early."""

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
import urllib.parse
from types import SimpleNamespace

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError, MeetingsTransportError
from airflow_provider_meetings.transport import connecting
from tests.support.sandbox import (
    EMPTY_LIST,
    HIRINGCENTER,
    NOON,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    hook_to,
    listed_by_worker,
    one_meeting,
    read_request,
    reply,
)

# -- interim answers

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": HINTS,
    "104 of tomorrow": b"HTTP/1.1 104 Upload Resumption Supported\r\n\r\n",
    "199": b"HTTP/1.1 199 Whatever\r\nX-A: b\r\n\r\n",
    "without a reason": b"HTTP/1.1 103\r\n\r\n",
    "several": HINTS * 3 + b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS,
}


def made(kind):
    """Answer that meeting 7 was made."""
    return one_meeting(kind, "201 Created", kind.meeting() | {"id": 7, kind.date: NOON})


@WAYS
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM.keys())
def test_interim_answers_are_read_past(kind, listed, interim):
    """Whatever comes before it, the final answer counts."""
    with Tiny(answering(interim + EMPTY_LIST[kind.name])) as tiny:
        assert [] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM.keys())
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
def test_a_create_behind_early_hints_is_sent_once(kind, interim, apart):
    """Four tries of a task made four meetings: 103 was taken for the answer."""
    seen = []

    def serve(sock, _number):
        while (request := read_request(sock)) is not None:
            seen.append(request)
            sock.sendall(interim)
            if apart:
                time.sleep(0.02)
            sock.sendall(made(kind))

    with Tiny(serve) as tiny:
        hook = hook_to(kind, tiny.url, timeout=10, max_attempts=4)
        assert hook.create_meeting(kind.meeting())["id"] == 7
        assert hook.create_meeting(kind.meeting())["id"] == 7  # nothing of the first is left on the socket
        hook.get_conn().close()
    assert len(seen) == 2


@WAYS
def test_a_change_of_protocols_is_final(kind, listed):
    """101 is the one 1xx that is an answer; nothing of the vendor's speaks so."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    with Tiny(answering(switching)) as tiny, pytest.raises(MeetingsError) as caught:
        listed(hook_to(kind, tiny.url, timeout=0.5), *WINDOW)
    assert caught.value.status in {101, None}


@WAYS
def test_interim_answers_without_end_are_bounded(listed):
    """A server that never comes to the point holds nobody up."""

    def serve(sock, _number):
        read_request(sock)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(HINTS)
                time.sleep(0.005)

    begun = time.monotonic()
    with Tiny(serve) as tiny, pytest.raises(MeetingsTransportError) as caught:
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=0.5), *WINDOW)
    assert time.monotonic() - begun < 30
    assert caught.value.maybe_sent


# -- heads and bodies


@WAYS
@pytest.mark.parametrize(
    "headers",
    [
        ["X-Long: " + "a" * 8_300],
        ["X-Long: " + "a" * 60_000],
        [f"X-{number}: b" for number in range(101)],
        [f"X-{number}: b" for number in range(900)],
        ["X-Folded: a\r\n b\r\n\tc"],
    ],
    ids=["8300 bytes", "60000 bytes", "101 headers", "900 headers", "folded"],
)
def test_large_heads_are_read(kind, listed, headers):
    """Gateways add what they like: both transports read the same."""
    answer = reply("200 OK", EMPTY_LIST[kind.name].partition(b"\r\n\r\n")[2], *headers)
    with Tiny(answering(answer)) as tiny:
        assert [] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)


@WAYS
@pytest.mark.parametrize(
    "headers",
    [["X-Long: " + "a" * 200_000], [f"X-{number}: b" for number in range(20_000)]],
    ids=["a line of 200 kB", "20000 headers"],
)
def test_heads_have_an_end(listed, headers):
    """What is beyond all measure is a broken answer, or read whole by an aiohttp that does not count headers."""
    with Tiny(answering(reply("200 OK", b"{}", *headers))) as tiny, pytest.raises(MeetingsError):
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=10), *WINDOW)


@WAYS
@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "none", "binary", "identity", "8bit", "identity, utf-8", " "])
def test_an_encoding_that_packs_nothing_is_no_hindrance(kind, listed, encoding):
    """Some servers write a charset, or a word, where HTTP wants the name of a compression."""
    answer = reply("200 OK", EMPTY_LIST[kind.name].partition(b"\r\n\r\n")[2], f"Content-Encoding: {encoding}")
    with Tiny(answering(answer)) as tiny:
        assert [] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)


@WAYS
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_a_compression_that_was_not_asked_for_is_a_broken_answer(listed, encoding):
    """Both transports say so, whatever else is installed."""
    answer = reply("200 OK", b"\x1b\x03", f"Content-Encoding: {encoding}")
    with Tiny(answering(answer)) as tiny, pytest.raises(MeetingsTransportError, match="the connection broke") as caught:
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=10), *WINDOW)
    assert caught.value.maybe_sent


PACKED = {
    "the header twice": (["Content-Encoding: gzip"] * 2, b""),
    "the header in small letters": (["content-encoding: gzip"], b""),
    "the header in both": (["content-encoding: gzip", "CONTENT-ENCODING: gzip"], b""),
    "the word twice": (["Content-Encoding: gzip, gzip"], b""),
    "zeros behind it": (["Content-Encoding: gzip"], b"\0" * 9),
    "a zero behind it": (["Content-Encoding: x-gzip"], b"\0"),
    "words behind it": (["Content-Encoding: gzip"], b"\r\n<!-- served by -->"),
    "another member": (["Content-Encoding: gzip"], gzip.compress(b" \n")),
}


@WAYS
@pytest.mark.parametrize(("headers", "behind"), PACKED.values(), ids=PACKED.keys())
def test_what_servers_do_to_packed_answers(kind, listed, headers, behind):
    """A header is repeated on the way, and what follows the data is no data."""
    packed = gzip.compress(EMPTY_LIST[kind.name].partition(b"\r\n\r\n")[2]) + behind
    with Tiny(answering(reply("200 OK", packed, *headers))) as tiny:
        assert [] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)


@WAYS
def test_a_second_member_that_breaks_off_is_a_broken_answer(listed):
    """It is data that is missing, not something behind the data."""
    packed = gzip.compress(b'{"success": true, ') + gzip.compress(b'"items": [], "pagination": {}}')[:-9]
    answer = reply("200 OK", packed, "Content-Encoding: gzip")
    with Tiny(answering(answer)) as tiny, pytest.raises(MeetingsTransportError, match="the connection broke"):
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=10), *WINDOW)


@WAYS
def test_a_request_id_of_odd_bytes_can_be_logged(kind, listed, monkeypatch):
    """The log of the triggerer took half a character from a header that is not UTF-8, and what it cannot write."""
    lines = []
    log = SimpleNamespace(info=lambda text, *values: lines.append(text % values), debug=lambda *_: None)
    monkeypatch.setattr(kind.hook, "log", log)
    body = EMPTY_LIST[kind.name].partition(b"\r\n\r\n")[2]
    answer = b"HTTP/1.1 200 OK\r\nX-Request-Id: caf\xe9 \xff%s\r\nContent-Length: %d\r\n\r\n" % (b"a" * 500, len(body))
    with Tiny(answering(answer + body)) as tiny:
        assert [] == listed(hook_to(kind, tiny.url, timeout=10), *WINDOW)
    (line,) = (line for line in lines if "request id" in line)
    assert line.endswith("request id caf? ?" + "a" * 194)


# -- one send


def resetting(seen, *, good=0):
    """Make a server that answers so many requests of each connection, and resets at the next."""

    def serve(sock, _number):
        for _ in range(good):
            seen.append(read_request(sock))
            sock.sendall(EMPTY_LIST["hiringcenter"])
        request = read_request(sock)
        if request is not None:
            seen.append(request)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    return serve


@WAYS
@pytest.mark.parametrize("attempts", [1, 3])
def test_one_send_is_one_send(listed, attempts):
    """The attempts of the connection are all there are: no library adds its own."""
    seen = []
    with Tiny(resetting(seen)) as tiny, pytest.raises(MeetingsTransportError):
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=5, max_attempts=attempts), *WINDOW)
    assert attempts == len(seen)


@WAYS
def test_a_kept_connection_that_breaks_is_one_send_too(listed):
    """A page whose request meets a reset on a connection that was good before."""
    first = json.dumps(
        {"success": True, "items": [{"id": "1", "meetingDate": NOON}], "pagination": {"nextPageToken": "t"}}
    ).encode()
    seen = []

    def serve(sock, _number):
        seen.append(read_request(sock))
        sock.sendall(reply("200 OK", first))
        request = read_request(sock)
        if request is not None:
            seen.append(request)
        sock.close()

    with Tiny(serve) as tiny, pytest.raises(MeetingsTransportError):
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=5), *WINDOW)
    assert len(seen) == 2


# -- cookies


@WAYS
def test_no_cookie_is_kept(listed):
    """A session of the read key must not go along with another key."""
    meeting = {"id": "1", "meetingDate": NOON}
    pages = [
        reply(
            "200 OK",
            json.dumps({"success": True, "items": [meeting], "pagination": {"nextPageToken": token}}).encode(),
            f"Set-Cookie: session{token}=read; Path=/",
            "Set-Cookie: other=1",
        )
        for token in ("a", "")
    ]
    seen = []
    with Tiny(answering(*pages, seen=seen)) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url, timeout=10)
        listed(hook, *WINDOW)
        hook.get_conn().get(tiny.url, timeout=10)
        hook.get_conn().get(tiny.url, timeout=10)
        assert not list(hook.get_conn().cookies)
        hook.get_conn().close()
    assert len(seen) >= 4
    assert not [request for request in seen if b"cookie" in request.lower()]


# -- time


def addresses(monkeypatch, *found, seconds=0.0):
    """Have the name server answer so, after a while."""
    real = socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        if host not in {"meetings.example", b"meetings.example"}:
            return real(host, *args, **kwargs)
        time.sleep(seconds)
        if isinstance(found[0], Exception):
            raise found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def port_of(url):
    """Return the port."""
    return urllib.parse.urlsplit(url).port


@WAYS
def test_a_dead_address_does_not_take_the_time_of_the_next(kind, listed, monkeypatch, dead):
    """A dead IPv6 route in front: the second address is tried beside the first, and answers."""
    with Tiny(answering(EMPTY_LIST[kind.name])) as tiny:
        addresses(monkeypatch, dead, ("127.0.0.1", port_of(tiny.url)))
        hook = hook_to(kind, f"http://meetings.example:{port_of(tiny.url)}", timeout=5, allow_insecure=True)
        begun = time.monotonic()
        assert [] == listed(hook, *WINDOW)
        assert time.monotonic() - begun < 4


def test_a_create_over_a_dead_address_is_answered(kind, monkeypatch, dead):
    """It was sent when no time was left to read its answer: the call failed, and the meeting was made."""
    with Tiny(answering(made(kind))) as tiny:
        addresses(monkeypatch, dead, dead, ("127.0.0.1", port_of(tiny.url)))
        hook = hook_to(kind, f"http://meetings.example:{port_of(tiny.url)}", timeout=5, allow_insecure=True)
        assert hook.create_meeting(kind.meeting())["id"] == 7
        hook.get_conn().close()


@WAYS
def test_addresses_that_refuse_are_not_waited_for(listed, monkeypatch):
    """A refusal brings the next address in at once."""
    monkeypatch.setattr(connecting, "STAGGER", 60)
    with socket.socket() as closed, Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        closed.bind(("127.0.0.1", 0))  # and never listens
        addresses(monkeypatch, closed.getsockname(), ("127.0.0.1", port_of(tiny.url)))
        hook = hook_to(HIRINGCENTER, f"http://meetings.example:{port_of(tiny.url)}", timeout=10, allow_insecure=True)
        assert [] == listed(hook, *WINDOW)


@WAYS
def test_a_name_server_that_is_too_slow_is_bounded(listed, monkeypatch):
    """The time is over before there is an address: nothing was sent, and it is known."""
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        addresses(monkeypatch, ("127.0.0.1", port_of(tiny.url)), seconds=1.5)
        hook = hook_to(HIRINGCENTER, f"http://meetings.example:{port_of(tiny.url)}", timeout=0.4, allow_insecure=True)
        with pytest.raises(MeetingsTransportError, match="could not connect in time") as caught:
            listed(hook, *WINDOW)
        assert caught.value.maybe_sent is False
        if listed is listed_by_worker:
            time.sleep(1.5)  # the look-up that was left behind ends
        assert tiny.accepted == 0


def test_a_create_whose_time_is_over_is_not_sent(kind, monkeypatch):
    """Connecting has used up the time: the server gets no request, and the error says so."""
    seen = []
    with Tiny(answering(made(kind), seen=seen)) as tiny:
        addresses(monkeypatch, ("127.0.0.1", port_of(tiny.url)), seconds=0.95)
        hook = hook_to(kind, f"http://meetings.example:{port_of(tiny.url)}", timeout=1, allow_insecure=True)
        with pytest.raises(MeetingsTransportError) as caught:
            hook.create_meeting(kind.meeting())
        assert caught.value.maybe_sent is False
        time.sleep(0.3)
    assert seen == []


@WAYS
def test_what_was_not_connected_was_not_sent(listed, dead):
    """Also in the triggerer."""
    with pytest.raises(MeetingsTransportError, match="could not connect in time") as caught:
        listed(hook_to(HIRINGCENTER, f"http://127.0.0.1:{dead[1]}", timeout=0.4), *WINDOW)
    assert caught.value.maybe_sent is False


DNS = {
    "temporary": (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "temporary DNS failure"),
    "unknown": (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host"),
}


@WAYS
@pytest.mark.parametrize(("error", "text"), DNS.values(), ids=DNS.keys())
def test_a_failed_look_up_says_what_it_is(listed, monkeypatch, error, text):
    """A name server that is away is no wrong host."""
    addresses(monkeypatch, error)
    hook = hook_to(HIRINGCENTER, "http://meetings.example", allow_insecure=True, timeout=5)
    with pytest.raises(MeetingsTransportError, match=text) as caught:
        listed(hook, *WINDOW)
    assert caught.value.maybe_sent is False


def test_threads_that_look_up_end():
    """Nothing is left behind by look-ups that were answered."""
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        hook = hook_to(HIRINGCENTER, tiny.url.replace("127.0.0.1", "localhost"), timeout=10)
        assert [] == listed_by_worker(hook, *WINDOW)
        hook.get_conn().close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("look up")]


# -- names


@WAYS
@pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.example"])
def test_an_internationalized_host_goes_out_as_punycode(listed, monkeypatch, host):
    """The name server and the Host header get the same ASCII name from both."""
    seen, real = [], socket.getaddrinfo
    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as tiny:
        port = port_of(tiny.url)

        def look_up(name, *args, **kwargs):
            name = name.decode() if isinstance(name, bytes) else name
            assert name in {"xn--bcher-kva.example", "127.0.0.1"}
            return real("127.0.0.1", *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        hook = hook_to(HIRINGCENTER, f"http://{host}:{port}", allow_insecure=True, timeout=5)
        assert [] == listed(hook, *WINDOW)
    assert f"host: xn--bcher-kva.example:{port}".encode() in seen[0].lower()


@WAYS
def test_a_host_that_no_name_can_be_is_refused(listed):
    """By the connection, before anything is sent."""
    with pytest.raises(MeetingsConfigurationError, match="host"):
        listed(hook_to(HIRINGCENTER, "https://\u2488.example\u00df\u200d"), *WINDOW)
