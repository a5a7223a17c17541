"""Moments and windows. Both vendors speak Unix milliseconds, so that is what everything becomes here.

Errors are ``ValueError`` with a text fit for the user; who calls knows the field's name and adds it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pendulum

from airflow_provider_meetings.core.plain import plain_integer
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = [
    "DAY",
    "Window",
    "check_time_zone",
    "date_in_digits",
    "local_text",
    "to_epoch_ms",
    "to_utc_text",
    "window_or_data_interval",
]

#: One day in milliseconds.
DAY = 86_400_000

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
# What datetime can show: the years 1 to 9999.
_FIRST = -62_135_596_800_000
_LAST = 253_402_300_799_999
_DIGITS = re.compile(r"-?[0-9]+", re.ASCII)
# The years 2001 to 2100 in seconds. In milliseconds they are weeks of 1970, which no caller means.
_SECONDS = range(978_307_200, 4_133_980_800)


def to_epoch_ms(value: Any, *, time_zone: str | None = None, round_up: bool = False) -> int:
    """Turn a moment into Unix milliseconds.

    Args:
        value: An aware ``datetime``, an ISO 8601 string with an offset or ``Z``, or epoch milliseconds as a whole
            number or digits. A naive date and time is taken only with ``time_zone``; a date without a time never is.
        time_zone: The IANA name of the zone that a naive value is local time of.
        round_up: Microseconds are rounded up to the next millisecond instead of being cut off.

    Raises:
        ValueError: It is none of these; it is naive and there is no ``time_zone``; or it is a local time that the zone
            skips or has twice on that day (the text names both candidates).
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a moment")
    if isinstance(value, str):
        value = value.strip()
        if _DIGITS.fullmatch(value):
            value = int(value) if len(value) <= len(str(_LAST)) + 1 else _LAST + 1
        else:
            value = _parse(value)
    value = value if isinstance(value, dt.datetime) else plain_integer(value)
    if isinstance(value, int):
        return _in_range(value)
    if isinstance(value, float | dt.datetime) and value != value:  # noqa: PLR0124 - nan, and pandas' NaT
        raise ValueError(f"{value} is not a moment: is it an empty cell of a data frame?")
    if not isinstance(value, dt.datetime):
        kind = "a date without a time" if isinstance(value, dt.date) else f"a {type(value).__name__}"
        raise ValueError(f"{kind} is not a moment: give an aware datetime, an ISO 8601 string or epoch milliseconds")
    if value.utcoffset() is None:
        if time_zone is None:
            raise ValueError(
                f"{value.isoformat()} has no UTC offset, so it is not known which moment it means: add an offset or Z"
            )
        value = _localise(value, time_zone)
    # pendulum's own subtraction gives an Interval, which is slow and not a plain timedelta.
    microseconds = dt.datetime.__sub__(value, _EPOCH) // dt.timedelta(microseconds=1)
    return _in_range(-(-microseconds // 1000) if round_up else microseconds // 1000)


def date_in_digits(value: Any) -> str:
    """Return the ISO text of what is a date, maybe with a time, in digits alone; blank: it is none.

    Airflow's ``ds_nodash`` and the like would be a moment of 1970, 1976 or 2612 as milliseconds.
    """
    digits = str(plain_integer(value)).strip() if not isinstance(value, dt.date) else ""
    if len(digits) not in {8, 12, 14} or digits[:2] not in {"19", "20"}:
        return ""
    try:
        meant = dt.datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - it has no zone
    except ValueError:
        return ""
    return meant.isoformat()


def _in_range(milliseconds: int) -> int:
    if not _FIRST <= milliseconds <= _LAST:
        raise ValueError("too far away: epoch milliseconds are expected")
    return milliseconds


def _parse(text: str) -> dt.datetime:
    if not text:
        raise ValueError("it is empty: did a template come out empty?")
    try:
        moment = dt.datetime.fromisoformat(text.upper())  # RFC 3339 allows a small t and z, Python 3.11 does not
        if len(text) > len("2026-11-21"):
            return moment
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 date and time, nor epoch milliseconds") from None
    raise ValueError(f"{text!r} is a date without a time, so it is not known which moment it means: add a time")


def _localise(naive: dt.datetime, name: str) -> dt.datetime:
    """Give a local time its zone, or refuse it where a change of the clocks makes it no moment or two."""
    zone = pendulum.timezone(check_time_zone(name))
    early, late = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    # Local times that exist survive the way to UTC and back; those inside a gap do not.
    exists = early.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) == naive.replace(fold=0)
    candidates = " or ".join(
        moment.astimezone(dt.UTC).astimezone(zone).isoformat()
        for moment in sorted((early, late), key=lambda moment: moment.astimezone(dt.UTC))
    )
    problem = "is there twice" if exists else "does not exist"
    raise ValueError(
        f"{naive.isoformat()} {problem} in {name}, the clocks change: say which moment is meant, {candidates}"
    )


def local_text(milliseconds: int, time_zone: str) -> str:
    """Return a moment for people, in a time zone: ``2027-01-11 10:00 America/New_York``.

    Raises:
        ValueError: There is no such time zone, or no such moment.
    """
    zone = pendulum.timezone(check_time_zone(time_zone))
    moment = (_EPOCH + dt.timedelta(milliseconds=_in_range(milliseconds))).astimezone(zone)
    return f"{moment:%Y-%m-%d %H:%M} {time_zone}"


@cache
def _zones() -> frozenset[str]:
    # "Factory", "localtime" and "posixrules" are files beside the zones, not zones.
    return frozenset(pendulum.timezones()) - {"Factory", "localtime", "posixrules"}


#: What abbreviations stand for; the nearest spelling would be hours away. IST, say, is three zones: it has no hint.
_ABBREVIATIONS = {
    "Z": "UTC",
    "BST": "Europe/London",
    "WEST": "Europe/Lisbon",
    "CEST": "Europe/Berlin",
    "MSK": "Europe/Moscow",
    "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    **dict.fromkeys(("AEST", "AEDT"), "Australia/Sydney"),
    **dict.fromkeys(("NZST", "NZDT"), "Pacific/Auckland"),
    **dict.fromkeys(("ET", "EDT", "EASTERN"), "America/New_York"),
    **dict.fromkeys(("CT", "CST", "CDT", "CENTRAL"), "America/Chicago"),
    **dict.fromkeys(("MT", "MDT", "MOUNTAIN"), "America/Denver"),
    **dict.fromkeys(("PT", "PST", "PDT", "PACIFIC"), "America/Los_Angeles"),
    **dict.fromkeys(("AKST", "AKDT", "ALASKA", "ALASKAN"), "America/Anchorage"),
    **dict.fromkeys(("HDT", "HAWAII", "HAWAIIAN"), "Pacific/Honolulu"),
}
# What Windows and people put behind such a name: "Pacific Standard Time (US & Canada)".
_TIME = re.compile(r"( (STANDARD|DAYLIGHT))?( TIME)?( \(US ?& ?CANADA\))?$")


def _meant_zone(name: str) -> str | None:
    """Return the zone that a name most probably means; None: no hint is better than one that is hours away."""
    text = name.strip()
    if (meant := _ABBREVIATIONS.get(_TIME.sub("", text.upper()))) is not None:
        return meant
    by_lower = {zone.lower(): zone for zone in sorted(_zones())}
    spelled = text.lower().replace(" ", "_").replace("-", "_")
    if spelled in by_lower:
        return by_lower[spelled]
    if any(char in "+0123456789" for char in text):
        return None  # an offset; and Etc/GMT+1 is one hour behind
    if "/" not in text:
        cities = {zone.rpartition("/")[2]: by_lower[zone] for zone in by_lower if "/" in zone}
        return cities.get(spelled)
    near = difflib.get_close_matches(spelled, by_lower, n=1, cutoff=0.8)
    return by_lower[near[0]] if near else None


def check_time_zone(name: Any) -> str:
    """Return the name if it is an IANA time zone's, exactly as spelled there.

    Raises:
        ValueError: It is not; the text suggests the nearest name.
    """
    if isinstance(name, str) and name in _zones():
        return name
    if not isinstance(name, str) or not name.strip():
        raise ValueError("must be an IANA time zone name, such as America/New_York")
    meant = _meant_zone(name)
    hint = f", did you mean {meant}?" if meant else ", such as America/New_York"
    raise ValueError(f"{name!r} is not an IANA time zone name{hint}")


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, ``[start, end)``, in Unix milliseconds; None is open on that side."""

    start: int | None = None
    end: int | None = None

    @classmethod
    def parse(cls, start: Any, end: Any) -> Window:
        """Make a window of two moments, each in any form that :func:`to_epoch_ms` takes, or None.

        Raises:
            ValueError: A bound is not a moment, or looks like one in seconds or like a date in digits, or the window is
                empty or turned round. The text names the bound.
        """
        bounds = {}
        for name, value in (("window_start", start), ("window_end", end)):
            try:
                # A meeting lies on a whole millisecond: with m >= start <=> m >= ceil(start), bounds round up.
                moment = None if value is None else to_epoch_ms(value, round_up=True)
                bounds[name] = moment
                # None in a range would be compared with each of its numbers.
                if moment is not None and moment in _SECONDS and not isinstance(value, dt.datetime):
                    raise ValueError(
                        f"{value!r} is a moment before 1973 when taken as milliseconds: are these seconds?"
                    )
                if meant := date_in_digits(value):
                    raise ValueError(
                        f"{value!r} is a number of milliseconds: is {meant} meant? Write it so, with an offset or Z"
                    )
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        window = cls(bounds["window_start"], bounds["window_end"])
        if window.start is not None and window.end is not None and window.start >= window.end:
            raise ValueError(f"window_end must be after window_start, the window {start!s} to {end!s} is empty")
        return window

    def __contains__(self, moment: int) -> bool:
        return (self.start is None or moment >= self.start) and (self.end is None or moment < self.end)

    def hull(self, other: Window) -> Window:
        """Return the smallest window that holds both."""
        starts, ends = (self.start, other.start), (self.end, other.end)
        return Window(
            None if None in starts else min(start for start in starts if start is not None),
            None if None in ends else max(end for end in ends if end is not None),
        )

    def split(self, width: int) -> Iterator[Window]:
        """Cut a window that is bounded on both sides into adjacent ones of at most ``width`` milliseconds."""
        if self.start is None or self.end is None:
            raise ValueError("only a bounded window can be cut")
        for start in range(self.start, self.end, width):
            yield Window(start, min(start + width, self.end))

    def __str__(self) -> str:
        return f"[{_show(self.start)}, {_show(self.end)})"


def to_utc_text(moment: int) -> str:
    """Return epoch milliseconds as ISO 8601 text in UTC, such as ``2027-01-11T15:00:00.000Z``."""
    return (_NAIVE_EPOCH + dt.timedelta(milliseconds=moment)).isoformat(timespec="milliseconds") + "Z"


def _show(moment: int | None) -> str:
    return "…" if moment is None else to_utc_text(moment)


def window_or_data_interval(
    window_start: Any, window_end: Any, context: Any, window_length: Any = None
) -> tuple[Any, Any]:
    """Return both bounds; each one that was not given is the run's data interval's.

    With a length the window is ``[partition_date, partition_date + window_length)`` of a partitioned run.

    Args:
        window_start: The first moment, or None.
        window_end: The first moment that is too late, or None.
        context: Airflow's.
        window_length: A ``timedelta``, or seconds as a number or digits; None: the window is not that of a partition.

    Raises:
        MeetingsConfigurationError: A bound was not given and the run has no data interval (in Airflow 3 a run that was
            started by hand, by an asset or for a partition has none), or an empty one. A length was given and the run
            has no ``partition_date``, or a bound was given, too; or it is not longer than nothing.
    """
    given = {"window_start": window_start, "window_end": window_end}
    missing = [name for name, value in given.items() if value is None]
    if window_length is not None:
        return _partition_window(window_length, given, missing, context)
    if not missing:
        return window_start, window_end
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if (start is None or end is None) and context.get("partition_date") is not None:
        raise MeetingsConfigurationError(
            "This run is one of a partition and has no data interval: give window_length, such as timedelta(days=1), "
            "which is counted from its partition_date, or window_start and window_end. Nothing was sent."
        )
    if start is None or end is None:
        reason = "This run has no data interval (a run started by hand or by an asset has none)"
    elif start >= end:
        reason = (
            "This run's data interval is empty (Airflow 3 gives a plain cron schedule such as @daily an empty one; "
            'CronTriggerTimetable("@daily", timezone="UTC", interval=timedelta(days=1)) gives a day)'
        )
    else:
        return (start if window_start is None else window_start), (end if window_end is None else window_end)
    raise MeetingsConfigurationError(
        f"{reason}, so {' and '.join(missing)} must be given, for example "
        "window_start='{{ params.window_start }}', or a moment that an earlier task returns. Nothing was sent."
    )


def _partition_window(
    length: Any, given: dict[str, Any], missing: list[str], context: Any
) -> tuple[dt.datetime, dt.datetime]:
    seconds = length.total_seconds() if isinstance(length, dt.timedelta) else length
    try:
        if isinstance(seconds, bool):
            raise TypeError
        span = dt.timedelta(seconds=float(seconds))
    except (TypeError, ValueError, OverflowError):
        span = dt.timedelta()
    if span <= dt.timedelta():
        raise MeetingsConfigurationError(
            f"window_length must be a timedelta or seconds, and longer than nothing: not {length!r}. Nothing was sent."
        )
    if len(missing) < len(given):
        bounds = " and ".join(name for name in given if name not in missing)
        raise MeetingsConfigurationError(
            f"window_length and {bounds} cannot both be given: the length is counted from the run's partition_date. "
            "Nothing was sent."
        )
    start = context.get("partition_date")
    if start is None:
        raise MeetingsConfigurationError(
            "window_length is counted from the run's partition_date, and this run has none: it takes a partitioned "
            "timetable or asset (Airflow 3.2 or newer). Give window_start and window_end instead. Nothing was sent."
        )
    return start, start + span
