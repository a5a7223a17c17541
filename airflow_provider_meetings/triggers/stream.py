"""A watch as the source of a stream in Airflow's ack mode (3.3), which says when the events of a step are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

if TYPE_CHECKING:
    from airflow_provider_meetings.watching.watcher import Watcher

__all__ = ["WatchStream"]


class WatchStream(SharedStreamProducer):
    """Hands out a step at a time, and the next one when all events of the last one are in Airflow's database.

    Args:
        watch: Makes what the steps come from.
        fired: Tells the number of the last step all of whose events have been fired by the one who listens.
    """

    def __init__(self, watch: Callable[[], Awaitable[Watcher]], fired: Callable[[], int]) -> None:
        self._watch = watch
        self._fired = fired
        self._safe = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield the steps: their number and events, and their number."""
        number = self._fired()
        watch = await self._watch()
        async with aclosing(watch.batches()) as batches:
            async for events in batches:
                number += 1
                self._safe.clear()
                yield (number, events), number
                await self._safe.wait()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Take note of what is stored.

        Raises:
            RuntimeError: It was not. The stream ends, Airflow starts the trigger again, and the events are fired again.
        """
        for number, outcome in batch:
            if not outcome.is_clean:
                raise RuntimeError("Airflow has not stored the events of meetings; they will be fired again.")
            # A trigger that is cancelled just when an event was on its way out counts as having taken it.
            if self._fired() >= number:
                self._safe.set()
