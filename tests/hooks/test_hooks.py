"""The hooks of both vendors against the sandbox: every method, every window, every shape of list, every refusal."""

import datetime as dt
import json

import pendulum
import pytest

from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsConfigurationError,
    MeetingsError,
    MeetingsPermissionError,
    MeetingsProtocolError,
    MeetingValidationError,
)
from airflow_provider_meetings.hooks.resolve import hook_for
from tests.support.sandbox import (
    BUILDERPRIME,
    DAY,
    HIRINGCENTER,
    HOUR,
    KINDS,
    NOON,
    WAYS,
    WINDOW,
    WRONG_KEY,
    listed_by_triggerer,
    listed_by_worker,
)

FIRST = dt.datetime.fromtimestamp(NOON / 1000, dt.UTC)


# -- every method


def test_a_meeting_from_its_booking_to_its_end(server, kind):
    """Create, get, update, list and delete, as the interface says."""
    hook = server.hook(kind)
    made = hook.create_meeting(kind.meeting())
    assert hook.get_meeting(made["id"]) == made
    changed = hook.update_meeting(made["id"], {"location": "Elsewhere"})
    assert (changed["id"], changed["location"], changed[kind.date]) == (made["id"], "Elsewhere", NOON)
    assert [meeting["id"] for meeting in hook.list_meetings(*WINDOW)] == [made["id"]]
    assert hook.update_meeting(made["id"], {"location": None})["location"] is None
    assert hook.delete_meeting(made["id"]) is True
    assert hook.delete_meeting(made["id"]) is False
    with pytest.raises(MeetingNotFoundError, match="no such record"):
        hook.get_meeting(made["id"])
    with pytest.raises(MeetingNotFoundError):
        hook.delete_meeting(made["id"], missing_ok=False)
    with pytest.raises(MeetingNotFoundError):
        hook.update_meeting(made["id"], {"location": "x"})


def test_types_and_results(server):
    """Builder Prime's reference data, whole and one by one."""
    hook = server.hook(BUILDERPRIME)
    reference = server.control("GET", "/reference")
    assert [row["id"] for row in reference["types"]] == [item["id"] for item in hook.list_meeting_types()]
    employees = hook.list_employees()
    assert employees[0] == hook.get_employee(employees[0]["id"])
    assert [row["id"] for row in reference["results"]] == [item["id"] for item in hook.list_meeting_results()]
    assert hook.get_meeting_type("1011")["name"] == "Sales Meeting"
    assert hook.get_meeting_result(1001)["name"] == "Sale"
    for get in (hook.get_meeting_type, hook.get_meeting_result):
        with pytest.raises(MeetingNotFoundError):
            get(4711)
        with pytest.raises(MeetingsConfigurationError):
            get("")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_verb_of_an_update_is_a_setting(server, method):
    """HiringCenter: `update_method` decides, and nothing else is tried."""
    made = server.hook(HIRINGCENTER).create_meeting(HIRINGCENTER.meeting())
    server.options(update_methods=[method])
    server.hook(HIRINGCENTER, update_method=method.lower()).update_meeting(made["id"], {"notes": "n"})
    assert [row["method"] for row in server.journal(acted=True)] == ["POST", method]


@pytest.mark.parametrize("envelope", ["current", "older"])
def test_both_revisions_of_the_envelope_are_read(server, envelope):
    """HiringCenter: item and items, or the fields at the top level."""
    server.options(envelope=envelope, page_cap=2)
    hook = server.hook(HIRINGCENTER)
    made = [hook.create_meeting(HIRINGCENTER.meeting(meetingDate=NOON + number)) for number in range(5)]
    assert hook.get_meeting(made[0]["id"]) == made[0]
    assert list(hook.list_meetings(*WINDOW)) == made[::-1]
    assert hook.update_meeting(made[0]["id"], {"notes": "n"})["notes"] == "n"


# -- windows

BOUNDS = {
    "aware datetimes": (FIRST, FIRST + dt.timedelta(hours=1)),
    "pendulum": (pendulum.instance(FIRST), pendulum.instance(FIRST).add(hours=1)),
    "another zone": (FIRST.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))), FIRST + dt.timedelta(hours=1)),
    "ISO with Z": ("2026-02-02T10:00:00Z", "2026-02-02T11:00:00Z"),
    "ISO with an offset": ("2026-02-02T05:00:00-05:00", "2026-02-02T12:00:00+01:00"),
    "milliseconds": (NOON, NOON + HOUR),
    "digits": (str(NOON), str(NOON + HOUR)),
    "mixed": (str(NOON), FIRST + dt.timedelta(hours=1)),
}


