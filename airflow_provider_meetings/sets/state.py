"""What a set remembers from run to run: which meeting each row has. A hint, never a proof."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.core.json_text import to_json
from airflow_provider_meetings.sets.files import FileLocation
from airflow_provider_meetings.sets.matching import MatchKey
from airflow_provider_meetings.vendors.fields import check_id

__all__ = ["SetState"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class SetState:
    """The file in which a set remembers its meetings.

    Attributes:
        location: Where it is.
        meetings_conn_id: The connection whose meetings they are.
        match_on: The fields that tell which row is which meeting.
    """

    location: FileLocation
    meetings_conn_id: str
    match_on: tuple[str, ...]

    def load(self) -> tuple[dict[MatchKey, str], str | None]:
        """Return the id that each row's meeting had, by the row's key; and why nothing is known, if that is a problem.

        A file that is not there is none.
        """
        try:
            content = self.location.read_bytes()
            if content is None:
                return {}, None
            document = json.loads(content)
            if document["version"] != _VERSION:
                return {}, f"it is of version {document['version']!r}, and version {_VERSION} is read"
            if document["meetings_conn_id"] != self.meetings_conn_id:
                return {}, f"it is of connection {document['meetings_conn_id']!r}"
            if tuple(document["match_on"]) != self.match_on:
                return {}, f"its rows were told apart by {', '.join(document['match_on'])}"
            return {_key(entry["key"]): check_id(entry["id"]) for entry in document["meetings"]}, None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a hint, the work goes on without it
            return {}, f"{type(error).__name__}: {error}"

    def save(self, meetings: Iterable[tuple[MatchKey, Any]]) -> None:
        """Write which meeting each row has.

        Raises:
            Exception: Whatever the file system raises.
        """
        document = {
            "version": _VERSION,
            "meetings_conn_id": self.meetings_conn_id,
            "match_on": list(self.match_on),
            "meetings": [{"key": list(key), "id": str(meeting_id)} for key, meeting_id in sorted(meetings)],
        }
        self.location.write_bytes(to_json(document))


def _key(parts: Any) -> MatchKey:
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("a key in it is not a list of texts")
    return tuple(parts)
