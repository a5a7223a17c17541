"""Looks for secrets wherever an Airflow keeps something: in every file, and in every column of every table."""

import base64
import contextlib
import gzip
import html
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet, InvalidToken

_DEPTH = 3


@dataclass(frozen=True, order=True)
class Leak:
    """A secret where it does not belong: its name, never itself, and in which form it was there."""

    place: str
    secret: str
    form: str


def forms(secret: str) -> dict[bytes, str]:
    """Return the ways in which a text can be written down, by the bytes that stand for each."""
    raw = secret.encode()
    found = {raw: "as it is"}
    for text, form in (
        (json.dumps(secret)[1:-1], "JSON"),
        (json.dumps(json.dumps(secret)[1:-1])[1:-1], "JSON in JSON"),
        (repr(secret)[1:-1], "Python"),
        (repr(raw)[2:-1], "Python bytes"),
        (quote(secret), "URL path"),
        (quote(secret, safe=""), "URL"),
        (quote_plus(secret), "URL form"),
        (html.escape(secret), "HTML"),
        (raw.hex(), "hex"),
        (raw.hex().upper(), "hex"),
    ):
        found.setdefault(text.encode(), form)
    found.setdefault(secret.encode("utf-16-le"), "UTF-16")
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        # what stands before it decides how its bits fall into letters; the letters it shares with others are cut off
        for before in range(3):
            letters = encode(bytes(before) + raw)
            found.setdefault(letters[(0, 2, 3)[before] : len(letters) - 4], "base64")
    return found


class Search:
    """A search for some secrets.

    Args:
        secrets: The secrets by the names under which they are reported; each of 12 characters at least.
        fernet_key: Opens what Airflow keeps encrypted, such as the arguments of triggers.
    """

    def __init__(self, secrets: Mapping[str, str], fernet_key: str | None = None) -> None:
        assert all(len(secret) >= 12 for secret in secrets.values()), "too short to be told from chance"
        self._needles = {
            needle: (name, form) for name, secret in secrets.items() for needle, form in forms(secret).items()
        }
        self._fernet = Fernet(fernet_key) if fernet_key else None

    def data(self, place: str, data: bytes, depth: int = _DEPTH) -> Iterator[Leak]:
        """Yield what is in some bytes, and in what they hold when unpacked or decrypted."""
        for needle, (name, form) in self._needles.items():
            if needle in data:
                yield Leak(place, name, form)
        if depth:
            for inner in self._opened(data):
                yield from self.data(f"{place} (opened)", inner, depth - 1)

    def files(self, folder: Path, *, without: Iterable[str] = ()) -> Iterator[Leak]:
        """Yield what is in any file below a folder, save those of these names, and in the names of files."""
        for path in sorted(folder.rglob("*")):
            place = str(path.relative_to(folder))
            yield from self.data(f"name of {place}", path.name.encode(), depth=0)
            if path.is_file() and path.name not in without:
                yield from self.data(place, path.read_bytes())

    def database(self, path: Path) -> Iterator[Leak]:
        """Yield what is in any column of any table of an SQLite file."""
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in tables:
                table = name.decode()
                rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own names
                columns = [column[0] for column in rows.description]
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        if isinstance(value, bytes):
                            yield from self.data(f"{table}.{column}", value)

    def _opened(self, data: bytes) -> Iterator[bytes]:
        if data.startswith(b"\x1f\x8b"):
            with contextlib.suppress(OSError, EOFError, zlib.error):
                yield gzip.decompress(data)
        if data[:1] == b"\x78":
            with contextlib.suppress(zlib.error):
                yield zlib.decompress(data)
        if self._fernet is not None and data.strip(b'"').startswith(b"gAAAA"):
            with contextlib.suppress(InvalidToken, ValueError):
                yield self._fernet.decrypt(data.strip(b'"'))
