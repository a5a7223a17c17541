"""Where a person looks at a meeting: addresses in the vendor's web app, made from a connection's template."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["WebUrlTemplate"]

_EXAMPLE = "such as https://app.example.com/meetings/{id}"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class WebUrlTemplate:
    """An address with ``{id}``, and maybe other fields of a meeting, to be filled in.

    Attributes:
        parts: Texts, and the names of the fields after them; the last has none.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, value: Any) -> WebUrlTemplate:
        """Read what a connection says.

        Raises:
            ValueError: It is no template of an address that a browser may be sent to.
        """
        if not isinstance(value, str) or any(not 0x21 <= ord(char) <= 0x7E for char in value.strip()):  # noqa: PLR2004
            raise ValueError(f"must be an address without blanks, {_EXAMPLE}")
        text = value.strip()
        try:
            found = list(string.Formatter().parse(text))
            address = urlsplit(text)
        except ValueError:
            raise ValueError(f"must be an address with names of fields in braces, {_EXAMPLE}") from None
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"must begin with https:// or http:// and a host, {_EXAMPLE}")
        if "@" in address.netloc or "{" in address.netloc:
            raise ValueError(f"must name the host in full, without a user, {_EXAMPLE}")
        names = [name for _, name, _, _ in found if name is not None]
        if not all(_NAME.fullmatch(name) for name in names) or any(spec or how for _, _, spec, how in found):
            raise ValueError(f"may have only names of fields in braces, {_EXAMPLE}")
        if "id" not in names:
            raise ValueError(f"must have {{id}} in it, {_EXAMPLE}")
        return cls(tuple((literal, name) for literal, name, _, _ in found))

    def url(self, meeting: Mapping[str, Any]) -> str | None:
        """Return the address of a meeting; None: it lacks a field that the template names."""
        filled = []
        for literal, name in self.parts:
            value = "" if name is None else _text(meeting.get(name))
            if value is None:
                return None
            filled += [literal, quote(value, safe="")]
        return "".join(filled)


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # Dots alone would lead to another page.
    text = str(value).strip()
    return text if text.strip(".") else None
