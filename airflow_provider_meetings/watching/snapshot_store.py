"""Where a watch keeps what it knows: a snapshot that survives the triggerer, in Airflow's asset state store.

Written ahead: changes are stored together with their events before the first of them is fired, and the snapshot takes
them in when Airflow has stored every event. A triggerer that finds changes whose events are not stored yet fires the
very same events again, before it looks at anything new. So no kill loses an event, wherever it hits, and no change has
two different events.

One value holds the state, and is the only one that must be written whole: the *manifest*. The meetings are in *shards*
beside it, by their ids, compressed, each small enough for the store's limit (``[state_store]
max_value_storage_bytes``, 64 kB by default). A store has no compare-and-set. A manifest that another triggerer has
written in between is noticed before each write, and once more before the first event of stored changes is fired: of two
triggerers that run the same trigger, one reloads. A manifest names its writer: two may come to the same sequence.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from airflow_provider_meetings.assets import RECEIPTS
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.watching.changes import Change, KnownMeeting, Snapshot

__all__ = ["ConcurrentWriterError", "SnapshotStore", "StateStore"]

#: Characters of a value in the store; its default limit is 65,535.
MAX_VALUE_CHARS = 48_000
_FORMAT = 2


class StateStore(Protocol):
    """Keys and JSON values that survive: the state store of one asset."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default."""

    async def aset(self, key: str, value: Any) -> None:
        """Store a value; it is durable when this returns."""

    async def adelete(self, key: str) -> None:
        """Forget a value."""


class ConcurrentWriterError(Exception):
    """Another triggerer writes the same snapshot: it runs the trigger, or did so for a moment."""


