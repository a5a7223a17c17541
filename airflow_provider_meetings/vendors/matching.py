"""Telling the meeting that a lost request made from those that only look like it.

A create that was not answered either happened or did not. Where the vendor cannot be asked by key, it is looked for: a
meeting that equals the one sent, in every field that both shapes have, and that was not there before.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_meetings.core.flow import Response
from airflow_provider_meetings.core.plain import plain_integer
from airflow_provider_meetings.core.retry import server_time
from airflow_provider_meetings.core.times import Window, to_epoch_ms
from airflow_provider_meetings.exceptions import MeetingConflictError

__all__ = [
    "SHORTEST_CUT",
    "ComparableFields",
    "CreatedMeeting",
    "PendingCreate",
    "fingerprint",
    "made_since",
    "matches",
    "same_id",
    "same_moment",
    "same_name",
    "same_number",
    "same_text",
    "search_window",
]

# A vendor's clock is told in whole seconds, and the request took a moment to arrive.
_SLACK = 5_000
# Where only the day of the creation is told, or the vendor's clock is not, a date this near says nothing.
_BLUR = 36 * 3_600_000
_MINUTE = 60_000
_SECOND = 1000
# Of a meeting that was not among the look-alikes before, a date of creation so many seconds before says that it was
# moved there. It is only a second witness: clocks of two workers may differ.
_ELDER = 600.0
#: Vendors cut texts that are too long for them, at this many characters or more.
SHORTEST_CUT = 50
_UUID_DIGITS = 32
_EMOJI = re.compile("[\U00010000-\U0010ffff]")
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>")


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A create that was sent and whose outcome is not known.

    Attributes:
        body: What was sent.
        key: The idempotency key that it was sent under.
        first_sent: When it was first sent, in seconds since the epoch.
        in_flight_until: When the last send of it can no longer be on its way, likewise.
        known: Ids of the meetings that looked alike before the first send; None: nobody looked, so that only their
            creation dates can tell.
    """

    body: Mapping[str, Any] = field(repr=False)
    key: str
    first_sent: float
    in_flight_until: float
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
        looked = self.known is not None
        fresh = [meeting for meeting in found if self.known is None or str(meeting.get("id")) not in self.known]
        since = self.first_sent - _ELDER if looked else self.first_sent
        verdicts = [(meeting, made_since(since, meeting.get(created_field), response)) for meeting in fresh]
        candidates = [meeting for meeting, new in verdicts if new is not False]
        # What was made when this create could no longer arrive is somebody else's, if the vendor's dates are right.
        until = self.in_flight_until + _ELDER
        late = [one for one in candidates if made_since(until, one.get(created_field), response)]
        candidates = [one for one in candidates if one not in late]
        if late and not candidates:
            raise ambiguous_match(late)
        if len(candidates) == 1 and (looked or all(new is not None for _, new in verdicts)):
            return candidates[0]
        if not candidates and looked:
            candidates = fresh  # each was made before and moved here since; or the vendor's dates mislead
        if not candidates:
            return None
        raise ambiguous_match(candidates)


@dataclass(frozen=True, slots=True)
class CreatedMeeting:
    """What came of a create.

    Attributes:
        meeting: The meeting.
        response: The answer to the create; None: the meeting was found by a look.
    """

    meeting: dict[str, Any]
    response: Response | None = field(default=None, repr=False)


def ambiguous_match(candidates: Sequence[Mapping[str, Any]]) -> MeetingConflictError:
    """Make the error for meetings that cannot be told apart."""
    ids = ", ".join(str(meeting.get("id")) for meeting in candidates)
    error = MeetingConflictError(
        "It cannot be told which meeting is this task's own: equal to it in all that can be compared are the meetings "
        f"{ids}. Look at them in the CRM, delete what is too many, and clear the task."
    )
    error.candidates = tuple(candidates)
    return error


def made_since(since: float, created: Any, response: Response) -> bool | None:
    """Whether a meeting was made after a moment of our clock; None: it cannot be told.

    Args:
        since: The moment, in seconds since the epoch.
        created: When it was made, as the vendor says.
        response: The answer that says so; it tells the vendor's clock.
    """
    try:
        made = to_epoch_ms(created)
    except ValueError:
        return None
    told, clock = server_time(response)
    threshold = round((since + clock - response.received_at) * 1000) - _SLACK
    if made >= threshold:
        return True
    exact = told and made % _MINUTE != 0
    return False if exact or made < threshold - _BLUR else None


