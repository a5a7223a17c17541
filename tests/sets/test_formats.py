"""The formats of a list's file, read back with the tools that read such files."""

import csv
import datetime as dt
import gzip
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.hooks.resolve import record_mapping_of
from airflow_provider_meetings.operators.meetings import ListMeetingsOperator
from airflow_provider_meetings.sets.records import FileFormat
from tests.support.operators import CONN, INTERVAL, run
from tests.support.sandbox import DAY, HOUR, NOON, Tiny, answering, hook_to, reply

COLUMNS = [
    *("id", "vendor", "connection", "starts_at", "ends_at", "time_zone", "title", "type", "location", "notes"),
    *("counterpart_id", "counterpart_name", "owner_id", "owner_name", "cancelled", "created_at", "updated_at", "raw"),
]
MOMENTS = ("starts_at", "ends_at", "created_at", "updated_at")
NASTY = 'two\r\nlines, "quoted"; \ttab, 🍕 Café \u2028 \x1f and =1+1'


def fill(server, kind):
    """Make meetings with every field, with few, and with texts that a format may stumble over."""
    server.options(listed="rich")
    if kind.name == "hiringcenter":
        changes = ({}, {"notes": NASTY, "location": "5 Main St, Nashville"}, {"notes": None, "location": ""})
    else:
        changes = (
            {"opportunityId": 102988, "employeeId": 50, "endDateTime": NOON + HOUR},
            {"title": NASTY, "location": "5 Main St, Nashville", "meetingTypeId": 1012},
            {"opportunityId": None, "employeeId": None, "title": None, "meetingTypeId": None, "endDateTime": None},
        )
    server.insert(kind, *(kind.row(NOON + number * 1000, **more) for number, more in enumerate(changes)))


def expected_record(kind, meeting):
    """Say what the common record of a meeting is, in the words of the interface."""

    def name(*fields):
        return " ".join(part for field in fields if (part := meeting[field])) or None

    def text(field):
        return None if meeting[field] is None else str(meeting[field])

    empty = dict.fromkeys(COLUMNS)
    common = {"id": str(meeting["id"]), "vendor": kind.name, "connection": "meetings", "location": meeting["location"]}
    if kind.name == "hiringcenter":
        return (
            empty
            | common
            | {
                "starts_at": meeting["meetingDate"],
                "time_zone": meeting["timeZone"],
                "type": meeting["meetingType"],
                "notes": meeting["notes"],
                "counterpart_id": meeting["prospectId"],
                "owner_id": meeting["ownerId"],
                "created_at": meeting["createdAt"],
                "updated_at": meeting["updatedAt"],
                "raw": meeting,
            }
        )
    return (
        empty
        | common
        | {
            "starts_at": meeting["startDateTime"],
            "ends_at": meeting["endDateTime"],
            "title": meeting["title"],
            "type": meeting["meetingTypeName"],
            "counterpart_id": text("opportunityId"),
            "counterpart_name": name("clientFirstName", "clientLastName"),
            "owner_id": text("employeeId"),
            "owner_name": name("employeeFirstName", "employeeLastName"),
            "cancelled": meeting.get("isMeetingCancelled"),
            "created_at": meeting["createdDate"],
            "updated_at": meeting["lastModifiedDate"],
            "raw": meeting,
        }
    )


def listed(destination=None, record_schema=None):
    """Run the operator over the hour."""
    operator = ListMeetingsOperator(task_id="list", destination=destination, record_schema=record_schema, **CONN)
    return run(operator, **INTERVAL)


@pytest.fixture
def meetings(server, kind, connect):
    """What the vendor lists."""
    connect(kind)
    fill(server, kind)
    return listed()


def to_milliseconds(text):
    """Read a moment's text back."""
    assert 24 == len(text)
    assert text.endswith("Z")
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def from_text(record):
    """Undo what a text format does to a record's moments and to its raw column."""
    moments = {name: record[name] and to_milliseconds(record[name]) for name in MOMENTS}
    return record | moments | {"raw": json.loads(record["raw"])}


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.ndjson", "m", "M.JSONL.GZ"])
@pytest.mark.parametrize("record_schema", [None, "vendor", "common"])
def test_json_lines(meetings, kind, tmp_path, name, record_schema):
    """One JSON object a line: the vendor's own record, or the common one."""
    assert {"path": f"file://{tmp_path}/{name}", "count": 3} == listed(f"file://{tmp_path}/{name}", record_schema)
    content = (tmp_path / name).read_bytes()
    content = gzip.decompress(content) if name.lower().endswith(".gz") else content
    records = [json.loads(line) for line in content.decode().removesuffix("\n").split("\n")]
    if record_schema == "common":
        assert all(COLUMNS == list(record) for record in records)
        assert [expected_record(kind, meeting) for meeting in meetings] == [from_text(record) for record in records]
    else:
        assert meetings == records


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "M.CSV"])
@pytest.mark.parametrize("record_schema", [None, "common"])
def test_csv(meetings, kind, tmp_path, name, record_schema):
    """The csv module reads it back; what is not said is an empty cell."""
    assert 3 == listed(f"file://{tmp_path}/{name}", record_schema)["count"]
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    assert COLUMNS == reader.fieldnames
    flags = {"": None, "true": True, "false": False}
    read = [from_text({key: value or None for key, value in row.items()}) for row in rows]
    read = [row | {"cancelled": flags[row["cancelled"] or ""]} for row in read]
    expected = [expected_record(kind, meeting) for meeting in meetings]
    # CSV has one empty cell for both of them.
    assert [{key: None if value == "" else value for key, value in row.items()} for row in expected] == read


