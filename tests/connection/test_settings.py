"""Connections: every default, every form of a value, and every refusal, without Airflow."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_meetings.connection.builderprime import BuilderPrimeSettings
from airflow_provider_meetings.connection.hiringcenter import HiringCenterSettings
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

SECRET = "sk-very-secret-0123"


@dataclass
class Connection:
    """The parts of an Airflow connection."""

    conn_id: str = "my_conn"
    host: str | None = None
    password: str | None = SECRET
    login: str | None = None
    port: int | None = None
    schema: str | None = None
    extra: Any = None


def conn(extra=None, **fields):
    """Make a connection."""
    return Connection(extra=None if extra is None else json.dumps(extra), **fields)


def hc(extra=None, **fields):
    """Read a HiringCenter connection."""
    return HiringCenterSettings.from_connection(conn(extra, **fields))


def bp(extra=None, **fields):
    """Read a Builder Prime connection."""
    return BuilderPrimeSettings.from_connection(conn(extra, **({"host": "acme"} | fields)))


def refusal(read, *args, **fields):
    """The problems of a connection, one a line."""
    with pytest.raises(MeetingsConfigurationError) as caught:
        read(*args, **fields)
    text = str(caught.value)
    assert "'my_conn'" in text
    assert SECRET not in text
    return [line.removeprefix("  - ") for line in text.splitlines()[1:]]


def test_the_defaults_of_hiringcenter():
    """A password is all that is needed."""
    settings = hc()
    assert settings.base_url == "https://api.hiringcenterpro.com/v2"
    assert (settings.update_method, settings.idempotency_window) == ("POST", 86_400)
    assert (settings.rate_limit_per_minute, settings.rate_limit_per_hour) == (500, 10_000)
    assert (settings.timeout, settings.max_attempts, settings.max_wait) == (30, 5, 60)
    assert (settings.verify, settings.proxies, settings.conn_id) == (True, {}, "my_conn")


@pytest.mark.parametrize("make", [hc, bp])
def test_both_vendors_take_requests_in_parallel(make):
    """Four requests at once, or as many as the connection says."""
    assert 4 == make(password="key").max_parallel_requests
    assert 9 == make({"max_parallel_requests": "9"}, password="key").max_parallel_requests


def test_the_defaults_of_builder_prime():
    """A subdomain and a password are all that is needed."""
    settings = bp()
    assert settings.base_url == "https://acme.builderprime.com/api"
    assert (settings.max_window_days, settings.max_parallel_requests) == (31, 4)
    assert (settings.timeout, settings.max_attempts, settings.max_wait) == (30, 5, 60)
    assert (settings.verify, settings.proxies, settings.keys) == (True, {}, {})


def test_the_form_saves_text_and_blanks():
    """Numbers and truths as text, and null or blank for what nobody filled in."""
    settings = hc(
        {
            "timeout": "2.5",
            "max_attempts": "3",
            "max_wait": "0",
            "update_method": "put",
            "verify": "True",
            "proxies": '{"https": "http://proxy:3128"}',
            "web_url_template": "https://app.example.com/meetings/{id}",
            "allow_insecure": "false",
            "idempotency_window": "",
            "rate_limit_per_hour": None,
        }
    )
    assert (settings.timeout, settings.max_attempts, settings.max_wait) == (2.5, 3, 0)
    assert (settings.update_method, settings.verify) == ("PUT", True)
    assert settings.proxies == {"https": "http://proxy:3128"}
    assert settings.web_url_template is not None
    assert settings.web_url_template.url({"id": 7}) == "https://app.example.com/meetings/7"
    assert (settings.idempotency_window, settings.rate_limit_per_hour) == (86_400, 10_000)


def test_the_patience_is_the_connections():
    """What the retry rules look at."""
    retry_limits = bp({"timeout": 3, "max_attempts": 2, "max_wait": 9}).retry_limits
    assert (retry_limits.timeout, retry_limits.max_attempts, retry_limits.max_wait) == (3, 2, 9)


@pytest.mark.parametrize("extra", [None, "", "{}", {}])
def test_no_extra_at_all_is_fine(extra):
    """As Airflow stores it, or as a dict."""
    assert HiringCenterSettings.from_connection(Connection(extra=extra)) == hc()


@pytest.mark.parametrize("extra", ["{", "[]", "5", '"x"', [1]])
def test_an_extra_that_is_no_json_object_is_refused(extra):
    """By the name of the field."""
    assert refusal(HiringCenterSettings.from_connection, Connection(extra=extra)) == ["extra is not a JSON object"]


def test_unknown_extra_keys_are_refused_by_name():
    """A misspelt setting would have no effect, silently."""
    (problem,) = refusal(hc, {"time_out": 5, "colour": "red", "timeout": 5})
    assert "colour, time_out" in problem
    assert refusal(hc, {"read_api_key": "x"})
    assert refusal(bp, {"update_method": "PUT"})


def test_all_problems_are_told_at_once():
    """One look at the connection should be enough."""
    told = refusal(
        hc,
        {"timeout": 0, "max_attempts": "many", "verify": False, "proxies": [], "allow_insecure": "yes", "zzz": 1},
        host="ftp://x",
        password="",
        login="me",
        port=443,
        schema="https",
    )
    for name in ("timeout", "max_attempts", "verify", "proxies", "allow_insecure", "zzz", "host", "password", "login"):
        assert any(name in problem for problem in told), name
    assert any(problem.startswith("port") for problem in told)
    assert any(problem.startswith("schema") for problem in told)


@pytest.mark.parametrize("name", ["timeout", "idempotency_window", "max_attempts", "rate_limit_per_minute"])
@pytest.mark.parametrize("value", [0, -1, "0", "x", " ", True, [], {}, "nan", "inf", "1e999", 1e10])
def test_numbers_that_make_no_sense_are_refused_by_name(name, value):
    """Above 0, a number, and one that a clock can count to."""
    (problem,) = refusal(hc, {name: value})
    assert f"`{name}` must be" in problem


@pytest.mark.parametrize("name", ["max_attempts", "rate_limit_per_hour"])
def test_counts_are_whole(name):
    """Half an attempt is none; a whole number may be written as 3.0."""
    assert refusal(hc, {name: 1.5})
    assert getattr(hc({name: "3.0"}), name) == 3


@pytest.mark.parametrize("value", [-1, "x", True])
def test_a_wait_may_be_nothing_but_not_less(value):
    """A max_wait of 0 never sleeps."""
    assert hc({"max_wait": 0}).max_wait == 0
    assert refusal(hc, {"max_wait": value})


@pytest.mark.parametrize("value", [0, 0.5, 1e-9, -31, "x"])
def test_a_window_is_a_day_at_least(value):
    """Slices of nothing would list nothing."""
    (problem,) = refusal(bp, {"max_window_days": value})
    assert "`max_window_days` must be" in problem
    assert bp({"max_window_days": "30"}).max_window_days == 30


@pytest.mark.parametrize("value", ["GET", "", "DELETE", "post it", 5])
def test_the_update_method_is_one_of_three(value):
    """POST, PUT or PATCH, in any case; a blank is the default."""
    if value == "":
        assert hc({"update_method": value}).update_method == "POST"
    else:
        assert "POST, PUT, PATCH" in refusal(hc, {"update_method": value})[0]


@pytest.mark.parametrize(
    ("read", "host", "url"),
    [
        (hc, None, "https://api.hiringcenterpro.com/v2"),
        (hc, " ", "https://api.hiringcenterpro.com/v2"),
        (hc, "https://api.hiringcenterpro.com/v2/", "https://api.hiringcenterpro.com/v2"),
        (hc, "api.hiringcenterpro.com/v2", "https://api.hiringcenterpro.com/v2"),
        (hc, "https://localhost:8443/v2", "https://localhost:8443/v2"),
        (hc, "http://localhost:8000/v2", "http://localhost:8000/v2"),
        (hc, "http://hc.localhost:8000", "http://hc.localhost:8000"),
        (hc, "http://127.0.0.1:8000/v2", "http://127.0.0.1:8000/v2"),
        (hc, "http://127.8.9.1/v2", "http://127.8.9.1/v2"),
        (hc, "http://[::1]:8000/v2", "http://[::1]:8000/v2"),
        (bp, "acme", "https://acme.builderprime.com/api"),
        (bp, " acme-2 ", "https://acme-2.builderprime.com/api"),
        (bp, "acme.builderprime.com", "https://acme.builderprime.com/api"),
        (bp, "https://acme.builderprime.com/api", "https://acme.builderprime.com/api"),
        (bp, "https://acme.builderprime.com/api/", "https://acme.builderprime.com/api"),
        (bp, "http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api"),
    ],
)
def test_the_hosts_that_the_vendors_take(read, host, url):
    """HiringCenter: empty, bare, a URL; Builder Prime: a subdomain, the account's host, a URL; http only at home."""
    assert read(host=host).base_url == url