def test_the_example_moment_is_what_its_comment_says():
    """The constants of these tests agree with each other."""
    assert FIRST.isoformat() == "2026-02-02T10:00:00+00:00"


@WAYS
@pytest.mark.parametrize("window", BOUNDS.values(), ids=BOUNDS.keys())
def test_a_window_in_each_way(server, kind, listed, window):
    """Whatever a moment is written as, the window holds its start and not its end."""
    server.insert(kind, *(kind.row(NOON + offset) for offset in (-1, 0, HOUR - 1, HOUR)))
    found = [meeting[kind.date] for meeting in listed(server.hook(kind), *window)]
    assert sorted(found) == [NOON, NOON + HOUR - 1]


@WAYS
@pytest.mark.parametrize(
    ("window", "text"),
    [
        ((FIRST.replace(tzinfo=None), NOON + HOUR), "window_start"),
        ((NOON, "2026-02-02T11:00:00"), "window_end"),
        ((NOON, NOON), "empty"),
        ((NOON + HOUR, NOON), "window_end must be after window_start"),
        ((NOON, ""), "window_end"),
        (("tomorrow", NOON), "window_start"),
        ((True, NOON), "window_start"),
        ((NOON, 10**20), "window_end"),
        ((dt.date(2026, 2, 2), NOON + HOUR), "window_start"),
    ],
)
def test_a_window_that_is_none_is_refused(server, kind, listed, window, text):
    """The bound is named, and nothing is sent."""
    with pytest.raises(MeetingsConfigurationError, match=text):
        listed(server.hook(kind), *window)
    assert server.journal() == []


@WAYS
def test_open_windows(server, listed):
    """HiringCenter takes a window that is open on a side or on both."""
    server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON + offset) for offset in (-1, 0, 1)))
    hook = server.hook(HIRINGCENTER)
    dates = [[meeting["meetingDate"] - NOON for meeting in listed(hook, *window)]
             for window in ((), (NOON,), (None, NOON))]  # fmt: skip
    assert dates == [[1, 0, -1], [1, 0], [-1]]


@WAYS
@pytest.mark.parametrize("window", [(), (NOON,), (None, NOON)])
def test_builder_prime_needs_both_bounds(server, listed, window):
    """The page requires both; the error says so before anything is sent."""
    with pytest.raises(MeetingsConfigurationError, match="both window_start and window_end"):
        listed(server.hook(BUILDERPRIME), *window)
    assert server.journal() == []


@WAYS
@pytest.mark.parametrize("bounds", ["inclusive", "exclusive", "half-open"])
def test_adjacent_windows_share_nothing_and_miss_nothing(server, kind, listed, bounds):
    """Whatever the server's bounds include, each meeting is in exactly one of two adjacent windows."""
    server.options(bounds=bounds)
    server.insert(kind, *(kind.row(NOON + offset) for offset in (-HOUR, -1, 0, 1, HOUR)))
    hook = server.hook(kind)
    windows = ((NOON - HOUR, NOON), (NOON, NOON + 1), (NOON + 1, NOON + HOUR + 1))
    found = [sorted(meeting[kind.date] - NOON for meeting in listed(hook, *window)) for window in windows]
    assert found == [[-HOUR, -1], [0], [1, HOUR]]


SETTINGS = [
    *((HIRINGCENTER, options) for options in ({"tokens": "keyset"}, {"envelope": "older"}, {"page_cap": 7})),
    *((BUILDERPRIME, {"builderprime_order": order}) for order in ("start-desc", "id", "unstable", "random")),
    *((BUILDERPRIME, {"listed": listed}) for listed in ("bare", "rich")),
    *((kind, {"bounds": bounds}) for kind in KINDS for bounds in ("inclusive", "exclusive", "half-open")),
]


