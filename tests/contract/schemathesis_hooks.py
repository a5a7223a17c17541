"""What a schema cannot say, told to schemathesis: which values exist, and which must fit each other.

Only requests that are meant to be good are touched. Whatever is generated to be refused goes out as it is.
"""

from __future__ import annotations

import json
import os
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

DAY = 24 * 3600 * 1000
MAX_MS = 8_640_000_000_000_000
#: What test_schemathesis.py has read from the sandbox beforehand.
KNOWN: dict[str, Any] = json.loads(os.environ.get("CONTRACT_KNOWN", "{}"))

schemathesis.openapi.format("iana-time-zone", st.sampled_from(sorted(available_timezones())))
schemathesis.openapi.format("page-token", st.just(KNOWN.get("page_token", "")))


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    """Make a valid request one that also makes sense, and keep the others off what the pages leave open."""
    if case.meta is None:
        return
    if case.method.upper() != case.operation.method.upper():
        # Whether a used key (409) or a method that is not there (405) is noticed first, no page says.
        case.headers.pop("X-Idempotency-Key", None)
    elif case.meta.generation.mode.is_positive:
        case.body = _plain(case.body)
        if "/meetings/v1" in case.path:
            _fit_window(case.query)
            _fit_body(case.body)
    elif case.operation.label == "POST /api/meetings/v1":
        _certain(case.body)
    elif case.operation.label == "POST /api/meetings/v1/{meetingId}" and isinstance(case.body, dict):
        _certain(case.body.get("employee"))


def _certain(value: Any) -> None:
    """Put what is wrong for certain in the place of null and blank.

    Builder Prime's page allows these for the properties of a meeting in an update and is silent about them elsewhere,
    so that neither a refusal nor "as if left out" breaks the contract there.
    """
    for name, part in value.items() if isinstance(value, dict) else ():
        if part is None or (isinstance(part, str) and not part.strip()):
            value[name] = {"not": "this"}
        _certain(part)


def _plain(value: Any) -> Any:
    """Write 5 for 5.0: JSON Schema takes both for integers, the pages mean what is written like one."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fit_window(query: Any) -> None:
    """Put the end after the start ("It must be after start-date-from") and at most 31 days away from it."""
    if not {"start-date-from", "start-date-to"} <= (query or {}).keys():
        return
    start, end = int(query["start-date-from"]), int(query["start-date-to"])
    start = min(start, MAX_MS - 31 * DAY)
    query["start-date-from"] = start
    query["start-date-to"] = start + 1 + abs(end) % (31 * DAY)


def _fit_body(body: Any) -> None:
    """Choose what exists ("must match exactly"), and an end that is not before the start."""
    if not isinstance(body, dict):
        return
    for name in ("clientOpportunityId", "meetingTypeId", "meetingResultId"):
        if isinstance(number := body.get(name), int):
            body[name] = KNOWN[name][number % len(KNOWN[name])]
    if isinstance(employee := body.get("employee"), dict):
        known = KNOWN["employee"]
        body["employee"] = known[len(json.dumps(employee)) % len(known)]
    if isinstance(body.get("endDateTime"), int) or "startDateTime" in body:
        body["endDateTime"] = MAX_MS
