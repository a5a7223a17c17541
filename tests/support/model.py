"""Two vendors in memory, a clock that is a number, and an Airflow that retries, clears and kills.

What is faked is what lies outside the protocol: the vendors' servers, the line to them, the task state store and the
transport. What is tested is the package's own: ``exactly_once`` and both vendors' rules.

A request goes out at ``now``, reaches the server a little later and is answered a little later again. A fault may take
the request, the answer, or both; or keep the request in flight, to be acted on later, though less than
``RetryLimits.in_flight`` seconds after it was sent. That bound is the one thing that the vendors are trusted with,
beside what their pages say of idempotency keys (of which a reused one is answered before the payload is looked at).
"""

import contextlib
import dataclasses
import datetime as dt
import functools
import heapq
import itertools
import json
import os
import random
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, settings

from airflow_provider_meetings.core.flow import AskCaller, Log, Now, Request, Response, SaveJournal, Sleep
from airflow_provider_meetings.core.retry import RetryLimits
from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.exactly_once.task_state import CREATED_KEY, book_once
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsTransportError
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory
from tests.support.flows import Driver, examples
from tests.support.store import Killed, StateStore

#: 2026-11-21T12:00:00.317Z, in seconds.
NOW = 1_795_262_400.317
#: Where the meetings lie, in milliseconds.
NOON = 1_796_000_400_000
HOUR = 3_600_000
#: Seconds after which a request that was not answered is not acted on any more.
IN_FLIGHT = RetryLimits().in_flight

#: Statuses with which a gateway's page, or a redirect, may stand in for the vendor's answer.
GATEWAYS = (103, 303, 400, 401, 403, 404, 405, 409, 422, 429)
#: What may happen to a request. "late" carries the seconds after which it is acted on.
FAULTS = (
    "unsent",  # the connection was refused
    "lost",  # it never arrived
    "answer lost",  # it was acted on
    "timeout",  # it never arrived, which took the whole timeout to find out
    "500 before",
    "500 after",
    "429",
    "refused",  # 400, though the payload is fine at other times
    "false before",  # 200, success: false, and no reason
    "false after",
    "garbage after",  # 200 and a page of HTML
    "truncated after",
    # A gateway's page in place of the vendor's answer, with a status that is no success.
    *(f"{status} {when}" for status in GATEWAYS for when in ("before", "after")),
)
#: The quick ones that are over when the connection breaks.
BREAK = 0.3
ANSWER = 0.2


@dataclasses.dataclass(frozen=True)
class Late:
    """A fault: the request is still acted on, that many seconds after it was sent.

    Attributes:
        seconds: After how many.
        status: With what a gateway answers meanwhile; None: the connection breaks.
    """

    seconds: float
    status: int | None = None