@pytest.mark.parametrize(("kind", "options"), SETTINGS, ids=str)
def test_long_lists_hold_each_meeting_once_in_both_ways(server, kind, options):
    """Three months, a crowd at one instant, more than a page: each once, the same in the worker and the triggerer."""
    server.options(**options)
    crowd = 130 if options.get("bounds") == "exclusive" else 60
    dates = [NOON + number * 18 * HOUR for number in range(120)] + [NOON + DAY] * crowd
    wanted = {str(number) for number in server.insert(kind, *(kind.row(date) for date in dates))}
    server.insert(kind, kind.row(NOON - 1), kind.row(NOON + 95 * DAY))
    hook = server.hook(kind)
    worker = [str(meeting["id"]) for meeting in listed_by_worker(hook, NOON, NOON + 95 * DAY)]
    triggerer = [str(meeting["id"]) for meeting in listed_by_triggerer(hook, NOON, NOON + 95 * DAY)]
    assert set(worker) == wanted
    assert len(worker) == len(wanted)
    assert sorted(triggerer) == sorted(worker)
    if kind is HIRINGCENTER or options.get("builderprime_order") not in {"unstable", "random"}:
        assert triggerer == worker


@WAYS
def test_a_crowd_in_no_order_is_an_error_and_not_half_a_list(server, listed):
    """Builder Prime: more at one instant than a page holds, in another order each time, cannot be read for sure."""
    server.options(builderprime_order="random")
    server.insert(BUILDERPRIME, *[BUILDERPRIME.row(NOON)] * 130)
    with pytest.raises(MeetingsProtocolError, match="another one each time"):
        listed(server.hook(BUILDERPRIME), *WINDOW)


@WAYS
def test_no_window_longer_than_allowed_is_asked(server, listed):
    """Builder Prime: the sandbox refuses more than 31 days, and `max_window_days` makes it less."""
    assert listed(server.hook(BUILDERPRIME), NOON, NOON + 400 * DAY) == []
    assert listed(server.hook(BUILDERPRIME, max_window_days=1), NOON, NOON + 5 * DAY) == []
    assert {row["status"] for row in server.journal()} == {200}


def test_meetings_that_go_while_a_list_is_read_hide_no_other(server):
    """HiringCenter: what is cancelled on a page already read does not pull another meeting past the reader."""
    ids = server.insert(HIRINGCENTER, *(HIRINGCENTER.row(NOON + number) for number in range(450)))
    reading = server.hook(HIRINGCENTER).list_meetings(NOON, NOON + HOUR)
    found = [next(reading)["id"]]
    for number in ids[-50:]:
        server.remove(HIRINGCENTER, number)
    found += [meeting["id"] for meeting in reading]
    assert set(ids[:400]) <= set(found)
    assert len(found) == len(set(found))


# -- filters


@WAYS
def test_filters_go_to_the_vendor(server, listed):
    """Each vendor's own parameters, numbers as digits too."""
    for number in range(3):
        server.insert(HIRINGCENTER, HIRINGCENTER.row(NOON, ownerId=f"owner-{number}", meetingType="phone"))
        server.insert(BUILDERPRIME, BUILDERPRIME.row(NOON, employeeId=50 + number, opportunityId=102988))
    found = listed(server.hook(HIRINGCENTER), *WINDOW, filters={"ownerId": "owner-1", "meetingType": "phone"})
    assert [meeting["ownerId"] for meeting in found] == ["owner-1"]
    found = listed(server.hook(BUILDERPRIME), *WINDOW, filters={"employee-id": "51", "opportunity-id": 102988})
    assert len(found) == 1


@WAYS
@pytest.mark.parametrize("filters", [{"owner": "x"}, {"limit": 5}, {"ownerId": ""}, {"employee-id": None}, ["x"], "x"])
def test_filters_that_mean_nothing_are_refused(server, kind, listed, filters):
    """An unknown or empty filter would list everybody's meetings: it is named, and nothing is sent."""
    with pytest.raises(MeetingsConfigurationError):
        listed(server.hook(kind), *WINDOW, filters=filters)
    assert server.journal() == []


# -- bad input


BAD_IDS = ["", " ", None, "None", "null", "a/b", "a?b", "a#b", "..", ".", "a b", "a\nb", "a\x00", True, 1.5, "%2e"]


@pytest.mark.parametrize("meeting_id", BAD_IDS, ids=repr)
def test_an_id_that_is_none_is_refused(server, kind, meeting_id):
    """On Builder Prime an update with an empty id would book a meeting: nothing is sent."""
    hook = server.hook(kind)
    for call in (
        lambda: hook.get_meeting(meeting_id),
        lambda: hook.update_meeting(meeting_id, {"location": "x"}),
        lambda: hook.delete_meeting(meeting_id),
    ):
        with pytest.raises(MeetingsConfigurationError, match="meeting_id"):
            call()
    assert server.journal() == []


