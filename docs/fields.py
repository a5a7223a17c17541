"""Writes fields.md from the vendors' tables, which validation and error messages come from as well.

python docs/fields.py > docs/fields.md
"""

from airflow_provider_meetings.vendors import builderprime, hiringcenter
from airflow_provider_meetings.vendors.fields import Fields, reference


def table(rows: list[dict[str, str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    head = list(rows[0])
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row.values())} |" for row in rows),
    ]


def chapter(fields: Fields, filters: dict[str, str]) -> list[str]:
    """Return the lines about one vendor."""
    return [
        f"## {fields.vendor}",
        "",
        *table(reference(fields.table)),
        "",
        f"Filters of a list: {', '.join(f'`{name}` ({kind})' for name, kind in filters.items())}.",
        "",
    ]


def page() -> str:
    """Return the page."""
    lines = [
        "# Fields and filters",
        "",
        "A meeting is a dict with the vendor's own field names. What is not listed here goes into `extra_fields`, a",
        "dict inside the meeting, and is sent unchecked. A *moment* is an aware `datetime`, ISO 8601 text with an",
        "offset, or epoch milliseconds; on HiringCenter a naive one is local time in the `timeZone` beside it. A",
        "*number* may be its digits.",
        "",
        *chapter(hiringcenter.FIELDS, dict(hiringcenter.FILTERS)),
        *chapter(builderprime.FIELDS, dict(builderprime.FILTERS)),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
