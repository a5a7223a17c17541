"""A list of meetings as the content of a file: JSON Lines, CSV or Parquet, as they come, with flat memory."""

from __future__ import annotations

import importlib.util
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol, cast

from airflow_provider_meetings.core.json_text import to_json
from airflow_provider_meetings.core.times import to_utc_text
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.vendors.records import COLUMNS

__all__ = ["ByteWriter", "FileFormat"]

# So many rows are turned into CSV, or into a batch of columns, at once.
_BATCH = 1_000
# A row group of Parquet ends after so many rows, or so many bytes in memory.
_GROUP_ROWS = 100_000
_GROUP_BYTES = 16 * 2**20


class ByteWriter(Protocol):
    """What a list is written to."""

    def write(self, data: bytes, /) -> Any:
        """Append bytes."""


Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file is made of.

    Attributes:
        kind: ``jsonl``, ``csv`` or ``parquet``.
        compressed: The whole file goes through gzip.
        schema: ``vendor``, the meetings as the vendor returned them, or ``common``, the columns that all vendors share.
    """

    kind: Literal["jsonl", "csv", "parquet"]
    compressed: bool
    schema: Literal["vendor", "common"]

    @classmethod
    def parse(cls, destination: str, record_schema: Any = None) -> FileFormat:
        """Read the format off a destination's suffix.

        Args:
            destination: A path or a URL. ``.csv`` and ``.parquet`` are what they say, all else is JSON Lines; ``.gz``
                behind it is compressed.
            record_schema: ``vendor``, ``common``, or None for the format's default.

        Raises:
            MeetingsConfigurationError: The two do not go together, or Parquet's library is missing.
        """
        name = destination.lower()
        compressed = name.endswith(".gz")
        name = name.removesuffix(".gz")
        if name.endswith(".parquet"):
            if compressed:
                raise _refused("destination", "ends in .parquet.gz: Parquet compresses by itself, leave .gz out")
            _require_pyarrow()
            return cls("parquet", compressed=False, schema=_columns_only(record_schema, "Parquet"))
        if name.endswith(".csv"):
            return cls("csv", compressed, _columns_only(record_schema, "CSV"))
        return cls("jsonl", compressed, _schema(record_schema) or "vendor")

    def write(self, meetings: Iterable[Record], file: ByteWriter, to_record: Callable[[Record], Record]) -> int:
        """Write a list; return how many meetings it had.

        Args:
            meetings: The meetings, as the vendor returned them.
            file: Where the bytes go.
            to_record: Makes the common record of a meeting; see :meth:`.RecordMapping.common_record`.
        """
        counted = _Counted(meetings if self.schema == "vendor" else map(to_record, meetings))
        if self.kind == "parquet":
            _write_parquet(counted, file)
            return counted.count
        compressor = _Gzip(file) if self.compressed else None
        if self.kind == "csv":
            _write_csv(counted, compressor or file)
        else:
            _write_lines(counted if self.schema == "vendor" else map(_as_text, counted), compressor or file)
        if compressor is not None:
            compressor.finish()
        return counted.count


def _schema(value: Any) -> Literal["vendor", "common"] | None:
    if value is None or value in ("vendor", "common"):
        return cast('Literal["vendor", "common"] | None', value)
    raise _refused("record_schema", f'must be "vendor" or "common", not {value!r}')


def _columns_only(value: Any, kind: str) -> Literal["common"]:
    if _schema(value) == "vendor":
        raise _refused("record_schema", f'is "vendor", and {kind} has columns: leave it out, or write JSON Lines')
    return "common"


def _require_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise _refused(
            "destination", "is a Parquet file, which takes pyarrow: pip install 'airflow-provider-meetings[parquet]'"
        )


def _refused(argument: str, problem: str) -> MeetingsConfigurationError:
    return MeetingsConfigurationError(f"{argument} {problem}. Nothing was sent.")


class _Counted:
    """Counts what goes through."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self.count = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.count += 1
            yield record


class _Gzip:
    """Compresses what is written; the same bytes give the same file, so there is no time in it."""

    def __init__(self, file: ByteWriter) -> None:
        self._file = file
        self._compressor = zlib.compressobj(wbits=31)

    def write(self, data: bytes) -> None:
        self._file.write(self._compressor.compress(data))

    def finish(self) -> None:
        self._file.write(self._compressor.flush())


_MOMENTS = tuple(name for name, kind in COLUMNS.items() if kind == "moment")


def _as_text(record: Record) -> dict[str, Any]:
    """Return a common record with its moments as text."""
    shown = dict(record)
    for name in _MOMENTS:
        if shown[name] is not None:
            shown[name] = to_utc_text(shown[name])
    return shown


def _write_lines(records: Iterable[Record], file: ByteWriter) -> None:
    for record in records:
        file.write(to_json(record) + b"\n")


def _write_csv(records: Iterable[Record], file: ByteWriter) -> None:
    """Write CSV after RFC 4180: CRLF ends a record, quotes are doubled. None is an empty cell, a blank text ``""``."""
    file.write((",".join(COLUMNS) + "\r\n").encode())
    lines = (",".join(map(_cell, _as_text(record).values())) + "\r\n" for record in records)
    while batch := "".join(islice(lines, _BATCH)):
        file.write(batch.encode())


_NEEDS_QUOTES = re.compile('[",\r\n]|^$')


def _cell(value: Any) -> str:
    """Return a value of a common record, its moments being text."""
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    text: str = value
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _write_parquet(records: Iterable[Record], file: ByteWriter) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    types = {"text": pa.string(), "moment": pa.timestamp("ms", tz="UTC"), "flag": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    writer = pq.ParquetWriter(file, schema)
    try:
        for group in _row_groups(records, lambda rows: pa.RecordBatch.from_pylist(rows, schema=schema)):
            table = pa.Table.from_batches(group)
            writer.write_table(table, row_group_size=table.num_rows)
        writer.close()
    except BaseException:
        writer.is_open = False  # or it writes its end to a file that is gone by then
        raise


def _row_groups(records: Iterable[Record], to_batch: Callable[[list[Record]], Any]) -> Iterator[list[Any]]:
    rows, group = iter(records), list[Any]()
    while batch := list(islice(rows, _BATCH)):
        group.append(to_batch(batch))
        if len(group) * _BATCH >= _GROUP_ROWS or sum(part.nbytes for part in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group
