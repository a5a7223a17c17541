"""Thousands of triggers that start in one turn of the event loop."""

import asyncio
import importlib
import sys
import threading

import pytest

from airflow_provider_meetings.triggers import arrivals
from tests.support.polling import run


async def _start(started, number):
    if (turn := arrivals.turn_to_start()) is not None:
        await turn
    started.append(number)


def test_they_begin_in_the_order_in_which_they_came(monkeypatch):
    """Who comes in a turn whose time is used up begins in a later one, and before those who come after him."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started = []

    async def main():
        tasks = [asyncio.create_task(_start(started, number)) for number in range(500)]
        await asyncio.sleep(0)
        in_first_turn = len(started)
        tasks += [asyncio.create_task(_start(started, number)) for number in range(500, 600)]
        await asyncio.gather(*tasks)
        return in_first_turn

    assert run(main()) == 0
    assert list(range(600)) == started


def test_no_turn_begins_more_than_a_few(monkeypatch):
    """Of those who wait, no more begin in one turn of the loop than take a moment."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started, each_turn = [], []

    async def main():
        tasks = [asyncio.create_task(_start(started, number)) for number in range(500)]
        while len(started) < 500:
            before = len(started)
            await asyncio.sleep(0)
            each_turn.append(len(started) - before)
        await asyncio.gather(*tasks)

    run(main())
    assert max(each_turn) <= arrivals.STARTS


def test_one_that_is_cancelled_while_it_waits_holds_up_nobody(monkeypatch):
    """A trigger that is taken away before it has begun."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started = []

    async def main():
        tasks = [asyncio.create_task(_start(started, number)) for number in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    assert [0, 1, 2, 4, 5, 6, 7, 8, 9] == started


def test_few_begin_at_once():
    """One that comes alone does not wait for another turn."""

    async def main():
        return arrivals.turn_to_start()

    assert run(main()) is None


def test_what_all_need_is_loaded_once_and_not_on_the_loop(monkeypatch, tmp_path):
    """A thousand that come while it is being loaded share one thread."""
    (tmp_path / "slow_to_load.py").write_text("import time\ntime.sleep(0.2)\nREADY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    threads, right = [], importlib.import_module

    def import_module(name):
        if name == "slow_to_load":
            threads.append(threading.current_thread())
        return right(name)

    monkeypatch.setattr(importlib, "import_module", import_module)

    async def main():
        await asyncio.gather(*(arrivals.load("slow_to_load", "READY") for _ in range(1000)))
        await arrivals.load("slow_to_load", "READY")

    try:
        asyncio.run(main())
        (loaded_in,) = threads
        assert loaded_in is not threading.current_thread()
    finally:
        sys.modules.pop("slow_to_load", None)


def test_what_cannot_be_loaded_is_an_error_of_all():
    """Each that waits for it is told, and the next one tries again."""

    async def main():
        results = await asyncio.gather(
            *(arrivals.load("there_is_no_such_module", "X") for _ in range(3)), return_exceptions=True
        )
        with pytest.raises(ModuleNotFoundError):
            await arrivals.load("there_is_no_such_module", "X")
        return [type(result) for result in results]

    assert asyncio.run(main()) == [ModuleNotFoundError] * 3