class Crm:
    """What both vendors' servers have in common.

    Attributes:
        rows: The meetings by id, each with who had it made (``owner``) and what a human being did to it (``touched``).
        owner: Who sends now.
        sent: Each request that reached the server: method, path, key, body.
        keeps_cancelled: Whether a meeting that is cancelled stays in the list.
    """

    keeps_cancelled = False

    def __init__(self, *, skew: float = 0.0, **retry_limits: Any) -> None:
        self.now = NOW
        self.skew = skew
        self.tells_time = True  # whether its answers have a Date
        self.retry_limits = RetryLimits(**retry_limits)
        self.rows: dict[str, dict[str, Any]] = {}
        self.owner = ""
        self.sent: list[Request] = []
        self.refuse = lambda _body: None  # an answer to a create that the vendor does not like; None: it is fine
        self.deny: set[str] = set()  # scopes that the key lacks
        self._ids = itertools.count(1)
        self._queue: list[Any] = []
        self._order = itertools.count()

    # -- time

    def advance(self, seconds: float) -> None:
        """Let time go by; requests in flight arrive."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            due, _, act = heapq.heappop(self._queue)
            self.now = max(self.now, due)
            act()
        self.now = until

    # -- the table

    def insert(self, body: dict[str, Any], owner: str) -> dict[str, Any]:
        """Make a meeting; an owner other than a human being has at most one at any moment."""
        row = {"id": self.new_id(), "created": round((self.now + self.skew) * 1000), "owner": owner, "touched": {}}
        row["body"] = {name: value for name, value in body.items() if value is not None}
        self.rows[str(row["id"])] = row
        if owner != "human":
            ids = [row["id"] for row in self.owned(owner)]
            assert len(ids) == 1, f"{owner} owns the meetings {ids} at once"
        return row

    def owned(self, owner: str) -> list[dict[str, Any]]:
        """What an owner had made and is there."""
        return [row for row in self.rows.values() if row["owner"] == owner]

    def touch(self, owner: str, **changes: Any) -> None:
        """Change a meeting as a human being."""
        for row in self.owned(owner):
            row["body"] |= changes
            row["touched"] |= changes

    def remove(self, owner: str) -> None:
        """Delete a meeting as a human being."""
        for row in self.owned(owner):
            del self.rows[str(row["id"])]

    def cancel(self, owner: str) -> None:
        """Cancel a meeting as a human being: it is nobody's any more, and where the vendor can say so it stays."""
        for row in self.owned(owner):
            row["owner"], row["cancelled"] = "cancelled", True
            if not self.keeps_cancelled:
                del self.rows[str(row["id"])]

    def change(self, row: dict[str, Any], changes: dict[str, Any]) -> None:
        """Change a meeting as the API does: null removes."""
        merged = row["body"] | changes
        row["body"] = {name: value for name, value in merged.items() if value not in (None, "")}

    # -- the line

    def perform(self, request: Request, fault: Any) -> Response:
        """Carry a request to the server and its answer back, or not."""
        sent_at = self.now
        if isinstance(fault, Late) and request.method != "GET":
            return self._late(request, fault, sent_at)
        if fault in {"unsent", "lost", "timeout"}:
            self.advance(self.retry_limits.timeout if fault == "timeout" else BREAK)
            raise self._lost(request, sent_at, maybe_sent=fault != "unsent")
        self.advance(ANSWER / 2)
        self.sent.append(request)
        status, _, when = str(fault).partition(" ")
        page = {"garbage": (200, b"<html>hello</html>"), "false": (200, b'{"success": false}')}
        if status.isdigit():
            page[status] = int(status), b"<html>oops</html>"
        if when == "before":
            return self._answer(sent_at, *page[status])
        if fault == "429":
            return self._answer(sent_at, 429, self.complaint("RATE_LIMIT"), **{"retry-after": "7"})
        if request.scope in self.deny:
            return self._answer(sent_at, 403, self.complaint("FORBIDDEN"))
        code, content = self.serve(request, refused=fault == "refused" and request.method == "POST")
        if fault == "answer lost" or isinstance(fault, Late):
            self.advance(BREAK)
            raise self._lost(request, sent_at)
        if when == "after" and status in page:
            return self._answer(sent_at, *page[status])
        body = json.dumps(content).encode()
        return self._answer(sent_at, code, body[: len(body) // 2] if fault == "truncated after" else body)

    def _late(self, request: Request, fault: Late, sent_at: float) -> Response:
        self.sent.append(request)
        if request.path == self.collection:
            self.accept_late(request, sent_at + fault.seconds, self.owner)
        else:
            self.later(sent_at + fault.seconds, functools.partial(self._change_late, request))
        if fault.status is not None:
            self.advance(ANSWER / 2)
            return self._answer(sent_at, fault.status, b"<html>oops</html>")
        self.advance(BREAK)
        raise self._lost(request, sent_at)

    def _change_late(self, request: Request) -> None:
        meeting_id = request.path.removeprefix(self.collection).strip("/")
        if request.method == "DELETE":
            self.rows.pop(meeting_id, None)
        elif meeting_id in self.rows:
            self.change(self.rows[meeting_id], json.loads(request.body or b"{}"))

    def _answer(self, sent_at: float, status: int, body: bytes, **headers: str) -> Response:
        self.advance(ANSWER / 2)
        clock = dt.datetime.fromtimestamp(int(self.now + self.skew), dt.UTC)
        if self.tells_time:
            headers["date"] = format_datetime(clock, usegmt=True)
        return Response(status, headers, body, sent_at, self.now)

    def _lost(self, request: Request, sent_at: float, *, maybe_sent: bool = True) -> MeetingsTransportError:
        where = {"method": request.method, "path": request.path}
        return MeetingsTransportError("the connection broke.", maybe_sent=maybe_sent, sent_at=sent_at, **where)

    def later(self, due: float, act: Any) -> None:
        """Have something happen at a moment to come."""
        heapq.heappush(self._queue, (due, next(self._order), act))


class HiringCenterCrm(Crm):
    """HiringCenter: idempotency keys that replay, refuse and expire."""

    collection = "/meetings"
    date = "meetingDate"

    def __init__(self, *, window: float = 86_400.0, **options: Any) -> None:
        super().__init__(**options)
        self.window = window
        self.keys: dict[str, tuple[bytes | None, float, tuple[int, Any]]] = {}

    def rules(self) -> Any:
        """Our side of it, new for each process."""
        errors = ErrorFactory("HiringCenter", "hc", "https://hc.test/v2")
        return HiringCenter(errors, self.retry_limits, update_method="POST", idempotency_window=self.window)

    def new_id(self) -> Any:
        """Ids are texts here."""
        return f"mtg{next(self._ids)}"

    def complaint(self, text: str) -> bytes:
        """An error in the envelope."""
        return json.dumps({"error": text, "message": text}).encode()

    def accept_late(self, request: Request, due: float, owner: str) -> None:
        """Take a request that is worked on later; its key is in use from now on."""
        key = str(request.idempotency_key)
        if self._key(key) is not None:
            return
        self.keys[key] = (request.body, self.now, ())

        def act() -> None:
            self.keys[key] = (request.body, self.now, self._create(json.loads(request.body or b""), owner))

        self.later(due, act)

    def _key(self, key: str) -> Any:
        known = self.keys.get(key)
        if known is not None and known[2] and known[1] + self.window < self.now:
            del self.keys[key]
            return None
        return known

    def _create(self, body: dict[str, Any], owner: str) -> tuple[int, Any]:
        return 201, {"success": True, "item": self.shape(self.insert(body, owner))}

    def shape(self, row: dict[str, Any]) -> dict[str, Any]:
        """What comes back."""
        return {"location": None, "notes": None, **row["body"], "id": row["id"], "createdAt": row["created"]}

    def serve(self, request: Request, *, refused: bool) -> tuple[int, Any]:  # noqa: C901, PLR0911 - one return an answer
        """Answer as the page says."""
        missing = 404, {"error": "Not found", "message": "There is no such meeting."}
        if request.method == "GET" and request.path == self.collection:
            return 200, {"success": True, "items": self._list(dict(request.params)), "pagination": {}}
        meeting_id = request.path.removeprefix(self.collection).strip("/")
        if request.method == "GET":
            row = self.rows.get(meeting_id)
            return (200, {"success": True, "item": self.shape(row)}) if row else missing
        key, body = str(request.idempotency_key), json.loads(request.body or b"{}")
        if (known := self._key(key)) is not None:
            if not known[2]:
                return 409, {"error": "Conflict", "message": "A request with this key is still being processed."}
            if known[0] != request.body:
                return 409, {"error": "Conflict", "message": "This key was used for a different request."}
            return known[2]
        refusal = (400, {"error": "Validation failed", "message": "no"}) if refused else None
        if meeting_id:
            row = self.rows.get(meeting_id)
            if row is None:
                return missing
            if refusal:
                return refusal
            if request.method == "DELETE":
                del self.rows[meeting_id]
                answer = 200, {"success": True, "message": "Deleted."}
            else:
                self.change(row, body)
                answer = 200, {"success": True, "item": self.shape(row)}
        else:
            if refusal := refusal or self.refuse(body):
                return refusal
            answer = self._create(body, self.owner)
        self.keys[key] = (request.body, self.now, answer)
        return answer

    def _list(self, query: dict[str, str]) -> list[dict[str, Any]]:
        after, before = int(query["meetingDateAfter"]), int(query["meetingDateBefore"])
        return [
            self.shape(row)
            for row in self.rows.values()
            if after <= row["body"]["meetingDate"] <= before
            and all(row["body"][name] == query[name] for name in ("ownerId", "prospectId") if name in query)
        ]


PEOPLE = {50: ("Betty", "Brown"), 51: ("Carl", "Cole")}


class BuilderPrimeCrm(Crm):
    """Builder Prime: no keys, and what comes back has other names and less of them than what was sent."""

    collection = "/meetings/v1"
    date = "startDateTime"
    keeps_cancelled = True

    def rules(self) -> Any:
        """Our side of it, new for each process."""
        errors = ErrorFactory("Builder Prime", "bp", "https://bp.test/api")
        return BuilderPrime(errors, self.retry_limits, max_window=31 * DAY, parallel=4)

    def new_id(self) -> Any:
        """Ids are numbers here."""
        return next(self._ids)

    def complaint(self, text: str) -> bytes:
        """An error in the envelope."""
        return json.dumps({"success": False, "errors": [{"code": text, "message": text}]}).encode()

    def accept_late(self, request: Request, due: float, owner: str) -> None:
        """Take a request that is worked on later."""
        self.later(due, lambda: self.insert(json.loads(request.body or b""), owner))

    def shape(self, row: dict[str, Any]) -> dict[str, Any]:
        """What comes back: names instead of ids, and neither end, type nor reminders."""
        body = row["body"]
        first, last = PEOPLE.get(body.get("employee", {}).get("id"), (None, None))
        return {
            "id": row["id"],
            "createdDate": row["created"],
            "title": body.get("title"),
            "location": body.get("location"),
            "startDateTime": body["startDateTime"],
            "opportunityId": body.get("clientOpportunityId"),
            "employeeFirstName": first,
            "employeeLastName": last,
            "isMeetingCancelled": row.get("cancelled", False),
        }

    def serve(self, request: Request, *, refused: bool) -> tuple[int, Any]:  # noqa: PLR0911 - one return an answer
        """Answer as the page says."""
        missing = 404, json.loads(self.complaint("NOT_FOUND"))
        if request.method == "GET" and request.path == self.collection:
            query = dict(request.params)
            low, high = int(query["start-date-from"]), int(query["start-date-to"])
            rows = [row for row in self.rows.values() if low <= row["body"]["startDateTime"] <= high]
            return 200, {"success": True, "data": [self.shape(row) for row in rows]}
        meeting_id = request.path.removeprefix(self.collection).strip("/")
        row = self.rows.get(meeting_id)
        if meeting_id and row is None:
            return missing
        if request.method == "GET":
            return 200, {"success": True, "data": self.shape(row)}
        if request.method == "DELETE":
            del self.rows[meeting_id]
            return 200, {"success": True}
        body = json.loads(request.body or b"{}")
        if refused:
            return 400, json.loads(self.complaint("INVALID"))
        if row is not None:
            self.change(row, body)
            return 200, {"success": True, "data": self.shape(row)}
        return self.refuse(body) or (200, {"success": True, "data": {"id": self.insert(body, self.owner)["id"]}})


@dataclasses.dataclass(frozen=True)
class Luck:
    """What a try meets with.

    Attributes:
        kill: Before which command the process dies; None: it lives.
        writes: What happens to its writes, in order; those after the last are fine.
        reads: The same of its reads.
        save: Seconds that the journal takes to be written.
        in_flight: What becomes of the writes that were sent in parallel and not answered when it dies, in turn.
        seed: In which order flows in parallel take turns.
    """

    kill: int | None = None
    writes: tuple[Any, ...] = ()
    reads: tuple[Any, ...] = ()
    save: float = 0.05
    in_flight: tuple[Any, ...] = ()
    seed: int = 0


FAIR = Luck()
# Airflow's own limit of a value in the store.
LONGEST_VALUE = 65_535


class TryDriver(Driver):
    """Drives the flows of one try.

    Args:
        crm: The vendor.
        luck: What the try meets with.
        story: Takes its log.
        parallel: How many requests may be sent at a time.
        owner_of: Whom a new meeting is counted for, by its body; None: the vendor knows.
        meanwhile: After how many of its requests, counted from 1, something else happens, and what.
    """

    def __init__(
        self,
        crm: Crm,
        luck: Luck,
        story: list[str],
        *,
        parallel: int | None = None,
        owner_of: Any = None,
        meanwhile: tuple[int, Any] | None = None,
    ) -> None:
        dice = random.Random(luck.seed)  # noqa: S311 - a test's dice
        super().__init__(kill=luck.kill, parallel=parallel, turn=lambda running, _: dice.choice(running))
        self._crm, self._luck, self._story, self._owner_of = crm, luck, story, owner_of
        self._writes, self._reads = iter(luck.writes), iter(luck.reads)
        self._fates = iter(luck.in_flight)
        self._meanwhile, self._requests = meanwhile, 0

    def perform(self, request: Request) -> Response:
        """Send a request to the vendor; something else may happen before its answer is looked at."""
        try:
            return self._send(request, next(self._reads if request.method == "GET" else self._writes, None))
        finally:
            self._requests += 1
            if self._meanwhile is not None and self._meanwhile[0] == self._requests:
                self._meanwhile[1]()

    def leave_behind(self, requests: list[Request]) -> None:
        """Have the writes that were in flight be lost, or acted on, now or later."""
        for request in requests:
            fate = next(self._fates, "lost")
            if request.method == "GET" or fate == "lost":
                continue
            with contextlib.suppress(MeetingsError):
                self._send(request, None if fate == "acts" else fate)

    def carry_out(self, command: Any, save: Any) -> Any:
        """Let the time pass, write the journal, or take the log."""
        if isinstance(command, Now):
            return self._crm.now
        if isinstance(command, Sleep):
            assert command.seconds <= self._crm.retry_limits.max_wait
            self._crm.advance(command.seconds)
        elif isinstance(command, SaveJournal):
            document = command.document() if callable(command.document) else command.document
            assert len(json.dumps(document)) <= LONGEST_VALUE
            if save is not None:
                save(document)
            self._crm.advance(self._luck.save)
        elif isinstance(command, AskCaller):
            return command.read()
        elif isinstance(command, Log):
            self._story.append(command.text)
        return None

    def _send(self, request: Request, fault: Any) -> Response:
        if self._owner_of is not None and request.method == "POST" and request.path == self._crm.collection:
            self._crm.owner = self._owner_of(json.loads(request.body or b"{}"))
        return self._crm.perform(request, fault)


class TaskInstance:
    """A task instance: its tries, and what Airflow keeps of it.

    Args:
        crm: The vendor that it books with.
        owner: Whom its meetings are counted for; None: by whom they are with, as a mapped task's are.
        map_index: -1: it is not a mapped task's.
        task_id: The task.
    """

    def __init__(self, crm: Crm, owner: str | None = None, *, map_index: int = -1, task_id: str = "book") -> None:
        self.crm = crm
        self.owner = owner
        self.facts = SimpleNamespace(
            dag_id="dag", run_id="run", task_id=task_id, map_index=map_index, try_number=0, id=None
        )
        self.facts.xcom_push, self.facts.xcom_pull = self._push, self._pull
        self.facts.get_task_states = self._states
        self.run = SimpleNamespace(clear_number=0, run_after=dt.datetime.fromtimestamp(crm.now, dt.UTC), xcoms={})
        self.store: StateStore | None = StateStore()
        self.loop: Any = None
        self.given: str | None = None
        self.story: list[str] = []

    @property
    def journal(self) -> dict[str, Any]:
        """What is kept of it between tries."""
        return self.store.get(CREATED_KEY) or {"records": {}, "last": None}

    @property
    def outcome_unknown(self) -> bool:
        """Whether a create stands in it that was not answered."""
        return any(record["pending_create"] for record in self.journal["records"].values())

    def clear(self) -> None:
        """Clear it, as a user does."""
        self.run.clear_number += 1

    def begin(self) -> None:
        """Have Airflow know of it, as it does from when the task is mapped."""
        assert self._place.state == "queued"

    def _push(self, *, key: str, value: Any) -> None:
        self._place.xcoms[key] = json.dumps(value)

    def _pull(self, *, task_ids: str, key: str) -> Any:
        """Read XCom as Airflow does: what one map index alone has pushed is no list."""
        places = [place for (task_id, _), place in sorted(self.run.xcoms.items()) if task_id == task_ids]
        values = [json.loads(place.xcoms[key]) for place in places if key in place.xcoms]
        return (values[0] if values else None) if len(values) < 2 else values

    def _states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str]]:
        del dag_id
        places = [(task_id, index) for task_id, index in self.run.xcoms if task_id in task_ids]
        return {run_ids[0]: {f"{task_id}_{index}": self.run.xcoms[task_id, index].state for task_id, index in places}}

    @property
    def _place(self) -> Any:
        """What Airflow keeps of it beside the store."""
        fresh = SimpleNamespace(xcoms={}, state="queued")
        return self.run.xcoms.setdefault((self.facts.task_id, self.facts.map_index), fresh)

    def attempt(self, body: dict[str, Any], luck: Luck = FAIR, decision: Any = None, meanwhile: Any = None) -> Any:
        """Try it once, with what a person has decided; returns the booking, or None where it was killed.

        Something else may happen ``meanwhile``; see :class:`TryDriver`.

        Raises:
            MeetingsError: The try failed.
        """
        self.facts.try_number += 1
        self.facts.id = object()  # a new one each try
        self._place.xcoms.clear()
        context = {"ti": self.facts, "dag_run": self.run, "task_state_store": self.store}
        if self.loop is not None:
            context["loop"] = self.loop
        owner = self.owner or counterpart(body)
        vendor = self.crm.rules()
        driver = TryDriver(self.crm, luck, self.story, owner_of=lambda _: owner, meanwhile=meanwhile)
        hook = SimpleNamespace(
            check_meeting=vendor.check_meeting,
            drive=lambda make_call, save=None: driver.drive(make_call(vendor), save),
        )
        try:
            return book_once(hook, body, self.given, context, decision=decision)
        except Killed:
            return None


