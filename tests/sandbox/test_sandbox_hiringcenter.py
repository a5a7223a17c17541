"""HiringCenter's half of the sandbox, rule by rule, from a plain client's side."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox.examples import INTERVIEW

BASE = 1_800_000_000_000
DAY = 86_400_000


def create(server, key=None, **fields):
    """Create an interview and return the answer."""
    headers = {"X-Idempotency-Key": key} if key is not None else {}
    return server.hc("POST", "/meetings", json=INTERVIEW | fields, headers=headers)


def fill(server, count, **fields):
    """Insert meetings on consecutive days and return their ids, latest first."""
    rows = [{"meetingDate": BASE + day * DAY, **fields} for day in range(count)]
    return list(reversed(server.insert("hiringcenter", *rows)))


def walk(server, between=lambda _: None, **params):
    """Follow the tokens and return the ids of each page."""
    pages = []
    while True:
        answer = server.hc("GET", "/meetings", params=params).json()
        pages.append([item["id"] for item in answer["items"]])
        between(len(pages))
        params["pageToken"] = answer["pagination"]["nextPageToken"]
        if not params["pageToken"]:
            return pages


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Basic hc_sandbox_main_0123456789", "hc_sandbox_main_0123456789"]
)
def test_a_request_without_a_known_bearer_key_is_unauthorized(server, header):
    """Only a Bearer token that the server knows opens anything."""
    headers = {"Authorization": header}
    response = server.hc("GET", "/auth", headers=headers)
    assert response.status_code == 401
    assert {"error", "message"} == set(response.json())


def test_auth_describes_the_key(server):
    """The key check names account, permissions and whether the key is active."""
    answer = server.hc("GET", "/auth").json()
    assert answer["accountId"]
    assert answer["permissions"]
    assert answer["active"] is True


def test_a_created_meeting_comes_back_as_the_page_shows_it(server):
    """A created meeting has exactly the documented fields, moments in milliseconds, and the key as its creator."""
    response = create(server, meetingDate="2027-01-15T10:00:00+01:00", notes="hello")
    assert response.status_code == 201
    item = response.json()["item"]
    assert set(item) == {
        *INTERVIEW,
        *("id", "location", "notes", "createdBy", "createdByApi", "createdByApiKeyId", "createdByApiKeyName"),
        *("createdAt", "updatedAt", "review"),
    }
    assert item["meetingDate"] == 1_800_003_600_000
    assert (item["createdBy"], item["createdByApi"], item["createdByApiKeyName"]) == (None, True, "main")
    assert server.hc("GET", f"/meetings/{item['id']}").json() == {"success": True, "item": item}


def test_a_user_id_makes_the_user_the_creator(server):
    """With userId the meeting is the user's, not the key's."""
    item = create(server, userId="user-9").json()["item"]
    assert (item["createdBy"], item["createdByApi"], item["createdByApiKeyId"]) == ("user-9", False, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, None) for name in INTERVIEW),
        *((name, " ") for name in INTERVIEW),
        ("prospectId", 5),
        ("meetingDate", True),
        ("meetingDate", 1.5),
        ("meetingDate", "tomorrow"),
        ("meetingDate", 10**30),
        ("timeZone", "Mars/Olympus"),
        ("location", 7),
        ("notes", "\ud800"),
        ("colour", "red"),
        ("userId", ""),
    ],
)
def test_a_wrong_field_is_refused_by_name(server, field, value):
    """Wrong kinds, blanks, nulls, foreign zones and unknown fields are a 400 that names the field; nothing is made."""
    response = create(server, **{field: value})
    assert response.status_code == 400
    assert field in response.json()["message"]
    assert server.meetings("hiringcenter") == []


@pytest.mark.parametrize("name", INTERVIEW)
def test_a_missing_field_is_refused_by_name(server, name):
    """Each required field is required."""
    body = {key: value for key, value in INTERVIEW.items() if key != name}
    response = server.hc("POST", "/meetings", json=body)
    assert response.status_code == 400
    assert name in response.json()["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"meetingDate": NaN}'])
def test_a_body_that_is_no_json_object_is_refused(server, body):
    """Whatever arrives as a body, the answer is a 400 in the vendor's words."""
    response = server.hc("POST", "/meetings", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert {"error", "message"} == set(response.json())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_update_changes_what_is_sent_and_nothing_else(server, method):
    """An update changes the sent fields, null clears location and notes, the rest stays; any of three methods does."""
    before = create(server, location="Zoom", notes="old").json()["item"]
    response = server.hc(method, f"/meetings/{before['id']}", json={"meetingType": "phone", "notes": None})
    assert response.status_code == 200
    after = response.json()["item"]
    assert after | {"updatedAt": 0} == before | {"meetingType": "phone", "notes": None, "updatedAt": 0}


def test_a_method_that_is_switched_off_does_not_update(server):
    """The option update_methods narrows the methods to what a client expects of the vendor."""
    server.options(update_methods=["PATCH"])
    response = server.hc("POST", "/meetings/any", json={})
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, PATCH, DELETE"


@pytest.mark.parametrize("field", ["meetingDate", "timeZone", "meetingType", "ownerId", "userId", "prospectId"])
def test_an_update_refuses_null_where_the_page_does_not_allow_it(server, field):
    """Only location and notes can be cleared, and the prospect cannot be updated at all."""
    meeting_id = create(server).json()["item"]["id"]
    response = server.hc("POST", f"/meetings/{meeting_id}", json={field: None})
    assert response.status_code == 400
    assert field in response.json()["message"]


def test_a_deleted_meeting_is_gone(server):
    """A delete answers with a message, and afterwards every request for the meeting is a JSON 404."""
    meeting_id = create(server).json()["item"]["id"]
    assert set(server.hc("DELETE", f"/meetings/{meeting_id}").json()) == {"success", "message"}
    for method in ("GET", "DELETE", "POST"):
        response = server.hc(method, f"/meetings/{meeting_id}", json={})
        assert response.status_code == 404
        assert response.json()["error"]


def test_a_list_is_latest_first_in_pages_that_join_up(server):
    """The pages of a list hold every meeting once, latest first, and say how many there are."""
    ids = fill(server, 7)
    assert walk(server, limit=3) == [ids[:3], ids[3:6], ids[6:]]
    assert server.hc("GET", "/meetings", params={"limit": 3}).json()["pagination"]["totalCount"] == 7


@pytest.mark.parametrize("tokens", ["offset", "keyset"])
def test_offset_tokens_shift_and_keyset_tokens_do_not(server, tokens):
    """A meeting that goes while the list is read makes an offset skip one that stayed; a keyset skips none."""
    server.options(tokens=tokens)
    ids = fill(server, 4)

    def remove_the_first(page):
        if page == 1:
            server.control("POST", "/meetings", json={"vendor": "hiringcenter", "op": "delete", "id": ids[0]})

    expected = [ids[:2], ids[2:]] if tokens == "keyset" else [ids[:2], ids[3:]]
    assert walk(server, remove_the_first, limit=2) == expected


def test_pages_are_50_long_and_200_at_most(server):
    """Without a limit a page has 50 meetings; 200 is the most one can ask for."""
    fill(server, 201)
    assert len(server.hc("GET", "/meetings").json()["items"]) == 50
    assert len(server.hc("GET", "/meetings", params={"limit": 200}).json()["items"]) == 200
    assert server.hc("GET", "/meetings", params={"limit": 201}).status_code == 400


def test_a_capped_page_is_shorter_than_asked_and_not_the_last(server):
    """With page_cap a short page still has a token, so a client must follow tokens and not count."""
    server.options(page_cap=2)
    ids = fill(server, 5)
    assert walk(server, limit=50) == [ids[:2], ids[2:4], ids[4:]]


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": "x"}, {"colour": "red"}, {"pageToken": "!"}, {"pageToken": "WyJ4Il0"}]
)
def test_a_wrong_query_is_refused_by_name(server, params):
    """Unknown parameters, limits out of range and forged tokens are a 400 that names the parameter."""
    response = server.hc("GET", "/meetings", params=params)
    assert response.status_code == 400
    assert next(iter(params)) in response.json()["message"]


