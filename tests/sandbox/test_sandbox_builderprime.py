"""Builder Prime's half of the sandbox, rule by rule, from a plain client's side."""

import pytest

from tests.sandbox.examples import VISIT

START = VISIT["startDateTime"]
DAY = 86_400_000
BARE = {
    *("id", "title", "location", "startDateTime", "createdDate", "employeeFirstName", "employeeLastName"),
    *("clientFirstName", "clientLastName", "clientId", "opportunityId", "meetingTypeName"),
}


def messages(response):
    """Return the messages of a failure, in the documented envelope."""
    answer = response.json()
    assert set(answer) == {"success", "errors"}
    assert answer["success"] is False
    assert all(set(error) == {"code", "message"} for error in answer["errors"])
    return "\n".join(error["message"] for error in answer["errors"])


def create(server, **fields):
    """Create a visit and return it."""
    response = server.bp()("POST", "", json=VISIT | fields)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def window(**extra):
    """Return the query of a window around the visit."""
    return {"start-date-from": START - DAY, "start-date-to": START + DAY, **extra}


def ids(server, **extra):
    """List a window and return the ids."""
    return [meeting["id"] for meeting in server.bp()("GET", "", params=window(**extra)).json()["data"]]


@pytest.mark.parametrize("key", [None, "wrong", "hc_sandbox_main_0123456789"])
def test_an_unknown_key_is_unauthorized(server, key):
    """Only a key that the vendor knows opens anything."""
    response = server.bp()("GET", "", params=window(), headers={"x-api-key": key})
    assert response.status_code == 401
    assert messages(response)


@pytest.mark.parametrize("key", ["read", "create", "edit", "delete"])
def test_a_key_does_what_its_scope_allows_and_nothing_else(server, key):
    """A missing scope is a 403 that names it, before anything about the request is judged."""
    meeting_id = create(server)["id"]
    requests = {
        "meetings.read": ("GET", "", "read"),
        "meetings.create": ("POST", "", "create"),
        "meetings.edit": ("POST", f"/{meeting_id}", "edit"),
        "meetings.delete": ("DELETE", f"/{meeting_id}", "delete"),
    }
    for scope, (method, path, allowed) in requests.items():
        response = server.bp(f"{key}_api_key")(method, path, json={})
        if allowed == key:
            assert response.status_code in {200, 400}
        else:
            assert response.status_code == 403
            assert scope in messages(response)


def test_the_reference_lists_have_scopes_of_their_own(server):
    """Types, results and employees need their own scopes, page like everything else, and 404 in the envelope."""
    host = server.facts["builderprime"]["host"]
    for name, first in (("meeting-types", 1011), ("meeting-results", 1001), ("employees", 50)):
        api = server.bp("read_api_key")
        api.host = f"{host}/{name}/v1"
        listed = api("GET", "").json()["data"]
        assert listed[0]["id"] == first
        assert api("GET", "/").json()["data"] == listed
        assert api("GET", "", params={"limit": 1, "page": 1}).json()["data"] == listed[1:2]
        assert api("GET", f"/{first}").json() == {"success": True, "data": listed[0]}
        assert api("GET", "/9").status_code == 404
        assert api("GET", "", params={"limit": 101}).status_code == 400
        refused = api("GET", "", headers={"x-api-key": server.facts["builderprime"]["edit_api_key"]})
        assert refused.status_code == 403
        assert f"{name.replace('-', '')}.read" in messages(refused)


def test_the_pages_example_creates_a_meeting_in_the_listed_shape(server):
    """The page's own create works as printed, and comes back with names where ids went in."""
    meeting = create(server)
    assert set(meeting) == BARE | {"endDateTime", "employeeId", "isMeetingCancelled"}
    assert (meeting["employeeId"], meeting["isMeetingCancelled"]) == (50, False)
    assert (meeting["employeeFirstName"], meeting["meetingTypeName"]) == ("Betty", "Sales Meeting")
    assert meeting["opportunityId"] == VISIT["clientOpportunityId"]
    assert server.bp()("GET", f"/{meeting['id']}").json() == {"success": True, "data": meeting}
    assert server.bp()("GET", "", params=window()).json() == {"success": True, "data": [meeting]}


def test_the_listed_shape_can_be_barer_or_richer(server):
    """The option listed sets what the page does not have: none of it, or types, results and reminders as well."""
    create(server)
    seen = {"endDateTime", "employeeId", "isMeetingCancelled"}
    for listed, fields in (("bare", BARE), ("rich", BARE | seen | {"meetingTypeId", "reminders"})):
        server.options(listed=listed)
        (meeting,) = server.bp()("GET", "", params=window()).json()["data"]
        assert fields <= set(meeting)
        assert (seen <= set(meeting)) is (listed == "rich")