def test_all_problems_of_a_meeting_are_named_at_once(server, kind):
    """Unknown and wrong fields, together, and nothing is sent."""
    hook = server.hook(kind)
    with pytest.raises(MeetingsConfigurationError) as caught:
        hook.create_meeting(kind.meeting(titel="x", **{kind.date: "2026-13-01"}))
    assert "titel" in str(caught.value)
    assert kind.date in str(caught.value)
    required = {name: value for name, value in kind.meeting().items() if name != kind.date}
    with pytest.raises(MeetingsConfigurationError, match=f"{kind.date}: is required"):
        hook.create_meeting(required)
    assert server.journal() == []


# -- keys, scopes, addresses


def test_the_vendors_refusal_reaches_the_reader(server, kind):
    """A 400 in the vendor's words, with where it happened."""
    with pytest.raises(MeetingValidationError) as caught:
        server.hook(kind).create_meeting(kind.meeting(extra_fields={"unknown": 1}))
    assert (caught.value.status, caught.value.method) == (400, "POST")
    assert caught.value.path == kind.collection.removeprefix("/v2").removeprefix("/api")


def test_a_key_of_another_payload_is_a_conflict(server):
    """HiringCenter: the same key for another meeting is an error, at once."""
    hook = server.hook(HIRINGCENTER)
    hook.create_meeting(HIRINGCENTER.meeting(), idempotency_key="k")
    with pytest.raises(MeetingConflictError):
        hook.create_meeting(HIRINGCENTER.meeting(location="Elsewhere"), idempotency_key="k")
    assert len(server.journal()) == 2


def test_a_wrong_key_names_its_place_in_the_connection(server, kind):
    """401: not retried, and the field to change is in the text, the key is not."""
    with pytest.raises(MeetingsAuthError, match="password of connection 'meetings'") as caught:
        server.hook(kind, password=WRONG_KEY).get_meeting(1)
    assert WRONG_KEY not in str(caught.value)
    assert len(server.journal()) == 1


def test_a_wrong_narrow_key_names_its_extra(server):
    """Builder Prime: the extra that holds the key which was refused is named."""
    with pytest.raises(MeetingsAuthError, match="extra `read_api_key`"):
        server.hook(BUILDERPRIME, read_api_key=WRONG_KEY).get_meeting(1)


def test_each_request_uses_the_narrowest_key(server):
    """Builder Prime: a key for each scope, where there is one, else the password."""
    keys = server.facts["builderprime"]
    narrow = {name: keys[name] for name in ("read_api_key", "create_api_key", "edit_api_key")}
    hook = server.hook(BUILDERPRIME, **narrow)
    made = hook.create_meeting(BUILDERPRIME.meeting())
    hook.get_meeting(made["id"])
    hook.update_meeting(made["id"], {"title": "x"})
    hook.list_meeting_types()
    hook.delete_meeting(made["id"])
    used = [row["keyName"] for row in server.journal()]
    assert [name for name in used if name != "read"] == ["create", "edit", "full"]
    assert "read" in used


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("meetings.edit", lambda hook: hook.update_meeting(1, {"title": "x"})),
        ("meetings.delete", lambda hook: hook.delete_meeting(1)),
        ("meetings.create", lambda hook: hook.create_meeting(BUILDERPRIME.meeting())),
    ],
)
def test_a_missing_scope_is_named(server, scope, call):
    """403 names the scope to grant and the field that holds the key."""
    key = server.facts["builderprime"]["read_api_key"]
    with pytest.raises(MeetingsPermissionError, match=scope.replace(".", r"\.")) as caught:
        call(server.hook(BUILDERPRIME, password=key))
    assert "password of connection 'meetings'" in str(caught.value)
    assert caught.value.status == 403


@WAYS
def test_a_connection_without_a_key_for_the_task_says_which(server, listed):
    """Builder Prime: no password and no read key, so listing is refused before anything is sent."""
    key = server.facts["builderprime"]["create_api_key"]
    hook = server.hook(BUILDERPRIME, password="", create_api_key=key)
    with pytest.raises(MeetingsConfigurationError, match="read_api_key"):
        listed(hook, *WINDOW)
    assert server.journal() == []


