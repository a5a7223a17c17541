"""HiringCenter's rules, after its page "Create, list, and manage meetings" and its overview (REST API v2)."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsError,
    MeetingsInDoubtError,
    MeetingsProtocolError,
    MeetingsServerError,
    MeetingValidationError,
)
from airflow_provider_meetings.moments import Window, to_epoch_ms
from airflow_provider_meetings.retry import Budget, Patience, attempt
from airflow_provider_meetings.vendors.answers import Complaint, Helpdesk, decode, encode
from airflow_provider_meetings.vendors.fields import Field, Fields, check_filters, check_id, check_key
from airflow_provider_meetings.vendors.lookalikes import Intent, Likeness, agrees, glimpse, same_moment, same_text
from airflow_provider_meetings.wire import Call, Clock, Listing, Page, Request, Response, Tell

__all__ = ["FIELDS", "FILTERS", "HiringCenter"]

FIELDS = Fields(
    vendor="HiringCenter",
    zone_field="timeZone",
    table=(
        Field("prospectId", "id", "Prospect the meeting is associated with.", required=True, updatable=False),
        Field("meetingDate", "moment", "When the meeting takes place.", required=True),
        Field("timeZone", "time zone", "IANA time zone name for the meeting.", required=True),
        Field("meetingType", "label", "Meeting type label: phone, virtual, in-person, …", required=True),
        Field("ownerId", "id", "User who owns the meeting.", required=True),
        Field("userId", "id", "User creating the meeting; in an update, the acting user."),
        Field("location", "text", "Meeting location.", clearable=True, nullable=True),
        Field("notes", "text", "Internal notes.", clearable=True, nullable=True),
    ),
)

#: The list's filters. Its windows and pages are this module's business.
FILTERS: Mapping[str, str] = {"prospectId": "id", "ownerId": "id", "meetingType": "label"}

#: "limit integer · max: 200"
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class HiringCenter:
    """Calls to HiringCenter: arguments in, requests out, answers back, meetings out.

    Attributes:
        helpdesk: Makes the errors.
        patience: How long a call may try.
        update_method: The verb of an update; the page does not say it, the overview hints at POST.
        idempotency_window: Seconds for which the vendor keeps a key; its page does not say.
        page_size: Meetings a page.
    """

    helpdesk: Helpdesk
    patience: Patience = field(default_factory=Patience)
    update_method: str = "POST"
    idempotency_window: float = 86_400.0
    page_size: int = PAGE_SIZE

    fields = FIELDS
    #: Where a meeting says when it was made.
    created_field = "createdAt"
    #: The idempotency key tells whether a create has happened.
    looks_before_create = False
    #: "Update Meeting" takes no prospectId.
    party_can_change = False

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body of a create; see :meth:`Fields.for_create`."""
        return FIELDS.for_create(meeting)

    def check_changes(self, changes: Any) -> dict[str, Any]:
        """Return the body of an update; see :meth:`Fields.for_update`."""
        return FIELDS.for_update(changes)

    # -- reading

    def get(self, meeting_id: Any) -> Call[dict[str, Any]]:
        """Get Meeting by ID."""
        meeting_id = check_id(meeting_id)
        request = Request("GET", f"/meetings/{meeting_id}", scope="meetings.read")
        return self._same((yield from self._item(request)), meeting_id, request)

    def listing(self, window: Window, filters: Any = None) -> Listing:
        """List Meetings of a window, latest first.

        The vendor's page tokens may shift when meetings come and go between two pages, so the list goes on by date
        instead: the page says that it is "ordered by meeting date (latest/furthest-out first)", hence everything later
        than the last meeting of a page has been on it, and the next question asks for what is not later. Each page is
        then the first of its own question, and no meeting that was there all along can slip between two of them.
        Tokens are used where that cannot work: inside one millisecond that fills a page, and on a server that does not
        keep the documented order or bounds.
        """
        query = check_filters("HiringCenter", FILTERS, filters)
        return self._by_date(window, query)

    def _by_date(self, window: Window, query: tuple[tuple[str, str], ...]) -> Listing:
        span, edge = window, frozenset[str]()  # edge: the ids already listed at the span's last millisecond
        inclusive = False  # whether the server has been seen to include the later bound
        while True:
            items, token, _ = yield from self._page(span, query, inclusive=inclusive)
            dates = self._dates(items)
            fresh = _fresh(items, dates, span, edge)
            if not token:
                yield Page(fresh)
                return
            in_order = dates == sorted(dates, reverse=True)
            if not in_order and span is not window:
                raise self._disorder(span)
            if not items or not in_order or not _within(dates, span, inclusive=inclusive):
                listed = edge | _ids(items)
                del items
                yield from self._by_token(span, query, fresh, token, listed)
                return
            last = dates[-1]
            if last == span.end:
                inclusive = True  # nothing but meetings at the bound: now that it is known to be included, move it
                continue
            if window.start is not None and last < window.start:
                yield Page(fresh)
                return
            if edge and dates[0] == last == (span.end or 0) - 1:
                # One millisecond fills a page: only here the tokens have to be trusted, so they are checked.
                instant = Window(last, last + 1)
                items = yield from self._instant(instant, query)
                yield Page(_fresh(items, [last] * len(items), instant, edge))
                span, edge = Window(window.start, last), frozenset()
                if span.start is not None and last <= span.start:
                    return
                continue
            inclusive = inclusive or dates[0] == span.end
            seen = edge if last + 1 == span.end else frozenset()
            edge = seen | {str(item.get("id")) for item in items[dates.index(last) :]}
            del items
            yield Page(fresh)
            span = Window(window.start, last + 1)

    def _by_token(
        self,
        span: Window,
        query: tuple[tuple[str, str], ...],
        fresh: list[dict[str, Any]],
        token: str,
        listed: frozenset[str],
    ) -> Listing:
        """Follow the tokens from a page on; what comes and goes meanwhile cannot be told from them."""
        turned = _Turned()
        turned.check(token, frozenset())
        yield Page(fresh)
        while token:
            items, token, _ = yield from self._page(span, query, token)
            ids = _ids(items)
            turned.check(token, ids)
            fresh = [item for item in items if self._date(item) in span and str(item.get("id")) not in listed]
            listed = ids
            del items
            yield Page(fresh)

    def _instant(self, instant: Window, query: tuple[tuple[str, str], ...]) -> Call[list[dict[str, Any]]]:
        """Read one millisecond by tokens, until two readings agree.

        A meeting can slip through a reading unseen only if another one was seen twice in it, or if one that was seen
        went away, which the next reading shows. So a reading that saw one twice does not count.
        """
        before: dict[str, dict[str, Any]] | None = None
        for _ in range(_MOST_READINGS):
            found: dict[str, dict[str, Any]] = {}
            seen, token, turned = 0, "", _Turned()
            while True:
                items, token, _ = yield from self._page(instant, query, token)
                turned.check(token, _ids(items))
                seen += len(items)
                found |= {str(item.get("id")): item for item in items}
                if not token:
                    break
            if before is not None and before.keys() == found.keys():
                return [item for item in found.values() if self._date(item) in instant]
            before = found if seen == len(found) else None
        raise _distrust(f"HiringCenter's list of {instant} was another one each time it was read.")

    def _page(
        self, span: Window, query: tuple[tuple[str, str], ...], token: str = "", *, inclusive: bool = False
    ) -> Call[tuple[list[dict[str, Any]], str, Response]]:
        """Ask for one page.

        The page does not say whether the bounds are inclusive, so that they are asked for one millisecond wider than
        the span and the rest is left out here.
        """
        params = list(query)
        if span.start is not None:
            params.append(("meetingDateAfter", str(span.start - 1)))
        if span.end is not None:
            params.append(("meetingDateBefore", str(span.end - inclusive)))
        params.append(("limit", str(self.page_size)))
        if token:
            params.append(("pageToken", token))
        request = Request("GET", "/meetings", params=tuple(params), scope="meetings.read")
        response, content = yield from self._ask(request)
        items = content.get("items")
        if not isinstance(items, list) or not set(map(type, items)) <= {dict}:
            raise self.helpdesk.broken(request, response, "there is no list of `items` in it")
        # Older revision of the page: the token stands at the top level.
        pagination = content.get("pagination")
        holder = pagination if isinstance(pagination, dict) and "nextPageToken" in pagination else content
        following = holder.get("nextPageToken")
        return items, "" if following is None else str(following), response

    def _disorder(self, span: Window) -> MeetingsProtocolError:
        return _distrust(
            f"HiringCenter's list of {span} is not ordered by meetingDate, latest first, as its page says: "
            "it cannot be told whether it is complete."
        )

    def _dates(self, items: list[dict[str, Any]]) -> list[int]:
        dates = [item.get("meetingDate") for item in items]
        if set(map(type, dates)) <= {int}:
            return dates  # type: ignore[return-value] # as documented, and looked at once instead of one by one
        return [self._date(item) for item in items]

    def _date(self, item: Mapping[str, Any]) -> int:
        try:
            return to_epoch_ms(item.get("meetingDate"))
        except ValueError as error:
            raise _distrust(
                f"HiringCenter lists a meeting (id {item.get('id')}) whose meetingDate cannot be read: {error}"
            ) from None

    # -- writing

    def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Call[dict[str, Any]]:
        """Create Meeting; repeats inside the call share one key, so that they make one meeting."""
        return (yield from self._create(body, idempotency_key))

    def book(
        self,
        body: Mapping[str, Any],
        key: str,
        known: frozenset[str] | None,  # noqa: ARG002 - for vendors without keys
    ) -> Call[dict[str, Any]]:
        """Make a meeting under a key of the ledger's."""
        return (yield from self._create(body, key))

    def _create(self, body: Mapping[str, Any], key: str | None, *, resent: bool = False) -> Call[dict[str, Any]]:
        budget = Budget(self.patience, unsettled=resent)
        request = Request(
            "POST",
            "/meetings",
            body=encode(body),
            idempotency_key=self._key(key),
            scope="meetings.create",
            creates=True,
        )
        return (yield from self._item(request, budget, again=_in_flight(budget, key)))

    def settle(self, intent: Intent, budget: Budget | None = None) -> Call[dict[str, Any] | None]:
        """Find out whether a create that was not answered happened, and have it happen if it did not.

        The same bytes under the same key: the vendor replays what it did, or does it now. Once the key may have been
        forgotten, which would make a second meeting, it is looked for instead.

        Returns:
            The meeting. None: there is none, and the create did not happen.

        Raises:
            MeetingValidationError, MeetingNotFoundError: It did not happen, and the vendor refuses it now.
            MeetingsError: It cannot be told. Its ``maybe_sent`` is true.
        """
        now = yield Clock()
        longest = self.patience.max_wait + self.patience.timeout * self.patience.max_attempts
        try:
            if now + longest < intent.first_sent + self.idempotency_window:
                return (yield from self._create(intent.body, intent.key, resent=True))
            yield Tell("The vendor may have forgotten the idempotency key by now: looking for the meeting instead.")
            found, response = yield from self.lookalikes(intent.body, budget)
            meeting = intent.choose(found, response, self.created_field)
            remaining = intent.in_flight_until - response.sent_at
            if meeting is not None or remaining <= 0:
                return meeting
            raise MeetingsInDoubtError(
                "HiringCenter did not answer a create. The meeting is not there, but the request may still arrive for "
                f"another {remaining:.0f} s. The next try looks for it before it does anything.",
                retry_after=remaining,
            )
        except (MeetingValidationError, MeetingNotFoundError):
            raise
        except MeetingsError as error:
            error.maybe_sent = True
            raise

    def lookalikes(
        self,
        body: Mapping[str, Any],
        budget: Budget | None = None,  # noqa: ARG002 - a list has budgets of its own
    ) -> Call[tuple[list[dict[str, Any]], Response]]:
        """List the meetings at a body's moment that are equal to it in every field."""
        start = to_epoch_ms(body["meetingDate"])
        query = (("ownerId", str(body["ownerId"])), ("prospectId", str(body["prospectId"])))
        instant = Window(start, start + 1)
        items, token, response = yield from self._page(instant, query)
        if token:
            items = yield from self._instant(instant, query)
        return [item for item in items if self.equal(body, item)], response

    def equal(self, body: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
        """Whether a meeting equals a body, in every field that can be compared."""
        return agrees(body, stored, _LIKENESS)

    def glimpse(self, stored: Mapping[str, Any]) -> str:
        """Return a fingerprint of what can be compared in a meeting."""
        return glimpse(stored, _LIKENESS)

    def moment(self, body: Mapping[str, Any]) -> str:
        """When a meeting takes place."""
        return str(body.get("meetingDate", ""))

    def party(self, body: Mapping[str, Any]) -> str:
        """Whom a meeting is with: what stays when everything else about it is corrected."""
        return str(body.get("prospectId", ""))

    def update(
        self, meeting_id: Any, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Call[dict[str, Any]]:
        """Update Meeting."""
        meeting_id = check_id(meeting_id)
        path = f"/meetings/{meeting_id}"
        item = yield from self._write(self.update_method, path, body, idempotency_key, scope="meetings.edit")
        return self._same(item, meeting_id, Request(self.update_method, path))

    def delete(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> Call[bool]:
        """Delete Meeting; False: it was gone before."""
        path = f"/meetings/{check_id(meeting_id)}"
        budget = Budget(self.patience)
        request = Request("DELETE", path, idempotency_key=self._key(idempotency_key), scope="meetings.delete")
        try:
            yield from self._ask(request, budget, again=_in_flight(budget, idempotency_key))
        except MeetingNotFoundError:
            if budget.unsettled:
                return True  # an earlier send of this call was not answered: it was the one
            if missing_ok:
                return False
            raise
        return True

    def _write(
        self, method: str, path: str, body: Mapping[str, Any], idempotency_key: str | None, *, scope: str
    ) -> Call[dict[str, Any]]:
        budget = Budget(self.patience)
        request = Request(method, path, body=encode(body), idempotency_key=self._key(idempotency_key), scope=scope)
        return (yield from self._item(request, budget, again=_in_flight(budget, idempotency_key)))

    def _key(self, given: str | None) -> str:
        return check_key(given) or str(uuid.uuid4())

    # -- envelopes

    def _item(
        self, request: Request, budget: Budget | None = None, again: Callable[[Response], bool] | None = None
    ) -> Call[dict[str, Any]]:
        response, content = yield from self._ask(request, budget, again=again)
        item = content.get("item")
        if item is None:
            # Older revision of the page: the fields of the item stand beside `success`.
            item = {name: value for name, value in content.items() if name not in {"success", "message"}}
        if not isinstance(item, dict) or item.get("id") in (None, ""):
            raise self.helpdesk.broken(request, response, "there is no meeting with an id in it")
        return item

    def _ask(
        self,
        request: Request,
        budget: Budget | None = None,
        *,
        again: Callable[[Response], bool] | None = None,
    ) -> Call[tuple[Response, dict[str, Any]]]:
        budget = budget or Budget(self.patience)
        response = yield from attempt(request, budget, again=again)
        content = decode(response.body)
        if 200 <= response.status < 300:
            if content is None:
                raise self.helpdesk.broken(request, response, "it is not a JSON object")
            if content.get("success") is True:
                return response, content
            if not (complaint := _complaint(content)):
                raise self.helpdesk.broken(request, response, "`success` is not true in it")
            error = self.helpdesk.error(request, response, complaint, status=400)
        else:
            error = self.helpdesk.error(request, response, _complaint(content))
        if budget.unsettled and isinstance(error, MeetingConflictError):
            # The very same bytes were sent before: they are still being processed, and a later try may fare better.
            raise MeetingsServerError(
                f"{error.message} It is this request's own, sent before and still being processed.",
                **{name: getattr(error, name) for name in ("status", "code", "method", "path")},
            )
        # Refused now, but an earlier send went unanswered; only a refusal of the payload itself, or of what it speaks
        # of, settles that one too.
        if budget.unsettled and not isinstance(error, MeetingValidationError | MeetingNotFoundError):
            error.maybe_sent = True
        raise error

    def _same(self, item: dict[str, Any], meeting_id: str, request: Request) -> dict[str, Any]:
        if str(item["id"]) != meeting_id:
            raise MeetingsProtocolError(
                f"HiringCenter was asked for meeting {meeting_id} and answered with meeting {item['id']}.",
                method=request.method,
                path=request.path,
            )
        return item

    def check(self) -> Call[str]:
        """``GET /auth``: the key's account, permissions and whether it is active.

        Raises:
            MeetingsError: The key is not accepted, or is not active.
        """
        request = Request("GET", "/auth")
        response, content = yield from self._ask(request)
        facts = next(
            (content[name] for name in ("item", "data", "key") if isinstance(content.get(name), dict)), content
        )
        account = facts.get("accountId")
        if account is None:
            raise self.helpdesk.broken(request, response, "there is no accountId in it")
        active = facts.get("active", facts.get("isActive", facts.get("status", True)))
        if active in (False, "inactive", "revoked", "disabled"):
            raise MeetingsAuthError(f"The API key of HiringCenter account {account} is not active.")
        permissions = facts.get("permissions") or "none"
        if isinstance(permissions, Mapping):
            permissions = [name for name, granted in permissions.items() if granted]
        listed = permissions if isinstance(permissions, str) else ", ".join(map(str, permissions))
        return f"HiringCenter account {account}, permissions: {listed}"


_LIKENESS: Likeness = {
    "prospectId": (("prospectId",), same_text),
    "meetingDate": (("meetingDate",), same_moment),
    "timeZone": (("timeZone",), same_text),
    "meetingType": (("meetingType",), same_text),
    "ownerId": (("ownerId",), same_text),
    "location": (("location",), same_text),
    "notes": (("notes",), same_text),
}

#: Readings of one crowded millisecond before giving up.
_MOST_READINGS = 5
#: Empty pages in a row, each with a token, before giving up.
_MOST_EMPTY = 100


class _Turned:
    """The pages that were turned so far, to notice a list that has no end."""

    def __init__(self) -> None:
        self._seen: set[str | int] = set()
        self._empty = 0

    def check(self, token: str, ids: frozenset[str]) -> None:
        """Note a page and the token that came with it.

        Raises:
            MeetingsProtocolError: One of them was there before.
        """
        if not token:
            return
        self._empty = 0 if ids else self._empty + 1
        page = {hash(ids)} if ids else set[int]()
        if self._empty > _MOST_EMPTY or not self._seen.isdisjoint({token} | page):
            raise _distrust("HiringCenter repeats its pages or their tokens: the list has no end.")
        self._seen |= {token} | page


def _ids(items: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(item.get("id")) for item in items)


def _distrust(problem: str) -> MeetingsProtocolError:
    """Make the error for pages that are fine each by itself, and no list together."""
    return MeetingsProtocolError(problem, status=200, method="GET", path="/meetings")


def _complaint(content: Mapping[str, Any] | None) -> Complaint | None:
    """Read "a JSON body that has `error` and usually `message`"."""
    error = content.get("error") if content else None
    if not error:
        return None
    if isinstance(error, Mapping):
        return Complaint(str(error.get("code") or "") or None, str(error.get("message") or error.get("code") or ""))
    assert content is not None  # noqa: S101 - it has an error
    message = content.get("message")
    return Complaint(str(error), f"{error}: {message}" if message else str(error))


def _in_flight(budget: Budget, given: str | None) -> Callable[[Response], bool]:
    """Make the rule for a 409.

    "Same key while the first is still processing: 409" is worth waiting for, "same key, different payload: 409" is not.
    When the same bytes were sent before and not answered, it can only be the first.
    """

    def again(response: Response) -> bool:
        if response.status != 409:
            return False
        if budget.unsettled:
            return True
        complaint = _complaint(decode(response.body))
        words = complaint.message.lower() if complaint else ""
        final = ("different", "mismatch", "another payload", "does not match")
        return given is not None and not any(word in words for word in final)

    return again


def _within(dates: list[int], span: Window, *, inclusive: bool) -> bool:
    """Whether the server kept the bounds that were asked for."""
    return (span.start is None or dates[-1] >= span.start - 1) and (
        span.end is None or dates[0] <= span.end - inclusive
    )


def _fresh(items: list[dict[str, Any]], dates: list[int], span: Window, edge: frozenset[str]) -> list[dict[str, Any]]:
    """Keep what lies in the span and was not listed with the page before."""
    first = -math.inf if span.start is None else span.start
    end = math.inf if span.end is None else span.end
    return [
        item
        for item, date in zip(items, dates, strict=True)
        if first <= date < end and not (date == end - 1 and str(item.get("id")) in edge)
    ]
