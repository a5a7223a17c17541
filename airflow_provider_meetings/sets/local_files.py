"""Whole files on a local file system: written beside the old one, then put in its place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["probe", "replacing"]

# A file that a killed task has left is removed by the next one that writes the same name, so many seconds later.
_ABANDONED_AFTER = 86_400
# Bytes of a file's name that go into the name of the temporary one; most file systems allow 255.
_NAME_BYTES = 180
_PROBE = bytes(4096)


def probe(path: str) -> None:
    """Find out whether a file can be written; nothing is left behind, and what is there is not touched.

    Raises:
        OSError: It cannot, as far as can be told beforehand.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "It is a folder", str(target))
    if target.exists():
        if not target.is_file():
            raise OSError(errno.EINVAL, "It is not a regular file", str(target))
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "It is write-protected", str(target))
    folder = next(parent for parent in target.parents if os.path.lexists(parent))
    trial = folder / _temporary_name(target.name)
    try:
        with trial.open("xb") as file:
            file.write(_PROBE)
    finally:
        trial.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Open a file that takes the place of the one at a path when the block ends, and is gone when it fails.

    Folders are made as needed. A symbolic link is followed, and the permissions of the old file are kept.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    target = Path(os.path.realpath(path))
    made = _make_folders(target.parent)
    temporary = target.parent / _temporary_name(target.name)
    try:
        with temporary.open("xb") as file:
            _remove_abandoned(target, now=os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
        _sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error counts
            temporary.unlink(missing_ok=True)
            for folder in reversed(made):
                folder.rmdir()  # what another task has put there keeps it
        raise


def _prefix(name: str) -> str:
    return "." + os.fsdecode(os.fsencode(name)[:_NAME_BYTES]) + "."


def _temporary_name(name: str) -> str:
    return f"{_prefix(name)}{uuid.uuid4().hex}.tmp"


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the ones that were not there, from the top down."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_abandoned(target: Path, now: float) -> None:
    """Remove the temporary files of tasks that were killed long ago, by the clock of the file system."""
    prefix = _prefix(target.name)
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(prefix) and entry.name.endswith(".tmp")
            if ours and now - entry.stat().st_mtime > _ABANDONED_AFTER:
                Path(entry.path).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)
