"""The table of columns in the page about warehouses is that of the code."""

import re

from airflow_provider_meetings.hooks.resolve import record_mapping_of
from airflow_provider_meetings.vendors.records import COLUMNS
from tests.docs.blocks import ROOT

_FIXED = {"vendor", "connection", "raw"}
_TYPES = {"text": "text", "moment": "moment", "boolean": "flag"}


def _rows():
    text = (ROOT / "docs" / "warehouse.md").read_text()
    (table,) = re.findall(r"^\| Column \| Type .*\n\|[ -|]*\n((?:\|.*\n)+)", text, re.MULTILINE)
    for line in table.splitlines():
        column, kind, hiringcenter, builderprime = (cell.strip() for cell in line.strip("|").split("|"))
        yield column.strip("`"), kind, {"hiringcenter": hiringcenter, "builderprime": builderprime}


def test_columns():
    """Every column, in the order of the file, with its type."""
    assert list(COLUMNS.items()) == [(column, _TYPES[kind]) for column, kind, _ in _rows()]


def test_sources():
    """Each vendor's fields that a column is read from, and an empty cell where there is none."""
    for column, _, shown in _rows():
        for vendor, cell in shown.items():
            if column not in _FIXED:
                source = record_mapping_of(vendor).sources.get(column, ())
                fields = (source,) if isinstance(source, str) else source
                assert [*fields] == re.findall("`(.*?)`", cell), (column, vendor)
