"""What the hook of every vendor can do."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.core.lazy import lazy
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError
from airflow_provider_meetings.observability.airflow_stats import metrics_of, note_lineage
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.aio import AsyncTransport
from airflow_provider_meetings.transport.limiter import RateLimitedGate, limiter_for
from airflow_provider_meetings.transport.proxies import proxy_for
from airflow_provider_meetings.transport.shared_limit import ashared_limit_for
from airflow_provider_meetings.transport.sync import Transport
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.vendors.responses import ErrorFactory, Secrets
from airflow_provider_meetings.version_compat import aget_connection, mask_secret, with_secrets

if TYPE_CHECKING:
    import requests

__all__ = ["MeetingsHook"]

S = TypeVar("S", bound=Settings)
T = TypeVar("T")
V = TypeVar("V", bound=Vendor)


class MeetingsHook(BaseHook, Generic[S, V]):
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

    conn_type: str
    hook_name: str
    conn_name_attr = "meetings_conn_id"
    default_conn_name = "meetings_default"
    #: What a connection of its type says.
    settings_type: type[S]
    #: Where the vendor's meetings say what the common record has.
    record_mapping: RecordMapping

    def __init__(self, meetings_conn_id: str | None = None, *, connection: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id or self.default_conn_name
        self._given = connection

    # -- what a vendor's hook adds

    @abstractmethod
    def _vendor_of(self, settings: S, errors: ErrorFactory) -> V:
        """Make the vendor's rules for a connection.

        Args:
            settings: What the connection says.
            errors: Makes the errors of the vendor.
        """

    @abstractmethod
    def _check(self, vendor: V) -> Flow[str]:
        """Make the call that tries the connection; its result is a text for the person who pressed the button.

        Args:
            vendor: The vendor's rules, which send each request once.
        """

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

    # -- the connection

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
    def vendor(self) -> V:
        """The vendor's rules for this connection: pure, nothing is sent."""
        return self._vendor

    @property
    def cancelled_field(self) -> str | None:
        """Where the vendor's meetings say that they are cancelled; None: it has no cancelled meetings."""
        return self._vendor.cancelled_field

    @property
    def max_parallel_requests(self) -> int:
        """How many requests may be under way at once."""
        return self._settings.max_parallel_requests

    @property
    def max_wait(self) -> float:
        """Seconds that a worker may sleep for the vendor within one call, by the connection."""
        return self._settings.max_wait

    @lazy
    def metrics(self) -> Metrics:
        """Where the numbers of this connection go: Airflow's ``Stats``."""
        return metrics_of(self._settings)

    @property
    def clock_offset(self) -> float:
        """How far the vendor's clock is ahead of ours, in seconds, by its last answer."""
        return self._transport.clock_offset

    def get_conn(self) -> requests.Session:
        """Return the authenticated, pooled session that every call of this hook uses."""
        return self._transport.session

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection with the cheapest read there is, once; for the button in the connection's form."""
        try:
            once = replace(self._vendor, retry_limits=replace(self._vendor.retry_limits, max_attempts=1))
            return True, self._transport.drive(self._check(once))
        except MeetingsError as error:
            return False, self._as_this_connection(str(error))

    def _as_this_connection(self, text: str) -> str:
        """Speak of this connection, not of the id under which Airflow tries it: the form's button makes one up."""
        name = repr(self.meetings_conn_id)
        text = text.removesuffix(f" Connection {name}.").replace(f"Connection {name}", "This connection")
        return text.replace(f"of connection {name}", "of this connection")

    async def aconnection_info(self) -> tuple[S, V, int]:
        """Look the connection up without blocking the event loop; for polls that many triggers share.

        Returns:
            Its settings, the vendor's rules for it, and how many sockets it may keep open.
        """
        settings = await self._asettings()
        return settings, self._vendor, settings.max_parallel_requests

    @lazy
    def _settings(self) -> S:
        try:
            conn = self._given or self.get_connection(self.meetings_conn_id)
        except AirflowNotFoundException as error:
            raise unknown_connection(self.meetings_conn_id) from error
        return self._read(conn)

    async def _asettings(self) -> S:
        if "_settings" in self.__dict__:
            return self._settings
        try:
            conn = self._given or await aget_connection(self.meetings_conn_id)
        except AirflowNotFoundException as error:
            raise unknown_connection(self.meetings_conn_id) from error
        self.__dict__["_settings"] = await with_secrets(self._read, conn)
        return self._settings

    def _renewed(self) -> S | None:
        """Look the connection up once more, after its key was refused; None: it cannot be read."""
        try:
            return self._renew(self._read(self.get_connection(self.meetings_conn_id)))
        except Exception as error:  # noqa: BLE001 - the refusal is the error then, whatever Airflow's services raise
            self._not_renewed(error)
            return None

    async def _arenewed(self) -> S | None:
        """Do the same without blocking the event loop."""
        try:
            return self._renew(await with_secrets(self._read, await aget_connection(self.meetings_conn_id)))
        except Exception as error:  # noqa: BLE001 - likewise
            self._not_renewed(error)
            return None

    def _renew(self, settings: S) -> S:
        if settings != self._settings:
            self._secrets.add(*settings.secrets)  # a running call does not log them, either
        return settings

    def _not_renewed(self, error: Exception) -> None:
        self.log.info(
            "The key of connection %r was refused, and it cannot be looked up again (%s).",
            self.meetings_conn_id,
            type(error).__name__,
        )

    def _read(self, conn: Any) -> S:
        if conn.conn_type and conn.conn_type != self.conn_type:
            # Its key is for another service, and would be sent to the host that it names.
            raise MeetingsConfigurationError(
                f"Connection {self.meetings_conn_id!r} is of type {conn.conn_type!r}; {type(self).__name__} takes one "
                f"of type {self.conn_type!r}. Nothing was sent."
            )
        settings = self.settings_type.from_connection(conn)
        proxy_for(settings.base_url, settings.proxies, self.meetings_conn_id)  # the environment's may be wrong, too
        for secret in settings.secrets:
            mask_secret(secret)
        return settings

    @lazy
    def _secrets(self) -> Secrets:
        return Secrets(*self._settings.secrets)

    @lazy
    def _vendor(self) -> V:
        settings = self._settings
        return self._vendor_of(
            settings, ErrorFactory(self.hook_name, settings.conn_id, settings.base_url, self._secrets)
        )

    @lazy
    def _transport(self) -> Transport:
        return Transport(
            self._settings,
            self.log,
            sockets=self._settings.max_parallel_requests,
            metrics=self.metrics,
            renew=self._renewed,
        )


def _window(start: Any, end: Any) -> Window:
    try:
        return Window.parse(start, end)
    except ValueError as error:
        raise MeetingsConfigurationError(f"The window is invalid, nothing was sent: {error}") from None


def unknown_connection(meetings_conn_id: str) -> MeetingsConfigurationError:
    """Make the error for a connection that is not there."""
    return MeetingsConfigurationError(
        f"There is no connection {meetings_conn_id!r}: add it, or name another one in meetings_conn_id."
    )
