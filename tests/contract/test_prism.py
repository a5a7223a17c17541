"""Every request that every hook method makes is one that the vendors' pages allow: Prism checks, and a recorder."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest
import requests

from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from tests.contract.mocks import Mock, document

pytestmark = pytest.mark.contract

HOOKS = {"hiringcenter": HiringCenterHook, "builderprime": BuilderPrimeHook}
CONN_ID = "contract"
MAX_KEY = "k" * 512

# Public methods that send nothing of their own: `drive` carries out the vendor's calls that the others make, for the
# journal; forms are data. Any other public method of a hook is driven below, or the completeness test fails.
SILENT = {
    "get_conn",
    "check_meeting",
    "drive",
    "aconnection_info",
    "common_record",
    "web_url",
    "get_connection_form_widgets",
    "get_ui_field_behaviour",
}
# HiringCenter has no names that stand for ids: nothing is asked.
SILENT_FOR = {"hiringcenter": SILENT | {"resolve_names"}, "builderprime": SILENT}

# The document's example meeting lies inside these windows, given in every way a moment may be given.
START = {
    "hiringcenter": datetime(2024, 5, 31, tzinfo=UTC),
    "builderprime": datetime(2025, 3, 1, tzinfo=UTC),
}


def windows(start: datetime) -> dict[str, tuple[Any, Any]]:
    """Return the same window of two days in every accepted notation."""
    end = start + timedelta(days=2)
    first, last = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
    return {
        "datetime": (start, end),
        "pendulum": (pendulum.instance(start, tz="America/Chicago"), pendulum.instance(end).in_timezone("Asia/Tokyo")),
        "ISO 8601 with Z": (f"{start:%Y-%m-%dT%H:%M:%S}Z", f"{end:%Y-%m-%dT%H:%M:%S}Z"),
        "ISO 8601 with an offset": (f"{start:%Y-%m-%dT%H:%M:%S}+02:00", f"{end:%Y-%m-%dT%H:%M:%S}.250-05:00"),
        "milliseconds": (first, last),
        "digits": (str(first), str(last)),
    }


async def alist(hook: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """Read an asynchronous list to its end."""
    return [meeting async for meeting in hook.alist_meetings(*args, **kwargs)]


@dataclass(frozen=True)
class Call:
    """One use of one hook method, and the request that must stand on the wire because of it."""

    vendor: str
    method: str
    case: str
    run: Callable[[Any], Any]
    request: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.vendor}-{self.method}-{self.case}"


def listing_calls(vendor: str, request: str, filters: dict[str, Any]) -> list[Call]:
    """Return the lists of meetings, both the workers' and the triggerer's: every window, every filter."""
    uses: dict[str, tuple[tuple[Any, Any], dict[str, Any] | None]] = {
        f"window as {name}": (window, None) for name, window in windows(START[vendor]).items()
    }
    window = windows(START[vendor])["datetime"]
    uses |= {f"filter {name}": (window, {name: value}) for name, value in filters.items()}
    uses["all filters"] = (window, filters)
    uses["three months"] = ((window[0] - timedelta(days=40), window[0] + timedelta(days=50)), None)
    return [
        call
        for case, (bounds, chosen) in uses.items()
        for call in (
            Call(
                vendor,
                "list_meetings",
                case,
                lambda h, b=bounds, f=chosen: list(h.list_meetings(*b, filters=f)),
                request,
            ),
            Call(
                vendor,
                "alist_meetings",
                case,
                lambda h, b=bounds, f=chosen: asyncio.run(alist(h, *b, filters=f)),
                request,
            ),
        )
    ]


HC_ID = "f4d8a2c17b9e4f3aa6c01d5e7b2f9c44"
HC_MINIMAL = {
    "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
    "meetingDate": 1717170000000,
    "timeZone": "America/New_York",
    "meetingType": "virtual",
    "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
}
HC_FULL = {**HC_MINIMAL, "userId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45", "location": "Zoom", "notes": "Bring the offer"}
HC_CHANGES = {
    "userId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    "meetingDate": 1717173600000,
    "timeZone": "Europe/Berlin",
    "meetingType": "phone",
    "ownerId": "a2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    "location": "Room 4",
    "notes": "Moved",
}
HC_DATES = {
    "datetime": datetime(2024, 5, 31, 15, 40, tzinfo=UTC),
    "pendulum": pendulum.datetime(2024, 5, 31, 11, 40, tz="America/New_York"),
    "ISO 8601 with Z": "2024-05-31T15:40:00Z",
    "ISO 8601 with an offset": "2024-05-31T17:40:00+02:00",
    "naive beside timeZone": "2024-05-31T11:40:00",
    "digits": "1717170000000",
}
HC_ONE = f"/meetings/{HC_ID}"


def hiringcenter(method: str, case: str, run: Callable[[Any], Any], request: str, body: Any = None) -> Call:
    """Return a call of HiringCenterHook."""
    return Call("hiringcenter", method, case, run, request, body)


HIRINGCENTER = [
    *listing_calls(
        "hiringcenter",
        "GET /meetings",
        {"prospectId": HC_MINIMAL["prospectId"], "ownerId": HC_MINIMAL["ownerId"], "meetingType": "virtual"},
    ),
    hiringcenter("list_meetings", "no window", lambda h: list(h.list_meetings()), "GET /meetings"),
    hiringcenter(
        "list_meetings",
        "only a start",
        lambda h: list(h.list_meetings(START["hiringcenter"])),
        "GET /meetings",
    ),
    hiringcenter(
        "list_meetings",
        "only an end",
        lambda h: list(h.list_meetings(window_end="2024-06-30T00:00:00Z")),
        "GET /meetings",
    ),
    hiringcenter("get_meeting", "by id", lambda h: h.get_meeting(HC_ID), f"GET {HC_ONE}"),
    hiringcenter("create_meeting", "minimal", lambda h: h.create_meeting(HC_MINIMAL), "POST /meetings", HC_MINIMAL),
    hiringcenter("create_meeting", "full", lambda h: h.create_meeting(HC_FULL), "POST /meetings", HC_FULL),
    hiringcenter(
        "create_meeting",
        "null location and notes",
        lambda h: h.create_meeting({**HC_MINIMAL, "location": None, "notes": None}),
        "POST /meetings",
        {**HC_MINIMAL, "location": None, "notes": None},
    ),
    *[
        hiringcenter(
            "create_meeting",
            f"date as {name}",
            lambda h, date=date: h.create_meeting({**HC_MINIMAL, "meetingDate": date}),
            "POST /meetings",
        )
        for name, date in HC_DATES.items()
    ],
    hiringcenter(
        "create_meeting",
        "idempotency key",
        lambda h: h.create_meeting(HC_MINIMAL, idempotency_key=MAX_KEY),
        "POST /meetings",
        HC_MINIMAL,
    ),
    *[
        hiringcenter(
            "update_meeting",
            name,
            lambda h, name=name, value=value: h.update_meeting(HC_ID, {name: value}),
            f"POST {HC_ONE}",
            {name: value},
        )
        for name, value in HC_CHANGES.items()
    ],
    hiringcenter(
        "update_meeting", "every field", lambda h: h.update_meeting(HC_ID, HC_CHANGES), f"POST {HC_ONE}", HC_CHANGES
    ),
    *[
        hiringcenter(
            "update_meeting",
            f"clear {name}",
            lambda h, name=name: h.update_meeting(HC_ID, {name: None}),
            f"POST {HC_ONE}",
            {name: None},
        )
        for name in ("location", "notes")
    ],
    hiringcenter(
        "update_meeting",
        "idempotency key",
        lambda h: h.update_meeting(HC_ID, {"notes": "Moved"}, idempotency_key=MAX_KEY),
        f"POST {HC_ONE}",
        {"notes": "Moved"},
    ),
    hiringcenter("delete_meeting", "by id", lambda h: h.delete_meeting(HC_ID), f"DELETE {HC_ONE}"),
    hiringcenter(
        "delete_meeting",
        "must exist, idempotency key",
        lambda h: h.delete_meeting(HC_ID, idempotency_key=MAX_KEY, missing_ok=False),
        f"DELETE {HC_ONE}",
    ),
    hiringcenter("test_connection", "the key is good", lambda h: h.test_connection(), "GET /auth"),
]

BP = "/api/meetings/v1"
BP_MINIMAL = {"startDateTime": 1742403600000}
BP_FULL = {
    "clientOpportunityId": 102988,
    "title": "Created from API 1",
    "location": "5 Spooner St, Providence, RI 02907",
    "startDateTime": 1742403600000,
    "endDateTime": 1742410800000,
    "employee": {"id": 50, "firstName": "Betty", "lastName": "Brown"},
    "meetingTypeId": 1011,
    "meetingResultId": 1001,
    "reminders": [{"unitsBefore": 30, "unitType": "MINUTES"}],
}
BP_EMPLOYEES = {
    "id": {"id": 50},
    "email": {"email": "betty@example.com"},
    "names": {"firstName": "Betty", "lastName": "Brown"},
}
# A name that the document's example of the meeting types has.
BP_TYPE_NAME = "Sales Meeting"
# what the hook may offer of the vendor's reference data: the resource, and an id that the document's example has
BP_REFERENCE = {
    "meeting_type": ("/api/meeting-types/v1", 1011),
    "meeting_result": ("/api/meeting-results/v1", 1001),
    "employee": ("/api/employees/v1", 50),
}
BP_CLEARABLE = BP_FULL.keys() - {"startDateTime"}


def builderprime(method: str, case: str, run: Callable[[Any], Any], request: str, body: Any = None) -> Call:
    """Return a call of BuilderPrimeHook."""
    return Call("builderprime", method, case, run, request, body)


BUILDERPRIME = [
    *listing_calls("builderprime", f"GET {BP}", {"opportunity-id": 102988, "employee-id": "50"}),
    builderprime("get_meeting", "by number", lambda h: h.get_meeting(2176), f"GET {BP}/2176"),
    builderprime("get_meeting", "by digits", lambda h: h.get_meeting("2176"), f"GET {BP}/2176"),
    builderprime("create_meeting", "minimal", lambda h: h.create_meeting(BP_MINIMAL), f"POST {BP}", BP_MINIMAL),
    builderprime("create_meeting", "full", lambda h: h.create_meeting(BP_FULL), f"POST {BP}", BP_FULL),
    *[
        builderprime(
            "create_meeting",
            f"employee by {name}",
            lambda h, employee=employee: h.create_meeting({**BP_MINIMAL, "employee": employee}),
            f"POST {BP}",
            {**BP_MINIMAL, "employee": employee},
        )
        for name, employee in BP_EMPLOYEES.items()
    ],
    builderprime(
        "create_meeting",
        "rendered by a template",
        lambda h: h.create_meeting(
            {
                **BP_MINIMAL,
                "startDateTime": "2025-03-19T17:00:00Z",
                "meetingTypeId": "1011",
                "clientOpportunityId": "102988",
            }
        ),
        f"POST {BP}",
        {**BP_MINIMAL, "meetingTypeId": 1011, "clientOpportunityId": 102988},
    ),
    *[
        builderprime(
            "update_meeting",
            name,
            lambda h, name=name, value=value: h.update_meeting(2176, {name: value}),
            f"POST {BP}/2176",
            {name: value},
        )
        for name, value in BP_FULL.items()
    ],
    builderprime(
        "update_meeting", "every field", lambda h: h.update_meeting("2176", BP_FULL), f"POST {BP}/2176", BP_FULL
    ),
    *[
        builderprime(
            "update_meeting",
            f"clear {name}",
            lambda h, name=name: h.update_meeting(2176, {name: None}),
            f"POST {BP}/2176",
            {name: None},
        )
        for name in sorted(BP_CLEARABLE)
    ],
    builderprime("delete_meeting", "by id", lambda h: h.delete_meeting(2176), f"DELETE {BP}/2176"),
    builderprime(
        "resolve_names",
        "a meeting type",
        lambda h: h.resolve_names({"meetingTypeName": BP_TYPE_NAME}),
        "GET /api/meeting-types/v1",
    ),
    builderprime("test_connection", "the key is good", lambda h: h.test_connection(), f"GET {BP}"),
    *[
        call
        for name, (resource, known_id) in BP_REFERENCE.items()
        if hasattr(BuilderPrimeHook, f"get_{name}")
        for call in (
            builderprime(f"list_{name}s", "all", lambda h, n=name: list(getattr(h, f"list_{n}s")()), f"GET {resource}"),
            builderprime(
                f"get_{name}",
                "by id",
                lambda h, n=name, i=known_id: getattr(h, f"get_{n}")(i),
                f"GET {resource}/{known_id}",
            ),
        )
    ],
]
CALLS = HIRINGCENTER + BUILDERPRIME


def public_methods(hook: type) -> set[str]:
    """Return the public methods that this project's classes, not Airflow's, give a hook."""
    ours = [base for base in hook.__mro__ if base.__module__.startswith("airflow_provider_meetings.")]
    return {
        name
        for base in ours
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod)))
    }


def documented_names(vendor: str, exchange: Any) -> set[str]:
    """Return the query parameters that the document knows for the operation that an exchange used."""
    root = document(vendor)
    for path, item in root["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), exchange.path):
            found = [*item.get("parameters", []), *item[exchange.method.lower()].get("parameters", [])]
            shared = root["components"]["parameters"]
            found = [shared[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in found]
            return {parameter["name"] for parameter in found if parameter["in"] == "query"}
    raise AssertionError(f"{exchange.path} is not in the document")


@pytest.fixture
def mock_of(mocks: dict[str, Mock], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Mock]:
    """Return a function that points the connection at one vendor's mock and clears its record."""

    def choose(vendor: str) -> Mock:
        mock = mocks[vendor]
        mock.exchanges.clear()
        connection = {
            "conn_type": vendor,
            "host": mock.url + {"hiringcenter": "", "builderprime": "/api"}[vendor],
            "password": "the-key-of-the-tests",
            "extra": {"max_attempts": 1, "timeout": 10},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
        return mock

    return choose


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_request_of_the_hooks_is_accepted(call, mock_of):
    """What the method sends is what the page allows: path, query, headers and body."""
    mock = mock_of(call.vendor)
    result = call.run(HOOKS[call.vendor](CONN_ID))
    assert [(e.status, e.violations) for e in mock.exchanges if e.status >= 400 or e.violations] == []
    assert call.request in {f"{e.method} {e.path}" for e in mock.exchanges}
    for exchange in mock.exchanges:
        names = [name for name, _ in exchange.query]
        assert set(names) <= documented_names(call.vendor, exchange)
        assert len(names) == len(set(names))
    if call.body is not None:
        assert call.body == json.loads(mock.exchanges[-1].body)
    if call.method in {"list_meetings", "alist_meetings"}:
        assert {"hiringcenter": [HC_ID], "builderprime": [2176]}[call.vendor] == [meeting["id"] for meeting in result]
    if call.method == "test_connection":
        assert result[0] is True, result[1]
    if call.method == "delete_meeting":
        assert result is True
    for exchange in mock.exchanges:
        key = exchange.headers.get("x-idempotency-key")
        if call.vendor == "builderprime" or exchange.method == "GET":
            assert key is None
        elif "idempotency key" in call.case:
            assert key == MAX_KEY
        else:
            assert key


@pytest.mark.parametrize("vendor", HOOKS)
def test_every_public_method_of_the_hooks_is_driven(vendor):
    """A hook method that talks to the vendor and has no contract call above fails here."""
    assert public_methods(HOOKS[vendor]) == SILENT_FOR[vendor] | {
        call.method for call in CALLS if call.vendor == vendor
    }


@pytest.mark.parametrize(
    ("vendor", "table"), [("hiringcenter", HiringCenter.fields.table), ("builderprime", BuilderPrime.fields.table)]
)
def test_the_hooks_and_the_documents_know_the_same_fields(vendor, table):
    """The table that the hook checks a meeting with is the document's: names, required ones, what null may clear."""
    schemas = document(vendor)["components"]["schemas"]
    create, update = schemas["MeetingCreate"], schemas["MeetingUpdate"]

    def takes_null(schema: dict[str, Any]) -> bool:
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return "null" in schema.get("type", ()) or any(takes_null(part) for part in schema.get("anyOf", ()))

    assert set(create["properties"]) == {field.name for field in table}
    assert set(create["required"]) == {field.name for field in table if field.required}
    assert set(update["properties"]) == {field.name for field in table if field.updatable}
    nullable = {name for name, schema in update["properties"].items() if takes_null(schema)}
    assert nullable == {field.name for field in table if field.clearable}


AUTH = {
    "hiringcenter": {"Authorization": "Bearer the-key-of-the-tests"},
    "builderprime": {"x-api-key": "the-key-of-the-tests"},
}
WINDOW = {"start-date-from": 1740000000000, "start-date-to": 1742000000000}
WRONG: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    # what is wrong: vendor, method, path, the rest of the request, what the violation speaks of
    "hiringcenter: required field missing": (
        *("hiringcenter", "POST", "/meetings"),
        {"json": {name: value for name, value in HC_MINIMAL.items() if name != "ownerId"}},
        "ownerId",
    ),
    "hiringcenter: unknown field": (
        *("hiringcenter", "POST", "/meetings"),
        {"json": {**HC_MINIMAL, "meetingdate": 1}},
        "meetingdate",
    ),
    "hiringcenter: wrong type": (
        *("hiringcenter", "POST", "/meetings"),
        {"json": {**HC_MINIMAL, "prospectId": 7}},
        "prospectId",
    ),
    "hiringcenter: not a moment": (
        *("hiringcenter", "POST", "/meetings"),
        {"json": {**HC_MINIMAL, "meetingDate": "tomorrow"}},
        "meetingDate",
    ),
    "hiringcenter: body missing": ("hiringcenter", "POST", "/meetings", {}, "Body parameter is required"),
    "hiringcenter: prospect cannot change": (
        *("hiringcenter", "POST", HC_ONE),
        {"json": {"prospectId": "x"}},
        "prospectId",
    ),
    "hiringcenter: only location and notes are cleared": (
        *("hiringcenter", "POST", HC_ONE),
        {"json": {"meetingType": None}},
        "meetingType",
    ),
    "hiringcenter: limit over the maximum": ("hiringcenter", "GET", "/meetings", {"params": {"limit": 201}}, "limit"),
    "hiringcenter: idempotency key too long": (
        *("hiringcenter", "DELETE", HC_ONE),
        {"headers": {"X-Idempotency-Key": MAX_KEY + "k"}},
        "x-idempotency-key",
    ),
    "builderprime: required field missing": (
        *("builderprime", "POST", BP),
        {"json": {"title": "Estimate"}},
        "startDateTime",
    ),
    "builderprime: unknown field": (
        *("builderprime", "POST", BP),
        {"json": {**BP_MINIMAL, "meetingType": "Sales Meeting"}},
        "meetingType",
    ),
    "builderprime: wrong type": (
        *("builderprime", "POST", BP),
        {"json": {**BP_MINIMAL, "startDateTime": "2025-03-19T17:00:00Z"}},
        "startDateTime",
    ),
    "builderprime: half an employee": (
        *("builderprime", "POST", f"{BP}/2176"),
        {"json": {"employee": {"firstName": "Betty"}}},
        "employee",
    ),
    "builderprime: window start missing": (
        *("builderprime", "GET", BP),
        {"params": {"start-date-to": 1742000000000}},
        "start-date-from",
    ),
    "builderprime: limit over the maximum": (
        *("builderprime", "GET", BP),
        {"params": {**WINDOW, "limit": 101}},
        "limit",
    ),
    "builderprime: negative page": ("builderprime", "GET", BP, {"params": {**WINDOW, "page": -1}}, "page"),
    "builderprime: id is no number": ("builderprime", "GET", f"{BP}/None", {}, "meetingid"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_deliberately_wrong_request_is_rejected(wrong, mocks):
    """Prism refuses each wrong request and names what is wrong with it."""
    vendor, method, path, request_, about = wrong
    headers = {**AUTH[vendor], **request_.get("headers", {})}
    answer = requests.request(method, mocks[vendor].url + path, **{**request_, "headers": headers}, timeout=30)
    assert 400 <= answer.status_code < 500
    assert about in answer.headers["sl-violations"]


@pytest.mark.parametrize(
    ("vendor", "path"),
    [("hiringcenter", "/meetings"), ("builderprime", f"{BP}/2176"), ("builderprime", "/api/meeting-types/v1")],
)
def test_a_request_without_a_key_is_rejected(vendor, path, mocks):
    """Prism answers 401 where the key is missing."""
    assert requests.get(mocks[vendor].url + path, timeout=30).status_code == 401
