"""The reference page of fields says what the tables say."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_fields_is_the_tables():
    """`python docs/fields.py > docs/fields.md` renews it after a change of a table."""
    page = runpy.run_path(str(DOCS / "fields.py"))["page"]
    assert page() == (DOCS / "fields.md").read_text()
