"""The operations guide knows every message that may page somebody."""

import re

import pytest

from airflow_provider_meetings import exceptions
from tests.docs.blocks import ROOT, of_kind
from tests.docs.messages import GAP, logged, pieces, raised, unknown_pieces

# Characters; what is shorter may be part of any message.
_TELLING = 12
GUIDE = ROOT / "docs" / "operations.md"


def _shown():
    """Every message that the guide shows: its blocks, and the first column of its tables of messages."""
    blocks = [
        line for block in of_kind("text") if block.page == "docs/operations.md" for line in block.text.splitlines()
    ]
    return [*blocks, *(span for span in _spans() if span)]


def _spans():
    text = GUIDE.read_text()
    for table in re.findall(r"(?:^\| It says .*\n)((?:^\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines()[1:]:
            for _, span in re.findall(r"(`+) ?(.*?) ?\1(?!`)", row.split(" | ")[0]):
                yield span.replace("\\|", "|")


@pytest.mark.parametrize("span", list(_spans()))
def test_messages_in_tables_are_the_codes(span):
    """A message in a table is one that the code has."""
    assert [] == unknown_pieces(span)


def test_every_message_is_explained():
    """Each message of an error, and each warning of a log, is in the guide, whole or in a part that tells it."""
    shown = [piece.rstrip(":") for text in _shown() for piece in pieces(text) if len(piece) > _TELLING]
    missing = {
        message.replace(GAP, "…"): where
        for message, where in (raised() | logged()).items()
        if not any(piece in message or message.strip(GAP + " .:") in piece for piece in shown)
    }
    assert {} == missing


@pytest.mark.parametrize("name", [name for name in exceptions.__all__ if name != "MeetingsError"])
def test_every_error_has_a_chapter(name):
    """Each class of errors has a chapter, and a row in the table at the top that leads to it."""
    text = GUIDE.read_text()
    assert f"\n## `{name}`\n" in text
    (target,) = re.findall(rf"\| \[`{name}`\]\(#([\w-]+)\)", text)
    assert f"\n({target})=\n## `{name}`\n" in text