def counterpart(body: dict[str, Any]) -> str:
    """Whom a meeting is with."""
    return str(body.get("prospectId", body.get("clientOpportunityId")))


OPTIONAL = ("location", "notes", "endDateTime", "employee", "meetingTypeId", "reminders")


def alone(kind: "Kind", map_index: int = -1, **options: Any) -> tuple[Crm, TaskInstance]:
    """Make an empty vendor, and a task instance that has not been tried."""
    crm = kind.crm(**options)
    return crm, TaskInstance(crm, "task", map_index=map_index)


def check(crm: Crm, owner: str, body: dict[str, Any]) -> dict[str, Any]:
    """Hold the invariant for an owner whose last try asked for this; returns its row."""
    rows = crm.owned(owner)
    assert len(rows) == 1, f"{owner} owns {len(rows)} meetings"
    (row,) = rows
    wrong = {name: row["body"].get(name) for name, value in body.items() if row["body"].get(name) != value}
    assert not wrong, f"{owner} asked for {body}, and these are otherwise: {wrong}"
    by_hand = row["touched"]
    left = {
        name: row["body"][name]
        for name in OPTIONAL
        if name in row["body"] and name not in body and row["body"][name] != by_hand.get(name)
    }
    assert not left, f"{owner} did not ask for {left}"
    return row


