"""What is known of a window from one run to the next, as files under a URL.

``manifest.json`` names two files: ``base``, what the run that wrote it last has started from, and ``current``, what it
has ended with. Each is complete before the manifest names it, and is never written again. So a kill between any two
writes leaves what was there before, and the same run can start from its base again.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_provider_meetings.core.json_text import from_json, to_json
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.sets.files import FileLocation, check_destination
from airflow_provider_meetings.watching.changes import KnownMeeting, Snapshot
from airflow_provider_meetings.watching.packed import PackedMeetings

__all__ = ["KnownState", "Manifest", "RunSnapshots"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_PREFIX, _SUFFIX = "snap-", ".jsonl.gz"
# A file that no manifest names may be one that another run is about to name: it is removed only when it is this old.
_ABANDONED_AFTER = timedelta(days=1)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class KnownState:
    """What is known after a run.

    Attributes:
        snapshot: The meetings.
        missed: How often in a row each meeting was not listed although it should have been.
    """

    snapshot: Snapshot
    missed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which files hold what is known.

    Attributes:
        run: Who wrote it last, ``[dag_id, run_id, task_id, map_index]``; None: a call without a run.
        base: The name of the file that this run has started from; None: it was the first.
        current: The name of the file that it has ended with.
    """

    run: list[Any] | None
    base: str | None
    current: str

    def start_for(self, run: list[Any] | None) -> str | None:
        """Return the name of the file from which a run starts; None: from nothing."""
        return self.base if run is not None and run == self.run else self.current


