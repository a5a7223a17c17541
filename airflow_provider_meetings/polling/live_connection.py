"""The connection that a poller keeps: looked up, renewed when it changes, and the sockets that go with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.core.retry import backoff
from airflow_provider_meetings.observability.airflow_stats import metrics_of
from airflow_provider_meetings.polling.criteria import CONNECTION_GRACE, is_connection_missing, is_permanent
from airflow_provider_meetings.transport.aio import AsyncTransport
from airflow_provider_meetings.transport.limiter import RateLimitedGate
from airflow_provider_meetings.transport.shared_limit import ashared_limit_for
from airflow_provider_meetings.vendors import RateLimits, Vendor

__all__ = ["PARALLEL", "ConnectionInfo", "LiveConnection", "OpenConnection"]

#: A connection that was looked up: its settings, the vendor's rules, and the sockets that it may open.
ConnectionInfo: TypeAlias = tuple[Settings, Vendor, int]

#: Seconds after which the connection is looked up again, in case a user has changed it.
REFRESH = 60.0
#: Seconds for which the look-up of a connection that was never found is repeated.
FIRST_LOOKS = 10.0
#: Lists that are read at once.
PARALLEL = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenConnection:
    """A connection that was looked up, and the transport to its vendor. One that changes is replaced by another.

    Attributes:
        settings: What the connection says.
        vendor: The vendor's rules, with the retry limits of a poll.
        transport: The transport to the vendor.
        gate: What delays its requests, as the rate limit demands.
        rate: The rate budget.
    """

    settings: Settings
    vendor: Vendor
    transport: Any
    gate: RateLimitedGate
    rate: RateLimiter


class LiveConnection:
    """One connection within one event loop.

    Args:
        meetings_conn_id: The connection.
        limiter: Returns the rate budget for the connection's settings and its vendor's limits.
        look_up: Looks the connection up.
        transport: Makes the transport.
        clock: Tells the time in seconds.
        random: Jitter, between 0 and 1.

    Attributes:
        opened: The connection as it was looked up last; None: it was not, yet.
        generation: Goes up with each look-up.
        host_confirmed: Whether the vendor has answered at that address.
    """

    def __init__(
        self,
        meetings_conn_id: str,
        limiter: Callable[[Settings, RateLimits], RateLimiter],
        *,
        look_up: Callable[[str], Awaitable[ConnectionInfo]],
        transport: Callable[..., Any] = AsyncTransport,
        clock: Callable[[], float],
        random: Callable[[], float] = random.random,
    ) -> None:
        self.meetings_conn_id = meetings_conn_id
        self.opened: OpenConnection | None = None
        self.generation = 0
        self.host_confirmed = False
        self._limiter = limiter
        self._look_up = look_up
        self._make_transport = transport
        self._clock = clock
        self._random = random
        self._lost = 0  # look-ups in a row that have failed
        self._missing_since = math.inf
        self._looked_up = -math.inf
        self._retired: list[OpenConnection] = []  # lists may still be read over them
        self._expired = -1  # the generation whose key was refused
        self._held_until = -math.inf  # for a connection that was not looked up yet
        self._renewing = asyncio.Lock()

    @property
    def fresh_for(self) -> float:
        """Seconds until it is to be looked up again; 0 or less: now."""
        return self._looked_up + REFRESH - self._clock()

    def expire(self, seconds: float = 0.0) -> None:
        """Have it looked up again after so many seconds."""
        self._looked_up = self._clock() - REFRESH + seconds

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds, as the vendor has demanded."""
        if seconds <= 0:
            return
        if self.opened is None:
            self._held_until = max(self._held_until, self._clock() + seconds)
        else:
            self.opened.rate.hold(self._clock(), seconds)

    async def renew(self) -> bool:
        """Look the connection up where that is due; return whether it has changed.

        Where the look-up fails temporarily, it is repeated after a moment, and the settings that are known stay in use.

        Raises:
            MeetingsError: There is no such connection, or it cannot be right.
        """
        async with self._renewing:
            if self.fresh_for > 0:
                return False
            try:
                return await self._renew()
            except Exception as error:  # noqa: BLE001 - whatever Airflow's own services may raise
                self._tolerate(error)
                return False

    def _tolerate(self, error: Exception) -> None:
        """Have another look later, after an error that waiting may mend; raise any other."""
        if is_permanent(error):
            self._missing_since = min(self._missing_since, self._clock())
            forgiven = FIRST_LOOKS if self.opened is None else CONNECTION_GRACE
            if not is_connection_missing(error) or self._clock() - self._missing_since >= forgiven:
                raise error
        self._lost += 1
        wait = 1.0 + backoff(self._lost, self._random)
        _log.warning(
            "Connection %r cannot be looked up, trying again in %.0f s: %s", self.meetings_conn_id, wait, error
        )
        self.expire(wait)

    async def _renew(self) -> bool:
        settings, vendor, sockets = await self._look_up(self.meetings_conn_id)
        self._looked_up = self._clock()
        self._lost, self._missing_since = 0, math.inf
        self.generation += 1
        before = self.opened
        if before is not None and before.settings == settings:
            return False
        # A poll has retry limits of its own: it is repeated anyway.
        retry_limits = replace(vendor.retry_limits, max_attempts=min(2, settings.max_attempts), max_wait=5.0)
        rate = self._limiter(settings, vendor.rate_limits)
        gate = RateLimitedGate(rate, self._clock, await ashared_limit_for(settings, _log))
        wide = max(PARALLEL, sockets)
        transport = self._make_transport(settings, _log, sockets=wide, gate=gate, metrics=metrics_of(settings))
        await transport.__aenter__()
        if before is not None:
            before.gate.close()  # requests that wait there need no answer of the old account
            self._retired.append(before)
        self.opened = OpenConnection(settings, replace(vendor, retry_limits=retry_limits), transport, gate, rate)
        self.hold(self._held_until - self._clock())
        self._held_until = -math.inf
        self.host_confirmed = False
        return True

    async def new_key(self, generation: int) -> bool:
        """Look for a new key, or address, after one was refused; False: this is the one that was found then.

        Args:
            generation: That of the connection when the key was used.
        """
        async with self._renewing:
            if generation < self.generation:
                return True
            if self._expired == generation:
                return False
            changed = False
            with contextlib.suppress(Exception):
                changed = await self._renew()
            self._expired = self.generation
            return changed

    def confirm(self) -> None:
        """Take note that the vendor has answered, and accepts the key."""
        self.host_confirmed = True
        self._expired = -1

    async def close_retired(self) -> None:
        """Close the sockets of earlier settings, over which no list is read any more."""
        while self._retired:
            await self._retired.pop().transport.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close all sockets."""
        await self.close_retired()
        if self.opened is not None:
            await self.opened.transport.__aexit__(None, None, None)
