"""Thousands of triggers that start in one turn of the event loop."""

import asyncio
import gc
import importlib
import sys
import threading

import pytest

from airflow_provider_meetings.triggers import arrivals
from tests.support.polling import in_virtual_time


async def _start(started, number):
    if (turn := arrivals.turn_to_start()) is not None:
        await turn
    started.append(number)


@in_virtual_time
async def test_they_begin_in_the_order_in_which_they_came(monkeypatch):
    """Who comes in a turn whose time is used up begins in a later one, and before those who come after him."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started = []
    tasks = [asyncio.create_task(_start(started, number)) for number in range(500)]
    await asyncio.sleep(0)
    in_first_turn = len(started)
    tasks += [asyncio.create_task(_start(started, number)) for number in range(500, 600)]
    await asyncio.gather(*tasks)

    assert in_first_turn == 0
    assert list(range(600)) == started


@in_virtual_time
async def test_no_turn_begins_more_than_a_few(monkeypatch):
    """Of those who wait, no more begin in one turn of the loop than take a moment."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started, each_turn = [], []
    tasks = [asyncio.create_task(_start(started, number)) for number in range(500)]
    while len(started) < 500:
        before = len(started)
        await asyncio.sleep(0)
        each_turn.append(len(started) - before)
    await asyncio.gather(*tasks)

    assert max(each_turn) <= arrivals.STARTS


@in_virtual_time
async def test_one_that_is_cancelled_while_it_waits_holds_up_nobody(monkeypatch):
    """A trigger that is taken away before it has begun."""
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    started = []
    tasks = [asyncio.create_task(_start(started, number)) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert [0, 1, 2, 4, 5, 6, 7, 8, 9] == started


@in_virtual_time
async def test_few_begin_at_once():
    """One that comes alone does not wait for another turn."""
    assert arrivals.turn_to_start() is None


async def test_what_all_need_is_loaded_once_and_not_on_the_loop(monkeypatch, tmp_path):
    """A thousand that come while it is being loaded share one thread."""
    (tmp_path / "slow_to_load.py").write_text("import time\ntime.sleep(0.2)\nREADY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    threads, right = [], importlib.import_module

    def import_module(name):
        if name == "slow_to_load":
            threads.append(threading.current_thread())
        return right(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    try:
        await asyncio.gather(*(arrivals.load("slow_to_load", "READY") for _ in range(1000)))
        await arrivals.load("slow_to_load", "READY")
        (loaded_in,) = threads
        assert loaded_in is not threading.current_thread()
    finally:
        sys.modules.pop("slow_to_load", None)


async def test_what_cannot_be_loaded_is_an_error_of_all():
    """Each that waits for it is told, and the next one tries again."""
    loads = [arrivals.load("there_is_no_such_module", "X") for _ in range(3)]
    results = await asyncio.gather(*loads, return_exceptions=True)
    with pytest.raises(ModuleNotFoundError):
        await arrivals.load("there_is_no_such_module", "X")
    assert [type(result) for result in results] == [ModuleNotFoundError] * 3


async def _seen_frozen(count, start):
    """Start so many; return whether objects were frozen meanwhile, and whether they still are a moment later."""
    before = gc.get_freeze_count()
    tasks = [asyncio.create_task(start(number)) for number in range(count)]
    await asyncio.sleep(0)
    meanwhile = gc.get_freeze_count()
    await asyncio.gather(*tasks)
    await asyncio.sleep(0.2)
    return meanwhile > before, gc.get_freeze_count() > before


@pytest.fixture
def unfrozen():
    """Nobody has frozen anything."""
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
@pytest.mark.parametrize(("count", "frozen"), [(1, False), (500, True)])
async def test_a_burst_spares_full_collections_for_a_while(monkeypatch, count, frozen):
    """Objects are frozen while many begin, and no longer: a triggerer is shared with others."""
    monkeypatch.setattr(arrivals, "QUIET", 0.05)
    monkeypatch.setattr(arrivals, "SLICE", 0.0 if count > 1 else 60.0)
    assert await _seen_frozen(count, lambda number: _start([], number)) == (frozen, False)


@pytest.mark.usefixtures("unfrozen")
async def test_a_burst_that_waits_for_a_module_spares_them_too(monkeypatch, tmp_path):
    """What is loaded makes many objects, too."""
    monkeypatch.setattr(arrivals, "QUIET", 0.05)
    (tmp_path / "slow_to_load_too.py").write_text("import time\ntime.sleep(0.1)\nREADY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert await _seen_frozen(100, lambda _: arrivals.load("slow_to_load_too", "READY")) == (True, False)
    finally:
        sys.modules.pop("slow_to_load_too", None)


@pytest.mark.usefixtures("unfrozen")
async def test_what_somebody_else_has_frozen_stays_frozen(monkeypatch):
    """A process that has frozen objects itself decides about them itself."""
    monkeypatch.setattr(arrivals, "QUIET", 0.05)
    monkeypatch.setattr(arrivals, "SLICE", 0.0)
    gc.freeze()
    count = gc.get_freeze_count()
    await asyncio.gather(*(_start([], number) for number in range(50)))
    await asyncio.sleep(0.2)
    assert gc.get_freeze_count() >= count - 1000  # some of them have been given back meanwhile