def test_filters_narrow_the_list(server):
    """Each filter compares for equality."""
    fill(server, 2)
    for name in ("prospectId", "ownerId", "meetingType"):
        (wanted,) = fill(server, 1, **{name: "wanted"})
        assert walk(server, **{name: "wanted"}) == [[wanted]]
        assert walk(server, **{name: "other"}) == [[]]


@pytest.mark.parametrize(("bounds", "days"), [("inclusive", [2, 1]), ("exclusive", []), ("half-open", [1])])
def test_bounds_are_as_the_option_says(server, bounds, days):
    """The option decides whether a bound itself is inside the window; ISO 8601 and milliseconds mean the same."""
    server.options(bounds=bounds)
    ids = list(reversed(fill(server, 4)))
    expected = [[ids[day] for day in days]]
    assert walk(server, meetingDateAfter=BASE + DAY, meetingDateBefore=BASE + 2 * DAY) == expected
    assert walk(server, meetingDateAfter="2027-01-16T08:00:00Z", meetingDateBefore="2027-01-17T08:00:00Z") == expected


def test_the_older_envelope_has_everything_at_the_top_level(server):
    """The older revision of the page puts the token and an item's fields beside success."""
    server.options(envelope="older")
    item = create(server).json()
    assert item["success"] is True
    assert item["prospectId"] == "prospect-1"
    fill(server, 2)
    answer = server.hc("GET", "/meetings", params={"limit": 1}).json()
    assert set(answer) == {"success", "items", "nextPageToken"}
    assert answer["nextPageToken"]