class RunSnapshots:
    """The files under a URL.

    Args:
        url: The URL, a prefix: files are added to it with a slash.
        scope: A digest of whose meetings are known, and by which filters.
    """

    def __init__(self, url: Any, scope: str) -> None:
        text = str(url).strip()
        if text in {"", "None"}:
            FileLocation.parse(text, "snapshot")  # it says what is wrong with it
        self._url = text.rstrip("/")
        self._scope = scope
        self._content: bytes | None = None
        self._manifest: Manifest | None = None

    def check(self) -> None:
        """Find out whether it can be written; see :func:`.check_destination`."""
        check_destination(f"{self._url}/{_MANIFEST}", "snapshot")

    def load(self) -> Manifest | None:
        """Return the manifest; None: there is none yet.

        Raises:
            MeetingsConfigurationError: It cannot be read, or belongs to other meetings.
            Exception: Whatever the file system raises where it cannot be reached.
        """
        self._content = self._read_manifest()
        self._manifest = None if self._content is None else self._parse(self._content)
        return self._manifest

    def _read_manifest(self) -> bytes | None:
        location = self._location(_MANIFEST)
        location.fs.invalidate_cache()
        return location.read_bytes()

    def _parse(self, content: bytes) -> Manifest:
        try:
            document = json.loads(content)
            version, scope = document["format"], document["scope"]
            manifest = Manifest(document["run"], document["base"], document["current"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable(_MANIFEST, f"it is not a manifest ({type(error).__name__}: {error})") from None
        if version != _FORMAT:
            raise self._unreadable(_MANIFEST, f"its format is {version!r}, and {_FORMAT} can be read")
        if scope != self._scope:
            raise MeetingsConfigurationError(
                f"The snapshot {self._url!r} belongs to another connection or to other filters: give each combination "
                f"a snapshot of its own, or delete {self._url}/{_MANIFEST} to start over. Nothing was sent."
            )
        names = [manifest.current, *([] if manifest.base is None else [manifest.base])]
        if not all(isinstance(name, str) and _is_snapshot(name) for name in names):
            raise self._unreadable(_MANIFEST, f"it names the files {names}")
        return manifest

    def read(self, name: str) -> KnownState:
        """Read a file that the manifest names.

        Raises:
            MeetingsConfigurationError: It is not there, or not as it was written.
            Exception: Whatever the file system raises where it cannot be reached.
        """
        location = self._location(name)
        entries = PackedMeetings()
        try:
            with location.fs.open(location.path, "rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as file:
                header = from_json(file.readline())
                for line in file:
                    key, rev, fields = from_json(line)
                    entries[key] = KnownMeeting(rev, fields)
            if len(entries) != header["count"]:
                raise ValueError(f"{len(entries)} meetings, not {header['count']}")
            snapshot = Snapshot(
                Window(*header["window"]),
                header["taken_at"],
                header["epoch"],
                header["floor"],
                clock_offset=header.get("clock_offset", 0),
                entries=entries,
            )
            return KnownState(snapshot, dict(header["missed"]))
        except FileNotFoundError:
            raise self._unreadable(name, "it is not there") from None
        except (ValueError, KeyError, TypeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._unreadable(name, f"it is damaged ({type(error).__name__}: {error})") from error

    def store(self, state: KnownState, *, run: list[Any] | None, base: str | None) -> None:
        """Write what is known after a run: the file, then the manifest that names it.

        Args:
            state: What is known now.
            run: Who writes it.
            base: The name of the file that the run has started from.

        Raises:
            MeetingsTransportError: Another run has written the manifest meanwhile.
            Exception: Whatever the file system raises.
        """
        name = f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
        with (
            self._location(name).write(lineage=False) as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=3, mtime=0) as file,
        ):
            for line in _lines(state):
                file.write(line + b"\n")
        manifest = Manifest(run, base, name)
        document = {
            "format": _FORMAT,
            "scope": self._scope,
            "run": run,
            "base": base,
            "current": name,
            "taken_at": state.snapshot.taken_at,
            "count": len(state.snapshot.entries),
        }
        content = json.dumps(document, indent=1).encode()
        if self._read_manifest() != self._content:
            self._remove(name)
            raise MeetingsTransportError(
                f"Another run has written the snapshot {self._url!r} while this one was reading the meetings: what "
                "this one has found is not stored. Let one run at a time use a snapshot (max_active_runs=1).",
                maybe_sent=False,
            )
        with self._location(_MANIFEST).write(lineage=False) as file:
            file.write(content)
        previous, self._manifest, self._content = self._manifest, manifest, content
        kept = {manifest.base, manifest.current}
        for old in {previous.base, previous.current} - kept if previous else ():
            if old is not None:
                self._remove(old)
        self._remove_abandoned(kept)

    def _remove(self, name: str) -> None:
        location = self._location(name)
        try:
            location.fs.rm_file(location.path)
        except Exception as error:  # noqa: BLE001 - it is in nobody's way
            _log.warning("The old snapshot file %s/%s could not be deleted: %s", self._url, name, error)

    def _remove_abandoned(self, kept: set[str | None]) -> None:
        """Remove what runs that were killed have left, by the file system's own clock."""
        location = self._location(_MANIFEST)
        fs, folder = location.fs, location.path.rpartition("/")[0]
        with contextlib.suppress(Exception):  # some stores tell no times, some keys may not list
            now = fs.modified(location.path)
            for path in fs.ls(folder, detail=False):
                name = path.rpartition("/")[2]
                if _is_snapshot(name) and name not in kept and now - fs.modified(path) > _ABANDONED_AFTER:
                    self._remove(name)

    def _location(self, name: str) -> FileLocation:
        return FileLocation.parse(f"{self._url}/{name}", "snapshot")

    def _unreadable(self, name: str, reason: str) -> MeetingsConfigurationError:
        return MeetingsConfigurationError(
            f"The snapshot {self._url!r} cannot be read: {name}: {reason}. Put back the files that were there, or "
            f"delete {self._url}/{_MANIFEST} to start over: the next run is then like the first one, and knows nothing "
            "of what has changed since the last. Nothing was sent."
        )


def _is_snapshot(name: str) -> bool:
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX) and "/" not in name


def _lines(state: KnownState) -> Iterator[bytes]:
    snapshot = state.snapshot
    header: Mapping[str, Any] = {
        "window": [snapshot.window.start, snapshot.window.end],
        "taken_at": snapshot.taken_at,
        "clock_offset": snapshot.clock_offset,
        "epoch": snapshot.epoch,
        "floor": snapshot.floor,
        "missed": state.missed,
        "count": len(snapshot.entries),
    }
    yield to_json(header)
    for key, entry in snapshot.entries.items():
        yield to_json([key, entry.rev, entry.fields])
