"""The connection that a poller keeps: looked up, renewed when it changes, and the sockets that go with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from airflow_provider_meetings.aiotransport import AsyncTransport
from airflow_provider_meetings.pacing import RateBudget
from airflow_provider_meetings.polling import Dialect, dialect_of
from airflow_provider_meetings.settings import Settings
from airflow_provider_meetings.telemetry import metrics_of
from airflow_provider_meetings.triggers.gate import BudgetGate
from airflow_provider_meetings.vendors import Vendor

__all__ = ["PARALLEL", "Line", "Link"]

#: A connection that was looked up: its settings, the vendor's rules, and the sockets that it may open.
Line: TypeAlias = tuple[Settings, Vendor, int]

#: Seconds after which the connection is looked up anew, in case that somebody has changed it.
RENEW = 60.0
#: Lists that are read at once.
PARALLEL = 4

_log = logging.getLogger(__name__)


class Link:
    """One connection within one event loop.

    Args:
        meetings_conn_id: The connection.
        budget: Returns the rate budget for the connection's settings.
        look_up: Looks the connection up.
        transport: Makes the transport.
        clock: Tells the time in seconds.

    Attributes:
        settings: What the connection says; None: it was not looked up yet.
        vendor: The vendor's rules, with a poll's patience.
        dialect: What a plan has to know of the vendor.
        transport: The way to the vendor.
        rate: The rate budget.
        generation: Goes up with each look-up.
        reached: Whether the vendor has answered at that address.
    """

    def __init__(
        self,
        meetings_conn_id: str,
        budget: Callable[[Settings], RateBudget],
        *,
        look_up: Callable[[str], Awaitable[Line]],
        transport: Callable[..., Any] = AsyncTransport,
        clock: Callable[[], float],
    ) -> None:
        self.meetings_conn_id = meetings_conn_id
        self.settings: Settings | None = None
        self.vendor: Any = None
        self.dialect: Dialect | None = None
        self.transport: Any = None
        self.rate = RateBudget()
        self.generation = 0
        self.reached = False
        self._budget = budget
        self._look_up = look_up
        self._make_transport = transport
        self._clock = clock
        self._looked_up = -math.inf
        self._gate: BudgetGate | None = None
        self._retired: list[Any] = []  # somebody may still be reading over them
        self._doubted = -1  # the generation whose key was refused
        self._renewing = asyncio.Lock()

    @property
    def fresh_for(self) -> float:
        """Seconds until it is to be looked up anew; none or less: now."""
        return self._looked_up + RENEW - self._clock()

    def doubt(self, seconds: float = 0.0) -> None:
        """Have it looked up anew after so many seconds."""
        self._looked_up = self._clock() - RENEW + seconds

    async def renew(self) -> bool:
        """Look the connection up where that is due; return whether it has changed.

        Raises:
            MeetingsError: There is no such connection, or it cannot be right.
        """
        async with self._renewing:
            return self.fresh_for <= 0 and await self._renew()

    async def _renew(self) -> bool:
        settings, vendor, sockets = await self._look_up(self.meetings_conn_id)
        self._looked_up = self._clock()
        self.generation += 1
        if settings == self.settings:
            return False
        # A poll has patience of its own: it is repeated anyway.
        patience = replace(vendor.patience, max_attempts=min(2, settings.max_attempts), max_wait=5.0)
        self.rate = self._budget(settings)
        gate = BudgetGate(self.rate, self._clock)
        wide = max(PARALLEL, sockets)
        transport = self._make_transport(settings, _log, sockets=wide, gate=gate, metrics=metrics_of(settings))
        await transport.__aenter__()
        if self._gate is not None:
            self._gate.close()  # who is held back there need not wait for what the old account has to say
            self._retired.append(self.transport)
        self._gate, self.transport = gate, transport
        rules: Any = vendor
        self.settings, self.vendor = settings, replace(rules, patience=patience)
        self.dialect = dialect_of(self.vendor)
        self.reached = False
        return True

    async def new_key(self, generation: int) -> bool:
        """Look for a new key, or address, after one was refused; False: this is the one that was found then.

        Args:
            generation: The link's when the key was used.
        """
        async with self._renewing:
            if generation < self.generation:
                return True
            if self._doubted == generation:
                return False
            changed = False
            with contextlib.suppress(Exception):
                changed = await self._renew()
            self._doubted = self.generation
            return changed

    def trust(self) -> None:
        """Take note that the vendor has answered, and accepts the key."""
        self.reached = True
        self._doubted = -1

    async def close_retired(self) -> None:
        """Close the sockets of earlier settings: nobody is reading over them any more."""
        while self._retired:
            await self._retired.pop().__aexit__(None, None, None)

    async def close(self) -> None:
        """Close all sockets."""
        await self.close_retired()
        if self.transport is not None:
            await self.transport.__aexit__(None, None, None)