class SnapshotStore:
    """A snapshot, and the changes to it whose events are being fired.

    Args:
        stores: Where it is kept, in each of them whole. None at all: in memory.
        key: The name under which it is kept.

    Attributes:
        snapshot: What is known, the changes whose events are being fired included; None: nothing yet.
        pending: The events that are being fired.
        last: The last event that was fired, as long as it may have to be fired again.
        crowded: Whether others were fired about the same time as that one.
    """

    def __init__(self, stores: Sequence[StateStore] = (), key: str = "") -> None:
        self.snapshot: Snapshot | None = None
        self.pending: list[dict[str, Any]] = []
        self.last: dict[str, Any] | None = None
        self.crowded = True
        self._stores = stores
        self._key = key
        self._seq = 0
        self._name = uuid.uuid4().hex  # of this process's manifests
        self._writer = ""  # of the manifest that is known
        self._generation = 0
        self._shards = 1
        self._dirty: set[int] = set()
        self._checkpoint_at = 0
        self._uneven = False  # the stores do not hold the same

    # -- reading

    async def load(self) -> None:
        """Read what was known last; what is kept in memory only is there already."""
        if not self._stores:
            return
        self.snapshot, self.pending, self._dirty = None, [], set()
        manifests = [await self._manifest(store) for store in self._stores]
        if not any(manifests):
            # A store that cannot be reached for a moment looks like an empty one, until something is written to it.
            for store in self._stores:
                await store.aset(f"{self._key}/probe", 1)
            manifests = [await self._manifest(store) for store in self._stores]
        manifest = max(manifests, key=lambda manifest: int(manifest.get("seq", 0)))
        self._seq, self._writer = _state(manifest)
        if not manifest:
            return
        self._generation, self._shards, self._checkpoint_at = (
            manifest["generation"],
            manifest["shards"],
            manifest["taken_at"],
        )
        store = self._stores[manifests.index(manifest)]
        entries: dict[str, KnownMeeting] = {}
        for number in range(self._shards):
            shard = await asyncio.to_thread(_unpack, await store.aget(self._shard(number)))
            entries |= {key: KnownMeeting(*entry) for key, entry in shard.items()}
        self.last, self.crowded = manifest.get("last"), manifest.get("crowded", True)
        window = Window(*manifest["window"])
        self.snapshot = Snapshot(
            window,
            manifest["taken_at"],
            manifest["epoch"],
            manifest["floor"],
            manifest["settled"],
            manifest.get("clock_offset", 0),
            entries,
        )
        if manifest["pending"]:
            stored = await asyncio.to_thread(_unpack, manifest["pending"])
            self._take_in(
                [Change(key, entry and KnownMeeting(*entry), event) for key, entry, event in stored["changes"]]
            )
            self.snapshot.floor = stored["floor"]
        # An asset was added since, or not every store has got the last write.
        self._uneven = any(other != manifest for other in manifests)
        if self._uneven and not self.pending:
            await self._rebuild()

    async def _manifest(self, store: StateStore) -> dict[str, Any]:
        manifest = await store.aget(self._key)
        return manifest if isinstance(manifest, dict) and manifest.get("format") == _FORMAT else {}

    def _shard(self, number: int) -> str:
        return f"{self._key}/{self._generation}/{number}"

    # -- writing

    async def begin(self, snapshot: Snapshot) -> None:
        """Store the first snapshot."""
        self.snapshot, self.pending = snapshot, []
        await self._rebuild()

    async def stage(self, changes: Sequence[Change]) -> None:
        """Store changes together with their events; when this returns, they will be fired, whatever happens."""
        assert self.snapshot is not None  # noqa: S101 - loaded or begun before
        left = [self.snapshot.entries[change.key].rev for change in changes if change.entry is None]
        staged = {
            "floor": max([self.snapshot.floor, *left]),
            "changes": [[change.key, _plain(change.entry), change.event] for change in changes],
        }
        if self._stores:
            await self._write_manifest(await asyncio.to_thread(_pack, staged))
            await self._check()  # another one may have looked, and written, in the same moment
        self._take_in(changes)

    def _take_in(self, changes: Collection[Change]) -> None:
        assert self.snapshot is not None  # noqa: S101 - loaded or begun before
        self.snapshot.apply(changes)
        self.pending = [change.event for change in changes]
        self._dirty |= {_place(change.key, self._shards) for change in changes}

    async def commit(self) -> None:
        """Take the changes into the snapshot: Airflow has stored all their events."""
        await self._check()
        if self._uneven or not await self._write_shards(self._dirty):
            await self._rebuild()
        else:
            self._dirty = set()
            await self._write_manifest()
        self.pending = []

    async def checkpoint(self) -> None:
        """Store when the last look was, and at what."""
        await self._write_manifest()

    async def received(self, *, since: float) -> dict[str, list[str]]:
        """Return the ids of the events that each DAG has received last; those of a DAG that is long silent left out.

        Args:
            since: A DAG that has received nothing since then, in seconds since the epoch, does not count.
        """
        found: dict[str, list[str]] = {}
        for store in self._stores:
            receipts = await store.aget(RECEIPTS)
            for dag_id, receipt in (receipts if isinstance(receipts, dict) else {}).items():
                if receipt["at"] >= since:
                    found[dag_id] = [*found.get(dag_id, []), *receipt["ids"]]
        return found

    @property
    def is_durable(self) -> bool:
        """Whether there is a store, which others can write into, too."""
        return bool(self._stores)

    def is_stale(self, seconds: float) -> bool:
        """Whether the last look that is stored is older than the last one by more than so many seconds."""
        return self.snapshot is not None and self.snapshot.taken_at - self._checkpoint_at > seconds * 1000

    async def _rebuild(self) -> None:
        """Store everything again, in as many shards as it needs, beside what is there; no event is being fired."""
        await self._check()
        old = [self._shard(number) for number in range(self._shards)]
        self._generation += 1
        while not await self._write_shards(range(self._shards)):
            self._shards *= 2
        self._dirty = set()
        await self._write_manifest()
        self._uneven = False
        for store in self._stores:
            for key in old:
                await store.adelete(key)

    async def _write_shards(self, numbers: Collection[int]) -> bool:
        """Write leaves; False: one has grown too large."""
        if not self._stores:
            return True
        assert self.snapshot is not None  # noqa: S101 - loaded or begun before
        packed = await asyncio.to_thread(_shards, self.snapshot.entries, self._shards, numbers)
        if any(len(text) > MAX_VALUE_CHARS for text in packed.values()) and self._shards < len(self.snapshot.entries):
            return False
        for store in self._stores:
            for number, text in packed.items():
                await store.aset(self._shard(number), text)
        return True

    async def _write_manifest(self, pending: str = "") -> None:
        assert self.snapshot is not None  # noqa: S101 - loaded or begun before
        await self._check()
        snapshot = self.snapshot
        manifest = {
            "format": _FORMAT,
            "seq": self._seq + 1,
            "by": self._name,
            "generation": self._generation,
            "shards": self._shards,
            "epoch": snapshot.epoch,
            "floor": snapshot.floor,
            "settled": snapshot.settled,
            "taken_at": snapshot.taken_at,
            "clock_offset": snapshot.clock_offset,
            "window": [snapshot.window.start, snapshot.window.end],
            "pending": pending,
            "last": self.last,
            "crowded": self.crowded,
        }
        for store in self._stores:
            await store.aset(self._key, manifest)
        self._seq, self._writer = self._seq + 1, self._name
        self._checkpoint_at = snapshot.taken_at

    async def _check(self) -> None:
        """Check that no other triggerer has written it in between, and that it was not cleared."""
        for store in () if self._uneven else self._stores:
            seq, writer = _state(await self._manifest(store))
            if (seq, writer) != (self._seq, self._writer):
                raise ConcurrentWriterError(
                    f"snapshot {self._key} has sequence {seq}, expected {self._seq}, or another writer"
                )


def _state(manifest: Mapping[str, Any]) -> tuple[int, str]:
    """Return the sequence of a manifest and its writer."""
    return manifest.get("seq", 0), manifest.get("by", "")


def _place(key: str, shards: int) -> int:
    return zlib.crc32(key.encode()) % shards


def _plain(entry: KnownMeeting | None) -> list[Any] | None:
    return None if entry is None else [entry.rev, entry.fields]


def _shards(entries: Mapping[str, KnownMeeting], shards: int, numbers: Collection[int]) -> dict[int, str]:
    wanted: dict[int, dict[str, Any]] = {number: {} for number in numbers}
    for key, entry in entries.items():
        shard = wanted.get(_place(key, shards))
        if shard is not None:
            shard[key] = _plain(entry)
    return {number: _pack(shard) for number, shard in wanted.items()}


def _pack(value: Any) -> str:
    return base64.b85encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode())).decode()


def _unpack(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b85decode(text)))
