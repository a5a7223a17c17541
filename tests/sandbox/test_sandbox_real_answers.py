"""What public clients have seen of the real Builder Prime, beyond its page: errors, verbs, cancelled meetings."""

from datetime import datetime

import pytest

from tests.sandbox.examples import VISIT

START = VISIT["startDateTime"]
WINDOW = {"start-date-from": START - 1000, "start-date-to": START + 1000}
RESOURCE_MISSING = {
    "errorCode": "404",
    "errorMessage": "The requested resource was not found.",
    "showAsWarning": False,
}


def general(*messages):
    """Return Builder Prime's envelope of a failure, whose code says nothing."""
    return {"success": False, "errors": [{"code": "API_GENERAL", "message": message} for message in messages]}


def api(server, resource, key="api_key"):
    """Return a client of one of Builder Prime's resources."""
    client = server.bp(key)
    client.host = f"{server.facts['builderprime']['host']}/{resource}"
    return client


def test_a_wrong_key_and_a_bad_request_have_the_same_code(server):
    """The code of a 401 and that of a 400 are the same; the words of the message differ."""
    unauthorized = server.bp()("GET", "", params=WINDOW, headers={"x-api-key": "wrong"})
    bad = server.bp()("GET", "", params=WINDOW | {"limit": 101})

    assert (401, general("Unauthorized: Invalid key")) == (unauthorized.status_code, unauthorized.json())
    assert (400, {"API_GENERAL"}) == (bad.status_code, {error["code"] for error in bad.json()["errors"]})


@pytest.mark.parametrize(
    ("form", "status", "body"),
    [
        ("errors", 404, general("Meeting not found.")),
        ("error-code", 404, RESOURCE_MISSING),
        ("errors-400", 400, general("Meeting not found.")),
        ("errors-200", 200, general("Meeting not found.")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_missing_meeting_is_answered_as_the_option_says(server, form, status, body, method):
    """What a missing meeting gets was not probed, so the option offers each form that a client must understand."""
    server.options(builderprime_missing=form)
    response = server.bp()(method, "/999", json={})

    assert (status, body) == (response.status_code, response.json())


def test_an_unknown_address_has_no_success_in_its_envelope(server):
    """An address that the API does not have is a 404 of another envelope, which the vendor's own API sends."""
    response = api(server, "no-such-thing")("GET", "/v1")

    assert (404, RESOURCE_MISSING) == (response.status_code, response.json())


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/1"), ("PATCH", "/1"), ("PUT", ""), ("PATCH", ""), ("DELETE", "")]
)
def test_a_verb_that_is_not_taken_is_answered_by_the_framework(server, method, path):
    """PUT and PATCH get Spring's 405, which has neither success nor errors."""
    response = server.bp()(method, path, json={})
    body = response.json()

    assert (405, {"timestamp", "status", "error", "path"}) == (response.status_code, set(body))
    assert (405, "Method Not Allowed", f"/api/meetings/v1{path}") == (body["status"], body["error"], body["path"])
    assert datetime.fromisoformat(body["timestamp"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    ("path", "allowed"), [("", "GET, HEAD, POST, OPTIONS"), ("/1", "GET, HEAD, POST, DELETE, OPTIONS")]
)
def test_options_names_the_verbs(server, path, allowed):
    """OPTIONS names what is taken: neither PUT nor PATCH."""
    response = server.bp()("OPTIONS", path)

    assert (200, allowed, b"") == (response.status_code, response.headers["Allow"], response.content)


def test_head_is_a_get_without_its_body(server):
    """HEAD has the status and the headers of a GET."""
    got, head = (server.bp()(method, "", params=WINDOW) for method in ("GET", "HEAD"))

    assert (200, got.headers["Content-Length"], b"") == (head.status_code, head.headers["Content-Length"], head.content)


@pytest.mark.parametrize("body", [{"colour": 1}, {"startDateTime": "soon"}, []])
def test_a_create_of_a_wrong_shape_can_be_a_500(server, body):
    """A refusal can look like an outage; nothing is made, and an update is refused with 400 all the same."""
    (meeting_id,) = server.insert("builderprime", {"startDateTime": START})
    server.options(builderprime_wrong_shape=500)
    created, updated = (server.bp()("POST", path, json=body) for path in ("", f"/{meeting_id}"))

    assert (500, "Internal Server Error") == (created.status_code, created.json()["error"])
    assert (400, [meeting_id]) == (updated.status_code, [row["id"] for row in server.meetings("builderprime")])


def test_a_cancelled_meeting_stays_in_the_list(server):
    """A cancel marks the meeting, a restore takes the mark away, and both touch its date of modification."""
    (meeting_id,) = server.insert("builderprime", {"startDateTime": START, "lastModifiedDate": 5})

    def turn(op):
        changed = server.control("POST", "/meetings", json={"vendor": "builderprime", "op": op, "id": meeting_id})
        (listed,) = server.bp()("GET", "", params=WINDOW).json()["data"]
        read = server.bp()("GET", f"/{meeting_id}").json()["data"]
        return changed["changed"], listed["isMeetingCancelled"], read["isMeetingCancelled"]

    assert [(1, True, True), (1, False, False)] == [turn("cancel"), turn("restore")]
    assert server.meetings("builderprime")[0]["lastModifiedDate"] > 5


def test_hiringcenter_marks_nothing_as_cancelled(server):
    """The vendor without such a mark refuses a cancel by name."""
    (meeting_id,) = server.insert("hiringcenter", {})
    body = {"vendor": "hiringcenter", "op": "cancel", "id": meeting_id}
    response = server.session.post(server.facts["control"] + "/meetings", json=body, timeout=30)

    assert response.status_code == 422
    assert "HiringCenter" in response.text


def test_an_employee_has_a_time_zone_that_is_no_iana_name(server):
    """Employees have flags that are booleans, and a time zone with a space in its name."""
    first, *_, last = api(server, "employees/v1", "read_api_key")("GET", "").json()["data"]

    assert first == {
        "id": 50,
        "firstName": "Betty",
        "lastName": "Brown",
        "email": "betty.brown@example.com",
        "isProjectManager": False,
        "isSalesPerson": True,
        "isCurrentEmployee": True,
        "isActiveUser": True,
        "showInSalesCalendarByDefault": True,
        "timezone": "America/New York",
    }
    assert (False, False) == (last["isCurrentEmployee"], last["isActiveUser"])
