"""One poller for all waiters of a connection in one triggerer.

It exists from the first waiter that joins until the last one has left.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from airflow_provider_meetings.hooks.resolve import ahook_for
from airflow_provider_meetings.polling.live_connection import ConnectionInfo
from airflow_provider_meetings.polling.poller import Poller
from airflow_provider_meetings.transport.limiter import limiter_for

__all__ = ["poller_for"]


@dataclass(slots=True)
class _LoopState:
    """What one event loop has."""

    pollers: dict[str, Poller] = field(default_factory=dict)


_loop_states: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopState] = WeakKeyDictionary()


async def _look_up(conn_id: str) -> ConnectionInfo:
    hook = await ahook_for(conn_id)
    info: ConnectionInfo = await hook.aconnection_info()
    return info


class _Membership:
    """Joins the poller of a connection in this event loop; the last one to leave ends the polling.

    Plain methods instead of a generator: thousands join at once.
    """

    __slots__ = ("_conn_id", "_poller", "_state")

    def __init__(self, meetings_conn_id: str) -> None:
        self._conn_id = meetings_conn_id

    async def __aenter__(self) -> Poller:
        loop = asyncio.get_running_loop()
        state = _loop_states.get(loop)
        if state is None:
            state = _loop_states[loop] = _LoopState()
        poller = state.pollers.get(self._conn_id)
        if poller is None or poller.ended:
            poller = state.pollers[self._conn_id] = Poller(self._conn_id, limiter_for, look_up=_look_up)
        poller.members += 1
        self._state, self._poller = state, poller
        return poller

    async def __aexit__(self, *_: object) -> None:
        poller = self._poller
        poller.members -= 1
        if not poller.members:
            if self._state.pollers.get(self._conn_id) is poller:
                del self._state.pollers[self._conn_id]
            await poller.close()


def poller_for(meetings_conn_id: str) -> AbstractAsyncContextManager[Poller]:
    """Return what joins the poller of a connection for as long as it is entered."""
    return _Membership(meetings_conn_id)