@pytest.mark.parametrize("name", ["m.parquet", "M.PARQUET"])
@pytest.mark.parametrize("record_schema", [None, "common"])
def test_parquet(meetings, kind, tmp_path, name, record_schema):
    """Pyarrow reads the columns with their types, and DuckDB reads the same."""
    assert 3 == listed(f"file://{tmp_path}/{name}", record_schema)["count"]
    table = pq.read_table(tmp_path / name)
    kinds = dict.fromkeys(COLUMNS, pa.string()) | dict.fromkeys(MOMENTS, pa.timestamp("ms", tz="UTC"))
    assert list((kinds | {"cancelled": pa.bool_()}).items()) == [(field.name, field.type) for field in table.schema]
    as_numbers = pa.schema([(name, pa.int64() if name in MOMENTS else kind.type) for name, kind in _fields(table)])
    rows = [row | {"raw": json.loads(row["raw"])} for row in table.cast(as_numbers).to_pylist()]
    expected = [expected_record(kind, meeting) for meeting in meetings]
    assert expected == rows

    found = duckdb.sql(
        f"SELECT id, epoch_ms(starts_at), cancelled, notes, title FROM read_parquet('{tmp_path / name}')"  # noqa: S608
    ).fetchall()
    assert [(row["id"], row["starts_at"], row["cancelled"], row["notes"], row["title"]) for row in expected] == found


def _fields(table):
    return [(field.name, field) for field in table.schema]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl.gz"])
def test_duckdb_reads_the_text_formats(server, kind, connect, tmp_path, suffix):
    """Moments, flags and texts of several lines arrive as what they are, without a hint."""
    connect(kind)
    fill(server, kind)
    expected = [expected_record(kind, meeting) for meeting in listed()]
    listed(f"file://{tmp_path}/m.{suffix}", "common")
    read = "read_csv" if "csv" in suffix else "read_json"
    relation = duckdb.sql(f"SELECT * FROM {read}('{tmp_path}/m.{suffix}')")  # noqa: S608
    assert COLUMNS == relation.columns
    rows = duckdb.sql("SELECT id::VARCHAR, epoch_ms(starts_at), notes, title FROM relation").fetchall()
    assert [(row["id"], row["starts_at"], row["notes"], row["title"]) for row in expected] == rows


def test_csv_tells_an_empty_text_from_nothing(tmp_path):
    """A reader that is asked to takes `""` for a text and an empty cell for null."""

    def to_record(meeting):
        return record_mapping_of("hiringcenter").common_record(meeting, "crm")

    with (tmp_path / "m.csv").open("wb") as file:
        meetings = [{"id": "1", "location": "", "notes": None}, {"id": "2", "notes": " "}]
        assert 2 == FileFormat.parse("m.csv").write(meetings, file, to_record)
    read = f"SELECT location, notes FROM read_csv('{tmp_path}/m.csv', all_varchar = true, allow_quoted_nulls = false)"  # noqa: S608
    assert [("", None), (None, " ")] == duckdb.sql(read).fetchall()


