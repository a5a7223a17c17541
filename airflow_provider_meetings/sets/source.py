"""Where the rows come from: a list, JSON text of one, or a JSON Lines file."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.sets.files import FileLocation

__all__ = ["load_rows", "rows_url"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/")


def load_rows(meetings: Any) -> list[Any]:
    """Return the rows of ``meetings``.

    Args:
        meetings: A list of any kind, such as the output of a mapped task; JSON text of a list; or the URL, or the local
            path, of a JSON Lines file, which may be compressed (``.gz``).

    Raises:
        MeetingsConfigurationError: It is none of these, or the file cannot be read.
        MeetingsTransportError: The file's store cannot be reached.
    """
    url = rows_url(meetings)
    if url is not None:
        return _read_file(url)
    return _as_list(_parse(meetings.strip()) if isinstance(meetings, str) else meetings)


def rows_url(meetings: Any) -> str | None:
    """Return the URL, or the local path, of the file with the rows; None: they are in no file."""
    text = str(meetings).strip() if isinstance(meetings, str | ObjectStoragePath | os.PathLike) else ""
    return text if _URL.match(text) or (text and not isinstance(meetings, str)) else None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        problem = "is empty: did a template come out empty" if text in {"", "None"} else "is text that is no JSON list"
        raise MeetingsConfigurationError(
            f"meetings {problem}: pass a list, the task's `.output`, `| tojson`, or the URL of a JSON Lines file. "
            "Nothing was sent."
        ) from None


def _as_list(meetings: Any) -> list[Any]:
    if hasattr(meetings, "columns"):  # iterating over a data frame gives its columns
        raise MeetingsConfigurationError(
            f"meetings is a {type(meetings).__name__}: pass its rows as a list of dicts, which to_dict('records'), "
            "to_dicts() or to_pylist() of it returns. Nothing was sent."
        )
    if isinstance(meetings, Mapping | str | bytes) or not isinstance(meetings, Iterable):
        raise MeetingsConfigurationError(
            "meetings must be a list of meetings, JSON text of one, or the URL of a JSON Lines file, not "
            f"{type(meetings).__name__}. Nothing was sent."
        )
    return list(meetings)


def _read_file(url: str) -> list[Any]:
    location = FileLocation.parse(url, "meetings")
    try:
        content = location.read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(url, error) from error
    except Exception as error:
        raise MeetingsTransportError(
            f"meetings {url!r} cannot be reached: {error}. Nothing was sent.", maybe_sent=False
        ) from error
    if content is None:
        raise _unreadable(url, "there is no such file")
    try:
        text = (gzip.decompress(content) if url.lower().endswith(".gz") else content).decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(url, error) from error
    return [_parse_line(line) for line in text.split("\n") if line.strip()]


def _parse_line(line: str) -> Any:
    """Return a row; what is no JSON stays text, and is refused with its index like every other bad row."""
    try:
        return json.loads(line)
    except ValueError:
        return line


def _unreadable(url: str, reason: Any) -> MeetingsConfigurationError:
    return MeetingsConfigurationError(f"meetings cannot be read from {url!r}: {reason}. Nothing was sent.")
