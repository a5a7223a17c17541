"""A hook's connection: looked up once, read, looked up again when its key is refused, and what speaks over it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.core.lazy import lazy
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError
from airflow_provider_meetings.observability.airflow_stats import metrics_of
from airflow_provider_meetings.observability.metrics import Metrics
from airflow_provider_meetings.transport.proxies import proxy_for
from airflow_provider_meetings.transport.sync import Transport
from airflow_provider_meetings.vendors import Vendor
from airflow_provider_meetings.vendors.responses import ErrorFactory, Secrets
from airflow_provider_meetings.version_compat import aget_connection, mask_secret, with_secrets

if TYPE_CHECKING:
    import requests

__all__ = ["ConnectedHook", "unknown_connection"]

S = TypeVar("S", bound=Settings)
V = TypeVar("V", bound=Vendor)


class ConnectedHook(BaseHook, Generic[S, V]):
    """Has the settings of one connection, the vendor's rules for it, and a transport.

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

    def __init__(self, meetings_conn_id: str | None = None, *, connection: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.meetings_conn_id = meetings_conn_id or self.default_conn_name
        self._given = connection

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made at its first use, sockets and locks: a copy, or another process, makes its own."""
        made = {name for kind in type(self).__mro__ for name, value in vars(kind).items() if isinstance(value, lazy)}
        return {name: value for name, value in self.__dict__.items() if name not in made}

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

    # -- what it has

    @property
    def vendor(self) -> V:
        """The vendor's rules for this connection: pure, nothing is sent."""
        return self._vendor

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

    # -- its settings

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


def unknown_connection(meetings_conn_id: str) -> MeetingsConfigurationError:
    """Make the error for a connection that is not there."""
    return MeetingsConfigurationError(
        f"There is no connection {meetings_conn_id!r}: add it, or name another one in meetings_conn_id."
    )
