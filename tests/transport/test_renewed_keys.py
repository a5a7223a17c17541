"""A key that is renewed while a worker reads; and the rate limit of those who list by themselves in an event loop."""

import json

import pytest

from airflow_provider_meetings.exceptions import MeetingsAuthError
from airflow_provider_meetings.hooks.resolve import hook_for
from tests.support.sandbox import (
    BUILDERPRIME,
    EMPTY_LIST,
    HIRINGCENTER,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    listed_by_worker,
    one_meeting,
    read_request,
    reply,
)

OLD, NEW = "old-key-canary-11", "new-key-canary-22"
REFUSALS = {
    "hiringcenter": [reply("401 Unauthorized", b'{"error": "Unauthorized", "message": "no key KEY"}')],
    "builderprime": [
        reply(
            f"{status} X",
            b'{"success": false, "errors": [{"code": "API_GENERAL", "message": "Unauthorized: Invalid key"}]}',
        )
        for status in (401, 400, 200)
    ],
}
CASES = [(kind, refusal) for kind in (HIRINGCENTER, BUILDERPRIME) for refusal in REFUSALS[kind.name]]
REFUSED = pytest.mark.parametrize(("kind", "refusal"), CASES, ids=lambda value: str(value)[:25])


@pytest.fixture
def renewing(monkeypatch):
    """Set the connection, whose key is another one from the first refusal on; returns a maker of servers."""

    def make(kind, refusal, *, accepts=NEW, found=NEW, moved="", seen=None):
        seen = [] if seen is None else seen

        def connection(key, url):
            suffix = "/v2" if kind is HIRINGCENTER else "/api"
            extra = {"timeout": 10, "max_attempts": 1}
            conn = {"conn_type": kind.name, "host": url + suffix, "password": key, "extra": json.dumps(extra)}
            monkeypatch.setenv("AIRFLOW_CONN_RENEWED", json.dumps(conn))

        def serve(sock, _number):
            while (request := read_request(sock)) is not None:
                seen.append(request)
                if accepts.encode() in request:
                    listing = b"/7 " not in request.split(b"\r\n")[0] and request.startswith(b"GET")
                    sock.sendall(EMPTY_LIST[kind.name] if listing else one_meeting(kind))
                else:
                    connection(found, moved or tiny.url)
                    sock.sendall(refusal.replace(b"KEY", b"***"))

        tiny = Tiny(serve)
        connection(OLD, tiny.url)
        return tiny, seen

    return make


def keys(seen):
    """Return which key each request had."""
    return ["new" if NEW.encode() in request else "old" for request in seen]


@WAYS
@REFUSED
def test_a_list_goes_on_with_the_new_key(renewing, kind, refusal, listed):
    """A 401 in the middle: the connection is looked up once more before it is given up, beyond the attempts."""
    tiny, seen = renewing(kind, refusal)
    with tiny:
        assert [] == listed(hook_for("renewed"), *WINDOW)
    assert keys(seen)[0] == "old"
    assert set(keys(seen)[1:]) == {"new"}


@REFUSED
def test_a_get_goes_on_with_the_new_key(renewing, kind, refusal):
    """Each read of a worker does, and the calls after it; get_conn() has the new key, too."""
    tiny, seen = renewing(kind, refusal)
    with tiny:
        hook = hook_for("renewed")
        assert hook.get_meeting(7)["id"] == 7
        assert hook.get_meeting(7)["id"] == 7
        hook.get_conn().get(tiny.url, timeout=10)
        hook.get_conn().close()
    assert keys(seen) == ["old", "new", "new", "new"]


@WAYS
@REFUSED
def test_a_key_that_stays_is_given_up(renewing, kind, refusal, listed):
    """One look-up, no second request."""
    tiny, seen = renewing(kind, refusal, found=OLD)
    with tiny, pytest.raises(MeetingsAuthError):
        listed(hook_for("renewed"), *WINDOW)
    assert len(seen) == 1


@WAYS
@REFUSED
def test_a_new_key_that_is_refused_too_is_given_up(renewing, kind, refusal, listed):
    """It is sent with once."""
    tiny, seen = renewing(kind, refusal, accepts="nobody")
    with tiny, pytest.raises(MeetingsAuthError) as caught:
        listed(hook_for("renewed"), *WINDOW)
    assert keys(seen) == ["old", "new"]
    assert NEW not in str(caught.value)


@WAYS
def test_a_new_key_is_not_repeated_by_an_error(renewing, listed):
    """Where the vendor says it back."""
    tiny, _ = renewing(HIRINGCENTER, reply("401 X", b'{"error": "no", "message": "no %s"}' % NEW.encode()), accepts="x")
    with tiny, pytest.raises(MeetingsAuthError) as caught:
        listed(hook_for("renewed"), *WINDOW)
    assert NEW not in str(caught.value) + repr(caught.value.__dict__)


@WAYS
@REFUSED
def test_another_host_is_another_account(renewing, kind, refusal, listed):
    """A list is not begun in one account and ended in another."""
    with Tiny(answering(EMPTY_LIST[kind.name])) as other:
        tiny, seen = renewing(kind, refusal, moved=other.url)
        with tiny, pytest.raises(MeetingsAuthError):
            listed(hook_for("renewed"), *WINDOW)
        assert other.accepted == 0
    assert len(seen) == 1


@REFUSED
def test_a_write_is_not_sent_again(renewing, kind, refusal):
    """Whatever the connection says by now: a create, an update and a delete fail, and the next try has the new key."""
    writes = [
        lambda hook: hook.create_meeting(kind.meeting()),
        lambda hook: hook.update_meeting(7, {"location": "Zoom"}),
        lambda hook: hook.delete_meeting(7),
    ]
    for write in writes:
        tiny, seen = renewing(kind, refusal)
        with tiny, pytest.raises(MeetingsAuthError):
            write(hook_for("renewed"))
        assert [request for request in seen if not request.startswith(b"GET")] == seen[:1]
        assert len(seen) == 1


def test_a_connection_that_is_gone_is_no_other_error(renewing, monkeypatch):
    """The refusal is the error."""
    tiny, _ = renewing(HIRINGCENTER, REFUSALS["hiringcenter"][0])
    with tiny:
        hook = hook_for("renewed")
        assert hook._settings.api_key == OLD
        monkeypatch.setattr(type(hook), "get_connection", lambda *_: 1 / 0)
        with pytest.raises(MeetingsAuthError):
            listed_by_worker(hook, *WINDOW)
