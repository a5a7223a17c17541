"""Which proxy is asked, with which password, and that none is asked for this machine."""

import base64
import json

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.transport.proxies import proxy_for
from tests.support.sandbox import (
    EMPTY_LIST,
    HIRINGCENTER,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    certificate,
    hook_to,
    read_request,
)

SECRET = "SECRET-canary-90"
VARIABLES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"]


@WAYS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_no_proxy_of_the_environment_for_this_machine(listed, monkeypatch, host):
    """The key would leave it in clear."""
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as proxy, Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        for name in VARIABLES:
            monkeypatch.setenv(name, proxy.url)
        hook = hook_to(HIRINGCENTER, tiny.url.replace("127.0.0.1", host), timeout=5)
        assert [] == listed(hook, *WINDOW)
        hook.get_conn().get(tiny.url.replace("127.0.0.1", host), timeout=5)
        hook.get_conn().close()
        assert proxy.accepted == 0


@pytest.mark.parametrize("host", ["127.9.9.9", "[::1]", "LOCALHOST", "localhost.", "a.localhost"])
def test_this_machine_has_many_names(monkeypatch, host):
    """All of them are asked directly."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert proxy_for(f"https://{host}:8443/v2", {}, "meetings") is None
    assert proxy_for("https://localhost.example/v2", {}, "meetings").url == "http://proxy:3128"


@WAYS
def test_a_proxy_of_the_connection_is_used_for_this_machine_too(listed):
    """Who names it in the connection wants it."""
    seen = []
    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as proxy:
        hook = hook_to(HIRINGCENTER, "http://127.0.0.1:9", timeout=5, proxies={"http": proxy.url})
        assert [] == listed(hook, *WINDOW)
    assert seen[0].startswith(b"GET http://127.0.0.1:9/v2/meetings")


WRONG = {
    "a hash": f"http://user:{SECRET}#x@proxy:3128",
    "a slash": f"http://user:{SECRET}/x@proxy:3128",
    "a question mark": f"http://user:{SECRET}?x@proxy:3128",
    "a path": f"http://user:{SECRET}@proxy:3128/pac",
    "no port number": f"http://user:{SECRET}@proxy:port",
    "no host": f"http://user:{SECRET}@:3128",
    "blanks": f"http://user:{SECRET} x@proxy:3128",
    "a line break": f"http://user:{SECRET}\nx@proxy:3128",
    "socks": f"socks5://user:{SECRET}@proxy:1080",
    "ftp": f"ftp://user:{SECRET}@proxy:21",
    "half a bracket": f"http://user:{SECRET}@[::1:3128",
    "an odd host": f"http://user:{SECRET}@pro|xy:3128",
}


@WAYS
@pytest.mark.parametrize("address", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_address_in_the_connection_is_refused_by_name(listed, capfd, address):
    """Before anything is sent, and without the password."""
    with pytest.raises(MeetingsConfigurationError, match="`proxies`") as caught:
        listed(hook_to(HIRINGCENTER, "https://meetings.example", proxies={"https": address}), *WINDOW)
    assert SECRET not in repr(caught.value) + "".join(capfd.readouterr())
    assert caught.value.__cause__ is None


@WAYS
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("name", ["a hash", "socks", "no port number"])
def test_a_wrong_address_in_the_environment_is_refused_by_name(listed, monkeypatch, capfd, variable, name):
    """The error names the variable, and never the password."""
    monkeypatch.setenv(variable, WRONG[name])
    with pytest.raises(MeetingsConfigurationError, match=variable) as caught:
        listed(hook_to(HIRINGCENTER, "https://meetings.example"), *WINDOW)
    assert SECRET not in repr(caught.value) + "".join(capfd.readouterr())


def test_a_wrong_address_for_plain_http_is_named(monkeypatch):
    """HTTP_PROXY counts where the host is plain http."""
    monkeypatch.setenv("HTTP_PROXY", WRONG["a hash"])
    with pytest.raises(MeetingsConfigurationError, match="HTTP_PROXY"):
        hook_to(HIRINGCENTER, "http://meetings.example", allow_insecure=True).get_conn()


@WAYS
@pytest.mark.parametrize("key", ["https://", "HTTPS", "htps", "no", "no_proxy", "*", "", "https:", "ftp"])
def test_an_unknown_key_is_refused_by_name(listed, key):
    """A proxy that is never used is a misspelt one."""
    with pytest.raises(MeetingsConfigurationError, match="`proxies`") as caught:
        listed(hook_to(HIRINGCENTER, "https://meetings.example", proxies={key: f"http://u:{SECRET}@p:1"}), *WINDOW)
    assert repr(key) in str(caught.value)
    assert SECRET not in str(caught.value)


@WAYS
@pytest.mark.parametrize("written", ["pa€ss", "pa%E2%82%ACss", "pa%40ss", "pa@ss", "", "pä"])
def test_any_password_reaches_the_proxy(listed, written):
    """As UTF-8, however it is written."""
    seen = []
    with Tiny(answering(EMPTY_LIST["hiringcenter"], seen=seen)) as proxy:
        address = proxy.url.replace("http://", f"http://user:{written}@")
        extra = {"allow_insecure": True, "proxies": {"http": address}, "timeout": 5}
        hook = hook_to(HIRINGCENTER, "http://meetings.invalid", **extra)
        assert [] == listed(hook, *WINDOW)
        hook.get_conn().get("http://meetings.invalid/", timeout=5)
        hook.get_conn().close()
    password = {"pa%E2%82%ACss": "pa€ss", "pa%40ss": "pa@ss"}.get(written, written)
    expected = base64.b64encode(f"user:{password}".encode())
    for request in (seen[0], seen[-1]):
        assert b"proxy-authorization: basic " + expected.lower() in request.lower()


def tunnel(status, sock, seen, *, context=None):
    """Answer a CONNECT, and speak TLS from then on where it was granted."""
    seen.append(read_request(sock))
    sock.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
    if context is not None:
        secure = context.wrap_socket(sock, server_side=True)
        seen.append(read_request(secure))
        secure.sendall(EMPTY_LIST["hiringcenter"])
        read_request(secure)


@WAYS
def test_https_goes_through_a_tunnel_with_the_password_for_the_proxy_alone(listed, tmp_path):
    """The key is not shown to the proxy, nor the proxy's password to the vendor."""
    bundle, context = certificate(tmp_path, "meetings.example")
    seen = []
    with Tiny(lambda sock, _: tunnel("200 OK", sock, seen, context=context)) as proxy:
        address = proxy.url.replace("http://", f"http://user:{SECRET}@")
        hook = hook_to(
            HIRINGCENTER, "https://meetings.example", proxies={"https": address}, verify=str(bundle), timeout=5
        )
        assert [] == listed(hook, *WINDOW)
        hook.get_conn().close()
    head, inside = seen
    assert head.startswith(b"CONNECT meetings.example:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic " in head
    assert b"Authorization: Bearer" not in head.replace(b"Proxy-Authorization", b"")
    assert b"Authorization: Bearer" in inside
    assert b"Proxy-Authorization" not in inside


@WAYS
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_proxy_that_refuses_is_named(listed, status):
    """Nothing has reached the vendor."""
    with Tiny(lambda sock, _: tunnel(status, sock, [])) as proxy:
        hook = hook_to(HIRINGCENTER, "https://meetings.example", proxies={"https": proxy.url}, timeout=5)
        with pytest.raises(MeetingsTransportError, match=f"the proxy refused to connect.*{status[:3]}") as caught:
            listed(hook, *WINDOW)
    assert caught.value.maybe_sent is False


@WAYS
def test_a_proxy_that_is_away_is_no_wrong_host(listed):
    """The name that cannot be found is the proxy's."""
    hook = hook_to(HIRINGCENTER, "https://meetings.example", proxies={"https": "http://proxy.invalid:3128"}, timeout=5)
    with pytest.raises(MeetingsTransportError, match="no such proxy") as caught:
        listed(hook, *WINDOW)
    assert caught.value.maybe_sent is False


@WAYS
def test_a_proxy_of_the_environment_that_is_away_is_named(listed, monkeypatch):
    """Whoever wrote DIRECT, or a name that is gone, into the environment has no wrong host in the connection."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    with pytest.raises(MeetingsTransportError, match="no such proxy; check the environment's HTTPS_PROXY"):
        listed(hook_to(HIRINGCENTER, "https://meetings.example", timeout=5), *WINDOW)


@WAYS
def test_a_host_that_is_away_is_no_wrong_proxy(listed):
    """A proxy for other addresses has no part in it."""
    proxies = {"http": "http://127.0.0.1:3128"}
    with pytest.raises(MeetingsTransportError, match="no such host; check the host"):
        listed(hook_to(HIRINGCENTER, "https://meetings.invalid", proxies=proxies, timeout=5), *WINDOW)


@WAYS
def test_the_time_of_a_tunnel_is_part_of_the_time(listed):
    """A proxy that never answers a CONNECT holds nobody up, and nothing was sent."""
    with Tiny(lambda _sock, _number: None) as proxy:
        hook = hook_to(HIRINGCENTER, "https://meetings.example", proxies={"https": proxy.url}, timeout=0.5)
        with pytest.raises(MeetingsTransportError) as caught:
            listed(hook, *WINDOW)
    assert caught.value.maybe_sent is False


def test_proxies_for_one_host_are_allowed():
    """As requests takes them."""
    proxies = {"https://meetings.example": "http://proxy:3128", "all": "proxy:3128"}
    hook = hook_to(HIRINGCENTER, "https://meetings.example", proxies=json.dumps(proxies))
    assert hook._settings.proxies == proxies