#: Fields of the shape that create takes (``employee.id``: a part of one); the names that stand for each in the shapes
#: that come back; how they compare.
ComparableFields: TypeAlias = Mapping[str, tuple[tuple[str, ...], Callable[[Any, Any], bool]]]

_ABSENT = object()


def matches(
    sent: Mapping[str, Any], stored: Mapping[str, Any], comparable: ComparableFields, *, strict: bool = False
) -> bool:
    """Whether a meeting equals what was sent, in every field that can be compared.

    Args:
        sent: What was sent.
        stored: The meeting.
        comparable: The vendor's table of fields.
        strict: Whether signs in texts count, too: a difference may be one that somebody wants to be written.
    """
    for name, (stored_names, same) in comparable.items():
        ours = _part(sent, name)
        theirs = next((stored[stored_name] for stored_name in stored_names if stored_name in stored), _ABSENT)
        compare = _same_signs if strict and same is same_text else same
        if ours is not _ABSENT and theirs is not _ABSENT and not compare(ours, theirs):
            return False
    return True


def _part(sent: Mapping[str, Any], name: str) -> Any:
    outer, _, inner = name.partition(".")
    value = sent.get(outer, _ABSENT)
    if not inner or value is _ABSENT:
        return value
    return value.get(inner, _ABSENT) if isinstance(value, Mapping) else _ABSENT


def fingerprint(stored: Mapping[str, Any], comparable: ComparableFields) -> str:
    """Return a fingerprint of a meeting's comparable fields, to notice later that somebody changed them."""
    names = sorted({name for names, _ in comparable.values() for name in names})
    seen = {name: stored[name] for name in names if name in stored}
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def same_text(sent: Any, stored: Any) -> bool:
    """Whether two texts are one but for what vendors do to texts.

    White space, case, escapes and a lost end; and what databases and editors do to signs: an emoji that becomes ``?``
    or nothing, accents that are lost, quotes that are curled, tags that are taken out. So letters and digits count, as
    long as there are any.
    """
    if _same_signs(sent, stored):
        return True
    ours, theirs = _tidy(sent), _tidy(stored)
    before = _EMOJI.split(ours, 1)[0].strip()
    if before and theirs == before != ours:
        return True  # what a database that has no such sign leaves of a text
    letters = _letters(ours)
    return bool(letters) and letters == _letters(theirs)


def _same_signs(sent: Any, stored: Any) -> bool:
    """Whether two texts are one but for white space, case, escapes and a lost end."""
    ours, theirs = _tidy(sent), _tidy(stored)
    return ours == theirs or (len(theirs) >= SHORTEST_CUT and ours.startswith(theirs))


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", _TAG.sub("", html.unescape(text)))
    return "".join(char for char in plain if char.isalnum())


def same_name(sent: Any, stored: Any) -> bool:
    """Whether two names, or addresses, are of one person: their capitals and white space tell nobody apart."""
    return _tidy(sent) == _tidy(stored)


def _tidy(value: Any) -> str:
    text = unicodedata.normalize("NFC", html.unescape(str(value or "")))
    return " ".join(text.split()).casefold()


def same_number(sent: Any, stored: Any) -> bool:
    """Whether two ids are one, be they numbers, of whatever kind, or digits."""
    return str(plain_integer(sent)) == str(plain_integer(stored))


def same_id(one: Any, other: Any) -> bool:
    """Whether two ids are one: ``7`` and ``7.0``, or a UUID in capitals or with its dashes."""
    return _spelled(one) == _spelled(other)


def _spelled(value: Any) -> str:
    text = str(plain_integer(value)).casefold()
    bare = text.replace("-", "")
    return bare if len(bare) == _UUID_DIGITS else text


def same_moment(sent: Any, stored: Any) -> bool:
    """Whether two moments are one, however they are written, and be it to the second or the minute only."""
    try:
        ours, theirs = to_epoch_ms(sent), to_epoch_ms(stored)
    except ValueError:
        return False
    return ours == theirs or any(theirs % unit == 0 and abs(theirs - ours) < unit for unit in (_SECOND, _MINUTE))


def search_window(moment: int) -> Window:
    """Return where a meeting at a moment is found, also where the vendor keeps the second or the minute only."""
    low = moment // _MINUTE * _MINUTE
    return Window(moment, moment + 1) if low == moment else Window(low, low + _MINUTE + 1)
