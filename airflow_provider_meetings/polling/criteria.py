"""What a sensor waits for, as a value: one predicate decides it, on a worker and in the triggerer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_provider_meetings import exceptions
from airflow_provider_meetings.core.plain import plain
from airflow_provider_meetings.core.times import Window
from airflow_provider_meetings.exceptions import MeetingsError, MeetingsProtocolError
from airflow_provider_meetings.polling.wanted import check_wanted, same_value

__all__ = [
    "CONNECTION_GRACE",
    "TIMED_OUT",
    "Criteria",
    "from_trigger_event",
    "is_connection_missing",
    "is_permanent",
    "is_wrong_host",
    "to_trigger_event",
]

#: Seconds for which a connection that was there may be missing before it counts as deleted.
CONNECTION_GRACE = 300.0

#: A trigger's event when the time is over.
TIMED_OUT = {"status": "timed out"}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Are there so many such meetings in that window?

    Attributes:
        window_start: Unix milliseconds, or None.
        window_end: Unix milliseconds, or None.
        filters: The vendor's own query parameters.
        match: Values that a meeting must have, by field: one value or a list of them. Numbers equal their digits,
            truth values their names, and Unix milliseconds the same moment as ISO text.
        min_count: How many meetings are enough.
        include_cancelled: Whether a meeting that the vendor marks as cancelled counts.
    """

    window_start: int | None = None
    window_end: int | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    match: Mapping[str, Any] = field(default_factory=dict)
    min_count: int = 1
    include_cancelled: bool = True

    @classmethod
    def parse(  # noqa: PLR0917 - the sensor's own arguments, in its order
        cls,
        window_start: Any,
        window_end: Any,
        filters: Any,
        match: Any,
        min_count: Any,
        include_cancelled: Any = True,
    ) -> Criteria:
        """Check what a DAG author, or a template, has given.

        Raises:
            MeetingsConfigurationError: Something is wrong with it; every problem is named.
        """
        problems: dict[str, str] = {}
        checked: dict[str, Any] = {}
        window = Window()
        try:
            window = Window.parse(window_start, window_end)
        except ValueError as error:
            problems["window"] = str(error)
        match = _from_text({} if match is None else match)
        if not isinstance(match, Mapping):
            problems["match"] = "must be a dict of fields and values"
        else:
            for name, wanted in match.items():
                try:
                    checked[name] = check_wanted(name, wanted)
                except ValueError as error:
                    problems[f"match.{name}"] = str(error)
        text = str(min_count).strip()
        if isinstance(min_count, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
            problems["min_count"] = f"must be a whole number of at least 1, not {min_count!r}"
        cancelled = str(include_cancelled).strip().lower()
        if cancelled not in {"true", "false"}:
            problems["include_cancelled"] = f"must be true or false, not {include_cancelled!r}"
        filters = plain(_from_text({} if filters is None else filters))
        if not isinstance(filters, Mapping):
            problems["filters"] = "must be a dict of the vendor's filters, or its JSON: did a template come out empty?"
        if problems:
            from airflow_provider_meetings.vendors.fields import invalid_arguments  # noqa: PLC0415 - not where a DAG is parsed

            raise invalid_arguments("The sensor's arguments are invalid, nothing was sent", problems)
        return cls(window.start, window.end, dict(filters), checked, int(text), cancelled == "true")

    def live(self, meetings: Iterable[Mapping[str, Any]], cancelled_field: str | None) -> Iterable[Mapping[str, Any]]:
        """Leave out what is cancelled, unless that counts.

        Args:
            meetings: The meetings.
            cancelled_field: Where the vendor's meetings say that they are cancelled; None: nowhere.
        """
        if self.include_cancelled or cancelled_field is None:
            return meetings
        return (meeting for meeting in meetings if meeting.get(cancelled_field) is not True)

    def satisfied_by(self, meetings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        """Return the meetings that match, all of them; None: they are not enough.

        Args:
            meetings: All meetings of the window, read to the end.
        """
        found = [dict(meeting) for meeting in meetings if self._matches(meeting)]
        return found if len(found) >= self.min_count else None

    def _matches(self, meeting: Mapping[str, Any]) -> bool:
        return all(
            name in meeting
            and any(same_value(meeting[name], value) for value in (wanted if isinstance(wanted, list) else [wanted]))
            for name, wanted in self.match.items()
        )

    def as_kwargs(self) -> dict[str, Any]:
        """Return the question as plain JSON, for a trigger's arguments."""
        return asdict(self)

    def __str__(self) -> str:
        matching = f" with {', '.join(map(str, self.match))} as wanted" if self.match else ""
        return f"at least {self.min_count} meeting(s){matching} in {Window(self.window_start, self.window_end)}"


def _from_text(given: Any) -> Any:
    """Decode what a template rendered as JSON text; anything else is left to the checks."""
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given


def is_permanent(error: BaseException) -> bool:
    """Whether waiting cannot help."""
    return isinstance(error, AirflowFailException)


def is_connection_missing(error: BaseException) -> bool:
    """Whether Airflow has not found the connection.

    It says so, too, while its own database, its API server or the secrets backend cannot be asked: Airflow takes each
    of them for one that does not have it.
    """
    return isinstance(error.__cause__, AirflowNotFoundException)


def is_wrong_host(error: BaseException) -> bool:
    """Whether another server than the vendor's has answered: a redirect, or an error outside the vendor's envelope.

    From the first question on it means a wrong address. Later on it is trouble on the way, which passes.
    """
    return isinstance(error, MeetingsProtocolError) and 300 <= (error.status or 0) < 500  # noqa: PLR2004


def to_trigger_event(error: MeetingsError) -> dict[str, Any]:
    """Put an error into a trigger's event."""
    return {
        "status": "error",
        "type": type(error).__name__,
        "message": error.message,
        "where": {name: getattr(error, name) for name in _WHERE},
    }


_WHERE = ("status", "code", "method", "path")


def from_trigger_event(event: Any) -> list[dict[str, Any]]:
    """Open a trigger's event: the meetings found, or the error as it was raised there.

    Raises:
        MeetingsError: What the trigger raised, or a ``MeetingsProtocolError`` for an event that is none of ours.
    """
    if isinstance(event, Mapping):
        meetings = event.get("meetings")
        if event.get("status") == "success" and isinstance(meetings, list):
            return meetings
        kind = getattr(exceptions, str(event.get("type")), None)
        if event.get("status") == "error" and isinstance(kind, type) and issubclass(kind, MeetingsError):
            where = event.get("where")
            known = where if isinstance(where, Mapping) else {}
            raise kind(str(event.get("message")), **{name: known.get(name) for name in _WHERE})
    raise _BrokenEventError(f"The trigger ended with an event that is not understood: {type(event).__name__}")


class _BrokenEventError(MeetingsProtocolError, AirflowFailException):
    """Permanent, so that not even ``soft_fail`` makes a skipped task of it."""
