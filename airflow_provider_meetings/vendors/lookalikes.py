"""Telling the meeting that a lost request made from those that only look like it.

A create that was not answered either happened or did not. Where the vendor cannot be asked by key, it is looked for: a
meeting that equals the one sent, in every field that both shapes have, and that was not there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.exceptions import MeetingConflictError
from airflow_provider_meetings.moments import to_epoch_ms
from airflow_provider_meetings.retry import server_time
from airflow_provider_meetings.wire import Response

__all__ = ["Sighting", "same_moment", "same_number", "same_text"]

# A vendor's clock is told in whole seconds, and the request took a moment to arrive.
_SLACK = 5_000
# Where only the day of the creation is told, or the vendor's clock is not, a date this near says nothing.
_BLUR = 36 * 3_600_000
_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of a create that was not answered.

    Attributes:
        first_sent: When it was first sent, in seconds since the epoch.
        last_sent: When it was last sent, likewise.
        known: Ids of the meetings that looked alike before the first send; None: nobody looked, so that only their
            creation dates can tell.
    """

    first_sent: float
    last_sent: float
    known: frozenset[str] | None = None

    def choose(self, found: Sequence[dict[str, Any]], response: Response, created_field: str) -> dict[str, Any] | None:
        """Pick the meeting that the create made out of those that look like it; None: it is not among them.

        Args:
            found: The meetings that look like it.
            response: The answer that listed them; it tells the vendor's clock.
            created_field: Where a meeting says when it was made.

        Raises:
            MeetingConflictError: Several could be it, or one that cannot be told from an older one. All are named.
        """
        candidates, certain = [], True
        for meeting in found:
            if self.known is not None:
                new: bool | None = str(meeting.get("id")) not in self.known
            else:
                new = self._is_new(meeting.get(created_field), response)
            if new is not False:
                candidates.append(meeting)
                certain = certain and new is True
        if not candidates:
            return None
        if len(candidates) == 1 and certain:
            return candidates[0]
        ids = ", ".join(str(meeting.get("id")) for meeting in candidates)
        raise MeetingConflictError(
            f"A create was not answered, and it cannot be told whether one of these meetings, equal to it in all that "
            f"was sent, is its own: {ids}. Look at them in the CRM, delete what is too many, and clear the task."
        )

    def _is_new(self, created: Any, response: Response) -> bool | None:
        """Whether a meeting was made after the first send; None: it cannot be told."""
        try:
            made = to_epoch_ms(created)
        except ValueError:
            return None
        told, clock = server_time(response)
        sent = round((self.first_sent + clock - response.received_at) * 1000) - _SLACK
        if made >= sent:
            return True
        exact = told and made % _MINUTE != 0
        return False if exact or made < sent - _BLUR else None

    def in_flight_for(self, now: float, timeout: float) -> float:
        """Seconds for which the last send may still be on its way; 0 or less: it is not any more."""
        return self.last_sent + timeout - now


def same_text(sent: Any, stored: Any) -> bool:
    """Whether two texts are one but for white space and case, which vendors like to tidy."""
    return _tidy(sent) == _tidy(stored)


def _tidy(value: Any) -> str:
    return " ".join(str(value or "").split()).casefold()


def same_number(sent: Any, stored: Any) -> bool:
    """Whether two ids are one, be they numbers or digits."""
    return str(sent) == str(stored)


def same_moment(sent: Any, stored: Any) -> bool:
    """Whether two moments are one, however they are written."""
    try:
        return to_epoch_ms(sent) == to_epoch_ms(stored)
    except ValueError:
        return False
