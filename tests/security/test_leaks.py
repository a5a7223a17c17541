"""The search for secrets finds what is hidden from it: each form, each kind of file, each kind of column."""

import base64
import gzip
import json
import sqlite3
import zlib
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.security.leaks import Leak, Search

SECRET = 'ca/na+ry "1f\\93" ü'
KEY = Fernet.generate_key()
NAMED = {"it": SECRET}

HIDING = {
    "as it is": SECRET.encode(),
    "in JSON": json.dumps({"headers": {"x-api-key": SECRET}}).encode(),
    "in JSON in JSON": json.dumps({"extra": json.dumps({"api_key": SECRET})}).encode(),
    "as repr": repr({"password": SECRET}).encode(),
    "as repr of bytes": repr(b"key " + SECRET.encode()).encode(),
    "in a query": b"GET /?key=" + quote(SECRET, safe="").encode(),
    "in a path": b"GET /" + quote(SECRET).encode(),
    "in hex": SECRET.encode().hex().encode(),
    "in UTF-16": SECRET.encode("utf-16-le"),
    "in base64": base64.b64encode(SECRET.encode()),
    "in base64 behind one byte": base64.b64encode(b":" + SECRET.encode()),
    "in base64 behind two bytes": base64.b64encode(b"u:" + SECRET.encode() + b"!"),
    "in base64 for URLs": base64.urlsafe_b64encode(b"Bearer " + SECRET.encode()),
    "gzipped": gzip.compress(b"x" * 1000 + SECRET.encode()),
    "deflated": zlib.compress(b"x" * 1000 + SECRET.encode()),
    "encrypted": Fernet(KEY).encrypt(SECRET.encode()),
    "encrypted and quoted": b'"' + Fernet(KEY).encrypt(json.dumps(SECRET).encode()) + b'"',
    "gzipped twice": gzip.compress(gzip.compress(SECRET.encode())),
}


@pytest.mark.parametrize("hidden", HIDING.values(), ids=HIDING)
def test_a_secret_in_a_file_is_found(tmp_path, hidden):
    """In whatever form a file has it, the secret is reported by its name and the file's."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.bin").write_bytes(hidden)
    found = list(Search(NAMED, KEY.decode()).files(tmp_path))

    assert {("it", "deep/file.bin")} == {
        (leak.secret, leak.place.removesuffix(" (opened)" * leak.place.count("("))) for leak in found
    }
    assert SECRET not in repr(found)


@pytest.mark.parametrize("hidden", HIDING.values(), ids=HIDING)
def test_a_secret_in_a_table_is_found(tmp_path, hidden):
    """In whatever form a column has it, the secret is reported with table and column."""
    with sqlite3.connect(tmp_path / "some.db") as connection:
        connection.execute('CREATE TABLE "odd name" (id INTEGER, kept BLOB)')
        connection.execute('INSERT INTO "odd name" VALUES (1, ?)', [hidden])
    found = list(Search(NAMED, KEY.decode()).database(tmp_path / "some.db"))

    assert found
    assert all(leak.place.startswith("odd name.kept") for leak in found)


def test_text_columns_are_read_too(tmp_path):
    """A column of text is searched like one of bytes, and numbers and nulls do no harm."""
    with sqlite3.connect(tmp_path / "some.db") as connection:
        connection.execute("CREATE TABLE log (id INTEGER, line TEXT)")
        connection.executemany("INSERT INTO log VALUES (?, ?)", [(1, None), (2, "fine"), (3, f"key {SECRET}!")])

    assert [Leak("log.line", "it", "as it is")] == list(Search(NAMED).database(tmp_path / "some.db"))


def test_a_deleted_row_is_still_in_the_file(tmp_path):
    """A database's file is searched as bytes: what was deleted from its tables, and is still on its pages, is found."""
    path = tmp_path / "some.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE log (line TEXT)")
        connection.execute("INSERT INTO log VALUES (?)", [SECRET])
        connection.commit()
        connection.execute("DELETE FROM log")
    connection.close()

    assert [] == list(Search(NAMED).database(path))
    assert [Leak("some.db", "it", "as it is")] == list(Search(NAMED).files(tmp_path))


def test_a_secret_in_a_files_name_is_found(tmp_path):
    """A log that is named after a secret is a leak, wherever its text stands."""
    (tmp_path / "run_id=canary-in-a-name").mkdir()

    assert [leak.place for leak in Search({"it": "canary-in-a-name"}).files(tmp_path)] == [
        "name of run_id=canary-in-a-name"
    ]


def test_nothing_is_found_where_nothing_is(tmp_path):
    """Other secrets, half of one, and files that are named as exceptions are not reported."""
    (tmp_path / "half.log").write_text(SECRET[:-4])
    (tmp_path / "sandbox.log").write_text(SECRET)
    (tmp_path / "other.gz").write_bytes(b"\x1f\x8bno gzip at all")

    assert [] == list(Search(NAMED, KEY.decode()).files(tmp_path, without=["sandbox.log"]))


def test_too_short_a_secret_is_refused():
    """Four letters are found everywhere by chance: such a search would prove nothing."""
    with pytest.raises(AssertionError, match="too short"):
        Search({"it": "test"})
