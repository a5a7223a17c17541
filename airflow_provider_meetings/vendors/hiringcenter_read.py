"""How HiringCenter is read: its lists, its envelopes, its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_meetings.core.flow import Flow, PageFlow, Request, Response
from airflow_provider_meetings.core.retry import RetryLimits, RetryState, send_with_retries
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import (
    MeetingConflictError,
    MeetingNotFoundError,
    MeetingsAuthError,
    MeetingsServerError,
    MeetingValidationError,
)
from airflow_provider_meetings.vendors.fields import check_filters, check_id
from airflow_provider_meetings.vendors.hiringcenter_list import Answer, DateList, Query, inconsistent_list
from airflow_provider_meetings.vendors.responses import ErrorFactory, VendorError, decode, is_gone

__all__ = ["FILTERS", "HiringCenterReader", "parse_error"]

#: The list's filters. Its windows and pages are this module's business.
FILTERS: Mapping[str, str] = {"prospectId": "id", "ownerId": "id", "meetingType": "label"}

#: "limit integer · max: 200"
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class HiringCenterReader:
    """Reads from HiringCenter.

    Attributes:
        errors: Makes the errors.
        retry_limits: How long a call may try.
        page_size: Meetings a page.
        parallel: Requests at once while a list is read.
        slow_from: Seconds that a page must take for that.
    """

    errors: ErrorFactory
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    page_size: int = PAGE_SIZE
    parallel: int = 1
    slow_from: float = 0.02

    def get(self, meeting_id: Any) -> Flow[dict[str, Any]]:
        """Get Meeting by ID."""
        meeting_id = check_id(meeting_id)
        request = Request("GET", f"/meetings/{meeting_id}", scope="meetings.read")
        return (yield from self._item(request, meeting_id=meeting_id))

    def listing(self, window: Window, filters: Any = None) -> PageFlow:
        """List Meetings of a window, latest first; see :class:`.DateList`."""
        query = check_filters("HiringCenter", FILTERS, filters)
        return self.date_list(window, query, RetryState(self.retry_limits)).read()

    def date_list(self, window: Window, query: Query, whole: RetryState) -> DateList:
        """Return what reads a list."""
        return DateList(
            self,
            window,
            query,
            whole=whole,
            page_size=self.page_size,
            parallel=self.parallel,
            slow_from=self.slow_from,
        )

    def page(
        self, span: Window, query: Query, token: str = "", *, inclusive: bool = False, retry_state: RetryState
    ) -> Flow[Answer]:
        """Ask for one page of a list.

        The page does not say whether the bounds are inclusive, so that they are asked for one millisecond wider than
        the span, and the rest is left out by the caller.
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
        response, content = yield from self._ask(request, retry_state)
        items = content.get("items")
        if not isinstance(items, list) or not set(map(type, items)) <= {dict}:
            raise self.errors.malformed(request, response, "there is no list of `items` in it")
        if any(item.get("id") in (None, "") for item in items):
            raise self.errors.malformed(request, response, "an item in it has no id")  # it cannot be told from others
        # Older revision of the page: the token stands at the top level.
        pagination = content.get("pagination")
        holder = pagination if isinstance(pagination, dict) and "nextPageToken" in pagination else content
        following = holder.get("nextPageToken")
        total = pagination.get("totalCount") if isinstance(pagination, dict) else None
        return Answer(
            items,
            self._dates(items),
            "" if following is None else str(following),
            total if type(total) is int else None,
            response,
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
            raise inconsistent_list(
                f"HiringCenter lists a meeting (id {item.get('id')}) whose meetingDate cannot be read: {error}"
            ) from None

    # -- envelopes

    def _item(
        self,
        request: Request,
        retry_state: RetryState | None = None,
        again: Callable[[Response], bool] | None = None,
        *,
        meeting_id: str | None = None,
    ) -> Flow[dict[str, Any]]:
        response, content = yield from self._ask(request, retry_state, again=again)
        item = content.get("item")
        if item is None:
            # Older revision of the page: the fields of the item stand beside `success`.
            item = {name: value for name, value in content.items() if name not in {"success", "message"}}
        if not isinstance(item, dict) or item.get("id") in (None, ""):
            raise self.errors.malformed(request, response, "there is no meeting with an id in it")
        if meeting_id is not None and str(item["id"]) != meeting_id:
            problem = f"it speaks of meeting {item['id']} where {meeting_id} was asked for"
            raise self.errors.malformed(request, response, problem)
        return item

    def _ask(
        self,
        request: Request,
        retry_state: RetryState | None = None,
        *,
        again: Callable[[Response], bool] | None = None,
        bare: bool = False,
    ) -> Flow[tuple[Response, dict[str, Any]]]:
        retry_state = retry_state or RetryState(self.retry_limits)
        response = yield from send_with_retries(request, retry_state, again=again)
        content = {"success": True} if is_gone(request, response) else decode(response.body)
        if 200 <= response.status < 300:
            if content is None:
                raise self.errors.malformed(request, response, "it is not a JSON object")
            if content.get("success") is True or (bare and not {"success", "error"} & set(content)):
                return response, content
            if not (vendor_error := parse_error(content)):
                raise self.errors.malformed(request, response, "`success` is not true in it")
            error = self.errors.error(request, response, vendor_error, status=400)
        else:
            error = self.errors.error(request, response, parse_error(content))
        if retry_state.outcome_unknown and isinstance(error, MeetingConflictError):
            # The very same bytes were sent before: they are still being processed, and a later try may fare better.
            raise MeetingsServerError(
                f"{error.message} It is this request's own, sent before and still being processed.",
                **{name: getattr(error, name) for name in ("status", "code", "method", "path")},
            )
        # Refused now, but an earlier send went unanswered; only a refusal of the payload itself, or of what it speaks
        # of, settles that one too.
        if retry_state.outcome_unknown and not isinstance(error, MeetingValidationError | MeetingNotFoundError):
            error.maybe_sent = True
        raise error

    def check(self) -> Flow[str]:
        """``GET /auth``: the key's account, permissions and whether it is active.

        Raises:
            MeetingsError: The key is not accepted, or is not active.
        """
        request = Request("GET", "/auth")
        # The overview names what is in the answer, not whether it comes in an envelope.
        response, content = yield from self._ask(request, bare=True)
        facts = next(
            (content[name] for name in ("item", "data", "key") if isinstance(content.get(name), dict)), content
        )
        account = facts.get("accountId")
        if account is None:
            raise self.errors.malformed(request, response, "there is no accountId in it")
        active = facts.get("active", facts.get("isActive", facts.get("status", True)))
        if str(active).lower() in {"false", "0", "inactive", "revoked", "disabled", "expired"}:
            raise MeetingsAuthError(f"The API key of HiringCenter account {account} is not active.")
        permissions = ", ".join(_granted(facts.get("permissions"))) or "none"
        return f"HiringCenter account {account}, permissions: {permissions}"


def _granted(permissions: Any) -> list[str]:
    """Name what is granted, be it a list, a text, or truths by name, maybe of each resource."""
    if isinstance(permissions, Mapping):
        return [
            name if granted is True else f"{name}:{part}"
            for name, granted in permissions.items()
            for part in ([""] if granted is True else _granted(granted))
        ]
    if isinstance(permissions, list):
        return [str(permission) for permission in permissions]
    return [str(permissions)] if permissions else []


def parse_error(content: Mapping[str, Any] | None) -> VendorError | None:
    """Read "a JSON body that has `error` and usually `message`"."""
    error = content.get("error") if content else None
    if not error:
        return None
    if isinstance(error, Mapping):
        return VendorError(str(error.get("code") or "") or None, str(error.get("message") or error.get("code") or ""))
    assert content is not None  # noqa: S101 - it has an error
    message = content.get("message")
    return VendorError(str(error), f"{error}: {message}" if message else str(error))
