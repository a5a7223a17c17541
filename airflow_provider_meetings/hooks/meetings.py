"""What the hook of every vendor can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.hooks.connected import ConnectedHook, S, V
from airflow_provider_meetings.observability.airflow_stats import note_lineage
from airflow_provider_meetings.transport.aio import AsyncTransport
from airflow_provider_meetings.transport.limiter import RateLimitedGate, limiter_for
from airflow_provider_meetings.transport.shared_limit import ashared_limit_for
from airflow_provider_meetings.vendors.records import RecordMapping

__all__ = ["MeetingsHook"]

T = TypeVar("T")


class MeetingsHook(ConnectedHook[S, V]):
    """Books, moves, cancels, gets and lists meetings over one connection.

    A meeting is a plain, JSON-ready ``dict`` with the vendor's own field names, as the vendor returned it. A moment,
    wherever one goes in, is an aware ``datetime``, an ISO 8601 string with an offset or ``Z``, or epoch milliseconds as
    ``int`` or digits.

    Every method may raise any :class:`~airflow_provider_meetings.exceptions.MeetingsError`: a
    ``MeetingsConfigurationError`` before anything is sent, the others after an answer or for want of one. Transient
    failures are sent again within the connection's ``max_attempts`` and ``max_wait`` first.

    Args:
        meetings_conn_id: The connection's id.
        connection: The connection itself, where the caller has looked it up already.
    """

    #: Where the vendor's meetings say what the common record has.
    record_mapping: RecordMapping

    # -- reading

    def list_meetings(
        self, window_start: Any = None, window_end: Any = None, *, filters: Mapping[str, Any] | str | None = None
    ) -> Iterator[dict[str, Any]]:
        """List the meetings that begin in ``[window_start, window_end)``, each exactly once.

        The list is complete or an error, also while meetings come and go. A meeting that is *moved* while the list is
        read may be missed or be listed at both its places.

        Args:
            window_start: The first moment; None: no limit (HiringCenter only).
            window_end: The first moment that is too late; None: no limit (HiringCenter only).
            filters: The vendor's own query parameters: ``prospectId``, ``ownerId``, ``meetingType`` or
                ``opportunity-id``, ``employee-id``.

        Returns:
            An iterator that reads the next page when it is needed, in the vendor's order.
        """
        listing = self._vendor.listing(_window(window_start, window_end), self._vendor.check_filters(filters))
        note_lineage(self, "input")
        return self._transport.stream(listing)

    async def alist_meetings(
        self, window_start: Any = None, window_end: Any = None, *, filters: Mapping[str, Any] | str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """List meetings as :meth:`list_meetings` does, without blocking the event loop: the triggerer's way."""
        window = _window(window_start, window_end)
        settings = await self._asettings()
        listing = self._vendor.listing(window, self._vendor.check_filters(filters))
        limiter = limiter_for(settings, self._vendor.rate_limits)  # shared with all calls in this event loop
        async with AsyncTransport(
            settings,
            self.log,
            sockets=settings.max_parallel_requests,
            gate=RateLimitedGate(limiter, asyncio.get_running_loop().time, await ashared_limit_for(settings, self.log)),
            metrics=self.metrics,
            renew=self._arenewed,
        ) as transport:
            async for page in transport.pages(listing):
                for meeting in page.items:
                    yield meeting
                page.items.clear()

    def get_meeting(self, meeting_id: Any) -> dict[str, Any]:
        """Get one meeting.

        Raises:
            MeetingNotFoundError: There is no such meeting.
        """
        meeting = self._transport.drive(self._vendor.get(meeting_id))
        note_lineage(self, "input")
        return meeting

    # -- writing

    def check_meeting(self, meeting: Any) -> dict[str, Any]:
        """Return the body that :meth:`create_meeting` would send; nothing is written.

        Only a name that stands for an id (Builder Prime's ``meetingTypeName``) has to be looked up.

        Raises:
            MeetingsConfigurationError: Something is wrong with the meeting; every problem is named, by field.
        """
        return self._checked(meeting, self._vendor.check_meeting)

    def create_meeting(self, meeting: Mapping[str, Any] | str, *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Make a meeting, once, however often it has to be sent.

        Args:
            meeting: The vendor's fields, as a dict or as JSON text; ``extra_fields`` inside takes fields that the
                vendor's page does not list.
            idempotency_key: HiringCenter: sent as it is, 1 to 512 printable ASCII characters; without one, each call
                makes a key of its own, so that two equal calls are two meetings. Builder Prime has no such keys.

        Returns:
            The meeting as the vendor returned it, its ``id`` included.
        """
        vendor = self._vendor
        call = vendor.create(self.check_meeting(meeting), idempotency_key=idempotency_key)
        return self._written(self._transport.drive(call))

    def update_meeting(
        self, meeting_id: Any, changes: Mapping[str, Any] | str, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Change a meeting.

        Args:
            meeting_id: The meeting.
            changes: The fields to change; None clears a field, what is left out stays.
            idempotency_key: As in :meth:`create_meeting`.

        Returns:
            The meeting as the vendor returned it.
        """
        vendor = self._vendor
        body = self._checked(changes, vendor.check_changes)
        return self._written(self._transport.drive(vendor.update(meeting_id, body, idempotency_key=idempotency_key)))

    def delete_meeting(self, meeting_id: Any, *, idempotency_key: str | None = None, missing_ok: bool = True) -> bool:
        """Delete a meeting.

        Args:
            meeting_id: The meeting.
            idempotency_key: As in :meth:`create_meeting`.
            missing_ok: A meeting that is not there is no error.

        Returns:
            True: it was deleted. False: it was gone before.

        Raises:
            MeetingNotFoundError: It was gone before, and ``missing_ok`` is false.
        """
        call = self._vendor.delete(meeting_id, idempotency_key=idempotency_key, missing_ok=missing_ok)
        return self._written(self._transport.drive(call))

    def resolve_names(self, given: Any) -> Any:
        """Return a meeting, or changes, with ids in place of the names that stand for them; nothing is written.

        Raises:
            MeetingsConfigurationError: A name is not known, or contradicts the id beside it.
        """
        return given

    def _checked(self, given: Any, check: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return the body of a create or an update."""
        return check(self.resolve_names(given))

    def drive(
        self,
        make_call: Callable[[V], Flow[T]],
        save: Callable[[dict[str, Any]], None] | None = None,
        *,
        writes: bool = True,
    ) -> T:
        """Have the vendor's rules carried out over this hook's connection; for the journal.

        Args:
            make_call: Makes the call.
            save: What writes the journal.
            writes: Whether the call changes meetings, for the lineage.
        """
        result = self._transport.drive(make_call(self._vendor), save)
        note_lineage(self, "output" if writes else "input")
        return result

    def _written(self, result: T) -> T:
        note_lineage(self, "output")
        return result

    # -- a meeting as others see it

    def common_record(self, meeting: Mapping[str, Any]) -> dict[str, Any]:
        """Return a meeting as a record with the same columns for every vendor; nothing is sent."""
        return self._vendor.record_mapping.common_record(meeting, self.meetings_conn_id)

    def web_url(self, meeting: Mapping[str, Any]) -> str | None:
        """Return where the vendor's web app shows a meeting; nothing is sent.

        Args:
            meeting: The meeting, or as much of it as the connection's ``web_url_template`` names: its ``id`` at least.

        Returns:
            An ``http(s)`` address; None where the connection has no ``web_url_template``, or the meeting lacks a field.
        """
        template = self._settings.web_url_template
        return None if template is None else template.url(meeting)

    @property
    def cancelled_field(self) -> str | None:
        """Where the vendor's meetings say that they are cancelled; None: it has no cancelled meetings."""
        return self._vendor.cancelled_field


def _window(start: Any, end: Any) -> Window:
    try:
        return Window.parse(start, end)
    except ValueError as error:
        raise MeetingsConfigurationError(f"The window is invalid, nothing was sent: {error}") from None