@pytest.mark.parametrize("value", [True, False, None])
def test_cancelled_meetings(tmp_path, value):
    """The flag is true, false or nothing in each format."""
    meeting = {"id": 7, "startDateTime": NOON} | ({} if value is None else {"isMeetingCancelled": value})

    def to_record(meeting):
        return record_mapping_of("builderprime").common_record(meeting, "crm")

    for name in ("m.csv", "m.parquet", "m.jsonl"):
        with (tmp_path / name).open("wb") as file:
            assert 1 == FileFormat.parse(name, "common").write([meeting], file, to_record)
    (row,) = csv.DictReader((tmp_path / "m.csv").open(newline="", encoding="utf-8"))
    assert {True: "true", False: "false", None: ""}[value] == row["cancelled"]
    assert [value] == pq.read_table(tmp_path / "m.parquet")["cancelled"].to_pylist()
    assert value is json.loads((tmp_path / "m.jsonl").read_bytes())["cancelled"]
    assert "2026-02-02T10:00:00.000Z" == row["starts_at"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_nothing_found(kind, connect, tmp_path, suffix):
    """A list of no meetings is a file that its readers take: with its columns, where the format has columns."""
    connect(kind)
    file = tmp_path / f"none.{suffix}"
    assert 0 == listed(f"file://{file}")["count"]
    if suffix == "parquet":
        assert (0, COLUMNS) == (pq.read_table(file).num_rows, pq.read_table(file).column_names)
    elif suffix == "csv":
        assert ",".join(COLUMNS) + "\r\n" == file.read_bytes().decode()
    else:
        assert b"" == (gzip.decompress(file.read_bytes()) if suffix.endswith("gz") else file.read_bytes())


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_the_same_list_is_the_same_file(server, kind, connect, tmp_path, suffix):
    """A second run of the same interval writes the same bytes: no time of day, no name of a file is in it."""
    connect(kind)
    fill(server, kind)
    for name in ("one", "two"):
        listed(f"file://{tmp_path}/{name}.{suffix}")
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_half_an_emoji_and_numbers_that_json_does_not_have(kind, tmp_path):
    """What a vendor sends all the same is written as text and JSON that every reader takes."""
    fields = b'"id": 7, "%s": %d, "location": "Lunch \\ud83d", "more": {"far": 1e400}' % (kind.date.encode(), NOON)
    body = {
        "hiringcenter": b'{"success": true, "items": [{%s}], "pagination": {}}',
        "builderprime": b'{"success": true, "data": [{%s}]}',
    }[kind.name]
    for name in ("m.jsonl", "m.csv", "m.parquet"):
        form = FileFormat.parse(name)
        with Tiny(answering(reply("200 OK", body % fields))) as tiny, (tmp_path / name).open("wb") as file:
            hook = hook_to(kind, tiny.url)

            def to_record(meeting, hook=hook):
                return hook.record_mapping.common_record(meeting, "meetings")

            assert 1 == form.write(hook.list_meetings(NOON, NOON + DAY), file, to_record)

    def refuse(constant):
        raise AssertionError(constant)

    meeting = json.loads((tmp_path / "m.jsonl").read_text("utf-8"), parse_constant=refuse)
    assert "Lunch \ufffd" == meeting["location"]
    (row,) = csv.DictReader((tmp_path / "m.csv").open(newline="", encoding="utf-8"))
    (record,) = pq.read_table(tmp_path / "m.parquet").to_pylist()
    assert "Lunch \ufffd" == row["location"] == record["location"]
    assert meeting == json.loads(row["raw"], parse_constant=refuse) == json.loads(record["raw"], parse_constant=refuse)


def test_row_groups(tmp_path):
    """A long list is cut into groups, by rows or by bytes, and all of it is there."""
    for notes, groups in (("", 3), ("n" * 2_000, 27)):
        meetings = ({"id": str(number), "meetingDate": NOON + number, "notes": notes} for number in range(210_500))

        def to_record(meeting):
            return record_mapping_of("hiringcenter").common_record(meeting, "crm") | {"raw": "{}"}

        with (tmp_path / "m.parquet").open("wb") as file:
            assert 210_500 == FileFormat.parse("m.parquet").write(meetings, file, to_record)
        read = pq.ParquetFile(tmp_path / "m.parquet")
        assert (210_500, groups) == (read.metadata.num_rows, read.num_row_groups)
        assert [str(number) for number in range(210_500)] == read.read(["id"])["id"].to_pylist()


@pytest.mark.parametrize(
    ("name", "record_schema", "named"),
    [
        ("m.parquet.gz", None, r"\.parquet\.gz: Parquet compresses by itself"),
        ("M.Parquet.GZ", "common", r"Parquet compresses by itself"),
        ("m.csv", "vendor", 'record_schema is "vendor", and CSV has columns'),
        ("m.csv.gz", "vendor", "CSV has columns"),
        ("m.parquet", "vendor", "Parquet has columns"),
        ("m.jsonl", "comon", 'record_schema must be "vendor" or "common", not \'comon\''),
        ("m.csv", "", "record_schema must be"),
        ("m.jsonl", ["common"], "record_schema must be"),
    ],
)
def test_what_does_not_go_together_is_refused(server, kind, connect, tmp_path, name, record_schema, named):  # noqa: PLR0917 - fixtures
    """Before anything is asked, and before a file is there."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=named):
        listed(f"file://{tmp_path}/{name}", record_schema)
    assert [] == server.journal()
    assert [] == list(tmp_path.iterdir())


def test_a_schema_without_a_file_is_refused(server, kind, connect):
    """What is returned is what the vendor returned."""
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="give a destination"):
        listed(None, "common")
    assert [] == server.journal()
    assert [] == listed(None, "vendor")


def test_parquet_without_its_library_says_what_to_install(server, kind, connect, tmp_path, monkeypatch):
    """The extra is named; the other formats need nothing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=r"airflow-provider-meetings\[parquet\]"):
        listed(f"file://{tmp_path}/m.parquet")
    assert [] == server.journal()
    assert 0 == listed(f"file://{tmp_path}/m.csv")["count"]


def test_the_schema_is_a_template(server, kind, connect, tmp_path):
    """Like all arguments."""
    connect(kind)
    fill(server, kind)
    operator = ListMeetingsOperator(
        task_id="list", destination=f"{tmp_path}/m.jsonl", record_schema="{{ params.schema }}", **CONN
    )
    run(operator, params={"schema": "common"}, **INTERVAL)
    assert COLUMNS == list(json.loads((tmp_path / "m.jsonl").read_text("utf-8").split("\n")[0]))
