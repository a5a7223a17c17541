"""The tables in the docs say what the code's tables say."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_in_the_docs_are_the_codes():
    """`python docs/fields.py` renews them after a change of fields, filters or connection settings."""
    pages = runpy.run_path(str(DOCS / "fields.py"))["pages"]()
    assert pages == {path: path.read_text() for path in pages}