FOREIGN = ["http://api.hiringcenterpro.com/v2", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.evil.com"]


@pytest.mark.parametrize("host", [*FOREIGN, "http://127.0.0.1.evil.com/v2", "HTTP://example.com"])
def test_plain_http_to_a_foreign_host_is_refused_unless_allowed(host):
    """The key would cross the network in the clear."""
    assert "allow_insecure" in refusal(hc, host=host)[0]
    for yes in (True, "true", "True"):
        assert hc({"allow_insecure": yes}, host=host).base_url.lower().startswith("http://")


@pytest.mark.parametrize("value", [1, "yes", "on", [], 0])
def test_allow_insecure_is_true_or_false(value):
    """Nothing that merely looks like it switches protection off."""
    assert "true or false" in refusal(hc, {"allow_insecure": value})[0]


HOSTS = [
    f"https://me:{SECRET}@api.example.com/v2",
    "https://me@api.example.com/v2",
    f"me:{SECRET}@api.example.com",
    f"https://api.example.com/v2?key={SECRET}",
    "https://api.example.com/v2#x",
    "ftp://api.example.com",
    "https://",
    "https://x:port/v2",
    "https://x:99999/v2",
    "https://[::1/v2",
    "https://api.example.com/v 2",
    "https://api.example.com/é/v2",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_no_bare_url_is_refused_and_not_repeated(host):
    """Users, queries and fragments have no place in it, and may be secrets."""
    assert refusal(hc, host=host)[0].startswith("host ")


@pytest.mark.parametrize(
    "host",
    [
        "",
        None,
        "acme/api",
        "acme corp",
        "acme.example.com",
        "äcme",
        ".builderprime.com",
        "evil.example/x.builderprime.com",
        "evil.example#.builderprime.com",
        "https://acme.builderprime.com",
        "https://acme.builderprime.com/api/v1",
        "https://acme.builderprime.com/myapi",
        "http://acme.builderprime.com/api",
    ],
)
def test_the_hosts_that_builder_prime_does_not_take(host):
    """What is no subdomain must not send the key anywhere else."""
    assert refusal(bp, host=host)[0].startswith("host ")


NEARLY = {
    (bp, "acme"): [
        "acme.builderprime.com/api/meetings/v1",
        "acme.builderprime.com/api",
        "acme.builderprime.com/",
        "ACME.BuilderPrime.com",
        "https://acme.builderprime.com",
        "https://acme.builderprime.com/",
        "https://acme.builderprime.com/api/v1",
        "https://acme.builderprime.com/admin/calendar",
        "http://acme.builderprime.com/api",
        "https:/acme.builderprime.com/api",
        "acme.builderprime.com:443",
        "acme/api",
        "acme/",
    ],
    (hc, "https://api.hiringcenterpro.com/v2"): [
        "api.hiringcenterpro.com",
        "https://api.hiringcenterpro.com",
        "https://api.hiringcenterpro.com/",
        "https://api.hiringcenterpro.com/v1",
        "https://api.hiringcenterpro.com/v2/auth",
        "https://api.hiringcenterpro.com/v2/v2",
        "http://api.hiringcenterpro.com/v2",
        "https:/api.hiringcenterpro.com/v2",
        "API.HiringCenterPro.com/meetings",
    ],
}


@pytest.mark.parametrize(("read", "right", "host"), [(*key, host) for key, hosts in NEARLY.items() for host in hosts])
def test_a_host_that_is_nearly_right_is_shown_as_it_should_be(read, right, host):
    """Whoever pastes an address, writes half of one, or leaves out the version, reads what to write instead."""
    assert refusal(read, host=host)[0].endswith(f"; write {right}")


@pytest.mark.parametrize("host", ["acme.example.com", "https://gateway.example.com", "acme corp", ""])
def test_no_host_is_made_up(host):
    """What is none of Builder Prime's is refused without a guess."""
    assert "; write" not in refusal(bp, host=host)[0]


@pytest.mark.parametrize(
    "host", ["https:/gateway.example.com/v2", "https/gateway.example.com", "http:gateway.example.com"]
)
def test_a_scheme_that_is_written_wrong_is_no_host(host):
    """It is not taken for the name of a host."""
    assert refusal(hc, host=host)[0] == "host must be an https:// URL"


@pytest.mark.parametrize("value", [False, "false", 0, 1, "/no/such/bundle.pem", [], {}])
def test_certificates_are_always_verified(value):
    """True or the path of a bundle that is there."""
    assert "`verify`" in refusal(hc, {"verify": value})[0]


def test_a_ca_bundle_is_taken_by_its_path(tmp_path):
    """For companies with a certificate authority of their own."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert hc({"verify": str(bundle)}).verify == str(bundle)


@pytest.mark.parametrize("value", ["x", [], {"https": 5}, {"https": None}, "[1]", 5])
def test_proxies_are_a_dict_of_text(value):
    """As requests takes them."""
    assert "`proxies` must be a JSON object" in refusal(hc, {"proxies": value})[0]


@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_missing_key_is_refused(password):
    """Builder Prime may have narrower ones instead."""
    assert refusal(hc, password=password)[0].startswith("password is empty")
    assert refusal(bp, password=password)[0].startswith("password is empty")
    assert bp({"read_api_key": "r"}, password=password).credentials("meetings.read") == {"x-api-key": "r"}


@pytest.mark.parametrize("password", ["a b", "a\nb", "ä", "a\x00b"])
def test_a_key_that_no_header_carries_is_refused(password):
    """Wherever it stands; white space around it is taken off."""
    assert refusal(hc, password=password)[0].startswith("password ")
    assert "edit_api_key" in refusal(bp, {"edit_api_key": password})[0]
    assert hc(password=f" {SECRET}\n").api_key == SECRET


def test_a_key_is_text():
    """Digits that JSON made a number have lost their zeros."""
    assert "read_api_key" in refusal(bp, {"read_api_key": 123})[0]


def test_hiringcenter_has_one_key_for_everything():
    """As a bearer."""
    assert hc().credentials("meetings.create") == {"Authorization": f"Bearer {SECRET}"}
    assert hc().secrets == (SECRET,)


KEYS = {"read_api_key": "r1", "create_api_key": "c1", "edit_api_key": "e1", "delete_api_key": "d1"}
SCOPES = {
    "meetings.read": "r1",
    "meetingtypes.read": "r1",
    "meetingresults.read": "r1",
    "meetings.create": "c1",
    "meetings.edit": "e1",
    "meetings.delete": "d1",
}


@pytest.mark.parametrize(("scope", "key"), SCOPES.items())
def test_builder_prime_takes_the_narrowest_key_that_is_there(scope, key):
    """A key for the scope, else the password, else an error that says what to fill in."""
    assert bp(KEYS).credentials(scope) == {"x-api-key": key}
    assert bp().credentials(scope) == {"x-api-key": SECRET}
    field = BuilderPrimeSettings.FIELD_OF_SCOPE[scope]
    assert bp(KEYS).field_of(scope) == f"extra `{field}`"
    assert bp().field_of(scope) == "password"
    only = bp({name: value for name, value in KEYS.items() if name != field}, password="")
    with pytest.raises(MeetingsConfigurationError, match=f"{scope}.*`{field}`"):
        only.credentials(scope)


def test_blank_narrow_keys_are_none():
    """The form saves them so."""
    assert bp(dict.fromkeys(KEYS, "")).keys == {}
    assert bp(dict.fromkeys(KEYS, "  ")).credentials("meetings.edit") == {"x-api-key": SECRET}


def test_the_masker_is_told_every_key():
    """The password and the narrower ones."""
    assert set(bp(KEYS).secrets) == {SECRET, *KEYS.values()}
    assert set(bp({"read_api_key": "r1"}, password="").secrets) == {"r1"}


def test_no_secret_shows_in_a_repr():
    """Settings end up in logs and in debuggers."""
    proxies = {"https": f"http://me:{SECRET}@proxy:1"}
    for settings in (hc({"proxies": proxies}), bp({**KEYS, "read_api_key": f"{SECRET}-2", "proxies": proxies})):
        assert SECRET not in repr(settings)
        assert SECRET not in str(settings)


@dataclass
class TypedConnection(Connection):
    """A connection with its type."""

    conn_type: str = "hiringcenter"


def test_what_the_form_of_airflow_2_saves():
    """Numbers as text, empty text, nulls, JSON as text, and flags: the same as what a newer form saves."""
    saved = {
        "update_method": "PUT",
        "idempotency_window": None,
        "rate_limit_per_minute": 400,
        "timeout": "2.5",
        "max_wait": "0",
        "max_attempts": "",
        "verify": "true",
        "proxies": '{"https": "http://proxy.example.com:3128"}',
        "allow_insecure": False,
    }
    settings = HiringCenterSettings.from_connection(TypedConnection(extra=json.dumps(saved)))
    assert ("PUT", 86_400, 400) == (
        settings.update_method,
        settings.idempotency_window,
        settings.rate_limit_per_minute,
    )
    assert (2.5, 0, 5) == (settings.timeout, settings.max_wait, settings.max_attempts)
    assert {"https": "http://proxy.example.com:3128"} == settings.proxies


@pytest.mark.parametrize("plain", [{}, {"timeout": ""}, {"timeout": None}])
def test_a_prefixed_extra_is_the_extra(plain):
    """What older forms and URIs prefix with the connection's type counts, where the plain name says nothing."""
    extra = {"extra__hiringcenter__timeout": "20"} | plain
    assert 20 == HiringCenterSettings.from_connection(TypedConnection(extra=json.dumps(extra))).timeout


def test_a_plain_extra_beats_a_prefixed_one():
    """An old form's leftover does not undo what was given under the plain name."""
    extra = {"extra__hiringcenter__timeout": "20", "timeout": 7}
    assert 7 == HiringCenterSettings.from_connection(TypedConnection(extra=json.dumps(extra))).timeout


def test_the_prefix_of_another_type_is_refused():
    """An extra of another connection type is as unknown as any other name."""
    conn = TypedConnection(extra=json.dumps({"extra__builderprime__timeout": "20"}))
    assert "extra__builderprime__timeout" in "".join(refusal(HiringCenterSettings.from_connection, conn))


@pytest.mark.parametrize(
    ("read", "host", "base_url"),
    [
        (hc, "https://api.hiringcenterpro.com/v2/meetings", "https://api.hiringcenterpro.com/v2"),
        (hc, "api.hiringcenterpro.com/v2/meetings/", "https://api.hiringcenterpro.com/v2"),
        (hc, "https://gateway.example.com/meetings", "https://gateway.example.com/meetings"),
        (bp, "https://acme.builderprime.com/api/meetings/v1", "https://acme.builderprime.com/api"),
        (bp, "https://acme.builderprime.com/api/meetings/v1/", "https://acme.builderprime.com/api"),
    ],
)
def test_an_endpoint_that_was_pasted_as_host_is_understood(read, host, base_url):
    """The path of the vendor's meetings is taken off; a gateway may still be mounted where it likes."""
    assert base_url == read(host=host).base_url


@pytest.mark.parametrize("read", [hc, bp])
def test_a_refusal_can_be_logged(read):
    """Half an emoji in the name of an extra does not come back in the error."""
    assert refusal(read, {"a\ud83d": 1})[0].encode()