@WAYS
@pytest.mark.parametrize("path", ["/elsewhere/v2", "/elsewhere/api"])
def test_a_wrong_path_is_no_missing_meeting(server, listed, path):
    """A 404 that is not the vendor's is an error about the host, for reading and for deleting."""
    kind = HIRINGCENTER if path.endswith("v2") else BUILDERPRIME
    hook = server.hook(kind, host=server.facts["url"] + path)
    for call in (lambda: listed(hook, *WINDOW), lambda: hook.delete_meeting(1), lambda: hook.get_meeting(1)):
        with pytest.raises(MeetingsProtocolError, match="check the host"):
            call()


BAD_CONNECTIONS = [
    ({"password": ""}, "password"),
    ({"password": "a\nb"}, "password"),
    ({"host": "http://example.com/api"}, "allow_insecure"),
    ({"host": "ftp://example.com/api"}, "https://"),
    ({"host": "https://user:pw@example.com/api"}, "bare URL"),
    ({"nonsense": 1, "tiemout": 2}, "nonsense, tiemout"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": "soon"}, "timeout"),
    ({"max_attempts": 0}, "max_attempts"),
    ({"verify": False}, "CA bundle"),
    ({"verify": "/no/such/file"}, "CA bundle"),
    ({"proxies": "proxy:3128"}, "proxies"),
    ({"login": "me"}, "login"),
]


@pytest.mark.parametrize(("changes", "text"), BAD_CONNECTIONS)
def test_a_connection_that_is_wrong_is_refused_by_name(server, kind, changes, text):
    """Each field is named, by every use of the hook and by the connection test, which does not raise."""
    hook = server.hook(kind, **changes)
    with pytest.raises(MeetingsConfigurationError, match=text):
        hook.get_conn()
    good, told = hook.test_connection()
    assert good is False
    assert text in told
    assert server.journal() == []


# -- the connection test


def test_the_connection_test_tells_what_the_key_may(server):
    """The account and its permissions, or the scopes."""
    assert server.hook(HIRINGCENTER).test_connection() == (
        True,
        "HiringCenter account acct_sandbox, permissions: meetings:read, meetings:write",
    )
    good, told = server.hook(BUILDERPRIME).test_connection()
    assert good
    for scope in ("meetings.read", "meetingtypes.read", "meetingresults.read", "employees.read"):
        assert scope in told
    assert {row["method"] for row in server.journal()} == {"GET"}


def test_the_connection_test_of_a_wrong_key(server, kind):
    """It says so, with one request, and without the key."""
    good, told = server.hook(kind, password=WRONG_KEY).test_connection()
    assert good is False
    assert "not accepted" in told
    assert WRONG_KEY not in told
    assert len(server.journal()) == 1


def test_the_connection_test_of_a_key_that_may_not_read(server):
    """Builder Prime: the missing scope is named."""
    good, told = server.hook(BUILDERPRIME, password=server.facts["builderprime"]["edit_api_key"]).test_connection()
    assert good is False
    assert "meetings.read" in told


def test_the_connection_test_of_narrow_keys(server):
    """Builder Prime: each key is tried with a read, also those that may not read; a wrong one is found."""
    keys = server.facts["builderprime"]
    names = ("read_api_key", "create_api_key", "edit_api_key", "delete_api_key")
    good, told = server.hook(BUILDERPRIME, password="", **{name: keys[name] for name in names}).test_connection()
    assert good, told
    assert {row["keyName"] for row in server.journal()} == {"read", "create", "edit", "delete"}
    good, told = server.hook(BUILDERPRIME, edit_api_key=WRONG_KEY).test_connection()
    assert good is False
    assert "edit_api_key" in told
    good, told = server.hook(BUILDERPRIME, password=WRONG_KEY, read_api_key=keys["read_api_key"]).test_connection()
    assert good is False
    assert "password" in told


@pytest.mark.parametrize("changes", [{"password": WRONG_KEY}, {"timeout": 0}, {"host": "http://127.0.0.1:9/v2/api"}])
def test_the_connection_test_speaks_of_this_connection(server, kind, changes):
    """The form's button tries a connection under an id that Airflow makes up, which says nothing to anybody."""
    good, told = server.hook(kind, **changes).test_connection()
    assert good is False
    assert "onnection 'meetings'" not in told


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "https://meetings.invalid", "https://.example.com"])
def test_the_connection_test_never_raises(server, kind, host):
    """An unreachable or impossible host is a text."""
    suffix = "/v2" if kind is HIRINGCENTER else "/api"
    good, told = server.hook(kind, host=host + suffix).test_connection()
    assert good is False
    assert host in told


