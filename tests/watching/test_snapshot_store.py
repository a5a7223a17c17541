"""The snapshot in the state store, and two triggerers that both think it is theirs."""

import asyncio

import pytest

from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.watching.changes import Change, KnownMeeting, Snapshot
from airflow_provider_meetings.watching.snapshot_store import ConcurrentWriterError, SnapshotStore
from tests.support.polling import in_virtual_time
from tests.support.store import StateStore


def change(text):
    """A change of the one meeting, as one of two sees it."""
    return Change("m1", KnownMeeting(2, {"notes": text}), {"event_id": text, "kind": "changed"})


async def two_of(store):
    """Two that know the same snapshot."""
    first = SnapshotStore([store], "watch")
    await first.begin(Snapshot(Window(0, 10), 5, 5, entries={"m1": KnownMeeting(1, {"notes": "old"})}))
    second = SnapshotStore([store], "watch")
    await second.load()
    return first, second


@pytest.mark.parametrize("ahead", range(4))
@in_virtual_time
async def test_of_two_that_store_a_change_at_once_one_fires_it(ahead):
    """Both look before either writes, and both come to the same number: one alone may fire, the other begins anew."""
    store = StateStore()
    first, second = await two_of(store)

    async def late():
        for _ in range(ahead):
            await asyncio.sleep(0)
        await second.stage([change("second")])

    outcomes = await asyncio.gather(first.stage([change("first")]), late(), return_exceptions=True)
    again = SnapshotStore([store], "watch")
    await again.load()
    pending = [event["event_id"] for event in again.pending]

    assert [ConcurrentWriterError] == [type(one) for one in outcomes if one is not None]
    assert pending == [name for name, one in zip(("first", "second"), outcomes, strict=True) if one is None]


@in_virtual_time
async def test_who_was_overtaken_settles_nothing():
    """A head of the same number that somebody else has written is not taken for one's own."""
    store = StateStore()
    first, second = await two_of(store)
    await first.stage([change("first")])
    await store.aset("watch", store.manifest | {"by": second._name})
    with pytest.raises(ConcurrentWriterError):
        await first.commit()


@in_virtual_time
async def test_a_snapshot_without_a_writer_is_read():
    """What an earlier version has stored, which did not say who wrote it, is gone on with."""
    store = StateStore()
    first, _ = await two_of(store)
    head = store.manifest
    del head["by"]
    await store.aset("watch", head)
    await first.load()
    await first.stage([change("first")])
    await first.commit()

    assert first.snapshot.entries["m1"].fields == {"notes": "first"}