@pytest.mark.parametrize("total_count", [True, False])
@pytest.mark.parametrize("last_page", ["null", "absent", "empty"])
@pytest.mark.parametrize("next_page", ["pagination", "top-level"])
def test_a_page_is_as_the_revision_says(server, next_page, last_page, total_count):
    """The token stands in pagination or beside it and ends in three ways, and the total is there or not."""
    server.options(next_page=next_page, last_page=last_page, total_count=total_count)
    fill(server, 2)
    first, last = (server.hc("GET", "/meetings", params={"limit": limit}).json() for limit in (1, 2))
    place = "pagination" if next_page == "pagination" else None
    ends = {"null": {"nextPageToken": None}, "empty": {"nextPageToken": ""}, "absent": {}}[last_page]
    total = {"totalCount": 2} if total_count else {}

    def beside(page):
        return {name: value for name, value in page.items() if name not in {"success", "items"}}

    assert (first.get(place, {}) if place else first)["nextPageToken"]
    if place:
        assert {"pagination": ends | total} == beside(last)
    else:
        assert ends | ({"pagination": total} if total else {}) == beside(last)


@pytest.mark.parametrize("header", ["Idempotency-Replayed", "X-Replay", ""])
def test_a_replay_says_so_in_a_header(server, header):
    """The header tells a replay from a first response; its name is an option, and it may be missing."""
    server.options(replay_header=header)
    first, second = create(server, f"key-{header}"), create(server, f"key-{header}")

    assert [None, "true" if header else None] == [
        response.headers.get(header or "Idempotency-Replayed") for response in (first, second)
    ]


def test_the_rate_limit_headers_can_be_missing(server):
    """Without them a client has to believe its own figures."""
    server.options(ratelimit_headers=False)
    response = server.hc("GET", "/auth")

    assert (200, []) == (
        response.status_code,
        [name for name in response.headers if name.startswith("RateLimit")],
    )


def test_a_repeated_key_replays_the_answer_and_makes_nothing(server):
    """The same request under the same key gets the original bytes; the log says that nothing was done."""
    first, second = create(server, "key-1"), create(server, "key-1")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert len(server.meetings("hiringcenter")) == 1
    assert [(row["acted"], row["replayed"]) for row in server.journal()] == [("created", False), (None, True)]


def test_a_replay_goes_by_the_meaning_of_the_json(server):
    """The order of a body's fields does not make another request of it."""
    first = create(server, "key-order")
    body = dict(reversed(INTERVIEW.items()))
    assert (
        server.hc("POST", "/meetings", json=body, headers={"X-Idempotency-Key": "key-order"}).content == first.content
    )


def test_a_key_with_another_request_conflicts(server):
    """The same key with another body or another path is a 409, and nothing is made."""
    meeting_id = create(server, "key-2").json()["item"]["id"]
    assert create(server, "key-2", notes="other").status_code == 409
    headers = {"X-Idempotency-Key": "key-2"}
    assert server.hc("POST", f"/meetings/{meeting_id}", json=INTERVIEW, headers=headers).status_code == 409
    assert server.hc("DELETE", f"/meetings/{meeting_id}", headers=headers).status_code == 409
    assert len(server.meetings("hiringcenter")) == 1