@pytest.mark.parametrize(
    "employee",
    [{"id": 50}, {"email": "betty.brown@example.com"}, {"firstName": "Betty", "lastName": "Brown"}],
)
def test_an_employee_is_named_in_three_ways(server, employee):
    """Id, address, or both names find the employee."""
    assert create(server, employee=employee)["employeeLastName"] == "Brown"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("employee", {"id": 9999}),
        ("employee", {"id": 50, "firstName": "betty"}),
        ("employee", {"firstName": "Betty"}),
        ("employee", {}),
        ("employee", {"id": 50, "age": 3}),
        ("meetingTypeId", 9),
        ("meetingResultId", 9),
        ("clientOpportunityId", 9),
        ("meetingTypeId", "1011"),
        ("startDateTime", "1742403600000"),
        ("startDateTime", None),
        ("startDateTime", 10**30),
        ("endDateTime", START - 1),
        ("reminders", [{"unitsBefore": 30, "unitType": "FORTNIGHTS"}]),
        ("reminders", "soon"),
        ("title", 5),
        ("title", "\ud800"),
        ("colour", "red"),
    ],
)
def test_a_wrong_field_is_refused_by_name(server, field, value):
    """Wrong kinds, unknown fields and values that match no list entry exactly are a 400 that names the field."""
    response = server.bp()("POST", "", json=VISIT | {field: value})
    assert response.status_code == 400
    assert field in messages(response)
    assert server.meetings("builderprime") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(server, body):
    """Whatever arrives as a body, the answer is a 400 in the vendor's envelope."""
    response = server.bp()("POST", "", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert messages(response)


def test_a_body_needs_its_content_type(server):
    """A POST without Content-Type: application/json is refused, as the page requires the header."""
    response = server.bp()("POST", "", data=b'{"startDateTime": 1}')
    assert response.status_code == 400
    assert "application/json" in messages(response)


def test_a_meeting_without_a_type_gets_the_default_one(server):
    """What is not applicable may be omitted; the default meeting type then applies."""
    response = server.bp()("POST", "", json={"startDateTime": START})
    assert response.json()["data"]["meetingTypeName"] == "Sales Meeting"


def test_a_repeated_create_makes_a_second_meeting(server):
    """There is no idempotency key: the header means nothing here."""
    for _ in range(2):
        server.bp()("POST", "", json=VISIT, headers={"X-Idempotency-Key": "key"})
    assert len(server.meetings("builderprime")) == 2


@pytest.mark.parametrize("blank", [None, "", "  "])
@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("title", "title"),
        ("location", "location"),
        ("endDateTime", "endDateTime"),
        ("employee", "employeeFirstName"),
        ("meetingTypeId", "meetingTypeName"),
        ("clientOpportunityId", "opportunityId"),
    ],
)
def test_null_or_blank_erases_and_nothing_else_changes(server, field, shown, blank):
    """A property sent as null or blank loses its value; what is omitted stays as it is."""
    before = create(server)
    after = server.bp()("POST", f"/{before['id']}", json={field: blank}).json()["data"]
    assert after[shown] is None
    related = {
        "employee": {"employeeLastName", "employeeId"},
        "clientOpportunityId": {"clientId", "clientFirstName", "clientLastName"},
    }
    changed = {shown, *related.get(field, ())}
    assert {name for name in before if before[name] != after[name]} == changed


def test_the_pages_example_modifies_a_meeting(server):
    """Location and employee change; title and start stay."""
    before = create(server)
    changes = {"location": "100 New Street, Providence, RI", "employee": {"email": "newemployee@example.com"}}
    after = server.bp()("POST", f"/{before['id']}", json=changes).json()["data"]
    changed = {"location": changes["location"], "employeeId": 51}
    changed |= {"employeeFirstName": "Nora", "employeeLastName": "Newell"}
    assert after == before | changed


@pytest.mark.parametrize(
    "changes", [{"startDateTime": None}, {"startDateTime": ""}, {"colour": 1}, {"endDateTime": START - 1}]
)
def test_a_wrong_change_is_refused_by_name(server, changes):
    """A meeting keeps its start, and an update is judged together with what is stored."""
    meeting = create(server)
    response = server.bp()("POST", f"/{meeting['id']}", json=changes)
    assert response.status_code == 400
    assert next(iter(changes)) in messages(response)
    assert server.bp()("GET", f"/{meeting['id']}").json()["data"] == meeting


