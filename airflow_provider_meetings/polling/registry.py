"""One poller for all who wait on a connection in one triggerer: who shares which.

It is there from the first who joins until the last has left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.ratelimit import RateLimiter
from airflow_provider_meetings.hooks.resolve import ahook_for
from airflow_provider_meetings.polling.live_connection import ConnectionInfo
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.vendors import Vendor

__all__ = ["poller_for"]


@dataclass(slots=True)
class _LoopState:
    """What one event loop has."""

    pollers: dict[str, Poller] = field(default_factory=dict)
    limiters: dict[tuple[Hashable, ...], RateLimiter] = field(default_factory=dict)

    def limiter(self, settings: Settings, vendor: Vendor) -> RateLimiter:
        """Return the budget of a connection's account: the vendors count by API key.

        It stays when the poller goes: the vendor does not forget either.
        """
        account = (settings.base_url, hash(settings.secrets), vendor.rate_limits)
        return self.limiters.setdefault(account, RateLimiter(vendor.rate_limits))


_loop_states: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopState] = WeakKeyDictionary()


async def _look_up(conn_id: str) -> ConnectionInfo:
    hook = await ahook_for(conn_id)
    info: ConnectionInfo = await hook.aconnection_info()
    return info


@contextlib.asynccontextmanager
async def poller_for(meetings_conn_id: str) -> AsyncIterator[Poller]:
    """Join those who wait on a connection in this event loop; the last to leave ends the polling."""
    state = _loop_states.setdefault(asyncio.get_running_loop(), _LoopState())
    poller = state.pollers.get(meetings_conn_id)
    if poller is None or poller.ended:
        poller = state.pollers[meetings_conn_id] = Poller(meetings_conn_id, state.limiter, look_up=_look_up)
    poller.members += 1
    try:
        yield poller
    finally:
        poller.members -= 1
        if not poller.members:
            if state.pollers.get(meetings_conn_id) is poller:
                del state.pollers[meetings_conn_id]
            await poller.close()