@pytest.mark.parametrize("action", ["reset", "status", "ratelimit", "success_false"])
def test_the_connection_test_tries_once(server, kind, action):
    """Who pressed the button waits for no retries."""
    server.fault(action, match={"vendor": kind.name}, times=None)
    good, told = server.hook(kind).test_connection()
    assert good is False
    assert told
    assert len(server.journal()) == 1


# -- connections in Airflow


@pytest.mark.parametrize(
    "text",
    ["", '{"conn_type": "hiringcenter", "password": "x', "hiringcenter://:key@host:port"],
    ids=["empty", "cut", "port"],
)
def test_a_mistyped_variable_is_a_connection_that_is_not_there(kind, monkeypatch, text):
    """Airflow passes over what it cannot read; the message says what is missing, as docs/operations.md explains."""
    monkeypatch.setenv("AIRFLOW_CONN_MISTYPED", text)
    good, told = kind.hook("mistyped").test_connection()
    assert good is False
    assert "no connection" in told.lower()


@WAYS
def test_an_unknown_connection_is_named(kind, listed):
    """A hook for a connection that is not there says what to do."""
    hook = kind.hook("nowhere")
    with pytest.raises(MeetingsConfigurationError, match="no connection 'nowhere'"):
        listed(hook, *WINDOW)
    good, told = kind.hook("nowhere").test_connection()
    assert good is False
    assert "nowhere" in told


def test_the_connections_type_chooses_the_hook(connect, kind):
    """`hook_for` gives the hook of the vendor, and refuses a connection of another type."""
    hook = hook_for(connect(kind))
    assert type(hook) is kind.hook
    assert hook.test_connection()[0] is True


def test_a_connection_of_another_type_is_refused(monkeypatch):
    """The types that would do are named."""
    monkeypatch.setenv("AIRFLOW_CONN_MEETINGS", '{"conn_type": "http", "host": "https://example.com"}')
    with pytest.raises(MeetingsConfigurationError, match="hiringcenter, builderprime"):
        hook_for("meetings")
    with pytest.raises(MeetingsConfigurationError, match="'nowhere'"):
        hook_for("nowhere")


@WAYS
@pytest.mark.parametrize("other", ["http", "builderprime", "hiringcenter"])
def test_a_hook_takes_no_connection_of_another_type(server, kind, listed, monkeypatch, other):
    """The key in it is for somebody else, and would be sent to whatever its host names: nothing is sent."""
    conn = server.connection(kind)
    monkeypatch.setenv(
        "AIRFLOW_CONN_MEETINGS", json.dumps({"conn_type": other, "host": conn.host, "password": conn.password})
    )
    hook = kind.hook("meetings")
    if other == kind.name:
        assert listed(hook, *WINDOW) == []
        return
    with pytest.raises(MeetingsConfigurationError, match=f"of type {other!r}.*{kind.name!r}"):
        listed(hook, *WINDOW)
    assert hook.test_connection()[0] is False
    assert server.journal() == []


def test_the_default_connection_is_used(connect, kind):
    """Without an id a hook takes its type's default."""
    connect(kind, kind.default)
    assert kind.hook().test_connection()[0] is True


def test_the_session_is_authenticated(server, kind):
    """get_conn() is usable directly, and is the same one each time."""
    hook = server.hook(kind)
    session = hook.get_conn()
    query = {} if kind is HIRINGCENTER else {"start-date-from": NOON, "start-date-to": NOON + 1}
    answer = session.get(server.facts["url"] + kind.collection, params=query, timeout=10)
    assert answer.json()["success"] is True
    assert hook.get_conn() is session
    session.close()


@WAYS
def test_a_hook_can_be_used_again_after_an_error(server, kind, listed):
    """An error leaves nothing behind."""
    hook = server.hook(kind, max_attempts=1)
    server.fault("status", match={"vendor": kind.name})
    with pytest.raises(MeetingsError):
        listed(hook, *WINDOW)
    assert listed(hook, *WINDOW) == []


@pytest.mark.parametrize("start", [1_800_000_000, "1800000000"])
def test_a_window_in_seconds_is_refused(server, kind, start):
    """It would be a window of 1970, in which nothing is."""
    with pytest.raises(MeetingsConfigurationError, match=r"window_start: .*are these seconds"):
        list(server.hook(kind).list_meetings(start, 1_800_086_400))
    assert server.journal() == []