def hiringcenter_body(prospect: str = "p1", variant: int = 0, kind: str = "virtual") -> dict[str, Any]:
    """One of some payloads for the same prospect."""
    body = {
        "prospectId": prospect,
        "meetingDate": NOON + HOUR * (variant % 2),
        "timeZone": "America/New_York",
        "meetingType": kind,
        "ownerId": "o1",
    }
    return (
        body
        | (
            {},
            {"location": "Zoom"},
            {"notes": "first"},
            {"location": "Main Street 5", "notes": "second"},
            {"notes": "third"},
            {"location": "Room 4"},
        )[variant % 6]
    )


def builderprime_body(opportunity: int = 7, variant: int = 0, title: str = "Visit") -> dict[str, Any]:
    """One of some payloads for the same opportunity; some differ only in what does not come back."""
    start = NOON + HOUR * (variant // 3 % 2)
    body = {"clientOpportunityId": opportunity, "title": title, "startDateTime": start}
    return (
        body
        | (
            {"employee": {"id": 50}},
            {"employee": {"id": 50}, "meetingTypeId": 1011},
            {"location": "Main Street 5", "endDateTime": start + HOUR},
            {"location": "Main Street 5"},
            {"employee": {"id": 51}, "reminders": [{"unitsBefore": 30, "unitType": "MINUTES"}]},
            {"employee": {"id": 51}},
        )[variant % 6]
    )


def visible(variant: int) -> int:
    """Payloads of Builder Prime's with the same number cannot be told apart by what comes back."""
    return (0, 0, 2, 3, 4, 4)[variant % 6]


def histories(number: int) -> settings:
    """So many histories, the same each time; HYPOTHESIS_TIMES as many random ones where that is set.

    MODEL_SHARE runs a part of them.
    """
    return settings(
        examples(max(1, int(number * float(os.environ.get("MODEL_SHARE", "1"))))),
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


class Kind:
    """A vendor, as the tests are parametrized with it."""

    def __init__(self, name: str, crm: Any, body: Any) -> None:
        self.name = name
        self.crm = crm
        self.body = body

    def __repr__(self) -> str:
        return self.name

    def counterpart(self, number: int) -> Any:
        """Name somebody to meet."""
        return f"p{number}" if self.crm is HiringCenterCrm else number


HC = Kind("hiringcenter", HiringCenterCrm, hiringcenter_body)
BP = Kind("builderprime", BuilderPrimeCrm, builderprime_body)
KINDS = (HC, BP)
