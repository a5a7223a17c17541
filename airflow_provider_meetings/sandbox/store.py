"""The SQLite file behind everything that must survive a restart.

One connection, used by the event loop's thread alone: every statement is a short one on a local file in WAL mode, so a
worker thread would cost more than it saves, and no two requests can ever be inside a transaction at once.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hiringcenter_meetings (
    id TEXT PRIMARY KEY, prospectId TEXT NOT NULL, meetingDate INTEGER NOT NULL, timeZone TEXT NOT NULL,
    meetingType TEXT NOT NULL, ownerId TEXT NOT NULL, location TEXT, notes TEXT, createdBy TEXT,
    createdByApi INTEGER NOT NULL, createdByApiKeyId TEXT, createdByApiKeyName TEXT,
    createdAt INTEGER NOT NULL, updatedAt INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS hiringcenter_latest ON hiringcenter_meetings (meetingDate DESC, id DESC);
CREATE INDEX IF NOT EXISTS hiringcenter_prospect ON hiringcenter_meetings (prospectId, meetingDate DESC, id DESC);
CREATE INDEX IF NOT EXISTS hiringcenter_owner ON hiringcenter_meetings (ownerId, meetingDate DESC, id DESC);
CREATE TABLE IF NOT EXISTS builderprime_meetings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, location TEXT, startDateTime INTEGER NOT NULL,
    endDateTime INTEGER, opportunityId INTEGER, employeeId INTEGER, meetingTypeId INTEGER, meetingResultId INTEGER,
    reminders TEXT NOT NULL DEFAULT '[]', isMeetingCancelled INTEGER NOT NULL DEFAULT 0,
    createdDate INTEGER NOT NULL, lastModifiedDate INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS builderprime_start ON builderprime_meetings (startDateTime, id);
CREATE INDEX IF NOT EXISTS builderprime_opportunity ON builderprime_meetings (opportunityId, startDateTime, id);
CREATE INDEX IF NOT EXISTS builderprime_employee ON builderprime_meetings (employeeId, startDateTime, id);
CREATE TABLE IF NOT EXISTS builderprime_employees (
    id INTEGER PRIMARY KEY, firstName TEXT NOT NULL, lastName TEXT NOT NULL, email TEXT NOT NULL,
    isProjectManager INTEGER NOT NULL, isSalesPerson INTEGER NOT NULL, isCurrentEmployee INTEGER NOT NULL,
    isActiveUser INTEGER NOT NULL, showInSalesCalendarByDefault INTEGER NOT NULL, timezone TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS builderprime_opportunities (
    id INTEGER PRIMARY KEY, clientId INTEGER NOT NULL, clientFirstName TEXT NOT NULL, clientLastName TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS builderprime_types (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, isDefaultMeetingType INTEGER NOT NULL, isSalesMeeting INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS builderprime_results (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, isSalesMeeting INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency (
    keyName TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    storedAt REAL NOT NULL, PRIMARY KEY (keyName, key));
CREATE TABLE IF NOT EXISTS request_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, vendor TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL, clientPort INTEGER, keyName TEXT,
    idempotencyKey TEXT, bodyDigest TEXT NOT NULL, body BLOB NOT NULL, status INTEGER, sent INTEGER, acted TEXT,
    meetingId TEXT, replayed INTEGER NOT NULL DEFAULT 0, fault TEXT);
"""


class Store:
    """A SQLite database with the sandbox's tables; rows are read and written as plain dicts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # autocommit: a transaction is always an explicit one, below
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        # WAL with NORMAL survives a killed process (only a power cut may lose the last commits), and needs no fsync
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all that is inside, or nothing; there must be no await inside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """Return all rows of a query."""
        return [dict(row) for row in self._connection.execute(sql, tuple(values))]

    def row(self, sql: str, values: Iterable[Any] = ()) -> dict[str, Any] | None:
        """Return the first row of a query, or None."""
        row = self._connection.execute(sql, tuple(values)).fetchone()
        return None if row is None else dict(row)

    def count(self, sql: str, values: Iterable[Any] = ()) -> int:
        """Return the one number that a query yields."""
        return int(self._connection.execute(sql, tuple(values)).fetchone()[0])

    def execute(self, sql: str, values: Iterable[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        return self._connection.execute(sql, tuple(values)).rowcount

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """Add a row and return its number."""
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        # table and column names are the sandbox's own, never a caller's
        cursor = self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
        return int(cursor.lastrowid or 0)

    def update(self, table: str, row_id: Any, changes: Mapping[str, Any]) -> int:
        """Change a row by its id and return how many there were."""
        if not changes:
            return self.count(f"SELECT count(*) FROM {table} WHERE id = ?", [row_id])  # noqa: S608
        names = ", ".join(f"{name} = ?" for name in changes)
        return self.execute(f"UPDATE {table} SET {names} WHERE id = ?", [*changes.values(), row_id])  # noqa: S608

    def delete(self, table: str, row_id: Any) -> int:
        """Remove a row by its id and return how many there were."""
        return self.execute(f"DELETE FROM {table} WHERE id = ?", [row_id])  # noqa: S608

    def fact(self, name: str) -> str | None:
        """Return a remembered fact about the file itself."""
        row = self.row("SELECT value FROM facts WHERE name = ?", [name])
        return None if row is None else str(row["value"])

    def remember(self, name: str, value: str) -> None:
        """Remember a fact about the file itself."""
        self.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