@pytest.mark.parametrize("path", ["", "/"])
def test_a_post_with_an_empty_id_creates_and_a_get_lists(server, path):
    """An update whose id came out empty makes a new meeting, as the page warns."""
    existing = create(server)["id"]
    created = server.bp()("POST", path, json=VISIT | {"title": "second"}).json()["data"]
    assert created["id"] != existing
    listed = server.bp()("GET", path, params=window()).json()["data"]
    assert {meeting["id"] for meeting in listed} == {existing, created["id"]}
    assert server.bp()("DELETE", path).status_code == 405


def test_a_deleted_meeting_is_gone(server):
    """A delete is permanent; afterwards the id is a 404 in the vendor's envelope, and never used again."""
    meeting_id = create(server)["id"]
    assert server.bp()("DELETE", f"/{meeting_id}").json() == {"success": True}
    for method in ("GET", "DELETE", "POST"):
        response = server.bp()(method, f"/{meeting_id}", json={})
        assert response.status_code == 404
        assert messages(response)
    assert create(server)["id"] != meeting_id


@pytest.mark.parametrize(("meeting_id", "status"), [("x", 400), ("-1", 400), ("1.5", 400), ("0", 404), ("9" * 40, 404)])
def test_an_impossible_id_is_refused(server, meeting_id, status):
    """An id is a number; one that no meeting can have is not found."""
    assert server.bp()("GET", f"/{meeting_id}").status_code == status


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"start-date-from": None}, "start-date-from"),
        ({"start-date-to": None}, "start-date-to"),
        ({"start-date-to": START - DAY}, "after start-date-from"),
        ({"start-date-to": START + 30 * DAY + 1}, "31 days"),
        ({"limit": 101}, "limit"),
        ({"limit": 0}, "limit"),
        ({"page": -1}, "page"),
        ({"employee-id": "x"}, "employee-id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_query_is_refused_by_name(server, params, named):
    """Missing, reversed and too long windows, limits out of range and unknown parameters are refused."""
    response = server.bp()("GET", "", params=window(**params))
    assert response.status_code == 400
    assert named in messages(response)


def test_a_window_of_31_days_is_the_longest(server):
    """31 days to the millisecond are accepted."""
    assert server.bp()("GET", "", params=window(**{"start-date-to": START + 30 * DAY})).status_code == 200


def test_pages_are_numbered_from_0(server):
    """The pages join up, and the last one is shorter or empty."""
    meetings = server.insert("builderprime", *({"startDateTime": START + n} for n in range(5)))
    pages = [ids(server, limit=2, page=page) for page in range(4)]
    assert pages == [meetings[:2], meetings[2:4], meetings[4:], []]


def test_a_page_holds_100_by_default_and_at_most(server):
    """Without a limit a page has 100 meetings."""
    server.insert("builderprime", *({"startDateTime": START} for _ in range(101)))
    assert len(ids(server)) == 100


def test_filters_narrow_the_list(server):
    """Opportunity and employee are compared by their internal numbers."""
    wanted = create(server)["id"]
    other = create(server, employee={"id": 51}, clientOpportunityId=102989)["id"]
    assert ids(server, **{"employee-id": 50}) == [wanted]
    assert ids(server, **{"opportunity-id": 102989}) == [other]
    assert ids(server, **{"opportunity-id": 102989, "employee-id": 50}) == []


@pytest.mark.parametrize(("bounds", "found"), [("inclusive", [0, 1, 2]), ("exclusive", [1]), ("half-open", [0, 1])])
def test_bounds_are_as_the_option_says(server, bounds, found):
    """The option decides whether a bound itself is inside the window."""
    server.options(bounds=bounds)
    meetings = server.insert("builderprime", *({"startDateTime": START + n * DAY} for n in (-1, 0, 1)))
    assert ids(server) == [meetings[index] for index in found]


@pytest.mark.parametrize(("order", "expected"), [("start", [1, 2, 0]), ("start-desc", [0, 2, 1]), ("id", [0, 1, 2])])
def test_the_order_is_as_the_option_says(server, order, expected):
    """The order of a list is not documented, so it is an option."""
    server.options(builderprime_order=order)
    meetings = server.insert("builderprime", *({"startDateTime": START + n} for n in (9, 1, 5)))
    assert ids(server) == [meetings[index] for index in expected]


@pytest.mark.parametrize("order", ["unstable", "random"])
def test_an_unstable_order_differs_from_time_to_time(server, order):
    """Meetings of one instant come in one order now and in another the next time, yet all of them each time."""
    server.options(builderprime_order=order)
    meetings = server.insert("builderprime", *({"startDateTime": START} for _ in range(20)))
    seen = {tuple(ids(server)) for _ in range(5)}
    assert len(seen) > 1
    assert {tuple(sorted(listed)) for listed in seen} == {tuple(meetings)}
