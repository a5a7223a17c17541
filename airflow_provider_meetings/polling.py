"""The plan of a poll: which requests answer many questions about lists of meetings. Pure: it is told the time.

Each waiter asks for the meetings of a window, perhaps filtered. Asking the vendor for each of them is one way; the
other is a wider question whose answer holds theirs, cut up here. What costs fewer requests depends on how many pages
the wider list has, which nobody knows before it was read once. So the planner

* merges windows that overlap and have the same filters: their union never has more pages than they have together;
* tries a question with fewer filters when it may pay, and stops reading where it does not (:attr:`Errand.limit`);
* remembers when the meetings are that it has seen (:class:`Survey`) and estimates from that.

A vendor's filter may be left out only where it can be checked on the listed meeting itself: see :class:`Dialect`.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_meetings.moments import DAY, Window, to_epoch_ms
from airflow_provider_meetings.vendors import Vendor, builderprime, hiringcenter
from airflow_provider_meetings.vendors.fields import check_filters

__all__ = ["Ask", "Dialect", "Errand", "Planner", "Sheet", "Survey", "dialect_of"]

Filters: TypeAlias = tuple[tuple[str, str], ...]

#: Knowledge older than this many seconds is worth nothing: lists grow and shrink.
MEMORY = 3600.0
# Windows with gaps between them are merged when the whole is at most so much longer than its parts.
_MOST_STRETCH = 4
_SURVEYS = 16  # remembered for each set of filters
_FOREVER = 1 << 60


class Ask(NamedTuple):
    """What a waiter needs read: the meetings of a window under the vendor's filters."""

    start: int | None = None
    end: int | None = None
    filters: Filters = ()

    @property
    def window(self) -> Window:
        """The window."""
        return Window(self.start, self.end)

    def covers(self, other: Ask) -> bool:
        """Whether the other's meetings are among this one's."""
        return (
            (self.start is None or (other.start is not None and self.start <= other.start))
            and (self.end is None or (other.end is not None and other.end <= self.end))
            and set(self.filters) <= set(other.filters)
        )

    @property
    def low(self) -> int:
        """The start as a number."""
        return -_FOREVER if self.start is None else self.start

    @property
    def high(self) -> int:
        """The end as a number."""
        return _FOREVER if self.end is None else self.end


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the planner has to know of a vendor.

    Attributes:
        vendor: Its name.
        filters: The vendor's table of filters.
        comparable: The filters that can be checked on a listed meeting, and the field that tells.
        date_field: When a listed meeting begins.
        page_size: Meetings a page.
        longest: The longest window of one request, in milliseconds; None: there is no such limit.
    """

    vendor: str
    filters: Mapping[str, str]
    comparable: Mapping[str, str]
    date_field: str
    page_size: int
    longest: int | None = None

    def ask(self, start: int | None, end: int | None, filters: Any) -> Ask:
        """Put a question into the form in which equal ones are equal.

        Raises:
            MeetingsConfigurationError: The vendor has no such filter, or the value cannot be right.
        """
        return Ask(start, end, check_filters(self.vendor, self.filters, filters))

    def date(self, meeting: Mapping[str, Any]) -> int:
        """When a meeting begins."""
        value = meeting.get(self.date_field)
        return value if type(value) is int else to_epoch_ms(value)

    def requests(self, count: int, span: int) -> int:
        """Estimate how many requests list that many meetings in a window so long."""
        slices = 1 if self.longest is None else -(-span // self.longest)
        if self.longest is not None:
            return max(slices, -(-count * 10 // (7 * self.page_size)))  # it cuts windows until each fits on a page
        return max(1, -(-count // (self.page_size - 1)))  # each page repeats the last meeting of the one before


def dialect_of(vendor: Vendor) -> Dialect:
    """Return what the planner has to know of a vendor."""
    if isinstance(vendor, hiringcenter.HiringCenter):
        fields = {name: name for name in hiringcenter.FILTERS}
        return Dialect("HiringCenter", hiringcenter.FILTERS, fields, "meetingDate", vendor.page_size)
    assert isinstance(vendor, builderprime.BuilderPrime)  # noqa: S101 - there are two
    # A listed meeting tells its opportunity; who goes is there by name only, and names are not ids.
    fields = {"opportunity-id": "opportunityId"}
    longest = vendor.max_window
    return Dialect("Builder Prime", builderprime.FILTERS, fields, "startDateTime", vendor.page_size, longest)


@dataclass(slots=True)
class Errand:
    """One list to read.

    Attributes:
        ask: What to ask the vendor.
        serves: Which asks its answer holds.
        limit: More requests than this and it does not pay: stop reading and ask each. None: read to the end.
        cost: The requests it takes, as far as known.
        speaks_for: Asks of the same window that would be refused for the same reason as this one.
    """

    ask: Ask
    serves: list[Ask]
    limit: int | None = None
    cost: int = 1
    speaks_for: tuple[Ask, ...] = ()

    @property
    def worst(self) -> int:
        """The requests that its asks take where it does not pay."""
        return self.cost if self.limit is None else self.limit + 1


@dataclass(slots=True)
class Survey:
    """When the meetings of a span are, as of the last time it was read."""

    low: int
    high: int
    dates: list[int]
    at: float

    def count(self, low: int, high: int) -> int:
        """How many there are in a part of it."""
        return bisect_left(self.dates, high) - bisect_left(self.dates, low)


@dataclass(slots=True)
class _Refusal:
    """A list that turned out too long."""

    ask: Ask
    requests: int
    at: float


@dataclass(slots=True)
class Planner:
    """Makes the plan of each poll, and learns from what came of it.

    Attributes:
        dialect: What it knows of the vendor.
        lessons: Goes up with everything learned that may change a plan.
    """

    dialect: Dialect
    lessons: int = 0
    _surveys: dict[Filters, list[Survey]] = field(default_factory=dict)
    _refusals: dict[Filters, list[_Refusal]] = field(default_factory=dict)
    _costs: dict[Ask, tuple[int, float]] = field(default_factory=dict)
    _alone: set[Ask] = field(default_factory=set)

    # -- learning

    def learn(self, ask: Ask, requests: int, dates: Iterable[int], now: float) -> None:
        """Remember a list that was read to its end."""
        self.lessons += self._costs.get(ask, (0,))[0] != requests
        self._costs[ask] = (requests, now)
        self._remember(ask.filters, Survey(ask.low, ask.high, sorted(dates), now))

    def give_up(self, ask: Ask, requests: int, dates: Sequence[int], now: float) -> None:
        """Remember a list that was not worth reading on.

        Args:
            ask: The list.
            requests: How many it took until then.
            dates: Of the meetings read until then.
            now: When.
        """
        self.lessons += 1
        known = self._refusals.setdefault(ask.filters, [])
        known[:] = [old for old in known if now - old.at < MEMORY and not ask.covers(old.ask)][-_SURVEYS:]
        known.append(_Refusal(ask, requests + 1, now))
        if dates and self.dialect.longest is None:  # latest first: what is later than the last one read is all known
            self._remember(ask.filters, Survey(min(dates) + 1, ask.high, sorted(dates), now))

    def leave_alone(self, ask: Ask) -> None:
        """Never answer this ask out of a wider one: what the vendor would say cannot be told from its meetings."""
        self.lessons += 1
        self._alone.add(ask)

    def forget(self, ask: Ask) -> None:
        """Drop what is known of an ask that nobody asks any more."""
        self._alone.discard(ask)
        self._costs.pop(ask, None)
        if ask.filters:
            self._surveys.pop(ask.filters, None)

    def _remember(self, filters: Filters, survey: Survey) -> None:
        known = self._surveys.setdefault(filters, [])
        kept = [old for old in known if survey.low > old.low or old.high > survey.high]
        known[:] = [survey, *kept[: _SURVEYS - 1]]

    # -- estimating

    def _estimate(self, ask: Ask, now: float) -> tuple[int, bool]:
        """Return how many requests a list takes at least, and whether that is known to be all."""
        cost, at = self._costs.get(ask, (1, float("-inf")))
        if now - at < MEMORY:
            return cost, True
        count, complete = self._count(ask, now)
        span = min(ask.high - ask.low, _FOREVER)
        least = self.dialect.requests(count, span)
        if not complete:
            refused = self._refusals.get(ask.filters, ())
            least = max([least, *(old.requests for old in refused if now - old.at < MEMORY and ask.covers(old.ask))])
        return least, complete

    def _count(self, ask: Ask, now: float) -> tuple[int, bool]:
        """Count the meetings known in a window, and tell whether all of it was seen."""
        known = sorted((old for old in self._surveys.get(ask.filters, ()) if now - old.at < MEMORY), key=_low)
        count, seen, complete = 0, ask.low, True
        for survey in known:
            low, high = max(survey.low, seen), min(survey.high, ask.high)
            if low < high:
                complete = complete and low == seen
                count += survey.count(low, high)
                seen = high
        return count, complete and seen >= ask.high

    # -- planning

    def plan(self, asks: Iterable[Ask], now: float) -> list[Errand]:
        """Find few requests that answer all these asks; who comes first is served first."""
        asks = list(dict.fromkeys(asks))
        errands = [Errand(ask, [ask], cost=self._estimate(ask, now)[0]) for ask in asks]
        alone = [errand for errand in errands if errand.ask in self._alone]
        errands = [errand for errand in errands if errand.ask not in self._alone] if alone else errands
        most = max((len(errand.ask.filters) for errand in errands), default=0)
        for kept in range(most, -1, -1):
            errands = self._widen(errands, kept, now)
        order = {ask: number for number, ask in enumerate(asks)}
        return sorted([*alone, *errands], key=lambda errand: min(order[ask] for ask in errand.serves))

    def _widen(self, errands: list[Errand], kept: int, now: float) -> list[Errand]:
        """Merge errands into ones with so many filters, where that pays."""
        groups: dict[Filters, list[Errand]] = defaultdict(list)
        for errand in errands:
            for filters in self._reduced(errand.ask.filters, kept):
                groups[filters].append(errand)
        alive = {id(errand): errand for errand in errands}
        for filters, members in sorted(groups.items(), key=lambda group: -len(group[1])):
            here = [errand for errand in members if id(errand) in alive]
            if len(here) < 2:  # noqa: PLR2004 - one has nobody to be merged with
                continue
            for errand in here:
                del alive[id(errand)]
            merged = self._merge(here, filters, now)
            alive |= {id(errand): errand for errand in merged}
        return list(alive.values())

    def _reduced(self, filters: Filters, kept: int) -> Iterator[Filters]:
        """Yield what is left of filters when only so many are kept; one that cannot be checked here is always kept."""
        if len(filters) == kept:
            yield filters
            return
        fixed = [pair for pair in filters if pair[0] not in self.dialect.comparable]
        free = [pair for pair in filters if pair[0] in self.dialect.comparable]
        if len(filters) < kept or len(fixed) > kept:
            return
        for some in itertools.combinations(free, kept - len(fixed)):
            yield tuple(sorted([*fixed, *some]))

    def _merge(self, errands: list[Errand], filters: Filters, now: float) -> list[Errand]:
        # Windows of one length first: a week is not merged into somebody's year only because both begin in May.
        classes: dict[int, list[Errand]] = defaultdict(list)
        for errand in errands:
            classes[(min(errand.ask.high - errand.ask.low, _FOREVER) // DAY).bit_length() // 2].append(errand)
        merged: list[Errand] = []
        for _, members in sorted(classes.items()):
            merged += self._sweep(members, filters, now, try_out=True)
        return self._sweep(merged, filters, now, try_out=False) if len(classes) > 1 else merged

    def _sweep(self, errands: list[Errand], filters: Filters, now: float, *, try_out: bool) -> list[Errand]:
        """Go through errands by their start and merge neighbours."""
        done: list[Errand] = []
        run = _Run()
        for errand in sorted(errands, key=lambda errand: (errand.ask.low, -errand.ask.high)):
            if run.errands and not self._joins(run, errand, filters, now, try_out=try_out):
                done += self._settle(run, filters, now, try_out=try_out)
                run = _Run()
            run.add(errand)
        return done + self._settle(run, filters, now, try_out=try_out)

    def _joins(self, run: _Run, errand: Errand, filters: Filters, now: float, *, try_out: bool) -> bool:
        hull = run.hull(filters, errand)
        if hull.low == run.low and hull.high == run.high:
            return True
        least, known = self._estimate(hull, now)
        if known:
            return least <= run.cost + errand.cost
        stretch = (hull.high - hull.low) / max(1, run.covered + errand.ask.high - max(errand.ask.low, run.high))
        gapless = errand.ask.low <= run.high
        return try_out and least <= run.cost + errand.cost and (gapless or stretch <= _MOST_STRETCH)

    def _settle(self, run: _Run, filters: Filters, now: float, *, try_out: bool) -> list[Errand]:
        """Decide between one wide question and each."""
        if len(run.errands) < 2:  # noqa: PLR2004 - nothing to decide
            return run.errands
        hull = run.hull(filters)
        least, known = self._estimate(hull, now)
        same = all(errand.ask.filters == filters for errand in run.errands)
        serves = [ask for errand in run.errands for ask in errand.serves]
        worst = sum(errand.worst for errand in run.errands)
        whole = next((errand for errand in run.errands if errand.ask.covers(hull)), None)
        if whole is not None:  # somebody needs all of it anyway
            return [Errand(hull, serves, None if whole.limit is None else worst - 1, least)]
        if known:
            return [Errand(hull, serves, None, least)] if least < run.cost else run.errands
        if not try_out or least >= worst:
            return run.errands
        if same:
            # Without gaps, the whole has no more pages than the parts; with gaps, wait until the parts are known.
            return [Errand(hull, serves, None, least)] if run.gapless else run.errands
        return [Errand(hull, serves, worst - 1, least)]


def _low(survey: Survey) -> tuple[int, int]:
    return survey.low, -survey.high


class _Run:
    """Errands that may become one."""

    def __init__(self) -> None:
        self.errands: list[Errand] = []
        self.low = self.high = self.covered = self.cost = 0
        self.gapless = True

    def add(self, errand: Errand) -> None:
        low, high = errand.ask.low, errand.ask.high
        if not self.errands:
            self.low, self.high, self.covered = low, high, high - low
        else:
            self.gapless = self.gapless and low <= self.high
            self.covered += max(0, high - max(low, self.high))
            self.high = max(self.high, high)
        self.errands.append(errand)
        self.cost += errand.cost

    def hull(self, filters: Filters, errand: Errand | None = None) -> Ask:
        """Return the question that holds all of them, and one more."""
        low = self.low if errand is None else min(self.low, errand.ask.low)
        high = self.high if errand is None else max(self.high, errand.ask.high)
        return Ask(None if low <= -_FOREVER else low, None if high >= _FOREVER else high, filters)


class Sheet:
    """A list that was read, in which many questions are looked up without reading it again for each of them.

    Args:
        dialect: The vendor's.
        ask: What was asked.
        meetings: The answer, in the vendor's order.
    """

    def __init__(self, dialect: Dialect, ask: Ask, meetings: list[dict[str, Any]]) -> None:
        self._dialect = dialect
        self._ask = ask
        self.meetings = meetings
        self.dates = [dialect.date(meeting) for meeting in meetings]
        self._by_date: list[int] | None = None
        self._sorted_dates: list[int] = []
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], list[int]] | None] = {}
        self._spellings: dict[str, dict[str, set[str]]] = {}
        self._values: dict[str, dict[str, list[int]]] = {}

    def select(self, ask: Ask) -> list[dict[str, Any]] | None:
        """Return what the vendor would answer to a narrower ask; None: it cannot be told."""
        places = self._places(ask)
        return None if places is None else [self.meetings[place] for place in places]

    def narrow(self, ask: Ask, match: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Return those of :meth:`select` that may match; whoever asks has to look at each of them still."""
        places = self._places(ask, match)
        return None if places is None else [self.meetings[place] for place in places]

    def _places(self, ask: Ask, match: Mapping[str, Any] | None = None) -> Sequence[int] | None:
        extra = [pair for pair in ask.filters if pair not in self._ask.filters]
        places: Sequence[int] = range(len(self.meetings))
        if extra:
            found = self._group(extra)
            if found is None:
                return None
            places = found
        for name, wanted in (match or {}).items():
            keys = _keys_wanted(wanted)
            if len(places) <= _FEW:
                break
            if keys is not None:
                values = self._values_of(name)
                likely = {place for key in keys for place in values.get(key, ())}
                whole = len(places) == len(self.meetings)
                places = sorted(likely) if whole else [place for place in places if place in likely]
        if ask.low <= self._ask.low and ask.high >= self._ask.high:
            return places
        if len(places) < len(self.meetings):
            return [place for place in places if ask.low <= self.dates[place] < ask.high]
        if self._by_date is None:
            self._by_date = sorted(places, key=self.dates.__getitem__)
            self._sorted_dates = [self.dates[place] for place in self._by_date]
        first, last = bisect_left(self._sorted_dates, ask.low), bisect_left(self._sorted_dates, ask.high)
        return sorted(self._by_date[first:last])

    def _group(self, pairs: list[tuple[str, str]]) -> list[int] | None:
        names = tuple(name for name, _ in pairs)
        if names not in self._groups:
            self._groups[names] = self._index(names)
        groups = self._groups[names]
        if groups is None or any(self._other_spelling(name, value) for name, value in pairs):
            return None
        return groups.get(tuple(value for _, value in pairs), [])

    def _index(self, names: tuple[str, ...]) -> dict[tuple[str, ...], list[int]] | None:
        fields = [self._dialect.comparable[name] for name in names]
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, meeting in enumerate(self.meetings):
            if any(name not in meeting for name in fields):
                return None
            groups[tuple([_text(meeting[name]) for name in fields])].append(place)
        return groups

    def _other_spelling(self, name: str, value: str) -> bool:
        """Whether the list has the value in other letters: whether the vendor's filter minds is not known."""
        if name not in self._spellings:
            spellings: dict[str, set[str]] = defaultdict(set)
            for text in {_text(meeting.get(self._dialect.comparable[name])) for meeting in self.meetings}:
                spellings[text.strip().casefold()].add(text)
            self._spellings[name] = spellings
        return bool(self._spellings[name].get(value.strip().casefold(), set()) - {value})

    def _values_of(self, name: str) -> dict[str, list[int]]:
        if name not in self._values:
            values: dict[str, list[int]] = defaultdict(list)
            for place, meeting in enumerate(self.meetings):
                if name in meeting:
                    for key in _keys(meeting[name]):
                        values[key].append(place)
            self._values[name] = values
        return self._values[name]


# Below this many meetings an index is not worth building.
_FEW = 16


def _text(value: Any) -> str:
    if value is None:
        return "\0"  # no filter finds what is not there
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _keys(value: Any) -> set[str]:
    """Return the names under which a stored value is found; equal values have one in common."""
    if value is None or isinstance(value, bool):
        return {f"\0{value}"}
    return {str(value), _text(value)}


def _keys_wanted(wanted: Any) -> set[str] | None:
    """Return the names of what matches; None: look at all."""
    keys: set[str] = set()
    for value in wanted if isinstance(wanted, list) else [wanted]:
        if not (value is None or isinstance(value, str | int | float)):
            return None
        keys |= _keys(value)
    return keys
