"""Whole files at a URL: a file appears when it is complete, or not at all, and what was there stays until then.

This goes for an error, a kill and a second writer: the last one that is complete is what remains.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from airflow.providers.common.compat.sdk import AirflowNotFoundException, ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_meetings.core.json_text import to_json
from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.observability.airflow_stats import note_written_file
from airflow_provider_meetings.sets import local_files, object_stores

__all__ = ["FileLocation", "check_destination", "location_text"]

# Errors of a file system that a later try may not meet.
_PASSING = {errno.EIO, errno.ETIMEDOUT, errno.ESTALE, errno.EAGAIN, errno.EINTR, errno.EBUSY}
# Errors of Amazon's library, by name, that are no OSError and that a later try meets again.
_NO_ACCESS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ParamValidationError"}
_WITH_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "oss", "oci"}


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A place for a file: on a local file system, or in an object store.

    Attributes:
        url: As it was given.
        path: In the file system.
        fs: The file system, with the credentials of the URL's connection.
        storage_path: Airflow's path of it.
    """

    url: str
    path: str
    fs: Any
    storage_path: Any

    @classmethod
    def parse(cls, url: Any, argument: str = "destination") -> FileLocation:
        """Read a URL (``s3://…``, ``s3://conn_id@…``, ``file://…``), a local path, or an ``ObjectStoragePath``.

        Args:
            url: The place of the file.
            argument: What the caller's own caller knows it as.

        Raises:
            MeetingsConfigurationError: It is empty, names no file, or Airflow has no such file system or connection.
        """
        text = location_text(url, argument)
        if url is None or text.strip() in {"", "None"}:
            raise MeetingsConfigurationError(f"{argument} is empty: did a template come out empty? Nothing was sent.")
        try:
            storage_path = ObjectStoragePath(text)
            fs = storage_path.fs
        except (ValueError, TypeError, ImportError, AirflowNotFoundException) as error:
            raise _unwritable(argument, text, error) from error
        path = fs._strip_protocol(storage_path.path)  # noqa: SLF001 - fsspec's own name for the path inside it
        bare = path.strip("/")
        if text.endswith("/") or not bare or (storage_path.protocol in _WITH_BUCKETS and "/" not in bare):
            raise _unwritable(argument, text, "it names a folder or a bucket, not a file")
        return cls(text, path, fs, storage_path)

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine."""
        return type(self.fs) is LocalFileSystem

    @contextlib.contextmanager
    def write(self, *, lineage: bool = True) -> Iterator[BinaryIO]:
        """Open a file that appears, whole, when the block ends, and never when it fails.

        On a local file system it is written beside the old one. For an object store it is kept in a temporary file of
        this machine until it is complete, and uploaded then.

        Args:
            lineage: Whether the file is one of the task's results, for the lineage.

        Raises:
            OSError: It cannot be written.
            Exception: Whatever else an object store's library raises.
        """
        if self.is_local:
            with local_files.replacing(self.path) as file:
                yield file
        else:
            with tempfile.TemporaryFile("w+b") as file:
                yield file
                size = file.tell()
                file.seek(0)
                object_stores.upload(file, size, self.fs, self.path)
        if lineage:
            note_written_file(self.storage_path)

    def write_json_lines(self, values: Iterable[Any]) -> int:
        """Write values as JSON Lines; return how many there were."""
        count = 0
        with self.write() as file:
            for value in values:
                file.write(to_json(value) + b"\n")
                count += 1
        return count

    def write_bytes(self, content: bytes) -> None:
        """Write a small file."""
        with self.write() as file:
            file.write(content)

    def read_bytes(self) -> bytes | None:
        """Return the content of a small file; None: there is none."""
        try:
            with self.fs.open(self.path, "rb") as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content


def location_text(url: Any, argument: str = "destination") -> str:
    """Return a place as text; an ``ObjectStoragePath`` or a ``Path`` will do.

    Raises:
        MeetingsConfigurationError: It is what a native template makes of texts: no file is named ``True``.
    """
    if isinstance(url, bool | int | float | list | tuple | dict | set):
        raise MeetingsConfigurationError(
            f"{argument} must be a URL or a path, not {type(url).__name__}. Nothing was sent."
        )
    return str(url)


def check_destination(url: Any, argument: str = "destination") -> FileLocation:
    """Find out whether a file can be written, before anything else is done; nothing is left behind.

    A local file system is tried with a temporary file, S3 and Google's store by the beginning of an upload that never
    comes into being. What shows only when a file is really written: a disk or a quota that is too small for it,
    permissions of Azure's and other stores, a bucket's rules on encryption, a Google key that may create but not
    replace.

    Args:
        url: See :meth:`FileLocation.parse`.
        argument: What the caller's own caller knows it as.

    Raises:
        MeetingsConfigurationError: It cannot be written.
        MeetingsTransportError: The store cannot be reached.
        OSError: The file system has a problem that may pass.
    """
    location = FileLocation.parse(url, argument)
    try:
        if location.is_local:
            local_files.probe(location.path)
        else:
            object_stores.probe(location.fs, location.path)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise
        raise _unwritable(argument, location.url, error) from error
    except Exception as error:
        if type(error).__name__ in _NO_ACCESS:
            raise _unwritable(argument, location.url, error) from error
        raise MeetingsTransportError(
            f"The {argument} {location.url!r} cannot be reached: {error}. Nothing was sent.", maybe_sent=False
        ) from error
    return location


def _unwritable(argument: str, url: str, reason: Any) -> MeetingsConfigurationError:
    if isinstance(reason, OSError) and reason.errno:
        where = f": {os.fsdecode(reason.filename)}" if reason.filename else ""
        reason = f"{reason.strerror}{where}"
    return MeetingsConfigurationError(f"{argument} cannot be written to: {url!r}: {reason}. Nothing was sent.")
