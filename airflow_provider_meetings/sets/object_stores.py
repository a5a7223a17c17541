"""Whole objects in object stores and other remote file systems, through fsspec.

An object appears when its upload is completed, and an upload that fails is discarded. Nothing here makes a bucket or a
folder.
"""

from __future__ import annotations

import contextlib
import inspect
import shutil
import uuid
from collections.abc import Callable
from typing import Any, BinaryIO

from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile

__all__ = ["probe", "upload"]

# What is not larger goes up in one request; larger files go up in parts of this size, one at a time.
_PART = 8 * 2**20
# Answers of S3 that no later try would change, beside those that are a PermissionError or a FileNotFoundError.
_S3_REFUSALS = {"InvalidBucketName", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


def probe(fs: Any, path: str) -> None:
    """Find out whether an object can be written, as far as the store can tell without being changed.

    S3 is given a part of an upload that does not exist: it says so only after it has checked the bucket and the key's
    permission to put this object. Other stores that upload in parts and can cancel that (Google's) begin an upload and
    cancel it. Of all others (Azure's) nothing is known before the real upload.

    Raises:
        OSError, ValueError: It cannot.
        Exception: Whatever else the store's library raises where the store cannot be reached.
    """
    if hasattr(fs, "call_s3"):
        _probe_s3(fs, path)
    elif isinstance(fs, AsyncFileSystem):
        file = _own_copy(fs).open(path, "wb", autocommit=False)
        _forget(file)
        if _can_cancel(file) and _overrides(file, AbstractBufferedFile, "_initiate_upload"):
            file._initiate_upload()  # noqa: SLF001 - fsspec has every store's file class define it
            file.discard()


def upload(content: BinaryIO, size: int, fs: Any, path: str) -> None:
    """Write an object, whole or not at all.

    Args:
        content: What it holds: a file of the operating system, open, at its beginning.
        size: Its length in bytes.
        fs: The file system.
        path: The object's path in it.

    Raises:
        Exception: What the store's library raises; what was there under the path is untouched.
    """
    if size <= _PART and _overrides(fs, AsyncFileSystem, "_pipe_file"):
        fs.pipe_file(path, content.read(), **_overwriting(fs._pipe_file))  # noqa: SLF001 - for its signature
    elif any(base.__name__ == "ArrowFSWrapper" for base in type(fs).__mro__):
        _upload_beside(content, fs, path)
    else:
        _upload_in_transaction(content, fs, path)


def _probe_s3(fs: Any, path: str) -> None:
    config = {**getattr(fs, "config_kwargs", {}), "retries": {"total_max_attempts": 2}}
    store = _own_copy(fs, config_kwargs=config)
    store.retries = 1
    bucket, key, *_ = store.split_path(path)
    try:
        store.call_s3("upload_part", Bucket=bucket, Key=key, PartNumber=1, UploadId=uuid.uuid4().hex, Body=b"")
    except OSError as error:
        code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
        refused = isinstance(error, PermissionError | FileNotFoundError) or code in _S3_REFUSALS
        if refused and code != "NoSuchUpload":
            raise


def _upload_in_transaction(content: BinaryIO, fs: Any, path: str) -> None:
    store = _own_copy(fs)
    transaction = store.start_transaction()
    file = None
    try:
        file = store.open(path, "wb", block_size=_PART)
        if not _can_cancel(file) and _overrides(fs, AsyncFileSystem, "_put_file"):
            # Azure's file deletes the old object when its first part goes up; its store can put a whole file.
            _forget(file)
            fs.put_file(f"/dev/fd/{content.fileno()}", path, **_overwriting(fs._put_file))  # noqa: SLF001 - likewise
            return
        shutil.copyfileobj(content, file, _PART)
        file.close()
    except BaseException:
        _forget(file)
        with contextlib.suppress(Exception):  # a key that may only put may not abort, say: the first error counts
            transaction.complete(commit=False)
        raise
    store.end_transaction()


def _upload_beside(content: BinaryIO, fs: Any, path: str) -> None:
    """Write a file of another name, then rename it: Arrow's file systems (HDFS) have no transactions."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
    try:
        with fs.open(temporary, "wb") as file:
            shutil.copyfileobj(content, file, _PART)
        fs.mv(temporary, path)
    except BaseException:
        with contextlib.suppress(Exception):
            fs.rm_file(temporary)
        raise


def _own_copy(fs: Any, **changes: Any) -> Any:
    """Return a file system like this one that no other thread shares: a transaction is a state of the whole object."""
    return type(fs)(*fs.storage_args, **{**fs.storage_options, **changes, "skip_instance_cache": True})


def _can_cancel(file: Any) -> bool:
    return not isinstance(file, AbstractBufferedFile) or _overrides(file, AbstractBufferedFile, "discard")


def _overrides(thing: Any, base: type, method: str) -> bool:
    """Whether the class of a thing that derives from a base has a method of its own."""
    return isinstance(thing, base) and getattr(type(thing), method) is not getattr(base, method)


def _overwriting(method: Callable[..., Any]) -> dict[str, bool]:
    """Return the argument with which Azure's methods replace what is there, as those of the others do anyway."""
    return {"overwrite": True} if "overwrite" in inspect.signature(method).parameters else {}


def _forget(file: Any) -> None:
    """Keep a file from completing its upload when it is closed or collected."""
    with contextlib.suppress(AttributeError):
        file.closed = True