def test_a_repeated_delete_is_replayed_under_its_key(server):
    """A delete that is repeated under its key succeeds again, where without a key it is a 404."""
    meeting_id = create(server).json()["item"]["id"]
    headers = {"X-Idempotency-Key": "key-delete"}
    first = server.hc("DELETE", f"/meetings/{meeting_id}", headers=headers)
    assert server.hc("DELETE", f"/meetings/{meeting_id}", headers=headers).content == first.content
    assert server.hc("DELETE", f"/meetings/{meeting_id}").status_code == 404


def test_of_simultaneous_requests_under_one_key_one_acts_and_the_others_conflict(server):
    """While the first request is being processed, all others with its key get a 409, and one meeting is made."""
    server.options(latency=1)
    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: create(server, "key-3").status_code, range(5)))
    assert sorted(statuses) == [201, 409, 409, 409, 409]
    assert len(server.meetings("hiringcenter")) == 1


def test_a_refused_request_frees_its_key(server):
    """A refusal is not kept: the corrected request may use the key."""
    assert create(server, "key-4", notes=5).status_code == 400
    assert create(server, "key-4").status_code == 201


def test_a_key_is_forgotten_after_its_window(server):
    """A key older than the window is a new key, so the request runs again."""
    create(server, "key-5")
    server.control("POST", "/idempotency/age", json={"seconds": 86_401})
    create(server, "key-5")
    assert len(server.meetings("hiringcenter")) == 2


@pytest.mark.parametrize(
    ("key", "status"), [("x" * 512, 201), ("x" * 513, 400), ("", 400), ("a\tb", 400), (b"\xe9", 400)]
)
def test_a_key_has_1_to_512_printable_ascii_characters(server, key, status):
    """A malformed key is refused before anything is done."""
    assert create(server, key).status_code == status


def test_keys_of_two_api_keys_are_strangers(server):
    """An idempotency key belongs to the API key that sent it."""
    create(server, "key-6")
    second = {"Authorization": f"Bearer {server.facts['hiringcenter']['second_api_key']}", "X-Idempotency-Key": "key-6"}
    assert server.hc("POST", "/meetings", json=INTERVIEW, headers=second).status_code == 201
    assert len(server.meetings("hiringcenter")) == 2


@pytest.mark.parametrize(("window", "limits"), [("Minute", (3, 100)), ("Hour", (100, 3))])
def test_both_windows_refuse_what_is_too_much(server, window, limits):
    """Each of the two windows counts down in the headers and then answers 429 with the documented body."""
    server.options(rate_limit_per_minute=limits[0], rate_limit_per_hour=limits[1])
    answers = [server.hc("GET", "/auth") for _ in range(4)]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    refused = answers[3]
    assert refused.status_code == 429
    wait = int(refused.headers["Retry-After"])
    assert refused.json() == {
        "error": "Too many requests",
        "message": f"{window} limit exceeded. Please try again later.",
        "retryAfter": wait,
    }
    assert wait <= (60 if window == "Minute" else 3600)
    second = {"Authorization": f"Bearer {server.facts['hiringcenter']['second_api_key']}"}
    assert server.hc("GET", "/auth", headers=second).status_code == 200


def test_reset_is_seconds_or_a_timestamp(server):
    """RateLimit-Reset comes in either of the two forms that the revisions of the page name."""
    assert int(server.hc("GET", "/auth").headers["RateLimit-Reset"]) <= 3600
    server.options(ratelimit_reset="timestamp")
    assert int(server.hc("GET", "/auth").headers["RateLimit-Reset"]) > 1_600_000_000


def test_an_unknown_address_is_a_page_and_not_an_api_error(server):
    """A 404 of the web server is HTML, within and outside the API's prefix."""
    for url in ("/nope", "/v2/nope", "/v2/meetings/a/b", "/_control/nope/", "/v3/meetings"):
        response = server.session.get(server.facts["url"] + url, headers=server.hc.headers, timeout=30)
        assert response.status_code == 404
        assert url.startswith("/_control") or "html" in response.headers["Content-Type"]


def test_an_unknown_method_names_the_known_ones(server):
    """A 405 carries the Allow header, in the vendor's envelope."""
    response = server.hc("PATCH", "/meetings", json={})
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"
    assert response.json()["error"]
