"""Renews the tables of fields, filters and connection settings, from what the code itself reads.

Each stands in its page between two markers: `python docs/fields.py` puts it there, after a change of the code's tables.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_provider_meetings.connection.provider_info import describe
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.fields import Field, reference
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter

DOCS = Path(__file__).parent
#: What a filter asks for, in words.
FILTERS = {
    "prospectId": "the prospect",
    "ownerId": "the user who owns the meeting",
    "meetingType": "the meeting type's label",
    "opportunity-id": "the opportunity",
    "employee-id": "the employee who goes",
}


def table(rows: Iterable[Mapping[str, str]]) -> str:
    """Return a Markdown table."""
    rows = list(rows)
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fields(fields: Iterable[Field]) -> str:
    """Return the table of a vendor's fields."""
    return table({**row, "field": f"`{row['field']}`"} for row in reference(fields))


def filters(kinds: Mapping[str, str]) -> str:
    """Return the table of a vendor's filters."""
    return table(
        {"filter": f"`{name}`", "kind": kind, "meaning": FILTERS[name]}
        for name, kind in kinds.items()
    )


def settings(connection_type: str, *, common: bool) -> str:
    """Return the table of a connection's extras: those of both types, or those of one alone."""
    types = {
        kind["connection-type"]: kind["conn-fields"]
        for kind in describe("")["connection-types"]
    }
    shared = set.intersection(*(set(extras) for extras in types.values()))
    return table(
        {
            "extra": f"`{name}`",
            "in the form": field["label"],
            "default": ""
            if (default := field["schema"].get("default")) is None
            else f"`{_shown(default)}`",
            "meaning": field["description"].replace("|", "\\|"),
        }
        for name, field in types[connection_type].items()
        if (name in shared) is common
    )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


TABLES = {
    "hiringcenter.md": {
        "fields": fields(HiringCenter.fields.table),
        "filters": filters(HiringCenter.filters),
    },
    "builder-prime.md": {
        "fields": fields(BuilderPrime.fields.table),
        "filters": filters(BuilderPrime.filters),
    },
    "connections.md": {
        "both": settings("hiringcenter", common=True),
        "hiringcenter": settings("hiringcenter", common=False),
        "builderprime": settings("builderprime", common=False),
    },
}


def pages() -> dict[Path, str]:
    """Return the pages as they should be, by path."""
    return {
        DOCS / name: _renewed((DOCS / name).read_text(), tables)
        for name, tables in TABLES.items()
    }


def _renewed(text: str, tables: Mapping[str, str]) -> str:
    for name, rows in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the markers of the table {name!r} are not there")
        text = f"{before}{begin}{rows}\n{end}{after}"
    return text


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
