"""Many triggers that start at once: what they need is loaded once, and they begin a few at a time.

An event loop serves all triggers of a triggerer. Whatever takes long in one turn of it, holds up all others: so imports
are done in a thread, and of thousands that start in the same turn, some begin and the others in the turns after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import sys
from collections import deque
from weakref import WeakKeyDictionary

__all__ = ["load", "turn_to_start"]

#: Seconds of one turn of the loop in which triggers begin at once; one that comes later in that turn waits for another.
SLICE = 0.005
#: So many waiting triggers begin in a turn; as many that come while a module is being loaded count as a burst, too.
STARTS = 50
#: Seconds after a burst after which Python's full collections are as they were.
QUIET = 10.0
# What Airflow imports for its first look-up of a connection.
_LOOK_UP = (
    "airflow.sdk.definitions.connection",
    "airflow.sdk.execution_time.cache",
    "airflow.sdk.execution_time.supervisor",
)


class _StartQueue:
    """Queues the triggers of one event loop that start at once.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._until: float | None = None  # the end of this turn's slice; None: none has begun in it
        self.loading: dict[str, asyncio.Future[object]] = {}
        self.loaders = 0  # that wait for the module that is being loaded
        self._frozen = False
        self._burst_until = 0.0

    def turn(self) -> asyncio.Future[None] | None:
        """Return what to wait for; None: begin now."""
        now = self._loop.time()
        if self._until is None:
            self._until = now + SLICE
            self._loop.call_soon(self._next_turn)
        if not self._waiting and now < self._until:
            return None
        self.spare_full_collections()
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(waiter)
        return waiter

    def spare_full_collections(self) -> None:
        """Take what is there already out of Python's full collections, until the burst of starts is over.

        Airflow and its libraries are some two hundred thousand objects, which stay. Going through them takes the
        collector more than 100 ms, in which the loop stands still, and thousands of waiters that start make it do so.
        The process is shared with other code: afterwards all is as it was, and where that code has frozen objects
        itself, nothing is done.
        """
        now = self._loop.time()
        has_begun = now < self._burst_until
        self._burst_until = now + QUIET
        # Counting what is frozen takes milliseconds: once a burst, not once a waiter.
        if not has_begun and not self._frozen and not gc.get_freeze_count():
            self._frozen = True
            gc.freeze()
            self._loop.call_later(QUIET, self._thaw)

    def _thaw(self) -> None:
        left = self._burst_until - self._loop.time()
        if left > 0:
            self._loop.call_later(left, self._thaw)
        else:
            self._frozen = False
            gc.unfreeze()

    def _next_turn(self) -> None:
        self._until = None
        for _ in range(min(STARTS, len(self._waiting))):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            self._until = self._loop.time()  # new ones are behind those that wait
            self._loop.call_soon(self._next_turn)


_start_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _StartQueue] = WeakKeyDictionary()


def _start_queue() -> _StartQueue:
    loop = asyncio.get_running_loop()
    queue = _start_queues.get(loop)
    if queue is None:
        queue = _start_queues[loop] = _StartQueue(loop)
    return queue


def turn_to_start() -> asyncio.Future[None] | None:
    """Return what a trigger waits for before it begins; None: it is its turn already."""
    return _start_queue().turn()


async def load(module: str, attribute: str) -> None:
    """Have a module loaded that takes a while to load: not where a DAG file is parsed, and not on the event loop.

    Args:
        module: Its name.
        attribute: Something that it has once it is loaded whole: who imports one that another thread has loaded by
            half waits for that thread, and the event loop with it.
    """
    if hasattr(sys.modules.get(module), attribute):
        return
    queue = _start_queue()
    loading = queue.loading
    if module not in loading:  # one thread for all that come until it is loaded
        loading[module] = asyncio.ensure_future(asyncio.to_thread(_import, module))
        queue.loaders = 0
    queue.loaders += 1
    if queue.loaders == STARTS:
        queue.spare_full_collections()
    try:
        await asyncio.shield(loading[module])
    finally:
        loading.pop(module, None)


def _import(module: str) -> None:
    for name in _LOOK_UP:
        with contextlib.suppress(ImportError):  # before Airflow 3.3
            importlib.import_module(name)
    importlib.import_module(module)
